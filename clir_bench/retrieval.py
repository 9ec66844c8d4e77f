"""One pass over a corpus that answers any number of query sets.

Queries are encoded first. Documents then stream by: a block is encoded, searched with every query
set, merged into their rankings and let go, so that memory depends on the block, the queries and k,
and not on the corpus.

Vectors may be stored on the way (`embeddings`). Documents are handed to the encoder in the same
windows, and vectors searched in the same blocks, whether they are stored, read back or neither: the
rankings are the same to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from clir_bench.embeddings.entry import Entry
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
        encode_seconds: Time in the encoder, documents only; for stored vectors, what it took when
            they were made.
        index_seconds: Time reading documents and gathering blocks.
        store_seconds: Time storing vectors, and reading and checking stored ones.
        search_seconds: Time searching and merging, one entry a query set.
        n_documents: Documents encoded.
        index_size_bytes: Bytes of all document vectors.
    """

    search_seconds: list[float]
    encode_seconds: float = 0.0
    index_seconds: float = 0.0
    store_seconds: float = 0.0
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
    entry: Entry | None = None,
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
        entry: Where vectors are stored, already opened; None to store none.

    Returns:
        One `Run` a query set, in their order, and what it cost.
    """
    # One more, for the document that `skip_same_id` takes out again.
    rankings = [TopK(len(s.query_ids), k + s.skip_same_id) for s in query_sets]
    cost = PassCost(search_seconds=[0.0] * len(query_sets))
    blocks = vector_blocks(
        encoder,
        documents,
        cost,
        language=language,
        document_text=document_text,
        advance=advance,
        entry=entry,
    )
    for ids, vectors in blocks:
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


def vector_blocks(
    encoder: Encoder | TokenEncoder,
    documents: Iterable[Document],
    cost: PassCost,
    *,
    language: str,
    document_text: str,
    advance: Callable[[int], None] = lambda _: None,
    entry: Entry | None = None,
) -> Iterator[tuple[list[str], Any]]:
    """Yield ids and vectors of a corpus in blocks large enough to search.

    Arguments are those of `search_corpus`; what it takes is added to `cost`.
    """
    reading = _Reading(encoder, language, document_text, cost)
    return _search_blocks(reading.windows(documents, entry), cost, advance)


def document_string(document: Document, template: str) -> str:
    """Join title and text as the card says; an absent part takes its separator with it.

    >>> document_string(Document("d", "Nairobi ni jiji.", "Nairobi"), "{title} {text}")
    'Nairobi Nairobi ni jiji.'
    """
    if not document.title.strip() or not document.text.strip():
        text, title = document.text, "" if template == "{text}" else document.title
        return text if text.strip() else title
    return template.format(title=document.title, text=document.text)


def encode_shards(
    encoder: Encoder | TokenEncoder,
    documents: Iterable[Document],
    entry: Entry,
    numbers: Container[int],
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Store some of a corpus' shards, those that are not stored yet, and search nothing.

    Args:
        encoder: What turns documents into vectors.
        documents: The whole corpus.
        entry: Where vectors are stored, already opened.
        numbers: Of the shards wanted.
        advance: Called with the number of documents done since the last call.

    Returns:
        How many of them had to be encoded.
    """
    corpus, cost = entry.corpus, PassCost(search_seconds=[])
    reading = _Reading(encoder, corpus.language, corpus.document_text, cost)
    n_encoded = 0
    for number, block in enumerate(_blocks(documents, entry.shard_documents)):
        if number in numbers:
            before = reading.n_encoded_shards
            for window in reading.shard(number, block, entry):
                advance(window.n_documents)
            n_encoded += reading.n_encoded_shards - before
    return n_encoded


class _Window(NamedTuple):
    """Documents handed to the encoder at once.

    Attributes:
        n_documents: All of them.
        ids: Of those with text, in the order of their vectors.
        parts: Their vectors.
    """

    n_documents: int
    ids: list[str]
    parts: list[Any]


@dataclass
class _Reading:
    """Documents to vectors, from the encoder or from where they are stored."""

    encoder: Encoder | TokenEncoder
    language: str
    document_text: str
    cost: PassCost
    n_encoded_shards: int = 0

    def windows(self, documents: Iterable[Document], entry: Entry | None) -> Iterator[_Window]:
        """Yield all windows of a corpus."""
        if entry is None:
            for block in self._timed(_blocks(documents, ENCODE_BLOCK)):
                groups = self._texts(block)
                yield _Window(len(block), _ids_of(groups), self._encoded(groups))
        else:
            shards = self._timed(_blocks(documents, entry.shard_documents))
            for number, block in enumerate(shards):
                yield from self.shard(number, block, entry)

    def shard(self, number: int, documents: list[Document], entry: Entry) -> Iterator[_Window]:
        """Yield a shard's windows; by the last one it is stored."""
        blocks = list(_blocks(documents, ENCODE_BLOCK))
        texts = [self._texts(block) for block in blocks]
        window_ids = [_ids_of(groups) for groups in texts]
        ids = [doc_id for of_window in window_ids for doc_id in of_window]
        started = time.perf_counter()
        stored = entry.read(number, ids, len(documents))
        self.cost.store_seconds += time.perf_counter() - started
        if stored is not None:
            self.cost.encode_seconds += stored.encode_seconds
            first = 0
            for block, of_window in zip(blocks, window_ids, strict=True):
                last = first + len(of_window)
                yield _Window(len(block), of_window, [stored.vectors(first, last)])
                first = last
            return
        self.n_encoded_shards += 1
        encoded_before = self.cost.encode_seconds
        with entry.writing(number) as writing:
            for place, (block, groups) in enumerate(zip(blocks, texts, strict=True), start=1):
                parts = self._encoded(groups)
                started = time.perf_counter()
                for part in parts:
                    writing.add(part)
                if place == len(blocks):
                    seconds = self.cost.encode_seconds - encoded_before
                    writing.finish(ids, len(documents), seconds)
                self.cost.store_seconds += time.perf_counter() - started
                yield _Window(len(block), window_ids[place - 1], parts)
                del parts  # or they would stay in memory while the next ones are encoded

    def _timed(self, blocks: Iterator[list[Document]]) -> Iterator[list[Document]]:
        while True:
            started = time.perf_counter()
            block = next(blocks, None)
            self.cost.index_seconds += time.perf_counter() - started
            if block is None:
                return
            yield block

    def _texts(self, documents: Sequence[Document]) -> dict[str, list[tuple[str, str]]]:
        """Return `(doc_id, text)` by language, keeping the order within each."""
        started = time.perf_counter()
        groups: dict[str, list[tuple[str, str]]] = {}
        for document in documents:
            if (text := document_string(document, self.document_text)).strip():
                group = groups.setdefault(document.language or self.language, [])
                group.append((document.doc_id, text))
        self.cost.index_seconds += time.perf_counter() - started
        return groups

    def _encoded(self, groups: dict[str, list[tuple[str, str]]]) -> list[Any]:
        started = time.perf_counter()
        parts = [
            _encode_documents(self.encoder, [text for _, text in group], language)
            for language, group in groups.items()
        ]
        self.cost.encode_seconds += time.perf_counter() - started
        return parts


def _blocks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    stream = iter(documents)
    while block := list(islice(stream, size)):
        yield block


def _ids_of(groups: dict[str, list[tuple[str, str]]]) -> list[str]:
    return [doc_id for group in groups.values() for doc_id, _ in group]


def _search_blocks(
    windows: Iterator[_Window], cost: PassCost, advance: Callable[[int], None]
) -> Iterator[tuple[list[str], Any]]:
    """Yield ids and vectors of blocks large enough to search."""
    ids: list[str] = []
    parts: list[Any] = []
    size_bytes = 0
    while True:
        window = next(windows, None)
        if window is not None:
            ids += window.ids
            parts += window.parts
            size_bytes += sum(_size_bytes(part) for part in window.parts)
            cost.n_documents += len(window.ids)
            window.parts.clear()  # the block lets its vectors go when it has been searched
        full = size_bytes >= _SEARCH_BLOCK_BYTES or len(ids) >= _SEARCH_BLOCK_DOCUMENTS
        if ids and (full or window is None):
            cost.index_size_bytes += size_bytes
            yield ids, _joined(parts)
            ids, size_bytes = [], 0
        if window is None:
            return
        advance(window.n_documents)


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
