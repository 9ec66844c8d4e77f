"""Comparisons as text or Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from clir_bench.analysis.comparison.report import Comparison
from clir_bench.analysis.comparison.rows import Row, TaskComparison
from clir_bench.analysis.comparison.targets import Level
from clir_bench.core.display import fixed
from clir_bench.tasks.languages import resolve

_TIERS = ("low", "mid", "high", "unknown")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")
_ALIGN = ("left", "left", *["right"] * 11, "left")


def comparison_text(
    comparison: Comparison, *, by_pair: bool = False, markdown: bool = False
) -> str:
    """Return the tables of a comparison, and in sentences what they come to.

    Args:
        comparison: The comparison.
        by_pair: A line a pair instead of a line a language.
        markdown: GitHub's Markdown instead of plain text; names are escaped.
    """
    parts = [_Page(task, comparison.alpha, by_pair, markdown).text() for task in comparison.tasks]
    parts.append(_lines(_legend(comparison), markdown))
    return "\n\n".join(parts)


def _legend(comparison: Comparison) -> list[str]:
    settings = comparison.settings
    return [
        "difference: system minus baseline, with a 95% bootstrap interval "
        f"({settings.n_resamples:,} replicates; not corrected for how many there are)",
        f"p: paired randomization test, {settings.n_flips:,} flips, seed {settings.seed}; "
        "= marks that all flips were counted",
        "p Holm: p corrected for all lines of that kind, of all systems, on the task and measure",
        "effect: difference over the standard deviation of per-query differences",
        f"better, worse, larger, smaller: p Holm is at most {comparison.alpha:g}",
    ]


def _lines(lines: Sequence[str], markdown: bool) -> str:
    """Return lines below each other, which in Markdown takes a list."""
    return "\n".join(f"- {line}" if markdown else line for line in lines)


class _Page:
    """One task's tables."""

    def __init__(self, task: TaskComparison, alpha: float, by_pair: bool, markdown: bool) -> None:
        self.task, self.alpha = task, alpha
        self.level: Level = "pair" if by_pair else "language"
        self.markdown = markdown

    def text(self) -> str:
        task = self.task
        title = f"{task.title}, {task.split}, {task.measure}"
        parts = [self.name(title, heading="##")]
        for system in task.systems[1:]:
            heading = f"{system} against {task.baseline}"
            parts.append(self.name(heading, heading="###"))
            parts += self.part(task.rows_of(system, pool=False))
            if pool := task.rows_of(system, pool=True):
                parts.append(self.name("one pool of all languages (*-mul):"))
                parts += self.part(pool)
        parts.append(self.remarks())
        return "\n\n".join(parts)

    def name(self, text: str, *, heading: str = "") -> str:
        """Return a name or sentence, escaped and marked up in Markdown."""
        if not self.markdown:
            return text
        escaped = _MARKDOWN.sub(r"\\\1", text)
        return f"{heading} {escaped}" if heading else escaped

    def lines(self, lines: Sequence[str]) -> str:
        """Return sentences, each on its own line."""
        return _lines([self.name(line) for line in lines], self.markdown)

    def part(self, rows: Sequence[Row]) -> list[str]:
        """Return the two tables of pairs or of a pool, and what they come to."""
        own = sorted((row for row in rows if row.found.target.level == self.level), key=_by_tier)
        means = [row for row in rows if row.found.target.level in ("tier", "overall", "gap")]
        return [
            self.table(own, self.level),
            self.table(means, f"tiers: {self.task.scheme}"),
            self.lines(self.sentences(own, means)),
        ]

    def table(self, rows: Iterable[Row], first: str) -> str:
        by_language = first == self.level
        header = [
            "tier" if by_language else "",
            first,
            "queries" if by_language else "members",
            self.name(self.task.baseline),
            "system",
            "difference [95% interval]",
            "effect",
            "won",
            "tied",
            "lost",
            "p",
            "p Holm",
            "",
        ]
        skip = 0 if by_language else 1
        table = [self.cells(row)[skip:] for row in rows]
        return tabulate(
            table,
            header[skip:],
            tablefmt="github" if self.markdown else "simple",
            disable_numparse=True,
            colalign=(*_ALIGN[skip : len(header) - 1], "left"),
        )

    def cells(self, row: Row) -> list[str]:
        found, target = row.found, row.found.target
        by_language = target.level == self.level
        name = target.name
        if target.level == "language":
            name = f"{name} {resolve(name).name}"
        size = sum(_counts(row)) if by_language else len(target.members)
        shown = found.difference
        return [
            target.tier or "",
            self.name(name),
            f"{size:,}",
            fixed(found.baseline),
            fixed(found.system),
            f"{fixed(shown.mean, sign=True)} "
            f"[{fixed(shown.low, 3, sign=True)}, {fixed(shown.high, 3, sign=True)}]",
            "-" if found.effect_size is None else fixed(found.effect_size, 2, sign=True),
            *(f"{count:,}" if found.counts else "-" for count in _counts(row)),
            ("=" if found.exact else "") + _p_value(found.p_value),
            _p_value(row.p_holm),
            row.verdict(self.alpha),
        ]

    def sentences(self, own: Sequence[Row], means: Sequence[Row]) -> list[str]:
        """Return how many languages are better and worse, and what the gap does."""
        verdicts = [row.verdict(self.alpha) for row in own]
        counted = ", ".join(
            f"{verdicts.count(verdict)} {verdict}"
            for verdict in ("better", "worse", "not told apart")
        )
        lines = [f"{self.level}s: {counted} ({self.families(own, means)})"]
        gaps = [row for row in means if row.found.target.level == "gap"]
        for row in gaps:
            found = row.found
            verdict = row.verdict(self.alpha)
            real = "is not told apart from" if verdict == "not told apart" else f"is {verdict} than"
            lines.append(
                f"gap, high - low: {fixed(found.system)} {real} the baseline's "
                f"{fixed(found.baseline)}"
            )
        if not gaps:
            lines.append(f"no gap: {self.task.scheme} puts no language into low, or none into high")
        return lines

    def families(self, own: Sequence[Row], means: Sequence[Row]) -> str:
        """Return the families of tests and their sizes."""
        sizes = {row.found.target.level: row.n_family for row in (*own, *means)}
        n_systems = len(self.task.systems) - 1
        listing = ", ".join(f"{size} {_kind(level, size)}" for level, size in sizes.items())
        over = f" over all {n_systems} systems" if n_systems > 1 else ""
        return f"p Holm is corrected for {listing}{over}"

    def remarks(self) -> str:
        """Return the rank groups, and what a reader should know."""
        lines = []
        for title, ranks in (
            ("rank groups by the mean over all languages", self.task.ranks),
            ("rank groups by the mean over the pool", self.task.pool_ranks),
        ):
            groups: dict[int, list[str]] = {}
            for system, rank in ranks.items():
                groups.setdefault(rank, []).append(system)
            if groups:
                listing = "; ".join(f"{rank}: {', '.join(names)}" for rank, names in groups.items())
                lines.append(f"{title}: {listing}")
        return self.lines([*lines, *(f"note: {note}" for note in self.task.notes)])


def _kind(level: Level, number: int) -> str:
    name = "mean" if level == "overall" else level
    return name if number == 1 else f"{name}s"


def _by_tier(row: Row) -> tuple[int, str]:
    return _TIERS.index(row.found.target.tier or "unknown"), row.found.target.name


def _counts(row: Row) -> tuple[int, int, int]:
    counts = row.found.counts
    return (counts.wins, counts.ties, counts.losses) if counts else (0, 0, 0)


def _p_value(p_value: float) -> str:
    return f"{p_value:.4f}" if p_value >= 0.00005 else f"{p_value:.1e}"
