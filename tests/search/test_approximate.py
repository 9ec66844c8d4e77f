"""Approximate search: what it finds is measured, says so in the result, and is never official."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from folders import clir, make_folder
from searches import search_corpus

from clir_bench.errors import DataError, EncoderError, UsageError
from clir_bench.results.schema import ApproximateSearch, Result
from clir_bench.results.store import read_result
from clir_bench.search import approximate_index
from clir_bench.search.approximate_index import (
    ApproximateIndex,
    DocIds,
    IndexSpec,
    recalls,
    sample_of,
)
from clir_bench.search.approximate_search import check_index, search_by_index
from clir_bench.search.document_vectors import DocumentVectors
from clir_bench.search.search import QuerySet
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.workers.executor import Here
from clir_bench.tasks.outline import outline_of
from clir_bench.types import Document, EncoderInfo, Run, Vectors

DIM = 16
N = 700


class LookUp:
    info = EncoderInfo(name="look-up", revision="1", similarity="dot")
    dim = DIM

    def __init__(self) -> None:
        generator = np.random.default_rng(3)
        self.vectors = generator.standard_normal((N, DIM)).astype(np.float32)

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self.vectors[[int(text) for text in texts]]

    encode_documents = encode_queries


ENCODER = LookUp()
DOCUMENTS = [Document(f"d{number}", str(number)) for number in range(N)]
QUERIES = QuerySet([f"d{number}" for number in range(0, N, 5)], ENCODER.vectors[::5])


def spec(text: str) -> IndexSpec:
    found = IndexSpec.parse(text)
    assert found is not None
    return found


def searched(
    text: str, queries: QuerySet = QUERIES, *, k: int = 20, folder: Path | None = None
) -> tuple[Run, ApproximateSearch, bool]:
    index = ApproximateIndex(spec(text), DIM, folder)
    outline = outline_of(DOCUMENTS, language="en", document_text="{text}")
    corpus = Corpus("", len(DOCUMENTS), "en", "{text}", "", outline)
    (found,), _, (record,) = search_by_index(
        DocumentVectors(DOCUMENTS, Here(ENCODER), corpus),
        [queries],
        index,
        k=k,
    )
    return found, record, index.stored


def exactly(queries: QuerySet = QUERIES, *, k: int = 20) -> Run:
    (found,), _ = search_corpus(
        ENCODER, DOCUMENTS, [queries], k=k, language="en", document_text="{text}"
    )
    return found


@pytest.mark.parametrize("factory", ["HNSW16", "IVF4,Flat;nprobe=4", "SQ8"])
def test_equal_vectors_score_the_same_in_an_index(factory: str) -> None:
    generator = np.random.default_rng(0)
    queries, vectors = (generator.standard_normal((n, 384), dtype=np.float32) for n in (60, 300))
    ids = [f"d{number:04}" for number in generator.permutation(1800)]
    index = ApproximateIndex(spec(factory), 384)
    index.add(np.tile(vectors, (6, 1)))
    index.finish(1800)
    found = index.search(queries, 90, lambda rows: [ids[row] for row in rows], list(range(60)))
    of_vector = {doc_id: row % 300 for row, doc_id in enumerate(ids)}
    n_tied = 0
    for doc_ids, scores in zip(found.doc_ids, found.scores, strict=True):
        for vector in {of_vector[doc_id] for doc_id in doc_ids}:
            places = [n for n, doc_id in enumerate(doc_ids) if of_vector[doc_id] == vector]
            assert len(set(scores[places].tolist())) == 1
            same = [doc_ids[place] for place in places]
            assert same == sorted(same, reverse=True)
            n_tied += len(same) - 1
    assert n_tied > 1000, "many of them were found together"


def test_index_that_is_exact_ranks_as_exact_search_with_recall_one() -> None:
    found, record, _ = searched("IVF4,Flat;nprobe=4")
    assert found.doc_ids == exactly().doc_ids
    assert record.recall == {"10": 1.0, "20": 1.0}
    assert record.sampled_queries == 100, "of 140"
    assert record.index == "IVF4,Flat;nprobe=4"
    assert record.index_size_bytes > 4 * DIM * N


def test_recall_is_what_the_exact_rankings_say() -> None:
    found, record, _ = searched("IVF16,Flat;nprobe=2")
    best = exactly()
    rows = sample_of(len(QUERIES.query_ids)).tolist()
    expected = np.mean(
        [len(set(found.doc_ids[row][:10]) & set(best.doc_ids[row][:10])) / 10 for row in rows]
    )
    assert record.recall["10"] == pytest.approx(expected, abs=1e-6)
    assert 0.2 < record.recall["10"] < 0.95


def test_half_precision_halves_the_index_and_states_its_loss() -> None:
    found, record, _ = searched("SQfp16")
    assert 2 * DIM * N < record.index_size_bytes < 2 * DIM * N + 1000
    assert 0.98 < record.recall["20"] <= 1
    np.testing.assert_allclose(found.scores[0], exactly().scores[0], rtol=2e-3)


def test_query_in_the_corpus_does_not_find_itself() -> None:
    queries = QuerySet(QUERIES.query_ids, QUERIES.vectors, skip_same_id=True)
    found, record, _ = searched("SQfp16", queries)
    assert all(
        query_id not in ids for query_id, ids in zip(found.query_ids, found.doc_ids, strict=True)
    )
    assert {len(ids) for ids in found.doc_ids} == {20}
    assert record.recall["20"] > 0.98


def test_index_that_finds_fewer_documents_leaves_rankings_short() -> None:
    found, _, _ = searched("IVF16,Flat;nprobe=1", k=N)
    lengths = {len(ids) for ids in found.doc_ids}
    assert max(lengths) < N
    for ids, scores in zip(found.doc_ids, found.scores, strict=True):
        assert len(ids) == len(scores) == len(set(ids))
        assert (np.diff(scores) <= 0).all()
        assert np.isfinite(scores).all()


def test_equal_scores_are_ordered_by_descending_id() -> None:
    index = ApproximateIndex(spec("SQfp16"), 2)
    ids = DocIds()
    for block in (["b", "d"], ["a", "c"]):
        index.add(np.ones((2, 2), dtype=np.float32))
        ids.add(block)
    index.finish(4)
    found = index.search(np.ones((1, 2), dtype=np.float32), 9, ids.of, ["q"])
    assert found.doc_ids == (("d", "c", "b", "a"),)


def test_index_is_stored_beside_its_vectors_and_used_again(tmp_path: Path) -> None:
    first, record, stored = searched("HNSW8", folder=tmp_path)
    again, same, stored_again = searched("HNSW8", folder=tmp_path)
    assert (stored, stored_again) == (False, True)
    assert again.doc_ids == first.doc_ids
    assert same == record
    faiss_file, description = sorted(tmp_path.iterdir())
    assert faiss_file.stat().st_size == record.index_size_bytes
    assert json.loads(description.read_text())["n_documents"] == N
    _, other, stored = searched("HNSW8;efSearch=64", folder=tmp_path)
    assert stored, "the same index, searched otherwise"
    assert other.recall["20"] >= record.recall["20"]


def test_damaged_index_is_built_again(tmp_path: Path) -> None:
    first, _, _ = searched("HNSW8", folder=tmp_path)
    path = next(tmp_path.glob("*.faiss"))
    path.write_bytes(path.read_bytes()[:-1])
    again, _, stored = searched("HNSW8", folder=tmp_path)
    assert not stored
    assert again.doc_ids == first.doc_ids
    assert searched("HNSW8", folder=tmp_path)[2]


def test_index_that_cannot_be_stored_is_said_and_searched_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found, _, _ = searched("SQfp16", folder=tmp_path / "missing")
    assert len(found.doc_ids[0]) == 20
    assert "cannot be stored" in caplog.text


def test_stored_index_of_another_corpus_is_refused(tmp_path: Path) -> None:
    searched("SQfp16", folder=tmp_path)
    index = ApproximateIndex(spec("SQfp16"), DIM, tmp_path)
    with pytest.raises(DataError, match="has 700 documents, the corpus 9"):
        index.finish(9)


def test_training_begins_when_enough_documents_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate_index, "_TRAINING_DOCUMENTS", 300)
    monkeypatch.setattr("clir_bench.tasks.outline.WINDOW_DOCUMENTS", 64)
    monkeypatch.setattr("clir_bench.search.search._SEARCH_BLOCK_DOCUMENTS", 64)
    found, record, _ = searched("IVF4,Flat;nprobe=4")
    assert found.doc_ids == exactly().doc_ids
    assert record.recall["20"] == 1


def test_too_small_a_corpus_is_an_error_that_says_so() -> None:
    with pytest.raises(DataError, match=r"IVF1024,Flat: 700 documents are too few.*exact search"):
        searched("IVF1024,Flat")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("HNWS32", "could not parse index string HNWS32"),
        ("PQ5", "should be a multiple of the number of subquantizers"),
        ("SQ8;nprobe=3", "could not set parameter nprobe"),
        ("IVF4,Flat;nprobe", "could not interpret parameters nprobe"),
    ],
)
def test_impossible_index_is_refused_before_anything_is_read(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        check_index(IndexSpec.parse(text), [ENCODER])


@pytest.mark.parametrize("text", ["NSG16", "NSG8,SQ8", "IDMap,Flat", "IDMap,PQ8", "PCA8,NSG8"])
def test_index_that_cannot_grow_block_by_block_is_refused_before_anything_is_read(
    text: str,
) -> None:
    problem = r"cannot be filled block by block; expected exact, or .* HNSW32"
    with pytest.raises(UsageError, match=problem):
        check_index(IndexSpec.parse(text), [ENCODER])


@pytest.mark.parametrize("text", ["HNSW8,PQ8", "HNSW16_4+PQ8"])
def test_index_that_ranks_by_distance_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="it ranks by distance"):
        check_index(IndexSpec.parse(text), [ENCODER])


@pytest.mark.parametrize("text", ["IVF4,Flat;nprobe=0", "IVF4,Flat,RFlat;k_factor_rf=0"])
def test_parameters_that_no_search_takes_are_refused_before_anything_is_read(text: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be used: .* failed"):
        check_index(IndexSpec.parse(text), [ENCODER])


@pytest.mark.parametrize("text", ["IVF65536_HNSW32,SQ8", "OPQ8_16,IVF1024,PQ8x12", "PCA8,HNSW8"])
def test_index_that_can_be_used_passes_without_its_cost(text: str) -> None:
    check_index(IndexSpec.parse(text), [ENCODER])


@pytest.mark.parametrize(
    ("text", "failing"),
    [("NSG16", "adding documents"), ("IVF4,Flat;nprobe=0", "searching")],
)
def test_what_faiss_raises_on_the_way_names_the_index(
    text: str, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clir_bench.search.search._SEARCH_BLOCK_DOCUMENTS", 300)
    monkeypatch.setattr("clir_bench.tasks.outline.WINDOW_DOCUMENTS", 300)
    with pytest.raises(UsageError, match=f"--index '{text}': FAISS failed at {failing}"):
        searched(text)


@pytest.mark.parametrize("text", ["exact", "Flat", " exact "])
def test_exact_search_needs_no_index(text: str) -> None:
    assert IndexSpec.parse(text) is None


def test_sample_is_spread_over_all_queries_and_takes_all_of_a_few() -> None:
    assert sample_of(3).tolist() == [0, 1, 2]
    rows = sample_of(1000)
    assert (len(rows), rows[0], rows[-1]) == (100, 0, 999)


def test_recall_of_a_query_that_finds_nothing_exactly_is_left_out() -> None:
    scores = (np.ones(2, np.float32), np.ones(0, np.float32))
    best = Run(("q1", "q2"), (("a", "b"), ()), scores)
    found = Run(("q1", "q2"), (("b", "x"), ("y",)), scores)
    assert recalls(found, best, 2) == {"2": 0.5}


def test_ids_come_back_from_any_block() -> None:
    ids = DocIds()
    for block in (["a", "é"], ["b"], ["c", "d", "e"]):
        ids.add(block)
    assert len(ids) == 6
    assert ids.of(np.array([1, 2, 5])) == ["é", "b", "e"]
    assert ids.of(np.array([], dtype=np.int64)) == []


def test_result_says_what_was_approximate_and_is_not_official(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path)
    asked = ["run", "-m", "hashing", "-t", str(folder.card_path), "-o", str(tmp_path / "results")]
    assert clir(*asked, "--index", "SQfp16", "--embeddings", str(tmp_path / "vectors")) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "results" / "hashing" / "mine" / "test.json"
    result = read_result(path)
    assert isinstance(result, Result)
    assert result.settings.index == "SQfp16"
    assert not result.task.official
    assert result.task.unofficial == ("searched by the approximate index SQfp16, not exactly",)
    for name in ("en-sw", "fr-sw", "en-de"):
        pair = result.pairs[name]
        assert not pair.official
        assert pair.approximate is not None
        assert pair.approximate.sampled_queries == 3
        assert pair.approximate.recall["1000"] == 1
        assert pair.cost is not None
        assert pair.cost.index_size_bytes == pair.approximate.index_size_bytes
    assert "index SQfp16 found 1.0000 of the first 10" in printed
    assert len(list((tmp_path / "vectors").glob("*/index-*.faiss"))) == 2
    assert clir(*asked) == 1
    assert "another --index (SQfp16)" in capsys.readouterr().err
    assert clir(*asked, "--overwrite") == 0
    exact = read_result(path)
    assert isinstance(exact, Result)
    assert exact.task.official
    assert exact.settings.index is None
    assert exact.pairs["en-sw"].approximate is None


def test_result_of_before_there_were_indexes_is_read(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    clir("run", "-m", "hashing", "-t", str(folder.card_path), "-o", str(tmp_path / "results"))
    path = tmp_path / "results" / "hashing" / "mine" / "test.json"
    raw = json.loads(path.read_text())
    del raw["settings"]["index"]
    for pair in raw["pairs"].values():
        del pair["approximate"]
    path.write_text(json.dumps(raw))
    result = read_result(path)
    assert isinstance(result, Result)
    assert result.settings.index is None


def test_vectors_that_an_index_of_16_bits_cannot_hold_are_refused() -> None:
    spec = IndexSpec.parse("SQfp16")
    assert spec is not None
    index = ApproximateIndex(spec, 2)
    index.add(np.full((3, 2), 1e6, dtype=np.float32))  # float16 ends at 65504
    index.finish(3)
    with pytest.raises(EncoderError, match="scores are not finite"):
        index.search(np.ones((1, 2), dtype=np.float32), 3, lambda rows: list("abc"), ["q"])
