"""`translate-documents:HOW+SYSTEM`: documents are translated before a system gets them.

They are translated into the language of the queries, or into the one that `+target=en` states, so
there is a corpus per query language. A corpus is read window by window and never held; its
translations are kept in the cache, a file per window, so that a killed run goes on. The system
encodes and searches the translated corpus; its vectors are not stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clir_bench.errors import ClirBenchError, DataError
from clir_bench.results.system_record import SystemRecord
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.store import Keeping
from clir_bench.systems.answers import Answer, GroupAnswers, Task
from clir_bench.systems.composition import record_of
from clir_bench.systems.names import Composition
from clir_bench.systems.system import EncoderSystem, System
from clir_bench.systems.translate.how import find_translator
from clir_bench.systems.translate.memory import Remembered
from clir_bench.systems.translate.queries import MOST_EMPTY, operands, says, translated_info
from clir_bench.systems.translate.translators import Direction
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.checks import inspect_corpus
from clir_bench.tasks.loading import CorpusGroup, Loader, corpus_of
from clir_bench.tasks.outline import WINDOW_CHARACTERS, WINDOW_DOCUMENTS, document_string
from clir_bench.types import POOL, Collection, Document, EncoderInfo, LanguagePair

_NOT_STORED = Keeping("off")


@dataclass(frozen=True)
class TranslateDocumentsSystem(System):
    """A system, and what translates documents for it.

    Its encoders are not among its `leaves`: what they encode is known only once it is translated,
    so that neither jobs nor stored vectors can share it.

    Attributes:
        spec: The name that the user gave for it.
        translator: Translates the documents.
        inner: Gets the translations.
        target: Language to translate into; the queries' own when empty.
        seed: For systems that draw random numbers.
    """

    spec: str
    translator: Remembered
    inner: System
    target: str = ""
    seed: int = 0

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        option = f"+target={self.target}" if self.target else ""
        name = f"translate-documents:{self.translator.name}{option}+{self.inner.info.name}"
        return translated_info(name, "documents", self.translator, self.inner, self.target)

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return record_of(self, (self.inner,))

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system with each of its encoders changed."""
        return replace(self, inner=self.inner.with_leaves(change))

    def check(self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]) -> None:
        """Refuse a task for which the translator lacks a language.

        Raises:
            UsageError: Names the pair and what the translator has.
        """
        for pair in pairs:
            sources = set(card.languages) - {POOL} if pair.document == POOL else {pair.document}
            target = self._target(pair)
            for source in sorted(sources - {target}):
                self.translator.check(card, pair, Direction(source, target))
        self.inner.check(card, split, [self._translated(pair) for pair in pairs])

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        for group in groups:
            whole = GroupAnswers(group, Corpus.of(group, task.loader))
            for target in dict.fromkeys(self._target(pair.pair) for pair in group.pairs):
                some = tuple(pair for pair in group.pairs if self._target(pair.pair) == target)
                try:
                    self._answer(replace(group, pairs=some), target, task, whole)
                except ClirBenchError as error:
                    whole.failures.update({pair.pair: str(error) for pair in some})
            yield whole

    def _answer(self, group: CorpusGroup, target: str, task: Task, whole: GroupAnswers) -> None:
        """Translate a corpus into one language, and have it searched for the pairs of a group."""
        started = time.perf_counter()
        loader, originals = task.loader, {self._translated(one.pair): one for one in group.pairs}
        method = "documents not translated"
        if {one.pair.document for one in group.pairs} != {target}:
            loader = _TranslatedLoader(
                loader.card,
                loader.split,
                loader.source,
                original=loader,
                pairs={pair: one.pair for pair, one in originals.items()},
                group=group,
                target=target,
                translator=self.translator,
            )
            group = self._prepared(group, loader)
            method = (
                f"{group.n_documents:,} documents translated into {target} by "
                f"{says(self.translator)} (corpus sha256 {group.corpus_sha256[:12]})"
            )
        seconds = time.perf_counter() - started
        stores = [leaf.store(_NOT_STORED, self.seed) for leaf in self.inner.leaves]
        n_texts = group.n_documents + sum(pair.inspection.counts.queries for pair in group.pairs)
        inner_task = replace(task, loader=loader, stores=stores, n_texts=[n_texts for _ in stores])
        for found in self.inner.answers([group], inner_task):
            for pair, error in found.failures.items():
                whole.failures[originals[pair].pair] = error
            for answer in found.answers:
                own = replace(answer, prepared=originals[answer.prepared.pair])
                whole.answers.append(_with(own, method, seconds))

    def _prepared(self, group: CorpusGroup, loader: _TranslatedLoader) -> CorpusGroup:
        """Translate all documents once, and return the group of the translated corpus.

        Raises:
            ClirBenchError: They cannot be translated, or too many translations are empty.
        """
        card, target = loader.card, loader.target
        facts = inspect_corpus(
            loader.documents(),
            frozenset(),
            where=f"task {card.id!r}, documents of {group.corpus_id} in {target}",
            language=target,
            document_text=card.document_text,
        )
        pairs = tuple(replace(one, pair=self._translated(one.pair)) for one in group.pairs)
        return CorpusGroup(
            f"{group.corpus_id} in {target}",
            facts.sha256,
            facts.n_documents,
            tuple(pair.pair for pair in pairs),
            pairs,
            facts.outline,
        )

    def _target(self, pair: LanguagePair) -> str:
        return self.target or pair.query

    def _translated(self, pair: LanguagePair) -> LanguagePair:
        """Return the pair that the inner system is asked for."""
        return LanguagePair(pair.query, self._target(pair))


@dataclass(frozen=True)
class _TranslatedLoader(Loader):
    """Loads the collections of a group with their documents translated.

    Attributes:
        original: Loads them as they are.
        pairs: Pair of the translated corpus to the task's own.
        group: The task's own.
    """

    original: Loader = field(kw_only=True)
    pairs: Mapping[LanguagePair, LanguagePair] = field(kw_only=True)
    group: CorpusGroup = field(kw_only=True)
    target: str = field(kw_only=True)
    translator: Remembered = field(kw_only=True)

    def load(self, pair: LanguagePair) -> Collection:
        """Return the collection of one pair of the translated corpus.

        Raises:
            ClirBenchError: What the adapter found wrong.
        """
        found = self.original.load(self.pairs[pair])
        corpus_id = f"{found.corpus_id} in {self.target}"
        return replace(found, corpus_id=corpus_id, documents=self.documents())

    def documents(self) -> Iterable[Document]:
        """Return the translated documents, which can be read more than once."""
        return _TranslatedDocuments(self)


@dataclass(frozen=True)
class _TranslatedDocuments:
    """A corpus that is translated while it is read, window by window."""

    loader: _TranslatedLoader

    def __iter__(self) -> Iterator[Document]:
        loader, n_texts, n_empty = self.loader, 0, 0
        for window in _windows(corpus_of(loader.original, loader.group.corpus_pairs)):
            texts = [document_string(one, loader.card.document_text) for one in window]
            found = self._translated(window, texts)
            n_texts += sum(bool(text.strip()) for text in texts)
            n_empty += sum(
                bool(old.strip()) and not new.strip() for old, new in zip(texts, found, strict=True)
            )
            if n_empty > MOST_EMPTY * n_texts:
                raise DataError(
                    f"{loader.translator.name}, documents of {loader.group.corpus_id} into "
                    f"{loader.target}: {n_empty:,} of the first {n_texts:,} translations are "
                    f"empty; at most {MOST_EMPTY:.0%} may be, for which the original is taken"
                )
            for one, old, new in zip(window, texts, found, strict=True):
                text = new if new.strip() else old
                yield Document(one.doc_id, text, language=loader.target if one.language else "")

    def _translated(self, window: Sequence[Document], texts: Sequence[str]) -> list[str]:
        """Translate a window, each language by itself; texts in the target language stay."""
        loader, found = self.loader, list(texts)
        own = loader.group.pairs[0].pair.document
        languages = [document.language or own for document in window]
        for source in dict.fromkeys(languages):
            if source in (loader.target, POOL):
                continue
            places = [place for place, language in enumerate(languages) if language == source]
            some = [texts[place] for place in places]
            direction = Direction(source, loader.target)
            translations = loader.translator.translate_window(some, direction)
            for place, text in zip(places, translations, strict=True):
                found[place] = text
        return found


def _windows(documents: Iterable[Document]) -> Iterator[list[Document]]:
    window: list[Document] = []
    size = 0
    for document in documents:
        window.append(document)
        size += len(document.text)
        if len(window) >= WINDOW_DOCUMENTS or size >= WINDOW_CHARACTERS:
            yield window
            window, size = [], 0
    if window:
        yield window


def _with(answer: Answer, method: str, seconds: float) -> Answer:
    """Return an answer that says how the documents were translated, and how long it took."""
    cost = replace(answer.cost, encode_seconds=answer.cost.encode_seconds + seconds)
    return replace(
        answer, cost=cost, method=f"{method}; {answer.method}" if answer.method else method
    )


def build(composition: Composition) -> System:
    """Return the system of a name such as `translate-documents:owner/model+bm25`.

    Raises:
        ClirBenchError: A part is missing or wrong.
    """
    composition.known_options("target", "beams", "timeout")
    how, inner, target = operands(composition)
    translator = find_translator(how, composition)
    if not isinstance(translator, Remembered):
        raise composition.wrong(f"{how} has queries; a model or a command translates documents")
    seed = composition.loading.seed
    return TranslateDocumentsSystem(
        composition.spec, translator, composition.system(inner), target, seed
    )
