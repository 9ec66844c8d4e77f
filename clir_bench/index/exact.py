"""Exact inner-product search of one block, by FAISS."""

from __future__ import annotations

import numpy as np

from clir_bench.index.topk import Rows, Scores
from clir_bench.types import Vectors


def search_block(queries: Vectors, documents: Vectors, k: int) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block, with everything tied to the k-th.

    FAISS keeps an arbitrary one of several documents with equal scores at the cut. Where the
    (k+1)-th scores as the k-th, the search is widened until the tie ends, so that the caller can
    decide it by document id.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32.
        k: Documents wanted, at least 1.

    Returns:
        Scores and rows, both `(n_queries, m)`; rows are positions in `documents`, -1 (with score
        -inf) where a query has fewer than m.
    """
    import faiss

    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(np.ascontiguousarray(documents))
    queries = np.ascontiguousarray(queries)
    n_documents = len(documents)
    width = min(k + 1, n_documents)
    scores, rows = index.search(queries, width)
    open_tie = np.flatnonzero(scores[:, -1] == scores[:, min(k, width) - 1])
    while width < n_documents and len(open_tie):
        width = min(4 * width, n_documents)
        wider_scores, wider_rows = index.search(queries[open_tie], width)
        extra = ((0, 0), (0, width - scores.shape[1]))
        scores = np.pad(scores, extra, constant_values=-np.inf)
        rows = np.pad(rows, extra, constant_values=-1)
        scores[open_tie], rows[open_tie] = wider_scores, wider_rows
        open_tie = open_tie[wider_scores[:, -1] == wider_scores[:, k - 1]]
    return scores.astype(np.float32, copy=False), rows.astype(np.int64, copy=False)
