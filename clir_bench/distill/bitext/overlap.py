"""Finds the sentences of a bitext that occur in a benchmark: a student must not train on them.

It compares the bitext with every query and document of every task whose data is on this machine, in
all splits and languages. It compares fingerprints (`fingerprints`) of whole texts, of titles, and
of the sentences of longer texts. It does not find paraphrases, nor sentences with only the same
beginning.

The benchmark's texts stream, and only matches are kept, so memory grows with the bitext (8 bytes
per fingerprint) and not with the benchmark. Nothing is fetched: a task without local data is
reported as not checked. The embedded samples are not compared; they were written for this project.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clir_bench.distill.bitext.fingerprints import fingerprint, sentence_fingerprints
from clir_bench.distill.bitext.report import TaskOverlap
from clir_bench.errors import ClirBenchError
from clir_bench.tasks.adapters.irds import uses_ir_datasets
from clir_bench.tasks.cache import folder_name
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import Source, locate
from clir_bench.types import LanguagePair

_BATCH = 100_000


@dataclass(frozen=True)
class Found:
    """The texts that one task shares with a bitext.

    Attributes:
        overlap: Counts for the report; its `pairs` is still 0.
        fingerprints: The shared fingerprints, sorted, uint64.
    """

    overlap: TaskOverlap
    fingerprints: NDArray[np.uint64]


def evaluation_tasks(tasks_dir: Path | None = None) -> list[TaskCard]:
    """Return the cards of all tasks: the shipped ones and those in `tasks_dir`.

    Suites are left out: their parts are also tasks.
    """
    cards = [load_card(name, tasks_dir) for name in discover(tasks_dir)]
    return [card for card in cards if isinstance(card, TaskCard)]


def find_overlap(
    fingerprints: NDArray[np.uint64],
    cards: Sequence[TaskCard],
    *,
    data_dir: Path | None = None,
    advance: Callable[[str], None] = lambda _: None,
) -> list[Found]:
    """Compare tasks with the fingerprints of a bitext.

    Args:
        fingerprints: Of the bitext's texts and sentences, sorted and unique.
        cards: The tasks.
        data_dir: Folder with one folder per task; `$CLIR_BENCH_DATA` when None.
        advance: Called with a task's id before it is read.
    """
    found = []
    for card in cards:
        advance(card.id)
        found.append(_Comparison(card, fingerprints).run(_source(card, data_dir)))
    return found


def contains(ordered: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return for each value whether it is in the sorted array, shape `(len(values),)`."""
    if not len(ordered):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)


def _source(card: TaskCard, data_dir: Path | None) -> Source | str:
    """Return where a task's files are, or why they cannot be read."""
    if data_dir is not None:
        directory = data_dir / folder_name(card)
    else:
        try:
            directory = locate(card, card.default_split).directory
        except ClirBenchError as error:
            return str(error)
    if not directory.is_dir():
        where = "; what ir_datasets has fetched is not looked at" if uses_ir_datasets(card) else ""
        return f"its data is not on this machine: no folder {directory.name}{where}"
    # "local", so that an adapter that misses a file says so and fetches nothing
    return Source(card, directory, "local")


class _Comparison:
    def __init__(self, card: TaskCard, fingerprints: NDArray[np.uint64]) -> None:
        self.card, self._ours = card, fingerprints
        self._pending = array("Q")
        self._n_texts = 0
        self._matched: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._seen_queries: set[int] = set()

    def run(self, source: Source | str) -> Found:
        if isinstance(source, str):
            return Found(TaskOverlap(self.card.id, not_checked=source), self._matched)
        checked, problems = [], []
        for split in self.card.splits:
            n_read, reasons = self._split(Loader(self.card, split, source))
            n_pairs = len(self.card.available_pairs())
            if n_read:
                checked.append(f"{split}: {n_read} of {n_pairs} pairs")
            if reasons:
                problems.append(f"{split}: {len(reasons)} of {n_pairs} pairs ({reasons[0]})")
        self._flush()
        overlap = TaskOverlap(
            self.card.id,
            tuple(checked),
            "; ".join(problems),
            self._n_texts,
            len(self._matched),
        )
        return Found(overlap, self._matched)

    def _split(self, loader: Loader) -> tuple[int, list[str]]:
        """Read a split; return how many pairs could be read and why the others could not."""
        corpora: set[str] = set()
        n_read, reasons = 0, []
        for pair in self.card.available_pairs():
            try:
                for text in self._texts(loader, pair, corpora):
                    self._add(text)
            except ClirBenchError as error:
                # a report is published with the model: no folder of this machine in it
                folder = str(loader.source.directory)
                reasons.append(str(error).replace(folder, folder_name(self.card)))
            else:
                n_read += 1
        return n_read, reasons

    def _texts(self, loader: Loader, pair: LanguagePair, corpora: set[str]) -> Iterator[str]:
        collection = loader.load(pair)
        for query in collection.queries:
            key = hash(query.text)
            if key not in self._seen_queries:  # the same ones stand in many pairs
                self._seen_queries.add(key)
                yield query.text
        if collection.corpus_id in corpora:
            return
        for document in collection.documents:
            yield document.text
            if document.title:
                yield document.title
        corpora.add(collection.corpus_id)

    def _add(self, text: str) -> None:
        if not text.strip():
            return
        sentences = sentence_fingerprints(text)
        self._pending.append(fingerprint(text))
        self._pending.extend(sentences)
        self._n_texts += 1 + len(sentences)
        if len(self._pending) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        theirs = np.unique(np.frombuffer(self._pending, dtype=np.uint64))
        self._pending = array("Q")
        self._matched = np.union1d(self._matched, theirs[contains(self._ours, theirs)])
