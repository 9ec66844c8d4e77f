"""`show` and `schema`: stored results, printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from folders import Folder, clir, make_folder

from clir_bench.cli import main
from clir_bench.results.store import read_result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the stored result of `hashing` on the folder."""
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "out") == 0
    capsys.readouterr()
    return tmp_path / "out"


# Stored results


def test_show_prints_what_run_printed(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "out")
    printed = capsys.readouterr().out
    assert clir("show", tmp_path / "out/hashing/mine/test.json") == 0
    assert printed.startswith(capsys.readouterr().out.rstrip("\n"))


def test_show_of_a_folder_prints_every_result_in_it(
    folder: Folder, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clir("run", "-m", "hashing", "-t", folder.card_path, "-o", output, "--limit", 1)
    capsys.readouterr()
    assert clir("show", output) == 0
    out = capsys.readouterr().out
    assert "hashing on My collection, test (partial, --limit 1)\n" in out
    assert "\nhashing on My collection, test\n" in out


def test_show_tells_tiers_under_another_scheme(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = tmp_path / "mine-tiers.toml"
    scheme.write_text('name = "upside-down"\nlow = ["de"]\nhigh = ["swa", "en", "French"]\n')
    assert clir("show", output, "--tiers", scheme) == 0
    out = capsys.readouterr().out
    assert "tiers: upside-down" in out
    lines = [line.split()[:3] for line in out.splitlines() if "German" in line or "Swahili" in line]
    assert lines == [["low", "de", "German"], ["high", "sw", "Swahili"]]
    assert clir("show", output, "--tiers", "jushi") == 2
    assert "unknown tier scheme 'jushi'; did you mean joshi?" in capsys.readouterr().err


def test_show_by_pair_has_a_line_per_pair(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("show", output, "--by-pair") == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()[2:7]]
    assert [row[:4] for row in rows[2:]] == [
        ["low", "en-sw", "done", "3"],
        ["low", "fr-sw", "done", "3"],
        ["high", "en-de", "done", "3"],
    ]


def test_show_says_what_failed_and_why_and_counts_what_was_not_run(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.data / "queries.fr.jsonl").unlink()
    arguments = ("-t", folder.card_path, "-o", tmp_path / "out", "--pairs", "en-sw,fr-sw")
    assert clir("run", "-m", "hashing", *arguments) == 1
    capsys.readouterr()
    assert clir("show", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "\n\nFailed:\n- fr-sw: task 'mine': queries.fr.jsonl or" in shown
    assert clir("show", tmp_path / "out", "--by-pair") == 0
    by_pair = capsys.readouterr().out
    rows = [line.split()[:3] for line in by_pair.splitlines()[2:7]]
    assert rows[2:] == [["low", "en-sw", "done"], ["low", "fr-sw", "failed"], []]
    assert "\n\nnot run: en-de\n\n" in by_pair
    assert by_pair[by_pair.index("Failed:") :] == shown[shown.index("Failed:") :]


def test_show_as_json_is_the_stored_result(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("show", output, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0]) == json.loads((output / "hashing/mine/test.json").read_text())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such result"),
        ("{", "not a result"),
        ("[1]", "schema version None, this clir-bench reads 1"),
        ('{"schema_version": 2}', "schema version 2, this clir-bench reads 1"),
        ('{"schema_version": 1}', "is missing"),
    ],
)
def test_what_is_no_result_is_said(
    tmp_path: Path, content: str | None, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.json"
    if content is not None:
        path.write_text(content)
    assert clir("show", path) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {path}: ")
    assert problem in err


def test_an_empty_folder_has_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("show", tmp_path) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: no result in this folder\n"


def test_the_schema_names_every_field_of_a_stored_result(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    raw = json.loads((output / "hashing/mine/test.json").read_text())
    assert set(schema["properties"]) == {*raw, "later_commands"}
    assert set(schema["required"]) <= set(raw)
    pair = schema["$defs"]["PairResult"]["properties"]
    assert set(pair) == {*raw["pairs"]["en-sw"], "files", "method"}
    known = read_result(output / "hashing/mine/test.json").model_dump(mode="json")
    # Fields that would say nothing are not stored.
    raw["system"] |= {"details": {}, "parts": [], "instruction": ""}
    for stored in raw["pairs"].values():
        stored |= {"method": "", "files": {}}
    assert known == {**raw, "later_commands": []}
    assert clir("schema", "--suite") == 0
    assert "parts" in json.loads(capsys.readouterr().out)["properties"]


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["clir-bench", "languages", "sw"])
    assert main() == 0
    assert "Swahili" in capsys.readouterr().out
