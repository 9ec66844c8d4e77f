"""MIRACL's official folder layout, its cards' counts, and the real extract."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from clir_bench.core.text_files import read_qrels, read_topics
from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters.miracl import load
from clir_bench.tasks.cards import Counts, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

DATA = Path(__file__).parents[2] / "data" / "miracl"
SW = LanguagePair("sw", "sw")


def the_card(name: str = "miracl") -> TaskCard:
    card = load_card(name)
    assert isinstance(card, TaskCard)
    return card


def load_from(folder: Path, pair: LanguagePair = SW, split: str = "dev") -> Collection:
    return load(the_card(), pair, split, Source(the_card(), folder, "local"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the fixture that a test may spoil."""
    for path in DATA.rglob("*-sw*"):
        for file in path.rglob("*") if path.is_dir() else ():
            if file.is_file():
                target = tmp_path / file.relative_to(DATA)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    return tmp_path


def test_questions_passages_and_negatives_are_read() -> None:
    found = load_from(DATA)
    assert list(found.documents)[:2] == [
        Document("10#0", "Ziwa Viktoria ni ziwa kubwa kuliko yote barani Afrika.", "Ziwa Viktoria"),
        Document("10#1", "Linapakana na Tanzania, Uganda na Kenya.", "Ziwa Viktoria"),
    ]
    assert found.queries[0] == Query("7", "Mlima upi ni mrefu kuliko yote Afrika?")
    assert found.qrels[1] == Qrel("7", "10#0", 0, "Q0")
    assert [len(list(found.documents)), len(found.queries), len(found.qrels)] == [4, 2, 4]


def test_title_and_text_are_joined_by_a_space() -> None:
    assert the_card().document_text == "{title} {text}"


def test_document_files_are_read_in_numeric_order_packed_or_not(copy: Path) -> None:
    folder = copy / "miracl-corpus-v1.0-sw"
    for number in range(2, 11):
        line = json.dumps({"docid": f"{number}", "title": "", "text": "x"}).encode()
        (folder / f"docs-{number}.jsonl.gz").write_bytes(gzip.compress(line))
    ids = [document.doc_id for document in load_from(copy).documents]
    assert ids == ["10#0", "10#1", "11#0", "12#0", *(str(number) for number in range(2, 11))]


def test_a_gap_in_the_document_files_is_half_a_download(copy: Path) -> None:
    folder = copy / "miracl-corpus-v1.0-sw"
    (folder / "docs-1.jsonl").rename(folder / "docs-2.jsonl")
    with pytest.raises(DataError, match=r"docs-1\.jsonl\.gz is missing, though docs-2 is there"):
        load_from(copy)


def test_a_missing_language_fails_alone_and_says_what_to_fetch() -> None:
    with pytest.raises(MissingDataError, match=r"topics\.miracl-v1\.0-yo-dev\.tsv is not in"):
        load_from(DATA, LanguagePair("yo", "yo"))
    assert load_from(DATA, LanguagePair("te", "te")).queries


def test_a_missing_corpus_is_noticed_before_it_is_streamed(copy: Path) -> None:
    folder = copy / "miracl-corpus-v1.0-sw"
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(MissingDataError, match=r"docs-0\.jsonl\.gz or .*docs-0\.jsonl is not in"):
        load_from(copy)


def test_the_extract_is_never_fetched(tmp_path: Path) -> None:
    card = the_card("miracl-mini")
    with pytest.raises(MissingDataError, match="not published for download"):
        load(card, SW, "dev", Source(card, tmp_path, "cache"))


def test_a_truncated_corpus_file_names_itself(copy: Path) -> None:
    folder = copy / "miracl-corpus-v1.0-sw"
    packed = gzip.compress((folder / "docs-0.jsonl").read_bytes() * 50)
    (folder / "docs-0.jsonl").unlink()
    (folder / "docs-0.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"docs-0\.jsonl\.gz: damaged or truncated gzip"):
        list(load_from(copy).documents)


def test_the_extract_is_no_miracl_score() -> None:
    assert "never a MIRACL score" in (the_card("miracl-mini").unofficial or "")


@pytest.mark.realdata
@pytest.mark.parametrize("language", sorted(load_card("miracl").languages))  # type: ignore[union-attr]
def test_card_agrees_with_the_official_topics_and_qrels(real_data: Path, language: str) -> None:
    folder, pair = real_data / "miracl-topics-qrels", LanguagePair(language, language)
    stated = the_card().counts_of("dev", pair)
    assert stated is not None
    topics = read_topics(folder / f"topics.miracl-v1.0-{language}-dev.tsv")
    qrels = read_qrels(folder / f"qrels.miracl-v1.0-{language}-dev.tsv")
    assert (len(topics), len(qrels)) == stated[1:]
    assert {qrel.query_id for qrel in qrels} == {query.query_id for query in topics}
    train = the_card().counts_of("train", pair)
    path = folder / f"topics.miracl-v1.0-{language}-train.tsv"
    assert path.exists() == (train is not None)
    assert train is None or len(read_topics(path)) == train.queries


@pytest.mark.realdata
@pytest.mark.parametrize("split", ["dev", "train"])
def test_card_agrees_with_the_real_extract(real_data: Path, split: str) -> None:
    card = the_card("miracl-mini")
    source = Source(card, real_data / "miracl-mini", "local")
    for name, stated in card.counts[split].items():
        language = name.partition("-")[0]
        found = load(card, LanguagePair(language, language), split, source)
        documents = [document.doc_id for document in found.documents]
        assert Counts(len(documents), len(found.queries), len(found.qrels)) == stated, name
        assert len(set(documents)) == len(documents)
        assert {qrel.doc_id for qrel in found.qrels} <= set(documents)
