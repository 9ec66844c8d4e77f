"""Tatoeba: aligned lines, both directions, one English file a language."""

from __future__ import annotations

from pathlib import Path

import pytest

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters.tatoeba import load
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, LanguagePair

DATA = Path(__file__).parents[2] / "data" / "tatoeba"


def _card() -> TaskCard:
    card = load_card("tatoeba")
    assert isinstance(card, TaskCard)
    return card


def _load(query: str, document: str, folder: Path = DATA) -> Collection:
    card = _card()
    return load(card, LanguagePair(query, document), "test", Source(card, folder, "local"))


def _write(folder: Path, foreign: bytes, english: bytes) -> None:
    (folder / "tatoeba.swh-eng.swh").write_bytes(foreign)
    (folder / "tatoeba.swh-eng.eng").write_bytes(english)


def test_the_aligned_line_is_relevant_and_has_the_querys_id() -> None:
    collection = _load("sw", "en")
    assert [query.query_id for query in collection.queries] == ["sw-0001", "sw-0002", "sw-0003"]
    assert collection.queries[1].text == "Mvua inanyesha tangu asubuhi."
    assert list(collection.documents)[1].text == "It has been raining since morning."
    assert [(qrel.query_id, qrel.doc_id) for qrel in collection.qrels] == [
        ("sw-0001", "sw-0001"),
        ("sw-0002", "sw-0002"),
        ("sw-0003", "sw-0003"),
    ]


def test_the_other_direction_swaps_the_sides_and_keeps_the_ids() -> None:
    there, back = _load("sw", "en"), _load("en", "sw")
    assert [tuple(query) for query in back.queries] == [
        (document.doc_id, document.text) for document in there.documents
    ]
    assert back.qrels == there.qrels


def test_english_is_another_corpus_with_every_language() -> None:
    corpora = {_load(*pair).corpus_id for pair in [("sw", "en"), ("en", "sw"), ("de", "en")]}
    assert len(corpora) == 3


def test_the_folder_v1_may_be_left_out() -> None:
    assert _load("de", "en").queries[0].text == "Das Fenster ist offen."


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    _write(tmp_path, b"moja\nmbili", b"one\ntwo\n")
    assert len(_load("sw", "en", tmp_path).queries) == 2


def test_byte_order_mark_and_crlf_are_not_text(tmp_path: Path) -> None:
    _write(tmp_path, b"\xef\xbb\xbfmoja\r\nmbili\r\n", b"one\ntwo\n")
    assert [query.text for query in _load("sw", "en", tmp_path).queries] == ["moja", "mbili"]


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    _write(tmp_path, "a\u2028b\u0085c\n".encode(), b"one\n")
    assert [query.text for query in _load("sw", "en", tmp_path).queries] == ["a\u2028b\u0085c"]


def test_unequal_lengths_are_refused_with_both_counts(tmp_path: Path) -> None:
    _write(tmp_path, b"moja\nmbili\n", b"one\ntwo\nthree\n")
    with pytest.raises(DataError, match=r"sw-en.*\.swh has 2 lines but .*\.eng has 3"):
        _load("sw", "en", tmp_path)


def test_an_empty_line_is_named(tmp_path: Path) -> None:
    _write(tmp_path, b"moja\n \ntatu\n", b"one\ntwo\nthree\n")
    with pytest.raises(DataError, match=r"tatoeba\.swh-eng\.swh:2: expected a sentence"):
        _load("en", "sw", tmp_path)


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    _write(tmp_path, b"moja\nmb\xff\n", b"one\ntwo\n")
    with pytest.raises(DataError, match=r"\.swh:2: not UTF-8"):
        _load("sw", "en", tmp_path)


def test_repeated_sentences_stay_apart(tmp_path: Path) -> None:
    _write(tmp_path, b"moja\nmoja tu\n", b"one\none\n")
    collection = _load("sw", "en", tmp_path)
    assert [document.doc_id for document in collection.documents] == ["sw-0001", "sw-0002"]
    assert len(collection.qrels) == 2


def test_a_missing_file_is_named_in_both_places(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"v1/tatoeba\.tel-eng\.tel or tatoeba\.tel-eng"):
        _load("te", "en", tmp_path)


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
def test_real_files_are_the_official_ones_and_hold_the_cards_counts() -> None:
    card = _card()
    source = locate(card, "test")
    assert len(card.languages) == 113
    assert {str(pair) for pair in card.available_pairs()} == set(card.counts["test"])
    for pair in card.official_pairs():
        collection = load(card, pair, "test", source)
        doc_ids = {document.doc_id for document in collection.documents}
        query_ids = {query.query_id for query in collection.queries}
        found = (len(doc_ids), len(query_ids), len(collection.qrels))
        assert found == card.counts["test"][str(pair)], pair
        assert doc_ids == query_ids == {qrel.doc_id for qrel in collection.qrels}, pair
    assert source.unofficial == []
