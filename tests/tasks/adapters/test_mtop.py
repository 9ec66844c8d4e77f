"""MTOP in both layouts: translation, and same intent without the query's own translation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import CardError, DataError, MissingDataError
from clir_bench.tasks.adapters.mtop import load
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, LanguagePair

DATA = Path(__file__).parents[2] / "data"
# Rain, wind and warmth ask for the weather, 103 sets an alarm; ids are the digits' ASCII in hex.
RAIN, WIND, ALARM, WARM = "313031", "313032", "313033", "313034"


def _card(task: str) -> TaskCard:
    card = load_card(task)
    assert isinstance(card, TaskCard)
    return card


def _load(
    task: str, query: str = "en", document: str = "de", folder: Path = DATA / "mtop"
) -> Collection:
    card = _card(task)
    return load(card, LanguagePair(query, document), "test", Source(card, folder, "local"))


def _pairs(collection: Collection) -> list[tuple[str, str]]:
    return [(qrel.query_id, qrel.doc_id) for qrel in collection.qrels]


def _broken(tmp_path: Path, change: Callable[[list[Any]], None]) -> Path:
    rows = json.loads((DATA / "mtop/test.json").read_text(encoding="utf-8"))
    change(rows)
    (tmp_path / "test.json").write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path


def test_the_translation_has_the_querys_id() -> None:
    collection = _load("mtop-translation")
    assert _pairs(collection) == [(key, key) for key in (RAIN, WIND, ALARM, WARM)]
    assert collection.queries[2].text == "wake me at six"
    assert list(collection.documents)[2].text == "weck mich um sechs"
    assert not collection.skip_same_id


def test_same_intent_is_relevant_and_the_own_translation_is_skipped() -> None:
    collection = _load("mtop-intent")
    assert sorted(_pairs(collection)) == [
        (RAIN, WIND),
        (RAIN, WARM),
        (WIND, RAIN),
        (WIND, WARM),
        (WARM, RAIN),
        (WARM, WIND),
    ]
    assert collection.skip_same_id


def test_a_query_alone_in_its_intent_is_kept_and_not_judged() -> None:
    collection = _load("mtop-intent")
    assert ALARM in {query.query_id for query in collection.queries}
    assert ALARM not in {qrel.query_id for qrel in collection.qrels}


def test_query_languages_share_the_corpus_of_a_document_language() -> None:
    assert _load("mtop-intent", "en", "de").corpus_id == _load("mtop-intent", "fr", "de").corpus_id


def test_the_official_tables_give_what_both_languages_have() -> None:
    collection = _load("mtop-translation", folder=DATA / "mtop-tsv")
    assert _pairs(collection) == [(key, key) for key in (RAIN, WIND, WARM)]
    parallel = {document.doc_id: document for document in _load("mtop-translation").documents}
    assert list(collection.documents) == [parallel[key] for key in (RAIN, WIND, WARM)]
    intents = _load("mtop-intent", folder=DATA / "mtop-tsv")
    assert sorted(_pairs(intents)) == sorted(_pairs(_load("mtop-intent")))


def test_corpora_of_the_tables_are_kept_apart_where_they_differ() -> None:
    to_english = _load("mtop-translation", "de", "en", DATA / "mtop-tsv")
    assert len(list(to_english.documents)) == 3
    assert to_english.corpus_id != "en"


def test_the_folder_mtop_may_be_left_out_and_dev_is_eval(tmp_path: Path) -> None:
    for code in ("en", "de"):
        (tmp_path / code).mkdir()
        table = (DATA / f"mtop-tsv/mtop/{code}/test.txt").read_bytes()
        (tmp_path / code / "eval.txt").write_bytes(b"\xef\xbb\xbf" + table.replace(b"\n", b"\r\n"))
    card = _card("mtop-translation")
    source = Source(card, tmp_path, "local")
    collection = load(card, LanguagePair("en", "de"), "dev", source)
    assert [query.query_id for query in collection.queries] == [RAIN, WIND, WARM]


def test_a_missing_column_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/test.txt").write_text(f"{RAIN}\tIN:GET_WEATHER\t\tis it wet\n")
    with pytest.raises(DataError, match=r"en/test\.txt:1: expected 8 columns, found 4"):
        _load("mtop-translation", "en", "de", tmp_path)


def test_a_repeated_id_in_a_table_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    line = f"{RAIN}\tIN:GET_WEATHER\t\tis it wet\tweather\ten_XX\t[IN:GET_WEATHER ]\t{{}}\n"
    (tmp_path / "en/test.txt").write_text(line * 2)
    with pytest.raises(DataError, match=rf"test\.txt:2: id '{RAIN}' occurs twice"):
        _load("mtop-translation", "en", "de", tmp_path)


def test_a_missing_release_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDataError, match=r"test\.json is not in .*XSemPLR.*CLIR_BENCH_DATA/m"
    ):
        _load("mtop-intent", folder=tmp_path)


def _drop_language(rows: list[Any]) -> None:
    del rows[1]["question"]["de"]


def _drop_parse(rows: list[Any]) -> None:
    del rows[2]["mr"]


def _number(rows: list[Any]) -> None:
    rows[0]["question"]["en"] = 5


def _empty(rows: list[Any]) -> None:
    rows[3]["question"]["en"] = " "


def _repeat(rows: list[Any]) -> None:
    rows[3]["id"] = RAIN


def _no_intent(rows: list[Any]) -> None:
    rows[0]["mr"]["slot_intent"]["en"] = "GET_WEATHER"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop_language, r"item 1 \(from 0\): field 'question\.de' is missing \(found: en, fr\)"),
        (_drop_parse, r"item 2 \(from 0\): field 'mr' is missing \(found: id, question\)"),
        (_number, r"item 0 \(from 0\): question\.en must be a string, found 5"),
        (_empty, rf"item 3 \(from 0\): utterance '{WARM}' has no text"),
        (_repeat, rf"item 3 \(from 0\): id '{RAIN}' occurs twice"),
        (_no_intent, r"expected an intent, 'IN:\.\.\.', found 'GET_WEATHER'"),
    ],
)
def test_what_is_wrong_in_the_parallel_file_is_named(
    tmp_path: Path, change: Callable[[list[Any]], None], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _load("mtop-translation", folder=_broken(tmp_path, change))


def test_broken_json_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text('[\n{"id": }]')
    with pytest.raises(DataError, match=r"test\.json:2: broken JSON"):
        _load("mtop-translation", folder=tmp_path)
    (tmp_path / "test.json").write_text("{}")
    with pytest.raises(DataError, match="expected a list of utterances, found dict"):
        _load("mtop-translation", folder=tmp_path)


def test_a_card_must_say_what_is_relevant() -> None:
    card = _card("mtop-intent").model_copy(update={"source": {"relevance": "topic"}})
    with pytest.raises(CardError, match=r"'translation' or 'intent', found 'topic'"):
        load(card, LanguagePair("en", "de"), "test", Source(card, DATA / "mtop", "local"))


def test_both_tasks_read_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mtop").mkdir()
    monkeypatch.setenv("CLIR_BENCH_DATA", str(tmp_path))
    for task in ("mtop-translation", "mtop-intent"):
        assert locate(_card(task), "test").directory == tmp_path / "mtop"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("task", "unjudged"),
    [
        ("mtop-translation", {"test": 0, "dev": 0}),
        ("mtop-intent", {"test": 21, "dev": 13}),
    ],
)
@pytest.mark.usefixtures("real_data")
def test_real_files_are_the_official_ones_and_hold_the_cards_counts(
    task: str, unjudged: dict[str, int]
) -> None:
    card = _card(task)
    for split in card.splits:
        source = locate(card, split)
        assert {str(pair) for pair in card.available_pairs()} == set(card.counts[split])
        for pair in card.official_pairs():
            collection = load(card, pair, split, source)
            doc_ids = {document.doc_id for document in collection.documents}
            query_ids = {query.query_id for query in collection.queries}
            judged = {qrel.query_id for qrel in collection.qrels}
            found = (len(doc_ids), len(query_ids), len(collection.qrels))
            assert found == card.counts[split][str(pair)], pair
            assert {qrel.doc_id for qrel in collection.qrels} <= doc_ids, pair
            assert judged <= query_ids, pair
            assert len(query_ids - judged) == unjudged[split], pair
        assert source.unofficial == []
