"""The checks for adapters: every shipped task passes, and each check has one it finds broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, forget_plugins, install_plugin, make_folder, write_plugin

from clir_bench.core import plugins
from clir_bench.errors import ConformanceError, UsageError
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.testing import (
    ADAPTER_CHECKS,
    Outcome,
    TaskSubject,
    adapter_checks,
    check_adapter,
    examine_adapter,
)
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

CHECKS = {check.name: check for check in ADAPTER_CHECKS}
PAIR = LanguagePair("en", "sw")
Change = Callable[[Collection, LanguagePair], Collection]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def outcome(name: str, subject: TaskSubject) -> Outcome:
    return CHECKS[name].outcome(subject)


def failure(name: str, subject: TaskSubject) -> str:
    found = outcome(name, subject)
    assert found.status == "failed", f"{name} lets {subject} pass: {found.detail}"
    assert found.remedy
    return found.detail


class Changed(TaskSubject):
    """A task whose collections go through `change(collection, pair)`."""

    def __init__(self, folder: Folder, change: Change, **options: Any) -> None:
        super().__init__(folder.card_path, **options)
        self._change = change

    def _load(self, pair: LanguagePair) -> Collection:
        return self._change(super()._load(pair), pair)


# The good pass


@pytest.mark.parametrize(
    "task", [name for name in discover() if isinstance(load_card(name), TaskCard)]
)
def test_the_adapter_of_every_shipped_task_passes_on_its_sample(task: str) -> None:
    card = load_card(task)
    assert isinstance(card, TaskCard)
    report = check_adapter(card, split=SAMPLE)
    passed = {found.check for found in report.outcomes if found.status == "passed"}
    assert passed >= set(CHECKS) - {"pool", "counts"}


def test_a_task_by_its_card_file_passes_in_another_process_too(folder: Folder) -> None:
    report = check_adapter(folder.card_path)
    found = {outcome.check: outcome for outcome in report.outcomes}
    assert {name for name, one in found.items() if one.status != "passed"} == {"pool"}
    assert found["determinism"].detail == ""
    assert found["corpora"].detail == "2 corpora for 3 pairs"


def test_a_pool_is_checked_for_its_languages() -> None:
    report = check_adapter("xquad-r", split=SAMPLE, pairs=[LanguagePair("en", "mul")])
    assert {found.status for found in report.outcomes if found.check == "pool"} == {"passed"}


# Each finds a broken one


def with_documents(change: Callable[[list[Document]], Any]) -> Change:
    return lambda found, _: replace(found, documents=change(list(found.documents)))


def with_qrels(change: Callable[[list[Qrel]], Any]) -> Change:
    return lambda found, _: replace(found, qrels=change(list(found.qrels)))


def with_queries(change: Callable[[list[Query]], Any]) -> Change:
    return lambda found, _: replace(found, queries=change(list(found.queries)))


class ReadTwiceAndGone:
    """Every reading has a document less."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents
        self.readings = 0

    def __iter__(self) -> Iterator[Document]:
        self.readings += 1
        return iter(self.documents[: len(self.documents) - max(0, self.readings - 5)])


class OneFile:
    """All readers share one position."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents

    def __iter__(self) -> Iterator[Document]:
        self.left = list(self.documents)
        while self.left:
            yield self.left.pop(0)


def other_corpus_in_each_pair(found: Collection, pair: LanguagePair) -> Collection:
    return replace(found, corpus_id="all")


def first_number(documents: list[Document]) -> list[Any]:
    return [document._replace(doc_id=7) for document in documents]  # type: ignore[arg-type]


FAILURES: list[tuple[str, Change, str]] = [
    ("types", with_documents(first_number), "Document.doc_id must be str, found 7"),
    ("types", with_documents(lambda _: [("d1", "text")]), "expected a Document, found ('d1'"),
    (
        "types",
        with_qrels(lambda qrels: [qrel._replace(relevance=1.0) for qrel in qrels]),  # type: ignore[arg-type]
        "Qrel.relevance must be int, found 1.0",
    ),
    (
        "types",
        with_queries(lambda queries: [query._replace(text=None) for query in queries]),  # type: ignore[arg-type]
        "Query.text must be str, found None",
    ),
    (
        "re-iteration",
        with_documents(iter),
        "documents is a list_iterator, which can be read only once",
    ),
    (
        "re-iteration",
        with_documents(OneFile),
        "two readers at the same time get different documents",
    ),
    ("re-iteration", with_documents(ReadTwiceAndGone), "documents in one reading"),
    ("document-ids", with_documents(lambda found: found + found[:1]), "ids occur twice: 'd1'"),
    (
        "document-ids",
        with_documents(lambda found: [*found, Document("a b", "text")]),
        "document id 'a b' is empty, or holds white space",
    ),
    ("judgments", with_documents(lambda found: found[1:]), "the corpus lacks 1 judged documents"),
    ("judgments", with_queries(lambda found: found[1:]), "queries that are not among the"),
    ("judgments", with_queries(lambda found: found + found[:1]), "query ids occur twice: 'q1'"),
    ("judgments", with_qrels(lambda found: found + found[:1]), "judged twice for one query"),
    ("judgments", with_qrels(lambda _: []), "no query is judged"),
    (
        "judgments",
        with_qrels(lambda found: [qrel._replace(relevance=0) for qrel in found]),
        "no document is relevant to any query",
    ),
    (
        "counts",
        with_documents(lambda found: [*found, Document("d9", "more")]),
        "5 documents where the card states 4 (+1)",
    ),
    ("corpora", other_corpus_in_each_pair, "corpus_id 'all' is also that of en-sw"),
]


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    FAILURES,
    ids=[f"{name}-{n}" for n, (name, *_) in enumerate(FAILURES)],
)
def test_a_broken_adapter_is_found_and_told_why(
    check: str, change: Change, expected: str, folder: Folder
) -> None:
    assert expected in failure(check, Changed(folder, change))


def test_a_pair_that_cannot_be_loaded_is_named_and_nothing_else_is_tried(folder: Folder) -> None:
    (folder.data / "queries.fr.jsonl").unlink()
    report = examine_adapter(folder.card_path)
    [first] = report.outcomes
    assert (first.check, first.status) == ("loading", "failed")
    assert "queries.fr.jsonl" in first.detail


def test_a_document_of_a_pool_without_language_is_found() -> None:
    class Pool(TaskSubject):
        def _load(self, pair: LanguagePair) -> Collection:
            found = super()._load(pair)
            return replace(found, documents=[d._replace(language="") for d in found.documents])

    subject = Pool("xquad-r", split=SAMPLE, pairs=[LanguagePair("en", "mul")])
    assert "of a pool states language ''" in failure("pool", subject)


def test_data_that_differs_at_the_next_loading_is_found(folder: Folder) -> None:
    turns = iter(range(100))

    def change(found: Collection, _: LanguagePair) -> Collection:
        extra = Document(f"extra-{next(turns)}", "text")
        return replace(found, documents=[*found.documents, extra])

    assert "loading it twice gives different data" in failure(
        "determinism", Changed(folder, change)
    )


def test_data_in_the_order_of_a_set_is_found_in_another_process(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
    from dataclasses import replace
    from clir_bench.tasks.adapters import folder
    from clir_bench.types import Document

    def load(card, pair, split, source):
        found = folder.load(card, pair, split, source)
        more = (Document(f"more-{n}", "text") for n in range(50))
        return replace(found, documents=list({*found.documents, *more}))
    """
    write_plugin(tmp_path / "site", "from-a-set", code, plugins.ADAPTERS)
    install_plugin(tmp_path / "site", monkeypatch)
    folder.edit_card('adapter = "folder"', 'adapter = "from-a-set"')
    assert "another process loads different data" in failure(
        "determinism", TaskSubject(folder.card_path)
    )
    forget_plugins(monkeypatch)


def test_every_check_is_seen_to_fail() -> None:
    elsewhere = {"loading", "pool", "determinism"}
    assert {name for name, *_ in FAILURES} | elsewhere == set(CHECKS)


# As tests


def test_each_check_is_one_test(folder: Folder) -> None:
    checks = adapter_checks(folder.card_path, pairs=[PAIR])
    assert [str(check) for check in checks] == list(CHECKS)
    for check in checks[:3]:
        check()


def test_a_failing_adapter_says_why_and_what_to_do(folder: Folder) -> None:
    folder.edit_card('"*-sw" = [4, 3, 5]', '"*-sw" = [5, 3, 5]')
    with pytest.raises(ConformanceError) as caught:
        check_adapter(folder.card_path)
    assert "4 documents where the card states 5 (-1)" in str(caught.value)
    assert "remedy: take the counts from the source's own description" in str(caught.value)


def test_a_suite_or_a_pair_that_is_not_there_is_a_usage_error(folder: Folder) -> None:
    with pytest.raises(UsageError, match="check its parts one by one"):
        check_adapter("xtreme-r")
    with pytest.raises(UsageError, match="unknown pair 'en-xx'"):
        check_adapter(folder.card_path, pairs=[LanguagePair("en", "xx")])
