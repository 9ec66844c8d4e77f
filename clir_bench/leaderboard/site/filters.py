"""The form that filters a page's tables and plots; the script shows it, for it needs the script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clir_bench.leaderboard.board import TIER_ORDER, Board, Section
from clir_bench.leaderboard.site.markup import Child, Markup, element


def filters(boards: Sequence[Board], *, systems: bool = True) -> Markup:
    """Return the form for the sections of one board, or of all.

    Args:
        systems: Whether the page has more than one system to choose from.
    """
    sections = [section for board in boards for section in board.sections]
    kinds = {
        board.systems[row.system].kind
        for board in boards
        for section in board.sections
        for row in section.rows
    }
    tiers = {tier for section in sections for tier in section.tiers}
    languages = {
        language.code: language.name for section in sections for language in section.languages
    }
    named = sorted(languages.items(), key=lambda item: (item[1].casefold(), item[0]))
    return element(
        "form",
        {"class": "filters", "id": "filters", "hidden": True, "aria-label": "Filters"},
        _search() if systems else None,
        _select("kind", "Kind of system", "All kinds", ((kind, kind) for kind in sorted(kinds)))
        if systems
        else None,
        _task_select(boards) if len(sections) > 1 else None,
        _select("tier", "Resource tier", "All tiers", ((t, t) for t in TIER_ORDER if t in tiers)),
        _select(
            "language",
            "Language",
            "All languages",
            ((code, f"{language} ({code})") for code, language in named),
        ),
        element("button", {"type": "reset"}, "Clear"),
        element("p", {"class": "status", "role": "status", "id": "status"}),
    )


def task_key(board: Board, section: Section) -> str:
    """Return what the script knows a section by."""
    return f"{board.id}/{section.id}"


def task_title(board: Board, section: Section) -> str:
    """Return what a section is called outside of its board."""
    return board.title if len(board.sections) == 1 else f"{board.title}: {section.title}"


def _search() -> Markup:
    return element(
        "label",
        None,
        "System’s name",
        element(
            "input",
            {"type": "search", "name": "name", "autocomplete": "off", "spellcheck": "false"},
        ),
    )


def _task_select(boards: Sequence[Board]) -> Markup:
    options = [
        (task_key(board, section), task_title(board, section))
        for board in boards
        for section in board.sections
    ]
    return _select("task", "Task", "All tasks", options)


def _select(field: str, label: str, everything: str, options: Iterable[tuple[str, str]]) -> Markup:
    items: list[Child] = [element("option", {"value": ""}, everything)]
    items += [element("option", {"value": value}, text) for value, text in options]
    return element("label", None, label, element("select", {"name": field}, items))
