"""Turns results into LaTeX tables for papers, with booktabs (see `core.latex`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from clir_bench.core.display import fixed
from clir_bench.core.latex import Markup, escape, tabular
from clir_bench.results.lines import POOL_TITLE, Line, in_order, lines_of, task_title
from clir_bench.results.schema import Result, SuiteResult


def float_table(body: str, *, caption: str, label: str | None = None) -> str:
    """Return a table as a float that LaTeX places.

    Args:
        body: From `tabular`.
        caption: Escaped unless it is `Markup`.
        label: Its name for `\\ref`.
    """
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}"]
    if label:
        lines.append(rf"\label{{{label}}}")
    return "\n".join(["% needs \\usepackage{booktabs}", *lines, body, r"\end{table}", ""])


def tier_table(
    lines: Sequence[Line], columns: Sequence[str], cell: Callable[[Line, int], str]
) -> str:
    """Return a table of languages or pairs grouped by tier, each tier with its mean.

    Args:
        lines: The lines of its rows, in any order.
        columns: Names of the other columns.
        cell: Returns a line's cell in a column.
    """
    rows: list[Sequence[str] | Markup] = []
    width = len(columns) + 1
    for (pool, tier), group in groupby(in_order(lines), key=lambda line: (line.pool, line.tier)):
        if rows:
            rows.append(Markup(r"\midrule"))
        title = f"{POOL_TITLE}, {tier}" if pool else tier
        if tier is not None:
            rows.append(
                Markup(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escape(title or '')}}}}} \\")
            )
        for line in group:
            indent = "" if tier is None else r"\quad "
            name = escape(f"{POOL_TITLE}, {line.title}" if pool and tier is None else line.title)
            name = name if line.level in ("language", "pair") else rf"\emph{{{name}}}"
            cells = [cell(line, column) for column in range(len(columns))]
            rows.append([Markup(indent + name), *cells])
    first = "pair" if any(line.level == "pair" for line in lines) else "language"
    return tabular([first, *columns], rows)


def result_latex(
    result: Result, *, caption: str | None, label: str | None, by_pair: bool, n_digits: int
) -> str:
    """Return a result's table: a row per language (or pair), a column per measure."""
    measures = result.task.measures
    lines = lines_of(result, by_pair=by_pair)

    def cell(line: Line, column: int) -> str:
        score = lines[line].get(measures[column])
        return Markup("--") if score is None else fixed(score.mean, n_digits)

    text = f"{result.system.name} on {task_title(result)}, tiers by {result.tiers.scheme}."
    return float_table(
        tier_table(list(lines), measures, cell),
        caption=text if caption is None else caption,
        label=label,
    )


def suite_latex(
    suite: SuiteResult, *, caption: str | None, label: str | None, n_digits: int
) -> str:
    """Return a suite's table: a row per part, and their mean."""
    scores = [(f"{part.task}, {part.split}", part.measure, part.score) for part in suite.parts]
    rows: list[Sequence[str] | Markup] = [
        [name, measure, Markup("--") if score is None else fixed(score.mean, n_digits)]
        for name, measure, score in [*scores, ("mean of the parts", "", suite.mean)]
    ]
    rows.insert(-1, Markup(r"\midrule"))
    text = f"{suite.system.name} on {task_title(suite)}."
    return float_table(
        tabular(["task", "measure", "score"], rows, "llr"),
        caption=text if caption is None else caption,
        label=label,
    )
