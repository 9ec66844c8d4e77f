"""Searches one block of documents exactly, by MaxSim (late interaction).

MaxSim scores a document by the sum, over query tokens, of the largest inner product with any of its
tokens (Khattab and Zaharia 2020, arXiv 2004.12832).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.search.exact import inner_products
from clir_bench.search.topk import Rows, Scores, best_of_block
from clir_bench.types import Vectors

_QUERY_TOKENS = 4096
"""Tokens of queries multiplied at once, so that the products with one document stay in cache."""
_MAX_PRODUCT_BYTES = 256 * 2**20
_LOOKED_AT, _FEW_REPEATED = 2048, 0.7


@stage("search")
def search_block(
    queries: Sequence[Vectors],
    documents: Sequence[Vectors],
    k: int,
    ranks: Rows,
    *,
    static: bool = False,
) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block; ids decide a tie at the cut.

    Args:
        queries: One `(n_tokens, dim)` float32 array per query.
        documents: One `(n_tokens, dim)` float32 array per document, at least one token each.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.
        static: As in `maxsim_scores`; the same for all blocks of a corpus.

    Returns:
        Scores and rows as `topk.best_of_block` returns them.
    """
    return best_of_block(maxsim_scores(queries, documents, static=static), k, ranks)


def maxsim_scores(
    queries: Sequence[Vectors], documents: Sequence[Vectors], *, static: bool = False
) -> Scores:
    """Return the MaxSim of every query with every document, float32 `(n_queries, n_documents)`.

    A product is summed in the same order wherever its document stands, so equal documents score
    the same in every block: each document is a matrix product of its own, with the same queries
    each time.

    Args:
        queries: As in `search_block`.
        documents: As in `search_block`.
        static: Multiply every different vector once, on its own, which is faster if most are
            repeated (`are_static`).
    """
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    if static:
        tokens, places = _distinct(np.concatenate(documents))
        document_starts = _starts(documents)
    for some in _few_at_once(queries):
        starts = _starts(queries[some])
        if static:
            best = _best_of_static(np.concatenate(queries[some]), tokens, places, document_starts)
            scores[some] = np.add.reduceat(best, starts, axis=0)
            continue
        of_queries = np.ascontiguousarray(np.concatenate(queries[some]).T)
        _score_each(documents, of_queries, starts, scores[some])
    return scores


def _score_each(documents: Sequence[Vectors], queries: Vectors, starts: Rows, out: Scores) -> None:
    """Fill `out`, `(n_queries, n_documents)`, by one matrix product per document.

    The products are small: threads divide the documents, never one product. So the number of
    threads changes no bit either.

    Args:
        documents: As in `search_block`.
        queries: `(dim, n_tokens)`, tokens of the queries in columns.
        starts: Of each query's tokens.
        out: Scores to fill.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    def score(numbers: range) -> None:
        for number in numbers:
            products = documents[number] @ queries
            out[:, number] = np.add.reduceat(products.max(axis=0), starts)

    n_threads = faiss.omp_get_max_threads()
    shares = [range(first, len(documents), n_threads) for first in range(n_threads)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(score, shares))


def are_static(documents: Sequence[Vectors]) -> bool:
    """Return whether most of the first vectors are repeated, as vectors without context are."""
    looked_at: list[Vectors] = []
    n = 0
    for document in documents:
        if n >= _LOOKED_AT:
            break
        looked_at.append(document)
        n += len(document)
    rows = _as_bytes(np.concatenate(looked_at)[:_LOOKED_AT])
    return len(np.unique(rows)) <= _FEW_REPEATED * len(rows)


def _best_of_static(queries: Vectors, tokens: Vectors, places: Rows, starts: Rows) -> Scores:
    """Return the largest product of every query token with a document's, `(n, n_documents)`.

    Args:
        queries: Tokens of queries.
        tokens: Different tokens of documents.
        places: Of all tokens of the documents, among `tokens`.
        starts: Of each document's tokens, among `places`.
    """
    different, places_of_queries = _distinct(queries)
    best = np.empty((len(different), len(starts)), dtype=np.float32)
    everything = np.arange(len(tokens), dtype=np.int64)
    step = max(1, _MAX_PRODUCT_BYTES // (4 * len(places) + 12 * len(tokens)))
    for first in range(0, len(different), step):
        some = different[first : first + step]
        products = inner_products(
            some, tokens, np.broadcast_to(everything, (len(some), len(tokens)))
        )
        products = np.take(products, places, axis=1)
        np.maximum.reduceat(products, starts, axis=1, out=best[first : first + step])
    return best[places_of_queries]


def _distinct(tokens: Vectors) -> tuple[Vectors, Rows]:
    """Return the different rows, and each row's place among them."""
    _, first, places = np.unique(_as_bytes(tokens), return_index=True, return_inverse=True)
    return tokens[first], places


def _few_at_once(queries: Sequence[Vectors]) -> Iterator[slice]:
    """Yield queries with at most this many tokens together, or one; documents play no part."""
    first = n_tokens = 0
    for end, query in enumerate(queries):
        if end > first and n_tokens + len(query) > _QUERY_TOKENS:
            yield slice(first, end)
            first, n_tokens = end, 0
        n_tokens += len(query)
    yield slice(first, len(queries))


def _as_bytes(tokens: Vectors) -> NDArray[np.void]:
    rows = np.ascontiguousarray(tokens)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def _starts(ragged: Sequence[Vectors]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    lengths = np.fromiter((len(item) for item in ragged), dtype=np.int64, count=len(ragged))
    return np.concatenate([[0], np.cumsum(lengths)[:-1]])
