"""Yields the vectors of a corpus, window by window: encoded now, or read from disk.

A window is a group of about 1000 documents (`tasks.outline`). The encoder gets the windows in the
order of the corpus, some of them before the search needs them. Each window is compared with what
was checked before (`outline.read_again`). Repeated texts get the vector of the first document with
that text (`repeats`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from clir_bench.core import profiling
from clir_bench.errors import ClirBenchError
from clir_bench.search.repeats import FirstVectors, Repeated
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.entry import Entry, Writing
from clir_bench.search.workers.executor import EncodedTexts, Executor, Pending, hand_out
from clir_bench.tasks.outline import SHARD_WINDOWS, Text, read_again
from clir_bench.types import Document


@dataclass
class PassCost:
    """The cost of one pass over a corpus.

    Attributes:
        encode_seconds: Time in the encoder, documents only, all workers together; for stored
            vectors, the time when they were made.
        index_seconds: Time reading documents and gathering blocks.
        store_seconds: Time storing vectors, and reading and checking stored ones.
        search_seconds: Time searching and merging, one entry per query set.
        n_documents: Documents encoded.
        index_size_bytes: Bytes of all document vectors.
        n_terms: Weights in all sparse vectors.
    """

    search_seconds: list[float] = field(default_factory=list)
    encode_seconds: float = 0.0
    index_seconds: float = 0.0
    store_seconds: float = 0.0
    n_documents: int = 0
    index_size_bytes: int = 0
    n_terms: int = 0


class Window(NamedTuple):
    """Documents handed to the encoder at once.

    Attributes:
        n_documents: Number of documents.
        ids: Of those with text, in the order of their vectors.
        parts: Their vectors.
    """

    n_documents: int
    ids: list[str]
    parts: list[Any]


@dataclass
class _Shard:
    """A shard that is stored when its vectors come."""

    number: int
    ids: list[str]
    n_documents: int
    n_left: int
    seconds: float = 0.0


class _Planned(NamedTuple):
    """A window whose vectors are being made, or are stored."""

    n_documents: int
    ids: list[str]
    repeated: Mapping[int, Repeated]
    pending: list[Pending]
    stored: list[Any]
    shard: _Shard | None


class DocumentVectors:
    """The vectors of a corpus, read once.

    Args:
        documents: The corpus; documents without title and text are skipped.
        executor: Who encodes.
        corpus: The facts found when it was checked.
        entry: An open entry to store vectors in; None to store none.
        numbers: Numbers of the wanted shards; all when None.
        ended: Called when the last window has been handed out.
        tokens: Called with the number of tokens encoded since the last call.

    Attributes:
        cost: The cost so far.
        n_encoded_shards: Shards that were not stored before.
    """

    def __init__(
        self,
        documents: Iterable[Document],
        executor: Executor,
        corpus: Corpus,
        *,
        entry: Entry | None = None,
        numbers: range | None = None,
        ended: Callable[[], None] = lambda: None,
        tokens: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.cost = PassCost()
        self.n_encoded_shards = 0
        self.family = executor.family
        self._executor, self._corpus = executor, corpus
        self._entry, self._numbers = entry, numbers
        self._ended, self._tokens = ended, tokens
        # A job stores its shards and does not search, so it needs no vectors of other shards.
        self._firsts = FirstVectors(corpus.outline.repeated if numbers is None else b"")
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
        """Yield all windows in order; a shard is stored by the time of its last window.

        Raises:
            ClirBenchError: An error of the documents, the encoder or the store.
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
                parts = self._firsts.unify(parts, planned.repeated)
                yield Window(planned.n_documents, planned.ids, parts)
                del parts  # or they would stay in memory while the next ones are encoded
        finally:
            if writing is not None:
                writing.abandon()
            self.close()

    def close(self) -> None:
        """Release windows that were handed out and will not be read."""
        self._plan = None
        self._firsts.close()
        while self._ahead:
            planned = self._ahead.popleft()
            if isinstance(planned, _Planned):
                for pending in planned.pending:
                    pending.discard()

    def _take(self) -> None:
        """Hand out one window; an error is kept until the window's turn."""
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
        corpus = self._corpus
        windows = self._timed(
            read_again(
                documents,
                corpus.outline,
                language=corpus.language,
                document_text=corpus.document_text,
                where=corpus.label,
            )
        )
        if self._entry is None:
            for texts in windows:
                groups = _by_language(texts)
                yield self._window(len(texts), groups, self._handed_out(groups), [], None)
            return
        if self._numbers is not None:
            # Nothing is read beyond the last shard that is wanted.
            windows = islice(windows, SHARD_WINDOWS * (max(self._numbers, default=-1) + 1))
        number = 0
        while shard := list(islice(windows, SHARD_WINDOWS)):
            if self._numbers is None or number in self._numbers:
                yield from self._planned_shard(number, shard, self._entry)
            number += 1

    def _planned_shard(
        self, number: int, windows: list[list[Text]], entry: Entry
    ) -> Iterator[_Planned]:
        groups_of = [_by_language(texts) for texts in windows]
        ids = [doc_id for groups in groups_of for doc_id in _ids_of(groups)]
        n_documents = sum(map(len, windows))
        started = time.perf_counter()
        stored = entry.read(number, ids, n_documents)
        self.cost.store_seconds += time.perf_counter() - started
        if stored is not None:
            self.cost.encode_seconds += stored.encode_seconds
            first = 0
            for texts, groups in zip(windows, groups_of, strict=True):
                last = first + sum(map(len, groups.values()))
                yield self._window(len(texts), groups, [], [stored.vectors(first, last)], None)
                first = last
            return
        self.n_encoded_shards += 1
        shard = _Shard(number, ids, n_documents, len(windows))
        for texts, groups in zip(windows, groups_of, strict=True):
            yield self._window(len(texts), groups, self._handed_out(groups), [], shard)

    def _window(
        self,
        n_documents: int,
        groups: Mapping[str, list[Text]],
        pending: list[Pending],
        stored: list[Any],
        shard: _Shard | None,
    ) -> _Planned:
        repeated = self._firsts.among([text for group in groups.values() for text in group])
        return _Planned(n_documents, _ids_of(groups), repeated, pending, stored, shard)

    def _handed_out(self, groups: Mapping[str, list[Text]]) -> list[Pending]:
        return [
            hand_out(self._executor, "documents", [text.text for text in group], language)
            for language, group in groups.items()
        ]

    def _made(self, planned: _Planned) -> list[Any]:
        """Return a window's vectors; wait for them if needed."""
        encoded: list[EncodedTexts] = [pending.result() for pending in planned.pending]
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

    def _timed(self, windows: Iterator[list[Text]]) -> Iterator[list[Text]]:
        while True:
            started = time.perf_counter()
            texts = next(windows, None)
            self.cost.index_seconds += time.perf_counter() - started
            if texts is None:
                return
            yield texts


def _ids_of(groups: Mapping[str, list[Text]]) -> list[str]:
    return [text.doc_id for group in groups.values() for text in group]


def _by_language(texts: Sequence[Text]) -> dict[str, list[Text]]:
    """Group documents with a text by language, keeping the order within each."""
    groups: dict[str, list[Text]] = {}
    for text in texts:
        if text.text.strip():
            groups.setdefault(text.language, []).append(text)
    return groups
