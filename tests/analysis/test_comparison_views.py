"""What a comparison gives to a notebook and a paper."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from comparisons import store

from clir_bench.analysis.comparison.files import comparison_rows
from clir_bench.analysis.comparison.paired import ResamplingSettings
from clir_bench.analysis.comparison.report import Comparison, compare
from clir_bench.analysis.comparison.systems import find_systems
from clir_bench.core.tables import written
from clir_bench.errors import UsageError
from clir_bench.tasks.languages import load_scheme

GENERATOR = np.random.default_rng(0)
LOW = GENERATOR.random(40) / 2
NOISE = GENERATOR.normal(0, 0.001, 40)
SYSTEMS = {
    "alpha": {"sw-en": LOW, "yo-en": LOW, "de-en": LOW + 0.1},
    "beta_%": {"sw-en": LOW + 0.2, "yo-en": LOW - 0.1, "de-en": LOW + 0.1},
    "gamma": {"sw-en": LOW + 0.2 + NOISE, "yo-en": LOW, "de-en": LOW + 0.3},
}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("comparison")
    paths = [store(folder, name, values) for name, values in SYSTEMS.items()]
    settings = ResamplingSettings(n_flips=999, n_resamples=200)
    return compare(find_systems(paths), scheme=load_scheme("joshi"), settings=settings)


def rows_of(text: str) -> dict[str, list[str]]:
    """The cells of a LaTeX table by the name of its row."""
    rows = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if " & " in line]
    return {re.sub(r"\\quad |\\emph\{(.*)\}", r"\1", row[0]): row[1:] for row in rows}


def test_a_frame_has_the_rows_of_the_csv_with_every_digit(comparison: Comparison) -> None:
    frame = comparison.to_frame()
    lines = list(csv.DictReader(io.StringIO(written([comparison_rows(comparison)], "csv"))))
    assert list(frame) == list(lines[0])
    assert len(frame) == len(lines)
    for column in ("difference", "low", "high", "p", "p_holm", "baseline_mean", "system_mean"):
        assert list(frame[column]) == [float(row[column]) for row in lines]


def test_bold_are_the_best_of_a_row_and_what_is_not_told_apart_from_it(
    comparison: Comparison,
) -> None:
    text = comparison.to_latex()
    rows = rows_of(text)
    bold = {name: ["textbf" in cell for cell in cells] for name, cells in rows.items()}
    assert bold["Swahili (sw)"] == [False, True, True]
    assert bold["Yoruba (yo)"] == [True, False, True]
    assert bold["German (de)"] == [False, False, True]
    assert not any(bold["gap, high - low"])
    (task,) = comparison.tasks
    best = [system for system in task.systems if task.ranks[system] == 1]
    names = [
        name for name, is_bold in zip(task.systems, bold["all languages"], strict=True) if is_bold
    ]
    assert names == best


def test_superscripts_say_what_the_comparison_says_of_each_difference(
    comparison: Comparison,
) -> None:
    rows = rows_of(comparison.to_latex(by_pair=True))
    (task,) = comparison.tasks
    signs = {"better": "+", "worse": "-", "larger": "+", "smaller": "-", "not told apart": ""}
    checked = 0
    for row in task.rows:
        cells = rows.get(row.found.target.name)
        if row.found.target.level != "pair" or cells is None:
            continue
        found = re.search(r"\$\^\{(.)\}\$$", cells[task.systems.index(row.system)])
        assert (found[1] if found else "") == signs[row.verdict(comparison.alpha)]
        checked += 1
    assert checked == 6


def test_names_are_escaped_in_latex_and_in_a_notebook(comparison: Comparison) -> None:
    assert r"beta\_\%" in comparison.to_latex()
    assert "beta_%" in comparison._repr_html_()
    assert "beta_%" in repr(comparison)


@pytest.mark.parametrize("kind", ["languages", "tiers", "queries"])
def test_each_plot_has_a_panel_per_system(
    comparison: Comparison, kind: str, tmp_path: Path
) -> None:
    figure = comparison.plot(kind)
    figure.savefig(tmp_path / "figure.svg")
    n_panels = len([axis for axis in figure.axes if axis.get_visible()])
    assert n_panels == (2 * 3 if kind == "queries" else 2)


def test_the_plot_of_queries_shows_each_difference_once_the_largest_first(
    comparison: Comparison,
) -> None:
    figure = comparison.plot("queries")
    axis = next(axis for axis in figure.axes if axis.get_title("left").startswith("Yoruba"))
    up, down = (patch.get_data().values for patch in axis.patches)
    found = np.asarray(up) + np.asarray(down)
    assert np.allclose(found, -0.1)
    assert len(found) == len(LOW)


def test_an_unknown_plot_is_refused(comparison: Comparison) -> None:
    with pytest.raises(UsageError, match="there are languages, tiers, queries"):
        comparison.plot("pie")
