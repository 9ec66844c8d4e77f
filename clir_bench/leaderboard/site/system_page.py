"""The page of one system, and the list of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from clir_bench.leaderboard.board import Board, BoardLanguage, Row, Section, System
from clir_bench.leaderboard.site.board_page import board_path
from clir_bench.leaderboard.site.filters import filters, task_key, task_title
from clir_bench.leaderboard.site.markup import Child, Markup, element, join
from clir_bench.leaderboard.site.page import Place, link, name, page, place_of
from clir_bench.leaderboard.site.ranking import bias_names
from clir_bench.leaderboard.site.tables import (
    Cell,
    Column,
    TableRow,
    count_cell,
    estimate_cell,
    table,
)
from clir_bench.results.system_card import Training


class Entry(NamedTuple):
    """A system's row in a section of a board, and what the section is called by itself."""

    board: Board
    section: Section
    row: Row
    title: str


def systems_of(boards: Sequence[Board]) -> dict[str, tuple[System, list[Entry]]]:
    """Return folder name to system and all it was run on, sorted by folder name."""
    found: dict[str, tuple[System, list[Entry]]] = {}
    for board in boards:
        for section in board.sections:
            for row in section.rows:
                known = found.setdefault(row.system, (board.systems[row.system], []))
                known[1].append(Entry(board, section, row, task_title(board, section)))
    return dict(sorted(found.items()))


def systems_page(systems: Mapping[str, tuple[System, list[Entry]]]) -> bytes:
    """Return the list of all systems."""
    path = "systems.html"
    place = place_of(path)
    columns = [
        Column("System", "text", css="head"),
        Column("Kind", "text"),
        Column("Parameters", "number", "ascending", css="number"),
        Column("Dimensions", "number", css="number"),
        Column("Tasks", "number", css="number"),
        Column("Description"),
    ]
    rows = [
        TableRow(
            [
                Cell(
                    place.link(f"systems/{folder}.html", name(system.name)),
                    system.name.casefold(),
                    head=True,
                ),
                Cell(element("span", {"class": "tag"}, system.kind), system.kind),
                count_cell(system.n_parameters),
                count_cell(system.dim),
                count_cell(len(entries)),
                Cell(name(system.description), css="words"),
            ],
            {"data-kind": system.kind, "data-name": system.name},
        )
        for folder, (system, entries) in systems.items()
    ]
    caption = "Every system with a result on a board."
    return page(
        path,
        "Systems",
        element("h1", None, "Systems"),
        table(columns, rows, caption=caption, label="All systems"),
    )


def system_page(folder: str, system: System, entries: Sequence[Entry]) -> bytes:
    """Return what is known of a system, and its scores on every task in every language."""
    path = f"systems/{folder}.html"
    place = place_of(path)
    boards = list(dict.fromkeys(entry.board.id for entry in entries))
    shown = [_only(entries, board_id) for board_id in boards]
    return page(
        path,
        system.name,
        element("h1", None, name(system.name)),
        element("p", {"class": "lead"}, name(system.description)) if system.description else None,
        _facts(system, place),
        filters(shown, systems=False),
        [_scores(entry, place) for entry in entries],
    )


def _only(entries: Sequence[Entry], board_id: str) -> Board:
    """Return a board with only the sections that a system is in."""
    mine = [entry for entry in entries if entry.board.id == board_id]
    return replace(mine[0].board, sections=tuple(entry.section for entry in mine))


def _facts(system: System, place: Place) -> Markup:
    training = system.training
    weights = f"{system.n_parameters:,}" if system.n_parameters is not None else "none"
    facts: list[tuple[str, Child]] = [
        ("Kind", system.kind),
        ("Weights", f"{weights} parameters" if system.n_parameters is not None else weights),
        ("Vectors", f"{system.dim:,} dimensions, {system.similarity} similarity, {system.dtype}"),
        ("Longest text", f"{system.max_tokens:,} tokens" if system.max_tokens else "no limit"),
        ("Revision", element("code", None, system.revision)),
        ("Package", element("code", None, system.package) if system.package else None),
        ("Weights’ sha256", _code(system.weights_sha256)),
        ("Query prompt", _code(system.query_prompt)),
        ("Document prompt", _code(system.document_prompt)),
        ("License", name(system.license) if system.license else "not stated"),
        ("Address", link(system.url, system.url) if system.url else None),
        ("Contact", name(system.contact) if system.contact else None),
        ("Trained on languages", ", ".join(training.languages) or "none"),
        ("Trained on parallel text", _listed(training.bitext)),
        ("Trained on other text", _listed(training.corpora)),
        ("Saw evaluation data", _seen(training)),
        ("System card", place.file(system.card_file, "system.toml") if system.card_file else None),
    ]
    listed = [
        (element("dt", None, term), element("dd", None, value))
        for term, value in facts
        if value is not None
    ]
    return element("dl", {"class": "facts"}, listed)


def _code(text: str) -> Markup | None:
    return element("code", None, text) if text else None


def _listed(names: Sequence[str]) -> Markup | str:
    return join([name(text) for text in names], ", ") if names else "none"


def _seen(training: Training) -> Markup:
    note = join([": ", name(training.note)]) if training.note else None
    return join([training.evaluation_data_seen, note])


def _scores(entry: Entry, place: Place) -> Markup:
    board, section, row, title = entry
    target = f"{board_path(board)}#{section.id}"
    rank = "Not ranked: some pairs are missing" if row.group is None else f"Rank group {row.group}"
    missing = _some(row.missing)
    return element(
        "section",
        {"data-task": task_key(board, section)},
        element("h2", None, place.link(target, title)),
        element(
            "p",
            None,
            f"{rank}. Run on {row.date}. ",
            place.file(row.result_file, "The result"),
            ".",
        ),
        element("p", None, f"Without a score: {missing}.") if missing else None,
        _means(section, row),
        _languages(section, row, place),
    )


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _means(section: Section, row: Row) -> Markup:
    """Return the means over all languages and by tier, and how far they are apart."""
    columns = [Column("Mean over", css="head")]
    columns += [Column(measure, css="number") for measure in section.measures]
    lines = [("all languages", row.overall)] if row.overall else []
    lines += [
        (f"{tier} tier ({len(section.codes_of(tier))})", row.tiers[tier])
        for tier in section.tiers
        if tier in row.tiers
    ]
    rows = [
        TableRow([Cell(text, head=True), *(estimate_cell(means.get(m)) for m in section.measures)])
        for text, means in lines
    ]
    label = f"Means on {section.title}"
    caption = "Means and their 95% intervals."
    return join([table(columns, rows, caption=caption, label=label), _disparity(section, row)])


def _disparity(section: Section, row: Row) -> Markup | None:
    disparity = row.disparity
    if disparity is None:
        return None
    values = [("gap, high tier minus low tier", disparity.gap)]
    values += [("ratio, low tier to high tier", disparity.ratio)]
    values += [(f"worst language, {disparity.worst_language}", disparity.worst)]
    values += [("spread, standard deviation over languages", disparity.spread)]
    values += [(text, disparity.bias.get(text)) for text in bias_names(section)]
    rows = [
        TableRow([Cell(text, head=True), estimate_cell(estimate)])
        for text, estimate in values
        if estimate is not None
    ]
    return table(
        [Column("Disparity", css="head"), Column(section.primary, css="number")],
        rows,
        caption="How evenly the languages are served.",
        label=f"Disparity on {section.title}",
    )


def _languages(section: Section, row: Row, place: Place) -> Markup:
    columns = [
        Column("Language", "text", css="head"),
        Column("Tier", "text"),
        *(Column(measure, "number", css="number") for measure in section.measures),
        Column("Runs"),
    ]
    rows = [
        _language(section, row, language, place)
        for language in section.languages
        if language.code in row.languages
    ]
    box = "scroll tall" if len(rows) > 18 else "scroll"
    label = f"Languages on {section.title}"
    caption = "By language, with the run of every pair, query language first."
    return table(columns, rows, caption=caption, label=label, box=box)


def _language(section: Section, row: Row, language: BoardLanguage, place: Place) -> TableRow:
    means = row.languages[language.code]
    runs = [place.file(row.run_files.get(pair, ""), pair) for pair in language.pairs]
    cells = [
        Cell(f"{language.code} {language.name}", language.code, head=True),
        Cell(language.tier, section.tiers.index(language.tier)),
        *(estimate_cell(means.get(measure)) for measure in section.measures),
        Cell(join(runs, ", ")),
    ]
    return TableRow(cells, {"data-language": language.code, "data-tier": language.tier})
