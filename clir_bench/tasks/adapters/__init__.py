"""Adapters: each reads the official files of a task and returns a `Collection`.

There is one module per source format. An adapter is a function registered in the entry-point group
`clir_bench.adapters`:

    def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection

`pair` is always one of the card's, in our codes; `card.languages[code]` is the source's own code.
`split` is one of the card's splits, or "sample" for the embedded sample; its files lie where the
adapter expects those of an official split. `source.file("relative/path")` returns a local path and
fetches the file first if needed. A wrong file raises `DataError` with its name and line.
"""

from __future__ import annotations

from typing import Protocol

from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, LanguagePair

__all__ = ["Adapter", "Source"]


class Adapter(Protocol):
    """The type of an entry point of `clir_bench.adapters`."""

    def __call__(
        self, card: TaskCard, pair: LanguagePair, split: str, source: Source
    ) -> Collection:
        """Return the collection of one pair; documents may stream, queries and qrels may not."""
        ...
