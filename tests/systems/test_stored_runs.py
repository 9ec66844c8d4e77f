"""Stored runs as systems."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from folders import Folder, evaluate_folder, make_folder

from clir_bench.errors import UsageError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.systems.names import load_system
from clir_bench.tasks.source import locate


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def stored(folder: Folder, tmp_path: Path) -> Path:
    evaluate_folder(folder, tmp_path / "out")
    return tmp_path / "out" / "watched"


def run(folder: Folder, name: str, output: Path, settings: RunSettings | None = None) -> Result:
    return evaluate(
        folder.card,
        load_system(name),
        output=output,
        source=locate(folder.card, "test"),
        settings=settings or RunSettings(n_resamples=50),
    )


def test_a_stored_run_scores_as_it_did(folder: Folder, stored: Path, tmp_path: Path) -> None:
    first = evaluate_folder(folder, tmp_path / "again")
    result = run(folder, f"run:{stored}", tmp_path / "out")
    assert result.system.name == "run:watched"
    assert result.system.parts == (first.system,)
    for name, pair in result.pairs.items():
        assert pair.scores == first.pairs[name].scores
        assert pair.method == f"stored run {first.pairs[name].run_sha256}"


def test_stored_runs_are_fused(folder: Folder, stored: Path, tmp_path: Path) -> None:
    run(folder, "random", tmp_path / "out")
    name = f"hybrid:run:{stored}+run:{stored.parent}/random"
    result = run(folder, name, tmp_path / "out")
    assert result.system.name == "hybrid:run:watched+run:random"
    live = run(folder, f"hybrid:run:{stored}+random", tmp_path / "out")
    assert result.pairs["en-sw"].scores == live.pairs["en-sw"].scores


def test_a_query_for_which_nothing_was_found_stays(
    folder: Folder, stored: Path, tmp_path: Path
) -> None:
    run(folder, "bm25", tmp_path / "out")
    found = run(folder, f"run:{stored.parent}/bm25", tmp_path / "out")
    live = run(folder, f"hybrid:bm25+run:{stored}", tmp_path / "out")
    again = run(folder, f"hybrid:run:{stored.parent}/bm25+run:{stored}", tmp_path / "out")
    counts = found.pairs["en-sw"].counts
    assert counts is not None
    assert counts.retrieved < 3 * 4, "bm25 leaves documents out"
    assert again.pairs["en-sw"].counts == live.pairs["en-sw"].counts
    assert again.pairs["en-sw"].scores == live.pairs["en-sw"].scores


def test_a_changed_run_is_an_error_of_its_pair(
    folder: Folder, stored: Path, tmp_path: Path
) -> None:
    path = stored / "mine/test/en-sw.run.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b" d1 ", b" d9 ")))
    result = run(folder, f"run:{stored}", tmp_path / "out")
    assert result.pairs["fr-sw"].status == "done"
    assert "its sha256 is another" in (result.pairs["en-sw"].error or "")


def test_a_run_on_other_data_is_an_error_of_its_pair(
    folder: Folder, stored: Path, tmp_path: Path
) -> None:
    folder.edit("de/corpus.jsonl", "Stadion", "Theater")
    result = run(folder, f"run:{stored}", tmp_path / "out")
    assert result.pairs["en-sw"].status == "done"
    assert "made on other documents" in (result.pairs["en-de"].error or "")


def test_a_pair_that_was_not_run_is_an_error_of_its_own(folder: Folder, tmp_path: Path) -> None:
    evaluate_folder(folder, tmp_path / "out", pairs="en-sw")
    result = run(folder, f"run:{tmp_path / 'out' / 'watched'}", tmp_path / "out")
    assert result.pairs["en-sw"].status == "done"
    assert "it has no run of the pair" in (result.pairs["fr-sw"].error or "")


def test_a_run_by_an_approximate_index_is_not_taken_for_an_exact_one(
    folder: Folder, tmp_path: Path
) -> None:
    settings = RunSettings(n_resamples=50, index=IndexSpec.parse("HNSW8"))
    run(folder, "hashing", tmp_path / "out", settings)
    result = run(folder, f"run:{tmp_path / 'out' / 'hashing'}", tmp_path / "out")
    assert "found by the approximate index HNSW8" in (result.pairs["en-sw"].error or "")


def test_a_folder_without_the_task_is_refused_at_once(
    folder: Folder, stored: Path, tmp_path: Path
) -> None:
    folder.edit_card('id = "mine"', 'id = "yours"')
    with pytest.raises(UsageError, match="has no run of task 'yours', only of mine"):
        run(folder, f"run:{stored}", tmp_path / "out")


def test_a_folder_of_several_systems_is_refused(
    folder: Folder, stored: Path, tmp_path: Path
) -> None:
    run(folder, "random", tmp_path / "out")
    with pytest.raises(UsageError, match=r"results of several systems.*name the folder of one"):
        load_system(f"run:{stored.parent}")
