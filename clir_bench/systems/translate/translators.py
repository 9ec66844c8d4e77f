"""What a translator must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import Loader
from clir_bench.types import LanguagePair, Query


class Direction(NamedTuple):
    """From one language, to another."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"from {self.source} to {self.target}"


class Place(NamedTuple):
    """Which queries are translated."""

    loader: Loader
    pair: LanguagePair


class Described(Protocol):
    """What results state about a translator."""

    @property
    def name(self) -> str:
        """Stands in the system's name."""
        ...

    @property
    def details(self) -> Mapping[str, str]:
        """What identifies it."""
        ...

    @property
    def n_parameters(self) -> int | None:
        """Number of weights, None when there are none."""
        ...


class Translator(Described, Protocol):
    """Translates texts."""

    def check(self, card: TaskCard, pair: LanguagePair, direction: Direction) -> None:
        """Refuse a direction that it lacks, before any data is read.

        Raises:
            UsageError: Says what it has.
        """
        ...

    def translate(
        self, texts: Sequence[Query], direction: Direction, place: Place
    ) -> Sequence[str]:
        """Return one translation per text, in order, empty where there is none.

        Raises:
            ClirBenchError: Says what failed.
        """
        ...


class Engine(Described, Protocol):
    """Translates texts by their content alone."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Everything that decides a translation."""
        ...

    @property
    def chunk(self) -> int:
        """Texts to translate before they are kept."""
        ...

    def check(self, where: str, direction: Direction) -> None:
        """Refuse a direction that it lacks; `where` names the pair."""
        ...

    def translate(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """Return one translation per text, in order."""
        ...
