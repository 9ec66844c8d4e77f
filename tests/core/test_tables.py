"""Tables: how one is made to fit, and that every format says the same."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_bench.core.tables import Column, Fold, Table, cells, cut, folded, written

ROWS: list[list[Any]] = [["sw", "Swahili", 1190, 0.123456789], ["nb", "Norsk | bokmål", 7, None]]


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f} [0.1, 0.2]"


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def table(rows: list[list[Any]] = ROWS, **more: Any) -> Table:
    columns = [
        Column("code"),
        Column("name", drop=1),
        Column("queries", right=True, drop=2, key="n_queries"),
        Column("score [95%]", _rounded, right=True, key="score",
               folds=(Fold(3, "score", _mean, "intervals"),)),
    ]  # fmt: skip
    return Table(columns=columns, rows=rows, **more)


def shown(width: int | None, **more: Any) -> list[str]:
    return written([table(**more)], "table", width).splitlines()


def test_a_pipe_gets_every_column() -> None:
    assert shown(None) == [
        "code  name            queries        score [95%]",
        "----  --------------  -------  -----------------",
        "sw    Swahili           1,190  0.1235 [0.1, 0.2]",
        "nb    Norsk | bokmål        7                  -",
    ]


def test_columns_go_in_their_order_and_one_line_says_which() -> None:
    assert shown(40)[0] == "code  queries        score [95%]"
    assert shown(40)[-2:] == [
        "left out to fit 40 columns: name; all",
        "  with --format csv or a wider terminal",
    ]


def test_a_column_comes_back_when_a_later_step_makes_room() -> None:
    # At 21 the interval has to go; then there is room for the queries again, not for the names.
    assert shown(21)[0] == "code  queries   score"
    assert "name" not in shown(21)[0]


def test_what_a_column_loses_when_it_folds_is_named() -> None:
    assert "intervals" in written([table()], "table", 21)


@settings(deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5),
    st.sampled_from([40, 80, 100, 200]),
)
def test_no_line_is_wider_than_the_terminal(names: list[str], width: int) -> None:
    rows = [[name, name * 3, 5, 0.5] for name in names]
    text = written([table(rows, title="t " * 90, notes=("n" * 300,))], "table", width)
    assert max(map(cells, text.split("\n"))) <= width
    # A table has one line per row, whatever is in the cells.
    assert sum("0.5000" in line for line in text.split("\n")) == len(names)


def test_wide_and_combining_characters_are_counted_in_cells() -> None:
    lines = shown(None, rows=[["x", name, 1, 0.5] for name in ("中文", "e\u0301", "한국")])
    assert len({cells(line) for line in lines}) == 1


def test_a_cut_name_keeps_both_ends_and_splits_no_wide_character() -> None:
    assert cut("multilingual-e5-base", 12) == "multi...base"
    assert cells(cut("中" * 30, 12)) <= 12
    assert cut("short", 12) == "short"


def test_long_lines_fold_at_spaces_and_long_words_break() -> None:
    assert folded("one two three", 8) == "one two\n  three"
    assert all(len(line) <= 8 for line in folded("x" * 30, 8).split("\n"))
    assert folded("one two three", None) == "one two three"


def test_what_steers_a_terminal_is_escaped_in_every_cell_and_line() -> None:
    hostile = "a\x1b[2J\u202e\nb"
    made = table([[hostile, hostile, 1, 0.5]], title=hostile, about=(hostile,), notes=(hostile,))
    for form in ("table", "markdown", "latex"):
        text = written([made], form)
        assert "\x1b" not in text and "\u202e" not in text
        assert not [line for line in text.splitlines() if line.startswith("b")]


def test_csv_has_every_number_in_full_and_parses_back() -> None:
    lines = list(csv.DictReader(written([table(title="T")], "csv").splitlines()))
    assert list(lines[0]) == ["code", "name", "n_queries", "score"]
    assert list(lines[0].values()) == ["sw", "Swahili", "1190", "0.123456789"]
    assert lines[1]["name"] == "Norsk | bokmål" and lines[1]["score"] == ""


def test_json_is_an_object_per_row() -> None:
    found = [json.loads(line) for line in written([table()], "json").splitlines()]
    assert found[0] == {"code": "sw", "name": "Swahili", "n_queries": 1190, "score": 0.123456789}
    assert found[1]["score"] is None


def test_markdown_has_as_many_cells_in_every_row_whatever_the_names() -> None:
    text = written([table(title="a|b", notes=(("x", "- y"),))], "markdown")
    assert text.startswith("## a\\|b\n")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {5}
    assert lines[1] == "| --- | --- | ---: | ---: |"
    assert text.endswith("- x\n- y")


def test_latex_is_booktabs_and_escaped() -> None:
    text = written([table([["a_b", "50% & {x}", 1, 0.5]], title="T")], "latex")
    assert text.startswith("% T\n")
    assert "\\toprule" in text and "\\bottomrule" in text
    assert "a\\_b" in text and "50\\% \\& \\{x\\}" in text


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "latex", "json"])
def test_a_table_without_rows_is_written(form: Any) -> None:
    assert "Traceback" not in written([table([])], form, 80)
