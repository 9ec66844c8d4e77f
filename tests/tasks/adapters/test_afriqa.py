"""AfriQA: one pool of gold passages a document language, questions of one language and split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters.afriqa import load
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.pairs import PairRules
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, LanguagePair

DATA = Path(__file__).parents[2] / "data" / "afriqa"
HARBOUR = "The harbour was dredged in 1931."
LIGHTHOUSE = "Its lighthouse stands on the northern pier."
MARKET = "The old market burned down in 1902."


def _official_card() -> TaskCard:
    card = load_card("afriqa")
    assert isinstance(card, TaskCard)
    return card


def _card() -> TaskCard:
    """Return the official card cut down to the languages of the fixtures."""
    return _official_card().model_copy(
        update={
            "languages": {"sw": "swa", "yo": "yor", "fon": "fon", "en": "en", "fr": "fr"},
            "pairs": PairRules(official=("sw-en", "yo-en", "fon-fr")),
            "source": {"test": ["sw", "yo", "fon"], "dev": [], "train": ["yo"]},
        }
    )


def _load(query: str, document: str, split: str = "test", folder: Path = DATA) -> Collection:
    card = _card()
    return load(card, LanguagePair(query, document), split, Source(card, folder, "local"))


def _one_file(folder: Path, text: str) -> Path:
    path = folder / "data/gold_passages/fon/gold_span_passages.afriqa.fon.fr.test.json"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_the_pool_is_every_passage_of_the_document_language_once() -> None:
    documents = list(_load("sw", "en").documents)
    assert [document.text for document in documents] == [HARBOUR, LIGHTHOUSE, MARKET]
    assert _load("sw", "en").corpus_id == _load("yo", "en").corpus_id
    assert list(_load("yo", "en", "train").documents) == documents
    assert len(list(_load("fon", "fr").documents)) == 1


def test_a_passage_takes_its_title_from_the_first_row_that_has_one() -> None:
    documents = list(_load("sw", "en").documents)
    assert [document.title for document in documents] == ["Harbour", "Harbour", "Market"]


def test_query_ids_carry_language_split_and_official_id() -> None:
    collection = _load("sw", "en")
    assert [query.query_id for query in collection.queries] == [
        "sw-test-0",
        "sw-test-1",
        "sw-test-3",
        "sw-test-4",
    ]
    assert collection.queries[0].text == "Bandari ilichimbwa mwaka gani?"


def test_a_question_asked_twice_has_the_passages_of_both_rows() -> None:
    collection = _load("sw", "en")
    texts = {document.doc_id: document.text for document in collection.documents}
    relevant: dict[str, list[str]] = {}
    for qrel in collection.qrels:
        relevant.setdefault(qrel.query_id, []).append(texts[qrel.doc_id])
    assert relevant == {
        "sw-test-0": [HARBOUR],
        "sw-test-1": [LIGHTHOUSE, HARBOUR],
        "sw-test-3": [LIGHTHOUSE, HARBOUR],
    }


def test_rows_without_passage_are_queries_without_judgments_and_no_documents() -> None:
    collection = _load("yo", "en", "train")
    assert [query.query_id for query in collection.queries] == ["yo-train-0", "yo-train-2"]
    assert {qrel.query_id for qrel in collection.qrels} == {"yo-train-0"}
    assert all(document.text for document in collection.documents)


def test_document_ids_do_not_depend_on_the_rest_of_the_pool() -> None:
    alone = _card().model_copy(
        update={"pairs": PairRules(official=("yo-en",)), "source": {"test": ["yo"], "train": []}}
    )
    alone = alone.model_copy(update={"splits": ("test",)})
    source = Source(alone, DATA, "local")
    [market] = load(alone, LanguagePair("yo", "en"), "test", source).documents
    assert market in list(_load("sw", "en").documents)


def test_a_split_without_passages_of_the_language_is_answered_with_those_that_have() -> None:
    with pytest.raises(MissingDataError, match=r"sw-en in split 'train', which has yo"):
        _load("sw", "en", "train")


def test_a_file_of_the_pool_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"gold_span_passages\.afriqa\.swa\.en\.test\.json"):
        _load("yo", "en", "test", tmp_path)


def _row(**changes: object) -> str:
    row = {"id": "7", "question_lang": "Ɖò fitɛ?", "title": "Port", "context": "Le port."}
    return json.dumps(row | changes, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_row() + _row(), r"test\.json:2: id '7' occurs twice"),
        (_row() + '{"id": "8", \n', r"test\.json:2: broken JSON"),
        ('{"id": "8"}\n', r"test\.json:1: field 'question_lang' is missing \(found: id\)"),
        (_row(question_lang=None), r"test\.json:1: '7' has a passage, no question"),
        (_row(context=["Le port."]), r"test\.json:1: context must be text, found \['Le port"),
        (_row(id=7), r"test\.json:1: id must be text, found 7"),
        (_row(id=""), r"test\.json:1: field 'id' is empty"),
        ("[]\n", r"test\.json:1: expected a JSON object"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _load("fon", "fr", "test", _one_file(tmp_path, text))


def test_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    folder = _one_file(tmp_path, "\ufeff" + _row().replace("\n", "\r\n"))
    assert _load("fon", "fr", "test", folder).queries[0].text == "Ɖò fitɛ?"


def test_the_sample_is_its_own_pool(tmp_path: Path) -> None:
    path = tmp_path / "data/gold_passages/swa/gold_span_passages.afriqa.swa.en.sample.json"
    path.parent.mkdir(parents=True)
    path.write_text(_row(), encoding="utf-8")
    card = _card().model_copy(update={"pairs": PairRules(official=("sw-en",))})
    source = Source(card, tmp_path, "sample")
    collection = load(card, LanguagePair("sw", "en"), "sample", source)
    assert [query.query_id for query in collection.queries] == ["sw-sample-7"]
    assert len(list(collection.documents)) == len(collection.qrels) == 1


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
def test_real_files_are_the_official_ones_and_hold_the_cards_counts() -> None:
    card = _official_card()
    n_pairs = 0
    for split in card.splits:
        source = locate(card, split)
        for name, counts in card.counts[split].items():
            pair = LanguagePair(*name.split("-"))
            collection = load(card, pair, split, source)
            doc_ids = {document.doc_id for document in collection.documents}
            query_ids = {query.query_id for query in collection.queries}
            assert (len(doc_ids), len(query_ids), len(collection.qrels)) == counts, (split, pair)
            assert {qrel.doc_id for qrel in collection.qrels} <= doc_ids, (split, pair)
            assert {qrel.query_id for qrel in collection.qrels} <= query_ids, (split, pair)
            n_pairs += 1
        assert source.unofficial == []
    assert n_pairs == 9 + 7 + 8


@pytest.mark.realdata
def test_real_rows_and_contexts_are_those_the_authors_released(real_data: Path) -> None:
    contexts: dict[str, set[str | None]] = {"en": set(), "fr": set()}
    n_rows = n_without_passage = n_without_both = 0
    for path in sorted((real_data / "afriqa/data/gold_passages").glob("*/*.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            contexts[path.name.split(".")[3]].add(row["context"])
            n_rows += 1
            n_without_passage += not row["context"]
            n_without_both += not row["context"] and not isinstance(row["question_lang"], str)
    assert (n_rows, len(contexts["en"]), len(contexts["fr"])) == (7210, 5403, 791)
    assert (n_without_passage, n_without_both) == (156, 1)
    card = _official_card()
    n_queries = sum(
        counts.queries for split in card.splits for counts in card.counts[split].values()
    )
    assert n_queries == n_rows - n_without_both
    assert card.counts["test"]["sw-en"].documents == len(contexts["en"] - {None, ""})
    assert card.counts["test"]["fon-fr"].documents == len(contexts["fr"] - {None, ""})
