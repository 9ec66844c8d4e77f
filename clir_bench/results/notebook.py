"""Turns results into HTML tables for notebooks; escapes every text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from clir_bench.core.display import fixed, visible
from clir_bench.results.lines import POOL_TITLE, Line, in_order, lines_of, task_title
from clir_bench.results.schema import Result, Score, SuiteResult


def html_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()
) -> str:
    """Return a table; its first column is text, the others are numbers.

    Args:
        caption: Stands above it.
        header: Names of the columns.
        rows: A cell per column; a row of one cell is a heading over all columns.
        notes: Sentences below it.
    """
    head = "".join(_cell("th", name, number > 0) for number, name in enumerate(header))
    body = []
    for row in rows:
        cells = [_cell("td", text, number > 0) for number, text in enumerate(row)]
        if len(row) == 1:
            cells = [f'<th colspan="{len(header)}" style="text-align:left">{_text(row[0])}</th>']
        body.append(f"<tr>{''.join(cells)}</tr>")
    lines = [
        "<table>",
        f'<caption style="text-align:left">{_text(caption)}</caption>',
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>", *body, "</tbody>",
        "</table>",
        *(f"<p>{_text(note)}</p>" for note in notes),
    ]  # fmt: skip
    return "\n".join(lines)


def tier_rows(lines: Iterable[Line], cells: Mapping[Line, Sequence[str]]) -> list[list[str]]:
    """Return the rows of a table of languages, a heading over each tier."""
    rows: list[list[str]] = []
    above: tuple[bool, str] | None = None
    for line in in_order(lines):
        group = (line.pool, line.tier or "")
        if group != above:
            above = group
            rows.append([" ".join(filter(None, [POOL_TITLE if line.pool else "", line.tier]))])
        rows.append([line.title, *cells[line]])
    return [row for row in rows if row != [""]]


def result_html(result: Result) -> str:
    """Return a result's languages by tier, and their means."""
    measures = result.task.measures
    lines = lines_of(result)
    cells = {
        line: [shown(scores.get(measure), interval=not n) for n, measure in enumerate(measures)]
        for line, scores in lines.items()
    }
    header = ["language", f"{measures[0]} [95% interval]", *measures[1:]]
    failed = [
        f"{name} failed: {pair.error or ''}"
        for name, pair in result.pairs.items()
        if pair.status == "failed"
    ]
    title = f"{result.system.name} on {task_title(result)}"
    return html_table(title, header, tier_rows(lines, cells), failed)


def suite_html(suite: SuiteResult) -> str:
    """Return a line per part of a suite, and their mean."""
    rows = [
        [f"{part.task}, {part.split}", part.measure, shown(part.score, interval=True)]
        for part in suite.parts
    ]
    rows.append(["mean of the parts", "", shown(suite.mean, interval=True)])
    failed = [f"{part.task} failed: {part.error}" for part in suite.parts if part.error]
    title = f"{suite.system.name} on {task_title(suite)}"
    return html_table(title, ["task", "measure", "score [95% interval]"], rows, failed)


def overview_html(results: Iterable[Result | SuiteResult | None]) -> str:
    """Return a line per result: its system, its task and its mean over all languages."""
    rows = []
    for result in results:
        if isinstance(result, SuiteResult):
            measure, score = "mean of the parts", result.mean
        elif result is not None:
            measure = result.task.measures[0]
            score = (result.overall or (result.pool.overall if result.pool else {})).get(measure)
        else:
            continue
        rows.append([result.system.name, task_title(result), measure, shown(score, interval=True)])
    header = ["system", "task", "measure", "score [95% interval]"]
    return html_table(f"{len(rows)} results", header, rows)


def shown(score: Score | None, *, interval: bool = False) -> str:
    """Return a mean with four decimals, its interval with three, a dash for none."""
    if score is None:
        return "-"
    low, high = score.interval
    bounds = f" [{fixed(low, 3)}, {fixed(high, 3)}]" if interval else ""
    return fixed(score.mean, 4) + bounds


def _cell(tag: str, text: str, is_number: bool) -> str:
    side = "right" if is_number else "left"
    return f'<{tag} style="text-align:{side}">{_text(text)}</{tag}>'


def _text(text: str) -> str:
    return html.escape(visible(text))
