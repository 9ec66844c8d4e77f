"""One system on one task: every pair, its files, and the result that sums them up.

>>> import tempfile
>>> from clir_bench.adapters.source import locate
>>> from clir_bench.cards import load_card
>>> from clir_bench.encoders import load_encoder
>>> card, system = load_card("xquad"), System(load_encoder("hashing"), spec="hashing")
>>> with tempfile.TemporaryDirectory() as folder:
...     source = locate(card, "sample")  # "validation" for the real data
...     result = evaluate(card, system, output=Path(folder), source=source, split="sample")
>>> result.task.measures[0], sorted(result.tiers.means)
('nDCG@10', ['high', 'low', 'mid'])
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from clir_bench import environment, retrieval
from clir_bench.adapters import Source
from clir_bench.approximation import check_index, search_corpus_by_index
from clir_bench.cards import SAMPLE, TaskCard
from clir_bench.embeddings.entry import Entry
from clir_bench.embeddings.identity import Corpus, identify
from clir_bench.embeddings.store import AUTO, EmbeddingStore, Keeping
from clir_bench.errors import ClirBenchError, UnknownNameError
from clir_bench.index.approximate import ApproximateIndex, IndexSpec
from clir_bench.languages import load_scheme
from clir_bench.ledger import Ledger
from clir_bench.preparation import Group, Loader, PreparedPair, corpus_of, prepare
from clir_bench.results import check_writable, result_path
from clir_bench.retrieval import (
    PassCost,
    QuerySet,
    QueryVectors,
    encode_queries,
    search_corpus,
)
from clir_bench.schema import ApproximateSearch, Cost, Result, SettingsRecord, SystemRecord
from clir_bench.scoring import JUDGED, parse_measures, score
from clir_bench.types import Collection, Encoder, LanguagePair, Query, Run, TokenEncoder

_SAVING_SHARE = 0.05
"""Part of a run's time that may go into storing the result while the run goes on."""


class Progress(Protocol):
    """What shows a person how far a run is; the command line has a bar."""

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase of `total` documents and queries, None when it is not known."""
        ...

    def advance(self, n: int) -> None:
        """Say that `n` more are done."""
        ...

    def end(self) -> None:
        """End the phase."""
        ...


class Silent:
    """Progress nobody sees."""

    def begin(self, label: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Settings:
    """How a task is run.

    Attributes:
        measures: Added to the card's own, by ir-measures name.
        top_k: Documents ranked a query.
        tiers: Name of a tier scheme, or a path to one.
        limit: Cut every pair to this many queries and documents; the result is partial.
        seed: Seed of the bootstrap.
        n_resamples: Bootstrap replicates.
        overwrite: Run pairs again that are done, and replace a result made otherwise.
        command: What the person typed, for the record.
        embeddings: Which documents' vectors are kept on disk, and where.
        stored_only: Encode no documents: all of them must be stored.
        index: An approximate index to search, None for exact search.
    """

    measures: tuple[str, ...] = ()
    top_k: int = 1000
    tiers: str = "joshi"
    limit: int | None = None
    seed: int = 0
    n_resamples: int = 1000
    overwrite: bool = False
    command: str = ""
    embeddings: Keeping = AUTO
    stored_only: bool = False
    index: IndexSpec | None = None


_DEFAULTS = Settings()


@dataclass(frozen=True)
class System:
    """An encoder and how it was come by.

    Attributes:
        encoder: As `encoders.load_encoder` returns it.
        spec: What it was asked for as.
        package: Name and version of the package that provides it.
    """

    encoder: Encoder | TokenEncoder
    spec: str
    package: str = "unknown package"

    def store(self, settings: Settings) -> EmbeddingStore:
        """Return where the vectors of this system's documents are stored."""
        identity = identify(
            self.encoder.info,
            dim=self.encoder.dim,
            spec=self.spec,
            package=self.package,
            seed=settings.seed,
        )
        return EmbeddingStore(
            settings.embeddings, identity, self.encoder, window=retrieval.ENCODE_BLOCK
        )


def evaluate(
    card: TaskCard,
    system: System,
    *,
    output: Path,
    source: Source,
    split: str | None = None,
    pairs: Sequence[LanguagePair] | None = None,
    settings: Settings = _DEFAULTS,
    progress: Progress | None = None,
) -> Result:
    """Run a system on a task and store what it leaves under `output`.

    Pairs that are done in a result of the same system, card and settings are kept and not run
    again; a pair that fails does not stop the others and is recorded with its error.

    Args:
        card: The task.
        system: The encoder to run.
        output: Folder of results.
        source: Where the task's files are (`adapters.source.locate`).
        split: One of the card's splits or "sample"; the card's default when None.
        pairs: Some of the card's pairs; the official ones when None.
        settings: How it is run.
        progress: Shown to a person while it works.

    Raises:
        UnknownNameError: A split or pair the task does not have, or an unknown measure.
        UsageError: An index that FAISS does not make for the encoder's vectors.
        ResultError: A result is there that was made otherwise; nothing is overwritten.
        OutputError: The output folder, or a folder named for vectors, cannot be written or has too
            little room; finished pairs are kept.
        MissingDataError: Vectors are missing that should all be stored.
    """
    split = split or card.default_split
    card = card_for(card, split)
    chosen = tuple(dict.fromkeys(pairs if pairs is not None else card.official_pairs()))
    check_pairs(card, chosen)
    check_index(settings.index, system.encoder)
    record = SystemRecord.of(
        system.encoder.info, dim=system.encoder.dim, spec=system.spec, package=system.package
    )
    ledger = new_ledger(card, record, chosen, output=output, split=split, settings=settings)
    loader = Loader(card, split, source, settings.limit)
    return _Evaluation(ledger, loader, system, settings, progress or Silent()).run()


def new_ledger(
    card: TaskCard,
    system: SystemRecord,
    pairs: tuple[LanguagePair, ...],
    *,
    output: Path,
    split: str,
    settings: Settings,
) -> Ledger:
    """Return the ledger of a result, with what an earlier run of the same has done.

    Raises:
        UnknownNameError: A measure is not known.
        ResultError: A result is there that was made otherwise.
        OutputError: The output folder cannot be written; this is found out before the first
            document is read.
    """
    ledger = Ledger(
        path=result_path(output, system.name, card.id, stored_split(split, settings)),
        system=system,
        card=card,
        split=split,
        measures=tuple(parse_measures([*card.measures, *settings.measures, JUDGED])),
        scheme=load_scheme(settings.tiers),
        settings=SettingsRecord(
            top_k=settings.top_k,
            seed=settings.seed,
            n_resamples=settings.n_resamples,
            index=None if settings.index is None else str(settings.index),
        ),
        limit=settings.limit,
        command=settings.command,
        requested=pairs,
    )
    ledger.look()
    if not settings.overwrite:
        ledger.resume()
    check_writable(ledger.path)
    return ledger


def stored_split(split: str, settings: Settings) -> str:
    """Return the name a split's result is stored under; a partial one has its own."""
    return split if settings.limit is None else f"{split}-limit{settings.limit}"


def card_for(card: TaskCard, split: str) -> TaskCard:
    """Return the card a split is read with.

    Raises:
        UnknownNameError: The task has no such split.
    """
    if split == SAMPLE:
        return card.for_sample()
    if split not in card.splits:
        has = f"Task {card.id!r} has: {', '.join(card.splits)}."
        raise UnknownNameError("split", split, card.splits, has)
    return card


def check_pairs(card: TaskCard, pairs: Sequence[LanguagePair]) -> None:
    """Refuse pairs the task does not have.

    Raises:
        UnknownNameError: Names the first of them and near ones.
    """
    available = {str(pair) for pair in card.available_pairs()}
    for pair in pairs:
        if str(pair) not in available:
            lists = f"`clir-bench tasks {card.id}` lists the pairs of task {card.id!r}."
            raise UnknownNameError("pair", str(pair), available, lists)


class _Evaluation:
    """The steps of one evaluation, which share everything in `__init__`."""

    def __init__(
        self,
        ledger: Ledger,
        loader: Loader,
        system: System,
        settings: Settings,
        progress: Progress,
    ) -> None:
        self.ledger = ledger
        self.loader = loader
        self.encoder = system.encoder
        self.store = system.store(settings)
        self.stored_only, self.index = settings.stored_only, settings.index
        self.progress = progress
        self._query_vectors: dict[tuple[str, str], QueryVectors] = {}
        self._query_uses: Counter[tuple[str, str]] = Counter()

    def run(self) -> Result:
        """Check everything, run what is left to run, and return the stored result."""
        try:
            # Nothing is stored before this is through: until then, what an earlier run has done
            # stands only in the file.
            todo = self._check()
            corpora = [Corpus.of(group, self.loader) for group in todo]
            self.store.plan(corpora)
            if self.stored_only:
                self.store.require(corpora)
            try:
                self._save()
                self._run_groups(todo)
            finally:
                result = self._save()
        finally:
            self.progress.end()
        return result

    def _check(self) -> list[Group]:
        """Check all pairs' data, keep what is done, and return what is left to run."""
        self.progress.begin("checking data", None)
        preparation = prepare(self.loader, self.ledger.requested, self.progress.advance)
        self.progress.end()
        prepared = {pair.pair: pair for group in preparation.groups for pair in group.pairs}
        self.ledger.carry_over(prepared, self.loader)
        for pair, error in preparation.failures.items():
            self.ledger.failed(pair, error)
        todo = []
        for group in preparation.groups:
            left = tuple(pair for pair in group.pairs if pair.pair not in self.ledger.pairs)
            if left:
                todo.append(replace(group, pairs=left))
        return todo

    def _run_groups(self, todo: Sequence[Group]) -> None:
        self._query_uses.update(_query_key(pair) for group in todo for pair in group.pairs)
        self.progress.begin("running", sum(group.n_documents for group in todo))
        saved = save_seconds = 0.0
        for group in todo:
            self._run_group(group)
            started = time.monotonic()
            if started - saved > save_seconds / _SAVING_SHARE:
                self._save()
                saved = time.monotonic()
                save_seconds = saved - started

    def _run_group(self, group: Group) -> None:
        """Answer all pairs of one corpus with one pass over it."""
        collections: list[Collection] = []
        query_sets: list[QuerySet] = []
        answered: list[PreparedPair] = []
        seconds: list[float] = []
        for prepared in group.pairs:
            try:
                collection = self.loader.load(prepared.pair)
                started = time.perf_counter()
                query_sets.append(self._encode_queries(prepared, collection))
            except ClirBenchError as error:
                self.ledger.failed(prepared.pair, str(error))
                continue
            collections.append(collection)
            answered.append(prepared)
            seconds.append(time.perf_counter() - started)
        if not answered:
            return
        corpus = Corpus.of(group, self.loader)
        try:
            with self.store.opened(corpus) as entry:
                runs, cost, approximate = self._search(group, corpus, query_sets, entry)
        except ClirBenchError as error:
            for prepared in answered:
                self.ledger.failed(prepared.pair, str(error))
            return
        for number, (prepared, collection, run) in enumerate(
            zip(answered, collections, runs, strict=True)
        ):
            started = time.perf_counter()
            try:
                scores = score(run, collection.qrels, self.ledger.measures)
            except ClirBenchError as error:
                self.ledger.failed(prepared.pair, str(error))
                continue
            scored = time.perf_counter() - started
            self.ledger.done(
                prepared,
                run,
                scores,
                _cost(cost, number, len(run.query_ids), seconds[number], scored),
                approximate[number] if approximate else None,
            )
        if all(pair.pair in self.ledger.scores for pair in group.pairs):
            self.store.finished(corpus)

    def _search(
        self, group: Group, corpus: Corpus, query_sets: Sequence[QuerySet], entry: Entry | None
    ) -> tuple[list[Run], PassCost, list[ApproximateSearch]]:
        """Pass over a corpus, with the index that was asked for; exact search has no records."""
        documents, k = corpus_of(self.loader, group.corpus_pairs), self.ledger.settings.top_k
        if self.index is None or isinstance(self.encoder, TokenEncoder):
            runs, cost = search_corpus(
                self.encoder,
                documents,
                query_sets,
                k=k,
                language=corpus.language,
                document_text=corpus.document_text,
                advance=self.progress.advance,
                entry=entry,
            )
            return runs, cost, []
        folder = entry.folder if entry is not None and self.store.keeps else None
        return search_corpus_by_index(
            self.encoder,
            documents,
            query_sets,
            ApproximateIndex(self.index, self.encoder.dim, folder),
            k=k,
            corpus=corpus,
            advance=self.progress.advance,
            entry=entry,
        )

    def _encode_queries(self, prepared: PreparedPair, collection: Collection) -> QuerySet:
        """Return the judged queries' vectors, encoding equal queries of equal language once."""
        judged = {qrel.query_id for qrel in collection.qrels}
        queries = [query for query in collection.queries if query.query_id in judged]
        key = _query_key(prepared)
        if key not in self._query_vectors:
            self._query_vectors[key] = encode_queries(self.encoder, queries, prepared.pair.query)
        vectors = self._query_vectors[key]
        self._query_uses[key] -= 1
        if not self._query_uses[key]:
            del self._query_vectors[key]
        return QuerySet(_ids(queries), vectors, collection.skip_same_id)

    def _save(self) -> Result:
        result = self.ledger.save(tuple(dict.fromkeys(self.loader.source.unofficial)))
        # Only now: had the process been killed before, the pairs would be run again.
        self.store.discard_finished()
        return result


def _query_key(prepared: PreparedPair) -> tuple[str, str]:
    return prepared.pair.query, prepared.inspection.queries_sha256


def _ids(queries: Sequence[Query]) -> list[str]:
    return [query.query_id for query in queries]


def _cost(
    cost: PassCost, number: int, n_queries: int, query_seconds: float, score_seconds: float
) -> Cost:
    search_seconds = cost.search_seconds[number]
    return Cost(
        documents_per_second=_rate(cost.n_documents, cost.encode_seconds),
        queries_per_second=_rate(n_queries, query_seconds + search_seconds),
        encode_seconds=round(cost.encode_seconds + query_seconds, 4),
        index_seconds=round(cost.index_seconds + cost.store_seconds, 4),
        search_seconds=round(search_seconds, 4),
        score_seconds=round(score_seconds, 4),
        peak_memory_bytes=environment.peak_memory_bytes(),
        index_size_bytes=cost.index_size_bytes,
        pairs_sharing_corpus=len(cost.search_seconds),
    )


def _rate(n: int, seconds: float) -> float:
    return round(n / max(seconds, 1e-9), 1)
