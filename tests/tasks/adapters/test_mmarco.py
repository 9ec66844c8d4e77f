"""mMARCO in the layout of the hub's data set."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.adapters.mmarco import load
from clir_bench.tasks.cards import Counts, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

DATA = Path(__file__).parents[2] / "data" / "mmarco"


def the_card() -> TaskCard:
    card = load_card("mmarco")
    assert isinstance(card, TaskCard)
    return card


def load_pair(query: str, document: str, folder: Path = DATA) -> Collection:
    return load(
        the_card(), LanguagePair(query, document), "dev", Source(the_card(), folder, "local")
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the fixture that a test may spoil."""
    for path in DATA.rglob("*.tsv"):
        target = tmp_path / path.relative_to(DATA)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_any_query_language_goes_with_any_document_language() -> None:
    found = load_pair("nl", "fr")
    assert list(found.documents)[1] == Document("1", "Les abeilles font du miel avec le nectar.")
    assert found.queries[0] == Query("300", "wat maken bijen")
    assert found.qrels[0] == Qrel("300", "1", 1, "0")


def test_pairs_into_one_language_share_its_corpus_and_no_other() -> None:
    ids = {name: load_pair(*name).corpus_id for name in [("nl", "fr"), ("fr", "fr"), ("fr", "nl")]}
    assert ids["nl", "fr"] == ids["fr", "fr"] != ids["fr", "nl"]


def test_documents_can_be_read_again() -> None:
    documents = load_pair("en", "en").documents
    assert list(documents) == list(documents)
    assert len(list(documents)) == 3


def test_fourteen_languages_run_to_themselves_and_every_pair_can_be_asked_for() -> None:
    card = the_card()
    assert len(card.official_pairs()) == 14
    assert len(card.available_pairs()) == 14 * 14


def test_counts_hold_for_every_pair() -> None:
    card = the_card()
    expected = Counts(8841823, 6980, 7437)
    assert {card.counts_of("dev", pair) for pair in card.available_pairs()} == {expected}
    assert card.counts_of("train", card.official_pairs()[0]) is None


def test_packed_files_are_read(copy: Path) -> None:
    path = copy / "data/google/collections/french_collection.tsv"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert list(load_pair("fr", "fr", copy).documents) == list(load_pair("fr", "fr").documents)


def test_a_passage_without_its_text_names_the_line(copy: Path) -> None:
    path = copy / "data/google/collections/french_collection.tsv"
    path.write_text("0\tun\n1 deux\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"french_collection\.tsv:2: expected 2 columns, found 1"):
        list(load_pair("fr", "fr", copy).documents)


def test_a_missing_language_says_what_to_fetch() -> None:
    with pytest.raises(MissingDataError, match=r"hindi_collection\.tsv.*unicamp-dl/mmarco"):
        load_pair("en", "hi")
