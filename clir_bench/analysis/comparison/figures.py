"""Draws comparisons for notebooks: figures, and tables in HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clir_bench.analysis.comparison.groups import columns_of
from clir_bench.analysis.comparison.rows import ComparisonRow, TaskComparison
from clir_bench.core.display import fixed
from clir_bench.results.lines import in_order
from clir_bench.results.notebook import html_table, tier_rows
from clir_bench.results.plots import (
    COLOURS,
    Mark,
    Panel,
    check_kind,
    drawing,
    interval_figure,
    plain,
)
from clir_bench.types import LanguagePair

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS = ("languages", "tiers", "queries")
_COLUMNS, _PANEL_INCHES = 4, 1.7


def comparison_figure(tasks: Sequence[TaskComparison], kind: str, alpha: float) -> Figure:
    """Return the figure of a comparison, see `Comparison.plot`."""
    check_kind(kind, _KINDS)
    by_system = [(task, system) for task in tasks for system in task.systems[1:]]
    if kind == "queries":
        return _query_figure(by_system, alpha)
    levels = ("language",) if kind == "languages" else ("tier", "overall", "gap")
    panels = [
        Panel(
            _titles(task, system),
            f"difference of {task.measure}, 95% interval; hollow: not told apart",
            [
                Mark(
                    row.line,
                    row.found.difference.mean,
                    (row.found.difference.low, row.found.difference.high),
                    full=row.p_holm <= alpha,
                )
                for row in task.rows
                if row.system == system and row.found.target.level in levels
            ],
        )
        for task, system in by_system
    ]
    return interval_figure(panels, bars=False)


def _titles(task: TaskComparison, system: str) -> list[str]:
    return [f"{system} minus {task.baseline}", f"{task.title}, {task.split}"]


def _query_figure(by_system: Sequence[tuple[TaskComparison, str]], alpha: float) -> Figure:
    """Draw, for every language, the differences of its queries from the largest to the smallest."""
    with drawing() as figure_class:
        rows = [_languages(task, system) for task, system in by_system]
        heights = [math.ceil(len(own) / _COLUMNS) * _PANEL_INCHES + 0.6 for own in rows]
        figure = figure_class(figsize=(1.9 * _COLUMNS, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
        for part, (task, system), own in zip(parts, by_system, rows, strict=True):
            part.suptitle(plain(*_titles(task, system)), fontsize=10, x=0.01, ha="left")
            part.supylabel(f"difference of {task.measure}", fontsize=9)
            part.supxlabel("queries, by their difference", fontsize=9)
            axes = part.subplots(
                math.ceil(len(own) / _COLUMNS), _COLUMNS, sharey=True, squeeze=False
            ).ravel()
            for axis in axes[len(own) :]:
                axis.set_visible(False)
            for axis, row in zip(axes, own, strict=False):
                _draw_queries(axis, row, _differences(task, row), row.verdict(alpha))
        return figure


def _languages(task: TaskComparison, system: str) -> list[ComparisonRow]:
    """Return a system's rows of languages, in the order of tables."""
    own = {
        row.line: row
        for row in task.rows
        if row.system == system and row.found.target.level == "language"
    }
    return [own[line] for line in in_order(own)]


def _differences(task: TaskComparison, row: ComparisonRow) -> Any:
    """Return the differences of the queries of a language, the largest first."""
    pairs = [LanguagePair.parse(name) for name in row.found.target.members]
    mine, theirs = (
        columns_of({pair: task.scores[name][pair] for pair in pairs}, task.measure)
        for name in (task.baseline, row.system)
    )
    return np.sort(np.concatenate([theirs[pair] - mine[pair] for pair in pairs]))[::-1]


def _draw_queries(axis: Any, row: ComparisonRow, differences: Any, verdict: str) -> None:
    places = np.arange(len(differences) + 1) / len(differences)
    for keep, colour in ((differences > 0, "#0072B2"), (differences < 0, "#D55E00")):
        axis.stairs(np.where(keep, differences, 0), places, fill=True, color=colour)
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set_xlim(0, 1)
    axis.set_xticks([])
    axis.set_title(
        f"{row.line.title}\n{fixed(row.found.difference.mean, 3, sign=True)}, {verdict}",
        fontsize=8,
        color=COLOURS[row.line.tier],
    )


def comparison_html(task: TaskComparison, alpha: float) -> str:
    """Return a table per system: a row per language, its difference, and how sure it is."""
    tables = []
    for system in task.systems[1:]:
        cells = {}
        for row in task.rows:
            if row.system == system and row.found.target.level != "pair":
                found, shown = row.found, row.found.difference
                cells[row.line] = [
                    fixed(found.baseline),
                    fixed(found.system),
                    f"{fixed(shown.mean, sign=True)} "
                    f"[{fixed(shown.low, 3, sign=True)}, {fixed(shown.high, 3, sign=True)}]",
                    f"{row.p_holm:.4f}" if row.p_holm >= 0.00005 else f"{row.p_holm:.1e}",
                    row.verdict(alpha),
                ]
        header = ["language", task.baseline, system, "difference [95% interval]", "p Holm", ""]
        title = f"{system} against {task.baseline}: {task.measure} on {task.title}, {task.split}"
        tables.append(html_table(title, header, tier_rows(cells, cells), task.notes))
    return "\n".join(tables)
