"""`clir-bench validate`: checks a submission, as CI does."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.core.display import shown_path
from clir_bench.leaderboard.submission.validate import ValidationReport, validate

NOT_RECOMPUTED = 3
"""Exit code of a submission in which nothing is wrong, but whose scores were not recomputed."""

_EPILOG = """\b
Examples:
  clir-bench validate leaderboards/results/my-encoder
  clir-bench validate leaderboards/results --no-recompute

Exit codes: 0 when everything is right, 1 when something is wrong, 3 when nothing is wrong but
scores were not recomputed, because the data of a task is not at hand.
"""


@click.command(epilog=_EPILOG)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the task's files, or one with such a folder for every task.",
)
@click.option(
    "--no-recompute",
    is_flag=True,
    help="Do not score the runs again, and exit with 0 without: for a machine without the data.",
)
@click.pass_context
def command(ctx: click.Context, path: Path, data_dir: Path | None, no_recompute: bool) -> None:
    """Check a submission, as CI does.

    PATH is a folder of submitted results, the folder of one system, or one result. The result, its
    system card, its runs and values are checked, and every score is recomputed from the runs and
    the benchmark's judgments. Nothing is executed, written or fetched.
    """
    report = validate(
        path,
        data_dir=data_dir,
        recompute=not no_recompute,
        advance=lambda result: echo(f"checking {shown_path(result)}", err=True),
    )
    for problem in report.problems:
        echo(f"problem: {problem}")
    for result, missing in report.not_recomputed.items():
        if missing:
            echo(f"not recomputed: {shown_path(result)}: {missing}")
    echo(_summary(report, no_recompute))
    if report.problems:
        ctx.exit(1)
    if report.not_recomputed and not no_recompute:
        ctx.exit(NOT_RECOMPUTED)


def _summary(report: ValidationReport, no_recompute: bool) -> str:
    n_results = len(report.recomputed) + len(report.not_recomputed)
    if report.problems:
        return f"{len(report.problems)} problems; no leaderboard takes this"
    said = f"{report.n_systems} systems, {n_results} results: nothing is wrong"
    if not report.not_recomputed:
        return f"{said}; all scores were recomputed from the runs"
    files = ", ".join(shown_path(path) for path in report.not_recomputed)
    how = "as --no-recompute says" if no_recompute else "for want of the tasks' data"
    return (
        f"{said}, but SCORES WERE NOT RECOMPUTED of {len(report.not_recomputed)} results, {how}: "
        f"{files}"
    )
