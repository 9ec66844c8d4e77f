"""Windows of a corpus, and documents, queries and judgments that change after they were checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from folders import Folder
from stored_vectors import (  # noqa: F401 - fixtures
    N_TEXTS,
    Asked,
    folder_fixture,
    swahili,
    vectors_fixture,
)

from clir_bench.core.progress import Silent
from clir_bench.errors import DataError
from clir_bench.evaluation.evaluate import Settings, evaluate
from clir_bench.evaluation.score_runs import score_files
from clir_bench.evaluation.sharded_encoding import Job, encode_job
from clir_bench.results.schema import Result
from clir_bench.search.vectors.entry import done_shards
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks import outline
from clir_bench.tasks.outline import Outline, bounded, outline_of, read_again
from clir_bench.tasks.source import locate
from clir_bench.types import Document, LanguagePair

DOCUMENTS = [Document(f"d{number}", f"text {number}", f"title {number}") for number in range(10)]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 4)


def outlined(documents: Sequence[Document]) -> Outline:
    return outline_of(documents, language="sw", document_text="{title} {text}")


def read(documents: Sequence[Document], known: Outline) -> list[int]:
    """Return the sizes of the windows that are read before something is found wrong."""
    sizes: list[int] = []
    windows = read_again(
        documents, known, language="sw", document_text="{title} {text}", where="mine"
    )
    for texts in windows:
        sizes.append(len(texts))
    return sizes


def test_windows_end_by_number_or_by_length_the_same_at_both_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "WINDOW_CHARACTERS", 100)
    lengths = [10, 10, 10, 10, 60, 60, 500, 99, 0, 1, 7]
    documents = [Document(f"d{n}", "x" * length) for n, length in enumerate(lengths)]
    known = outlined(documents)
    # Four documents; 60 + 60; 500 alone; 99 + 0 + 1; what is left.
    assert known.sizes == (4, 2, 1, 3, 1)
    assert read(documents, known) == [4, 2, 1, 3, 1]
    assert known.shard_sizes == [10, 1]


def test_texts_are_handed_out_in_batches_of_bounded_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "WINDOW_CHARACTERS", 10)
    texts = ["x" * length for length in (3, 3, 3, 3, 50, 1)]
    assert [[len(text) for text in batch] for batch in bounded(texts)] == [[3, 3, 3, 3], [50], [1]]
    assert bounded([]) == []


def test_texts_that_come_again_are_known_by_what_is_encoded_and_its_language() -> None:
    documents = [
        Document("a", "one two"),
        Document("b", "two", "one"),  # the same when joined
        Document("c", "one two", "", "sw"),  # the corpus' own language, stated
        Document("d", "one two", "", "de"),
        Document("e", ""),
        Document("f", " "),
        Document("g", ""),  # nothing is encoded of blank texts
        Document("h", "three"),
    ]
    assert len(outlined(documents).repeated) == 8, "one key"
    assert outlined(documents[3:]).repeated == b""


CHANGES: dict[str, Callable[[list[Document]], object]] = {
    "another text": lambda them: them.__setitem__(5, Document("d5", "other", "title 5")),
    "another title": lambda them: them.__setitem__(5, Document("d5", "text 5", "other")),
    "another id": lambda them: them.__setitem__(5, Document("e5", "text 5", "title 5")),
    "another language": lambda them: them.__setitem__(5, Document("d5", "text 5", "title 5", "de")),
    "another order": lambda them: them.insert(6, them.pop(5)),
    "one replaced by another": lambda them: them.__setitem__(5, them[4]),
    "one gone": lambda them: them.pop(5),
    "one more": lambda them: them.insert(5, Document("more", "text")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_window_that_changed_is_refused_and_those_before_are_not(
    change: Callable[[list[Document]], object],
) -> None:
    known, documents = outlined(DOCUMENTS), list(DOCUMENTS)
    change(documents)
    windows = read_again(
        documents, known, language="sw", document_text="{title} {text}", where="mine"
    )
    assert len(next(windows)) == 4
    with pytest.raises(DataError, match=r"mine: the documents changed .* documents 5 to 8 are"):
        next(windows)


@pytest.mark.parametrize(
    ("n", "found"),
    [
        (0, "expected 10 documents, found 0"),
        (4, "found 4"),
        (8, "found 8"),
        (9, "found 9"),
        (11, "found more"),
        (13, "found more"),
    ],
)
def test_fewer_and_more_documents_are_counted(n: int, found: str) -> None:
    more = [Document(f"e{number}", "text") for number in range(10)]
    with pytest.raises(DataError, match=found):
        read([*DOCUMENTS, *more][:n], outlined(DOCUMENTS))


# While a run reads them


@dataclass
class Meddler(Silent):
    """Changes something between the check and the run."""

    change: Callable[[], object]

    def begin(self, label: str, total: int | None) -> None:
        if label.startswith(("running", "encoding")):
            self.change()


def meddled(folder: Folder, change: Callable[[], object], keeping: Keeping) -> Result:
    return evaluate(
        folder.card,
        Asked().system(),
        output=folder.data.parent / "out",
        source=locate(folder.card, "test"),
        settings=Settings(n_resamples=10, embeddings=keeping),
        progress=Meddler(change),
    )


def errors(result: Result) -> dict[str, str]:
    return {name: pair.error or "" for name, pair in result.pairs.items() if pair.status != "done"}


@pytest.mark.parametrize("kept", [False, True])
def test_pairs_whose_documents_changed_fail_and_no_shard_holds_the_new_ones(
    folder: Folder, vectors: Path, kept: bool
) -> None:
    def change() -> None:
        folder.edit("sw/corpus.jsonl", "Kitale 20 Mombasa", "Kitale 20 Nairobi")

    keeping = Keeping("keep", vectors) if kept else Keeping("off")
    result = meddled(folder, change, keeping)
    assert sorted(errors(result)) == ["en-sw", "fr-sw"]
    assert all("documents changed after they were checked" in e for e in errors(result).values())
    assert result.pairs["en-de"].status == "done"
    assert not result.task.complete
    if kept:  # shards of 12 documents; the twenty-first is of the second
        assert done_shards(swahili(vectors)) == {0}


def test_documents_that_are_gone_fail_the_pair(folder: Folder) -> None:
    path = folder.data / "de" / "corpus.jsonl"

    def change() -> None:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))

    result = meddled(folder, change, Keeping("off"))
    assert list(errors(result)) == ["en-de"]
    assert "expected 15 documents, found 3" in errors(result)["en-de"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("queries.fr.jsonl", "repas scolaires", "repas"),
        ("queries.fr.jsonl", '"q1"', '"q5"'),
    ],
)
def test_pairs_whose_queries_changed_fail(folder: Folder, name: str, old: str, new: str) -> None:
    result = meddled(folder, lambda: folder.edit(name, old, new), Keeping("off"))
    assert list(errors(result)) == ["fr-sw"]
    assert "queries or judgments changed after they were checked" in errors(result)["fr-sw"]


def test_pairs_whose_judgments_changed_fail(folder: Folder) -> None:
    result = meddled(
        folder, lambda: folder.edit("qrels/de.test.tsv", "d1\t1", "d2\t1"), Keeping("off")
    )
    assert list(errors(result)) == ["en-de"]
    assert "queries or judgments changed after they were checked" in errors(result)["en-de"]


def test_runs_are_not_scored_on_documents_that_changed(folder: Folder, tmp_path: Path) -> None:
    path = folder.data / "de" / "corpus.jsonl"
    run_file = tmp_path / "de.run"
    run_file.write_text("q1 Q0 d1 1 1.0 mine\n")

    class AtTheEnd(Silent):
        """Takes documents away when they have been checked."""

        def end(self) -> None:
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))

    result, _ = score_files(
        folder.card,
        {LanguagePair("en", "de"): run_file},
        "mine",
        output=tmp_path / "scored",
        source=locate(folder.card, "test"),
        split="test",
        settings=Settings(n_resamples=10),
        progress=AtTheEnd(),
    )
    assert "expected 15 documents, found 3" in errors(result)["en-de"]


def test_a_job_stores_no_shard_of_documents_that_changed(folder: Folder, vectors: Path) -> None:
    def change() -> None:
        folder.edit("sw/corpus.jsonl", "Kitale 20 Mombasa", "Kitale 20 Nairobi")

    done = encode_job(
        folder.card,
        Asked().system(),
        Job(0, 2),
        source=locate(folder.card, "test"),
        split="test",
        pairs=folder.card.official_pairs(),
        settings=Settings(embeddings=Keeping("keep", vectors)),
        progress=Meddler(change),
    )
    assert "documents changed after they were checked" in done.failures[0]
    assert done_shards(swahili(vectors)) == {0}
