"""`translate:HOW+SYSTEM`: queries are translated before a system gets them.

They are translated into the documents' language; queries that are in it already are asked as they
are. A corpus that mixes languages has none to translate into: queries stay in their own unless
`translate:HOW+target=en+SYSTEM` states one, which then holds for every pair.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clir_bench.core.display import some_of
from clir_bench.errors import DataError, UnknownNameError
from clir_bench.results.system_record import SystemRecord
from clir_bench.systems.answers import Asked, GroupAnswers, Task, joined_files
from clir_bench.systems.composition import composed_info, record_of
from clir_bench.systems.names import Composition
from clir_bench.systems.system import EncoderSystem, System
from clir_bench.systems.translate.how import find_translator
from clir_bench.systems.translate.translators import (
    Direction,
    Place,
    Translator,
)
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import resolve
from clir_bench.tasks.loading import CorpusGroup, PreparedPair
from clir_bench.types import POOL, EncoderInfo, LanguagePair, Query

FILE = "translations.jsonl.gz"
MOST_EMPTY = 0.1
"""Share of texts whose translations may be empty: the original stands in for these."""


@dataclass(frozen=True)
class TranslateSystem(System):
    """A system, and what translates queries for it.

    Attributes:
        spec: The name that the user gave for it.
        translator: Translates the queries.
        inner: Gets the translations.
        target: Language to translate into; the documents' own when empty.
    """

    spec: str
    translator: Translator
    inner: System
    target: str = ""

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        option = f"+target={self.target}" if self.target else ""
        name = f"translate:{self.translator.name}{option}+{self.inner.info.name}"
        return translated_info(name, "queries", self.translator, self.inner, self.target)

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return record_of(self, (self.inner,))

    @property
    def leaves(self) -> tuple[EncoderSystem, ...]:
        """Those of the inner system."""
        return self.inner.leaves

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system with each of its encoders changed."""
        return replace(self, inner=self.inner.with_leaves(change))

    def for_task(self, card: TaskCard) -> System:
        """Return the system with the task's instruction in the one inside."""
        return replace(self, inner=self.inner.for_task(card))

    def check(self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]) -> None:
        """Refuse a task for which the translator lacks a language.

        Raises:
            UsageError: Names the pair and what the translator has.
        """
        for pair in pairs:
            direction = self.direction(pair.query, pair)
            if direction.source != direction.target:
                self.translator.check(card, pair, direction)
        self.inner.check(card, split, pairs)

    def direction(self, source: str, pair: LanguagePair) -> Direction:
        """Return from which language to which the queries of a pair are translated."""
        own = source if pair.document == POOL else pair.document
        return Direction(source, self.target or own)

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        rewriting = _Rewriting(self, task)
        for found in self.inner.answers(groups, replace(task, rewrite=rewriting)):
            answers = [
                replace(
                    answer, beside=joined_files([rewriting.taken(answer.prepared), answer.beside])
                )
                for answer in found.answers
            ]
            yield replace(found, answers=answers)


@dataclass
class _Rewriting:
    """Translates the queries of each pair, and keeps the table that is stored beside its run."""

    system: TranslateSystem
    task: Task
    _tables: dict[LanguagePair, bytes] = field(default_factory=dict)

    def __call__(self, prepared: PreparedPair, queries: Sequence[Query]) -> Asked:
        """Return the queries of a pair, translated.

        Raises:
            ClirBenchError: They cannot be translated, or too many translations are empty.
        """
        asked = self.task.rewrite(prepared, queries)
        pair, translator = prepared.pair, self.system.translator
        direction = self.system.direction(asked.language, pair)
        if direction.source == direction.target:
            return asked._replace(method=_joined(asked.method, "not translated"))
        started = time.perf_counter()
        texts = [
            query._replace(text=text) for query, text in zip(queries, asked.texts, strict=True)
        ]
        found = translator.translate(texts, direction, Place(self.task.loader, pair))
        n_empty = require_translated(texts, found, f"{translator.name}, pair {pair}, {direction}")
        self._tables[pair] = _table(texts, found, direction)
        n_done = len(texts) - n_empty
        method = f"{n_done:,} queries translated {direction} by {says(translator)}"
        if n_empty:
            method += f", {n_empty:,} asked as they are: their translations are empty"
        return Asked(
            [new if new.strip() else old.text for old, new in zip(texts, found, strict=True)],
            direction.target,
            _joined(asked.method, method),
            asked.seconds + time.perf_counter() - started,
        )

    def taken(self, prepared: PreparedPair) -> Mapping[str, bytes]:
        """Return the file of a pair that is done, once."""
        table = self._tables.pop(prepared.pair, None)
        return {} if table is None else {FILE: table}


def require_translated(texts: Sequence[Query], found: Sequence[str], where: str) -> int:
    """Return how many translations are empty.

    Raises:
        DataError: They are too many; counts and names them.
    """
    empty = [old.query_id for old, new in zip(texts, found, strict=True) if not new.strip()]
    if len(empty) > MOST_EMPTY * len(texts):
        raise DataError(
            f"{where}: {len(empty):,} of {len(texts):,} translations are empty: {some_of(empty)}; "
            f"at most {MOST_EMPTY:.0%} may be, for which the original is taken"
        )
    return len(empty)


def translated_info(
    name: str, what: str, translator: Translator, inner: System, target: str
) -> EncoderInfo:
    """Return the description of a system whose queries or documents are translated."""
    own, others = translator.n_parameters, inner.info.n_parameters
    details = dict(translator.details) | ({"target": target} if target else {})
    return composed_info(
        name,
        (inner,),
        details,
        n_parameters=None if own is None and others is None else (own or 0) + (others or 0),
        description=f"{what} translated by {says(translator)}, then {inner.info.name}",
    )


def says(translator: Translator) -> str:
    """Return what a translator is, with the first digits of its sha256."""
    details = translator.details
    sha256 = next((value for name, value in details.items() if name.endswith("sha256")), "")
    decoding = f", {details['decoding']}" if "decoding" in details else ""
    return f"{details['translator']}{f', sha256 {sha256[:12]}' if sha256 else ''}{decoding}"


def operands(composition: Composition) -> tuple[str, str, str]:
    """Return how it is translated, the inner system's name and the target, empty for none.

    Raises:
        UsageError: A part is missing, or the target is no language.
    """
    if len(composition.operands) != 2:
        raise composition.wrong(f"write {composition.kind}:HOW+SYSTEM")
    how, inner = composition.operands
    target = composition.options.get("target", "")
    if target:
        try:
            target = resolve(target).code
        except UnknownNameError as error:
            raise composition.wrong(str(error)) from None
        if target == POOL:
            raise composition.wrong("target=mul is no language to translate into")
    return how, inner, target


def build(composition: Composition) -> System:
    """Return the system of a name such as `translate:given+bm25`.

    Raises:
        ClirBenchError: A part is missing or wrong.
    """
    composition.known_options("target", "beams", "timeout")
    how, inner, target = operands(composition)
    translator = find_translator(how, composition)
    return TranslateSystem(composition.spec, translator, composition.system(inner), target)


def _joined(before: str, own: str) -> str:
    return f"{before}; {own}" if before else own


def _table(texts: Sequence[Query], found: Sequence[str], direction: Direction) -> bytes:
    lines = [
        json.dumps(
            {
                "query_id": old.query_id,
                "source": direction.source,
                "target": direction.target,
                "text": old.text,
                "translation": new,
            },
            ensure_ascii=False,
        )
        for old, new in zip(texts, found, strict=True)
    ]
    return gzip.compress(("\n".join(lines) + "\n").encode(errors="replace"), mtime=0)
