"""The documentation's tables of measured figures are those of the figures."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MEASURED = sorted((BENCHMARKS / "measured").glob("*.csv"))


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType, ModuleType]:
    """Return `tables`, `records` and `plots` of the folder of benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("tables", "records", "plots")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    tables, records, plots = map(importlib.import_module, names)
    return tables, records, plots


def test_tables_in_the_documentation_are_made_of_the_measured_figures(
    modules: tuple[ModuleType, ModuleType, ModuleType],
) -> None:
    tables, _, _ = modules
    for path in tables.DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        assert tables.with_tables(text) == text, f"{path.name}: run benchmarks/plots.py"


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_measured_figures_name_the_machine_and_are_shown_as_table_and_picture(
    path: Path, modules: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    _, records, plots = modules
    assert records.read(path).about["machine"]
    assert path.stem in plots.DRAWN
    text = (plots.ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert f"(figures/{path.stem}.svg)" in text
    assert f"<!-- measured: {path.stem} -->" in text
    picture = (plots.FIGURES / f"{path.stem}.svg").read_text(encoding="utf-8")
    assert not re.search(r"<dc:date>|/tmp/|/home/|/root/", picture)


def test_figures_come_back_as_they_were_written(
    tmp_path: Path, modules: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    _, records, _ = modules
    path = tmp_path / "x.csv"
    rows = [{"way": "a, b", "seconds": 1234.567, "n": 7}, {"way": "c", "seconds": 0.012345, "n": 8}]
    records.write(path, rows, {"machine": "one: two", "threads": "1"})
    read = records.read(path)
    assert read.about == {"machine": "one: two", "threads": "1"}
    assert read.rows == [
        {"way": "a, b", "seconds": "1235", "n": "7"},
        {"way": "c", "seconds": "0.01235", "n": "8"},
    ]
    assert read.where(n=8) == read.rows[1:]
    assert read.different("way") == ["a, b", "c"]
