"""`clir-bench disparity`: measures how unequally systems serve languages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from clir_bench.analysis.disparity.loading import load_pool, pool_pairs
from clir_bench.analysis.disparity.pool import PoolDisparity, pool_disparity
from clir_bench.analysis.disparity.report import (
    DisparityReport,
    DisparityRow,
    as_record,
    as_rows,
    report_of,
)
from clir_bench.cli import options
from clir_bench.cli.disparity_tables import disparity_tables
from clir_bench.cli.output import echo, show
from clir_bench.core.progress import Bar
from clir_bench.core.tables import Column, Format, Table, json_line
from clir_bench.errors import MissingDataError, UsageError
from clir_bench.evaluation.selection import one_folder, split_names
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores, shown_result
from clir_bench.tasks.languages import TierScheme, load_scheme, scheme_names
from clir_bench.tasks.measures import parse_measures

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
    schemes = [load_scheme(name) for name in tiers or scheme_names()]
    names = tuple(parse_measures(split_names(measures)))
    stored = [(path, _read(path)) for path in results]
    if pool:
        one_folder(data_dir, len({result.task.id for _, result in stored if pool_pairs(result)}))
    reports = [_report(path, result, schemes, names) for path, result in stored]
    if pool:
        reports = [
            replace(report, pool=_bias(path, result, depth, data_dir, tasks_dir))
            for report, (path, result) in zip(reports, stored, strict=True)
        ]
    if form == "json":
        echo("\n".join(json_line(as_record(report)) for report in reports))
    elif form == "csv":
        rows = [row for report in reports for row in as_rows(report)]
        show([Table(columns=[Column(name) for name in DisparityRow._fields], rows=rows)], form)
    else:
        show(disparity_tables(reports), form)


def _read(path: Path) -> Result:
    result = read_result(path)
    if not isinstance(result, Result):
        raise UsageError(f"{path}: a suite; name the results of its parts")
    return shown_result(result)


def _report(
    path: Path,
    result: Result,
    schemes: list[TierScheme],
    measures: tuple[str, ...],
) -> DisparityReport:
    chosen = measures or result.task.measures[:1]
    return report_of(result, read_scores(path, result), schemes, measures=chosen)


def _bias(
    path: Path, result: Result, depth: int | None, data_dir: Path | None, tasks_dir: Path | None
) -> PoolDisparity | None:
    if not pool_pairs(result):
        return None
    bar = Bar(f"{result.system.name} on {result.task.id}")
    try:
        pool = load_pool(path, result, data_dir=data_dir, tasks_dir=tasks_dir, progress=bar)
    except MissingDataError as error:
        raise MissingDataError(
            f"{path}: language bias on the pool needs the languages of its documents: {error} "
            "With --no-pool the rest is reported without them."
        ) from error
    finally:
        bar.end()
    return pool_disparity(pool, depth)
