"""The table of a section's systems, and that of the values published elsewhere."""

from __future__ import annotations

from clir_bench.leaderboard.board import Board, Reference, Row, Section, System
from clir_bench.leaderboard.site.markup import Attribute, Markup, element, join
from clir_bench.leaderboard.site.page import Place, link, name
from clir_bench.leaderboard.site.tables import (
    NONE,
    Cell,
    Column,
    TableRow,
    count_cell,
    estimate_cell,
    fixed,
    number,
    table,
)


def system_data(row: Row, system: System, section: Section) -> dict[str, Attribute]:
    """Return what the script filters a system's row by, and its score in every language."""
    scores = [
        f"{code}:{number(estimates[section.primary].mean)}"
        for code, estimates in row.languages.items()
        if section.primary in estimates
    ]
    return {"data-kind": system.kind, "data-name": system.name, "data-scores": " ".join(scores)}


def system_cell(row: Row, system: System, place: Place) -> Cell:
    """Return the cell that names a system and links to its page."""
    shown = place.link(f"systems/{row.system}.html", name(system.name))
    return Cell(shown, system.name.casefold(), head=True)


def group_cell(row: Row) -> Cell:
    """Return the rank group; systems without one come last."""
    if row.group is None:
        return Cell(element("span", {"class": "quiet"}, "not ranked"), None, "number")
    return Cell(row.group, row.group, "number")


def ranking(board: Board, section: Section, place: Place) -> Markup:
    """Return the table of the systems run here."""
    bias = bias_names(section)
    rows = [
        TableRow(
            _cells(board, section, row, bias, place),
            system_data(row, board.systems[row.system], section),
        )
        for row in section.rows
    ]
    caption = join(
        [
            f"{section.primary} over all languages and by resource tier, 95% intervals below. "
            "Systems in one group cannot be told apart; their order within it means nothing. "
            "Gap is high tier minus low tier, spread the standard deviation over languages."
        ]
    )
    return table(
        _columns(section, bias),
        rows,
        caption=caption,
        label=f"Systems on {section.title}",
        css="ranking",
    )


def bias_names(section: Section) -> list[str]:
    """Return the language-bias measures any system has, in the order they come."""
    found = [n for row in section.rows if row.disparity for n in row.disparity.bias]
    return list(dict.fromkeys(found))


def _columns(section: Section, bias: list[str]) -> list[Column]:
    primary = section.primary
    tiers = [
        Column(f"{tier} tier", "number", css="number", data={"data-tier-column": tier})
        for tier in section.tiers
    ]
    chosen: dict[str, Attribute] = {"data-language-column": True, "hidden": True}
    return [
        Column("System", "text", css="head"),
        Column("Group", "number", "ascending", css="number"),
        Column("Kind", "text"),
        Column(f"{primary}, all", "number", sorted="descending", css="number"),
        Column("", "number", css="number chosen", data=chosen),
        *tiers,
        Column("Gap", "number", "ascending", css="number"),
        Column("Worst language", "number", css="number"),
        Column("Spread", "number", "ascending", css="number"),
        *(Column(text, "number", css="number") for text in bias),
        *(Column(measure, "number", css="number") for measure in section.measures[1:]),
        Column("Languages", "number", css="number"),
        Column("Parameters", "number", "ascending", css="number"),
        Column("Documents a second", "number", css="number"),
        Column("Saw evaluation data", "text"),
        Column("Date", "text", "descending"),
        Column("Result"),
    ]


def _cells(board: Board, section: Section, row: Row, bias: list[str], place: Place) -> list[Cell]:
    system, primary, disparity = board.systems[row.system], section.primary, row.disparity
    tiers = [estimate_cell(row.tiers.get(tier, {}).get(primary)) for tier in section.tiers]
    covered = f"{len(row.languages)} of {len(section.languages)}"
    return [
        system_cell(row, system, place),
        group_cell(row),
        Cell(element("span", {"class": "tag"}, system.kind), system.kind),
        estimate_cell(row.overall.get(primary)),
        Cell(NONE, None, "number chosen", hidden=True),
        *tiers,
        estimate_cell(disparity.gap if disparity else None),
        _worst_cell(row),
        estimate_cell(disparity.spread if disparity else None),
        *(estimate_cell(disparity.bias.get(text) if disparity else None) for text in bias),
        *(estimate_cell(row.overall.get(measure)) for measure in section.measures[1:]),
        Cell(covered, len(row.languages), "number"),
        count_cell(system.n_parameters),
        _speed_cell(row),
        _seen_cell(system),
        Cell(row.date, row.date, "keep"),
        Cell(place.file(row.result_file, "result")),
    ]


def _seen_cell(system: System) -> Cell:
    seen = system.training.evaluation_data_seen
    css = "mark" if seen == "yes" else ""
    return Cell(seen, seen, css)


def _worst_cell(row: Row) -> Cell:
    if row.disparity is None:
        return Cell(NONE, None, "number")
    worst = row.disparity.worst
    language = element("span", {"class": "interval"}, row.disparity.worst_language)
    shown = join([fixed(worst.mean), " ", language])
    return Cell(shown, worst.mean, "number")


def _speed_cell(row: Row) -> Cell:
    speed = row.speed.documents_per_second
    if speed is None:
        return Cell(NONE, None, "number")
    return Cell(f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}", speed, "number")


def references(section: Section) -> Markup | None:
    """Return the values published elsewhere, or None where there are none."""
    if not section.references:
        return None
    columns = [
        Column("System, as its source calls it", css="head"),
        Column("Measure"),
        Column("All", css="number"),
        *(Column(f"{tier} tier", css="number") for tier in section.tiers),
        Column("Source and differences"),
    ]
    rows = [TableRow(_reference_cells(section, reference)) for reference in section.references]
    caption = (
        "Values from the literature, as published. They were not run here, have no run file to "
        "check them by, and are not ranked."
    )
    label = f"Values published elsewhere on {section.title}"
    return join(
        [
            element("h3", {"id": f"{section.id}-published"}, "Published elsewhere"),
            table(columns, rows, caption=caption, label=label),
            _reference_languages(section),
        ]
    )


def _reference_cells(section: Section, reference: Reference) -> list[Cell]:
    overall = NONE if reference.overall is None else fixed(reference.overall)
    if reference.overall is not None and not reference.overall_published:
        overall = join([overall, " ", element("span", {"class": "interval"}, "mean taken here")])
    version = None
    if reference.version:
        version = element("span", {"class": "interval"}, reference.version)
    source = link(reference.url, reference.source)
    note = element("p", {"class": "quiet"}, reference.note) if reference.note else None
    return [
        Cell(join([name(reference.system), version]), head=True),
        Cell(reference.measure, css="keep"),
        Cell(overall, css="number"),
        *(_plain(reference.tiers.get(tier)) for tier in section.tiers),
        Cell(join([source, note]), css="words"),
    ]


def _reference_languages(section: Section) -> Markup | None:
    listed = [reference for reference in section.references if reference.languages]
    if not listed:
        return None
    columns = [Column("Language", css="head")]
    columns += [Column(name(reference.system), css="number") for reference in listed]
    rows = [
        TableRow(
            [
                Cell(f"{language.code} {language.name}", head=True),
                *(_plain(reference.languages.get(language.code)) for reference in listed),
            ],
            {"data-language": language.code, "data-tier": language.tier},
        )
        for language in section.languages
        if any(language.code in reference.languages for reference in listed)
    ]
    label = f"Published values by language on {section.title}"
    return element(
        "details",
        None,
        element("summary", None, "Published values by language"),
        table(columns, rows, caption="As published, by language.", label=label),
    )


def _plain(value: float | None) -> Cell:
    return Cell(NONE if value is None else fixed(value), css="number")
