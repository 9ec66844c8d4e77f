"""Bounds: rankings by chance and by the judgments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from folders import Folder, make_folder

from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.results.trec_runs import read_run
from clir_bench.systems.bounds import random_scores
from clir_bench.systems.names import load_system
from clir_bench.tasks.source import locate


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def run(folder: Folder, name: str, output: Path, **options: int) -> Result:
    settings = RunSettings(n_resamples=50, measures=("P@1",), **options)  # type: ignore[arg-type]
    source = locate(folder.card, "test")
    return evaluate(folder.card, load_system(name), output=output, source=source, settings=settings)


def test_oracle_has_the_best_ndcg_of_every_query(folder: Folder, tmp_path: Path) -> None:
    result = run(folder, "oracle", tmp_path / "out")
    for pair in result.pairs.values():
        assert pair.scores["nDCG@10"].mean == 1.0
    ranked = read_run(tmp_path / "out/oracle/mine/test/en-sw.run.gz")
    # By hand: q1 has d1 of grade 2 and d4 of grade 0; q2 has two of grade 1, the higher id first.
    assert dict(zip(ranked.query_ids, ranked.doc_ids, strict=True)) == {
        "q1": ("d1", "d4"),
        "q2": ("d4", "d2"),
        "q3": ("d3",),
    }


def test_oracle_ranks_only_documents_that_are_there(folder: Folder, tmp_path: Path) -> None:
    path = folder.data / "de" / "corpus.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    folder.edit_card('"*-de" = [3, 3, 3]', '"*-de" = [2, 3, 3]')
    result = run(folder, "oracle", tmp_path / "out")
    assert result.pairs["en-de"].scores["nDCG@10"].mean == pytest.approx(2 / 3)


def test_random_is_the_same_whatever_the_order_of_the_corpus(
    folder: Folder, tmp_path: Path
) -> None:
    run(folder, "random", tmp_path / "one")
    path = folder.data / "sw" / "corpus.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    run(folder, "random", tmp_path / "other")
    one, other = (
        (tmp_path / name / "random/mine/test/en-sw.run.gz").read_bytes()
        for name in ("one", "other")
    )
    assert one == other


def test_random_ranks_every_document_up_to_top_k(folder: Folder, tmp_path: Path) -> None:
    result = run(folder, "random", tmp_path / "all")
    assert result.pairs["en-sw"].counts is not None
    assert result.pairs["en-sw"].counts.retrieved == 3 * 4
    run(folder, "random", tmp_path / "two", top_k=2)
    ranked = {
        name: read_run(tmp_path / name / "random/mine/test/en-sw.run.gz").doc_ids
        for name in ("all", "two")
    }
    assert [ids[:2] for ids in ranked["all"]] == list(ranked["two"])


def test_random_scores_are_uniform_and_independent_of_each_other() -> None:
    queries, documents = [f"q{i}" for i in range(200)], [f"d{i}" for i in range(2000)]
    scores = random_scores(queries, documents, 0).astype(np.float64)
    # 400,000 uniform numbers: mean 1/2 and variance 1/12, each within five standard errors.
    assert abs(scores.mean() - 0.5) < 5 * np.sqrt(1 / 12 / scores.size)
    assert abs(scores.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / scores.size)
    # Every document is first for about as many of the queries: none for a quarter of them.
    first = np.bincount(scores[:, :10].argmax(axis=1), minlength=10)
    assert first.min() > 5
    assert first.max() < 50
    correlations = np.corrcoef(scores)[np.triu_indices(200, 1)]
    assert abs(correlations.mean()) < 5 / np.sqrt(scores.size)
    assert np.abs(correlations).max() < 6 / np.sqrt(2000)


def test_another_seed_is_another_system_with_another_ranking() -> None:
    zero, three = load_system("random", seed=0), load_system("random", seed=3)
    assert (zero.info.name, three.info.name) == ("random", "random:seed=3")
    assert load_system("random:seed=3").record.fingerprint() == three.record.fingerprint()
    assert (random_scores(["q"], ["d"], 0) != random_scores(["q"], ["d"], 3)).all()
