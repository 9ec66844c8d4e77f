"""Quality against disparity: a scatter plot in SVG, with the same numbers as a table below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, get_args

from clir_bench.leaderboard.board import Board, Row, Section, System
from clir_bench.leaderboard.site.labels import Box, place_labels, text_width
from clir_bench.leaderboard.site.markup import Attribute, Markup, element, join, visible
from clir_bench.leaderboard.site.page import name
from clir_bench.leaderboard.site.tables import Cell, Column, TableRow, estimate_cell, fixed, table
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_card import Kind

WIDTH, HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 26, 52
_RADIUS = 5.5
_KINDS: tuple[str, ...] = get_args(Kind)
_MAX_LABEL = 28


class Point(NamedTuple):
    """A system in the plot, in the units of its axes."""

    row: Row
    system: System
    disparity: Estimate
    quality: Estimate


class Axis(NamedTuple):
    """A linear scale: values `low` to `high` on pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def plot(board: Board, section: Section) -> Markup | None:
    """Return the figure, or None where no system is ranked."""
    by_gap = any(row.disparity and row.disparity.gap for row in section.rows)
    points = _points(board, section, by_gap)
    if not points:
        return None
    what = "Gap, high tier minus low tier" if by_gap else "Spread over languages"
    label = f"{section.primary} against {what.lower()} on {section.title}"
    caption = "Systems further up score higher; systems further left serve languages more evenly. "
    caption += "Bars are 95% intervals."
    if not by_gap:
        caption += " Without a low and a high tier there is no gap: disparity here is the "
        caption += "standard deviation over languages."
    drawing = element(
        "div",
        {"class": "scroll", "tabindex": 0, "role": "region", "aria-label": f"Plot: {label}"},
        _drawing(section, points, what),
    )
    return element(
        "figure",
        None,
        element("figcaption", None, caption),
        _kinds(points),
        drawing,
        element(
            "details",
            None,
            element("summary", None, "The plot as a table"),
            _table(section, points, what, label),
        ),
    )


def _points(board: Board, section: Section, by_gap: bool) -> list[Point]:
    points = []
    for row in section.rows:
        quality = row.overall.get(section.primary)
        if row.disparity is None or quality is None:
            continue
        disparity = row.disparity.gap if by_gap else row.disparity.spread
        if disparity is not None:
            points.append(Point(row, board.systems[row.system], disparity, quality))
    return points


def axis(estimates: Sequence[Estimate], start: float, end: float) -> Axis:
    """Return a scale with round ticks that holds every interval, with some room."""
    low = min(min(estimate.low, estimate.mean) for estimate in estimates)
    high = max(max(estimate.high, estimate.mean) for estimate in estimates)
    # A single point still needs an axis of some length.
    room = max((high - low) * 0.08, 0.01)
    low, high = low - room, high + room
    size = _tick(high - low)
    first, last = math.floor(low / size), math.ceil(high / size)
    ticks = tuple(number * size for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def _tick(length: float, n_wanted: int = 6) -> float:
    """Return 1, 2 or 5 times a power of ten, about `n_wanted` to a length."""
    rough = length / n_wanted
    power: float = 10.0 ** math.floor(math.log10(rough))
    return power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(power * factor / rough)))


def _drawing(section: Section, points: Sequence[Point], what: str) -> Markup:
    across = axis([point.disparity for point in points], _LEFT, WIDTH - _RIGHT)
    upward = axis([point.quality for point in points], HEIGHT - _BOTTOM, _TOP)
    ids = (f"{section.id}-plot-title", f"{section.id}-plot-text")
    return element(
        "svg",
        {
            "class": "plot",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-labelledby": " ".join(ids),
        },
        element("title", {"id": ids[0]}, f"{section.primary} against {what.lower()}"),
        element("desc", {"id": ids[1]}, _description(section, points)),
        _axes(across, upward, what, f"{section.primary}, all languages"),
        _marks(points, across, upward),
    )


def _description(section: Section, points: Sequence[Point]) -> str:
    best = max(points, key=lambda point: point.quality.mean)
    even = min(points, key=lambda point: point.disparity.mean)
    return (
        f"{len(points)} systems. Highest {section.primary}: {best.system.name}, "
        f"{fixed(best.quality.mean)}. Least disparity: {even.system.name}, "
        f"{fixed(even.disparity.mean)}. All values are in the table below the plot."
    )


def _axes(across: Axis, upward: Axis, what: str, quality: str) -> Markup:
    parts: list[Markup] = []
    for tick in across.ticks:
        x = across.at(tick)
        parts += [
            _line("grid", x, _TOP, x, HEIGHT - _BOTTOM),
            _text(x, HEIGHT - _BOTTOM + 18, _tick_text(tick, across), anchor="middle"),
        ]
    for tick in upward.ticks:
        y = upward.at(tick)
        parts += [
            _line("grid", _LEFT, y, WIDTH - _RIGHT, y),
            _text(_LEFT - 8, y + 4, _tick_text(tick, upward), anchor="end"),
        ]
    if across.low < 0 < across.high:
        parts.append(_line("axis", across.at(0), _TOP, across.at(0), HEIGHT - _BOTTOM))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts += [
        _text(middle, HEIGHT - 10, f"{what} →", anchor="middle"),
        _text(_LEFT - 8, 14, f"↑ {quality}", anchor="start"),
    ]
    return join(parts)


def _tick_text(tick: float, scale: Axis) -> str:
    size = scale.ticks[1] - scale.ticks[0]
    return fixed(tick, max(1, -math.floor(math.log10(size) + 1e-9)))


def _marks(points: Sequence[Point], across: Axis, upward: Axis) -> Markup:
    centres = [(across.at(p.disparity.mean), upward.at(p.quality.mean)) for p in points]
    texts = [_short(visible(point.system.name)) for point in points]
    room = Box(_LEFT + 2, _TOP, WIDTH - 2, HEIGHT - _BOTTOM)
    spots = place_labels(centres, [text_width(text) for text in texts], room)
    groups = []
    for point, (x, y), text, spot in zip(points, centres, texts, spots, strict=True):
        data: dict[str, Attribute] = {
            "class": "point",
            "data-kind": point.system.kind,
            "data-name": point.system.name,
        }
        colour = f"kind-{_KINDS.index(point.system.kind)}"
        left, right = across.at(point.disparity.low), across.at(point.disparity.high)
        lower, upper = upward.at(point.quality.low), upward.at(point.quality.high)
        bars = [
            _line(f"bar {colour}", x, lower, x, upper),
            _line(f"bar {colour}", left, y, right, y),
        ]
        label = None if spot is None else _text(*spot, text, css="label")
        groups.append(
            element(
                "g",
                data,
                element("title", None, _tooltip(point)),
                bars,
                shape(point.system.kind, x, y),
                label,
            )
        )
    return join(groups)


def _tooltip(point: Point) -> str:
    return (
        f"{point.system.name}: quality {fixed(point.quality.mean)}, "
        f"disparity {fixed(point.disparity.mean)}"
    )


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"


def shape(kind: str, x: float, y: float) -> Markup:
    """Return the mark of a kind of system: a form of its own and a colour of its own."""
    number, r = _KINDS.index(kind), _RADIUS
    css = f"kind-{number}"
    if number == 0:
        return element("circle", {"class": css, "cx": _px(x), "cy": _px(y), "r": _px(r)})
    corners = {
        1: ((0, -1.25), (1.15, 0.85), (-1.15, 0.85)),
        2: ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        3: ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        4: ((0, 1.25), (1.15, -0.85), (-1.15, -0.85)),
    }[number]
    spots = " ".join(f"{_px(x + dx * r)},{_px(y + dy * r)}" for dx, dy in corners)
    return element("polygon", {"class": css, "points": spots})


def _kinds(points: Sequence[Point]) -> Markup:
    """Return the legend of the kinds in the plot."""
    present = sorted({point.system.kind for point in points}, key=_KINDS.index)
    items = []
    for kind in present:
        mark = element(
            "svg",
            {"class": "swatch", "viewBox": "0 0 16 16", "aria-hidden": "true"},
            shape(kind, 8, 8),
        )
        items.append(element("li", None, mark, kind))
    return element("ul", {"class": "legend", "aria-label": "Marks in the plot"}, items)


def _table(section: Section, points: Sequence[Point], what: str, label: str) -> Markup:
    columns = [
        Column("System", "text", css="head"),
        Column("Kind", "text"),
        Column(f"{section.primary}, all", "number", sorted="descending", css="number"),
        Column(what, "number", "ascending", css="number"),
    ]
    rows = []
    for point in points:
        cells = [
            Cell(name(point.system.name), point.system.name.casefold(), head=True),
            Cell(point.system.kind, point.system.kind),
            estimate_cell(point.quality),
            estimate_cell(point.disparity),
        ]
        data = {"data-kind": point.system.kind, "data-name": point.system.name}
        rows.append(TableRow(cells, dict(data)))
    return table(columns, rows, caption="What the plot shows.", label=f"Table: {label}")


def _line(css: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    places = {"x1": _px(x1), "y1": _px(y1), "x2": _px(x2), "y2": _px(y2)}
    return element("line", {"class": css, **places})


def _text(x: float, y: float, text: str, *, anchor: str = "start", css: str = "") -> Markup:
    places: dict[str, Attribute] = {"x": _px(x), "y": _px(y), "text-anchor": anchor}
    return element("text", {**places, "class": css or None}, text)


def _px(value: float) -> str:
    """Return a pixel with one decimal, so that the bytes do not hang on the last bit."""
    return fixed(value, 1)
