"""`clir-bench score`: scores TREC run files of other software."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, typed_command
from clir_bench.cli.tables import Printer
from clir_bench.core.tables import Format
from clir_bench.errors import UsageError
from clir_bench.evaluation.simple import score_runs

_EPILOG = """\b
Examples:
  clir-bench score --task miracl --system my-bm25 sw-sw=sw.run.gz te-te=te.run
  clir-bench score --task xquad --system lucene en-en=run.txt --json
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="PAIR=RUN...")
@click.option("--task", "-t", required=True, help="Task by name, or path to a card.toml.")
@click.option("--system", required=True, help="What to call the system that made the runs.")
@options.split
@click.option("--sample", is_flag=True, help="The runs are of the embedded sample.")
@options.tiers
@options.measures
@options.data_dir
@options.tasks_dir
@options.output
@options.seed
@click.option("--overwrite", is_flag=True, help="Replace what is stored under that system's name.")
@options.formats("the stored result", "a mean by one measure", "json")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    runs: tuple[str, ...],
    task: str,
    system: str,
    split: str | None,
    sample: bool,
    tiers: str,
    measures: str | None,
    data_dir: Path | None,
    tasks_dir: Path | None,
    output: Path,
    seed: int,
    overwrite: bool,
    form: Format,
) -> None:
    """Score TREC run files made elsewhere against a task.

    Give each run with its pair, as in en-sw=my.run; it may be packed, or come from a pipe, as in
    en-sw=/dev/stdin. Judged queries without an answer count 0. Measures that look deeper than the
    runs are renamed to the runs' depth (R@10 for R@100); those of --measures are refused. The
    result is stored like those of `clir-bench run`. """  # fmt: skip
    files = []
    for run in runs:
        pair, equals, path = run.partition("=")
        if not (pair and equals and path):
            raise UsageError(f"{run!r}: write the pair and its run file, as in en-sw=my.run")
        files.append((pair, path))
    scored = score_runs(
        system,
        task,
        files,
        split=split,
        sample=sample,
        measures=measures,
        output=output,
        tiers=tiers,
        seed=seed,
        overwrite=overwrite,
        command=typed_command(),
        data_dir=data_dir,
        tasks_dir=tasks_dir,
    )
    Printer(form).show_stored(scored)
    for note in scored.notes:
        echo(f"note: {note}", err=True)
    for place, error in scored.failures.items():
        echo(f"failed: {place}: {error}", err=True)
    if scored.failures:
        ctx.exit(1)
