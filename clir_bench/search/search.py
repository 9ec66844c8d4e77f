"""Ranks the documents of a corpus for several sets of queries, while reading the corpus once.

Queries are encoded first. Then each block of documents is encoded, searched with every set of
queries, merged into the rankings and released. So memory depends on the size of a block, the
queries and k, not on the corpus.

Vectors may be stored on the way (`vectors`), and may come from other processes (`workers`). The
encoder always gets documents in the same windows, and vectors are searched in the same blocks, so
rankings are the same to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from clir_bench.search import exact, gpu, maxsim, sparse
from clir_bench.search.blocks import VectorBlock
from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.search.workers.executor import Here, hand_out
from clir_bench.types import AnyEncoder, AnyVectors, Query, Run, SparseRows

_SEARCH_BLOCK_BYTES = 128 * 2**20
_SEARCH_BLOCK_DOCUMENTS = 65_536


@dataclass(frozen=True)
class QuerySet:
    """Queries of one pair, encoded.

    Attributes:
        vectors: `(n_queries, dim)`, one `(n_tokens, dim)` per query for late interaction, or
            sparse rows.
        skip_same_id: As in `Collection`.
    """

    query_ids: Sequence[str]
    vectors: AnyVectors
    skip_same_id: bool = False


def encode_queries(encoder: AnyEncoder, queries: Sequence[Query], language: str) -> AnyVectors:
    """Encode queries as their encoder's family does, in this process."""
    texts = [query.text for query in queries]
    return hand_out(Here(encoder), "queries", texts, language).result().vectors


def search(
    documents: DocumentVectors,
    query_sets: Sequence[QuerySet],
    *,
    k: int,
    advance: Callable[[int], None] = lambda _: None,
    device: str = "cpu",
) -> tuple[list[Run], PassCost]:
    """Rank a corpus for every query set.

    Args:
        documents: The corpus' vectors.
        query_sets: At least one.
        k: Documents per query.
        advance: Called with the number of documents done since the last call.
        device: A CUDA device to compare vectors on, else this processor. Late interaction always
            uses the processor.

    Returns:
        One `Run` per query set, in order, and the cost.
    """
    # One more, for the document that `skip_same_id` removes.
    rankings = [TopK(len(s.query_ids), k + s.skip_same_id) for s in query_sets]
    cost = documents.cost
    cost.search_seconds = [0.0] * len(query_sets)
    family = documents.family
    on_gpu = device.startswith("cuda") and family == "single"
    static: bool | None = None
    for ids, vectors in vector_blocks(documents, advance):
        ranks = id_ranks(ids)
        if family == "tokens" and static is None:
            static = maxsim.are_static(vectors)
        if isinstance(vectors, SparseRows):
            cost.n_terms += len(vectors.ids)
        there = gpu.placed(vectors, device) if on_gpu else None
        for number, (query_set, ranking) in enumerate(zip(query_sets, rankings, strict=True)):
            started = time.perf_counter()
            queries: Any = query_set.vectors
            if family == "sparse":
                scores, rows = sparse.search_block(queries, vectors, ranking.k, ranks)
            elif family == "tokens":
                scores, rows = maxsim.search_block(
                    queries, vectors, ranking.k, ranks, static=bool(static)
                )
            else:
                nearest = None
                if there is not None:
                    nearest = partial(gpu.nearest, queries, there, device=device)
                scores, rows = exact.search_block(queries, vectors, ranking.k, ranks, nearest)
            ranking.add(scores, rows, ids)
            cost.search_seconds[number] += time.perf_counter() - started
        # Or they would stay in memory while the next ones are encoded.
        del vectors, there, scores, rows
    runs = [
        without_same_id(ranking.run(s.query_ids), k) if s.skip_same_id else ranking.run(s.query_ids)
        for s, ranking in zip(query_sets, rankings, strict=True)
    ]
    return runs, cost


def vector_blocks(
    documents: DocumentVectors, advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[list[str], Any]]:
    """Yield ids and vectors of a corpus in blocks large enough to search.

    Args:
        documents: The corpus' vectors; the cost of reading them is added to their `cost`.
        advance: Called with the number of documents done since the last call.
    """
    ids: list[str] = []
    block = VectorBlock(_SEARCH_BLOCK_DOCUMENTS, _SEARCH_BLOCK_BYTES)
    cost, windows = documents.cost, documents.windows()
    while True:
        window = next(windows, None)
        if window is not None:
            ids += window.ids
            while window.parts:  # each is let go as soon as it is in place
                block.add(window.parts.pop(0))
            cost.n_documents += len(window.ids)
        if ids and (block.is_full or window is None):
            cost.index_size_bytes += block.size_bytes
            yield ids, block.take()
            ids = []
        if window is None:
            return
        advance(window.n_documents)


def without_same_id(run: Run, k: int | None = None) -> Run:
    """Return every query's best `k` documents, or all, without the one with its own id."""
    doc_ids, scores = [], []
    for query_id, ids, values in zip(run.query_ids, run.doc_ids, run.scores, strict=True):
        kept = [rank for rank, doc_id in enumerate(ids) if doc_id != query_id][:k]
        doc_ids.append(tuple(ids[rank] for rank in kept))
        scores.append(values[kept])
    return Run(run.query_ids, tuple(doc_ids), tuple(scores))
