"""Every problem of a collection is found, named, and reported together with the others."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from clir_bench.errors import DataError
from clir_bench.tasks.cards import Counts
from clir_bench.tasks.checks import (
    CorpusFacts,
    Inspection,
    count_problems,
    inspect,
    inspect_corpus,
    missing_problems,
)
from clir_bench.types import Collection, Document, Qrel, Query

DOCUMENTS = [Document("d1", "one", "Title"), Document("d2", "two"), Document("d3", "three")]
QUERIES = [Query("q1", "first"), Query("q2", "second"), Query("q3", "third")]
QRELS = [Qrel("q1", "d1", 1), Qrel("q1", "d2", 0), Qrel("q2", "d3", 2)]


def collection(
    documents: Sequence[Document] = DOCUMENTS,
    queries: Sequence[Query] = QUERIES,
    qrels: Sequence[Qrel] = QRELS,
    skip_same_id: bool = False,
) -> Collection:
    return Collection("corpus", documents, queries, qrels, skip_same_id)


def read(documents: Sequence[Document], wanted: Sequence[str] = ()) -> CorpusFacts:
    return inspect_corpus(documents, frozenset(wanted), where="task 'x', documents of en-sw")


def check(whole: Collection) -> Inspection:
    judged = [qrel.doc_id for qrel in whole.qrels]
    return inspect(whole, read(list(whole.documents), judged), where="task 'x', pair en-sw")


def test_counts_are_of_everything_and_of_judged_queries() -> None:
    found = check(collection())
    assert found.counts == Counts(documents=3, queries=3, qrels=3)
    assert found.n_judged_queries == 2
    assert found.n_empty_documents == 0


def test_only_judged_documents_that_exist_are_present() -> None:
    assert read(DOCUMENTS, ["d2", "d9"]).present == {"d2"}


def test_documents_without_any_text_are_counted() -> None:
    odd = [Document("d1", ""), Document("d2", " \n\t", " "), Document("d3", "", "Title")]
    assert read(odd).n_empty == 2


def test_title_alone_is_empty_where_titles_are_not_encoded() -> None:
    odd = [Document("d1", "", "Title"), Document("d2", "text", "Title")]
    found = inspect_corpus(odd, frozenset(), where="x", document_text="{text}")
    assert found.n_empty == 1


@pytest.mark.parametrize("distance", [1, 2500])
def test_document_id_that_occurs_twice_is_found_however_far_apart(distance: int) -> None:
    documents = [Document(f"d{number}", "text") for number in range(distance)]
    documents += [Document("d0", "another text")]
    with pytest.raises(DataError, match=r"en-sw: 1 document ids occur twice: 'd0'$"):
        read(documents)


def test_equal_hashes_of_different_ids_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inspect_corpus.__globals__, "hash", lambda _: 7)
    assert read(DOCUMENTS).n_documents == 3
    with pytest.raises(DataError, match=r"1 document ids occur twice: 'd2'$"):
        read([*DOCUMENTS, Document("d2", "again")])


@pytest.mark.parametrize("doc_id", ["", "a b", " a", "a\n", "a\u00a0b", "a\u2028", "a\0b"])
def test_document_id_that_a_run_file_cannot_name_is_refused(doc_id: str) -> None:
    with pytest.raises(DataError, match="is empty, or holds white space or a null character"):
        read([*DOCUMENTS, Document(doc_id, "text")])


def test_empty_corpus_is_refused() -> None:
    with pytest.raises(DataError, match="documents of en-sw: the corpus is empty"):
        read([])


def test_all_problems_of_a_corpus_are_reported_together() -> None:
    with pytest.raises(DataError) as error:
        read([*DOCUMENTS, Document("a b", "text"), Document("d1", "text")])
    assert "'a b'" in str(error.value)
    assert "occur twice: 'd1'" in str(error.value)


def test_all_problems_of_queries_and_judgments_are_reported_together() -> None:
    queries = [*QUERIES, Query("q1", "again"), Query("q 4", "text"), Query("q5", "  ")]
    qrels = [*QRELS, Qrel("q9", "d1", 1), Qrel("q2", "d1", 10**30), Qrel("q1", "d1", 0)]
    with pytest.raises(DataError) as error:
        check(collection(queries=queries, qrels=qrels))
    for problem in (
        "task 'x', pair en-sw: ",
        "1 query ids occur twice: 'q1'",
        "a query id is empty, or holds white space or a null character: 'q 4'",
        "1 queries have no text: 'q5'",
        "judgments name 1 queries that are not among the 5 queries: 'q9'",
        "1 judgments have a relevance that is no whole number from -100,000 to 100,000: 1000000000",
        "a document is judged twice for one query",
    ):
        assert problem in str(error.value)


def test_long_lists_of_problems_are_cut() -> None:
    qrels = [Qrel("q1", f"x{number}", 1) for number in range(7)]
    with pytest.raises(DataError, match=r"name 7 documents, .* 'x0', 'x1', 'x2' and 4 more; are"):
        check(collection(qrels=qrels))


def test_collection_without_any_judgment_is_refused() -> None:
    with pytest.raises(DataError, match="no query is judged"):
        check(collection(qrels=[]))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_ids_in_another_unicode_form_are_strangers_with_a_hint(form: str) -> None:
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    documents = [Document(unicodedata.normalize(form, "Yorùbá"), "text")]
    qrels = [Qrel("q1", unicodedata.normalize(other, "Yorùbá"), 1)]
    with pytest.raises(DataError, match="NFC and the other in NFD"):
        check(collection(documents=documents, qrels=qrels))
    assert check(collection(documents=documents, qrels=[Qrel("q1", documents[0].doc_id, 1)]))
    # One id that is written as in the corpus does not make the others another collection's.
    with pytest.raises(DataError, match="1 documents as they are not written in the corpus"):
        check(collection([*DOCUMENTS, *documents], qrels=[*QRELS, *qrels]))


@pytest.mark.parametrize("relevance", [1.5, "1", None, -100_001])
def test_relevance_that_is_no_grade_is_refused(relevance: object) -> None:
    odd = Qrel("q2", "d1", relevance)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="for query 'q2', document 'd1'"):
        check(collection(qrels=[*QRELS, odd]))
    assert check(collection(qrels=[*QRELS, Qrel("q2", "d1", -100_000)]))


def test_judged_documents_that_the_corpus_lacks_are_named_and_counted_apart() -> None:
    qrels = [*QRELS, Qrel("q2", "d9", 1), Qrel("q1", "d8", 0), Qrel("q1", "d9", 0)]
    found = check(collection(qrels=qrels))
    assert found.missing_judged == ("d8", "d9")
    assert missing_problems(found.missing_judged, 2) == []
    assert missing_problems((), 2) == [
        "the corpus lacks 0 judged documents where the card states 2 (missing_judged)"
    ]


def test_relevant_documents_without_text_are_counted() -> None:
    documents = [Document("d1", " "), Document("d2", ""), Document("d3", "", "Title")]
    qrels = [Qrel("q1", "d1", 1), Qrel("q2", "d1", 1), Qrel("q1", "d2", 0), Qrel("q1", "d3", 1)]
    assert check(collection(documents, qrels=qrels)).n_empty_relevant == 1


def test_plain_strangers_get_no_hint_about_unicode() -> None:
    with pytest.raises(DataError) as error:
        check(collection(qrels=[Qrel("q1", "d9", 1)]))
    assert "Unicode" not in str(error.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"documents": [*DOCUMENTS[:2], Document("d3", "three!")]},
        {"documents": [DOCUMENTS[0]._replace(title="title"), *DOCUMENTS[1:]]},
        {"documents": [DOCUMENTS[0]._replace(title="", text="Titleone"), *DOCUMENTS[1:]]},
        {"documents": [DOCUMENTS[0]._replace(language="sw"), *DOCUMENTS[1:]]},
        {"documents": [*DOCUMENTS, Document("d4", "")]},
        {"queries": [Query("q1", "First"), *QUERIES[1:]]},
        {"queries": [Query("q1", unicodedata.normalize("NFD", "é")), *QUERIES[1:]]},
        {"qrels": [Qrel("q1", "d1", 2), *QRELS[1:]]},
        {"qrels": QRELS[:2]},
        {"skip_same_id": True},
    ],
)
def test_data_hash_changes_with_anything_a_score_depends_on(changed: dict[str, object]) -> None:
    assert check(replace(collection(), **changed)).sha256 != check(collection()).sha256


def test_data_hash_stays_when_judgments_are_in_another_order() -> None:
    assert check(collection(qrels=QRELS[::-1])).sha256 == check(collection()).sha256


def test_data_hash_is_the_same_in_another_process() -> None:
    # Worked out once: it must not depend on Python's randomised string hashes.
    assert check(collection()).sha256 == (
        "bd74de6c972d77bc9942381ab4e65d352f5384086cf49e52790771c04f0101cc"
    )


def test_queries_hash_is_of_judged_queries_alone() -> None:
    base = check(collection()).queries_sha256
    assert check(collection(queries=QUERIES[:2])).queries_sha256 == base
    other = [Query("q1", "First"), *QUERIES[1:]]
    assert check(collection(queries=other)).queries_sha256 != base


def test_long_and_right_to_left_texts_pass_unchanged() -> None:
    texts = ["x" * 100_000, "مرحبا بالعالم \u202eabc", "שלום", "\u200f\u0645"]
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    queries = [Query("q1", texts[1]), Query("q2", texts[0])]
    whole = collection(documents, queries, [Qrel("q1", "d0", 1), Qrel("q2", "d3", 1)])
    found = check(whole)
    assert found.counts == Counts(4, 2, 2)
    assert [document.text for document in whole.documents] == texts


@dataclass
class Counted:
    """A re-iterable corpus that knows how often it was read."""

    n: int
    passes: int = 0
    advanced: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Document]:
        self.passes += 1
        return (Document(f"d{number}", "text") for number in range(self.n))


@pytest.mark.parametrize("n", [1, 999, 1000, 2500])
def test_corpus_is_read_once_and_progress_adds_up(n: int) -> None:
    corpus = Counted(n)
    found = inspect_corpus(corpus, frozenset(), where="x", advance=corpus.advanced.append)
    assert found.n_documents == n
    assert corpus.passes == 1
    assert sum(corpus.advanced) == n


def test_differences_from_the_stated_counts_are_said_in_numbers() -> None:
    assert count_problems(Counts(3, 2, 1), Counts(3, 2, 1)) == []
    assert count_problems(Counts(1234, 2, 1), Counts(1235, 1, 1)) == [
        "1,234 documents where the card states 1,235 (-1)",
        "2 queries where the card states 1 (+1)",
    ]
