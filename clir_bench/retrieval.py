"""One pass over a corpus that answers any number of query sets.

Queries are encoded first. Documents then stream by: a block is encoded, searched with every query
set, merged into their rankings and let go, so that memory depends on the block, the queries and k,
and not on the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from clir_bench.index import exact, maxsim
from clir_bench.index.topk import TopK, id_ranks
from clir_bench.types import Document, Encoder, Query, Run, TokenEncoder, Vectors

ENCODE_BLOCK = 1024
"""Documents encoded between two looks at the progress bar."""
_SEARCH_BLOCK_BYTES = 128 * 2**20
_SEARCH_BLOCK_DOCUMENTS = 65_536

QueryVectors: TypeAlias = "Vectors | list[Vectors]"


@dataclass(frozen=True)
class QuerySet:
    """Queries of one pair, encoded.

    Attributes:
        vectors: `(n_queries, dim)`, or one `(n_tokens, dim)` a query for late interaction.
        skip_same_id: As in `Collection`.
    """

    query_ids: Sequence[str]
    vectors: QueryVectors
    skip_same_id: bool = False


@dataclass
class PassCost:
    """What one pass over a corpus took.

    Attributes:
        encode_seconds: Time in the encoder, documents only.
        index_seconds: Time reading documents and gathering blocks.
        search_seconds: Time searching and merging, one entry a query set.
        n_documents: Documents encoded.
        index_size_bytes: Bytes of all document vectors.
    """

    search_seconds: list[float]
    encode_seconds: float = 0.0
    index_seconds: float = 0.0
    n_documents: int = 0
    index_size_bytes: int = 0


def encode_queries(
    encoder: Encoder | TokenEncoder, queries: Sequence[Query], language: str
) -> QueryVectors:
    """Encode queries as their encoder's family does."""
    texts = [query.text for query in queries]
    if isinstance(encoder, TokenEncoder):
        return encoder.encode_query_tokens(texts, language=language)
    return encoder.encode_queries(texts, language=language)


def search_corpus(
    encoder: Encoder | TokenEncoder,
    documents: Iterable[Document],
    query_sets: Sequence[QuerySet],
    *,
    k: int,
    language: str,
    document_text: str,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[Run], PassCost]:
    """Rank a corpus for every query set.

    Args:
        encoder: What turns documents into vectors.
        documents: The corpus; documents without title and text are passed over.
        query_sets: At least one.
        k: Documents a query.
        language: The documents' language where a document does not state its own.
        document_text: How title and text are joined, as on the task's card.
        advance: Called with the number of documents done since the last call.

    Returns:
        One `Run` a query set, in their order, and what it cost.
    """
    # One more, for the document that `skip_same_id` takes out again.
    rankings = [TopK(len(s.query_ids), k + s.skip_same_id) for s in query_sets]
    cost = PassCost(search_seconds=[0.0] * len(query_sets))
    for ids, vectors in _search_blocks(
        encoder,
        documents,
        language=language,
        document_text=document_text,
        cost=cost,
        advance=advance,
    ):
        ranks = id_ranks(ids)
        for number, (query_set, ranking) in enumerate(zip(query_sets, rankings, strict=True)):
            started = time.perf_counter()
            queries: Any = query_set.vectors
            if isinstance(encoder, TokenEncoder):
                scores, rows = maxsim.search_block(queries, vectors, ranking.k, ranks)
            else:
                scores, rows = exact.search_block(queries, vectors, ranking.k, ranks)
            ranking.add(scores, rows, ids)
            cost.search_seconds[number] += time.perf_counter() - started
        del vectors  # or this block would stay in memory while the next one is encoded
    runs = [
        without_same_id(ranking.run(s.query_ids), k) if s.skip_same_id else ranking.run(s.query_ids)
        for s, ranking in zip(query_sets, rankings, strict=True)
    ]
    return runs, cost


def document_string(document: Document, template: str) -> str:
    """Join title and text as the card says; an absent part takes its separator with it.

    >>> document_string(Document("d", "Nairobi ni jiji.", "Nairobi"), "{title} {text}")
    'Nairobi Nairobi ni jiji.'
    """
    if not document.title.strip() or not document.text.strip():
        text, title = document.text, "" if template == "{text}" else document.title
        return text if text.strip() else title
    return template.format(title=document.title, text=document.text)


def _search_blocks(
    encoder: Encoder | TokenEncoder,
    documents: Iterable[Document],
    *,
    language: str,
    document_text: str,
    cost: PassCost,
    advance: Callable[[int], None],
) -> Iterator[tuple[list[str], Any]]:
    """Yield ids and vectors of blocks large enough to search."""
    ids: list[str] = []
    parts: list[Any] = []
    size_bytes = 0
    stream = iter(documents)
    while True:
        started = time.perf_counter()
        block = list(islice(stream, ENCODE_BLOCK))
        texts = [
            (document.doc_id, document.language or language, text)
            for document in block
            if (text := document_string(document, document_text)).strip()
        ]
        read = time.perf_counter()
        cost.index_seconds += read - started
        for of_language, group in _by_language(texts):
            parts.append(_encode_documents(encoder, [text for _, text in group], of_language))
            ids += [doc_id for doc_id, _ in group]
            size_bytes += _size_bytes(parts[-1])
        cost.encode_seconds += time.perf_counter() - read
        cost.n_documents += len(texts)
        full = size_bytes >= _SEARCH_BLOCK_BYTES or len(ids) >= _SEARCH_BLOCK_DOCUMENTS
        if ids and (full or not block):
            cost.index_size_bytes += size_bytes
            yield ids, _joined(parts)
            ids, size_bytes = [], 0
        advance(len(block))
        if not block:
            return


def _by_language(
    texts: Sequence[tuple[str, str, str]],
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Group `(doc_id, language, text)` by language, keeping the order within each."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for doc_id, language, text in texts:
        groups.setdefault(language, []).append((doc_id, text))
    yield from groups.items()


def _encode_documents(
    encoder: Encoder | TokenEncoder, texts: Sequence[str], language: str
) -> QueryVectors:
    if isinstance(encoder, TokenEncoder):
        return encoder.encode_document_tokens(texts, language=language)
    return encoder.encode_documents(texts, language=language)


def _joined(parts: list[Any]) -> Any:
    """Return the vectors of all parts, and empty `parts`."""
    joined: Any
    if isinstance(parts[0], list):
        joined = [vectors for part in parts for vectors in part]
    else:
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    parts.clear()
    return joined


def _size_bytes(vectors: QueryVectors) -> int:
    if isinstance(vectors, list):
        return sum(item.nbytes for item in vectors)
    return vectors.nbytes


def without_same_id(run: Run, k: int | None = None) -> Run:
    """Return every query's best `k` documents, or all, without the one that has its own id."""
    doc_ids, scores = [], []
    for query_id, ids, values in zip(run.query_ids, run.doc_ids, run.scores, strict=True):
        kept = [rank for rank, doc_id in enumerate(ids) if doc_id != query_id][:k]
        doc_ids.append(tuple(ids[rank] for rank in kept))
        scores.append(values[kept])
    return Run(run.query_ids, tuple(doc_ids), tuple(scores))
