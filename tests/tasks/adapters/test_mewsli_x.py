"""Mewsli-X in its official format: marked mentions, offsets in characters, streamed entities."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters.mewsli_x import EntityDocuments, load
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, Document, LanguagePair, Qrel

FIXTURE = Path(__file__).parents[2] / "data" / "mewsli-x"
ENTITIES = "candidate_set_entities.jsonl"
MENTIONS = "wikinews_mentions-test.jsonl"


@pytest.fixture(scope="module")
def card() -> TaskCard:
    card = load_card("mewsli-x")
    assert isinstance(card, TaskCard)
    return card


def read(card: TaskCard, language: str, split: str = "test", folder: Path = FIXTURE) -> Collection:
    return load(card, LanguagePair(language, "mul"), split, Source(card, folder, "local"))


def test_query_is_the_mention_and_its_sentence_with_the_mention_marked(card: TaskCard) -> None:
    assert [query.text for query in read(card, "en").queries] == [
        "Helsinki: Boats between Tallinn and { Helsinki } sail again after three days.",
        "Turku: The crews' union in Helsinki {and its sister in { Turku } } agreed on Monday.",
        "Helsinki: { Helsinki } opens an exhibition about the volcano Kaltberg.",
        "Kaltberg: Helsinki opens an exhibition about the volcano { Kaltberg } .",
    ]


def test_offsets_count_characters_where_bytes_and_utf16_units_would_differ(card: TaskCard) -> None:
    [query] = read(card, "de").queries
    assert query.text == "Turku: Beim Fest 🎆 in { Turku } kamen 𝟑𝟎𝟎 Gäste zusammen."


def test_right_to_left_mention_is_marked_in_reading_order_with_its_direction_marks(
    card: TaskCard,
) -> None:
    [query] = read(card, "ar").queries
    assert query.text == ("هلسنكي: عادت السفن إلى ميناء \u200f { هلسنكي } \u200f بعد ثلاثة أيام.")


def test_one_entity_is_relevant_to_a_mention(card: TaskCard) -> None:
    collection = read(card, "en")
    ids = [f"{number:032x}" for number in (1, 2, 5, 6)]
    assert [query.query_id for query in collection.queries] == ids
    assert collection.qrels == [
        Qrel(query_id, entity, 1)
        for query_id, entity in zip(ids, ["Q9001", "Q9002", "Q9001", "Q9003"], strict=True)
    ]


def test_document_is_the_description_without_its_title_in_its_own_language(card: TaskCard) -> None:
    assert list(read(card, "en").documents) == [
        Document(
            "Q9001",
            "Helsinki ni mji mkuu wa nchi ya Ufini. Bandari yake iko kwenye ghuba.",
            "Helsinki",
            "sw",
        ),
        Document("Q9002", "Турку — місто 🏰 на березі річки.", "Турку", "uk"),
        Document("Q9003", "カルトベルクは北にある火山。 標高は千メートル。", "カルトベルク", "ja"),
        Document("Q9004", "Wasser ist ein Stoff aus Wasserstoff und Sauerstoff.", "Wasser", "de"),
    ]
    assert card.document_text == "{text}"


def test_every_language_searches_the_same_corpus_and_documents_are_read_again(
    card: TaskCard,
) -> None:
    english, german = read(card, "en"), read(card, "de")
    assert english.corpus_id == german.corpus_id
    assert list(english.documents) == list(english.documents)


def test_dev_split_and_sample_are_read_by_their_official_names(card: TaskCard) -> None:
    [query] = read(card, "tr", "dev").queries
    assert query.text == "Kaltberg: { Kaltberg } yanardağı üç yıl sonra yeniden uyandı."
    assert read(card, "en", "sample").queries == read(card, "en", "test").queries


def test_entities_stream_one_line_at_a_time(tmp_path: Path) -> None:
    first = (FIXTURE / ENTITIES).read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / ENTITIES).write_text(first + "\nbroken\n", encoding="utf-8")
    documents = iter(EntityDocuments(tmp_path / ENTITIES))
    assert next(documents).doc_id == "Q9001"
    with pytest.raises(DataError, match=rf"{ENTITIES}:2: broken JSON"):
        next(documents)


Change = Callable[[dict[str, Any]], object]


def changed(folder: Path, name: str, change: Change) -> Path:
    """Copy the fixture, change the first record of one file, and return the folder."""
    for path in FIXTURE.iterdir():
        shutil.copy(path, folder)
    head, *rest = (folder / name).read_text(encoding="utf-8").splitlines(keepends=True)
    record = json.loads(head)
    change(record)
    lines = [json.dumps(record, ensure_ascii=False) + "\n", *rest]
    (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("mentions"), "field 'mentions' is missing"),
        (lambda row: row.update(mentions={}), r"mentions must be a list, found \{\}"),
        (lambda row: row.update(context="en"), "field 'language' is missing in 'en'"),
        (lambda row: row["context"].pop("language"), "field 'language' is missing"),
        (
            lambda row: row["context"].update(text=""),
            r"context\.text is empty; .*run.*get-mewsli-x\.sh",
        ),
        (lambda row: row["context"].update(text=None), "text must be a string, found None"),
        (
            lambda row: row["context"]["sentence_spans"][0].update(end=10_000),
            "span 0 to 10000 ends behind the text, which has 158 characters",
        ),
        (
            lambda row: row["context"]["sentence_spans"][0].update(start=17),
            "span 17 to 17: expected 0 <= start < end",
        ),
        (
            lambda row: row["mentions"][0]["mention_span"].update(start=47, end=55),
            r"mention '0+1': mention_span\.text is 'Helsinki', but characters 47 to 55 of the "
            r"article are ' Helsink'; offsets count characters, not bytes",
        ),
        (
            lambda row: row["context"]["sentence_spans"].pop(1),
            r"mention '0+1': lies in no sentence of the article",
        ),
        (
            lambda row: row["mentions"][1].update(example_id=f"{1:032x}"),
            r"example_id '0+1' occurs twice",
        ),
        (lambda row: row["mentions"][0].update(entity_id=9001), "entity_id must be a string"),
    ],
    ids=range(12),
)
def test_wrong_mentions_name_file_and_line(
    card: TaskCard, tmp_path: Path, change: Change, said: str
) -> None:
    folder = changed(tmp_path, MENTIONS, change)
    with pytest.raises(DataError, match=rf"{MENTIONS}:1: {said}"):
        read(card, "en", folder=folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.pop("entity_id"), "field 'entity_id' is missing"),
        (lambda row: row.update(description=None), "description must be a string, found None"),
        (lambda row: row.update(sentence_spans=[[0, 5]]), r"field 'start' is missing in \[0, 5\]"),
        (lambda row: row["sentence_spans"][1].update(end=72), "ends behind the text"),
    ],
    ids=range(4),
)
def test_wrong_entities_name_file_and_line(
    card: TaskCard, tmp_path: Path, change: Change, said: str
) -> None:
    folder = changed(tmp_path, ENTITIES, change)
    with pytest.raises(DataError, match=rf"{ENTITIES}:1: .*{said}"):
        list(read(card, "en", folder=folder).documents)


def test_braces_of_the_article_become_parentheses(card: TaskCard, tmp_path: Path) -> None:
    def swap(row: dict[str, Any]) -> None:
        context = row["context"]
        context["text"] = context["text"].replace("Boats", "{Bo}s").replace("three", "{hre}")

    [query, *_] = read(card, "en", folder=changed(tmp_path, MENTIONS, swap)).queries
    assert query.text == (
        "Helsinki: (Bo)s between Tallinn and { Helsinki } sail again after (hre) days."
    )


def test_missing_release_names_the_official_script_and_where_to_put_its_output(
    card: TaskCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIR_BENCH_DATA", "")
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"get-mewsli-x\.sh.*--data-dir.*/mewsli-x"):
        load(card, LanguagePair("en", "mul"), "test", locate(card, "test"))


def test_card_states_what_the_release_documents(card: TaskCard) -> None:
    assert " ".join(card.languages) == "ar de en es fa ja pl ro ta tr uk"
    pairs = card.official_pairs()
    assert [str(pair) for pair in pairs] == [f"{code}-mul" for code in card.languages]
    for split, mentions in (("test", 14_624), ("dev", 2_991)):
        stated = [card.counts_of(split, pair) for pair in pairs]
        assert {counts.documents for counts in stated if counts} == {1_003_893}
        assert sum(counts.queries for counts in stated if counts) == mentions
        assert all(counts and counts.queries == counts.qrels for counts in stated)
