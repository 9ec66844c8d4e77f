"""Exact late-interaction search of one block.

MaxSim scores a document by the sum, over query tokens, of the largest inner product with any of its
tokens (Khattab and Zaharia 2020, arXiv 2004.12832).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clir_bench.index.topk import Rows, Scores, best_of_block
from clir_bench.profiling import stage
from clir_bench.types import Vectors

_MAX_PRODUCT_BYTES = 256 * 2**20
_LOOKED_AT, _FEW_REPEATED = 2048, 0.7


@stage("search")
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
    """Return the MaxSim of every query with every document, float32 `(n_queries, n_documents)`.

    Vectors without context are the same wherever their piece occurs. Where many are repeated, each
    different one is multiplied once.
    """
    tokens, places = _distinct(np.concatenate(documents))
    starts = _starts(documents)
    n_tokens = len(tokens) if places is None else len(places)
    rows = max(1, _MAX_PRODUCT_BYTES // (4 * n_tokens))
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    longest = max(len(query) for query in queries)
    step = max(1, _MAX_PRODUCT_BYTES // (4 * len(documents) * longest))
    for first in range(0, len(queries), step):
        some = queries[first : first + step]
        query_tokens, query_places = _distinct(np.concatenate(some))
        best = np.empty((len(query_tokens), len(documents)), dtype=np.float32)
        for row in range(0, len(query_tokens), rows):
            products = query_tokens[row : row + rows] @ tokens.T
            if places is not None:
                products = np.take(products, places, axis=1)
            np.maximum.reduceat(products, starts, axis=1, out=best[row : row + rows])
        if query_places is not None:
            best = best[query_places]
        scores[first : first + step] = np.add.reduceat(best, _starts(some), axis=0)
    return scores


def _distinct(tokens: Vectors) -> tuple[Vectors, NDArray[np.int64] | None]:
    """Return the different rows and each row's place among them.

    Where few are repeated, which the first rows tell, all are returned, and None.
    """
    looked_at = _as_bytes(tokens[:_LOOKED_AT])
    if len(np.unique(looked_at)) > _FEW_REPEATED * len(looked_at):
        return tokens, None
    _, first, places = np.unique(_as_bytes(tokens), return_index=True, return_inverse=True)
    return tokens[first], places


def _as_bytes(tokens: Vectors) -> NDArray[np.void]:
    rows = np.ascontiguousarray(tokens)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def _starts(ragged: Sequence[Vectors]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    lengths = np.fromiter((len(item) for item in ragged), dtype=np.int64, count=len(ragged))
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
