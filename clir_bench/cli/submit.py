"""`clir-bench submit`: turns results into submissions to the leaderboards."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo
from clir_bench.leaderboard.submission.submit import submit_results

_EPILOG = """\b
Examples:
  clir-bench submit results/my-encoder --card my-encoder.toml
  clir-bench submit results/my-encoder/xquad --to leaderboards/results
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("leaderboards/results"),
    show_default=True,
    help="Folder of submitted results.",
)
@click.option("--card", type=click.Path(path_type=Path), help="The system card.")
@click.option(
    "--pairs",
    "-p",
    multiple=True,
    help="More pairs to keep, beside those that boards show: en-*, or official.",
)
@options.measures
@options.data_dir
@click.option("--overwrite", is_flag=True, help="Replace what was submitted before.")
def command(
    paths: tuple[Path, ...],
    to: Path,
    card: Path | None,
    pairs: tuple[str, ...],
    measures: str | None,
    data_dir: Path | None,
    overwrite: bool,
) -> None:
    """Make the files of a pull request from stored results.

    PATHS are result files, or folders in which all results that boards can take are submitted.
    Runs are cut to what boards show, scored again, and stored small enough for a repository;
    beside them goes the system card, which says what the system was trained on. Without a card, the
    command writes a template to fill in.
    """
    done = submit_results(
        paths,
        to,
        card=card,
        pairs=pairs,
        measures=measures,
        data_dir=data_dir,
        overwrite=overwrite,
    )
    for reason in done.left_out:
        echo(f"left out: {reason}", err=True)
    for result in done.results:
        echo(f"{result.path}: {result.n_pairs} pairs, {result.size_bytes / 1e6:.1f} MB")
    for folder in done.systems:
        echo(f"check it with: clir-bench validate {folder}")
