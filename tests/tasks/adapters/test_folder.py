"""Users' own collections: BEIR's layout and TREC's, and every way their files can be wrong."""

from __future__ import annotations

import gzip
import shutil
import textwrap
import tomllib
from pathlib import Path

import pytest

from clir_bench.errors import CardError, DataError, MissingDataError
from clir_bench.tasks.adapters import folder
from clir_bench.tasks.adapters.folder import load
from clir_bench.tasks.cards import Counts, TaskCard, parse_card
from clir_bench.tasks.source import Source, locate
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

DATA = Path(__file__).parents[2] / "data" / "folder"
BEIR = {
    "documents": "{document}/corpus.jsonl",
    "queries": "queries.{query}.jsonl",
    "qrels": "qrels/{split}.tsv",
}
TREC = {"layout": "trec", "queries": "topics.txt"}
QRELS_HEADER = "query-id\tcorpus-id\tscore\n"


def the_card(source: dict[str, str], pairs: tuple[str, ...] = ("en-so", "en-sw")) -> TaskCard:
    card = parse_card(
        {
            "id": "mine",
            "title": "Mine",
            "description": "A test.",
            "adapter": "folder",
            "splits": ["test"],
            "default_split": "test",
            "measures": ["nDCG@10"],
            "parallel_queries": False,
            "license": "none",
            "source": source,
            "pairs": {"official": list(pairs)},
            "languages": {"en": "en", "so": "so", "sw": "sw"},
        },
        where="card",
    )
    assert isinstance(card, TaskCard)
    return card


def load_beir(directory: Path, document: str = "so") -> Collection:
    card = the_card(BEIR)
    return load(card, LanguagePair("en", document), "test", Source(card, directory, "local"))


def load_trec(directory: Path, **source: str) -> Collection:
    card = the_card({**TREC, **source}, ("en-sw",))
    return load(card, LanguagePair("en", "sw"), "test", Source(card, directory, "local"))


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "beir", tmp_path / "beir"))


@pytest.fixture
def trec(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "trec", tmp_path / "trec"))


def test_beir_layout_is_read_with_the_splits_queries() -> None:
    found = load_beir(DATA / "beir")
    assert list(found.documents) == [
        Document("d1", "Roob culus ayaa ka da'ay Hargeysa.", "Roob"),
        Document("d2", "Suuqa xoolaha waa la xiray."),
    ]
    assert found.queries == [
        Query("q1", "heavy rain in Hargeisa"),
        Query("q2", "livestock market closed"),
    ]
    assert found.qrels == [Qrel("q1", "d1", 2), Qrel("q1", "d2", 0), Qrel("q2", "d2", 1)]


def test_one_card_covers_several_corpora() -> None:
    somali, swahili = load_beir(DATA / "beir"), load_beir(DATA / "beir", "sw")
    assert somali.corpus_id != swahili.corpus_id
    assert [document.title for document in swahili.documents] == ["Mvua", ""]


def test_pool_of_all_languages_is_read_from_the_file_called_mul(trec: Path) -> None:
    (trec / "docs.jsonl").rename(trec / "docs.mul.jsonl")
    card = the_card({**TREC, "documents": "docs.{document}.jsonl"}, ("en-mul",))
    found = load(card, LanguagePair("en", "mul"), "test", Source(card, trec, "local"))
    assert found.corpus_id == "docs.mul.jsonl"
    assert list(found.documents)


def test_trec_layout_is_read() -> None:
    found = load_trec(DATA / "trec")
    assert list(found.documents) == [
        Document("A-1", "Mvua kubwa ilinyesha.", "Rain"),
        Document("A-2", "Soko limefungwa."),
    ]
    assert found.queries == [
        Query("351", "heavy rain in Hargeisa"),
        Query("352", "livestock market"),
    ]
    assert found.qrels[2] == Qrel("352", "A-2", 2, "0")


def test_another_field_of_the_topics_can_be_searched_with() -> None:
    found = load_trec(DATA / "trec", query_field="desc")
    assert [query.text for query in found.queries] == ["Where did it rain?", "Which market closed?"]
    with pytest.raises(DataError, match=r"topics\.txt:11: topic '352' has no text in <narr>"):
        load_trec(DATA / "trec", query_field="narr")
    with pytest.raises(CardError, match="query_field must be title, desc, narr, found 'body'"):
        load_trec(DATA / "trec", query_field="body")


def test_topics_may_be_lines(trec: Path) -> None:
    (trec / "topics.txt").write_text("351\theavy rain\n352\tmarket\n", encoding="utf-8")
    assert load_trec(trec).queries == [Query("351", "heavy rain"), Query("352", "market")]


def test_packed_crlf_and_bom_change_nothing(beir: Path, trec: Path) -> None:
    for path in [*beir.rglob("*.*l"), *beir.rglob("*.tsv"), *trec.iterdir()]:
        data = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
        path.unlink()
    for found, plain in (
        (load_beir(beir), load_beir(DATA / "beir")),
        (load_trec(trec), load_trec(DATA / "trec")),
    ):
        assert list(found.documents) == list(plain.documents)
        assert (found.queries, found.qrels) == (plain.queries, plain.qrels)


def test_the_cards_directory_is_beside_the_card(tmp_path: Path) -> None:
    shutil.copytree(DATA / "beir", tmp_path / "beir")
    card = the_card({**BEIR, "directory": "beir"}).model_copy(update={"directory": tmp_path})
    found = load(card, LanguagePair("en", "so"), "test", locate(card, "test"))
    assert len(list(found.documents)) == 2


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("queries.en.jsonl", '{"_id": "q", "text": "a"}\n' * 2, r":2: query id 'q' occurs twice"),
        ("queries.en.jsonl", '{"_id": "q1", "text": " "}\n', r":1: query 'q1' has no text"),
        ("queries.en.jsonl", '{"_id": "q1"}\n', r":1: field 'text' is missing"),
        ("queries.en.jsonl", '{"_id": 1, "text": "a"}\n', r":1: _id and text must be text"),
        ("queries.en.jsonl", '{"_id": "q1", "text": "a"}\n\n{"_id": \n', r":3: broken JSON"),
        ("queries.en.jsonl", '{"_id": "Q1", "text": "a"}\n', r"none of the 1 .*judged: 'q1'"),
        ("qrels/test.tsv", "q1\td1\t1\n", r":1: expected the header query-id<tab>corpus-id"),
        ("qrels/test.tsv", "", r":1: .*found an empty file"),
        ("qrels/test.tsv", "query-id\tcorpus-id\n", r":1: expected 3 columns, found 2"),
        ("qrels/test.tsv", QRELS_HEADER + "q1\td1\n", r":2: expected 3 columns, found 2"),
        ("qrels/test.tsv", QRELS_HEADER + "q1\td1\t0.5\n", r":2: score must be a whole number"),
        ("qrels/test.tsv", QRELS_HEADER + "q1\td1\t1\nq1\td1\t0\n", r":3: 'd1' is judged twice"),
        ("so/corpus.jsonl", '{"_id": "d1"}\n', r":1: field 'text' is missing"),
        ("so/corpus.jsonl", '{"_id": "d1", "text": "a"}\n{"_id', r":2: broken JSON"),
        ("so/corpus.jsonl", '{"_id": 7, "text": "a"}\n', r":1: _id must be text, found 7"),
    ],
)  # fmt: skip
def test_a_broken_line_of_a_beir_folder_is_named(
    beir: Path, name: str, content: str, problem: str
) -> None:
    (beir / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=problem) as raised:
        list(load_beir(beir).documents)
    assert Path(name).name in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("topics.txt", "<top><num>1</num><title>a</title>\n", r":1: this <top> is never closed"),
        ("topics.txt", "<top><num>1<title>a\n<top>\n", r":2: a new <top>, but the one of line 1"),
        ("topics.txt", "<top>\n<title>a</title></top>\n", r":1: this topic has no <num>"),
        ("topics.txt", "<top><num>1</num></top>\n", r":1: topic '1' has no text in <title>"),
        ("topics.txt", "<top><num>1<title>a</top>\n" * 2, r":2: topic number '1' occurs twice"),
        ("topics.txt", "<top><num>1<title>a</top>\nmore\n", r":2: expected <top>, found 'more'"),
        ("topics.txt", "</top>\n", r":1: </top> without a <top>"),
        ("topics.txt", "351 rain\n", r":1: expected 2 columns, found 1"),
        ("topics.txt", "351\train\n351\train\n", r":2: query id '351' occurs twice"),
        ("qrels.test.txt", "351 0 A-1\n", r":1: expected 4 columns, found 3"),
        ("qrels.test.txt", "351 0 A-1 yes\n", r":1: relevance must be a whole number"),
        ("docs.jsonl", '{"name": "A-1", "text": "a"}\n', r":1: expected exactly one of .*docid"),
        ("docs.jsonl", '{"id": "A-1", "body": "a"}\n', r":1: expected exactly one of .*text, con"),
        ("docs.jsonl", "", r":1: expected exactly one of .*found no document"),
        ("docs.jsonl", '{"id": "1", "text": "a"}\n{"text": "b"}\n', r":2: field 'id' is missing"),
    ],
)  # fmt: skip
def test_a_broken_line_of_a_trec_folder_is_named(
    trec: Path, name: str, content: str, problem: str
) -> None:
    (trec / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"{name}{problem}"):
        list(load_trec(trec).documents)


def test_a_missing_file_is_named(beir: Path) -> None:
    (beir / "qrels/test.tsv").unlink()
    with pytest.raises(MissingDataError, match=r"qrels/test\.tsv or qrels/test\.tsv\.gz is not in"):
        load_beir(beir)


def test_two_languages_are_never_read_from_one_file() -> None:
    card = the_card({"queries": "queries.en.jsonl"})
    source = Source(card, DATA / "beir", "local")
    with pytest.raises(CardError, match=r"'corpus\.jsonl' for all of so, sw; put \{document\}"):
        load(card, LanguagePair("en", "so"), "test", source)


def test_an_unknown_layout_is_refused() -> None:
    card = the_card({"layout": "csv"})
    with pytest.raises(CardError, match="layout must be beir or trec, found 'csv'"):
        load(card, LanguagePair("en", "so"), "test", Source(card, DATA, "local"))


def test_the_example_card_in_the_docstring_is_a_card() -> None:
    lines = (folder.__doc__ or "").splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("    id ="))
    last = next(n for n, line in enumerate(lines) if n > first and line.startswith("Without"))
    card = parse_card(
        tomllib.loads(textwrap.dedent("\n".join(lines[first:last]))), where="docstring"
    )
    assert isinstance(card, TaskCard)
    assert card.counts_of("test", LanguagePair("en", "so")) == Counts(12000, 50, 731)
