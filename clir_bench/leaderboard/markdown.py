"""Writes a board as Markdown for web pages and terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import TextWrapper

from tabulate import tabulate

from clir_bench.core.display import some_of
from clir_bench.leaderboard.board import Board, BoardRow, BoardSystem, Section
from clir_bench.leaderboard.escaping import markdown, target
from clir_bench.leaderboard.legend import legend
from clir_bench.metrics.means import Estimate
from clir_bench.types import Tier

_WRAPPER = TextWrapper(width=97, break_long_words=False, break_on_hyphens=False)
_ITEM = re.compile(r"- |\d+\. ")
_MARKER = re.compile(r"^(\d*)([-+*#>=|.)])(?=\s|$|[=#>|-])")
_DASH = "–"
_MANY_LANGUAGES = 16
_SAID_OF_REFERENCES = """Others' values, as their sources state them: nothing here was run by this \
project, and nothing here is ranked with what was."""
_UNITS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def board_markdown(board: Board) -> bytes:
    """Return the board's file; equal boards give equal bytes."""
    parts = [
        f"# {markdown(board.title)}",
        f"<!-- Written by `clir-bench leaderboard build` from {board.id}.toml and results. "
        "Change those, not this. -->",
        board.about,
        "How to read the tables is [at the end](#how-to-read-this). The same as a "
        f"[table of numbers]({board.id}.csv) and, to sort and filter, as a "
        "[site](site/index.html).",
    ]
    for section in board.sections:
        parts += _section(board, section)
    parts += ["## How to read this", *legend(board)]
    return ("\n\n".join(_wrapped(part) for part in parts if part) + "\n").encode()


def _wrapped(part: str) -> str:
    """Return a paragraph or list in lines that fit a terminal; tables and links unchanged."""
    if part.startswith(("|", "#", "[", "<!--")):
        return part
    return "\n".join(_wrapped_line(line) for line in part.splitlines())


def _wrapped_line(line: str) -> str:
    item = _ITEM.match(line)
    indent = " " * len(item[0]) if item else ""
    first, *others = _WRAPPER.wrap(line) or [""]
    # A word that comes first after a break must not begin a list or a heading.
    safe = (_MARKER.sub(r"\1\\\2", other) for other in others)
    return "\n".join([first, *(indent + other for other in safe)])


def _section(board: Board, section: Section) -> list[str]:
    ranked = [row for row in section.rows if row.group is not None]
    partial = [row for row in section.rows if row.group is None]
    parts = [f"## {section.title}", section.about, _facts(section)]
    if ranked:
        parts.append(_ranking(board, section, ranked))
        parts += [] if _has_gap(section) else [_no_gap(section)]
    else:
        parts.append("Nothing has been submitted yet.")
    if section.rows:
        parts += ["### What was run", _systems(board, section), *_links(section)]
        parts += [f"### {section.primary} by language", _languages(board, section)]
    if partial:
        parts += ["### Not ranked", *_partial(board, section, partial)]
    if section.references:
        parts += ["### Published elsewhere", *_references(section)]
    return parts + _left_out(board, section)


def _facts(section: Section) -> str:
    task = section.task
    tiers = []
    for tier in section.tiers:
        codes = section.codes_of(tier)
        many = len(section.languages) > _MANY_LANGUAGES
        tiers.append(f"{len(codes)} {tier}" + ("" if many else f" ({', '.join(codes)})"))
    return (
        f"Task [{task.id}](../{task.card_file}), {task.split}. "
        f"Languages by tier: {', '.join(tiers)}. Ranked by {section.primary}."
    )


def _ranking(board: Board, section: Section, rows: Sequence[BoardRow]) -> str:
    tiers = section.tiers
    headers = ["group", "system", f"{section.primary}, all {len(section.languages)}"]
    headers += [f"{tier} ({len(section.codes_of(tier))})" for tier in tiers]
    headers += ["gap, high - low" if _has_gap(section) else "spread"]
    headers += ["worst language", *section.measures[1:]]
    table = [_ranked(board, section, row) for row in rows]
    return _table(headers, table, left={1})


def _ranked(board: Board, section: Section, row: BoardRow) -> list[str]:
    primary, disparity = section.primary, row.disparity
    cells = [str(row.group), _name(board, row), _score(row.overall.get(primary))]
    cells += [_score(row.tiers.get(tier, {}).get(primary)) for tier in section.tiers]
    if disparity is not None:
        cells.append(_score(disparity.gap if _has_gap(section) else disparity.spread))
        cells.append(f"{disparity.worst.mean:.4f} {disparity.worst_language}")
    others = [_score(row.overall.get(name), interval=False) for name in section.measures[1:]]
    return cells + others


def _systems(board: Board, section: Section) -> str:
    headers = [
        "system", "kind", "parameters", "documents/s", "languages", "trained on", "saw this data",
        "date", "files",
    ]  # fmt: skip
    table = []
    for number, row in enumerate(section.rows, start=1):
        system = board.systems[row.system]
        files = f"[result][{section.id}-{number}]"
        files += f", [runs][{section.id}-{number}-runs]" if row.run_files else ""
        table.append(
            [
                f"[{_name(board, row)}][{section.id}-{number}-card]",
                system.kind,
                _amount(system.n_parameters),
                _speed(row.speed.documents_per_second),
                f"{len(row.languages)} of {len(section.languages)}",
                _training(system),
                system.training.evaluation_data_seen,
                row.date,
                files,
            ]
        )
    return _table(headers, table, left={0, 1, 5, 6, 7, 8})


def _links(section: Section) -> list[str]:
    """Return the targets of a table's links, kept apart so that the table reads well as text."""
    lines = []
    for number, row in enumerate(section.rows, start=1):
        label = f"{section.id}-{number}"
        folder = row.result_file.removesuffix(".json")
        card = f"{folder.rsplit('/', 2)[0]}/system.toml"
        lines += [f"[{label}-card]: {target(card)}", f"[{label}]: {target(row.result_file)}"]
        lines += [f"[{label}-runs]: {target(folder)}/"] if row.run_files else []
    return ["\n".join(lines)]


def _languages(board: Board, section: Section) -> str:
    headers = ["tier", "language", *(_name(board, row) for row in section.rows)]
    table = [
        [
            language.tier,
            f"{language.code} {language.name}",
            *(
                _score(row.languages.get(language.code, {}).get(section.primary), interval=False)
                for row in section.rows
            ),
        ]
        for language in section.languages
    ]
    return _table(headers, table, left={0, 1})


def _partial(board: Board, section: Section, rows: Iterable[BoardRow]) -> list[str]:
    lines = [
        f"- {_name(board, row)} has no score for {len(row.missing)} of {len(section.pairs)} pairs: "
        f"{some_of(row.missing, 12)}"
        for row in rows
    ]
    return ["Means over other languages than everyone else's would say nothing.", "\n".join(lines)]


def _references(section: Section) -> list[str]:
    sources = list(dict.fromkeys((one.source, one.url, one.note) for one in section.references))
    whole = [one for one in section.references if one.overall is not None]
    headers = ["system", "measure", f"all {len(section.languages)}"]
    headers += [f"{tier} ({len(section.codes_of(tier))})" for tier in section.tiers]
    headers += ["source", "version"]
    table = [
        [
            markdown(one.system, 80),
            one.measure,
            _value(one.overall) + ("\\*" if one.overall_published else ""),
            *(_value(one.tiers.get(tier)) for tier in section.tiers),
            str(sources.index((one.source, one.url, one.note)) + 1),
            markdown(one.version),
        ]
        for one in whole
    ]
    left = {0, 1, len(headers) - 1}
    parts = [_SAID_OF_REFERENCES, _table(headers, table, left=left)] if whole else []
    if any(one.overall_published for one in whole):
        parts.append("\\* The source's own mean; the others are means of its values by language.")
    some = [
        f"- {markdown(one.system, 80)} ({markdown(one.version)}): "
        + ", ".join(f"{code} {value:.4f}" for code, value in sorted(one.languages.items()))
        for one in section.references
        if one.overall is None
    ]
    if some:
        parts += [f"Published for some languages only ({section.primary}):", "\n".join(some)]
    notes = [
        f"{number}. [{markdown(source)}]({url}){f'; {markdown(note)}' if note else ''}"
        for number, (source, url, note) in enumerate(sources, start=1)
    ]
    return [*parts, "Sources:", "\n".join(notes)]


def _left_out(board: Board, section: Section) -> list[str]:
    lines = [
        f"- {markdown(one.result_file)}: {markdown(one.reason, 400)}" for one in section.left_out
    ]
    lines += [
        f"- {markdown(board.systems[folder].name)}: no result for this section"
        for folder in section.absent
    ]
    return ["### Left out", "\n".join(lines)] if lines else []


def _has_gap(section: Section) -> bool:
    return {"low", "high"} <= set(section.tiers)


def _no_gap(section: Section) -> str:
    lacking: list[Tier] = [tier for tier in ("low", "high") if tier not in section.tiers]
    return f"There is no gap, for no language here is of the {' or '.join(lacking)} tier."


def _name(board: Board, row: BoardRow) -> str:
    return markdown(board.systems[row.system].name, 60)


def _score(score: Estimate | None, *, interval: bool = True) -> str:
    if score is None:
        return _DASH
    bounds = f" [{score.low:.3f}, {score.high:.3f}]" if interval else ""
    return f"{score.mean:.4f}{bounds}"


def _value(value: float | None) -> str:
    return _DASH if value is None else f"{value:.4f}"


def _amount(number: int | None) -> str:
    """Return a number of parameters, shortened.

    >>> _amount(22713216)
    '22.7M'
    """
    if number is None:
        return _DASH
    unit = next((unit for unit in _UNITS if number >= unit[0]), None)
    return str(number) if unit is None else f"{number / unit[0]:.3g}{unit[1]}"


def _speed(rate: float | None) -> str:
    if rate is None:
        return _DASH
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _training(system: BoardSystem) -> str:
    codes = system.training.languages
    if not codes:
        return "nothing"
    return markdown(some_of(codes, 4) if len(codes) <= 4 else f"{len(codes)} languages")


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: set[int]) -> str:
    align = ["left" if column in left else "right" for column in range(len(headers))]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
