"""Measures language bias in one ranking of documents in several languages.

It computes three measures from the literature for one query; `pool` averages them.
docs/disparity.md has formulas, sources and our choices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clir_bench.types import Qrel, Run


@dataclass(frozen=True)
class Ranking:
    """What the measures need from one query's ranking.

    Attributes:
        n_ranked: Documents in the ranking.
        first: Ids of the documents ranked first, as many as were kept.
        ranks: Rank, from 1, of every judged document that is in the ranking.
        relevance: Every judgment of the query by document id.
    """

    query_id: str
    n_ranked: int
    first: tuple[str, ...]
    ranks: Mapping[str, int]
    relevance: Mapping[str, int]


def rankings(run: Run, qrels: Iterable[Qrel], n_first: int) -> list[Ranking]:
    """Return the ranking of every judged query, by query id; empty where the query has no answer.

    Args:
        run: Rankings, best document first.
        qrels: Judgments; documents without one have relevance 0.
        n_first: How many of the first documents to keep.
    """
    relevance: dict[str, dict[str, int]] = {}
    for qrel in qrels:
        relevance.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
    ranked = dict(zip(run.query_ids, run.doc_ids, strict=True))
    found = []
    for query_id in sorted(relevance):
        doc_ids, judged = ranked.get(query_id, ()), relevance[query_id]
        ranks = {doc_id: rank for rank, doc_id in enumerate(doc_ids, 1) if doc_id in judged}
        found.append(Ranking(query_id, len(doc_ids), tuple(doc_ids[:n_first]), ranks, judged))
    return found


@dataclass(frozen=True)
class RankDistance:
    """How far apart a query's relevant documents in different languages are ranked.

    Attributes:
        capped: Greatest rank minus least. Documents below the depth count as ranked just below it;
            where none is found, the value is the depth.
        at_least: The least that the distance in a ranking of the whole pool can be.
        at_most: The most that it can be.
        n_languages: Languages with a relevant document.
        n_found: Languages with a relevant document within the depth.
    """

    capped: int
    at_least: int
    at_most: int
    n_languages: int
    n_found: int


def rank_distance(
    ranking: Ranking, languages: Mapping[str, str], *, depth: int, n_documents: int
) -> RankDistance | None:
    """Return the max rank distance, None where fewer than two languages have a relevant document.

    MRD = max over languages of r_l - min over languages of r_l, where r_l is the rank of the
    relevant document in language l, the first one where there are several (Huang et al.
    2023, arXiv 2305.09025; Elmahdy et al. 2024, arXiv 2408.10536). 0 is best only for a single
    language; n languages cannot be nearer than n - 1.

    Args:
        ranking: Of one query.
        languages: Document id to language.
        depth: Documents ranked below count as not found: we only know that they come later.
        n_documents: Size of the pool.
    """
    best: dict[str, float] = {}
    for doc_id, relevance in ranking.relevance.items():
        if relevance > 0:
            rank = ranking.ranks.get(doc_id, np.inf)
            language = languages[doc_id]
            best[language] = min(best.get(language, np.inf), rank)
    if len(best) < 2:
        return None
    found = [int(rank) for rank in best.values() if rank <= depth]
    n_missing = len(best) - len(found)
    n_seen = min(depth, ranking.n_ranked)
    if not found:
        return RankDistance(depth, n_missing - 1, n_documents - n_seen - 1, len(best), 0)
    if not n_missing:
        exact = max(found) - min(found)
        return RankDistance(exact, exact, exact, len(best), len(found))
    return RankDistance(
        capped=depth + 1 - min(found),
        at_least=n_seen + n_missing - min(found),
        at_most=n_documents - min(found),
        n_languages=len(best),
        n_found=len(found),
    )


def language_shares(
    ranking: Ranking, languages: Mapping[str, str], codes: Sequence[str], cutoff: int
) -> list[float] | None:
    """Return each language's share of the first `cutoff` documents, None without documents.

    Args:
        ranking: Of one query, with at least `cutoff` of its first documents kept.
        languages: Document id to language.
        codes: All languages of the pool; the shares are in their order and add up to 1.
        cutoff: Fewer documents are taken where the ranking is shorter.
    """
    first = ranking.first[:cutoff]
    if not first:
        return None
    counts = Counter(languages[doc_id] for doc_id in first)
    return [counts[code] / len(first) for code in codes]


@dataclass(frozen=True)
class Peer:
    """PEER of one query.

    Attributes:
        value: In [0, 1]; 1 where nothing tells the languages apart.
        informative: Whether some language has two documents of one relevance. Otherwise Kruskal and
            Wallis' H is the number of languages minus one in every ranking, and the value only
            tells whether any of the documents is among the first.
    """

    value: float
    informative: bool


def peer(
    ranking: Ranking, languages: Mapping[str, str], weights: Mapping[int, float], cutoff: int
) -> Peer | None:
    """Return the Probability of Equal Expected Rank, None where no weighted level has a document.

    PEER@X = sum over relevance levels of w_r p_r: p_r is the p-value of the Kruskal-Wallis test
    that the ranks of the documents of relevance r do not depend on their language (Yang et al.
    2024, arXiv 2405.00978). Documents of a relevance above 0 that are not among the first X are
    tied below all that are. A query's weights are scaled to add up to 1 over the levels it has.

    Args:
        ranking: Of one query, with at least `cutoff` of its first documents kept.
        languages: Document id to language.
        weights: Of relevance levels; levels left out have weight 0.
        cutoff: X.
    """
    first = ranking.first[:cutoff]
    groups: dict[int, dict[str, list[float]]] = {}

    def add(doc_id: str, level: int, rank: float) -> None:
        if weights.get(level, 0) > 0:
            by_language = groups.setdefault(level, {})
            by_language.setdefault(languages[doc_id], []).append(rank)

    for rank, doc_id in enumerate(first, 1):
        add(doc_id, ranking.relevance.get(doc_id, 0), rank)
    for doc_id, level in ranking.relevance.items():
        if level > 0 and ranking.ranks.get(doc_id, cutoff + 1) > len(first):
            add(doc_id, level, cutoff + 1)
    total = sum(weights[level] for level in groups)
    if not total:
        return None
    value = sum(
        weights[level] / total * equal_rank_probability(list(by_language.values()))
        for level, by_language in groups.items()
    )
    informative = any(
        len(by_language) > 1 and max(map(len, by_language.values())) > 1
        for by_language in groups.values()
    )
    return Peer(float(value), informative)


def equal_rank_probability(groups: Sequence[Sequence[float]]) -> float:
    """Return the p-value of the Kruskal-Wallis test (1952), 1 for one group or nothing but ties.

    Observations are ranked together, ties sharing their mean rank; with N of them in k groups,

        H = (N - 1) sum over groups of n_i (mean rank of i - (N + 1) / 2)^2
            / sum over observations of (rank - (N + 1) / 2)^2

    which is chi-squared with k - 1 degrees of freedom where no group differs. Dividing by the
    observed sum of squares is the correction for ties. `scipy.stats.kruskal` gives the same in many
    times the time, which matters: this runs once per query and level of relevance.

    >>> round(equal_rank_probability([[1, 2], [3, 4]]), 4)
    0.1213

    Args:
        groups: Observations of each group; only their order matters.
    """
    from scipy.special import chdtrc

    filled = [group for group in groups if group]
    if len(filled) < 2:
        return 1.0
    pooled = np.concatenate([np.asarray(group, dtype=np.float64) for group in filled])
    _, place, n_tied = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(n_tied) - (n_tied - 1) / 2)[place]
    deviations = ranks - (len(pooled) + 1) / 2
    within_all = float(deviations @ deviations)
    if within_all == 0:
        return 1.0
    parts = np.split(deviations, np.cumsum([len(group) for group in filled])[:-1])
    between = sum(float(part.sum()) ** 2 / len(part) for part in parts)
    return float(chdtrc(len(filled) - 1, (len(pooled) - 1) * between / within_all))
