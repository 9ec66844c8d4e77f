"""Writes a board as CSV with one number per line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from clir_bench.leaderboard.board import Board, BoardRow, Estimates, Section
from clir_bench.leaderboard.escaping import spreadsheet
from clir_bench.metrics.means import Estimate

COLUMNS = (
    "section", "task", "split", "system", "kind", "group", "level", "name", "tier", "measure",
    "value", "low", "high", "date",
)  # fmt: skip
"""`level` is what `name` is: overall, tier, language, pair, gap, ratio, spread or system."""

_Line = tuple[str, str, str, str, Estimate | float]


def board_csv(board: Board) -> bytes:
    """Return the board's file; equal boards give equal bytes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for section in board.sections:
        for row in section.rows:
            system = board.systems[row.system]
            start = (
                section.id, section.task.id, section.task.split, spreadsheet(system.name),
                system.kind, "" if row.group is None else row.group,
            )  # fmt: skip
            for *what, value in _lines(board, section, row):
                writer.writerow([*start, *what, *_numbers(value), row.date])
    return buffer.getvalue().encode()


def _lines(board: Board, section: Section, row: BoardRow) -> Iterator[_Line]:
    """Yield level, name, tier, measure and value of every number of a row."""
    tier_of = {language.code: language.tier for language in section.languages}
    yield from _of("overall", {"all languages": row.overall}, {})
    yield from _of("tier", {str(t): v for t, v in row.tiers.items()}, {t: t for t in row.tiers})
    yield from _of("language", row.languages, tier_of)
    if len(section.pairs) > len(section.languages):
        tiers = {pair: one.tier for one in section.languages for pair in one.pairs}
        yield from _of("pair", row.pairs, tiers)
    if row.disparity is not None:
        disparity, primary = row.disparity, section.primary
        if disparity.gap is not None:
            yield "gap", "high - low", "", primary, disparity.gap
        if disparity.ratio is not None:
            yield "ratio", "low / high", "", primary, disparity.ratio
        if disparity.spread is not None:
            yield "spread", "all languages", "", primary, disparity.spread
    system = board.systems[row.system]
    for measure, amount in (
        ("parameters", system.n_parameters),
        ("dimensions", system.dim),
        ("documents_per_second", row.speed.documents_per_second),
        ("queries_per_second", row.speed.queries_per_second),
        ("languages_covered", len(row.languages)),
    ):
        if amount is not None:
            yield "system", "", "", measure, amount


def _of(level: str, scores: Mapping[str, Estimates], tier_of: Mapping[str, str]) -> Iterator[_Line]:
    for name, by_measure in scores.items():
        for measure, estimate in by_measure.items():
            yield level, name, tier_of.get(name, ""), measure, estimate


def _numbers(value: Estimate | float) -> tuple[str, str, str]:
    if isinstance(value, Estimate):
        return f"{value.mean:.6f}", f"{value.low:.6f}", f"{value.high:.6f}"
    return f"{value:g}" if isinstance(value, float) else str(value), "", ""
