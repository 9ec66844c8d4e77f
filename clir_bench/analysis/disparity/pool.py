"""Measures language bias over a pool: averages the measures of `ranking`, with intervals.

The value of a query language is the mean over its queries; the value of the pool is the mean over
query languages. Intervals draw the translations of one question together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clir_bench.analysis.disparity.ranking import Ranking, language_shares, peer, rank_distance
from clir_bench.analysis.disparity.summary import estimate
from clir_bench.errors import UsageError
from clir_bench.metrics.means import Estimate, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import SettingsRecord
from clir_bench.tasks.languages import TierScheme
from clir_bench.tasks.measures import EVERYTHING
from clir_bench.types import POOL, LanguagePair

TOP = 10
"""The language preference is that of the first ten documents."""
PEER_CUTOFF = 20
KEPT = max(TOP, PEER_CUTOFF)
"""How many of a ranking's first documents are needed."""

_NO_TIERS = TierScheme(name="none", note="", assigned={})
_Rows = NDArray[np.float64]


@dataclass(frozen=True)
class LanguagePool:
    """Rankings of one pool of documents.

    Attributes:
        sizes: Documents by language.
        languages: Document id to language, for all documents ranked or judged.
        rankings: By query language; one per judged query.
        parallel_queries: Whether equal ids in two query languages are the same question.
        settings: Seed and size of the bootstrap.
        reach: How deep measures may look into the rankings (`schema.Result.reach`).
    """

    sizes: Mapping[str, int]
    languages: Mapping[str, str]
    rankings: Mapping[str, Sequence[Ranking]]
    parallel_queries: bool
    settings: SettingsRecord
    reach: int = EVERYTHING

    @property
    def n_documents(self) -> int:
        """Size of the pool."""
        return sum(self.sizes.values())

    @property
    def depth(self) -> int:
        """Length of the longest ranking."""
        return max(ranking.n_ranked for some in self.rankings.values() for ranking in some)


@dataclass(frozen=True)
class PoolMeasure:
    """One measure by query language, and the mean over query languages."""

    languages: Mapping[str, Estimate]
    overall: Estimate


@dataclass(frozen=True)
class RankDistances:
    """Max rank distance, MRD.

    Attributes:
        capped: MRD@depth.
        at_least: The least that MRD over the whole pool can be, given the rankings.
        at_most: The most that it can be.
        all_found: Share of queries with every language found within the depth: their value is the
            MRD over the whole pool.
        none_found: Share of queries with nothing found: their value counts as the depth.
    """

    capped: PoolMeasure
    at_least: PoolMeasure
    at_most: PoolMeasure
    all_found: PoolMeasure
    none_found: PoolMeasure


@dataclass(frozen=True)
class LanguagePreference:
    """How often documents of one language are among the first ten.

    Attributes:
        pool_share: The language's share of the pool.
        top_share: Its mean share of the first ten, over query languages.
        preference: `top_share` over `pool_share`; 1 is neutral.
        elsewhere: `preference` over queries in other languages; None where there are none.
    """

    pool_share: float
    top_share: Estimate
    preference: Estimate
    elsewhere: Estimate | None


@dataclass(frozen=True)
class Preferences:
    """Language preference of the first ten documents against the pool's shares.

    Attributes:
        languages: By document language.
        own: Preference for the query's language; query languages without documents are left out.
        distance: Total variation distance of the first ten's shares from the pool's, in [0, 1].
        shares: Query language to document language to share of the first ten.
    """

    languages: Mapping[str, LanguagePreference]
    own: PoolMeasure | None
    distance: PoolMeasure
    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class EqualRanks:
    """PEER, the Probability of Equal Expected Rank.

    Attributes:
        value: PEER@20.
        informative: Share of queries whose value depends on how their documents are ranked.
        weights: By relevance level.
    """

    value: PoolMeasure
    informative: float
    weights: Mapping[int, float]


@dataclass(frozen=True)
class PoolDisparity:
    """Language bias of one system on one pool.

    Attributes:
        n_documents: Size of the pool.
        depth: Documents ranked below count as not found in `rank_distance`.
        top: Number of first documents behind `preferences`: `TOP`, or all where rankings are
            shorter.
        peer_cutoff: Number of first documents behind `peer`: `PEER_CUTOFF`, likewise.
        rank_distance: None where no query has relevant documents in two languages.
        preferences: None where no query has an answer.
        peer: None where no query has a relevant document.
    """

    n_documents: int
    depth: int
    top: int
    peer_cutoff: int
    query_languages: tuple[str, ...]
    rank_distance: RankDistances | None
    preferences: Preferences | None
    peer: EqualRanks | None


def pool_disparity(pool: LanguagePool, depth: int | None = None) -> PoolDisparity:
    """Return the language bias of the rankings of a pool.

    Args:
        pool: Rankings, and the language of what they rank.
        depth: Documents ranked below it count as not found; the longest ranking's length when None.

    Raises:
        UsageError: Rankings are cut above `depth`.
    """
    if depth is not None and depth > pool.reach:
        raise UsageError(
            f"--depth {depth}: rankings hold {pool.reach:,} documents per query, and where the "
            f"others are is not known; take at most {pool.reach}, or rank more (--top-k)"
        )
    depth = depth or pool.depth
    top, peer_cutoff = min(TOP, pool.reach), min(PEER_CUTOFF, pool.reach)
    return PoolDisparity(
        n_documents=pool.n_documents,
        depth=depth,
        top=top,
        peer_cutoff=peer_cutoff,
        query_languages=tuple(pool.rankings),
        rank_distance=_rank_distances(pool, depth),
        preferences=_preferences(pool, top),
        peer=_equal_ranks(pool, peer_cutoff),
    )


def _rank_distances(pool: LanguagePool, depth: int) -> RankDistances | None:
    def values(ranking: Ranking) -> Sequence[float] | None:
        found = rank_distance(ranking, pool.languages, depth=depth, n_documents=pool.n_documents)
        if found is None:
            return None
        complete = found.n_found == found.n_languages
        return found.capped, found.at_least, found.at_most, complete, not found.n_found

    rows = _replicates(pool, values)
    return RankDistances(*(_measure(rows, column) for column in range(5))) if rows else None


def _preferences(pool: LanguagePool, top: int) -> Preferences | None:
    codes = sorted(pool.sizes)
    rows = _replicates(
        pool, lambda ranking: language_shares(ranking, pool.languages, codes, cutoff=top)
    )
    if not rows:
        return None
    of_pool = np.array([pool.sizes[code] for code in codes]) / pool.n_documents
    distances = {query: np.abs(row - of_pool).sum(axis=1) / 2 for query, row in rows.items()}
    own = {
        query: row[:, codes.index(query)] / of_pool[codes.index(query)]
        for query, row in rows.items()
        if query in codes
    }
    return Preferences(
        languages={
            code: _language_preference(rows, code, column, float(of_pool[column]))
            for column, code in enumerate(codes)
        },
        own=_over_languages(own) if own else None,
        distance=_over_languages(distances),
        shares={
            query: dict(zip(codes, row[0].tolist(), strict=True)) for query, row in rows.items()
        },
    )


def _language_preference(
    rows: Mapping[str, _Rows], code: str, column: int, pool_share: float
) -> LanguagePreference:
    everywhere = np.mean([row[:, column] for row in rows.values()], axis=0)
    others = [row[:, column] for query, row in rows.items() if query != code]
    return LanguagePreference(
        pool_share=pool_share,
        top_share=estimate(everywhere),
        preference=estimate(everywhere / pool_share),
        elsewhere=estimate(np.mean(others, axis=0) / pool_share) if others else None,
    )


def _equal_ranks(pool: LanguagePool, cutoff: int) -> EqualRanks | None:
    levels = Counter(
        level
        for some in pool.rankings.values()
        for ranking in some
        for level in ranking.relevance.values()
        if level > 0
    )
    weights = {level: 1 / len(levels) for level in sorted(levels)}

    def values(ranking: Ranking) -> Sequence[float] | None:
        found = peer(ranking, pool.languages, weights, cutoff)
        return None if found is None else (found.value, found.informative)

    rows = _replicates(pool, values)
    if not rows:
        return None
    informative = _measure(rows, 1).overall.mean
    return EqualRanks(_measure(rows, 0), informative, weights)


def _replicates(
    pool: LanguagePool, values: Callable[[Ranking], Sequence[float] | None]
) -> dict[str, _Rows]:
    """Return the means over queries that have values by query language, row 0, and replicates.

    Each is `(1 + n_resamples, n_values)`; query languages without any such query are left out.
    """
    scores: dict[LanguagePair, QueryScores] = {}
    for query, some in pool.rankings.items():
        known = [(r.query_id, found) for r in some if (found := values(r)) is not None]
        if known:
            table = np.array([found for _, found in known], dtype=np.float64)
            names = tuple(map(str, range(table.shape[1])))
            query_ids = tuple(query_id for query_id, _ in known)
            scores[LanguagePair(query, POOL)] = QueryScores(query_ids, names, table)
    if not scores:
        return {}
    summary = summarise(
        scores,
        _NO_TIERS,
        parallel_queries=pool.parallel_queries,
        n_resamples=pool.settings.n_resamples,
        seed=pool.settings.seed,
    )
    return dict(summary.language_rows)


def _measure(rows: Mapping[str, _Rows], column: int) -> PoolMeasure:
    return _over_languages({query: row[:, column] for query, row in rows.items()})


def _over_languages(rows: Mapping[str, _Rows]) -> PoolMeasure:
    return PoolMeasure(
        {query: estimate(row) for query, row in rows.items()},
        estimate(np.mean(list(rows.values()), axis=0)),
    )
