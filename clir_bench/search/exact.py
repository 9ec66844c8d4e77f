"""Searches one block of documents exactly, by inner product.

A matrix product finds candidates, with FAISS on a CPU and with torch on an accelerator (`gpu`). The
order of its sums depends on a document's place in the block, so the scores of equal vectors may
differ in their last bits. Therefore the candidates are scored again, one by one and always in the
same order: equal vectors get equal scores in every block and on every device.

With u = 2^-24, an inner product of d numbers computed in float32 in any order lies within
d u / (1 - d u) |q| |v| of the exact one (Higham 2002, Accuracy and Stability of Numerical
Algorithms, section 3.1). So two computed ones differ by at most twice that. If the first document
outside the candidates is closer than this to the k-th candidate, or ties extend beyond the
candidates, all documents of the block are scored again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.search.topk import Rows, Scores, best_of_block
from clir_bench.types import Vectors

_MAX_FULL_BYTES = 64 * 2**20
"""Most memory for scores of a whole block, 12 bytes per document and query."""
_SPARE, _SPARE_SHARE = 16, 16
_UNIT_ROUNDOFF: float = 2.0**-24

Nearest = Callable[[int], tuple[Scores, Rows]]
"""Returns, for a number n, every query's n best documents of a block by a matrix product: scores
that never increase, and rows."""


@stage("search")
def search_block(
    queries: Vectors, documents: Vectors, k: int, ranks: Rows, nearest: Nearest | None = None
) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block, and some more.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.
        nearest: Finds candidates; FAISS when None.

    Returns:
        Scores and rows, both `(n_queries, n)` with n at least `min(k, n_documents)`, in no
        particular order; rows are positions in `documents`. The best k of them by score and id
        are those of the block.
    """
    queries, documents = np.ascontiguousarray(queries), np.ascontiguousarray(documents)
    n_documents = len(documents)
    n = min(k + k // _SPARE_SHARE + _SPARE, n_documents)
    found, rows = _by_faiss(queries, documents, n) if nearest is None else nearest(n)
    scores = inner_products(queries, documents, rows)
    if n == n_documents:
        return scores, rows
    kth = np.partition(scores, n - k, axis=1)[:, n - k]
    is_open = ~(found[:, -1] + _error(queries, documents) < kth)
    everything = np.arange(n_documents, dtype=np.int64)
    step = max(1, _MAX_FULL_BYTES // (12 * n_documents))
    for first in range(0, len(some := np.flatnonzero(is_open)), step):
        opened = some[first : first + step]
        all_rows = np.ascontiguousarray(np.broadcast_to(everything, (len(opened), n_documents)))
        full = inner_products(queries[opened], documents, all_rows)
        scores[opened], rows[opened] = best_of_block(full, n, ranks)
    return scores, rows


def inner_products(queries: Vectors, documents: Vectors, rows: Rows) -> Scores:
    """Return the scores of some documents per query, all summed in the same order.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32.
        rows: `(n_queries, n)`, positions in `documents`.
    """
    import faiss

    queries, documents = np.ascontiguousarray(queries), np.ascontiguousarray(documents)
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    scores = np.empty(rows.shape, dtype=np.float32)
    library: Any = faiss  # whose type stubs lack what follows
    pointers = [library.swig_ptr(array) for array in (scores, queries, documents, rows)]
    library.fvec_inner_products_by_idx(*pointers, queries.shape[1], *rows.shape)
    scores += np.float32(0)  # turns every -0 into its equal, 0
    return scores


def _by_faiss(queries: Vectors, documents: Vectors, n: int) -> tuple[Scores, Rows]:
    """Return scores, best first, and rows, as `faiss.IndexFlatIP` does without copying a block."""
    import faiss

    scores, rows = faiss.knn(queries, documents, n, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, rows


def _error(queries: Vectors, documents: Vectors) -> NDArray[np.float64]:
    """Return how far apart two computed scores of each query with one document may be."""
    dim = queries.shape[1]
    relative = dim * _UNIT_ROUNDOFF / (1 - dim * _UNIT_ROUNDOFF)
    with np.errstate(over="ignore"):  # no bound is a bound too: everything is scored again
        longest = float(np.einsum("ij,ij->i", documents, documents).max())
        squared = np.einsum("ij,ij->i", queries, queries).astype(np.float64)
    error: NDArray[np.float64] = 2 * relative * np.sqrt(squared * longest)
    return error
