"""Whatever an adapter returns is either a collection of the promised types or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clir_bench.errors import DataError, PluginError
from clir_bench.tasks.adapters.checked import checked
from clir_bench.types import LARGEST_GRADE, Collection, Document, Qrel, Query

GOOD = Collection("c", [Document("d1", "moja")], [Query("q1", "one")], [Qrel("q1", "d1", 1)])


def refused(found: Any) -> str:
    with pytest.raises(PluginError) as caught:
        list(checked(found, "adapter 'mine'").documents)
    assert str(caught.value).startswith("adapter 'mine'")
    return str(caught.value)


def test_a_good_collection_passes_unchanged() -> None:
    found = checked(GOOD, "adapter 'mine'")
    assert replace(found, documents=list(found.documents)) == GOOD


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"corpus_id": None}, "Collection.corpus_id must be str, found None"),
    ({"corpus_id": ["x"]}, "Collection.corpus_id must be str, found list ['x']"),
    ({"skip_same_id": 1}, "Collection.skip_same_id must be bool, found 1"),
    ({"documents": iter([])}, "documents is a list_iterator, which is read only once"),
    ({"documents": [("d1", "text", "", "")]}, "expected a Document, found tuple ('d1'"),
    ({"documents": [{"doc_id": "d1"}]}, "expected a Document, found dict {'doc_id'"),
    ({"documents": [Document(1, "x")]}, "Document.doc_id must be str, found 1"),  # type: ignore[arg-type]
    ({"documents": [Document("d", None)]}, "Document.text must be str, found None"),  # type: ignore[arg-type]
    ({"documents": [Document("d", b"x")]}, "Document.text must be str, found bytes b'x'"),  # type: ignore[arg-type]
    ({"documents": [Document("d", "x", None)]}, "Document.title must be str, found None"),  # type: ignore[arg-type]
    ({"documents": [Document("d", "x", "", 3)]}, "Document.language must be str, found 3"),  # type: ignore[arg-type]
    ({"documents": [Document("\ud800", "x")]}, r"doc_id '\ud800' holds half a surrogate pair"),
    ({"queries": iter([])}, "Collection.queries must be a list, found list_iterator"),
    ({"queries": None}, "Collection.queries must be a list, found None"),
    ({"queries": "text"}, "Collection.queries must be a list, found 'text'"),
    ({"queries": [("q", "x")]}, "expected a Query, found tuple ('q', 'x')"),
    ({"queries": [Query(7, "x")]}, "Query.query_id must be str, found 7"),  # type: ignore[arg-type]
    ({"queries": [Query("q", None)]}, "Query.text must be str, found None"),  # type: ignore[arg-type]
    ({"queries": [Query("\udfff", "x")]}, r"query_id '\udfff' holds half a surrogate pair"),
    ({"qrels": (qrel for qrel in [])}, "Collection.qrels must be a list, found generator"),  # type: ignore[var-annotated]
    ({"qrels": [Qrel("q", "\ud800", 1)]}, r"doc_id '\ud800' holds half a surrogate pair"),
    ({"qrels": [Qrel("q", "d", 1.5)]}, "Qrel.relevance must be int, found 1.5"),  # type: ignore[arg-type]
    ({"qrels": [Qrel("q", "d", "1")]}, "Qrel.relevance must be int, found '1'"),  # type: ignore[arg-type]
    ({"qrels": [Qrel("q", "d", True)]}, "Qrel.relevance must be int, found True"),
    ({"qrels": [Qrel("q", "d", 10**30)]}, "must be from -100,000 to 100,000, found 1000"),
    ({"qrels": [Qrel("q", "d", -LARGEST_GRADE - 1)]}, "must be from -100,000 to 100,000"),
    ({"qrels": [Qrel("q", "d", 1, 0)]}, "Qrel.iteration must be str, found 0"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_type_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    assert said in refused(replace(GOOD, **change))


@pytest.mark.parametrize("found", [None, "x", [], {"corpus_id": "c"}])
def test_what_is_no_collection_is_refused(found: Any) -> None:
    assert "expected a clir_bench.types.Collection" in refused(found)


class Documents:
    """Raises when the second document is asked for."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __iter__(self) -> Iterator[Document]:
        yield Document("d1", "x")
        raise self.error


@pytest.mark.parametrize("error", [SystemExit(0), KeyError("row 7"), BaseException("x")])
def test_what_is_raised_between_documents_is_a_failure_of_the_adapter(error: BaseException) -> None:
    said = refused(replace(GOOD, documents=Documents(error)))
    assert said.startswith(f"adapter 'mine' failed: {type(error).__name__}")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), DataError("line 3")])
def test_errors_that_are_not_the_adapters_pass(error: BaseException) -> None:
    with pytest.raises(type(error)):
        list(checked(replace(GOOD, documents=Documents(error)), "adapter 'mine'").documents)


def test_a_reader_that_stops_early_or_fails_is_not_the_adapters_failure() -> None:
    documents = checked(replace(GOOD, documents=Documents(SystemExit(0))), "").documents
    reader = iter(documents)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        for _ in documents:
            1 / 0  # noqa: B018
