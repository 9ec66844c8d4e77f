"""Documents to vectors, a window at a time, and some windows ahead of whoever reads them.

Documents are handed to the encoder in windows of a fixed number, in the corpus' order, whoever
encodes them and whether their vectors are stored, read back or neither: which texts are padded
together can move a vector's last bits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from clir_bench import profiling
from clir_bench.embeddings.entry import Entry, Writing
from clir_bench.errors import ClirBenchError
from clir_bench.types import Document
from clir_bench.workers.work import Encoded, Executor, Pending, TextBatch

ENCODE_BLOCK = 1024
"""Documents encoded together, and between two looks at the progress bar."""


@dataclass
class PassCost:
    """What one pass over a corpus took.

    Attributes:
        encode_seconds: Time in the encoder, documents only, all workers together; for stored
            vectors, what it took when they were made.
        index_seconds: Time reading documents and gathering blocks.
        store_seconds: Time storing vectors, and reading and checking stored ones.
        search_seconds: Time searching and merging, one entry a query set.
        n_documents: Documents encoded.
        index_size_bytes: Bytes of all document vectors.
    """

    search_seconds: list[float] = field(default_factory=list)
    encode_seconds: float = 0.0
    index_seconds: float = 0.0
    store_seconds: float = 0.0
    n_documents: int = 0
    index_size_bytes: int = 0


class Window(NamedTuple):
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
class _Shard:
    """A shard whose vectors are to be stored when they come."""

    number: int
    ids: list[str]
    n_documents: int
    n_left: int
    seconds: float = 0.0


class _Planned(NamedTuple):
    """A window whose vectors are being made, or are stored."""

    n_documents: int
    ids: list[str]
    pending: list[Pending]
    stored: list[Any]
    shard: _Shard | None


class DocumentVectors:
    """The vectors of a corpus, read once.

    Args:
        documents: The corpus; documents without title and text are passed over.
        executor: Who encodes.
        language: The documents' language where a document does not state its own.
        document_text: How title and text are joined, as on the task's card.
        entry: Where vectors are stored, already opened; None to store none.
        numbers: Of the shards that are wanted, all of them when None.
        ended: Called when the last window has been handed out.
        tokens: Called with the number of tokens encoded since the last call.

    Attributes:
        cost: What it has taken so far.
        n_encoded_shards: Shards that were not stored before.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        executor: Executor,
        *,
        language: str,
        document_text: str,
        entry: Entry | None = None,
        numbers: range | None = None,
        ended: Callable[[], None] = lambda: None,
        tokens: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.cost = PassCost()
        self.n_encoded_shards = 0
        self.late = executor.late
        self._executor, self._language, self._document_text = executor, language, document_text
        self._entry, self._numbers = entry, numbers
        self._ended, self._tokens = ended, tokens
        self._plan: Iterator[_Planned] | None = self._planned(documents)
        self._ahead: deque[_Planned | ClirBenchError] = deque()

    def look_ahead(self) -> None:
        """Hand out windows while there are workers with nothing to do."""
        while (
            self._plan is not None
            and len(self._ahead) < self._executor.ahead
            and self._executor.has_room()
        ):
            self._take()

    def windows(self) -> Iterator[Window]:
        """Yield all windows in order; by a shard's last one the shard is stored.

        Raises:
            ClirBenchError: What went wrong with the documents, the encoder or the store.
        """
        writing: Writing | None = None
        try:
            while (planned := self._next()) is not None:
                shard = planned.shard
                if shard is not None and writing is None and self._entry is not None:
                    writing = Writing(self._entry, shard.number)
                parts = self._made(planned)
                if shard is not None and writing is not None:
                    self._write(writing, shard, parts)
                    writing = writing if shard.n_left else None
                self.look_ahead()
                yield Window(planned.n_documents, planned.ids, parts)
                del parts  # or they would stay in memory while the next ones are encoded
        finally:
            if writing is not None:
                writing.abandon()
            self.close()

    def close(self) -> None:
        """Let go of what was handed out and nobody will read."""
        self._plan = None
        while self._ahead:
            planned = self._ahead.popleft()
            if isinstance(planned, _Planned):
                for pending in planned.pending:
                    pending.discard()

    def _take(self) -> None:
        """Hand out one window; what goes wrong is kept for when its turn comes."""
        planned: _Planned | ClirBenchError | None = None
        if self._plan is not None:
            try:
                planned = next(self._plan, None)
            except ClirBenchError as error:
                planned = error
        if planned is not None:
            self._ahead.append(planned)
        if not isinstance(planned, _Planned):
            self._plan = None
            self._ended()

    def _next(self) -> _Planned | None:
        if not self._ahead and self._plan is not None:
            self._take()
        if not self._ahead:
            return None
        planned = self._ahead.popleft()
        if isinstance(planned, ClirBenchError):
            raise planned
        return planned

    def _planned(self, documents: Iterable[Document]) -> Iterator[_Planned]:
        if self._entry is None:
            for block in self._timed(_blocks(documents, ENCODE_BLOCK)):
                groups = self._texts(block)
                yield _Planned(len(block), _ids_of(groups), self._handed_out(groups), [], None)
            return
        # Nothing is read beyond the last shard that is wanted.
        end = None if self._numbers is None else max(self._numbers, default=-1) + 1
        shards = self._timed(_blocks(documents, self._entry.shard_documents))
        for number, block in enumerate(islice(shards, end)):
            if self._numbers is None or number in self._numbers:
                yield from self._planned_shard(number, block, self._entry)

    def _planned_shard(
        self, number: int, documents: list[Document], entry: Entry
    ) -> Iterator[_Planned]:
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
                yield _Planned(len(block), of_window, [], [stored.vectors(first, last)], None)
                first = last
            return
        self.n_encoded_shards += 1
        shard = _Shard(number, ids, len(documents), len(blocks))
        for block, groups, of_window in zip(blocks, texts, window_ids, strict=True):
            yield _Planned(len(block), of_window, self._handed_out(groups), [], shard)

    def _handed_out(self, groups: dict[str, list[tuple[str, str]]]) -> list[Pending]:
        return [
            self._executor.submit(TextBatch("documents", [text for _, text in group], language))
            for language, group in groups.items()
        ]

    def _made(self, planned: _Planned) -> list[Any]:
        """Return a window's vectors, waiting for them if need be."""
        encoded: list[Encoded] = [pending.result() for pending in planned.pending]
        planned.pending.clear()  # which would keep the vectors as long as the window is known
        seconds = sum(one.seconds for one in encoded)
        self.cost.encode_seconds += seconds
        self._tokens(sum(one.counts.get("tokens", 0) for one in encoded))
        if planned.shard is not None:
            planned.shard.seconds += seconds
        return planned.stored or [one.vectors for one in encoded]

    def _write(self, writing: Writing, shard: _Shard, parts: Sequence[Any]) -> None:
        started = time.perf_counter()
        with profiling.stage("write"):
            for part in parts:
                writing.add(part)
            shard.n_left -= 1
            if not shard.n_left:
                writing.finish(shard.ids, shard.n_documents, shard.seconds)
        self.cost.store_seconds += time.perf_counter() - started

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
            if (text := document_string(document, self._document_text)).strip():
                group = groups.setdefault(document.language or self._language, [])
                group.append((document.doc_id, text))
        self.cost.index_seconds += time.perf_counter() - started
        return groups


def document_string(document: Document, template: str) -> str:
    """Join title and text as the card says; an absent part takes its separator with it.

    >>> document_string(Document("d", "Nairobi ni jiji.", "Nairobi"), "{title} {text}")
    'Nairobi Nairobi ni jiji.'
    """
    if not document.title.strip() or not document.text.strip():
        text, title = document.text, "" if template == "{text}" else document.title
        return text if text.strip() else title
    return template.format(title=document.title, text=document.text)


def _blocks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    stream = iter(documents)
    while block := list(islice(stream, size)):
        yield block


def _ids_of(groups: dict[str, list[tuple[str, str]]]) -> list[str]:
    return [doc_id for group in groups.values() for doc_id, _ in group]
