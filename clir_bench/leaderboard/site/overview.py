"""The first page: every board, and all systems on all of them in one table."""

from __future__ import annotations

from collections.abc import Sequence

from clir_bench.leaderboard.board import TIER_ORDER, Board, Row, Section
from clir_bench.leaderboard.site.board_page import board_path
from clir_bench.leaderboard.site.filters import filters, task_key, task_title
from clir_bench.leaderboard.site.markup import Attribute, Child, Markup, element, join
from clir_bench.leaderboard.site.page import Place, name, page, place_of
from clir_bench.leaderboard.site.ranking import group_cell, system_cell, system_data
from clir_bench.leaderboard.site.tables import NONE, Cell, Column, TableRow, estimate_cell, table
from clir_bench.types import Tier


def overview_page(boards: Sequence[Board]) -> bytes:
    """Return the first page."""
    path = "index.html"
    place = place_of(path)
    return page(
        path,
        "Leaderboards",
        element("h1", None, "Leaderboards of cross-lingual retrieval"),
        element(
            "p",
            {"class": "lead"},
            "What encoders score in every language and every resource tier, with intervals, and "
            "how evenly they serve them.",
        ),
        element("ul", {"class": "boards"}, [_card(board, place) for board in boards]),
        element("h2", None, "All systems on all tasks"),
        filters(boards),
        _everything(boards, place),
    )


def _card(board: Board, place: Place) -> Markup:
    lines: list[Child] = [
        element("p", {"class": "quiet"}, join([section.title, ": ", _leaders(board, section)]))
        for section in board.sections
    ]
    return element(
        "li",
        None,
        element("h3", None, place.link(board_path(board), board.title)),
        element("p", None, board.about),
        lines,
    )


def _leaders(board: Board, section: Section) -> Markup:
    """Return who is in the first group: all of them, for they cannot be told apart."""
    leaders = [row for row in section.rows if row.group == 1]
    systems = f"{len(section.rows)} system{'' if len(section.rows) == 1 else 's'}"
    languages = f"{len(section.languages)} languages, {systems}"
    if not leaders:
        return join([languages])
    names = [name(board.systems[row.system].name) for row in leaders[:3]]
    more = f" and {len(leaders) - 3} more" if len(leaders) > 3 else ""
    return join([languages, "; first group ", join(names, ", "), more])


def _everything(boards: Sequence[Board], place: Place) -> Markup:
    present = {tier for board in boards for section in board.sections for tier in section.tiers}
    tiers = [tier for tier in TIER_ORDER if tier in present]
    chosen: dict[str, Attribute] = {"data-language-column": True, "hidden": True}
    columns = [
        Column("System", "text", css="head"),
        Column("Kind", "text"),
        Column("Task", "text"),
        Column("Measure", "text"),
        Column("Group", "number", "ascending", css="number"),
        Column("All languages", "number", css="number"),
        Column("", "number", css="number chosen", data=chosen),
        *(
            Column(f"{tier} tier", "number", css="number", data={"data-tier-column": tier})
            for tier in tiers
        ),
        Column("Gap", "number", "ascending", css="number"),
        Column("Languages", "number", css="number"),
    ]
    rows = [
        _row(board, section, row, tiers, place)
        for board in boards
        for section in board.sections
        for row in section.rows
    ]
    return table(
        columns,
        rows,
        caption="Scores of different tasks are by different measures and over different languages: "
        "compare systems within a task. 95% intervals below the scores.",
        label="All systems on all tasks",
        css="ranking",
    )


def _row(board: Board, section: Section, row: Row, tiers: Sequence[Tier], place: Place) -> TableRow:
    system, primary = board.systems[row.system], section.primary
    target, title = f"{board_path(board)}#{section.id}", task_title(board, section)
    cells = [
        system_cell(row, system, place),
        Cell(element("span", {"class": "tag"}, system.kind), system.kind),
        Cell(place.link(target, title), title, "words"),
        Cell(primary, primary, "keep"),
        group_cell(row),
        estimate_cell(row.overall.get(primary)),
        Cell(NONE, None, "number chosen", hidden=True),
        *(estimate_cell(row.tiers.get(tier, {}).get(primary)) for tier in tiers),
        estimate_cell(row.disparity.gap if row.disparity else None),
        Cell(f"{len(row.languages)} of {len(section.languages)}", len(row.languages), "number"),
    ]
    data = {**system_data(row, system, section), "data-task": task_key(board, section)}
    return TableRow(cells, data)
