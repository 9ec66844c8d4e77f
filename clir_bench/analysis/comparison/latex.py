"""Turns comparisons into LaTeX tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clir_bench.analysis.comparison.paired import ResamplingSettings, paired_differences
from clir_bench.analysis.comparison.rows import TaskComparison
from clir_bench.core.display import fixed
from clir_bench.core.latex import Markup
from clir_bench.metrics.significance import holm
from clir_bench.results.latex import float_table, tier_table
from clir_bench.results.lines import Line

_MARKS = {"better": "+", "worse": "-", "larger": "+", "smaller": "-"}


def comparison_latex(
    task: TaskComparison,
    settings: ResamplingSettings,
    alpha: float,
    *,
    caption: str | None,
    label: str | None,
    by_pair: bool,
    n_digits: int,
) -> str:
    """Return one task's table, see `Comparison.to_latex`."""
    hidden = "language" if by_pair else "pair"
    means: dict[Line, dict[str, float]] = {}
    marks: dict[tuple[Line, str], str] = {}
    for row in task.rows:
        if row.found.target.level != hidden:
            means.setdefault(row.line, {task.baseline: row.found.baseline})[row.system] = (
                row.found.system
            )
            marks[row.line, row.system] = _MARKS.get(row.verdict(alpha), "")
    best = best_groups(task, means, settings, alpha)

    def cell(line: Line, column: int) -> Markup:
        system = task.systems[column]
        number, mark = fixed(means[line][system], n_digits), marks.get((line, system))
        shown = rf"\textbf{{{number}}}" if system in best.get(line, ()) else number
        return Markup(f"{shown}$^{{{mark}}}$" if mark else shown)

    text = (
        f"{task.measure} on {task.title}, {task.split}. Bold: the best system of a row, and those "
        f"that a paired randomization test (Holm's correction, alpha = {alpha:g}) does not tell "
        f"apart from it. Superscripts: above (+) or below (-) {task.baseline}, by the same test."
    )
    notes = " ".join(f"Note: {note}." for note in task.notes)
    return float_table(
        tier_table(list(means), task.systems, cell),
        caption=caption if caption is not None else f"{text} {notes}".rstrip(),
        label=label,
    )


def best_groups(
    task: TaskComparison,
    means: Mapping[Line, Mapping[str, float]],
    settings: ResamplingSettings,
    alpha: float,
) -> dict[Line, Sequence[str]]:
    """Return the first rank group of every line: its best system, and those not told apart from it.

    Each line gets the group that `groups.rank_groups` would give it, with Holm's correction over
    all tests of lines of one level. A gap has no best system.
    """
    ranked = {
        line: sorted(systems, key=lambda system: (-systems[system], system))
        for line, systems in means.items()
        if line.level != "gap"
    }
    tests: dict[tuple[str, str], dict[Line, float]] = {}
    for leader, *others in ranked.values():
        for other in others:
            if (leader, other) not in tests:
                tests[leader, other] = _p_values(task, leader, other, settings)
    families: dict[tuple[bool, str], list[tuple[Line, str, float]]] = {}
    for line, (leader, *others) in ranked.items():
        family = families.setdefault((line.pool, line.level), [])
        family += ((line, other, tests[leader, other][line]) for other in others)
    apart: dict[Line, set[str]] = {}
    for family in families.values():
        for (line, other, _), p_holm in zip(family, holm([p for *_, p in family]), strict=True):
            if p_holm <= alpha:
                apart.setdefault(line, set()).add(other)
    found: dict[Line, Sequence[str]] = {}
    for line, systems in ranked.items():
        end = next((n for n, name in enumerate(systems) if name in apart.get(line, ())), None)
        found[line] = systems[:end]
    return found


def _p_values(
    task: TaskComparison, one: str, other: str, settings: ResamplingSettings
) -> dict[Line, float]:
    """Return the p-value of every line's difference between two systems."""
    known = {
        row.line: row.found.p_value
        for row in task.rows
        if task.baseline in (one, other) and row.system in (one, other)
    }
    if known:  # swapping the two systems changes no p-value
        return known
    return {
        Line(pool, found.target.level, found.target.tier, found.target.name): found.p_value
        for pool, part in task.parts().items()
        for found in paired_differences(
            part[one], part[other], task.measure,
            scheme=task.tiers, parallel_queries=task.parallel_queries,
            settings=replace(settings, n_resamples=1),
        )
    }  # fmt: skip
