"""Going on with what an earlier run has done, and what is run again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from evaluated import EVERYTHING, statuses, stored
from folders import Folder, Watched, evaluate_folder, make_folder

from clir_bench.errors import ResultError
from clir_bench.results.store import read_scores
from clir_bench.results.summary import with_tiers


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results"


# Going on with what is done


def test_a_second_run_encodes_nothing_and_says_the_same(folder: Folder, output: Path) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched()
    second = evaluate_folder(folder, output, encoder)
    assert encoder.calls == []
    assert second.model_copy(update={"environment": first.environment}) == first


def test_changed_data_is_run_again_and_the_rest_is_kept(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_folder(folder, output)
    folder.edit("de/corpus.jsonl", "starker Regen", "starker Schnee")
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == [("documents", "de"), ("queries", "en")]
    assert "en-de: the data changed since it was run; running it again" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "encoded"),
    [
        ("run.gz", [("documents", "de"), ("queries", "en")]),
        ("values.tsv.gz", []),  # they are computed from the run
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_file_of_a_pair_is_made_again(
    folder: Folder,
    output: Path,
    suffix: str,
    encoded: list[tuple[str, str]],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test" / f"en-de.{suffix}"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-10])
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == encoded
    assert path.read_bytes() == whole
    assert f"en-de.{suffix}" in caplog.text


def test_a_damaged_pair_that_is_not_asked_for_is_said_to_be_left_out(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_folder(folder, output)
    (output / "watched" / "mine" / "test" / "en-de.run.gz").unlink()
    result = evaluate_folder(folder, output, pairs="en-sw")
    assert statuses(result)["en-de"] == "not run"
    assert "en-de" in caplog.text
    assert "left out" in caplog.text
    assert "running it again" not in caplog.text


def test_more_measures_are_scored_from_the_stored_runs(folder: Folder, output: Path) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder, measures=("P@1", "RR"))
    assert encoder.calls == []
    for name, pair in result.pairs.items():
        assert list(pair.scores) == ["nDCG@10", "AP@1000", "P@1", "RR", "Judged@10"]
        assert pair.scores["nDCG@10"] == first.pairs[name].scores["nDCG@10"]
    fresh = evaluate_folder(folder, output.with_name("fresh"), measures=("P@1", "RR"))
    assert {n: p.scores for n, p in fresh.pairs.items()} == {
        n: p.scores for n, p in result.pairs.items()
    }


def test_languages_added_later_join_the_earlier_ones(folder: Folder, output: Path) -> None:
    evaluate_folder(folder, output, pairs="en-de")
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder, pairs="en-sw fr-sw")
    assert encoder.called_for() == [("documents", "sw"), ("queries", "en"), ("queries", "fr")]
    assert set(statuses(result).values()) == {"done"}
    together = evaluate_folder(folder, output.with_name("together"))
    assert result.overall == together.overall
    assert result.tiers == together.tiers


def test_pairs_with_other_measures_in_their_files_can_still_be_summed_up(
    folder: Folder, output: Path
) -> None:
    evaluate_folder(folder, output, pairs="en-de", measures=("P@1",))
    result = evaluate_folder(folder, output, pairs="en-sw")
    path = output / "watched" / "mine" / "test.json"
    values = read_scores(path, result)
    assert {scores.measures for scores in values.values()} == {("nDCG@10", "AP@1000", "Judged@10")}
    retold = with_tiers(result, values, "optical")
    assert retold.overall == result.overall


def test_other_tiers_of_a_users_own_task_need_no_card(folder: Folder, output: Path) -> None:
    result = evaluate_folder(folder, output)
    folder.card_path.unlink()
    values = read_scores(output / "watched" / "mine" / "test.json", result)
    assert with_tiers(result, values, "joshi") == result
    retold = with_tiers(result, values, "cc100")
    assert retold.tiers.scheme == "cc100"
    assert retold.pairs["en-sw"].scores == result.pairs["en-sw"].scores


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("system", r"another revision \('1', not '2'\)"),
        ("card", "another version of the task's card"),
        ("top_k", r"another --top-k \(1000\)"),
    ],
)
def test_a_result_made_otherwise_is_not_overwritten_unless_asked(
    folder: Folder, output: Path, change: str, problem: str
) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched(revision="2" if change == "system" else "1")
    if change == "card":
        folder.edit_card("parallel_queries = true", "parallel_queries = false")
    top_k = 2 if change == "top_k" else 1000
    with pytest.raises(ResultError, match=f"{problem}.*--output.*--overwrite"):
        evaluate_folder(folder, output, encoder, top_k=top_k)
    assert encoder.calls == []
    assert stored(output) == first
    result = evaluate_folder(folder, output, encoder, top_k=top_k, overwrite=True)
    assert encoder.called_for() == EVERYTHING
    assert stored(output) == result != first


def test_a_broken_result_is_not_overwritten_unless_asked(folder: Folder, output: Path) -> None:
    evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(ResultError, match=r"test\.json: not a result: .*--overwrite"):
        evaluate_folder(folder, output)
    assert set(statuses(evaluate_folder(folder, output, overwrite=True)).values()) == {"done"}


@pytest.fixture(autouse=True)
def _warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
