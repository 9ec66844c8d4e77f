"""Keeps the best k documents of every query while blocks of documents are searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.errors import EncoderError
from clir_bench.search.ids import Ids
from clir_bench.types import Run

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
_MERGED_AT_ONCE = 2**18
"""Scores merged at once, some 40 bytes each."""
_MOST_UNUSED = 1.5
"""Unused ids are dropped when the table is this many times as large as needed."""


class TopK:
    """Merges the results of blocks into rankings in trec_eval's order.

    trec_eval ranks by score, descending, and breaks ties by document id, descending (`strcmp` in
    `form_res_rels`). The cut at k follows the same order, so ids, not the order of the corpus,
    decide a tie across rank k.

    Args:
        n_queries: Number of queries.
        k: Documents kept for each.
    """

    def __init__(self, n_queries: int, k: int) -> None:
        self.k = k
        self._scores: Scores = np.empty((n_queries, 0), dtype=np.float32)
        self._places: Rows = np.empty((n_queries, 0), dtype=np.int64)
        """Positions in `_ids`."""
        self._ids = Ids()

    @stage("search")
    def add(self, scores: Scores, rows: Rows, doc_ids: Sequence[str]) -> None:
        """Merge one block.

        Args:
            scores: float32 `(n_queries, n)`, in any order.
            rows: `(n_queries, n)`, the documents' positions within the block.
            doc_ids: Ids of the block's documents, indexed by `rows`.

        Raises:
            EncoderError: A score is not finite.
        """
        require_finite(scores)
        n_known, (n_queries, n_ranked) = len(self._ids), self._scores.shape
        width = min(self.k, n_ranked + scores.shape[1])
        if width > n_ranked:
            merged_scores = np.empty((n_queries, width), dtype=np.float32)
            merged_places = np.empty((n_queries, width), dtype=np.int64)
        else:  # in place
            merged_scores, merged_places = self._scores, self._places

        def names(places: Rows) -> list[str]:
            n = int(np.searchsorted(places, n_known))  # places rise
            new = (doc_ids[row] for row in (places[n:] - n_known).tolist())
            return [*self._ids.at(places[:n]), *new]

        step = max(1, _MERGED_AT_ONCE // max(1, n_ranked + scores.shape[1]))
        for first in range(0, n_queries, step):
            some = slice(first, first + step)
            new_scores, new_places = scores[some], rows[some]
            if n_ranked == self.k:
                new_scores, new_places = _not_below(new_scores, new_places, self._scores[some, -1:])
            all_scores = np.concatenate([self._scores[some], new_scores], axis=1)
            places = np.concatenate([self._places[some], new_places + n_known], axis=1)
            order = np.argsort(-all_scores, axis=1, kind="stable")
            all_scores = np.take_along_axis(all_scores, order, axis=1)
            places = np.take_along_axis(places, order, axis=1)
            break_ties(all_scores, places, names, n_ordered=n_known)
            merged_scores[some] = all_scores[:, :width]
            merged_places[some] = places[:, :width]
        self._scores, self._places = merged_scores, merged_places
        self._keep_ranked(doc_ids)

    def _keep_ranked(self, doc_ids: Sequence[str]) -> None:
        """Add a block's ranked ids to the table, and clear it when much of it is not used."""
        n_known = len(self._ids)
        kept = np.zeros(n_known + len(doc_ids), dtype=bool)
        kept[self._places] = True
        n_kept = int(kept.sum())
        new = np.flatnonzero(kept[n_known:])
        self._ids.append([doc_ids[row] for row in new.tolist()])
        if len(self._ids) <= _MOST_UNUSED * n_kept:
            kept[:n_known] = True
        moved = np.cumsum(kept) - 1
        for places in self._places:
            places[:] = moved[places]
        if len(self._ids) > _MOST_UNUSED * n_kept:
            kept_of_table = np.flatnonzero(kept[:n_known])
            added = np.arange(n_known, n_known + len(new))
            self._ids.keep(np.concatenate([kept_of_table, added]))

    def run(self, query_ids: Sequence[str]) -> Run:
        """Return the rankings; `query_ids` are in the order of the blocks' queries."""
        ranked = np.zeros(len(self._ids), dtype=bool)
        ranked[self._places] = True
        places = np.cumsum(ranked) - 1
        # Every id becomes one string, however many rankings hold it.
        ids = np.array(self._ids.at(np.flatnonzero(ranked)), dtype=object)
        doc_ids = tuple(tuple(ids[places[of_query]].tolist()) for of_query in self._places)
        return Run(tuple(query_ids), doc_ids, tuple(self._scores))


def require_finite(scores: Scores) -> None:
    """Refuse scores that cannot rank documents.

    Raises:
        EncoderError: A score is infinite or NaN.
    """
    if not np.isfinite(scores).all():
        raise EncoderError(
            f"{np.count_nonzero(~np.isfinite(scores)):,} of {scores.size:,} scores are not finite: "
            "the vectors' inner products leave float32's range; the encoder must scale its "
            "vectors, all by one factor"
        )


def _not_below(scores: Scores, rows: Rows, cut: Scores) -> tuple[Scores, Rows]:
    """Drop documents that score below the last of a full ranking: `cut`, `(n_queries, 1)`.

    The arrays stay as wide as the query with most remaining documents needs.
    """
    width = int((scores >= cut).sum(axis=1).max(initial=0))
    if width == scores.shape[1]:
        return scores, rows
    best = np.argpartition(-scores, max(width - 1, 0), axis=1)[:, :width]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)


def id_ranks(doc_ids: Sequence[str]) -> Rows:
    """Return each document's place, from 0, if ids stood in descending order; `(n_documents,)`."""
    ranks = np.empty(len(doc_ids), dtype=np.int64)
    ranks[sorted(range(len(doc_ids)), key=doc_ids.__getitem__, reverse=True)] = range(len(doc_ids))
    return ranks


def first_by_id(tied: Rows, ranks: Rows, n: int) -> Rows:
    """Return the `n` of the documents `tied` that come first by `ranks`, in that order."""
    if n < len(tied):
        tied = tied[np.argpartition(ranks[tied], n - 1)[:n]]
    return tied[np.argsort(ranks[tied])]


def best_of_block(scores: Scores, k: int, ranks: Rows) -> tuple[Scores, Rows]:
    """Return every query's best k documents of a block; ids decide a tie at the cut.

    Args:
        scores: `(n_queries, n_documents)`, all scores of the block.
        k: Documents wanted, at least 1.
        ranks: `id_ranks` of the block's documents.

    Returns:
        Scores and rows, both `(n_queries, min(k, n_documents))`, in no particular order.
    """
    n_queries, n_documents = scores.shape
    if n_documents <= k:
        return scores, np.broadcast_to(np.arange(n_documents, dtype=np.int64), scores.shape)
    rows = np.empty((n_queries, k), dtype=np.int64)
    for query, of_query in enumerate(scores):
        cut = np.partition(of_query, n_documents - k)[n_documents - k]
        above = np.flatnonzero(of_query > cut)
        tied = np.flatnonzero(of_query == cut)
        rows[query] = np.concatenate([above, first_by_id(tied, ranks, k - len(above))])
    return np.take_along_axis(scores, rows, axis=1), rows


def break_ties(
    scores: Scores, places: Rows, names: Callable[[Rows], Sequence[str]], n_ordered: int = 0
) -> None:
    """Order the places of equal scores by id, descending, in place.

    Args:
        scores: `(n_queries, n)`, never increasing.
        places: `(n_queries, n)`.
        names: Returns the ids at some rising places.
        n_ordered: Among places below this one, ties are broken already.
    """
    tied = scores[:, 1:] == scores[:, :-1]
    new = places >= n_ordered
    queries = np.flatnonzero((tied & (new[:, 1:] | new[:, :-1])).any(axis=1))
    if not len(queries):
        return
    in_tie = np.zeros((len(queries), scores.shape[1]), dtype=bool)
    in_tie[:, 1:] = tied[queries]
    in_tie[:, :-1] |= tied[queries]
    some = places[queries]
    # The same documents tie for many queries: ids are looked up and compared once.
    different, of_tied = np.unique(some[in_tie], return_inverse=True)
    ranks = np.zeros(some.shape, dtype=np.int64)
    ranks[in_tie] = id_ranks(names(different))[of_tied]
    order = np.lexsort((ranks, -scores[queries]), axis=1)
    places[queries] = np.take_along_axis(some, order, axis=1)
