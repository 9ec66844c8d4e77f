"""Ranks the documents for all pairs of a task; reads each corpus once and keeps workers busy.

A task may have one corpus of millions of documents, or two hundred corpora of a thousand each. To
keep all workers busy in both cases, this module gives them queries and documents to encode before
the search needs these, also those of the next corpus.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from clir_bench.core.progress import Progress
from clir_bench.errors import ClirBenchError
from clir_bench.results.schema import ApproximateSearch
from clir_bench.search.approximate_index import ApproximateIndex, IndexSpec
from clir_bench.search.approximate_search import search_by_index
from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.search import QuerySet, search
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.entry import Entry
from clir_bench.search.vectors.store import EmbeddingStore
from clir_bench.search.workers.executor import EncodedTexts, Executor, Pending, hand_out
from clir_bench.tasks.loading import CorpusGroup, Loader, PreparedPair, corpus_of, load_again
from clir_bench.types import Collection, LanguagePair, Query, Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The ranking of one pair, and its cost.

    Attributes:
        cost: Cost of the pass over the corpus, which all pairs of the group share.
        number: Number of the pair's query set in the pass.
        query_seconds: Time encoding the queries; pairs with equal queries share it.
        approximate: What an approximate index missed; None for exact search.
    """

    prepared: PreparedPair
    collection: Collection
    run: Run
    cost: PassCost
    number: int
    query_seconds: float
    approximate: ApproximateSearch | None = None


@dataclass(frozen=True)
class GroupAnswers:
    """The rankings and failures of the pairs of one corpus."""

    group: CorpusGroup
    corpus: Corpus
    answers: list[Answer] = field(default_factory=list)
    failures: dict[LanguagePair, str] = field(default_factory=dict)


@dataclass
class _Asked:
    """A pair whose queries are being encoded."""

    prepared: PreparedPair
    collection: Collection
    queries: list[Query]
    pending: Pending


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
        loader: Loads the collections.
        executor: Encodes the texts.
        store: Stores documents' vectors; it has planned for all groups.
        progress: Receives the numbers of documents and tokens done.
        top_k: Documents to rank per query.
        dim: Length of every vector.
        device: Where vectors are compared, as `search.search` takes it.
        index: An approximate index to search, None for exact search.
    """

    def __init__(
        self,
        loader: Loader,
        executor: Executor,
        store: EmbeddingStore,
        progress: Progress,
        *,
        top_k: int,
        dim: int,
        device: str = "cpu",
        index: IndexSpec | None = None,
    ) -> None:
        self._loader, self._executor, self._store = loader, executor, store
        self._progress, self._top_k, self._dim, self._index = progress, top_k, dim, index
        self._device = device
        self._waiting: deque[CorpusGroup] = deque()
        self._begun: deque[_Begun] = deque()
        self._queries: dict[tuple[str, str], Pending] = {}
        self._uses: Counter[tuple[str, str]] = Counter()
        self._is_looking = False

    def answers(self, groups: Sequence[CorpusGroup]) -> Iterator[GroupAnswers]:
        """Yield each group's answers; a pair or group that fails does not stop the others."""
        self._waiting.extend(groups)
        self._uses.update(query_key(pair) for group in groups for pair in group.pairs)
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

    def _ask(self, prepared: PreparedPair) -> _Asked:
        """Hand out the judged queries of a pair; equal queries of equal language only once."""
        collection = load_again(self._loader, prepared)
        judged = {qrel.query_id for qrel in collection.qrels}
        queries = [query for query in collection.queries if query.query_id in judged]
        key = query_key(prepared)
        if key not in self._queries:
            texts = [query.text for query in queries]
            self._queries[key] = hand_out(self._executor, "queries", texts, prepared.pair.query)
        pending = self._queries[key]
        self._uses[key] -= 1
        if not self._uses[key]:
            del self._queries[key]
        return _Asked(prepared, collection, queries, pending)

    def _answer(self, begun: _Begun) -> None:
        """Wait for a group's vectors and search them."""
        asked, query_sets, encoded = [], [], []
        for one in begun.asked:
            try:
                found = self._encoded(one.pending)
            except ClirBenchError as error:
                begun.found.failures[one.prepared.pair] = str(error)
                continue
            ids = [query.query_id for query in one.queries]
            query_sets.append(QuerySet(ids, found.vectors, one.collection.skip_same_id))
            asked.append(one)
            encoded.append(found)
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
                    cost,
                    number,
                    encoded[number].seconds,
                    approximate[number] if approximate else None,
                )
            )

    def _encoded(self, pending: Pending) -> EncodedTexts:
        found = pending.result()
        self._progress.tokens(found.counts.get("tokens", 0))
        return found

    def _search(
        self, documents: DocumentVectors, query_sets: Sequence[QuerySet], entry: Entry | None
    ) -> tuple[list[Run], PassCost, list[ApproximateSearch]]:
        """Search a corpus with the requested index; exact search returns no records."""
        advance = self._progress.advance
        if self._index is None or documents.late:
            runs, cost = search(
                documents, query_sets, k=self._top_k, advance=advance, device=self._device
            )
            return runs, cost, []
        folder = entry.folder if entry is not None and self._store.keeps else None
        index = ApproximateIndex(self._index, self._dim, folder)
        return search_by_index(documents, query_sets, index, k=self._top_k, advance=advance)


def query_key(prepared: PreparedPair) -> tuple[str, str]:
    """Return a key; pairs with equal keys share the encoding of their queries."""
    return prepared.pair.query, prepared.inspection.queries_sha256


def _warn_of_ties(pair: LanguagePair, run: Run) -> None:
    """Warn when every query gives all documents one score, so that ids alone make the ranking."""
    several = [scores for scores in run.scores if len(scores) > 1]
    if several and all(scores[0] == scores[-1] for scores in several):
        logger.warning(
            "pair %s: for every query all documents score the same, and are ranked by their ids: "
            "the encoder's vectors are alike, or too coarse for their length",
            pair,
        )
