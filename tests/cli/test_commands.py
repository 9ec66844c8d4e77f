"""The command line without `run`: help, lists, stored results, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from folders import Folder, clir, make_folder

from clir_bench import __version__
from clir_bench.cli import commands, main
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result

COMMANDS = list(commands.COMMANDS)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the stored result of `hashing` on the folder."""
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "out") == 0
    capsys.readouterr()
    return tmp_path / "out"


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


# Help and usage


def test_help_lists_every_command_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("--help") == 0
    out = capsys.readouterr().out
    assert "Example: clir-bench run" in out
    for command in COMMANDS:
        assert f"\n  {command} " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_has_an_example_of_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir(command, "--help") == 0
    out = capsys.readouterr().out
    _, _, examples = out.partition("Example")
    assert f"clir-bench {command}" in examples


def test_every_option_is_described() -> None:
    for name in COMMANDS:
        command = commands.cli.get_command(click.Context(commands.cli), name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"


def test_help_answers_without_loading_the_libraries() -> None:
    code = (
        "import sys\n"
        "from clir_bench.cli import main\n"
        "assert main(['--help']) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = python("-c", code)
    assert done.returncode == 0
    heavy = {"torch", "faiss", "transformers", "pandas", "pydantic", "numpy", "ir_datasets"}
    assert heavy & set(done.stderr.split()) == set()


def test_the_package_is_the_command() -> None:
    done = python("-m", "clir_bench", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["clir-bench,", "version", __version__]


def test_an_unknown_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert clir("shwo") == 2
    captured = capsys.readouterr()
    assert captured.err == (
        "error: unknown command 'shwo'; did you mean show? `clir-bench --help` lists them.\n"
    )
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "-m", "hashing"], "Missing option '--task'"),
        (["run", "-t", "xquad"], "Missing option '--model'"),
        (["run", "--modle", "hashing"], "No such option '--modle'"),
        (["run", "-m", "hashing", "-t", "xquad", "--top-k", "0"], "Invalid value for '--top-k'"),
        (["run", "-m", "hashing", "-t", "xquad", "--dtype", "int8"], "Invalid value for '--dtype'"),
        (["show"], "Missing argument"),
        (["download"], "name a task"),
        (["download", "xquad", "-l", "klingon"], "unknown language 'klingon'"),
        (["download", "miracl", "--split", "tset"], "unknown split 'tset'"),
    ],
)
def test_a_command_that_cannot_mean_anything_exits_with_two(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir(*arguments) == 2
    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.out == ""


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


# Lists


def test_tasks_lists_every_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("tasks") == 0
    out = capsys.readouterr().out
    for name in ("miracl", "mmarco", "wikiclir", "xquad-r", "tatoeba", "mewsli-x", "xtreme-r"):
        assert f"\n{name} " in out


def test_a_task_is_described_with_its_pairs_and_counts(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("tasks", folder.card_path) == 0
    out = capsys.readouterr().out
    assert out.startswith("My collection\n")
    assert "sw Swahili" in out
    assert "official      en-sw, fr-sw, en-de\n" in out
    assert "pairs         en-sw, fr-sw, en-de, fr-de\n" in out
    assert out.split("judgments\n")[1].split("\n")[1].split() == ["test", "*-sw", "4", "3", "5"]


def test_a_suites_description_breaks_no_pair_in_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("tasks", "xtreme-r") == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.endswith("-")]


def test_tasks_as_json_is_a_card_a_line(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    directory = folder.card_path.parent
    assert clir("tasks", "--json", "--tasks-dir", directory) == 0
    cards = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"mine", "miracl", "xtreme-r"} <= {card["id"] for card in cards}


def test_an_unknown_task_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("tasks", "mircal") == 2
    assert "unknown task 'mircal'; did you mean miracl" in capsys.readouterr().err
    assert clir("tasks", "SLURM") == 2
    assert "no data set of that name could be found" in capsys.readouterr().err


def test_languages_are_found_by_any_spelling(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("languages", "sw", "swa", "swh", "Swahili", "--tiers", "optical") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({*lines[2:6]}) == 1
    assert lines[2].split() == ["sw", "swa", "Swahili", "Latn", "Niger-Congo", "2", "1.6", "low"]
    assert clir("languages") == 0
    assert len(capsys.readouterr().out.splitlines()) > 100


def test_an_unknown_language_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert clir("languages", "Swahilli") == 2
    assert "unknown language 'Swahilli'; did you mean Swahili" in capsys.readouterr().err


def test_encoders_are_listed_with_their_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("encoders") == 0
    out = capsys.readouterr().out
    assert f"clir-bench {__version__}" in out
    assert "intfloat/multilingual-e5-base" in out
    assert "\nhashing " in out


# Downloads


def test_data_of_ones_own_needs_no_download(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("download", folder.card_path) == 0
    assert capsys.readouterr().out == f"mine: read from {folder.data}; nothing to fetch\n"


def test_what_can_only_be_had_by_hand_is_said(
    folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CLIR_BENCH_DATA", raising=False)
    folder.edit_card('directory = "data"\n', "")
    text = folder.card_path.read_text() + '\n[download]\nby_hand = "Ask the radio."\n'
    folder.card_path.write_text(text)
    assert clir("download", folder.card_path) == 1
    assert capsys.readouterr().err == (
        "failed: task 'mine' has no address to fetch its files from. Ask the radio. Then name the "
        "folder with --data-dir, or put it at $CLIR_BENCH_DATA/mine.\n"
    )
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "out") == 1
    assert "Ask the radio. Then name the folder with --data-dir" in capsys.readouterr().err


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
    assert set(pair) == set(raw["pairs"]["en-sw"])
    known = read_result(output / "hashing/mine/test.json").model_dump(mode="json")
    assert known == {**raw, "later_commands": []}
    assert clir("schema", "--suite") == 0
    assert "parts" in json.loads(capsys.readouterr().out)["properties"]


def _raise(error: BaseException) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["clir-bench", "languages", "sw"])
    assert main() == 0
    assert "Swahili" in capsys.readouterr().out
