"""Exact late-interaction search of one block.

MaxSim scores a document by the sum, over query tokens, of the largest inner product with any of its
tokens (Khattab and Zaharia 2020, arXiv 2004.12832).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clir_bench.index.topk import Rows, Scores, best_of_block
from clir_bench.types import Vectors

_MAX_PRODUCT_BYTES = 256 * 2**20


def search_block(
    queries: Sequence[Vectors], documents: Sequence[Vectors], k: int, ranks: Rows
) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block, a tie at the cut decided by id.

    Args:
        queries: One `(n_tokens, dim)` float32 array a query.
        documents: One `(n_tokens, dim)` float32 array a document, at least one token each.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.

    Returns:
        Scores and rows as `exact.search_block` returns them.
    """
    return best_of_block(maxsim_scores(queries, documents), k, ranks)


def maxsim_scores(queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Scores:
    """Return the MaxSim of every query with every document, float32 `(n_queries, n_documents)`."""
    tokens = np.concatenate(documents)
    document_starts = _starts(documents)
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    longest = max(len(query) for query in queries)
    step = max(1, _MAX_PRODUCT_BYTES // (4 * len(tokens) * longest))
    for first in range(0, len(queries), step):
        some = queries[first : first + step]
        products = np.concatenate(some) @ tokens.T
        best = np.maximum.reduceat(products, document_starts, axis=1)
        scores[first : first + step] = np.add.reduceat(best, _starts(some), axis=0)
    return scores


def _starts(ragged: Sequence[Vectors]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    lengths = np.fromiter((len(item) for item in ragged), dtype=np.int64, count=len(ragged))
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
