"""Equal texts tie, whatever the encoder makes of the batches they fall into.

`Drifting` moves every vector by where its text stands and by how often it was called, far more than
rounding does: equal texts tie only where they share one vector. Expected is the tie rule alone:
documents of one text stand side by side, ids descending.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from folders import Folder, write_jsonl
from stored_vectors import (  # noqa: F401 - fixtures
    Asked,
    bytes_of,
    encode,
    folder_fixture,
    run,
    vectors_fixture,
)

from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.errors import OutputError
from clir_bench.evaluation.sharded_encoding import Job
from clir_bench.results.trec_runs import read_run
from clir_bench.search import repeats, search
from clir_bench.search.repeats import FirstVectors
from clir_bench.search.search import QuerySet, encode_queries, search_corpus
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks import outline
from clir_bench.tasks.outline import outline_of
from clir_bench.types import Document, Encoder, EncoderInfo, Query, Run, TokenEncoder, Vectors

QUERIES = [Query(f"q{number}", f"mvua {number} Mombasa") for number in range(6)]


class Drifting(Asked):
    """Makes vectors that depend on what was encoded before and beside."""

    def __init__(self, late: bool = False, start: int = 0) -> None:
        super().__init__(late)
        self.n_calls = start

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        self.texts += texts
        self.n_calls += 1
        return self._drift(self.encode_queries(texts, language=language))

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        self.texts += texts
        self.n_calls += 1
        rows = self.encode_query_tokens(texts, language=language)
        return [self._drift(tokens, number) for number, tokens in enumerate(rows)]

    def _drift(self, rows: Vectors, place: int = 0) -> Vectors:
        places = np.arange(place, place + len(rows), dtype=np.float32)
        rows = rows + 1e-3 * (self.n_calls + places)[:, None] * np.roll(rows, 1, axis=1)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def repeated_corpus(n: int = 120, n_texts: int = 17) -> list[Document]:
    generator = np.random.default_rng(n)
    texts = [f"mvua {number} Mombasa {number % 3} shule" for number in range(n_texts)]
    texts += [f"peke yake {number}" for number in range(n // 4)]
    chosen = generator.integers(0, len(texts), n)
    return [Document(f"d{number}", texts[row]) for number, row in enumerate(chosen.tolist())]


def check_ties(run: Run, texts: dict[str, str]) -> None:
    """Expect one score per text, and its documents side by side, ids descending."""
    for doc_ids, scores in zip(run.doc_ids, run.scores, strict=True):
        by_text: dict[str, set[float]] = {}
        for doc_id, score in zip(doc_ids, scores.tolist(), strict=True):
            by_text.setdefault(texts[doc_id], set()).add(score)
        assert {len(found) for found in by_text.values()} == {1}
        order = [(-score, doc_id) for doc_id, score in zip(doc_ids, scores.tolist(), strict=True)]
        for (score, one), (next_score, other) in itertools.pairwise(order):
            assert score < next_score or (score == next_score and one > other)


def searched(encoder: Encoder | TokenEncoder, documents: Sequence[Document], k: int = 200) -> Run:
    vectors = encode_queries(encoder, QUERIES, "en")
    sets = [QuerySet([query.query_id for query in QUERIES], vectors)]
    (run,), _ = search_corpus(encoder, documents, sets, k=k, language="sw", document_text="{text}")
    return run


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("window", [1, 7, 50, 1024])
def test_equal_texts_tie_within_and_over_windows_and_blocks(
    late: bool, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", window)
    monkeypatch.setattr(search, "_SEARCH_BLOCK_DOCUMENTS", 20)
    documents = repeated_corpus()
    encoder = Drifting(late)
    check_ties(searched(encoder, documents), {d.doc_id: d.text for d in documents})
    for first in range(0, len(documents), window):
        texts = [document.text for document in documents[first : first + window]]
        n = len(set(texts))
        assert encoder.texts[:n] == list(dict.fromkeys(texts)), "once per window"
        del encoder.texts[:n]


def test_the_first_documents_vector_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 2)
    texts = {"a": "x 1", "b": "y 2", "c": "z 3", "d": "x 1", "e": "x 1", "f": "w"}
    documents = [Document(*item) for item in texts.items()]
    run = searched(Drifting(), documents)
    alone = searched(Drifting(), documents[:2])
    for doc_ids, scores, of_alone, expected in zip(
        run.doc_ids, run.scores, alone.doc_ids, alone.scores, strict=True
    ):
        first = expected[of_alone.index("a")]
        assert [scores[doc_ids.index(doc_id)] for doc_id in "ade"] == [first] * 3


@pytest.mark.parametrize("late", [False, True])
def test_texts_of_one_key_keep_their_own_vectors(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 7)
    documents = repeated_corpus(40)
    expected = searched(Asked(late), documents)
    monkeypatch.setitem(outline.text_of.__globals__, "hash", lambda _: 7)
    assert len(outline_of(documents, language="sw", document_text="{text}").repeated) == 8
    found = searched(Asked(late), documents)
    assert found.doc_ids == expected.doc_ids
    assert np.array_equal(np.stack(found.scores), np.stack(expected.scores))


@pytest.mark.parametrize("late", [False, True])
def test_first_vectors_beyond_what_memory_holds_are_kept_in_a_file(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 7)
    documents = repeated_corpus()
    expected = searched(Drifting(late), documents)
    monkeypatch.setattr(repeats, "_MEMORY_BYTES", 5)
    found = searched(Drifting(late), documents)
    assert found.doc_ids == expected.doc_ids
    assert np.array_equal(np.stack(found.scores), np.stack(expected.scores))


def test_a_temporary_folder_that_is_full_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, _: int) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(repeats.tempfile, "SpooledTemporaryFile", lambda _: Full())
    known = outline_of(repeated_corpus(), language="sw", document_text="{text}")
    first = FirstVectors(known.repeated)
    text = outline.text_of(repeated_corpus()[0], "sw", "{text}")
    with pytest.raises(OutputError, match=r"No space left on device; make room, .* TMPDIR"):
        first.unify([np.ones((1, 3), np.float32)], first.among([text]))


def test_equal_queries_are_encoded_once_and_rank_alike() -> None:
    queries = [Query("a", "mvua Kitale"), Query("b", "shule"), Query("c", "mvua Kitale")]

    class Watched(HashingEncoder):
        def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
            assert list(texts) == ["mvua Kitale", "shule"]
            return super().encode_queries(texts, language=language)

    vectors = encode_queries(Watched(), queries, "sw")
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(
        vectors, HashingEncoder().encode_queries([q.text for q in queries], language="sw")
    )


# Stored vectors, and several jobs


@pytest.fixture
def repeating(folder: Folder) -> Folder:
    """The Swahili documents say what others say, of their window, shard and others."""
    rows = [
        {"_id": f"d{number}", "title": "", "text": document.text}
        for number, document in enumerate(repeated_corpus(50), start=1)
    ]
    write_jsonl(folder.data / "sw" / "corpus.jsonl", rows)
    return folder


def check_run(folder: Folder, output: str = "out") -> None:
    texts = {f"d{n}": document.text for n, document in enumerate(repeated_corpus(50), start=1)}
    (path,) = (folder.data.parent / output).rglob("en-sw.run*")
    # A stored run's scores are parted where they tie; the order says what tied.
    for doc_ids in read_run(path).doc_ids:
        for text in set(texts.values()):
            same = [doc_id for doc_id in doc_ids if texts[doc_id] == text]
            assert same == sorted(same, reverse=True)


@pytest.mark.parametrize("late", [False, True])
def test_equal_texts_tie_with_new_and_with_stored_vectors(
    repeating: Folder, vectors: Path, late: bool
) -> None:
    for keeping, output in ((Keeping("off"), "plain"), (vectors, "new"), (vectors, "stored")):
        run(repeating, Drifting(late), keeping, output)
        check_run(repeating, output)
    assert bytes_of(repeating, "plain") == bytes_of(repeating, "new")
    assert bytes_of(repeating, "new") == bytes_of(repeating, "stored")


@pytest.mark.parametrize("late", [False, True])
def test_equal_texts_tie_though_jobs_on_machines_that_differ_encoded_them(
    repeating: Folder, vectors: Path, late: bool
) -> None:
    for number in range(3):
        encode(repeating, Drifting(late, 100 * number), Job(number, 3), vectors)
    run(repeating, Drifting(late), vectors, stored_only=True)
    check_run(repeating)


def test_equal_texts_tie_when_a_run_that_was_killed_goes_on_otherwise(
    repeating: Folder, vectors: Path
) -> None:
    run(repeating, Asked(fail_after=20), vectors, "killed")
    run(repeating, Drifting(start=50), vectors)
    check_run(repeating)


def test_info_of_the_drifting_encoder_is_that_of_the_one_it_resumes() -> None:
    assert Drifting().info == Asked().info == EncoderInfo("asked", "1", "1".rjust(64, "0"))
