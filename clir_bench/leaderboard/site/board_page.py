"""The page of one board."""

from __future__ import annotations

from clir_bench.leaderboard.board import Board, Section
from clir_bench.leaderboard.site.filters import filters, task_key
from clir_bench.leaderboard.site.heatmap import heatmap
from clir_bench.leaderboard.site.markup import Child, Markup, element, join
from clir_bench.leaderboard.site.page import Place, name, page, place_of
from clir_bench.leaderboard.site.plot import plot
from clir_bench.leaderboard.site.ranking import ranking, references


def board_path(board: Board) -> str:
    """Return the path of a board's page."""
    return f"boards/{board.id}.html"


def board_page(board: Board) -> bytes:
    """Return the page: filters, and a ranking, a heat map and a plot for every section."""
    path = board_path(board)
    place = place_of(path)
    return page(
        path,
        board.title,
        element("h1", None, board.title),
        element("p", {"class": "lead"}, board.about),
        element(
            "p",
            {"class": "quiet"},
            f"Resource tiers: {board.scheme}. {board.scheme_note} ",
            place.file(f"{board.id}.csv", "All values as CSV"),
            ".",
        ),
        _contents(board) if len(board.sections) > 1 else None,
        filters([board]),
        [_section(board, section, place) for section in board.sections],
    )


def _contents(board: Board) -> Markup:
    items = [
        element("li", None, element("a", {"href": f"#{section.id}"}, section.title))
        for section in board.sections
    ]
    return element("nav", {"aria-label": "On this page"}, element("ul", None, items))


def _section(board: Board, section: Section, place: Place) -> Markup:
    attributes = {"id": section.id, "data-task": task_key(board, section)}
    heading = element("h2", None, section.title)
    task = place.link(f"tasks/{section.task.id}.html", section.task.title)
    about = element("p", None, f"{section.about} Task: ", task, f", {section.task.split}.")
    if not section.rows:
        nothing = element("p", None, "No system has been submitted yet.")
        rest = [references(section), _absent(board, section, place), _left_out(section, place)]
        return element("section", dict(attributes), heading, about, nothing, rest)
    figure = plot(board, section)
    return element(
        "section",
        dict(attributes),
        heading,
        about,
        ranking(board, section, place),
        element("h3", None, "Quality against disparity") if figure else None,
        figure,
        element("h3", None, "By language"),
        heatmap(board, section),
        references(section),
        _absent(board, section, place),
        _left_out(section, place),
    )


def _absent(board: Board, section: Section, place: Place) -> Markup | None:
    if not section.absent:
        return None
    names = [
        place.link(f"systems/{folder}.html", name(board.systems[folder].name))
        for folder in section.absent
    ]
    return element("p", {"class": "quiet"}, "Not submitted here: ", join(names, ", "), ".")


def _left_out(section: Section, place: Place) -> Markup | None:
    if not section.left_out:
        return None
    items: list[Child] = [
        element("li", None, place.file(left.result_file, left.result_file), f": {left.reason}")
        for left in section.left_out
    ]
    title = f"Results that are not shown ({len(items)})"
    return element(
        "details",
        {"class": "prose"},
        element("summary", None, title),
        element("ul", {"class": "notes"}, items),
    )
