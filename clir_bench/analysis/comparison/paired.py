"""Compares two systems on one task: difference of every mean, interval, p-value and effect size.

Differences are system minus baseline, question by question. `means.summarise` gets them in place of
scores and returns their means and 95% bootstrap intervals; `significance.flip_test` returns the
p-values. Both draw the translations of one question together.

The test of the gap (high tier minus low tier) needs one more step. If a system is better than the
baseline by the same amount in both tiers, the gaps are equal. If every question is asked in every
pair, this common amount cancels within each question. If the tiers have different questions, it
does not cancel, and the test would take it for chance. In that case, the common amount and the
differences between the pairs of a tier are removed before the test. A difference d in a pair with n
questions and mean m becomes

    (d - m) sqrt(n / (n - 1)) + t / 2    in the high tier, - t / 2 in the low tier

where t is the difference of the gaps. This does not change t itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clir_bench.analysis.comparison.groups import Scores, check_same_queries, columns_of
from clir_bench.analysis.comparison.targets import Target, targets_of
from clir_bench.metrics.means import Estimate, QuestionGroup, Summary, question_groups, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.metrics.significance import N_FLIPS, Block, FlipTest, flip_test
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair

N_RESAMPLES = 2000
_EQUAL = 1e-12
"""Values closer than this are a tie."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How differences are tested.

    Attributes:
        n_flips: Sign vectors of the randomization test.
        n_resamples: Replicates of the bootstrap.
        seed: Seed of both.
    """

    n_flips: int = N_FLIPS
    n_resamples: int = N_RESAMPLES
    seed: int = 0


@dataclass(frozen=True)
class Counts:
    """Number of queries in which the system's value is higher, equal and lower."""

    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Difference:
    """One mean of a system, compared with the baseline's.

    Attributes:
        target: Which mean.
        baseline: The baseline's mean (for a gap: its gap).
        system: The system's.
        difference: System minus baseline, with its 95% interval.
        effect_size: The difference over the standard deviation of the per-query differences; over
            several pairs, over the root of their mean variance, weighted as the pairs are. None
            where a pair has one query, or all differences are equal.
        p_value: Two-sided, of the paired randomization test.
        exact: Whether all ways to flip the signs were counted.
        counts: Over the queries of the target's pairs; None for a gap.
    """

    target: Target
    baseline: float
    system: float
    difference: Estimate
    effect_size: float | None
    p_value: float
    exact: bool
    counts: Counts | None


def paired_differences(
    baseline: Scores,
    system: Scores,
    measure: str,
    *,
    scheme: TierScheme,
    parallel_queries: bool,
    settings: Settings,
) -> list[Difference]:
    """Return the difference of every mean of a task.

    Args:
        baseline: Per-query values by pair; pass pools of languages in a call of their own.
        system: The same for the system, over the same queries.
        measure: What to compare by.
        scheme: What decides a pair's tier and language.
        parallel_queries: Whether equal ids in two query languages are the same question.
        settings: Size and seed of the resampling.

    Raises:
        DataError: The two have different pairs or queries, or lack the measure.
    """
    check_same_queries("the baseline", baseline, "the system", system)
    mine, theirs = columns_of(baseline, measure), columns_of(system, measure)
    columns = {pair: theirs[pair] - mine[pair] for pair in mine}
    differences = {
        pair: QueryScores(baseline[pair].query_ids, (measure,), column[:, None])
        for pair, column in columns.items()
    }
    summary = summarise(
        differences,
        scheme,
        parallel_queries=parallel_queries,
        n_resamples=settings.n_resamples,
        seed=settings.seed,
    )
    pairs = list(differences)
    targets, weights = targets_of(pairs, scheme)
    groups = question_groups(differences, parallel_queries)
    test = _test(columns, groups, targets, weights, settings)
    sizes = _effect_sizes(columns, weights)
    counts = _counts(columns, weights)
    means = [_means(values, pairs) @ weights for values in (mine, theirs)]
    return [
        Difference(
            target=target,
            baseline=float(means[0][number]),
            system=float(means[1][number]),
            difference=_estimate(summary, target, measure),
            effect_size=sizes[number],
            p_value=float(test.p_values[number]),
            exact=bool(test.exact[number]),
            counts=None if target.level == "gap" else counts[number],
        )
        for number, target in enumerate(targets)
    ]


def _test(
    columns: Mapping[LanguagePair, _Floats],
    groups: Sequence[QuestionGroup],
    targets: Sequence[Target],
    weights: _Floats,
    settings: Settings,
) -> FlipTest:
    """Test all targets at once: one column per pair, and one more for the gap."""
    pairs = list(columns)
    place = {pair: number for number, pair in enumerate(pairs)}
    is_gap = np.array([target.level == "gap" for target in targets])
    gap_weights = weights[:, is_gap].sum(axis=1)
    gap_columns = columns if len(groups) == 1 else _without_common(columns, gap_weights)
    blocks = []
    for group in groups:
        values = np.zeros((len(group.keys), len(group.pairs) + 1))
        for number, pair in enumerate(group.pairs):
            rows, n_queries = group.rows[:, number], len(columns[pair])
            values[:, number] = columns[pair][rows] / n_queries
            values[:, -1] += gap_weights[place[pair]] * gap_columns[pair][rows] / n_queries
        touched = np.array([*(place[pair] for pair in group.pairs), len(pairs)])
        blocks.append(Block(touched, values, group.generator(settings.seed)))
    combined = np.vstack([np.where(is_gap, 0.0, weights), is_gap.astype(np.float64)])
    return flip_test(blocks, combined, n_flips=settings.n_flips)


def _without_common(
    columns: Mapping[LanguagePair, _Floats], gap_weights: _Floats
) -> dict[LanguagePair, _Floats]:
    """Return the differences reduced to the part that affects the gap."""
    means = _means(columns, list(columns))
    half = float(means @ gap_weights) / 2
    found = {}
    for (pair, values), mean, weight in zip(columns.items(), means, gap_weights, strict=True):
        n_queries = len(values)
        # Deviations from their own mean vary a little less than those from the true one.
        scale = math.sqrt(n_queries / max(n_queries - 1, 1))
        found[pair] = (values - mean) * scale + half * np.sign(weight)
    return found


def _means(columns: Mapping[LanguagePair, _Floats], pairs: Sequence[LanguagePair]) -> _Floats:
    return np.array([math.fsum(columns[pair].tolist()) / len(columns[pair]) for pair in pairs])


def _effect_sizes(columns: Mapping[LanguagePair, _Floats], weights: _Floats) -> list[float | None]:
    """Return the standardised difference of every target, None where it is undefined."""
    variances = np.array(
        [values.var(ddof=1) if len(values) > 1 else math.nan for values in columns.values()]
    )
    differences = _means(columns, list(columns)) @ weights
    sizes: list[float | None] = []
    for difference, of_target in zip(differences.tolist(), weights.T, strict=True):
        used = of_target != 0
        shares = np.abs(of_target[used])
        spread = math.sqrt(float(variances[used] @ shares / shares.sum()))
        sizes.append(difference / spread if spread > _EQUAL else None)
    return sizes


def _counts(columns: Mapping[LanguagePair, _Floats], weights: _Floats) -> list[Counts]:
    by_pair = np.array(
        [
            [(values > _EQUAL).sum(), (np.abs(values) <= _EQUAL).sum(), (values < -_EQUAL).sum()]
            for values in columns.values()
        ]
    )
    totals = (weights != 0).T.astype(np.int64) @ by_pair
    return [Counts(*row) for row in totals.tolist()]


def _estimate(summary: Summary, target: Target, measure: str) -> Estimate:
    if target.level == "pair":
        return summary.pairs[LanguagePair.parse(target.name)][measure]
    if target.level == "language":
        return summary.languages[target.name].scores[measure]
    if target.level == "tier":
        return summary.tiers[target.name].scores[measure]
    return (summary.gap if target.level == "gap" else summary.overall)[measure]
