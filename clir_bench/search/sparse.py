"""Exact search of sparse vectors: only documents that share a term with the query are ranked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.search.topk import Rows, Scores, first_by_id
from clir_bench.types import Integers, SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_SIEVE_BITS = 16
_MOST_PRODUCTS = 2**24


@stage("search")
def search_block(
    queries: SparseRows, documents: SparseRows, k: int, ranks: Rows
) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block; ids decide a tie at the cut.

    A score is the inner product, summed in the order of the terms' ids in float64: equal documents
    score the same in every block.

    Args:
        queries: One row per query.
        documents: One row per document.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.

    Returns:
        As `best_matches`.
    """
    terms = np.unique(queries.ids)
    of_documents = among(documents, terms).T.tocsr()
    return best_matches(among(queries, terms), of_documents, k, ranks)


def among(rows: SparseRows, terms: Integers) -> csr_array:
    """Return the weights of some terms as a float64 CSR array `(n_rows, len(terms))`.

    Args:
        rows: Of any terms.
        terms: Different ids, ascending.
    """
    from scipy.sparse import csr_array

    # Most terms of documents are in no query: their last bits tell so quickly.
    sieve = np.zeros(2**_SIEVE_BITS, dtype=bool)
    mask = 2**_SIEVE_BITS - 1
    sieve[terms & mask] = True
    passed = np.flatnonzero(sieve[rows.ids & mask])
    places = np.searchsorted(terms, rows.ids[passed])
    found = np.append(terms, -1)[places] == rows.ids[passed]
    passed, places = passed[found], places[found]
    starts = np.searchsorted(passed, rows.starts)
    data = rows.weights[passed].astype(np.float64)
    return csr_array((data, places, starts), shape=(len(rows), len(terms)))


def best_matches(
    queries: csr_array, documents: csr_array, k: int, ranks: Rows
) -> tuple[Scores, Rows]:
    """Return the best k documents of every query, of those that share a term with it.

    Args:
        queries: `(n_queries, n_terms)`.
        documents: `(n_terms, n_documents)`.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the documents.

    Returns:
        Scores and rows, both `(n_queries, n)` with n at most k, in no particular order; -inf marks
        places that are left over.
    """
    n_queries = queries.shape[0]
    best = np.full((n_queries, k), -np.inf, dtype=np.float32)
    rows = np.zeros((n_queries, k), dtype=np.int64)
    width = 0
    for some in _few_at_once(queries, documents):
        scores = (queries[some] @ documents).tocsr()
        values: NDArray[np.float32] = scores.data.astype(np.float32)
        bounds = scores.indptr.tolist()
        for query, first, last in zip(
            range(some.start, some.stop), bounds, bounds[1:], strict=False
        ):
            found, places = values[first:last], scores.indices[first:last].astype(np.int64)
            if len(found) > k:
                found, places = _best(found, places, k, ranks)
            best[query, : len(found)], rows[query, : len(found)] = found, places
            width = max(width, len(found))
    return best[:, :width], rows[:, :width]


def _best(found: NDArray[np.float32], places: Rows, k: int, ranks: Rows) -> tuple[Scores, Rows]:
    cut = np.partition(found, len(found) - k)[len(found) - k]
    above = found > cut
    tied = first_by_id(places[found == cut], ranks, k - int(above.sum()))
    scores = np.concatenate([found[above], np.full(len(tied), cut, dtype=np.float32)])
    return scores, np.concatenate([places[above], tied])


def _few_at_once(queries: csr_array, documents: csr_array) -> Iterator[slice]:
    """Yield queries whose products, an upper bound of their scores, are few enough for memory."""
    per_term = np.diff(documents.indptr)
    products = np.concatenate([[0], per_term[queries.indices].cumsum()])[queries.indptr].tolist()
    first = 0
    for end in range(1, len(products)):
        if end == len(products) - 1 or products[end + 1] - products[first] > _MOST_PRODUCTS:
            yield slice(first, end)
            first = end
