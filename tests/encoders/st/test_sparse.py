"""Sparse models of sentence-transformers: the same weights, scores and metrics as its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir, make_folder
from tiny_models import TEXTS, edit, write_sparse

from clir_bench.encoders import load_encoder
from clir_bench.encoders.contract import CheckedSparseEncoder
from clir_bench.metrics.scoring import score
from clir_bench.results.store import read_result
from clir_bench.search.sparse import search_block
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.testing import encoder_checks
from clir_bench.types import Qrel, SparseRows

KINDS: dict[str, dict[str, bool]] = {"splade": {}, "static": {"static": True}, "csr": {"csr": True}}
QUERIES = {"q1": "the cat", "q2": "a dog ran", "q3": "paka mbwa"}
CORPUS = {f"d{number}": text for number, text in enumerate([*TEXTS, "cat ran", "mat . mat fog"])}
RELEVANT = {"q1": {"d0", "d5"}, "q2": {"d1"}, "q3": {"d2", "d3"}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("sparse")
    return {name: write_sparse(home / name, 1, **options) for name, options in KINDS.items()}


def loaded(folder: Path, **options: Any) -> CheckedSparseEncoder:
    encoder = load_encoder(f"st:{folder}", device="cpu", **options)
    assert isinstance(encoder, CheckedSparseEncoder)
    return encoder


def dense(rows: SparseRows, dim: int) -> np.ndarray:
    found = np.zeros((len(rows), dim), dtype=np.float32)
    found[np.repeat(np.arange(len(rows)), np.diff(rows.starts)), rows.ids] = rows.weights
    return found


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor")
@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_metrics_equal_those_of_sentence_transformers(
    folders: dict[str, Path], kind: str
) -> None:
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator

    model = SparseEncoder(str(folders[kind]), device="cpu")
    evaluator = SparseInformationRetrievalEvaluator(QUERIES, CORPUS, RELEVANT, write_csv=False)
    theirs = evaluator(model)
    encoder = loaded(folders[kind])
    queries = encoder.encode_query_terms(list(QUERIES.values()), language="en")
    documents = encoder.encode_document_terms(list(CORPUS.values()), language="en")
    ids = list(CORPUS)
    ranking = TopK(len(QUERIES), len(CORPUS))
    ranking.add(*search_block(queries, documents, len(CORPUS), id_ranks(ids)), ids)
    run = ranking.run(list(QUERIES))
    scores = model.similarity(
        model.encode_query(list(QUERIES.values())), model.encode_document(list(CORPUS.values()))
    )
    for row, (found, values) in enumerate(zip(run.doc_ids, run.scores, strict=True)):
        expected = [float(scores[row, ids.index(doc_id)]) for doc_id in found]
        assert np.allclose(values, expected, rtol=1e-5)
        assert len(found) == int((scores[row] > 0).sum())
    qrels = [Qrel(query, doc, 1) for query, docs in RELEVANT.items() for doc in docs]
    names = {"nDCG@10": "ndcg@10", "RR@10": "mrr@10", "AP@100": "map@100", "R@3": "recall@3"}
    ours = score(run, qrels, list(names))
    for name, mean in zip(ours.measures, ours.values.mean(axis=0), strict=True):
        assert mean == pytest.approx(theirs[f"dot_{names[name]}"], abs=1e-6)
    active = [np.diff(rows.starts).mean() for rows in (queries, documents)]
    expected = [theirs[f"{side}_active_dims"] for side in ("query", "corpus")]
    assert active == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_in_batches_of_any_size(folders: dict[str, Path], kind: str) -> None:
    encoders = [loaded(folders[kind], **o) for o in ({}, {"batch_size": 2}, {"batch_tokens": 30})]
    texts = [*TEXTS, "", "paka paka"]
    for method in ("encode_query_terms", "encode_document_terms"):
        found = [getattr(encoder, method)(texts, language="sw") for encoder in encoders]
        rows = [dense(one, encoders[0].dim) for one in found]
        assert np.allclose(rows[0], rows[2], atol=1e-5)
        if kind != "static":  # sentence-transformers itself cannot read a text without tokens
            assert np.allclose(rows[0], rows[1], atol=1e-5)


def test_a_static_query_side_weighs_the_words_of_the_query(folders: dict[str, Path]) -> None:
    encoder = loaded(folders["static"])
    both, one = (
        encoder.encode_query_terms([text], language="en") for text in ("paka mbwa", "mbwa")
    )
    assert (len(both.ids), len(one.ids)) == (2, 1)
    assert one.weights[0] in both.weights
    assert len(encoder.encode_query_terms(["", ""], language="en")) == 2
    assert len(encoder.encode_document_terms(["mbwa"], language="en").ids) > 1


def test_a_stated_number_of_active_dimensions_is_kept(tmp_path: Path) -> None:
    folder = write_sparse(tmp_path / "model", 1)
    edit(folder / "config_sentence_transformers.json", max_active_dims=3)
    rows = loaded(folder).encode_document_terms(TEXTS, language="en")
    assert np.diff(rows.starts).tolist() == [3] * len(TEXTS)


def test_a_model_that_compares_by_cosine_gets_rows_of_unit_length(tmp_path: Path) -> None:
    folder = write_sparse(tmp_path / "model", 1)
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    encoder = loaded(folder)
    rows = dense(encoder.encode_document_terms(TEXTS, language="en"), encoder.dim)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_run_records_the_model_and_its_active_dimensions(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    card, spec = make_folder(tmp_path / "task").card_path, f"st:{folders['static']}"
    out = tmp_path / "out"
    assert clir("run", "--task", card, "--model", spec, "--pairs", "en-sw", "--output", out) == 0
    (path,) = out.rglob("test.json")
    result = read_result(path)
    assert (result.system.similarity, result.system.dtype) == ("sparse", "float32")
    assert result.system.weights_sha256 is not None
    method = result.pairs["en-sw"].method
    assert method.startswith("active dimensions: ")
    assert "per query" in method and "per document" in method


def test_the_kit_passes_a_model_with_a_static_query_side(folders: dict[str, Path]) -> None:
    for check in encoder_checks(loaded(folders["static"])):
        if check.check.name not in ("finding", "processes", "network", "silence"):
            check()  # random weights find nothing
