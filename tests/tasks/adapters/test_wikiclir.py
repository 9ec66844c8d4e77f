"""WikiCLIR in the layout of its release."""

from __future__ import annotations

from pathlib import Path

import pytest

from clir_bench.errors import CardError, DataError, MissingDataError
from clir_bench.tasks.adapters.wikiclir import load
from clir_bench.tasks.cards import Counts, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

DATA = Path(__file__).parents[2] / "data" / "wikiclir"


def the_card(**source: str) -> TaskCard:
    card = load_card("wikiclir")
    assert isinstance(card, TaskCard)
    return card.model_copy(update={"source": {**card.source, **source}})


def load_language(document: str, folder: Path = DATA, **source: str) -> Collection:
    card = the_card(**source)
    return load(card, LanguagePair("en", document), "all", Source(card, folder, "local"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the Swahili part that a test may spoil."""
    for name in ("english/wiki_en.queries", "swahili/wiki_sw.documents", "swahili/en2sw.rel"):
        target = tmp_path / "wiki-clir" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((DATA / "wiki-clir" / name).read_bytes())
    return tmp_path


def test_first_sentences_search_articles_with_two_grades() -> None:
    found = load_language("sw")
    assert found.queries[0] == Query("100", "is one of the african great lakes .")
    assert next(iter(found.documents)) == Document(
        "1", "Ziwa Viktoria ni ziwa kubwa .", "Ziwa Viktoria"
    )
    assert found.qrels[:2] == [Qrel("100", "1", 2, "Q0"), Qrel("100", "2", 1, "Q0")]


def test_only_queries_judged_in_the_language_are_asked() -> None:
    assert [query.query_id for query in load_language("sw").queries] == ["100", "300"]
    assert [query.query_id for query in load_language("nb").queries] == ["200"]


def test_a_sentence_of_title_words_alone_is_searched_by_its_title() -> None:
    assert load_language("sw").queries[1] == Query("300", "Honey")


def test_titles_are_an_option_of_the_card() -> None:
    assert load_language("sw", query_field="title").queries[0] == Query("100", "Lake Victoria")
    with pytest.raises(CardError, match="must be title or first_sent, found 'sentence'"):
        load_language("sw", query_field="sentence")


def test_the_releases_own_codes_are_in_its_file_names() -> None:
    assert [document.doc_id for document in load_language("nb").documents] == ["51", "52"]
    assert [document.doc_id for document in load_language("simple").documents] == ["71", "72"]


def test_english_searches_twenty_five_languages_each_with_its_counts() -> None:
    card = the_card()
    assert len(card.official_pairs()) == 25
    assert all(pair.query == "en" and card.counts_of("all", pair) for pair in card.official_pairs())
    assert card.counts_of("all", LanguagePair("en", "sw")) == Counts(37079, 22860, 57924)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("swahili/en2sw.rel", "100\t1\t2\n100\t1\t1\n", r"en2sw\.rel:2: '1' is judged twice"),
        ("swahili/en2sw.rel", "100\t1\n", r"en2sw\.rel:1: expected 3 columns, found 2"),
        ("swahili/en2sw.rel", "100\t1\thigh\n", r"en2sw\.rel:1: relevance must be a whole number"),
        ("english/wiki_en.queries", "100\ta\tb\n100\ta\tb\n", r"queries:2: query id '100' occurs"),
        ("english/wiki_en.queries", "100\t\t \n", r"queries:1: query '100' has no text"),
        ("english/wiki_en.queries", "100\ta\n", r"queries:1: expected 3 columns, found 2"),
    ],
)
def test_a_broken_line_is_named(copy: Path, name: str, content: str, problem: str) -> None:
    (copy / "wiki-clir" / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        load_language("sw", copy)


def test_windows_line_ends_change_nothing(copy: Path) -> None:
    for path in copy.rglob("*.*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found, plain = load_language("sw", copy), load_language("sw")
    assert (found.queries, found.qrels) == (plain.queries, plain.qrels)
    assert list(found.documents) == list(plain.documents)


def test_a_missing_language_says_what_to_fetch() -> None:
    with pytest.raises(MissingDataError, match=r"wiki_tl\.documents.*wiki-clir\.tar\.gz"):
        load_language("tl")
