"""The page of one task's card, and the list of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clir_bench.leaderboard.board import Board, Section, TaskFacts
from clir_bench.leaderboard.site.board_page import board_path
from clir_bench.leaderboard.site.filters import task_title
from clir_bench.leaderboard.site.markup import Attribute, Child, Markup, element
from clir_bench.leaderboard.site.page import Place, link, name, page, place_of
from clir_bench.leaderboard.site.tables import Cell, Column, TableRow, count_cell, table
from clir_bench.tasks.languages import resolve

Sections = list[tuple[Board, Section]]


def tasks_of(boards: Sequence[Board]) -> dict[str, tuple[TaskFacts, Sections]]:
    """Return task id to its card and the sections that are about it, sorted by id."""
    found: dict[str, tuple[TaskFacts, Sections]] = {}
    for board in boards:
        for section in board.sections:
            found.setdefault(section.task.id, (section.task, []))[1].append((board, section))
    return dict(sorted(found.items()))


def tasks_page(tasks: Mapping[str, tuple[TaskFacts, Sections]]) -> bytes:
    """Return the list of all tasks."""
    path = "tasks.html"
    place = place_of(path)
    columns = [
        Column("Task", "text", css="head"),
        Column("Measure", "text"),
        Column("Languages", "number", css="number"),
        Column("License"),
        Column("What is searched"),
    ]
    rows = [
        TableRow(
            [
                Cell(place.link(f"tasks/{task.id}.html", task.title), task.title, head=True),
                Cell(task.measures[0], task.measures[0], "keep"),
                Cell(len(task.languages), len(task.languages), "number"),
                Cell(task.license),
                Cell(task.description, css="words"),
            ]
        )
        for task, _ in tasks.values()
    ]
    caption = "Every task that a board shows."
    return page(
        path,
        "Tasks",
        element("h1", None, "Tasks"),
        table(columns, rows, caption=caption, label="All tasks"),
    )


def task_page(task: TaskFacts, sections: Sections) -> bytes:
    """Return a task's card: what is searched, how it is scored, how much there is."""
    path = f"tasks/{task.id}.html"
    place = place_of(path)
    return page(
        path,
        task.title,
        element("h1", None, task.title),
        element("p", {"class": "lead"}, task.description),
        _facts(task, sections, place),
        _citation(task),
        element("h2", None, "Size"),
        _pairs(sections),
    )


def _facts(task: TaskFacts, sections: Sections, place: Place) -> Markup:
    languages = ", ".join(f"{resolve(code).name} ({code})" for code in task.languages)
    together = "translations of each other, drawn together for intervals"
    facts: list[tuple[str, Child]] = [
        ("Task", element("code", None, task.id)),
        ("Card", place.source(task.card_file, f"version {task.version}")),
        ("Split", task.split),
        ("Measures", ", ".join(task.measures)),
        ("Languages", f"{len(task.languages)}: {languages}"),
        ("Queries", together if task.parallel_queries else "each language’s own"),
        ("License", task.license),
        ("Home", link(task.homepage, task.homepage) if task.homepage else None),
        ("Boards", [_board_line(board, section, place) for board, section in sections]),
    ]
    listed = [
        (element("dt", None, term), element("dd", None, value))
        for term, value in facts
        if value is not None
    ]
    return element("dl", {"class": "facts"}, listed)


def _board_line(board: Board, section: Section, place: Place) -> Markup:
    target = f"{board_path(board)}#{section.id}"
    leaders = [name(board.systems[row.system].name) for row in section.rows if row.group == 1]
    first: list[Child] = [", first group: "]
    for number, leader in enumerate(leaders[:5]):
        first += [", " if number else None, leader]
    more = f" and {len(leaders) - 5} more" if len(leaders) > 5 else None
    shown = [first, more] if leaders else None
    return element("div", None, place.link(target, task_title(board, section)), shown)


def _citation(task: TaskFacts) -> list[Markup]:
    if not task.citation.strip():
        return []
    code = element("code", None, task.citation.strip())
    scrolls: dict[str, Attribute] = {"tabindex": 0, "role": "region", "aria-label": "BibTeX"}
    return [element("h2", None, "How to cite it"), element("pre", scrolls, code)]


def _pairs(sections: Sections) -> Markup:
    columns = [
        Column("Pair, queries to documents", "text", css="head"),
        Column("Documents", "number", css="number"),
        Column("Queries", "number", css="number"),
        Column("Judgments", "number", css="number"),
    ]
    sizes = {pair: facts for _, section in sections for pair, facts in section.pairs.items()}
    rows = [
        TableRow(
            [
                Cell(pair, pair, head=True),
                count_cell(facts.n_documents),
                count_cell(facts.n_queries),
                count_cell(facts.n_qrels),
            ]
        )
        for pair, facts in sorted(sizes.items())
    ]
    box = "scroll tall" if len(rows) > 18 else "scroll"
    caption = "The pairs that boards show, as the task’s card states them."
    return table(columns, rows, caption=caption, label="Language pairs", box=box)
