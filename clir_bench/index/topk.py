"""The best k documents of every query over all blocks seen so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clir_bench.profiling import stage
from clir_bench.types import Run

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]


class TopK:
    """Merges the results of blocks into rankings in trec_eval's order.

    trec_eval ranks by score, descending, and breaks ties by document id, descending (`strcmp` in
    `form_res_rels`). The cut at k follows the same order, so a tie that straddles rank k is
    decided by id and not by the order of the corpus.

    Args:
        n_queries: Number of queries.
        k: Documents kept for each.
    """

    def __init__(self, n_queries: int, k: int) -> None:
        self.k = k
        self._scores: Scores = np.empty((n_queries, 0), dtype=np.float32)
        self._ids: NDArray[Any] = np.empty(0, dtype=object)
        """Of the documents that are in some ranking; `_places` are positions in it."""
        self._places: Rows = np.empty((n_queries, 0), dtype=np.int64)

    @stage("search")
    def add(self, scores: Scores, rows: Rows, doc_ids: Sequence[str]) -> None:
        """Merge one block.

        Args:
            scores: float32 `(n_queries, n)`, in any order.
            rows: `(n_queries, n)`, the documents' positions within the block.
            doc_ids: Ids of the block's documents, indexed by `rows`.
        """
        ids = np.concatenate([self._ids, np.array(doc_ids, dtype=object)])
        all_scores = np.concatenate([self._scores, scores], axis=1)
        places = np.concatenate([self._places, rows + len(self._ids)], axis=1)
        order = np.argsort(-all_scores, axis=1, kind="stable")
        all_scores = np.take_along_axis(all_scores, order, axis=1)
        places = np.take_along_axis(places, order, axis=1)
        break_ties(all_scores, places, ids)
        self._scores = all_scores[:, : self.k].copy()
        kept = np.zeros(len(ids), dtype=bool)
        kept[places[:, : self.k]] = True
        self._ids = ids[kept]
        self._places = (np.cumsum(kept) - 1)[places[:, : self.k]]

    def run(self, query_ids: Sequence[str]) -> Run:
        """Return the rankings; `query_ids` are in the order of the blocks' queries."""
        doc_ids = tuple(tuple(self._ids[places].tolist()) for places in self._places)
        return Run(tuple(query_ids), doc_ids, tuple(self._scores))


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
    """Return every query's best k documents of a block, a tie at the cut decided by id.

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


def break_ties(scores: Scores, places: Rows, ids: NDArray[Any]) -> None:
    """Order the places of equal scores by id, descending, in place."""
    tied = scores[:, 1:] == scores[:, :-1]
    for query in np.flatnonzero(tied.any(axis=1)).tolist():
        edges = np.flatnonzero(np.diff(tied[query].astype(np.int8), prepend=0, append=0))
        names = ids[places[query]].tolist()
        order = list(range(len(names)))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            some = sorted(order[start : stop + 1], key=names.__getitem__, reverse=True)
            order[start : stop + 1] = some
        places[query] = places[query, order]
