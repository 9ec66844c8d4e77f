"""Translations that come with the data are found by the adapter's mark or by equal query ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from clir_bench.errors import DataError, UsageError
from clir_bench.systems.translate.given import Given
from clir_bench.systems.translate.translators import Direction, Place
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair, Query

DATA = Path(__file__).parents[2] / "data"
SW_EN = LanguagePair("sw", "en")


def loader(task: str, split: str, limit: int | None = None) -> Loader:
    card = load_card(task)
    if task == "afriqa":
        source = {"test": ["sw"], "dev": [], "train": []}
        card = card.model_copy(update={"source": source})
    return Loader(card, split, locate(card, split, DATA / task), limit)


def test_afriqa_gives_its_annotators_own_questions() -> None:
    afriqa = loader("afriqa", "test")
    queries = afriqa.load(SW_EN).queries
    direction = Direction("sw", "en")
    Given().check(afriqa.card, SW_EN, direction)
    assert list(Given().translate(queries, direction, Place(afriqa, SW_EN))) == [
        "In which year was the harbour dredged?",
        "Where is the lighthouse?",
        "Where is the lighthouse?",
        "Where is the market?",
    ]


@pytest.mark.parametrize("task", ["xquad", "xquad-r"])
@pytest.mark.parametrize("limit", [None, 2])
def test_parallel_questions_are_those_of_the_same_id(task: str, limit: int | None) -> None:
    pair = LanguagePair("de", "en")
    xquad = loader(task, "validation", limit)
    queries = xquad.load(pair).queries
    found = Given().translate(queries, Direction("de", "en"), Place(xquad, pair))
    english = loader(task, "validation").load(LanguagePair("en", "en")).queries
    known = {query.query_id: query.text for query in english}
    assert list(found) == [known[query.query_id] for query in queries]
    assert len(found) == (limit or len(english))


def test_a_task_without_translations_is_refused_before_its_data_are_read() -> None:
    pair = LanguagePair("sw", "sw")
    with pytest.raises(UsageError, match=r"'miracl', pair sw-sw: no translations .* from sw to en"):
        Given().check(load_card("miracl"), pair, Direction("sw", "en"))


def test_afriqa_has_translations_into_the_language_of_its_passages_alone() -> None:
    with pytest.raises(UsageError, match="from sw to fr"):
        Given().check(load_card("afriqa"), SW_EN, Direction("sw", "fr"))


def test_queries_without_a_translation_are_counted_and_named() -> None:
    afriqa = loader("afriqa", "test")
    queries = [*afriqa.load(SW_EN).queries, Query("sw-test-99", "?")]
    with pytest.raises(DataError, match=r"1 of 5 queries have no translation .*: sw-test-99"):
        Given().translate(queries, Direction("sw", "en"), Place(afriqa, SW_EN))
