"""The heat map: languages down, systems across, the value in every cell."""

from __future__ import annotations

from clir_bench.leaderboard.board import Board, BoardLanguage, Section
from clir_bench.leaderboard.site import palette
from clir_bench.leaderboard.site.markup import Markup, element, join
from clir_bench.leaderboard.site.page import name
from clir_bench.leaderboard.site.tables import NONE, Cell, Column, TableRow, fixed, table

_MANY = 18
"""More languages than this scroll in a box, under their header."""


def heatmap(board: Board, section: Section) -> Markup:
    """Return the table of every system's score in every language."""
    columns = [Column("Language", "text", css="head"), Column("Tier", "text", css="tier")]
    for row in section.rows:
        system = board.systems[row.system]
        data = {"data-kind": system.kind, "data-name": system.name}
        columns.append(Column(name(system.name), "number", data=data))
    rows = [_row(section, language) for language in section.languages]
    box = "scroll tall" if len(rows) > _MANY else "scroll"
    caption = f"{section.primary} by language. The colour says what the number says."
    label = f"Heat map of {section.title}"
    return join(
        [_legend(), table(columns, rows, caption=caption, label=label, css="heat", box=box)]
    )


def _row(section: Section, language: BoardLanguage) -> TableRow:
    cells = [
        Cell(join([element("span", {"class": "keep"}, language.code), " ", language.name]),
             language.code, head=True),
        Cell(language.tier, section.tiers.index(language.tier), "tier"),
    ]  # fmt: skip
    for row in section.rows:
        estimate = row.languages.get(language.code, {}).get(section.primary)
        if estimate is None:
            cells.append(Cell(NONE))
        else:
            css = f"h{palette.step(estimate.mean)}"
            cells.append(Cell(fixed(estimate.mean, 3), estimate.mean, css))
    data = {"data-language": language.code, "data-tier": language.tier}
    return TableRow(cells, dict(data))


def _legend() -> Markup:
    steps = range(0, palette.N_STEPS, 2)
    marks = [element("span", {"class": f"h{n}"}, fixed(n / palette.N_STEPS, 1)) for n in steps]
    return element(
        "p",
        {"class": "legend"},
        element("span", None, "Colours, the same on every board, from"),
        element("span", {"class": "scale"}, marks),
        element("span", None, "upwards"),
    )
