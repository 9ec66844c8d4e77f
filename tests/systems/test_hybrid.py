"""Fusion of rankings, with the arithmetic worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import Folder, make_folder

from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.results.trec_runs import from_scores
from clir_bench.systems.hybrid import fuse
from clir_bench.systems.names import load_system
from clir_bench.tasks.source import locate
from clir_bench.types import Run

ONE = from_scores({"q1": {"a": 9.0, "b": 5.0, "c": 1.0}, "q2": {"a": 1.0}})
OTHER = from_scores({"q2": {"b": 2.0, "a": 2.0}, "q1": {"c": 0.5, "d": 0.25}})


def scores_of(run: Run, query: int = 0) -> dict[str, float]:
    ids, scores = run.doc_ids[query], run.scores[query]
    return dict(zip(ids, scores.tolist(), strict=True))


def test_reciprocal_ranks_are_summed() -> None:
    fused = fuse([ONE, OTHER], 10)
    assert fused.query_ids == ("q1", "q2")
    # c is third and first, a first, b second, d second of the other: d and b tie, d by its id.
    assert fused.doc_ids[0] == ("c", "a", "d", "b")
    expected = {"a": 1 / 61, "b": 1 / 62, "c": 1 / 63 + 1 / 61, "d": 1 / 62}
    assert scores_of(fused) == pytest.approx(expected)


def test_a_smaller_k_favours_the_first() -> None:
    expected = {"a": 1 / 2, "b": 1 / 3, "c": 1 / 4 + 1 / 2, "d": 1 / 3}
    assert scores_of(fuse([ONE, OTHER], 10, k=1)) == pytest.approx(expected)


def test_weights_sum_scores_from_zero_to_one() -> None:
    fused = fuse([ONE, OTHER], 10, weights=[0.75, 0.25])
    # Of 9, 5, 1: 1, 0.5, 0. Of 0.5, 0.25: 1, 0.
    assert scores_of(fused) == pytest.approx({"a": 0.75, "b": 0.375, "c": 0.25, "d": 0.0})


def test_equal_scores_count_as_the_best() -> None:
    fused = fuse([ONE, OTHER], 10, weights=[0.75, 0.25])
    assert scores_of(fused, 1) == pytest.approx({"a": 1.0, "b": 0.25})


def test_the_best_k_are_kept() -> None:
    assert fuse([ONE, OTHER], 2).doc_ids == (("c", "a"), ("a", "b"))


def test_a_query_that_a_run_lacks_gets_nothing_from_it() -> None:
    lacking = from_scores({"q2": {"b": 1.0}})
    assert fuse([ONE, lacking], 10).doc_ids[0] == ONE.doc_ids[0]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def run(folder: Folder, name: str, output: Path) -> Result:
    return evaluate(
        folder.card,
        load_system(name),
        output=output,
        source=locate(folder.card, "test"),
        settings=RunSettings(n_resamples=50),
    )


def test_a_result_states_how_and_what_was_fused(folder: Folder, tmp_path: Path) -> None:
    result = run(folder, "hybrid:hashing+bm25", tmp_path / "out")
    assert [part.name for part in result.system.parts] == ["hashing", "bm25"]
    assert result.system.details == {"fusion": "reciprocal rank fusion, k = 60"}
    weighted = load_system("hybrid:hashing+bm25+weights=0.7,0.3")
    assert "0.7, 0.3" in weighted.record.details["fusion"]


def test_a_pair_that_fails_in_one_part_fails_alone(folder: Folder, tmp_path: Path) -> None:
    run(folder, "random", tmp_path / "out")
    (tmp_path / "out/random/mine/test/en-de.run.gz").unlink()
    name = f"hybrid:hashing+run:{tmp_path / 'out/random'}"
    result = run(folder, name, tmp_path / "out")
    assert {name: pair.status for name, pair in result.pairs.items()} == {
        "en-sw": "done",
        "fr-sw": "done",
        "en-de": "failed",
    }
