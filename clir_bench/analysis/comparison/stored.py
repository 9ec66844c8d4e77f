"""Compares stored results in one call; this is `clir_bench.compare`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from clir_bench.analysis.comparison.groups import ALPHA
from clir_bench.analysis.comparison.paired import Settings
from clir_bench.analysis.comparison.report import Comparison, Selection, compare
from clir_bench.analysis.comparison.systems import find_systems, put_first
from clir_bench.evaluation.selection import Names, split_names
from clir_bench.results.views import EvaluationResult, EvaluationResults
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.measures import parse_measures

Stored = EvaluationResult | EvaluationResults | str | Path
logger = logging.getLogger(__name__)
_DEFAULTS = Settings()


def compare_results(
    *results: Stored,
    baseline: str | None = None,
    tasks: Names = None,
    pairs: Names = None,
    measures: Names = None,
    tiers: str = "joshi",
    common_pairs: bool = False,
    alpha: float = ALPHA,
    settings: Settings = _DEFAULTS,
) -> Comparison:
    """Test which differences between systems are significant, as `clir-bench compare` does.

    Args:
        results: Results of two or more systems: what `evaluate` or `load_results` returned, result
            files, or folders in which all results are taken.
        baseline: The system that the others are compared with; the first when None.
        tasks: Only these tasks.
        pairs: Only these pairs: ["en-sw", "*-mul"].
        measures: Compare by these; by each task's primary measure when None.
        tiers: Name of a tier scheme, or a path to one.
        common_pairs: Where systems have different pairs, compare those that all have.
        alpha: Corrected p-values up to this tell systems apart.
        settings: Size and seed of the resampling.

    Returns:
        The comparison. Results that cannot be compared are named in `refused`, and logged.

    Raises:
        UsageError: There are no two systems.
        ResultError: No results can be compared; says why.
        DataError: A file of per-query values is missing or broken.
    """
    rules = split_names(pairs)
    comparison = compare(
        put_first(find_systems([path for stored in results for path in _paths(stored)]), baseline),
        scheme=load_scheme(tiers),
        settings=settings,
        alpha=alpha,
        selection=Selection(
            tasks=split_names(tasks),
            measures=tuple(parse_measures(split_names(measures))),
            pairs=() if rules == ("all",) else rules,
            common_pairs=common_pairs,
        ),
    )
    for refusal in comparison.refused:
        logger.warning("refused: %s", refusal)
    return comparison


def _paths(stored: Stored) -> Iterator[Path]:
    if isinstance(stored, str | Path):
        yield Path(stored)
    elif isinstance(stored, EvaluationResult):
        yield from (task.path for task in stored.tasks)
    else:
        yield from (task.path for result in stored for task in result.tasks)
