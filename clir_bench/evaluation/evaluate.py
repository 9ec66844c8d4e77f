"""Evaluates one system on one task: ranks and scores every pair, and stores runs and result.

>>> import tempfile
>>> from clir_bench.tasks.source import locate
>>> from clir_bench.tasks.catalog import load_card
>>> from clir_bench.systems.names import load_system
>>> card, system = load_card("xquad"), load_system("hashing")
>>> with tempfile.TemporaryDirectory() as folder:
...     source = locate(card, "sample")  # "validation" for the real data
...     result = evaluate(card, system, output=Path(folder), source=source, split="sample")
>>> result.task.measures[0], sorted(result.tiers.means)
('nDCG@10', ['high', 'low', 'mid'])
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clir_bench.core import provenance
from clir_bench.core.progress import Progress, Silent
from clir_bench.errors import ClirBenchError, UnknownNameError
from clir_bench.evaluation.records import Matching
from clir_bench.evaluation.result_builder import ResultBuilder
from clir_bench.evaluation.settings import DEFAULTS, RunSettings
from clir_bench.metrics.scoring import score
from clir_bench.results.schema import Cost, Result, SettingsRecord
from clir_bench.results.store import check_writable, result_path
from clir_bench.results.system_record import SystemRecord
from clir_bench.search.approximate_search import check_index
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.store import EmbeddingStore
from clir_bench.systems.answers import Answer, GroupAnswers, Task
from clir_bench.systems.system import System
from clir_bench.tasks.adapters import Source
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.loading import CorpusGroup, Loader, prepare
from clir_bench.tasks.measures import (
    EVERYTHING,
    JUDGED,
    Depth,
    depth_of,
    looks_at,
    parse_measures,
    refuse,
)
from clir_bench.types import LanguagePair

_SAVING_SHARE = 0.05
"""Part of a run's time that may go into storing the result while the run goes on."""


def evaluate(
    card: TaskCard,
    system: System,
    *,
    output: Path,
    source: Source,
    split: str | None = None,
    pairs: Sequence[LanguagePair] | None = None,
    settings: RunSettings = DEFAULTS,
    progress: Progress | None = None,
) -> Result:
    """Run a system on a task and store its result and files under `output`.

    A stored result of the same system, card and settings keeps its finished pairs; they do not run
    again. A pair that fails does not stop the others and is recorded with its error.

    Args:
        card: The task.
        system: The encoder to run.
        output: Folder of results.
        source: Where the task's files are (`tasks.source.locate`).
        split: One of the card's splits or "sample"; the card's default when None.
        pairs: Some of the card's pairs; the official ones when None.
        settings: How it is run.
        progress: Shows a person how far the run is.

    Raises:
        UnknownNameError: A split or pair the task does not have, or an unknown measure.
        UsageError: FAISS cannot make this index for the encoder's vectors, or a measure of
            `settings` looks deeper than the rankings go.
        ResultError: The stored result has other settings; nothing is overwritten.
        OutputError: The output folder, or a folder named for vectors, cannot be written or has too
            little room; finished pairs are kept.
        MissingDataError: Vectors are missing although all should be stored.
    """
    split = split or card.default_split
    card = card_for(card, split)
    chosen = tuple(dict.fromkeys(pairs if pairs is not None else card.official_pairs()))
    check_pairs(card, chosen)
    system = system.for_task(card)
    system.check(card, split, chosen)
    check_index(settings.index, [leaf.encoder for leaf in system.leaves])
    check_depth(card, chosen, split, settings)
    loader = Loader(card, split, source, settings.limit)
    builder = new_builder(loader, system.record, chosen, output=output, settings=settings)
    return _Evaluation(builder, system, settings, progress or Silent()).run()


def new_builder(
    loader: Loader,
    system: SystemRecord,
    pairs: tuple[LanguagePair, ...],
    *,
    output: Path,
    settings: RunSettings,
    elsewhere: bool = False,
) -> ResultBuilder:
    """Return the builder of a result, with the pairs that an earlier run has done.

    Args:
        loader: Loads the collections.
        system: The system to run.
        pairs: The pairs asked for.
        output: Folder of results.
        settings: How it is run.
        elsewhere: The runs were made elsewhere, so only they show their depth.

    Raises:
        UnknownNameError: A measure is not known.
        ResultError: The stored result has other settings.
        OutputError: The output folder cannot be written; checked before the first document is read.
    """
    card = loader.card
    builder = ResultBuilder(
        path=result_path(output, system.name, card.id, stored_split(loader.split, settings)),
        system=system,
        loader=loader,
        measures=tuple(parse_measures([*card.measures, *settings.measures, JUDGED])),
        scheme=load_scheme(settings.tiers),
        settings=SettingsRecord(
            top_k=settings.top_k,
            seed=settings.seed,
            n_resamples=settings.n_resamples,
            index=None if settings.index is None else str(settings.index),
        ),
        command=settings.command,
        requested=pairs,
        overwrite=settings.overwrite,
        asked=tuple(parse_measures(settings.measures)),
        elsewhere=elsewhere,
    )
    builder.open()
    check_writable(builder.path)
    return builder


def stored_split(split: str, settings: RunSettings) -> str:
    """Return the name under which a split's result is stored; a partial result has its own."""
    return split if settings.limit is None else f"{split}-limit{settings.limit}"


def card_for(card: TaskCard, split: str) -> TaskCard:
    """Return the card with which a split is read.

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
        UnknownNameError: Names the first such pair and near names.
    """
    available = {str(pair) for pair in card.available_pairs()}
    for pair in pairs:
        if str(pair) not in available:
            lists = f"`clir-bench tasks {card.id}` lists the pairs of task {card.id!r}."
            raise UnknownNameError("pair", str(pair), available, lists)


def check_depth(
    card: TaskCard, pairs: Sequence[LanguagePair], split: str, settings: RunSettings
) -> None:
    """Refuse measures that the user named and that look deeper than the rankings will go.

    Corpus sizes come from the card; sizes that it does not state are checked later.

    Raises:
        UsageError: Says how many documents must be ranked.
    """
    stated = [card.counts_of(split, pair) for pair in pairs] if settings.limit is None else []
    if any(counts is not None and counts.documents > settings.top_k for counts in stated):
        asked = parse_measures(settings.measures)
        refuse([name for name in asked if looks_at(name) > settings.top_k], settings.top_k)


class _Evaluation:
    """The steps of one evaluation, which share everything in `__init__`."""

    def __init__(
        self,
        builder: ResultBuilder,
        system: System,
        settings: RunSettings,
        progress: Progress,
    ) -> None:
        self.builder, self.loader, self.settings = builder, builder.loader, settings
        self.system = system
        self.stores = [leaf.store(settings.embeddings, settings.seed) for leaf in system.leaves]
        self.progress = progress

    def run(self) -> Result:
        """Check everything, run what is left to run, and return the stored result."""
        try:
            # Nothing is stored before this ends: until then, an earlier run's pairs are only in the
            # file. The first save keeps other runs out.
            todo = self._check()
            corpora = [Corpus.of(group, self.loader) for group in todo]
            for store in self.stores:
                store.plan(corpora)
                if self.settings.stored_only:
                    store.require(corpora)
            try:
                self._save()
                self._run_groups(todo)
            finally:
                result = self._save()
        finally:
            self.progress.end()
        return result

    def _check(self) -> list[CorpusGroup]:
        """Check all pairs' data, keep what is done, and return what is left to run."""
        self.progress.begin("checking data", None)
        preparation = prepare(self.loader, self.builder.requested, self.progress.advance)
        self.progress.end()
        prepared = {pair.pair: pair for group in preparation.groups for pair in group.pairs}
        top_k = self.settings.top_k
        is_cut = any(pair.inspection.n_rankable > top_k for pair in prepared.values())
        depth = top_k if is_cut else EVERYTHING
        refuse(self.builder.lost_at(depth), depth)
        self.builder.reach(depth)
        self.builder.carry_over(prepared)
        for pair, error in preparation.failures.items():
            self.builder.failed(pair, str(error))
        todo = []
        for group in preparation.groups:
            left = tuple(pair for pair in group.pairs if pair.pair not in self.builder.pairs)
            if left:
                todo.append(replace(group, pairs=left))
        return todo

    def _run_groups(self, todo: Sequence[CorpusGroup]) -> None:
        task = Task(
            self.loader,
            self.stores,
            self.progress,
            top_k=self.builder.settings.top_k,
            n_texts=[self._texts_left(store, todo) for store in self.stores],
            index=self.settings.index,
            keeping=self.settings.embeddings,
        )
        n_documents = sum(group.n_documents for group in todo)
        self.progress.begin("running", n_documents * max(1, len(self.stores)))
        saved = save_seconds = 0.0
        for found in self.system.answers(todo, task):
            self._score(found)
            started = time.monotonic()
            if started - saved > save_seconds / _SAVING_SHARE:
                self._save()
                saved = time.monotonic()
                save_seconds = saved - started

    def _texts_left(self, store: EmbeddingStore, todo: Sequence[CorpusGroup]) -> int:
        """Return the number of texts that the encoder of a store has still to encode."""
        queries = {
            (pair.pair.query, pair.inspection.queries_sha256): pair.inspection.counts.queries
            for group in todo
            for pair in group.pairs
        }
        documents = sum(store.documents_left(Corpus.of(group, self.loader)) for group in todo)
        return documents + sum(queries.values())

    def _score(self, found: GroupAnswers) -> None:
        """Score a group's answers and note everything in the builder."""
        for pair, error in found.failures.items():
            self.builder.failed(pair, error)
        for answer in found.answers:
            started = time.perf_counter()
            try:
                scores = score(answer.run, answer.collection.qrels, self.builder.measures)
                depth = self._depth(answer, set(scores.query_ids))
            except ClirBenchError as error:
                self.builder.failed(answer.prepared.pair, str(error))
                continue
            scored = time.perf_counter() - started
            cost = _cost(answer, scored)
            self.builder.done(
                answer.prepared,
                answer.run,
                scores,
                cost,
                depth,
                answer.approximate,
                Matching(answer.method, answer.beside),
            )
        if all(pair.pair in self.builder.scores for pair in found.group.pairs):
            for store in self.stores:
                store.finished(found.corpus)

    def _depth(self, answer: Answer, judged: set[str]) -> Depth:
        """Return the depth of a pair's rankings.

        Raises:
            DataError: The rankings are empty once each query is taken out of its own.
        """
        if not any(answer.run.doc_ids) and not answer.collection.skip_same_id:
            return Depth(0, cut=False)  # no document holds any term of any query
        n_documents, top_k = answer.prepared.inspection.n_rankable, self.builder.settings.top_k
        return depth_of(answer.run, judged, n_documents=n_documents, top_k=top_k)

    def _save(self) -> Result:
        result = self.builder.save(tuple(dict.fromkeys(self.loader.source.unofficial)))
        # Only now: if the process is killed earlier, the pairs must run again.
        for store in self.stores:
            store.discard_finished()
        return result


def _cost(answer: Answer, score_seconds: float) -> Cost:
    cost, n_queries = answer.cost, len(answer.run.query_ids)
    return Cost(
        documents_per_second=_rate(cost.n_documents, cost.encode_seconds),
        queries_per_second=_rate(n_queries, cost.query_seconds + cost.search_seconds),
        encode_seconds=round(cost.encode_seconds + cost.query_seconds, 4),
        index_seconds=round(cost.index_seconds + cost.store_seconds, 4),
        search_seconds=round(cost.search_seconds, 4),
        score_seconds=round(score_seconds, 4),
        peak_memory_bytes=provenance.peak_memory_bytes(),
        index_size_bytes=cost.index_size_bytes,
        pairs_sharing_corpus=cost.n_sharing,
    )


def _rate(n: int, seconds: float) -> float:
    return round(n / max(seconds, 1e-9), 1)
