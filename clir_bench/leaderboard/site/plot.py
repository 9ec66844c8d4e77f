"""Computes the scatter plot of quality against disparity; a template draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, get_args

from clir_bench.core.display import fixed
from clir_bench.leaderboard.board import BoardRow, BoardSystem, Section
from clir_bench.leaderboard.escaping import spelled_out
from clir_bench.leaderboard.site.labels import Box, place_labels, text_width
from clir_bench.leaderboard.site.listing import Listing
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_card import Kind

_SIZES = {"wide": (640, 420, 28), "narrow": (360, 400, 20)}
"""Width, height and longest label of the drawing on a screen and on a phone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 26, 52
_RADIUS = 5.5
_KINDS: tuple[str, ...] = get_args(Kind)
_CORNERS = (
    (),  # a circle
    ((0, -1.25), (1.15, 0.85), (-1.15, 0.85)),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    ((0, 1.25), (1.15, -0.85), (-1.15, -0.85)),
)


class Point(NamedTuple):
    """A system in the plot, in the units of its axes."""

    row: BoardRow
    system: BoardSystem
    disparity: Estimate
    quality: Estimate


class Shape(NamedTuple):
    """A mark in pixels: every kind of system has its own form and colour."""

    css: str
    x: float
    y: float
    radius: float
    corners: tuple[tuple[float, float], ...]


class Label(NamedTuple):
    """A system's name where it is free."""

    x: float
    y: float
    text: str


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

    def text(self, tick: float) -> str:
        """Return a tick's number, with as many decimals as the step between ticks needs."""
        size = self.ticks[1] - self.ticks[0]
        return fixed(tick, max(1, -math.floor(math.log10(size) + 1e-9)))


class Drawing(NamedTuple):
    """The plot at one size.

    Attributes:
        frame: What the axes enclose.
        marks: Every system's point with its mark, and its label where there is room for one.
    """

    name: str
    id: str
    width: int
    height: int
    frame: Box
    across: Axis
    upward: Axis
    marks: list[tuple[Point, Shape, Label | None]]


class Plot(NamedTuple):
    """The figure.

    Attributes:
        what: What the horizontal axis shows.
        upward: What the vertical axis shows.
        by_gap: Whether disparity is the gap between tiers rather than the spread.
    """

    label: str
    title: str
    description: str
    what: str
    upward: str
    by_gap: bool
    kinds: list[tuple[str, Shape]]
    points: list[Point]
    drawings: list[Drawing]


def plot(one: Listing) -> Plot | None:
    """Return the figure of a section, or None where no system is ranked."""
    section = one.section
    by_gap = any(row.disparity and row.disparity.gap for row in section.rows)
    points = []
    for row in section.rows:
        quality = row.overall.get(section.primary)
        if row.disparity is not None and quality is not None:
            disparity = row.disparity.gap if by_gap else row.disparity.spread
            if disparity is not None:
                points.append(Point(row, one.board.systems[row.system], disparity, quality))
    if not points:
        return None
    what = "Gap, high tier minus low tier" if by_gap else "Spread over languages"
    kinds = sorted({point.system.kind for point in points}, key=_KINDS.index)
    title = f"{section.primary} against {what.lower()}"
    return Plot(
        label=f"{title} on {section.title}",
        title=title,
        description=_description(section, points),
        what=what,
        upward=f"{section.primary}, all languages",
        by_gap=by_gap,
        kinds=[(kind, shape(kind, 8, 8)) for kind in kinds],
        points=points,
        drawings=[_drawing(name, section.id, points) for name in _SIZES],
    )


def _drawing(name: str, section: str, points: Sequence[Point]) -> Drawing:
    width, height, longest = _SIZES[name]
    frame = Box(_LEFT, _TOP, width - _RIGHT, height - _BOTTOM)
    across = axis([point.disparity for point in points], frame.left, frame.right, width // 100)
    upward = axis([point.quality for point in points], frame.bottom, frame.top)
    centres = [(across.at(p.disparity.mean), upward.at(p.quality.mean)) for p in points]
    texts = [_short(spelled_out(point.system.name), longest) for point in points]
    room = Box(frame.left + 2, frame.top, width - 2, frame.bottom)
    spots = place_labels(centres, [text_width(text) for text in texts], room)
    marks = [
        (point, shape(point.system.kind, x, y), Label(*spot, text) if spot else None)
        for point, (x, y), text, spot in zip(points, centres, texts, spots, strict=True)
    ]
    return Drawing(name, f"{section}-{name}", width, height, frame, across, upward, marks)


def axis(estimates: Sequence[Estimate], start: float, end: float, n_ticks: int = 6) -> Axis:
    """Return a scale with round ticks and room around every interval."""
    low = min(min(estimate.low, estimate.mean) for estimate in estimates)
    high = max(max(estimate.high, estimate.mean) for estimate in estimates)
    # A single point still needs an axis of some length.
    room = max((high - low) * 0.08, 0.01)
    low, high = low - room, high + room
    size = _tick(high - low, n_ticks)
    first, last = math.floor(low / size), math.ceil(high / size)
    ticks = tuple(number * size for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def _tick(length: float, n_wanted: int) -> float:
    """Return 1, 2 or 5 times a power of ten, about `n_wanted` to a length."""
    rough = length / n_wanted
    power: float = 10.0 ** math.floor(math.log10(rough))
    return power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(power * factor / rough)))


def _description(section: Section, points: Sequence[Point]) -> str:
    best = max(points, key=lambda point: point.quality.mean)
    even = min(points, key=lambda point: point.disparity.mean)
    return (
        f"{len(points)} systems. Highest {section.primary}: {best.system.name}, "
        f"{fixed(best.quality.mean)}. Least disparity: {even.system.name}, "
        f"{fixed(even.disparity.mean)}. All values are in the table below the plot."
    )


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def shape(kind: str, x: float, y: float) -> Shape:
    """Return the mark of a kind of system."""
    number = _KINDS.index(kind)
    corners = tuple((x + dx * _RADIUS, y + dy * _RADIUS) for dx, dy in _CORNERS[number])
    return Shape(f"kind-{number}", x, y, _RADIUS, corners)
