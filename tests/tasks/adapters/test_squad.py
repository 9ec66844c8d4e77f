"""XQuAD and XQuAD-R: what the adapters make of SQuAD JSON, and of the ways it can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters import xquad, xquad_r
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, LanguagePair

DATA = Path(__file__).parents[2] / "data"
LANGUAGES = {"en": "en", "de": "de", "hi": "hi"}


def _card(task: str) -> TaskCard:
    card = load_card(task)
    assert isinstance(card, TaskCard)
    return card.model_copy(update={"languages": LANGUAGES})


def _xquad(query: str, document: str, folder: Path = DATA / "xquad") -> Collection:
    card = _card("xquad")
    pair = LanguagePair(query, document)
    return xquad.load(card, pair, "validation", Source(card, folder, "local"))


def _xquad_r(query: str, document: str, folder: Path = DATA / "xquad-r") -> Collection:
    card = _card("xquad-r")
    pair = LanguagePair(query, document)
    return xquad_r.load(card, pair, "validation", Source(card, folder, "local"))


def _broken(
    tmp_path: Path, name: str, change: Callable[[list[Any]], None], encoding: str = "utf-8"
) -> Path:
    """Copy one fixture with its articles changed; return the folder of the copy."""
    root = json.loads((DATA / name).read_text(encoding="utf-8"))
    change(root["data"])
    path = tmp_path / Path(name).name
    path.write_text(json.dumps(root, ensure_ascii=False), encoding=encoding)
    return tmp_path


def test_paragraphs_are_numbered_over_all_articles_alike_in_every_language() -> None:
    english, hindi = (list(_xquad(code, code).documents) for code in ("en", "hi"))
    assert [document.doc_id for document in english] == ["p000", "p001", "p002"]
    assert [document.doc_id for document in hindi] == ["p000", "p001", "p002"]
    assert english[2].text == "Its oven is heated with beech wood."
    assert english[2].title == ""


def test_a_question_finds_its_own_paragraph_in_another_language() -> None:
    collection = _xquad("en", "de")
    assert [query.query_id for query in collection.queries] == ["q1", "q2", "q3", "q4"]
    assert collection.queries[2].text == "When does the bakery open?"
    judged = [(qrel.query_id, qrel.doc_id, qrel.relevance) for qrel in collection.qrels]
    assert judged == [("q1", "p000", 1), ("q2", "p000", 1), ("q3", "p001", 1), ("q4", "p002", 1)]
    assert list(collection.documents)[1].text.startswith("Die Bäckerei")


def test_query_languages_share_the_corpus_of_a_document_language() -> None:
    assert _xquad("en", "de").corpus_id == _xquad("hi", "de").corpus_id
    assert _xquad("en", "de").corpus_id != _xquad("en", "hi").corpus_id


def test_a_files_difference_from_the_official_one_is_recorded() -> None:
    card = _card("xquad")
    source = Source(card, DATA / "xquad", "local")
    xquad.load(card, LanguagePair("en", "en"), "validation", source)
    assert source.unofficial == ["xquad.en.json differs from the official file (sha256)"]


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    folder = _broken(tmp_path, "xquad/xquad.en.json", lambda articles: None)
    assert len(_xquad("en", "en", folder).queries) == 4
    _broken(tmp_path, "xquad/xquad.en.json", lambda articles: articles.pop())
    assert len(_xquad("en", "en", folder).queries) == 2


def test_byte_order_mark_and_crlf_change_nothing(tmp_path: Path) -> None:
    text = (DATA / "xquad/xquad.hi.json").read_text(encoding="utf-8").replace("\n", "\r\n")
    (tmp_path / "xquad.hi.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert _xquad("hi", "hi", tmp_path) == _xquad("hi", "hi")


def test_texts_are_left_as_they_are(tmp_path: Path) -> None:
    decomposed, padded = "e\u0301te\u0301", " \u05e9\u05dc\u05d5\u05dd " + "x" * 100_000

    def change(articles: list[Any]) -> None:
        articles[0]["paragraphs"][0]["context"] = padded
        articles[0]["paragraphs"][0]["qas"][0]["question"] = decomposed

    collection = _xquad("en", "en", _broken(tmp_path, "xquad/xquad.en.json", change))
    assert next(iter(collection.documents)).text == padded
    assert collection.queries[0].text == decomposed


def test_broken_json_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "xquad.en.json").write_text('{"data": [\n{"title": "x",\n]}')
    with pytest.raises(DataError, match=r"xquad\.en\.json:3: broken JSON"):
        _xquad("en", "en", tmp_path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingDataError, match=r"xquad\.es\.json is not in .*--data-dir"):
        card = _card("xquad").model_copy(update={"languages": {"es": "es"}})
        source = Source(card, DATA / "xquad", "local")
        xquad.load(card, LanguagePair("es", "es"), "validation", source)


def _drop_context(articles: list[Any]) -> None:
    del articles[1]["paragraphs"][1]["context"]


def _drop_answers(articles: list[Any]) -> None:
    articles[1]["paragraphs"][0]["qas"][0]["answers"] = []


def _text_start(articles: list[Any]) -> None:
    articles[1]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = "21"


def _empty_question(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["qas"][1]["question"] = " \n"


def _empty_context(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["context"] = ""


def _repeat_id(articles: list[Any]) -> None:
    articles[1]["paragraphs"][1]["qas"][0]["id"] = "q1"


def _repeat_id_in_one_paragraph(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["qas"][1]["id"] = "q1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop_context, r"data\[1\]\.paragraphs\[1\]: field 'context' is missing \(found: qas"),
        (_drop_answers, r"qas\[0\]: expected at least one answer, found none"),
        (_text_start, r"answers\[0\]\.answer_start: expected int, found '21'"),
        (_empty_question, r"paragraphs\[0\]\.qas\[1\]\.question: expected text, found nothing"),
        (_empty_context, r"data\[0\]\.paragraphs\[0\]\.context: expected text, found nothing"),
        (_repeat_id, r"question id 'q1' occurs twice, first in data\[0\]\.paragraphs\[0\]"),
        (_repeat_id_in_one_paragraph, r"question id 'q1' occurs twice"),
        (lambda articles: articles.__setitem__(0, 7), r"data\[0\]: field 'paragraphs' is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    tmp_path: Path, change: Callable[[list[Any]], None], message: str
) -> None:
    folder = _broken(tmp_path, "xquad/xquad.en.json", change)
    with pytest.raises(DataError, match=message) as raised:
        _xquad("en", "en", folder)
    assert "xquad.en.json" in str(raised.value)


def test_languages_that_are_not_parallel_are_refused(tmp_path: Path) -> None:
    _broken(tmp_path, "xquad/xquad.en.json", lambda articles: None)
    _broken(tmp_path, "xquad/xquad.de.json", lambda articles: articles[1]["paragraphs"].pop())
    with pytest.raises(DataError, match="not parallel: 3 against 2 paragraphs"):
        _xquad("en", "de", tmp_path)

    def rename(articles: list[Any]) -> None:
        articles[1]["paragraphs"][0]["qas"][0]["id"] = "other"

    _broken(tmp_path, "xquad/xquad.de.json", rename)
    with pytest.raises(DataError, match=r"question ids of paragraph 1 \(from 0\) differ"):
        _xquad("en", "de", tmp_path)


def test_the_sentence_that_holds_the_answers_start_is_relevant() -> None:
    collection = _xquad_r("de", "en")
    ids = [document.doc_id for document in collection.documents]
    assert ids == ["en.0.0", "en.0.1", "en.1.0", "en.1.1", "en.2.0"]
    judged = [(qrel.query_id, qrel.doc_id) for qrel in collection.qrels]
    assert judged == [("q1", "en.0.0"), ("q2", "en.0.1"), ("q3", "en.1.0"), ("q4", "en.2.0")]
    assert collection.queries[0].text == "Wann friert der See zu?"
    assert {document.language for document in collection.documents} == {""}


def test_a_sentence_begins_at_its_break_and_ends_before_the_next(tmp_path: Path) -> None:
    def start_at(offset: int) -> Callable[[list[Any]], None]:
        def change(articles: list[Any]) -> None:
            articles[0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = offset

        return change

    breaks = [(0, 28), (29, 63)]  # "The lake freezes in January." is 28 characters long
    for offset, expected in [(0, "en.0.0"), (27, "en.0.0"), (29, "en.0.1"), (62, "en.0.1")]:
        folder = _broken(tmp_path, "xquad-r/en.json", start_at(offset))
        assert _xquad_r("en", "en", folder).qrels[0].doc_id == expected
    for offset in (breaks[0][1], breaks[1][1]):
        folder = _broken(tmp_path, "xquad-r/en.json", start_at(offset))
        with pytest.raises(DataError, match=rf"en\.json: question 'q1'.*at {offset}, inside no"):
            _xquad_r("en", "en", folder)


def test_the_pool_has_every_languages_sentences_and_answers() -> None:
    collection = _xquad_r("hi", "mul")
    documents = list(collection.documents)
    assert len(documents) == len({document.doc_id for document in documents}) == 4 + 5 + 5
    assert {document.doc_id.split(".")[0] == document.language for document in documents} == {True}
    relevant = sorted(qrel.doc_id for qrel in collection.qrels if qrel.query_id == "q2")
    assert relevant == ["de.0.0", "en.0.1", "hi.0.1"]
    assert len(collection.qrels) == 4 * 3
    assert collection.corpus_id == _xquad_r("en", "mul").corpus_id


def test_a_question_unanswered_in_a_language_is_named(tmp_path: Path) -> None:
    for code in ("en", "hi"):
        _broken(tmp_path, f"xquad-r/{code}.json", lambda articles: None)
    _broken(tmp_path, "xquad-r/de.json", lambda articles: articles[1]["paragraphs"].pop())
    with pytest.raises(DataError, match=r"de\.json: no question 'q4', which .*en\.json has"):
        _xquad_r("en", "mul", tmp_path)


def test_plain_xquad_is_not_taken_for_xquad_r(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_bytes((DATA / "xquad/xquad.en.json").read_bytes())
    with pytest.raises(DataError, match="paragraph 0 has no sentences; this is a plain XQuAD file"):
        _xquad_r("en", "en", tmp_path)


def _drop_break(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["sentence_breaks"].pop()


def _odd_break(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["sentence_breaks"][1] = [29]


def _empty_sentence(articles: list[Any]) -> None:
    articles[0]["paragraphs"][0]["sentences"][1] = ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop_break, "2 sentences but 1 sentence_breaks"),
        (_odd_break, r"sentence_breaks\[1\]: expected \[start, end\], found \[29\]"),
        (_empty_sentence, r"sentences\[1\]: expected text, found ''"),
    ],
)
def test_sentences_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[list[Any]], None], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _xquad_r("en", "en", _broken(tmp_path, "xquad-r/en.json", change))


@pytest.mark.realdata
@pytest.mark.parametrize("task", ["xquad", "xquad-r"])
@pytest.mark.usefixtures("real_data")
def test_real_files_are_the_official_ones_and_hold_the_cards_counts(task: str) -> None:
    card = load_card(task)
    assert isinstance(card, TaskCard)
    source = locate(card, "validation")
    load = {"xquad": xquad.load, "xquad-r": xquad_r.load}[task]
    assert {str(pair) for pair in card.available_pairs()} == set(card.counts["validation"])
    for pair in card.available_pairs():
        collection = load(card, pair, "validation", source)
        doc_ids = {document.doc_id for document in collection.documents}
        query_ids = {query.query_id for query in collection.queries}
        found = (len(doc_ids), len(query_ids), len(collection.qrels))
        assert found == card.counts["validation"][str(pair)], pair
        assert {qrel.doc_id for qrel in collection.qrels} <= doc_ids, pair
        assert {qrel.query_id for qrel in collection.qrels} == query_ids, pair
    assert source.unofficial == []
