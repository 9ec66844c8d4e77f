"""Draws figures for papers and notebooks; needs no display, because it does not use pyplot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from clir_bench.core.display import visible
from clir_bench.errors import UsageError
from clir_bench.results.lines import Line, in_order, lines_of, task_title
from clir_bench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "low": "#D55E00", "mid": "#009E73", "high": "#0072B2", "unknown": "#767676", None: "#333333",
}  # fmt: skip
"""From Okabe and Ito's palette, which people with any colour vision can distinguish."""
GUIDE = "#666666"
_TITLE_WIDTH = 68
"""Characters of a title that fit above the narrowest figure."""
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GUIDE,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "clir-bench",
}
_ROW_INCHES, _GAP_ROWS = 0.22, 1.0


@dataclass(frozen=True)
class Mark:
    """One mean with its interval.

    Attributes:
        full: Draw it full; else hollow.
    """

    line: Line
    mean: float
    interval: tuple[float, float]
    full: bool = True


@dataclass(frozen=True)
class Panel:
    """One set of axes: one row per mean, grouped by tier."""

    titles: Sequence[str]
    x_label: str
    marks: Sequence[Mark]

    @property
    def n_rows(self) -> float:
        """Its height, in rows."""
        groups = {(mark.line.pool, mark.line.tier) for mark in self.marks}
        return len(self.marks) + _GAP_ROWS * len(groups)


@contextmanager
def drawing() -> Iterator[type[Figure]]:
    """Yield `Figure`, in this package's style.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            'plots need matplotlib, which is not installed: pip install "clir-bench[plot]"'
        ) from None
    with matplotlib.rc_context(_STYLE):
        yield Figure


def result_figure(result: Result, kind: str, measure: str | None) -> Figure:
    """Return a result's means with their intervals.

    Args:
        result: The result.
        kind: "languages", or "tiers" for the means of these.
        measure: The first of the result when None.

    Raises:
        UsageError: There is no such plot or measure, or matplotlib is not installed.
    """
    check_kind(kind, ("languages", "tiers"))
    measure = measure or result.task.measures[0]
    if measure not in result.task.measures:
        has = ", ".join(result.task.measures)
        raise UsageError(f"the result has no measure {measure!r}; it has {has}")
    levels = ("language",) if kind == "languages" else ("tier", "overall")
    marks = [
        Mark(line, scores[measure].mean, scores[measure].interval)
        for line, scores in lines_of(result).items()
        if line.level in levels and measure in scores
    ]
    title = f"{result.system.name} on {task_title(result)}"
    return interval_figure([Panel([title], f"{measure}, 95% interval", marks)], bars=True)


def check_kind(kind: str, kinds: Sequence[str]) -> None:
    """Refuse an unknown kind of plot.

    Raises:
        UsageError: Names the kinds that exist.
    """
    if kind not in kinds:
        remedy = "" if kind != "queries" else (
            "; clir_bench.compare(one, other).plot('queries') shows the differences of queries"
        )  # fmt: skip
        raise UsageError(f"no plot is called {kind!r}; there are {', '.join(kinds)}{remedy}")


def interval_figure(panels: Sequence[Panel], *, bars: bool) -> Figure:
    """Return panels of means below each other, as bars from 0 or as points beside a line at 0."""
    with drawing() as figure_class:
        heights = [panel.n_rows * _ROW_INCHES + 0.8 for panel in panels]
        figure = figure_class(figsize=(6.4, sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axis, panel in zip(axes, panels, strict=True):
            _draw(axis, panel, bars)
        return figure


def _draw(axis: Any, panel: Panel, bars: bool) -> None:
    by_line = {mark.line: mark for mark in panel.marks}
    place, ticks = 0.0, {}
    for (pool, tier), lines in groupby(in_order(by_line), lambda line: (line.pool, line.tier)):
        colour = COLOURS[tier]
        of_tier = "" if any(line.level == "tier" for line in by_line) else tier
        heading = " ".join(filter(None, ["pool" if pool else "", of_tier]))
        axis.annotate(
            heading, (0, place), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", color=colour, weight="bold", va="center",
        )  # fmt: skip
        place += _GAP_ROWS if heading else 0.2
        for line in lines:
            mark = by_line[line]
            error = [[mark.mean - mark.interval[0]], [mark.interval[1] - mark.mean]]
            if bars:
                axis.barh(place, mark.mean, 0.72, color=colour)
            axis.errorbar(
                mark.mean, place, xerr=np.maximum(error, 0), color="black" if bars else colour,
                fmt="none" if bars else "o", capsize=2, elinewidth=1,
                markerfacecolor=colour if mark.full else "white",
            )  # fmt: skip
            ticks[place] = visible(line.name if line.level == "tier" else line.title)
            place += 1
    axis.set_yticks(list(ticks), list(ticks.values()))
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(place - 0.4, -0.6)
    axis.set_xlabel(plain(panel.x_label))
    axis.set_title(plain(*chain.from_iterable(wrap(title, _TITLE_WIDTH) for title in panel.titles)))
    axis.xaxis.grid(True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    if not bars:
        axis.axvline(0, color=GUIDE, linewidth=1)


def plain(*lines: str) -> str:
    """Return texts that matplotlib draws literally, one per line: "$" begins no formula."""
    return "\n".join(visible(line).replace("$", r"\$") for line in lines)


def results_figure(results: Sequence[Result], measure: str | None) -> Figure:
    """Return a heat map of systems on one task, best first.

    Raises:
        UsageError: The results are of no or several tasks, one lacks the measure, or matplotlib is
            not installed.
    """
    tasks = {(result.task.id, result.task.split): result for result in results}
    if len(tasks) != 1:
        raise UsageError(
            f"a heat map shows one task, and these results are of {len(tasks)}: "
            f"{'; '.join(map(', '.join, tasks))}; load the files of one task"
        )
    (first,) = tasks.values()
    measure, title = measure or first.task.measures[0], f"{first.task.title}, {first.task.split}"
    marks = {task_title(result).removeprefix(title) for result in results}
    systems: dict[str, dict[Line, float]] = {}
    for result in results:
        mark = task_title(result).removeprefix(title) if len(marks) > 1 else ""
        if measure not in result.task.measures:
            raise UsageError(f"{result.system.name} has no {measure} on {title}")
        systems[result.system.name + mark] = {
            line: scores[measure].mean
            for line, scores in lines_of(result).items()
            if line.level in ("language", "overall") and measure in scores
        }
    title += marks.pop() if len(marks) == 1 else ""
    order = sorted(
        systems,
        key=lambda name: (
            -max(
                (mean for line, mean in systems[name].items() if line.level == "overall"), default=0
            )
        ),
    )
    return heat_map({name: systems[name] for name in order}, f"{measure}, {title}")


def heat_map(systems: Mapping[str, Mapping[Line, float]], title: str) -> Figure:
    """Return a map of means, a row per system and a column per language, grouped by tier.

    Args:
        systems: The means of each system, by line.
        title: Stands above it.
    """
    lines = in_order({line for means in systems.values() for line in means})
    values = np.array([[means.get(line, np.nan) for line in lines] for means in systems.values()])
    edges = [0]
    for number in range(1, len(lines)):
        if lines[number][::2] != lines[number - 1][::2]:  # pool and tier
            edges.append(number)
    with drawing() as figure_class:
        width = 1.6 + max(0.44 * len(lines), 0.075 * len(title))
        figure = figure_class(figsize=(width, 0.34 * len(systems) + 1), layout="constrained")
        axis = figure.subplots()
        drawn = axis.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                red, green, blue, _ = drawn.cmap(float(np.clip(value, 0, 1)))
                dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                axis.text(
                    column, row, f"{value:.2f}".removeprefix("0"), ha="center", va="center",
                    color="white" if dark else "black",
                )  # fmt: skip
        axis.set_xticks(
            range(len(lines)),
            ["all" if line.level == "overall" else visible(line.name) for line in lines],
        )
        axis.set_yticks(range(len(systems)), [plain(name) for name in systems])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        for start, end in zip(edges, [*edges[1:], len(lines)], strict=True):
            if start:
                axis.axvline(start - 0.5, color="white", linewidth=4)
            tier = lines[start].tier
            heading = " ".join(filter(None, ["pool," if lines[start].pool else "", tier]))
            if tier:
                axis.annotate(
                    heading, ((start + end - 1) / 2, 0), (0, -26), textcoords="offset points",
                    xycoords=("data", "axes fraction"), color=COLOURS[tier], weight="bold",
                    ha="center",
                )  # fmt: skip
        axis.set_title(plain(title), pad=8)
        return figure
