"""Turns comparisons into tables, and summarises them in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clir_bench.analysis.comparison.report import Comparison
from clir_bench.analysis.comparison.rows import ComparisonRow, TaskComparison
from clir_bench.analysis.comparison.targets import Level
from clir_bench.core.display import fixed
from clir_bench.core.tables import Column, Fold, Table, cut
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_record import with_arithmetic
from clir_bench.tasks.languages import TIERS, resolve

_LONGEST_HEADING = 12


def comparison_tables(comparison: Comparison, *, by_pair: bool = False) -> list[Table]:
    """Return the tables of a comparison.

    Args:
        comparison: The comparison.
        by_pair: One line per pair instead of one per language.
    """
    pages = [_Page(task, comparison.alpha, by_pair) for task in comparison.tasks]
    return [
        *(table for page in pages for table in page.tables()),
        Table(notes=(_legend(comparison),)),
    ]


def _legend(comparison: Comparison) -> tuple[str, ...]:
    settings = comparison.settings
    return (
        "difference: system minus baseline, with a 95% bootstrap interval "
        f"({settings.n_resamples:,} replicates; not corrected for how many there are)",
        f"p: paired randomization test, {settings.n_flips:,} flips, seed {settings.seed}; "
        "= marks that all flips were counted",
        "p Holm: p corrected for all lines of that kind, of all systems, on the task and measure",
        "effect: difference over the standard deviation of per-query differences",
        f"better, worse, larger, smaller: p Holm is at most {comparison.alpha:g}; "
        "not told apart, or neither: it is above",
    )


class _Page:
    """One task's tables."""

    def __init__(self, task: TaskComparison, alpha: float, by_pair: bool) -> None:
        self.task, self.alpha = task, alpha
        self.level: Level = "pair" if by_pair else "language"

    def tables(self) -> list[Table]:
        task = self.task
        tables = [Table(f"{task.title}, {task.split}, {task.measure}")]
        for system in task.systems[1:]:
            title = f"{self.name(system)} against {self.name(task.baseline)}"
            tables += self.part(system, title, pool=False)
            if task.rows_of(system, pool=True):
                tables += self.part(system, "one pool of all languages (*-mul):", pool=True)
        return [*tables, Table(notes=(self.remarks(),))]

    def name(self, system: str) -> str:
        return with_arithmetic(system, self.task.dtypes.get(system, "float32"))

    def part(self, system: str, title: str, *, pool: bool) -> list[Table]:
        """Return two tables of a system's pairs or of a pool, and sentences that sum them up."""
        rows = self.task.rows_of(system, pool=pool)
        own = sorted((row for row in rows if row.found.target.level == self.level), key=_by_tier)
        means = [row for row in rows if row.found.target.level in ("tier", "overall", "gap")]
        notes = (tuple(self.sentences(own, means)),)
        tier = Column("tier", drop=60)
        return [
            Table(
                title, [tier, *self.columns(system, self.level, "queries")],
                [[row.found.target.tier, *self.cells(row)] for row in own], level=3 + pool,
            ),
            Table(
                "", self.columns(system, f"tiers: {self.task.scheme}", "members"),
                [self.cells(row) for row in means], notes=notes,
            ),
        ]  # fmt: skip

    def columns(self, system: str, first: str, size: str) -> list[Column]:
        names = self.task.baseline, system
        short: Sequence[str] = [cut(name, _LONGEST_HEADING) for name in names]
        if short[0] == short[1]:
            short = ("baseline", "system")
        return [
            Column(first),
            Column(size, right=True, drop=50),
            *(
                Column(name, fixed, right=True, drop=90, folds=(Fold(1, heading, fixed),))
                for name, heading in zip(names, short, strict=True)
            ),
            Column(
                "difference [95% interval]", _difference, right=True,
                folds=(
                    Fold(0, "difference [95%]", _difference),
                    Fold(120, "difference", lambda value: fixed(value.mean, sign=True),
                         "intervals"),
                ),
            ),
            Column("effect", _effect, right=True, drop=20),
            *(Column(name, right=True, drop=10) for name in ("won", "tied", "lost")),
            Column("p", right=True, drop=30),
            Column("p Holm", _p_value, right=True, drop=40),
            Column("verdict", folds=(Fold(45, "verdict", _short_verdict),)),
        ]  # fmt: skip

    def cells(self, row: ComparisonRow) -> list[Any]:
        found, target, counts = row.found, row.found.target, row.found.counts
        by_language = target.level == self.level
        name = target.name
        if target.level == "language":
            name = f"{name} {resolve(name).name}"
        won = (counts.wins, counts.ties, counts.losses) if counts else (None, None, None)
        return [
            name,
            sum(n or 0 for n in won) if by_language else len(target.members),
            found.baseline,
            found.system,
            found.difference,
            found.effect_size,
            *won,
            ("=" if found.exact else "") + _p_value(found.p_value),
            row.p_holm,
            row.verdict(self.alpha),
        ]

    def sentences(self, own: Sequence[ComparisonRow], means: Sequence[ComparisonRow]) -> list[str]:
        """Return how many languages are better and worse, and how the gap changes."""
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

    def families(self, own: Sequence[ComparisonRow], means: Sequence[ComparisonRow]) -> str:
        """Return the families of tests and their sizes."""
        sizes = {row.found.target.level: row.n_family for row in (*own, *means)}
        n_systems = len(self.task.systems) - 1
        listing = ", ".join(f"{size} {_kind(level, size)}" for level, size in sizes.items())
        over = f" over all {n_systems} systems" if n_systems > 1 else ""
        return f"p Holm is corrected for {listing}{over}"

    def remarks(self) -> tuple[str, ...]:
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
        return (*lines, *(f"note: {note}" for note in self.task.notes))


def _kind(level: Level, number: int) -> str:
    name = "mean" if level == "overall" else level
    return name if number == 1 else f"{name}s"


def _by_tier(row: ComparisonRow) -> tuple[int, str]:
    return TIERS.index(row.found.target.tier or "unknown"), row.found.target.name


def _difference(value: Estimate) -> str:
    low, high = fixed(value.low, 3, sign=True), fixed(value.high, 3, sign=True)
    return f"{fixed(value.mean, sign=True)} [{low}, {high}]"


def _effect(size: float | None) -> str:
    return "-" if size is None else fixed(size, 2, sign=True)


def _short_verdict(verdict: str) -> str:
    return "neither" if verdict == "not told apart" else verdict


def _p_value(p_value: float) -> str:
    return f"{p_value:.4f}" if p_value >= 0.00005 else f"{p_value:.1e}"
