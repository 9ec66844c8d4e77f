"""Exact inner-product search of one block, by FAISS."""

from __future__ import annotations

import numpy as np

from clir_bench.index.topk import Rows, Scores, first_by_id
from clir_bench.profiling import stage
from clir_bench.types import Vectors

_MAX_FULL_BYTES = 64 * 2**20
"""Most memory for complete rankings of a block, 12 bytes a document and query."""


@stage("search")
def search_block(queries: Vectors, documents: Vectors, k: int, ranks: Rows) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block, a tie at the cut decided by id.

    FAISS keeps an arbitrary one of several documents with equal scores at the cut. Where the
    (k+1)-th scores as the k-th, the block is ranked to its end and the tie is decided here. An
    encoder that finds nothing in common between most texts scores them all 0, so ties can be as
    wide as the block; queries are taken a few at a time then.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.

    Returns:
        Scores and rows, both `(n_queries, min(k, n_documents))`; rows are positions in `documents`.
    """
    n_documents = len(documents)
    scores, rows = _search(queries, documents, min(k + 1, n_documents))
    if n_documents <= k:
        return scores, rows
    open_tie = np.flatnonzero(scores[:, k] == scores[:, k - 1])
    scores, rows = scores[:, :k], rows[:, :k]
    step = max(1, _MAX_FULL_BYTES // (12 * n_documents))
    for first in range(0, len(open_tie), step):
        some = open_tie[first : first + step]
        full = _search(queries[some], documents, n_documents)
        for query, of_query, ranked in zip(some.tolist(), *full, strict=True):
            cut = of_query[k - 1]
            n_above = int((of_query > cut).sum())
            tied = ranked[n_above : int((of_query >= cut).sum())]
            scores[query] = of_query[:k]
            rows[query, :n_above] = ranked[:n_above]
            rows[query, n_above:] = first_by_id(tied, ranks, k - n_above)
    return scores, rows


def _search(queries: Vectors, documents: Vectors, k: int) -> tuple[Scores, Rows]:
    """Return scores, best first, and rows, as `faiss.IndexFlatIP` does without copying a block."""
    import faiss

    scores, rows = faiss.knn(
        np.ascontiguousarray(queries),
        np.ascontiguousarray(documents),
        k,
        metric=faiss.METRIC_INNER_PRODUCT,
    )
    return scores, rows
