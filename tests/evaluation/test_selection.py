"""Several tasks run what each has of a selection; what no task has is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import clir, make_folder

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.evaluation.selection import PairSelection, plan_runs, split_names
from clir_bench.tasks.catalog import load_card


def planned(selection: PairSelection, *tasks: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the pairs that are run of each task, and the notes."""
    plans, notes = plan_runs([load_card(task) for task in tasks], selection)
    return {
        task.card.id: [str(pair) for pair in task.pairs] for plan in plans for task in plan.tasks
    }, notes


def test_each_task_runs_the_languages_that_it_has() -> None:
    runs, notes = planned(PairSelection(languages=("sw", "de", "th")), "miracl", "xquad")
    assert runs == {"miracl": ["de-de", "sw-sw", "th-th"], "xquad": ["de-de", "th-th"]}
    assert notes == ["task 'xquad' does not have sw: left out there"]


def test_a_task_that_has_nothing_of_the_selection_is_left_out() -> None:
    runs, notes = planned(PairSelection(languages=("yo",)), "miracl", "xquad")
    assert runs == {"miracl": ["yo-yo"]}
    assert notes == ["task 'xquad' is left out: it has no pair of that selection"]
    runs, notes = planned(PairSelection(pairs=("sw-sw", "el-el")), "miracl", "xquad")
    assert runs == {"miracl": ["sw-sw"], "xquad": ["el-el"]}
    assert len(notes) == 2
    runs, notes = planned(PairSelection(tiers=("low",)), "miracl", "mtop-intent")
    assert list(runs) == ["miracl"]
    assert notes == ["task 'mtop-intent' is left out: it has no pair of that selection"]


def test_what_no_task_has_is_an_error_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="Swahilli'; did you mean Swahili"):
        planned(PairSelection(languages=("sw", "Swahilli")), "miracl", "xquad")
    with pytest.raises(UnknownNameError, match=r"'ha'.* The tasks 'miracl', 'xquad' have: ar, bn"):
        planned(PairSelection(languages=("sw", "ha")), "miracl", "xquad")
    with pytest.raises(UnknownNameError, match="unknown pair 'sw-te'"):
        planned(PairSelection(pairs=("sw-sw", "sw-te")), "miracl", "xquad")
    with pytest.raises(UsageError, match="none of the tasks miracl, xquad has a pair"):
        planned(PairSelection(languages=("en",), tiers=("low",)), "miracl", "xquad")


def test_a_suite_runs_the_pairs_that_its_tasks_have() -> None:
    runs, notes = planned(PairSelection(languages=("de", "fr")), "mtop")
    assert set(runs) == {"mtop-translation", "mtop-intent"}
    assert all({"de", "fr"} & set(pair.split("-")) for pairs in runs.values() for pair in pairs)
    assert notes == []
    runs, _ = planned(PairSelection(pairs=("sw-en",)), "xtreme-r")
    assert runs == {"tatoeba": ["sw-en"]}


def test_the_command_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = make_folder(tmp_path / "mine")
    other = make_folder(tmp_path / "other")
    other.edit_card('id = "mine"', 'id = "other"')
    other.edit_card('de = "de"\n', "")
    other.edit_card('"fr-sw", "en-de"', '"fr-sw"')
    other.edit_card('available = ["fr-de"]\n', "")
    other.edit_card('"*-de" = [3, 3, 3]\n', "")
    tasks = ["-t", mine.card_path, "-t", other.card_path, "-o", tmp_path / "out"]
    assert clir("run", "-m", "hashing", *tasks, "-l", "sw,de") == 0
    assert "note: task 'other' does not have de: left out there\n" in capsys.readouterr().err
    assert (tmp_path / "out/hashing/other/test.json").exists()


def test_names_are_split_at_commas_wherever_they_come_from() -> None:
    assert split_names(None) == ()
    assert split_names("sw, te") == split_names(["sw", "te"]) == split_names(("sw,te",))
