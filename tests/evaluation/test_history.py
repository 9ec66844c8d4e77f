"""A result states the command that made its scores, and the later ones that added to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folders import Folder, clir, make_folder

from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, write_result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object
) -> tuple[Path, Result]:
    """Run as a command that is called `name` in results."""
    monkeypatch.setattr("sys.argv", ["clir-bench", name])
    output = folder.card_path.parent / "out"
    clir("run", "-m", "hashing", "-t", folder.card_path, "-o", output, *arguments)
    path = output / "hashing/mine/test.json"
    stored = read_result(path)
    assert isinstance(stored, Result)
    return path, stored


def commands(result: Result) -> list[str]:
    return [ran.command for ran in (result.environment, *result.later_commands)]


def test_a_run_with_nothing_to_do_leaves_the_file_as_it_is(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = run(folder, monkeypatch, "first")
    before = path.read_bytes(), path.stat().st_mtime_ns
    _, result = run(folder, monkeypatch, "second")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert commands(result) == ["clir-bench first"]
    assert "later_commands" not in json.loads(path.read_text())


def test_a_run_that_adds_pairs_is_named_after_the_first(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, monkeypatch, "first", "--languages", "de")
    _, second = run(folder, monkeypatch, "second", "--languages", "sw")
    assert commands(second) == ["clir-bench first", "clir-bench second"]
    _, third = run(folder, monkeypatch, "third", "--measures", "P@1")
    assert commands(third) == ["clir-bench first", "clir-bench second", "clir-bench third"]
    path, fourth = run(folder, monkeypatch, "fourth", "--measures", "P@1")
    assert fourth == third
    write_result(path, fourth)
    assert read_result(path) == third


def test_a_run_that_overwrites_is_the_only_one_named(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, monkeypatch, "first")
    _, result = run(folder, monkeypatch, "second", "--overwrite")
    assert commands(result) == ["clir-bench second"]


def test_a_run_before_which_nothing_was_done_is_the_first(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = folder.data.rename(folder.data.with_name("elsewhere"))
    folder.data.mkdir()
    _, result = run(folder, monkeypatch, "first")
    assert not result.overall
    folder.data.rmdir()
    hidden.rename(folder.data)
    _, result = run(folder, monkeypatch, "second")
    assert commands(result) == ["clir-bench second"]
