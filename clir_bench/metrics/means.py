"""Computes means over pairs, languages and tiers, and their bootstrap intervals.

A pair's score is the mean over its judged queries. A language's is the mean over its pairs, a
tier's the mean over its languages, and the overall score the mean over all languages. Queries are
never pooled, so a language with many queries weighs no more than one with few.

Intervals are percentile bootstrap intervals (Efron 1979; Sakai 2006 for retrieval) over query ids.
A query id drawn twice counts twice in every pair that has it. So translations of one question stay
together, and the interval includes the correlation between them. Ids are drawn within groups that
occur in the same pairs, so every pair keeps its number of queries.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clir_bench.metrics.scoring import QueryScores
from clir_bench.tasks.languages import TierScheme, pair_language, pair_tier
from clir_bench.types import LanguagePair, Tier

N_RESAMPLES = 1000
_CHUNK = 100
_Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference or ratio of means, and its 95% interval."""

    mean: float
    low: float
    high: float


class QuestionGroup(NamedTuple):
    """Questions that occur in the same pairs; a draw takes a question in all of them at once.

    Attributes:
        pairs: The pairs they occur in.
        keys: The questions' keys, sorted; `(n_questions,)`.
        rows: Where each question stands in each pair's `query_ids`, `(n_questions, n_pairs)`.
    """

    pairs: tuple[LanguagePair, ...]
    keys: tuple[str, ...]
    rows: NDArray[np.intp]

    def generator(self, seed: int) -> np.random.Generator:
        """Return the random generator for draws of these questions.

        It is seeded by the ids, so the draws do not depend on what else was run.
        """
        return np.random.default_rng([seed, zlib.crc32("\n".join(self.keys).encode())])


@dataclass(frozen=True)
class GroupMeans:
    """Scores of a language or a tier, by measure.

    Attributes:
        tier: The tier of a language; of a tier, itself.
        members: The pairs of a language, or the languages of a tier.
    """

    tier: Tier
    members: tuple[str, ...]
    scores: Mapping[str, Estimate]


@dataclass(frozen=True)
class Summary:
    """Everything in a task's result beyond its pairs.

    Attributes:
        gap: High tier minus low tier, by measure; empty when a tier has no language.
        ratio: Low tier over high tier, 1 at parity; measures whose high tier is 0 are left out.
        worst: Language with the lowest mean, by measure.
        language_rows: Each language's means, `(1 + n_resamples, n_measures)`: the observed ones,
            then their replicates, drawn together for all languages.
        overall_rows: The same for `overall`.
    """

    pairs: Mapping[LanguagePair, Mapping[str, Estimate]]
    languages: Mapping[str, GroupMeans]
    tiers: Mapping[str, GroupMeans]
    overall: Mapping[str, Estimate]
    gap: Mapping[str, Estimate]
    ratio: Mapping[str, Estimate]
    worst: Mapping[str, str]
    language_rows: Mapping[str, NDArray[np.float64]] = field(compare=False, repr=False)
    overall_rows: NDArray[np.float64] = field(compare=False, repr=False)


def summarise(
    scores: Mapping[LanguagePair, QueryScores],
    scheme: TierScheme,
    *,
    parallel_queries: bool,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Summary:
    """Return all means and intervals of one task.

    Args:
        scores: Per-query values by pair, all of the same measures; at least one pair.
        scheme: What decides a pair's tier and language.
        parallel_queries: Whether equal ids in two query languages are the same question.
        n_resamples: Bootstrap replicates.
        seed: Seed of the resampling.
    """
    measures = next(iter(scores.values())).measures
    pair_rows = _pair_rows(scores, parallel_queries, n_resamples, seed)
    of_language: dict[str, list[LanguagePair]] = {}
    for pair in scores:
        of_language.setdefault(pair_language(pair, scheme), []).append(pair)
    tier_of = {language: pair_tier(pairs[0], scheme) for language, pairs in of_language.items()}
    language_rows = {
        language: _mean([pair_rows[pair] for pair in pairs])
        for language, pairs in of_language.items()
    }
    of_tier = {
        tier: tuple(language for language in of_language if tier_of[language] == tier)
        for tier in sorted(set(tier_of.values()))
    }
    tier_rows = {
        tier: _mean([language_rows[language] for language in languages])
        for tier, languages in of_tier.items()
    }
    overall_rows = _mean(list(language_rows.values()))
    low, high = tier_rows.get("low"), tier_rows.get("high")
    return Summary(
        pairs={pair: _estimates(rows, measures) for pair, rows in pair_rows.items()},
        languages={
            language: GroupMeans(
                tier_of[language], tuple(map(str, pairs)), _estimates(rows, measures)
            )
            for (language, pairs), rows in zip(
                of_language.items(), language_rows.values(), strict=True
            )
        },
        tiers={
            tier: GroupMeans(tier, of_tier[tier], _estimates(rows, measures))
            for tier, rows in tier_rows.items()
        },
        overall=_estimates(overall_rows, measures),
        gap={} if low is None or high is None else _estimates(high - low, measures),
        ratio={} if low is None or high is None else _ratio(low, high, measures),
        worst=_worst(language_rows, measures),
        language_rows=language_rows,
        overall_rows=overall_rows,
    )


def question_groups(
    scores: Mapping[LanguagePair, QueryScores], parallel: bool
) -> list[QuestionGroup]:
    """Return the questions of a task, grouped by the pairs they occur in.

    Args:
        scores: Per-query values by pair; only the query ids matter.
        parallel: Whether equal ids in two query languages are the same question; in one language
            they always are.
    """
    ids = tuple((pair, pair_scores.query_ids) for pair, pair_scores in scores.items())
    return list(_question_groups(ids, parallel))


@lru_cache(maxsize=2)  # systems on one board, and two that are compared, answer the same queries
def _question_groups(
    ids: tuple[tuple[LanguagePair, tuple[str, ...]], ...], parallel: bool
) -> tuple[QuestionGroup, ...]:
    where: dict[str, list[tuple[LanguagePair, int]]] = {}
    for pair, query_ids in ids:
        for row, query_id in enumerate(query_ids):
            key = query_id if parallel else f"{pair.query}\t{query_id}"
            where.setdefault(key, []).append((pair, row))
    groups: dict[tuple[LanguagePair, ...], list[str]] = {}
    for key, places in where.items():
        groups.setdefault(tuple(pair for pair, _ in places), []).append(key)
    found = []
    for pairs, keys in groups.items():
        keys.sort()
        rows = np.array([[row for _, row in where[key]] for key in keys], dtype=np.intp)
        rows.flags.writeable = False
        found.append(QuestionGroup(pairs, tuple(keys), rows))
    return tuple(found)


def mean_of_tasks(parts: Sequence[tuple[Summary, str]]) -> Estimate:
    """Return the mean of several tasks' overall scores, each by its own measure.

    Tasks are resampled independently, even if they ask the same questions.

    Args:
        parts: Every task's summary and the measure that stands for it, one of the summary's; all
            of equally many replicates.
    """
    rows = [summary.overall_rows[:, [list(summary.overall).index(m)]] for summary, m in parts]
    return _estimates(_mean(rows), ("mean",))["mean"]


def _pair_rows(
    scores: Mapping[LanguagePair, QueryScores], parallel: bool, n_resamples: int, seed: int
) -> dict[LanguagePair, _Samples]:
    """Return each pair's observed means, row 0, and their replicates: one arithmetic for both."""
    samples = _bootstrap(scores, parallel, n_resamples, seed)
    return {
        pair: np.vstack([list(pair_scores.means().values()), samples[pair]])
        for pair, pair_scores in scores.items()
    }


def _worst(rows: Mapping[str, _Samples], measures: Sequence[str]) -> dict[str, str]:
    """Return the language with the lowest observed mean, by measure."""
    means = {language: of_language[0].tolist() for language, of_language in rows.items()}
    return {
        measure: min(means, key=lambda language: (means[language][column], language))
        for column, measure in enumerate(measures)
    }


def _bootstrap(
    scores: Mapping[LanguagePair, QueryScores], parallel: bool, n_resamples: int, seed: int
) -> dict[LanguagePair, _Samples]:
    """Return each pair's replicated means, `(n_resamples, n_measures)`."""
    sums = {
        pair: np.zeros((n_resamples, len(pair_scores.measures)))
        for pair, pair_scores in scores.items()
    }
    for group in question_groups(scores, parallel):
        generator = group.generator(seed)
        for first in range(0, n_resamples, _CHUNK):
            size = min(_CHUNK, n_resamples - first)
            counts = _draw(generator, size, len(group.keys))
            for column, pair in enumerate(group.pairs):
                values = scores[pair].values[group.rows[:, column]]
                sums[pair][first : first + size] += counts @ values
    return {pair: sums[pair] / len(scores[pair].query_ids) for pair in scores}


def _draw(generator: np.random.Generator, size: int, n: int) -> _Samples:
    """Return how often each of `n` ids is drawn in `n` draws with replacement, `(size, n)`."""
    drawn = generator.integers(n, size=(size, n))
    flat = drawn + np.arange(size)[:, None] * n
    return np.bincount(flat.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _mean(rows: Sequence[_Samples]) -> _Samples:
    mean: _Samples = np.mean(np.stack(rows), axis=0)
    return mean


def _estimates(rows: _Samples, measures: Sequence[str]) -> dict[str, Estimate]:
    low, high = np.percentile(rows[1:], [2.5, 97.5], axis=0)
    return {
        measure: Estimate(float(rows[0, column]), float(low[column]), float(high[column]))
        for column, measure in enumerate(measures)
    }


def _ratio(low: _Samples, high: _Samples, measures: Sequence[str]) -> dict[str, Estimate]:
    """Return low over high where every replicate has a high tier above 0."""
    positive = [column for column in range(len(measures)) if (high[:, column] > 0).all()]
    if not positive:
        return {}
    return _estimates(low[:, positive] / high[:, positive], [measures[c] for c in positive])
