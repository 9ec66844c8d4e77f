"""Translations that come with a task's data: AfriQA's own, XQuAD's parallel questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clir_bench.core import plugins
from clir_bench.core.display import some_of
from clir_bench.errors import DataError, UsageError
from clir_bench.systems.translate.translators import Direction, Place
from clir_bench.tasks.adapters import GIVES_TRANSLATIONS
from clir_bench.tasks.cards import TaskCard
from clir_bench.types import LanguagePair, Query


@dataclass(frozen=True)
class Given:
    """Translations that come with the data.

    They are those that the adapter gives (`Collection.translations`), or, where equal query ids of
    two languages are translations of each other, the query of the same id.
    """

    name: str = "given"
    details: Mapping[str, str] = field(
        default_factory=lambda: {"translator": "given: translations that come with the data"}
    )
    n_parameters: int | None = None

    def check(self, card: TaskCard, pair: LanguagePair, direction: Direction) -> None:
        """Refuse a direction that the data lack.

        Raises:
            UsageError: Names the task and the pair.
        """
        if not _of_adapter(card, pair, direction) and _parallel(card, pair, direction) is None:
            raise UsageError(
                f"task {card.id!r}, pair {pair}: no translations of its queries {direction} come "
                "with its data; translate them by a model, a command, or file:PATH"
            )

    def translate(
        self, texts: Sequence[Query], direction: Direction, place: Place
    ) -> Sequence[str]:
        """Return the translations of queries, by their ids.

        Raises:
            DataError: Some have none; counts and names them.
        """
        loader, pair = place
        if _of_adapter(loader.card, pair, direction):
            known = loader.load(pair).translations
        else:
            self.check(loader.card, pair, direction)
            other = _parallel(loader.card, pair, direction) or pair
            # A limit may have cut the other pair at other queries.
            queries = replace(loader, limit=None).load(other).queries
            known = {query.query_id: query.text for query in queries}
        lacking = [query.query_id for query in texts if query.query_id not in known]
        if lacking:
            raise DataError(
                f"task {loader.card.id!r}, pair {pair}: {len(lacking):,} of {len(texts):,} queries "
                f"have no translation {direction} in the data: {some_of(lacking)}"
            )
        return [known[query.query_id] for query in texts]


def _of_adapter(card: TaskCard, pair: LanguagePair, direction: Direction) -> bool:
    adapter = plugins.load(plugins.ADAPTERS, card.adapter)
    return direction == tuple(pair) and getattr(adapter, GIVES_TRANSLATIONS, False)


def _parallel(card: TaskCard, pair: LanguagePair, direction: Direction) -> LanguagePair | None:
    """Return a pair whose queries are translations of the pair's, None where there is none."""
    if not card.parallel_queries or direction.source != pair.query:
        return None
    asked = [other for other in card.available_pairs() if other.query == direction.target]
    same = [other for other in asked if other.document == pair.document]
    return next(iter([*same, *asked]), None)
