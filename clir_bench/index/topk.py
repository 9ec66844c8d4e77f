"""The best k documents of every query over all blocks seen so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clir_bench.types import Run

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
ABSENT = -1
"""Row number that stands for "no document", with score -inf."""


class TopK:
    """Merges the results of blocks into rankings in trec_eval's order.

    trec_eval ranks by score, descending, and breaks ties by document id, descending (`strcmp` in its
    `form_res_rels`). The cut at k follows the same order, so a tie that straddles rank k is decided
    by id and not by the order of the corpus.

    Args:
        n_queries: Number of queries.
        k: Documents kept for each.
    """

    def __init__(self, n_queries: int, k: int) -> None:
        self.k = k
        self._scores: Scores = np.empty((n_queries, 0), dtype=np.float32)
        self._rows: Rows = np.empty((n_queries, 0), dtype=np.int64)
        self._ids: dict[int, str] = {}

    def add(self, scores: Scores, rows: Rows, first_row: int, doc_ids: Sequence[str]) -> None:
        """Merge one block.

        Args:
            scores: `(n_queries, n)` float32, in any order; -inf where there is no document.
            rows: `(n_queries, n)` positions within the block, `ABSENT` where there is none.
            first_row: Position of the block's first document in the corpus.
            doc_ids: Ids of the block's documents, indexed by `rows`.
        """
        present = rows != ABSENT
        for row in np.unique(rows[present]).tolist():
            self._ids[first_row + row] = doc_ids[row]
        all_scores = np.concatenate([self._scores, scores], axis=1)
        all_rows = np.concatenate([self._rows, np.where(present, rows + first_row, ABSENT)], axis=1)
        order = np.argsort(-all_scores, axis=1, kind="stable")
        all_scores = np.take_along_axis(all_scores, order, axis=1)
        all_rows = np.take_along_axis(all_rows, order, axis=1)
        self._break_ties(all_scores, all_rows)
        self._scores = all_scores[:, : self.k].copy()
        self._rows = all_rows[:, : self.k].copy()
        kept = set(np.unique(self._rows).tolist())
        self._ids = {row: doc_id for row, doc_id in self._ids.items() if row in kept}

    def run(self, query_ids: Sequence[str]) -> Run:
        """Return the rankings; `query_ids` are in the order of the blocks' queries."""
        doc_ids, scores = [], []
        for query_rows, query_scores in zip(self._rows, self._scores, strict=True):
            n_found = int((query_rows != ABSENT).sum())
            doc_ids.append(tuple(self._ids[row] for row in query_rows[:n_found].tolist()))
            scores.append(query_scores[:n_found])
        return Run(tuple(query_ids), tuple(doc_ids), tuple(scores))

    def _break_ties(self, scores: Scores, rows: Rows) -> None:
        """Order equal scores by document id, descending, in place."""
        tied = (scores[:, 1:] == scores[:, :-1]) & (rows[:, 1:] != ABSENT)
        for query in np.flatnonzero(tied.any(axis=1)).tolist():
            edges = np.flatnonzero(np.diff(tied[query].astype(np.int8), prepend=0, append=0))
            for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                run = rows[query, start : stop + 1].tolist()
                run.sort(key=self._ids.__getitem__, reverse=True)
                rows[query, start : stop + 1] = run


def best_of_block(scores: Scores, k: int) -> tuple[Scores, Rows]:
    """Return every document of a block that can be among its best k, ties at the cut included.

    Args:
        scores: `(n_queries, n_documents)`, all scores of the block.
        k: Documents wanted.

    Returns:
        Scores and rows `(n_queries, m)` with `k <= m`; shorter rows end in -inf and `ABSENT`.
    """
    n_queries, n_documents = scores.shape
    if n_documents <= k:
        return scores, np.broadcast_to(np.arange(n_documents, dtype=np.int64), scores.shape)
    threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    keep = scores >= threshold
    width = int(keep.sum(axis=1).max())
    found = np.full((n_queries, width), -np.inf, dtype=np.float32)
    rows = np.full((n_queries, width), ABSENT, dtype=np.int64)
    for query, chosen in enumerate(keep):
        positions = np.flatnonzero(chosen)
        found[query, : len(positions)] = scores[query, positions]
        rows[query, : len(positions)] = positions
    return found, rows
