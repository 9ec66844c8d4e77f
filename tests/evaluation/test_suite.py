"""Several tasks as one: a line a part, and a mean only when every part has a score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, clir, make_folder

from clir_bench.results.schema import Result, SuiteResult
from clir_bench.results.store import read_result

SUITE = """\
id = "both"
title = "Both collections"
description = "Two folders."
license = "CC0-1.0"

[[parts]]
task = "mine"
pairs = ["*-sw"]
measure = "nDCG@10"

[[parts]]
task = "yours"
measure = "AP@1000"
"""


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A folder with the cards of `mine`, `yours` and the suite `both` of the two."""
    make_folder(tmp_path)
    yours = make_folder(tmp_path / "other")
    yours.edit_card('id = "mine"', 'id = "yours"')
    yours.edit_card('directory = "data"', 'directory = "other/data"')
    yours.card_path.rename(tmp_path / "yours.toml")
    (tmp_path / "both.toml").write_text(SUITE)
    return tmp_path


def run(cards: Path, *arguments: object) -> int:
    return clir(
        "run", "-m", "hashing", "-t", "both", "--tasks-dir", cards, "-o", cards / "out", *arguments
    )  # fmt: skip


def stored(cards: Path) -> SuiteResult:
    found = read_result(cards / "out/hashing/both/test.json")
    assert isinstance(found, SuiteResult)
    return found


def part(cards: Path, task: str) -> Result:
    found = read_result(cards / f"out/hashing/{task}/test.json")
    assert isinstance(found, Result)
    return found


def test_a_suite_has_a_line_for_every_part_and_their_mean(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cards) == 0
    suite = stored(cards)
    mine, yours = part(cards, "mine"), part(cards, "yours")
    assert [line.task for line in suite.parts] == ["mine", "yours"]
    assert suite.parts[0].score == mine.languages["sw"].scores["nDCG@10"]
    assert suite.parts[1].score == yours.overall["AP@1000"]
    expected = (mine.languages["sw"].scores["nDCG@10"].mean + yours.overall["AP@1000"].mean) / 2
    assert suite.mean is not None
    assert suite.mean.mean == pytest.approx(expected)
    assert suite.official
    assert [line.result_file for line in suite.parts] == [
        "hashing/mine/test.json", "hashing/yours/test.json",
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert out.startswith("hashing on Both collections\n")
    low, high = suite.mean.interval
    assert f"{suite.mean.mean:.4f} [{low:.3f}, {high:.3f}]\n" in out


def test_only_the_suites_pairs_of_a_task_count(cards: Path) -> None:
    assert clir(
        "run", "-m", "hashing", "-t", "mine", "--tasks-dir", cards, "-o", cards / "out"
    ) == 0  # fmt: skip
    assert run(cards) == 0
    assert part(cards, "mine").pairs["en-de"].status == "done"
    assert stored(cards).parts[0].pairs == ("en-sw", "fr-sw")
    assert stored(cards).parts[0].score == part(cards, "mine").languages["sw"].scores["nDCG@10"]


def test_a_failing_part_leaves_the_suite_without_a_mean(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cards / "other/data/de/corpus.jsonl").unlink()
    assert run(cards) == 1
    suite = stored(cards)
    assert suite.mean is None
    assert not suite.official
    assert suite.parts[0].score is not None
    assert suite.parts[1].score is None
    assert "1 of 3 pairs failed" in str(suite.parts[1].error)
    err = capsys.readouterr().err
    assert err.startswith("failed: hashing on both, yours: ")
    assert "de/corpus.jsonl" in err
    assert part(cards, "yours").pairs["en-sw"].status == "done"


def test_a_part_without_its_folder_does_not_stop_the_others(cards: Path) -> None:
    (cards / "data").rename(cards / "elsewhere")
    assert run(cards) == 1
    suite = stored(cards)
    assert "is no folder" in str(suite.parts[0].error)
    assert suite.parts[1].score is not None


def test_a_suite_says_why_it_is_not_official(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Folder(cards / "mine.toml", cards / "data").edit_card("[4, 3, 5]", "[9, 3, 5]")
    assert run(cards) == 0
    assert stored(cards).unofficial == ("mine: 4 documents where the card states 9 (-5)",)
    out = capsys.readouterr().out
    assert "hashing on Both collections (NOT OFFICIAL)" in out
    assert "- mine: 4 documents where the card states 9 (-5)" in out


def test_a_suite_printed_as_json_is_one_line(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cards, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert SuiteResult.model_validate(json.loads(lines[0])) == stored(cards)


def test_a_suite_is_shown_from_its_file(cards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(cards)
    printed = capsys.readouterr().out
    assert clir("show", cards / "out/hashing/both/test.json") == 0
    assert capsys.readouterr().out == printed


def test_a_suite_runs_the_chosen_pairs_of_its_parts_and_its_own_result_stays(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(cards)
    before = (cards / "out/hashing/both/test.json").read_bytes()
    capsys.readouterr()
    assert run(cards, "--languages", "de", "--json") == 0
    captured = capsys.readouterr()
    chosen = SuiteResult.model_validate_json(captured.out)
    assert [(line.task, line.pairs) for line in chosen.parts] == [("yours", ("en-de",))]
    assert not chosen.official
    assert chosen.unofficial[0] == "only some of the suite's pairs were run"
    assert "note: task 'mine' is left out: it has no pair of that selection" in captured.err
    assert (cards / "out/hashing/both/test.json").read_bytes() == before


def test_a_suite_of_which_some_pairs_run_stores_its_parts_alone(cards: Path) -> None:
    assert run(cards, "--languages", "sw", "--pairs", "all") == 0
    assert part(cards, "yours").pairs["en-sw"].status == "done"
    assert part(cards, "yours").pairs["en-de"].status == "not run"
    assert not (cards / "out/hashing/both/test.json").exists()


def test_a_suite_run_again_keeps_who_made_its_scores(
    cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cards)
    before = (cards / "out/hashing/both/test.json").read_bytes()
    monkeypatch.setattr("sys.argv", ["clir-bench", "run", "again"])
    run(cards)
    assert (cards / "out/hashing/both/test.json").read_bytes() == before


def test_one_folder_is_not_taken_for_all_parts(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cards, "--data-dir", cards / "data") == 2
    assert "--data-dir names the folder of one task" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('task = "yours"', 'task = "your"', "unknown task 'your'; did you mean yours?"),
        ('task = "yours"', 'task = "both"', "part 'both' is a suite"),
        ('"AP@1000"', '"P@3"', "part 'yours': measure 'P@3' is not among the task's measures"),
        ('"AP@1000"', '"APP@1000"', "'APP@1000' is no ir-measures name"),
        ('pairs = ["*-sw"]', 'pairs = ["*-xx"]', "task 'mine': pair rule '*-xx': expected"),
        ('pairs = ["*-sw"]', 'pair = ["*-sw"]', "unknown field 'parts.0.pair' (did you mean"),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_runs(
    cards: Path, old: str, new: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in SUITE
    (cards / "both.toml").write_text(SUITE.replace(old, new))
    assert run(cards) == 2
    assert problem in capsys.readouterr().err
    assert not (cards / "out").exists()


def test_another_system_of_the_same_name_does_not_replace_a_suites_result(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cards) == 0
    path = cards / "out/hashing/both/test.json"
    raw: dict[str, Any] = json.loads(path.read_text())
    raw["system"]["revision"] = "older"
    path.write_text(json.dumps(raw))
    before = path.read_bytes()
    assert run(cards) == 1
    assert "another revision ('older', not" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert run(cards, "--overwrite") == 0
    assert stored(cards).system.revision != "older"


def test_a_limited_suite_is_stored_beside_the_whole_one(cards: Path) -> None:
    assert run(cards, "--limit", 1) == 0
    found = read_result(cards / "out/hashing/both/test-limit1.json")
    assert isinstance(found, SuiteResult)
    assert not found.official
    assert found.parts[0].result_file == "hashing/mine/test-limit1.json"
