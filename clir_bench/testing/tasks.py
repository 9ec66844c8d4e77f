"""Loads the task under test through its adapter: in this process, and in another one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from clir_bench.errors import UsageError
from clir_bench.evaluation.evaluate import card_for, check_pairs
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.checks import inspect, inspect_corpus
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.testing.isolation import Places, run_apart
from clir_bench.testing.report import NotApplicableError
from clir_bench.types import Collection, LanguagePair


class TaskSubject:
    """A task's adapter on one split.

    Args:
        task: What `--task` takes, or a card: other processes cannot be checked with a card made in
            Python.
        split: One of its splits, or "sample"; the card's default when None.
        pairs: Some of the card's pairs; the official ones when None.
        data_dir: Where the task's files are, as `--data-dir`.
    """

    def __init__(
        self,
        task: str | Path | TaskCard,
        *,
        split: str | None = None,
        pairs: Sequence[LanguagePair] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self._task, self._split, self._pairs = task, split, pairs
        self._data_dir = data_dir

    def __str__(self) -> str:
        name = self._task.id if isinstance(self._task, TaskCard) else str(self._task)
        return f"task {name}, split {self._split or 'by default'}"

    @cached_property
    def card(self) -> TaskCard:
        """The card the split is read with.

        Raises:
            UsageError: The task or split does not exist, the card is wrong, or it is a suite's.
        """
        card = self._task if isinstance(self._task, TaskCard) else load_card(str(self._task))
        if not isinstance(card, TaskCard):
            raise UsageError(f"task {card.id!r} is a suite; check its parts one by one")
        return card_for(card, self._split or card.default_split)

    @property
    def split(self) -> str:
        """The split that is read."""
        return self._split or self.card.default_split

    @cached_property
    def pairs(self) -> tuple[LanguagePair, ...]:
        """The pairs that are read."""
        if self._pairs is None:
            return tuple(self.card.official_pairs())
        pairs = tuple(LanguagePair.parse(str(pair)) for pair in self._pairs)
        check_pairs(self.card, pairs)
        return pairs

    @cached_property
    def collections(self) -> dict[LanguagePair, Collection]:
        """Every pair's collection, as returned by the adapter.

        Raises:
            ClirBenchError: The adapter's own error.
        """
        return {pair: self._load(pair) for pair in self.pairs}

    def again(self, pair: LanguagePair) -> Collection:
        """Load a pair once more."""
        return self._load(pair)

    def where(self, pair: LanguagePair) -> str:
        """Name a pair in messages."""
        return f"task {self.card.id!r}, pair {pair}"

    def sha256(self, pair: LanguagePair, collection: Collection) -> str:
        """Return the data hash of a pair, over documents, queries and judgments.

        Raises:
            DataError: The collection contradicts itself.
        """
        judged = frozenset(qrel.doc_id for qrel in collection.qrels)
        corpus = inspect_corpus(
            collection.documents,
            judged,
            where=self.where(pair),
            document_text=self.card.document_text,
        )
        return inspect(collection, corpus, where=self.where(pair)).sha256

    def hashes(self) -> dict[str, str]:
        """Return the data hash of every pair."""
        return {str(pair): self.sha256(pair, self._load(pair)) for pair in self.pairs}

    def hashes_apart(self) -> dict[str, str]:
        """Return the data hash of every pair as another process computes it.

        Raises:
            NotApplicableError: The card was made in Python.
            BrokenPromiseError: The process died.
        """
        if isinstance(self._task, TaskCard):
            raise NotApplicableError("needs the task's name or card file, to load the task")
        request = {
            "task": str(self._task),
            "split": self._split,
            "pairs": [str(pair) for pair in self.pairs],
            "data_dir": str(self._data_dir) if self._data_dir else "",
        }
        found, _ = run_apart("adapter", request, Places())
        return dict(found["sha256"])

    @cached_property
    def _loader(self) -> Loader:
        return Loader(self.card, self.split, locate(self.card, self.split, self._data_dir))

    def _load(self, pair: LanguagePair) -> Collection:
        return self._loader.load(pair)
