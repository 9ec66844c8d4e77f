"""From bitext to tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clir_bench.cli.align import command
from clir_bench.errors import (
    ClirBenchError,
    DataError,
    MissingDataError,
    UnknownNameError,
    UsageError,
)
from clir_bench.systems.psq.tables import directions, load_table

WORDS = {
    "water": "maji",
    "house": "nyumba",
    "child": "mtoto",
    "school": "shule",
    "road": "barabara",
}


def bitext(folder: Path, n: int = 60) -> Path:
    words = list(WORDS.items())
    lines = []
    for number in range(n):
        (a, x), (b, y) = words[number % 5], words[(number // 5 + 1 + number) % 5]
        lines.append(f"The {a} and the {b} number {number}\tHii {x} pamoja {y} namba {number}")
    path = folder / "pairs.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def align(*arguments: str) -> str:
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_bitext_becomes_tables_of_both_directions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clir_bench.systems.psq.build.evaluation_tasks", list)
    shown = align("--bitext", f"sw={bitext(tmp_path)}", "--output", str(tmp_path / "tables"))
    assert directions(tmp_path / "tables") == [("en", "sw"), ("sw", "en")]
    table = load_table("sw", "en", tmp_path / "tables")
    assert max(table["maji"].terms, key=lambda name: table["maji"].terms[name]) == "water"
    back = load_table("en", "sw", tmp_path / "tables")
    assert max(back["hous"].terms, key=lambda name: back["hous"].terms[name]) == "nyumba"
    assert not any(term.isdigit() for term in table)
    assert "60 pairs" in shown
    assert f"--model psq:{tmp_path / 'tables'}" in shown


def test_lexicon_adds_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clir_bench.systems.psq.build.evaluation_tasks", list)
    words = tmp_path / "words.tsv"
    words.write_text("lion (animal)\tsimba\n", encoding="utf-8")
    output = tmp_path / "tables"
    align(
        *("--bitext", f"sw={bitext(tmp_path)}", "--lexicon", f"sw={words}", "--output", str(output))
    )
    table = load_table("sw", "en", output)
    assert set(table["simba"].terms) == {"lion"}
    assert [(source.name, source.pairs) for source in table.header.sources] == [
        ("sw-pairs", 60),
        ("sw-words", 1),
    ]


def test_one_line_of_bitext_makes_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clir_bench.systems.psq.build.evaluation_tasks", list)
    align("--bitext", f"sw={bitext(tmp_path, 1)}", "--output", str(tmp_path / "tables"))
    assert len(load_table("sw", "en", tmp_path / "tables")) > 0


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["--bitext", "sw"], UsageError, "expected CODE=FILE"),
        (["--lexicon", "sw"], UsageError, "--lexicon 'sw': expected CODE=FILE"),
        ([], UsageError, "bitext"),
        (["--bitext", "sw=none.tsv"], MissingDataError, "no file matches"),
        (["--bitext", "sw={pairs}", "-l", "yo"], UnknownNameError, "There are sw"),
        (["--bitext", "sw={copies}"], DataError, "no pair of the bitext passes"),
        (["--bitext", "sw={empty}"], MissingDataError, "no pair of"),
    ],
)
def test_wrong_input_names_the_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[ClirBenchError],
    says: str,
) -> None:
    monkeypatch.setattr("clir_bench.systems.psq.build.evaluation_tasks", list)
    (tmp_path / "copies.tsv").write_text("same\tsame\n", encoding="utf-8")
    (tmp_path / "empty.tsv").write_text("", encoding="utf-8")
    places = {"copies": tmp_path / "copies.tsv", "empty": tmp_path / "empty.tsv"}
    filled = [one.format(pairs=bitext(tmp_path), **places) for one in arguments]
    with pytest.raises(error, match=says):
        align(*filled, "--output", str(tmp_path / "tables"))
    assert not (tmp_path / "tables").exists()
