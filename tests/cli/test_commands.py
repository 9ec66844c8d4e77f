"""The command line without `run`: help, lists, stored results, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from folders import Folder, clir, make_folder
from processes import python

from clir_bench import __version__
from clir_bench.cli import commands

COMMANDS = list(commands.COMMANDS)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


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
