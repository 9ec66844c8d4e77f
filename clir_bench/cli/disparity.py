"""`clir-bench disparity`: measures how unequally systems serve languages."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.analysis.disparity.report import DisparityRow, as_record, as_rows
from clir_bench.analysis.disparity.stored import measure_disparity
from clir_bench.cli import options
from clir_bench.cli.disparity_tables import disparity_tables
from clir_bench.cli.output import echo, show
from clir_bench.core.tables import Column, Format, Table, json_line

_EPILOG = """\b
Examples:
  clir-bench disparity results/hashing/xquad/validation.json
  clir-bench disparity results/*/xquad-r/*.json --tiers mine.toml --csv
"""


@click.command(epilog=_EPILOG)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tiers",
    multiple=True,
    help="Tier scheme: joshi, cc100, optical, or a TOML file of your own; may be given several "
    "times. Default: the three that come with clir-bench.",
)
@click.option(
    "--measures",
    multiple=True,
    help="Measures of the results to report: AP@1000,nDCG@10. Default: the first.",
)
@click.option(
    "--pool/--no-pool",
    default=True,
    help="Measure language bias on pools (*-mul), which needs the task's data. Default: yes.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    help="Count documents ranked below it as not found in rank distances. "
    "Default: the length of the longest ranking.",
)
@options.data_dir
@options.tasks_dir
@options.formats("a result's disparity", "a number", "json", "csv")
def command(
    *,
    results: tuple[Path, ...],
    tiers: tuple[str, ...],
    measures: tuple[str, ...],
    pool: bool,
    depth: int | None,
    data_dir: Path | None,
    tasks_dir: Path | None,
    form: Format,
) -> None:
    """Measure how unequally systems serve languages.

    RESULTS are stored results. Reports the gap and ratio between resource tiers, the worst
    language, and the spread over languages; where queries were put to a pool of several
    languages also the max rank distance between the answers in different languages, the language
    preference of the first ten documents, and PEER. docs/disparity.md says what each means.
    """  # fmt: skip
    reports = measure_disparity(
        results,
        tiers=tiers,
        measures=measures,
        pool=pool,
        depth=depth,
        data_dir=data_dir,
        tasks_dir=tasks_dir,
    )
    if form == "json":
        echo("\n".join(json_line(as_record(report)) for report in reports))
    elif form == "csv":
        rows = [row for report in reports for row in as_rows(report)]
        show([Table(columns=[Column(name) for name in DisparityRow._fields], rows=rows)], form)
    else:
        show(disparity_tables(reports), form)
