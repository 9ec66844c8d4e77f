"""Measures the disparity of stored results in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clir_bench.analysis.disparity.loading import load_pool, pool_pairs
from clir_bench.analysis.disparity.pool import PoolDisparity, pool_disparity
from clir_bench.analysis.disparity.report import DisparityReport, report_of
from clir_bench.core.progress import Bar
from clir_bench.errors import MissingDataError, UsageError
from clir_bench.evaluation.selection import Names, one_folder, split_names
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores, shown_result
from clir_bench.tasks.languages import load_scheme, scheme_names
from clir_bench.tasks.measures import parse_measures


def measure_disparity(
    paths: Sequence[Path],
    *,
    tiers: Sequence[str] = (),
    measures: Names = None,
    pool: bool = True,
    depth: int | None = None,
    data_dir: Path | None = None,
    tasks_dir: Path | None = None,
) -> list[DisparityReport]:
    """Return how unequally each stored result serves languages, as `clir-bench disparity` does.

    Args:
        paths: Result files of tasks.
        tiers: Tier schemes by name or path; the three that come with clir-bench when empty.
        measures: Measures of the results to report; each result's first when None.
        pool: Whether to measure language bias on pools (*-mul), which needs the task's data.
        depth: Documents ranked below it count as not found in rank distances; the length of the
            longest ranking when None.
        data_dir: Folder of the one task's files; the usual places when None.
        tasks_dir: Folder of cards of your own.

    Raises:
        UnknownNameError: A tier scheme or measure does not exist.
        UsageError: A result is of a suite, has no pair that is done, or lacks a measure.
        ResultError: A result cannot be read.
        MissingDataError: The data of a pool is not there.
        DataError: The data or a run file is not what was scored.
    """
    schemes = [load_scheme(name) for name in tiers or scheme_names()]
    names = tuple(parse_measures(split_names(measures)))
    results = [(path, _read(path)) for path in paths]
    if pool:
        one_folder(data_dir, len({result.task.id for _, result in results if pool_pairs(result)}))
    reports = [
        report_of(
            result, read_scores(path, result), schemes, measures=names or result.task.measures[:1]
        )
        for path, result in results
    ]
    if not pool:
        return reports
    return [
        replace(report, pool=_bias(path, result, depth, data_dir, tasks_dir))
        for report, (path, result) in zip(reports, results, strict=True)
    ]


def _read(path: Path) -> Result:
    result = read_result(path)
    if not isinstance(result, Result):
        raise UsageError(f"{path}: a suite; name the results of its parts")
    return shown_result(result)


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
