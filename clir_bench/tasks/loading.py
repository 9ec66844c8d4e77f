"""Loads and checks all pairs of a task before the first expensive step.

Each collection is loaded twice: here, to count, check and hash it, and again to search it. All
judgments of a task may be too many for memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from clir_bench.core import plugins
from clir_bench.core.guards import guarded
from clir_bench.core.profiling import stage
from clir_bench.errors import ClirBenchError, DataError, PluginError
from clir_bench.tasks.adapters import Adapter, Source
from clir_bench.tasks.adapters.checked import checked
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.checks import (
    Inspection,
    count_problems,
    digests,
    inspect,
    inspect_corpus,
    missing_problems,
)
from clir_bench.tasks.outline import NO_OUTLINE, Outline
from clir_bench.types import Collection, Document, LanguagePair

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Loader:
    """Loads the collections of one task's split, cut to `limit` if there is one.

    Attributes:
        limit: Keep the first `limit` judged queries, and the first `limit` documents along with
            those judged for the queries kept; None keeps everything.
    """

    card: TaskCard
    split: str
    source: Source
    limit: int | None = None

    @stage("read")
    def load(self, pair: LanguagePair) -> Collection:
        """Return the collection of one pair.

        Raises:
            ClirBenchError: What the adapter found wrong.
        """
        adapter: Adapter = plugins.load(plugins.ADAPTERS, self.card.adapter)
        where = self._adapter(pair)
        with guarded(lambda: f"{where} failed", PluginError):
            collection = checked(adapter(self.card, pair, self.split, self.source), where)
        if self.card.skip_same_id:
            collection = replace(collection, skip_same_id=True)
        return collection if self.limit is None else _cut(collection, self.limit)

    def _adapter(self, pair: LanguagePair) -> str:
        provider = plugins.provider(plugins.ADAPTERS, self.card.adapter)
        return f"task {self.card.id!r}, pair {pair}: adapter {self.card.adapter!r} of {provider}"


@dataclass(frozen=True)
class PreparedPair:
    """A pair whose collection passed every check.

    Attributes:
        unofficial: Why the loaded data is not all of the benchmark's own data.
    """

    pair: LanguagePair
    inspection: Inspection
    unofficial: tuple[str, ...]


@dataclass(frozen=True)
class CorpusGroup:
    """Pairs that share one corpus, and so one encoding.

    Attributes:
        corpus_pairs: All pairs the corpus was checked for: a corpus cut by a limit depends on
            them, whichever of them are still to be run.
        pairs: Those to be run.
        corpus_sha256: As in `checks.CorpusFacts`.
        outline: As in `checks.CorpusFacts`.
    """

    corpus_id: str
    corpus_sha256: str
    n_documents: int
    corpus_pairs: tuple[LanguagePair, ...]
    pairs: tuple[PreparedPair, ...]
    outline: Outline = NO_OUTLINE


@dataclass
class Preparation:
    """The pairs that can run, and why the others cannot."""

    groups: list[CorpusGroup] = field(default_factory=list)
    failures: dict[LanguagePair, ClirBenchError] = field(default_factory=dict)


@stage("read")
def prepare(
    loader: Loader, pairs: Sequence[LanguagePair], advance: Advance = lambda _: None
) -> Preparation:
    """Load, check and hash every pair's collection.

    Args:
        loader: Where collections come from.
        pairs: The pairs asked for.
        advance: Called with the number of documents read since the last call.
    """
    prepared = Preparation()
    groups: dict[str, list[LanguagePair]] = {}
    for pair in pairs:
        try:
            groups.setdefault(loader.load(pair).corpus_id, []).append(pair)
        except ClirBenchError as error:
            prepared.failures[pair] = error
    for corpus_id, members in groups.items():
        group = _prepare_group(loader, corpus_id, members, prepared.failures, advance)
        if group is not None:
            prepared.groups.append(group)
    return prepared


def _prepare_group(
    loader: Loader,
    corpus_id: str,
    pairs: Sequence[LanguagePair],
    failures: dict[LanguagePair, ClirBenchError],
    advance: Advance,
) -> CorpusGroup | None:
    name = f"task {loader.card.id!r}, split {loader.split!r}"
    try:
        judged = frozenset(qrel.doc_id for pair in pairs for qrel in loader.load(pair).qrels)
        documents = corpus_of(loader, pairs, judged)
        corpus = inspect_corpus(
            documents,
            judged,
            where=f"{name}, documents of {pairs[0]}",
            language=pairs[0].document,
            document_text=loader.card.document_text,
            advance=advance,
        )
    except ClirBenchError as error:
        failures.update(dict.fromkeys(pairs, error))
        return None
    passed = []
    for pair in pairs:
        try:
            inspection = inspect(loader.load(pair), corpus, where=f"{name}, pair {pair}")
        except ClirBenchError as error:
            failures[pair] = error
        else:
            passed.append(PreparedPair(pair, inspection, _unofficial(loader, pair, inspection)))
    if not passed:
        return None
    return CorpusGroup(
        corpus_id, corpus.sha256, corpus.n_documents, tuple(pairs), tuple(passed), corpus.outline
    )


def load_again(loader: Loader, prepared: PreparedPair) -> Collection:
    """Load a pair's collection again, to search it.

    Raises:
        DataError: Its queries or judgments are not those that were checked.
    """
    collection = loader.load(prepared.pair)
    found, _ = digests(collection, prepared.inspection.corpus_sha256)
    if found != prepared.inspection.sha256:
        raise DataError(
            f"task {loader.card.id!r}, split {loader.split!r}, pair {prepared.pair}: the queries "
            "or judgments changed after they were checked; leave a task's files alone while it "
            "runs, then run it again"
        )
    return collection


def corpus_of(
    loader: Loader, pairs: Sequence[LanguagePair], judged: frozenset[str] | None = None
) -> Iterable[Document]:
    """Return the documents that `pairs` share."""
    documents = loader.load(pairs[0]).documents
    if loader.limit is None:
        return documents
    if judged is None:
        judged = frozenset(qrel.doc_id for pair in pairs for qrel in loader.load(pair).qrels)
    return _FirstDocuments(documents, loader.limit, judged)


@dataclass(frozen=True)
class _FirstDocuments:
    """The first `limit` documents of a corpus, and those in `also` from anywhere in it."""

    documents: Iterable[Document]
    limit: int
    also: frozenset[str]

    def __iter__(self) -> Iterator[Document]:
        for number, document in enumerate(self.documents):
            if number < self.limit or document.doc_id in self.also:
                yield document


def _cut(collection: Collection, limit: int) -> Collection:
    judged = {qrel.query_id for qrel in collection.qrels}
    queries = [query for query in collection.queries if query.query_id in judged][:limit]
    kept = {query.query_id for query in queries}
    return replace(
        collection,
        queries=queries,
        qrels=[qrel for qrel in collection.qrels if qrel.query_id in kept],
    )


def _unofficial(loader: Loader, pair: LanguagePair, inspection: Inspection) -> tuple[str, ...]:
    card = loader.card
    reasons = [card.unofficial] if card.unofficial else []
    if loader.source.origin == "sample":
        reasons.append("the embedded sample, not the benchmark")
    if loader.limit is not None:
        return (*reasons, f"cut to {loader.limit} queries and documents (--limit)")
    expected = card.counts_of(loader.split, pair)
    if expected is None:
        reasons.append("the card states no counts to check against")
    else:
        reasons += count_problems(inspection.counts, expected)
    expected_missing = card.missing_judged_of(loader.split, pair)
    reasons += missing_problems(inspection.missing_judged, expected_missing)
    return tuple(reasons)
