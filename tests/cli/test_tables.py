"""What the commands print fits a terminal, and every format of it can be read back."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from comparisons import store

from clir_bench.cli import commands, main, output
from clir_bench.core.tables import cells
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, to_json, write_result
from clir_bench.tasks.languages import all_languages

BOARDS = Path(__file__).parents[2] / "leaderboards" / "results"
LONG = "organisation-with-a-long-name/multilingual-sentence-encoder-large-v2"
CODES = [language.code for language in all_languages()][:40]
WIDTHS = [80, 100, 200]


def at(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    monkeypatch.setattr(output, "width", lambda: width)


def printed(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two systems with long names that begin alike, in forty languages; one in bfloat16."""
    generator = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("two")
    paths = []
    for name in (f"{LONG}-one", f"{LONG}-two"):
        values = {f"{code}-en": generator.random(20) for code in CODES if code != "en"}
        path = store(folder / name[-3:], name, values, official=False, unofficial=("m " * 90,))
        paths.append(path)
    result = read_result(paths[0])
    assert isinstance(result, Result)
    system = result.system.model_copy(update={"dtype": "bfloat16", "weights_sha256": "0" * 64})
    write_result(paths[0], result.model_copy(update={"system": system}))
    return paths


def all_commands(two: list[Path]) -> list[list[object]]:
    return [
        ["show", *two, "--tiers", "joshi"],
        ["show", *two, "--by-pair", "--tiers", "joshi"],
        ["show", BOARDS / "optical-pooled/tatoeba/test.json", "--by-pair"],
        ["show", BOARDS / "optical-pooled/xquad-r/validation.json"],
        ["compare", *two, "--flips", "200", "--resamples", "100"],
        ["compare", *two, "--flips", "200", "--resamples", "100", "--by-pair"],
        ["disparity", *two, "--no-pool"],
        ["tasks"],
        ["encoders"],
        ["languages"],
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_command_prints_a_line_wider_than_the_terminal(
    width: int, two: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(monkeypatch, width)
    for arguments in all_commands(two):
        lines = printed(capsys, *arguments).split("\n")
        assert max(map(cells, lines)) <= width, arguments


@pytest.mark.parametrize("width", WIDTHS)
def test_every_language_has_one_row_with_its_score(
    width: int, two: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {}
    at(monkeypatch, None)
    for line in printed(capsys, "show", two[0], "--tiers", "joshi").splitlines():
        for code in CODES:
            if f" {code} " in line and "[" in line:
                values[code] = line.split("[")[0].split()[-1]
    assert len(values) >= len(CODES) - 1
    at(monkeypatch, width)
    lines = printed(capsys, "show", two[0], "--tiers", "joshi").splitlines()
    for code, value in values.items():
        (row,) = [line for line in lines if f" {code} " in f" {line}" and f" {value}" in line]
        assert row
    for arguments in all_commands(two)[4:6]:
        text = printed(capsys, *arguments)
        assert "difference" in text and "verdict" in text


def test_a_pipe_gets_all_columns_and_says_nothing_of_what_is_left_out(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in all_commands(two):
        assert "left out to fit" not in printed(capsys, *arguments)
    heading = printed(capsys, *all_commands(two)[4])
    assert "effect  won  tied  lost" in heading
    assert f"{LONG}-one  {LONG}-two" in heading


def test_a_terminal_is_asked_for_its_width(two: list[Path]) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "clir_bench", "tasks"],
        stdout=theirs, env={**os.environ, "COLUMNS": "90"},
    )  # fmt: skip
    os.close(theirs)
    text = b""
    while True:
        try:
            text += (more := os.read(ours, 65536))
        except OSError:  # how Linux ends a terminal with no writer left
            break
        if not more:
            break
    os.close(ours)
    assert done.wait() == 0
    lines = text.decode().splitlines()
    assert max(map(cells, lines)) <= 90
    assert any("left out to fit 90 columns" in line for line in lines)


def test_compare_names_both_systems_where_their_names_fit_and_where_they_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"sw-en": np.arange(9) / 9, "de-en": np.arange(9) / 9}
    paths = [store(tmp_path / name, name, values) for name in ("alpha", "beta")]
    text = printed(capsys, "compare", *paths)
    assert "beta against alpha" in text
    assert "queries   alpha    beta  difference" in text
    long = [store(tmp_path / end, LONG + end, values) for end in ("-one", "-two")]
    at(monkeypatch, 80)
    text = printed(capsys, "compare", *long)
    assert "organ...-one" in text and "organ...-two" in text


def test_arithmetic_other_than_float32_stands_in_the_head(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = f"{LONG}-one", f"{LONG}-two"
    assert f"{one} (bfloat16) on Made up, test" in printed(capsys, "show", two[0])
    assert f"{other} on Made up, test" in printed(capsys, "show", two[1])
    text = printed(capsys, "compare", *two, "--flips", "200")
    assert f"{other} against {one} (bfloat16)" in text
    assert f"\n{one} ran in bfloat16\n" in printed(capsys, "disparity", *two, "--no-pool")


# Formats


def test_csv_and_json_of_a_result_have_its_numbers_as_they_are_stored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = BOARDS / "optical-pooled/xquad-r/validation.json"
    result = read_result(path)
    assert isinstance(result, Result)
    assert printed(capsys, "show", path, "--format", "json") == f"{to_json(result)}\n"
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "show", path, "--format", "csv"))))
    for name, pair in result.pairs.items():
        for measure, score in pair.scores.items():
            (row,) = [r for r in rows if (r["name"], r["measure"]) == (name, measure)]
            assert (float(row["mean"]), float(row["low"])) == (score.mean, score.interval[0])
            assert row["part"] == ("pool" if name.endswith("-mul") else "pairs")
    overall = [r for r in rows if r["level"] == "overall" and r["part"] == "pairs"]
    assert {r["measure"]: float(r["mean"]) for r in overall} == {
        measure: score.mean for measure, score in result.overall.items()
    }


def test_csv_of_several_results_has_one_heading(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "show", *two, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["system"] for row in rows} == {f"{LONG}-one", f"{LONG}-two"}
    assert {row["dtype"] for row in rows} == {"bfloat16", "float32"}


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "latex"])
def test_every_table_has_every_format_and_leaves_nothing_out(
    form: str, two: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(monkeypatch, 80)
    for arguments in all_commands(two):
        text = printed(capsys, *arguments, "--format", form)
        assert "left out to fit" not in text
        if form == "json":
            assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
        elif form == "csv":
            rows = list(csv.reader(io.StringIO(text)))
            assert len({len(row) for row in rows}) == 1 and len(rows) > 1
        elif form == "markdown":
            check_markdown(text)
        else:
            assert text.count("\\begin{tabular}") == text.count("\\bottomrule") > 0


def check_markdown(text: str) -> None:
    """Check that each table's rows have as many cells as its heading."""
    lengths: set[int] = set()
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lengths.add(line.replace("\\|", "").count("|"))
        elif lengths:
            assert len(lengths) == 1
            lengths = set()


def test_lists_as_json_are_an_object_per_line_with_numbers_as_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (swahili,) = map(
        json.loads, printed(capsys, "languages", "sw", "--format", "json").splitlines()
    )
    assert (swahili["code"], swahili["joshi_class"], swahili["cc100_gib"]) == ("sw", 2, 1.6)
    models = [
        json.loads(line) for line in printed(capsys, "encoders", "--format", "json").splitlines()
    ]
    (labse,) = [model for model in models if model["model"] == "labse"]
    assert isinstance(labse["n_parameters"], int)


def test_an_option_of_a_format_is_that_format_and_no_other_goes_with_it(
    two: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, "show", two[0], "--json") == printed(
        capsys, "show", two[0], "--format", "json"
    )
    assert main(["show", str(two[0]), "--json", "--format", "csv"]) == 2
    assert "csv, json are several formats; choose one" in capsys.readouterr().err


# Help and characters


def _helps(command: click.Command, name: str) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [tuple(name.split())]
    found = [tuple(name.split())]
    context = click.Context(command)
    for part in command.list_commands(context):
        inner = command.get_command(context, part)
        assert inner is not None
        found += _helps(inner, f"{name} {part}")
    return found


def test_every_help_text_fits_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for path in _helps(commands.cli, ""):
        for line in printed(capsys, *path, "--help").splitlines():
            assert len(line) <= 80, (path, line)


@pytest.mark.parametrize("command", [["languages", "nb"], ["tasks"], ["encoders"]])
def test_a_character_that_the_encoding_lacks_is_escaped(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys; from clir_bench.cli import main; sys.exit(main(sys.argv[1:]))", *command],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    if command[0] == "languages":
        assert rb"Norwegian Bokm\xe5l" in done.stdout


def test_nothing_in_the_command_line_prints_but_echo() -> None:
    for path in sorted(Path(commands.__file__).parent.glob("*.py")):
        if path.name != "output.py":
            assert "click.echo(" not in path.read_text(encoding="utf-8"), path
