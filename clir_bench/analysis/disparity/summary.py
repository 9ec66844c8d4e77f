"""Computes gap and ratio of tiers, worst language and spread over languages from per-query values.

docs/disparity.md has formulas and sources. Everything is computed from the languages' means x_1,
..., x_n (each over the language's pairs), so a language with many queries weighs no more than one
with few. Intervals use the bootstrap replicates of `metrics.means`, which draw the translations of
a question together. So the interval of a gap is correct when both tiers have the same questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from clir_bench.errors import UsageError
from clir_bench.metrics.means import N_RESAMPLES, Estimate, Summary, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.results.summary import is_pool
from clir_bench.tasks.languages import TIERS, TierScheme
from clir_bench.types import LanguagePair, Tier

_Replicates = NDArray[np.float64]


@dataclass(frozen=True)
class LanguageMean:
    """A language's mean score, over its pairs."""

    code: str
    tier: Tier
    pairs: tuple[str, ...]
    score: Estimate


@dataclass(frozen=True)
class TierMean:
    """A tier's mean score, over its languages."""

    tier: Tier
    languages: tuple[str, ...]
    score: Estimate


@dataclass(frozen=True)
class TierContrast:
    """Two tiers that both have languages.

    Attributes:
        upper: The higher-resourced tier.
        lower: The lower-resourced tier.
        gap: Upper minus lower; 0 is parity.
        ratio: Lower over upper; 1 is parity. None where a replicate's upper tier is 0.
    """

    upper: Tier
    lower: Tier
    gap: Estimate
    ratio: Estimate | None


@dataclass(frozen=True)
class Spread:
    """How much the languages' means differ, whatever their tier.

    Values are computed from the observed means. Intervals estimate the spread that would remain
    with an unlimited number of queries (see `_without_noise`): they contain 0 where the spread may
    be due to chance alone.

    Attributes:
        standard_deviation: Of the means, over n: these are all the languages, not a sample.
        range: Best language minus worst.
        variation: Coefficient of variation, standard deviation over mean; None where the mean of
            a replicate is not above 0.
        gini: Gini coefficient, 0 where all languages are equal; None as for `variation`.
    """

    standard_deviation: Estimate
    range: Estimate
    variation: Estimate | None
    gini: Estimate | None


@dataclass(frozen=True)
class Disparity:
    """How unequally one system serves the languages of some pairs, by one measure.

    Attributes:
        measure: ir-measures name.
        scheme: Name of the tier scheme.
        overall: Mean over languages.
        languages: By code, in the order of their tiers, then codes.
        tiers: Tiers with languages, the lower-resourced first, "unknown" last.
        contrasts: Every two of low, mid and high that have languages, the widest apart first.
        worst: Code of the language with the lowest mean.
        worst_share: Share of the replicates in which that language is the worst, (0, 1].
        spread: None for fewer than two languages.
    """

    measure: str
    scheme: str
    overall: Estimate
    languages: Mapping[str, LanguageMean]
    tiers: Mapping[Tier, TierMean]
    contrasts: tuple[TierContrast, ...]
    worst: str
    worst_share: float
    spread: Spread | None

    @property
    def gap(self) -> Estimate | None:
        """High tier minus low tier, None where one of them has no language."""
        contrast = self.contrast("high", "low")
        return contrast.gap if contrast else None

    @property
    def ratio(self) -> Estimate | None:
        """Low tier over high tier, None where one has no language or the high tier is 0."""
        contrast = self.contrast("high", "low")
        return contrast.ratio if contrast else None

    def contrast(self, upper: Tier, lower: Tier) -> TierContrast | None:
        """Return the contrast of two tiers, None where one of them has no language."""
        named = ((c.upper, c.lower) for c in self.contrasts)
        return next(
            (c for c, of in zip(self.contrasts, named, strict=True) if of == (upper, lower)), None
        )


def disparity_of(
    result: Result, scores: Mapping[LanguagePair, QueryScores], scheme: TierScheme
) -> dict[str, Disparity]:
    """Return the disparity of a stored result under a tier scheme, by measure; needs no data.

    Args:
        result: Says how intervals are drawn: parallel questions, replicates, seed.
        scores: Per-query values (`store.read_scores`) of all its pairs or, for a board, some of
            them: all with a pool of languages or all without (`apart` separates them).
        scheme: What decides a pair's language and tier.

    Raises:
        UsageError: There is no pair, or pairs with a pool and without are mixed.
    """
    return disparities(
        scores,
        scheme,
        parallel_queries=result.task.parallel_queries,
        n_resamples=result.settings.n_resamples,
        seed=result.settings.seed,
    )


def disparities(
    scores: Mapping[LanguagePair, QueryScores],
    scheme: TierScheme,
    *,
    parallel_queries: bool,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> dict[str, Disparity]:
    """Return the disparity of per-query values by measure, in the order of their measures.

    Args:
        scores: As for `disparity_of`.
        scheme: What decides a pair's language and tier.
        parallel_queries: Whether equal ids in two query languages are the same question.
        n_resamples: Bootstrap replicates.
        seed: Seed of the resampling.

    Raises:
        UsageError: There is no pair, or pairs with a pool and without are mixed.
    """
    check_unmixed(scores)
    summary = summarise(
        scores, scheme, parallel_queries=parallel_queries, n_resamples=n_resamples, seed=seed
    )
    return {measure: disparity_by(measure, summary, scheme) for measure in summary.overall}


def disparity_by(measure: str, summary: Summary, scheme: TierScheme) -> Disparity:
    """Return the disparity of values that were summed up under `scheme`.

    Args:
        measure: One of the summary's.
        summary: Means over pairs that passed `check_unmixed`.
        scheme: What decided the pairs' languages and tiers.
    """
    return _disparity(summary, scheme, measure, list(summary.overall).index(measure))


def check_unmixed(scores: Mapping[LanguagePair, QueryScores]) -> None:
    """Refuse pairs that have no common mean.

    Raises:
        UsageError: There is no pair, or pairs with a pool of languages and without are mixed.
    """
    if not scores:
        raise UsageError("no pair is scored: disparity needs at least one that is done")
    if len(apart(scores)) > 1:
        raise UsageError(
            "pairs with a pool of languages (en-mul) and without (en-sw) are never averaged; "
            "take them apart"
        )


def apart(
    scores: Mapping[LanguagePair, QueryScores],
) -> dict[str, dict[LanguagePair, QueryScores]]:
    """Return the values split into "pairs" and "pool" (such as `en-mul`), without empty parts."""
    found: dict[str, dict[LanguagePair, QueryScores]] = {}
    for pair in sorted(scores, key=is_pool):
        found.setdefault("pool" if is_pool(pair) else "pairs", {})[pair] = scores[pair]
    return found


def _disparity(summary: Summary, scheme: TierScheme, measure: str, column: int) -> Disparity:
    rows = {code: rows[:, column] for code, rows in summary.language_rows.items()}
    codes = sorted(rows, key=lambda code: (TIERS.index(summary.languages[code].tier), code))
    matrix = np.stack([rows[code] for code in codes])
    present = [tier for tier in TIERS if tier in summary.tiers]
    tier_rows = {
        tier: np.mean([rows[code] for code in summary.tiers[tier].members], axis=0)
        for tier in present
    }
    worst = summary.worst[measure]
    return Disparity(
        measure=measure,
        scheme=scheme.name,
        overall=summary.overall[measure],
        languages={
            code: LanguageMean(
                code,
                summary.languages[code].tier,
                summary.languages[code].members,
                summary.languages[code].scores[measure],
            )
            for code in codes
        },
        tiers={
            tier: TierMean(
                tier, tuple(sorted(summary.tiers[tier].members)), estimate(tier_rows[tier])
            )
            for tier in present
        },
        contrasts=_contrasts(tier_rows),
        worst=worst,
        worst_share=float(np.mean(rows[worst][1:] <= matrix[:, 1:].min(axis=0))),
        spread=_spread(matrix) if len(codes) > 1 else None,
    )


def _contrasts(rows: Mapping[Tier, _Replicates]) -> tuple[TierContrast, ...]:
    present = [tier for tier in TIERS if tier in rows and tier != "unknown"]
    pairs = sorted(
        combinations(present, 2), key=lambda pair: TIERS.index(pair[0]) - TIERS.index(pair[1])
    )
    return tuple(
        TierContrast(
            upper,
            lower,
            gap=estimate(rows[upper] - rows[lower]),
            ratio=_quotient(rows[lower], rows[upper]),
        )
        for lower, upper in pairs
    )


def _spread(matrix: _Replicates) -> Spread:
    """Return the spread of means, `(n_languages, 1 + n_resamples)`."""
    mean, deviation, kept = matrix.mean(axis=0), matrix.std(axis=0), _without_noise(matrix)
    return Spread(
        standard_deviation=estimate(kept * deviation),
        range=estimate(kept * (matrix.max(axis=0) - matrix.min(axis=0))),
        variation=_quotient(kept * deviation, mean),
        gini=_quotient(kept * _half_mean_difference(matrix), mean),
    )


def _without_noise(matrix: _Replicates) -> _Replicates:
    """Return the factors that remove the noise of resampling from each replicate's spread.

    Resampled means scatter more than the languages do: their variance over languages is the
    languages' own, plus v for the sample, plus v again for the replicate. v is the mean over
    replicates of the variance over languages of what a replicate adds to the observed means; a
    replicate whose variance is s^2 keeps sqrt(max(0, 1 - 2 v / s^2)) of its deviations. The
    observed spread, in the first column, is left as it is.
    """
    noise = float((matrix[:, 1:] - matrix[:, :1]).var(axis=0).mean())
    variance = matrix.var(axis=0)
    own = np.maximum(variance - 2 * noise, 0)
    kept: _Replicates = np.sqrt(np.divide(own, variance, out=np.zeros_like(own), where=own > 0))
    kept[0] = 1
    return kept


def _half_mean_difference(matrix: _Replicates) -> _Replicates:
    """Return half the mean absolute difference between any two languages, itself included.

    Over the mean this is the Gini coefficient, sum over i, j of |x_i - x_j| / (2 n^2 mean). With
    the means in rising order that sum is 2 sum over i of (2 i - n - 1) x_(i).
    """
    n = len(matrix)
    weights = 2 * np.arange(1, n + 1) - n - 1
    total: _Replicates = weights @ np.sort(matrix, axis=0) / n**2
    return total


def _quotient(numerator: _Replicates, denominator: _Replicates) -> Estimate | None:
    """Return the quotient where every replicate has a denominator above 0."""
    return estimate(numerator / denominator) if (denominator > 0).all() else None


def estimate(row: _Replicates) -> Estimate:
    """Return the row's first value (the observed one) and the percentile interval of the others."""
    low, high = np.percentile(row[1:], [2.5, 97.5])
    return Estimate(float(row[0]), float(low), float(high))
