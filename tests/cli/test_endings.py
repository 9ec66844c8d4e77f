"""How a command ends: interrupted, unheard, on a full disk, into a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, clir, make_folder
from processes import python

from clir_bench.results.schema import Result
from clir_bench.results.store import read_result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


# How it ends


def test_an_interruption_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("clir_bench.cli.tasks.discover", _raise(KeyboardInterrupt()))
    assert clir("tasks") == 130
    assert "interrupted; everything that was finished is kept" in capsys.readouterr().err


def test_running_out_of_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("clir_bench.cli.tasks.discover", _raise(MemoryError()))
    assert clir("tasks") == 1
    assert capsys.readouterr().err == (
        "error: out of memory; try a smaller --batch-size or --top-k\n"
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "clir_bench", "tasks"],
            stdout=write, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_into_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m clir_bench run --help | true'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "code", "closed"),
    [
        *(("show nope", 1, closed) for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-")),
        ("run -m nope -t xquad", 2, "<&- >&- 2>&-"),
        ("compare nope nope", 1, ">&-"),
    ],
)
def test_with_a_closed_standard_stream_a_command_ends_as_without(
    closed: str, command: str, code: int
) -> None:
    script = f'"{sys.executable}" -m clir_bench {command} {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == code
    assert done.stderr.startswith("" if "2>&-" in closed else "error: ")
    assert done.stderr.count("\n") <= 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_a_run_whose_standard_stream_was_closed_before_is_whole(
    folder: Folder, tmp_path: Path, closed: str
) -> None:
    run = f'"{sys.executable}" -m clir_bench run -m hashing -t "{folder.card_path}"'
    done = subprocess.run(["/bin/sh", "-c", f'{run} -o "{tmp_path}/out" {closed}'], check=False)
    assert done.returncode == 0
    result = read_result(tmp_path / "out/hashing/mine/test.json")
    assert isinstance(result, Result) and result.task.complete


def on_a_full_disk(stream: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    with Path("/dev/full").open("w") as full:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run(
            [sys.executable, "-m", "clir_bench", *arguments],
            **{**streams, stream: full}, text=True, check=False,
        )  # fmt: skip


@pytest.mark.parametrize("arguments", [["tasks"], ["languages"], ["--help"], ["run", "--help"]])
def test_a_full_disk_behind_stdout_is_one_line_and_a_failure(arguments: list[str]) -> None:
    done = on_a_full_disk("stdout", *arguments)
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output cannot be written: No space left on device; what was finished is "
        "stored\n"
    )


def test_results_are_stored_and_the_run_fails_when_stdout_takes_nothing(
    folder: Folder, tmp_path: Path
) -> None:
    command = ["run", "-m", "hashing", "-t", str(folder.card_path), "-o", str(tmp_path / "out")]
    done = on_a_full_disk("stdout", *command)
    assert done.returncode == 1
    assert done.stderr.startswith("failed: standard output cannot be written: No space left")
    assert read_result(tmp_path / "out" / "hashing" / "mine" / "test.json")


def test_what_nobody_can_hear_changes_no_exit_code() -> None:
    assert on_a_full_disk("stderr", "shwo").returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_what_an_encoding_cannot_hold_is_escaped(encoding: str, folder: Folder) -> None:
    folder.edit_card('title = "My collection"', 'title = "Мой \u4e2d\u6587"')
    done = subprocess.run(
        [sys.executable, "-m", "clir_bench", "tasks", str(folder.card_path)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith((rb"\u041c\u043e\u0439", "Мой".encode()))


def test_a_signal_before_the_command_begins_ends_the_process_with_a_line() -> None:
    code = (
        "import os, signal, sys, importlib.abc\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'clir_bench.cli.tasks': os.kill(os.getpid(), signal.NUMBER)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['clir-bench', 'tasks']\n"
        "from clir_bench.cli import run_main\n"
        "run_main()"
    )
    for number, expected, said in (("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")):
        done = python("-c", code.replace("NUMBER", number))
        assert (done.returncode, done.stdout) == (expected, "")
        assert done.stderr == f"{said}; everything that was finished is kept\n"


def test_a_library_that_ends_the_process_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("clir_bench.cli.tasks.discover", _raise(SystemExit(0)))
    assert clir("tasks") == 1
    assert capsys.readouterr().err == "error: a library ended the command by sys.exit(0)\n"


def test_a_name_too_long_for_the_file_system_is_one_line(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / ("x" * 300)],
        ["run", "-m", "hashing", "-t", "x" * 300 + ".toml"],
        ["run", "-m", "hashing", "-t", folder.card_path, "--data-dir", "x" * 300],
        ["run", "-m", "x" * 300 + ".toml", "-t", folder.card_path],
        ["show", "x" * 300],
        ["compare", "x" * 300, "y" * 300],
    ):
        assert clir(*arguments) in (1, 2)
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert "too long" in said, said


def _raise(error: BaseException) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising
