"""Holds the outcome of a comparison, one row per difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clir_bench.analysis.comparison.groups import ALPHA
from clir_bench.analysis.comparison.paired import Difference
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.lines import Line
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair

SystemScores = dict[LanguagePair, QueryScores]


@dataclass(frozen=True)
class ComparisonRow:
    """A difference with its p-value corrected for the family it belongs to.

    Attributes:
        system: The system that is compared with the baseline.
        pool: Whether the difference is over pools of languages.
        p_holm: Corrected by Holm's procedure.
        n_family: How many tests the family has.
    """

    system: str
    pool: bool
    found: Difference
    p_holm: float
    n_family: int

    def verdict(self, alpha: float = ALPHA) -> str:
        """Return "better", "worse" ("larger", "smaller" of a gap) or "not told apart"."""
        if self.p_holm > alpha:
            return "not told apart"
        up, down = (
            ("larger", "smaller") if self.found.target.level == "gap" else ("better", "worse")
        )
        return up if self.found.difference.mean > 0 else down

    @property
    def line(self) -> Line:
        """Where it stands in a table."""
        target = self.found.target
        return Line(self.pool, target.level, target.tier, target.name)

    def values(self, alpha: float = ALPHA) -> dict[str, Any]:
        """Return all numbers by name."""
        found, counts = self.found, self.found.counts
        return {
            "system": self.system,
            "pool": self.pool,
            "level": found.target.level,
            "name": found.target.name,
            "tier": found.target.tier,
            "baseline_mean": found.baseline,
            "system_mean": found.system,
            "difference": found.difference.mean,
            "low": found.difference.low,
            "high": found.difference.high,
            "effect_size": found.effect_size,
            "wins": counts.wins if counts else None,
            "ties": counts.ties if counts else None,
            "losses": counts.losses if counts else None,
            "p": found.p_value,
            "exact": found.exact,
            "p_holm": self.p_holm,
            "family_size": self.n_family,
            "verdict": self.verdict(alpha),
        }


@dataclass(frozen=True)
class TaskComparison:
    """All systems on one task, by one measure.

    Attributes:
        systems: The baseline first.
        rows: Every system and target; pairs and pool apart.
        ranks: Rank group of every system by its mean over all languages; over pools where the task
            has only pools.
        pool_ranks: Rank groups over the pool, where a task has pairs and a pool; else empty.
        notes: What a reader should know.
        scores: Per-query values of every system, of the pairs that all have.
        tiers: The tier scheme.
        parallel_queries: Whether equal ids in two query languages are the same question.
        dtypes: The arithmetic of every system.
    """

    task: str
    title: str
    split: str
    measure: str
    scheme: str
    systems: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]
    ranks: Mapping[str, int]
    pool_ranks: Mapping[str, int]
    notes: tuple[str, ...]
    scores: Mapping[str, SystemScores] = field(repr=False, compare=False)
    tiers: TierScheme = field(repr=False, compare=False)
    parallel_queries: bool
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> dict[bool, dict[str, SystemScores]]:
        """Return the systems' values, those of a pool (True) apart where a task has both."""
        apart = {row.found.target.name for row in self.rows if row.pool}
        parts = {
            pool: {
                system: {pair: v for pair, v in scores.items() if (str(pair) in apart) == pool}
                for system, scores in self.scores.items()
            }
            for pool in (False, True)
        }
        return {pool: part for pool, part in parts.items() if part[self.baseline]}

    @property
    def baseline(self) -> str:
        """The system that the others are compared with."""
        return self.systems[0]

    def rows_of(self, system: str, *, pool: bool) -> list[ComparisonRow]:
        """Return a system's rows."""
        return [row for row in self.rows if row.system == system and row.pool == pool]
