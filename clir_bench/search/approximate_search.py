"""Reads a corpus once, builds an approximate index, searches it, and measures what it misses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from clir_bench.errors import UsageError
from clir_bench.results.schema import ApproximateSearch
from clir_bench.search import exact
from clir_bench.search.approximate_index import (
    ApproximateIndex,
    DocIds,
    IndexSpec,
    recalls,
    sample_of,
)
from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.search import QuerySet, vector_blocks, without_same_id
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.search.trial import check_usable
from clir_bench.types import Encoder, Run, TokenEncoder


def check_index(index: IndexSpec | None, encoder: Encoder | TokenEncoder) -> None:
    """Refuse an impossible index before the first document is read.

    Raises:
        UsageError: FAISS does not make it for the encoder's vectors, it cannot be used, or the
            encoder makes one vector per token.
    """
    if index is None:
        return
    if isinstance(encoder, TokenEncoder):
        raise UsageError(
            f"--index {str(index)!r}: model {encoder.info.name!r} makes one vector per token, "
            "which is searched exactly; leave --index out"
        )
    check_usable(index, encoder.dim)


def search_by_index(
    documents: DocumentVectors,
    query_sets: Sequence[QuerySet],
    index: ApproximateIndex,
    *,
    k: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[Run], PassCost, list[ApproximateSearch]]:
    """Rank a corpus for every query set by an approximate index, and measure what it misses.

    A sample of every set's queries is searched exactly in the same pass.

    Args:
        documents: The corpus' vectors.
        query_sets: At least one.
        index: An empty one, or a stored one.
        k: Documents per query.
        advance: Called with the number of documents done since the last call.

    Returns:
        The values of `search.search`, and one record per query set.

    Raises:
        DataError: The corpus is too small for the index to be trained, or the stored index is not
            of this corpus.
    """
    cost = documents.cost
    cost.search_seconds = [0.0] * len(query_sets)
    samples = [_sampled(query_set) for query_set in query_sets]
    rankings = [TopK(len(s.query_ids), k + s.skip_same_id) for s in samples]
    doc_ids = DocIds()
    blocks = vector_blocks(documents, advance)
    for ids, vectors in blocks:
        ranks = id_ranks(ids)
        for sample, ranking in zip(samples, rankings, strict=True):
            found = exact.search_block(np.asarray(sample.vectors), vectors, ranking.k, ranks)
            ranking.add(*found, ids)
        doc_ids.add(ids)
        started = time.perf_counter()
        if not index.stored:
            index.add(vectors)
        cost.index_seconds += time.perf_counter() - started
        del vectors
    started = time.perf_counter()
    index.finish(len(doc_ids))
    cost.index_seconds += time.perf_counter() - started
    cost.index_size_bytes = index.size_bytes
    runs, records = [], []
    for number, (query_set, ranking) in enumerate(zip(query_sets, rankings, strict=True)):
        started = time.perf_counter()
        run, record = _answered(query_set, samples[number], ranking, index, doc_ids, k)
        cost.search_seconds[number] = time.perf_counter() - started
        runs.append(run)
        records.append(record)
    return runs, cost, records


def _answered(
    query_set: QuerySet,
    sample: QuerySet,
    exactly: TopK,
    index: ApproximateIndex,
    doc_ids: DocIds,
    k: int,
) -> tuple[Run, ApproximateSearch]:
    """Search one query set, and compare its sample with exact search."""
    vectors = np.asarray(query_set.vectors)
    run = index.search(vectors, exactly.k, doc_ids.of, query_set.query_ids)
    best = exactly.run(sample.query_ids)
    if query_set.skip_same_id:
        run, best = without_same_id(run, k), without_same_id(best, k)
    record = ApproximateSearch(
        index=str(index.spec),
        index_size_bytes=index.size_bytes,
        sampled_queries=len(sample.query_ids),
        recall=recalls(run, best, k),
    )
    return run, record


def _sampled(query_set: QuerySet) -> QuerySet:
    rows = sample_of(len(query_set.query_ids))
    ids = [query_set.query_ids[row] for row in rows.tolist()]
    return QuerySet(ids, np.asarray(query_set.vectors)[rows], query_set.skip_same_id)
