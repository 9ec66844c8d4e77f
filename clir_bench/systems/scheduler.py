"""Ranks the documents for all pairs of a task; reads each corpus once and keeps workers busy.

A task may have one corpus of millions of documents, or two hundred corpora of a thousand each. To
keep all workers busy in both cases, this module gives them queries and documents to encode before
the search needs these, also those of the next corpus.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from clir_bench.errors import ClirBenchError
from clir_bench.results.schema import ApproximateSearch
from clir_bench.search.approximate_index import ApproximateIndex
from clir_bench.search.approximate_search import search_by_index
from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.lexical import LexicalQuerySet, search_terms
from clir_bench.search.search import QuerySet, search
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.entry import Entry
from clir_bench.search.workers.executor import EncodedTexts, Executor, Pending, hand_out
from clir_bench.systems.answers import (
    Answer,
    Asked,
    GroupAnswers,
    PairCost,
    Task,
    as_written,
    judged_queries,
)
from clir_bench.tasks.loading import CorpusGroup, PreparedPair, corpus_of, load_again
from clir_bench.types import (
    POOL,
    AnyEncoder,
    Collection,
    LanguagePair,
    LexicalEncoder,
    Run,
    SparseRows,
    StructuredQueries,
)

logger = logging.getLogger(__name__)


_Key: TypeAlias = tuple[str, str, str]


class LexicalQueries(NamedTuple):
    """Structured queries, and the time it took to make them."""

    queries: StructuredQueries
    seconds: float


@dataclass
class _Asked:
    """A pair whose queries are being encoded."""

    prepared: PreparedPair
    collection: Collection
    query_ids: list[str]
    pending: Pending | LexicalQueries
    method: str
    seconds: float


@dataclass
class _Begun:
    """A group whose documents and queries are being encoded."""

    found: GroupAnswers
    asked: list[_Asked]
    documents: DocumentVectors | None
    entry: Entry | None
    open: ExitStack
    error: ClirBenchError | None = None


class Passes:
    """Answers groups of pairs in order.

    Args:
        encoder: Makes the vectors.
        executor: Has the encoder encode.
        task: What all groups have in common, with one store.
        device: Where vectors are compared, as `search.search` takes it.
    """

    def __init__(
        self, encoder: AnyEncoder, executor: Executor, task: Task, device: str = "cpu"
    ) -> None:
        self._encoder, self._executor, self._task, self._device = encoder, executor, task, device
        self._loader, self._progress = task.loader, task.progress
        (self._store,) = task.stores
        inner = getattr(encoder, "inner", encoder)
        self._lexical = inner if isinstance(inner, LexicalEncoder) else None
        self._waiting: deque[CorpusGroup] = deque()
        self._begun: deque[_Begun] = deque()
        self._queries: dict[_Key, Pending | LexicalQueries] = {}
        self._uses: Counter[_Key] = Counter()
        self._is_looking = False

    def answers(self, groups: Sequence[CorpusGroup]) -> Iterator[GroupAnswers]:
        """Yield each group's answers; a pair or group that fails does not stop the others."""
        self._waiting.extend(groups)
        self._uses.update(self._key(pair) for group in groups for pair in group.pairs)
        try:
            while self._waiting or self._begun:
                if not self._begun:
                    self._begin(self._waiting.popleft())
                self._look_ahead()
                with self._begun[0].open:
                    begun = self._begun.popleft()
                    self._answer(begun)
                yield begun.found
        finally:
            while self._begun:
                self._begun.popleft().open.close()

    def _look_ahead(self) -> None:
        """Begin further groups while there is room; each begun group calls this again."""
        if self._is_looking:
            return
        self._is_looking = True
        try:
            while self._waiting and self._executor.has_room():
                self._begin(self._waiting.popleft())
        finally:
            self._is_looking = False

    def _begin(self, group: CorpusGroup) -> None:
        """Hand out a group's queries and as many of its documents as fit."""
        corpus = Corpus.of(group, self._loader)
        begun = _Begun(GroupAnswers(group, corpus), [], None, None, ExitStack())
        self._begun.append(begun)
        for prepared in group.pairs:
            try:
                begun.asked.append(self._ask(prepared))
            except ClirBenchError as error:
                begun.found.failures[prepared.pair] = str(error)
        if not begun.asked:
            return
        try:
            begun.entry = begun.open.enter_context(self._store.opened(corpus))
            begun.documents = DocumentVectors(
                corpus_of(self._loader, group.corpus_pairs),
                self._executor,
                corpus,
                entry=begun.entry,
                ended=self._look_ahead,
                tokens=self._progress.tokens,
            )
        except ClirBenchError as error:
            begun.error = error
            return
        begun.open.callback(begun.documents.close)
        begun.documents.look_ahead()

    def _key(self, prepared: PreparedPair) -> _Key:
        """Return a key; pairs with equal keys share the encoding of their queries."""
        pair, task = prepared.pair, self._task
        own = self._lexical is None and task.rewrite is as_written
        return pair.query, prepared.inspection.queries_sha256, "" if own else pair.document

    def _ask(self, prepared: PreparedPair) -> _Asked:
        """Hand out the judged queries of a pair; equal queries of equal language only once."""
        collection = load_again(self._loader, prepared)
        queries = judged_queries(collection)
        asked = self._task.rewrite(prepared, queries)
        key, languages = self._key(prepared), self._document_languages(prepared)
        method = asked.method
        if self._lexical is not None:
            own = self._lexical.method(asked.language, languages)
            method = f"{method}; {own}" if method else own
        if key not in self._queries:
            self._queries[key] = self._handed_out(asked, languages)
        pending = self._queries[key]
        self._uses[key] -= 1
        if not self._uses[key]:
            del self._queries[key]
        ids = [query.query_id for query in queries]
        return _Asked(prepared, collection, ids, pending, method, asked.seconds)

    def _handed_out(
        self, asked: Asked, document_languages: Sequence[str]
    ) -> Pending | LexicalQueries:
        if self._lexical is None:
            return hand_out(self._executor, "queries", asked.texts, asked.language)
        started = time.perf_counter()
        checked: Any = self._encoder
        queries = checked.structure_queries(
            asked.texts, language=asked.language, document_languages=document_languages
        )
        return LexicalQueries(queries, time.perf_counter() - started)

    def _document_languages(self, prepared: PreparedPair) -> Sequence[str]:
        language = prepared.pair.document
        return sorted(self._loader.card.languages) if language == POOL else [language]

    def _answer(self, begun: _Begun) -> None:
        """Wait for a group's vectors and search them."""
        asked: list[_Asked] = []
        query_sets: list[Any] = []
        seconds: list[float] = []
        for one in begun.asked:
            try:
                query_set, taken = self._query_set(one)
            except ClirBenchError as error:
                begun.found.failures[one.prepared.pair] = str(error)
                continue
            query_sets.append(query_set)
            asked.append(one)
            seconds.append(taken + one.seconds)
        try:
            if begun.error is not None:
                raise begun.error
            if not asked or begun.documents is None:
                return
            runs, cost, approximate = self._search(begun.documents, query_sets, begun.entry)
        except ClirBenchError as error:
            begun.found.failures.update({one.prepared.pair: str(error) for one in asked})
            return
        for number, one in enumerate(asked):
            _warn_of_ties(one.prepared.pair, runs[number])
            begun.found.answers.append(
                Answer(
                    one.prepared,
                    one.collection,
                    runs[number],
                    _cost(cost, number, seconds[number]),
                    approximate[number] if approximate else None,
                    _with_active_terms(one.method, query_sets[number], cost),
                )
            )

    def _query_set(self, asked: _Asked) -> tuple[QuerySet | LexicalQuerySet, float]:
        """Return a pair's encoded queries, and the time encoding them."""
        pending, skips = asked.pending, asked.collection.skip_same_id
        if isinstance(pending, LexicalQueries):
            return LexicalQuerySet(asked.query_ids, pending.queries, skips), pending.seconds
        found = self._encoded(pending)
        return QuerySet(asked.query_ids, found.vectors, skips), found.seconds

    def _encoded(self, pending: Pending) -> EncodedTexts:
        found = pending.result()
        self._progress.tokens(found.counts.get("tokens", 0))
        return found

    def _search(
        self, documents: DocumentVectors, query_sets: Sequence[Any], entry: Entry | None
    ) -> tuple[list[Run], PassCost, list[ApproximateSearch]]:
        """Search a corpus with the requested index; exact search returns no records."""
        advance, index, k = self._progress.advance, self._task.index, self._task.top_k
        if self._lexical is not None:
            k1, b = self._lexical.k1, self._lexical.b
            runs, cost = search_terms(documents, query_sets, k=k, k1=k1, b=b, advance=advance)
            return runs, cost, []
        if index is None or documents.family != "single":
            runs, cost = search(documents, query_sets, k=k, advance=advance, device=self._device)
            return runs, cost, []
        folder = entry.folder if entry is not None and self._store.keeps else None
        made = ApproximateIndex(index, self._encoder.dim, folder)
        return search_by_index(documents, query_sets, made, k=k, advance=advance)


def _cost(cost: PassCost, number: int, query_seconds: float) -> PairCost:
    """Return the cost of one of the query sets of a pass."""
    return PairCost(
        n_documents=cost.n_documents,
        encode_seconds=cost.encode_seconds,
        index_seconds=cost.index_seconds,
        store_seconds=cost.store_seconds,
        index_size_bytes=cost.index_size_bytes,
        query_seconds=query_seconds,
        search_seconds=cost.search_seconds[number],
        n_sharing=len(cost.search_seconds),
    )


def _with_active_terms(method: str, asked: QuerySet | LexicalQuerySet, cost: PassCost) -> str:
    """Return the method, for sparse vectors with the mean number of their weights."""
    if not isinstance(asked, QuerySet) or not isinstance(asked.vectors, SparseRows):
        return method
    queries = len(asked.vectors.ids) / max(1, len(asked.vectors))
    documents = cost.n_terms / max(1, cost.n_documents)
    own = f"active dimensions: {queries:.1f} per query, {documents:.1f} per document"
    return f"{method}; {own}" if method else own


def _warn_of_ties(pair: LanguagePair, run: Run) -> None:
    """Warn when every query gives all documents one score, so that ids alone make the ranking."""
    several = [scores for scores in run.scores if len(scores) > 1]
    if several and all(scores[0] == scores[-1] for scores in several):
        logger.warning(
            "pair %s: for every query all documents score the same, and are ranked by their ids: "
            "the encoder's vectors are alike, or too coarse for their length",
            pair,
        )
