"""Compares several systems with a baseline on several tasks, corrected for the number of tests.

Holm's correction is applied within families of tests. A family holds all tests of one kind on one
task by one measure, for all systems: those of pairs, of languages, of tiers, of the means over all
languages, or of gaps. Pairs with a pool of languages form families of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clir_bench.analysis.comparison.comparable import (
    done_pairs,
    notes_on,
    problems_between,
    problems_of,
)
from clir_bench.analysis.comparison.figures import comparison_figure, comparison_html
from clir_bench.analysis.comparison.groups import ALPHA, rank_groups
from clir_bench.analysis.comparison.latex import comparison_latex
from clir_bench.analysis.comparison.paired import Difference, Settings, paired_differences
from clir_bench.analysis.comparison.rows import ComparisonRow, SystemScores, TaskComparison
from clir_bench.analysis.comparison.systems import ComparedSystem, StoredResult, TaskSplit
from clir_bench.analysis.comparison.targets import LEVELS, Level
from clir_bench.errors import ResultError, UsageError
from clir_bench.metrics.significance import holm
from clir_bench.results.frames import frame
from clir_bench.results.store import read_scores
from clir_bench.results.summary import is_pool
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True)
class Selection:
    """What of the results to compare.

    Attributes:
        tasks: Only these tasks; all when empty.
        measures: Only these measures; each task's primary one when empty.
        pairs: Only pairs that these rules name (see `comparable.done_pairs`); all when empty.
        common_pairs: Where systems have different pairs, compare those that all have.
    """

    tasks: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    common_pairs: bool = False


_EVERYTHING = Selection()


@dataclass(frozen=True)
class Refusal:
    """A result that is not compared, and why.

    Attributes:
        of: The task.
        system: The system that the result is of.
        reason: Why, with the file.
    """

    of: TaskSplit
    system: str
    reason: str

    def __str__(self) -> str:
        return f"{self.of}, {self.system}: {self.reason}"


@dataclass(frozen=True, repr=False)
class Comparison:
    """All comparisons, and what could not be compared.

    Attributes:
        tasks: What could be compared, one entry per task and measure.
        refused: Results that could not be, and why.
    """

    tasks: tuple[TaskComparison, ...]
    refused: tuple[Refusal, ...]
    settings: Settings
    alpha: float

    def rows(self) -> list[dict[str, Any]]:
        """Return every difference with all its numbers, by name."""
        return [
            {
                "task": task.task,
                "split": task.split,
                "measure": task.measure,
                "scheme": task.scheme,
                "baseline": task.baseline,
                **row.values(self.alpha),
            }
            for task in self.tasks
            for row in task.rows
        ]

    def to_frame(self) -> DataFrame:
        """Return a data frame (pandas) with a row per pair, language, tier, mean and gap.

        Raises:
            UsageError: pandas is not installed.
        """
        return frame(self.rows())

    def to_latex(
        self,
        *,
        caption: str | None = None,
        label: str | None = None,
        by_pair: bool = False,
        n_digits: int = 3,
    ) -> str:
        r"""Return a table per task and measure: a row per language by tier, a column per system.

        The systems that cannot be told apart from the best one of a row are bold. A superscript
        marks what is told apart from the baseline: + above it, - below it.

        Args:
            caption: Replaces the one that says what the table shows; escaped, unless it is a
                `core.latex.Markup`.
            label: What `\\ref` calls it.
            by_pair: A row per pair in place of a row per language.
            n_digits: Decimals.
        """
        tables = [
            comparison_latex(
                task, self.settings, self.alpha,
                caption=caption, label=label, by_pair=by_pair, n_digits=n_digits,
            )
            for task in self.tasks
        ]  # fmt: skip
        return "\n".join(tables)

    def plot(self, kind: str = "languages") -> Figure:
        """Return a figure (matplotlib) with a panel per task, measure and system.

        Args:
            kind: "languages" or "tiers" for the differences of these with their intervals, full
                where they are told apart; "queries" for each query's difference, by language.

        Raises:
            UsageError: matplotlib is not installed, or there is no such plot.
        """
        return comparison_figure(self.tasks, kind, self.alpha)

    def __repr__(self) -> str:
        """Name the systems and what they are compared on."""
        of = (f"{t.measure} on {t.task}: {', '.join(t.systems)}" for t in self.tasks)
        return f"<Comparison: {'; '.join(of)}>"

    def _repr_html_(self) -> str:
        return "\n".join(comparison_html(task, self.alpha) for task in self.tasks)


def compare(
    systems: Sequence[ComparedSystem],
    *,
    scheme: TierScheme,
    settings: Settings,
    alpha: float = ALPHA,
    selection: Selection = _EVERYTHING,
) -> Comparison:
    """Compare the first system with each other one, on every task they share.

    Args:
        systems: At least two, the baseline first.
        scheme: What decides a pair's tier and language.
        settings: Size and seed of the resampling.
        alpha: Corrected p-values up to this tell apart.
        selection: What of the results to compare.

    Raises:
        UsageError: There is nothing to compare.
        ResultError: No results can be compared; says why.
        DataError: A file of per-query values is missing or broken.
    """
    if len(systems) < 2:
        only = systems[0].label if systems else "none"
        raise UsageError(
            f"compare takes results of two or more systems, and these are all of {only}"
        )
    found: list[TaskComparison] = []
    refused: list[Refusal] = []
    for of in systems[0].results:
        having = [system for system in systems if of in system.results]
        if (selection.tasks and of.task not in selection.tasks) or len(having) < 2:
            continue
        by = selection.measures or systems[0].results[of].result.task.measures[:1]
        refusals = _refusals(having, of, by, selection)
        refused += refusals
        kept = [system for system in having if system.label not in {r.system for r in refusals}]
        if having[0] not in kept or len(kept) < 2:
            continue
        stored = {system.label: system.results[of] for system in kept}
        if not _common(stored, selection.pairs):
            refused.append(Refusal(of, having[0].label, "no pair is done in all systems"))
            continue
        scores = _scores(stored, selection.pairs)
        notes = notes_on([result for _, result in stored.values()], _pairs_of(scores))
        if absent := [system.label for system in systems if system not in having]:
            notes.append(f"no result of {', '.join(absent)}")
        for measure in by:
            compared = _compare_task(
                of, measure, stored, scores, scheme=scheme, settings=settings, alpha=alpha
            )
            found.append(replace(compared, notes=(*notes, *compared.notes)))
    if not found:
        raise _nothing(systems, selection.tasks, refused)
    return Comparison(tuple(found), tuple(refused), settings, alpha)


def _compare_task(
    of: TaskSplit,
    measure: str,
    stored: Mapping[str, StoredResult],
    scores: Mapping[str, SystemScores],
    *,
    scheme: TierScheme,
    settings: Settings,
    alpha: float,
) -> TaskComparison:
    labels = list(stored)
    results = [stored[label].result for label in labels]
    parallel = any(result.task.parallel_queries for result in results)
    pooled = any(result.pool is not None for result in results)
    rows: list[ComparisonRow] = []
    ranks: list[dict[str, int]] = []
    for apart in (False, True):
        part = {label: _part(scores[label], apart, pooled=pooled) for label in labels}
        if not part[labels[0]]:
            ranks.append({})
            continue
        by_system = {
            label: paired_differences(
                part[labels[0]], part[label], measure,
                scheme=scheme, parallel_queries=parallel, settings=settings,
            )
            for label in labels[1:]
        }  # fmt: skip
        rows += _corrected(by_system, pool=apart)
        ranks.append(
            rank_groups(
                part, measure, scheme=scheme, parallel_queries=parallel,
                n_resamples=settings.n_flips, seed=settings.seed, alpha=alpha,
            )
        )  # fmt: skip
    return TaskComparison(
        task=of.task,
        title=results[0].task.title,
        split=of.split,
        measure=measure,
        scheme=scheme.name,
        systems=tuple(labels),
        rows=tuple(rows),
        ranks=ranks[0] or ranks[1],
        pool_ranks=ranks[1] if ranks[0] else {},
        notes=tuple(_coarse(rows, settings, alpha)),
        scores=scores,
        tiers=scheme,
        parallel_queries=parallel,
        dtypes={label: stored[label].result.system.dtype for label in labels},
    )


def _pairs_of(scores: Mapping[str, SystemScores]) -> set[str]:
    return {str(pair) for pairs in scores.values() for pair in pairs}


def _part(scores: SystemScores, apart: bool, *, pooled: bool) -> SystemScores:
    """Return the pairs with a pool of languages, or the others, where a task has both."""
    return {pair: found for pair, found in scores.items() if (pooled and is_pool(pair)) == apart}


def _corrected(by_system: Mapping[str, Sequence[Difference]], *, pool: bool) -> list[ComparisonRow]:
    """Return all differences as rows, corrected within each level."""
    families: dict[Level, list[tuple[str, Difference]]] = {level: [] for level in LEVELS}
    for system, differences in by_system.items():
        for difference in differences:
            families[difference.target.level].append((system, difference))
    return [
        ComparisonRow(system, pool, difference, p_holm, len(family))
        for family in families.values()
        for (system, difference), p_holm in zip(
            family, holm([difference.p_value for _, difference in family]), strict=True
        )
    ]


def _coarse(rows: Sequence[ComparisonRow], settings: Settings, alpha: float) -> list[str]:
    """Return a note when too few flips are drawn to tell anything apart in a large family."""
    needed = max((row.n_family for row in rows if not row.found.exact), default=0) / alpha
    if needed <= settings.n_flips + 1:
        return []
    return [
        f"{settings.n_flips:,} flips give no p-value small enough for the largest family; "
        f"--flips {int(needed)} and more can"
    ]


def _refusals(
    systems: Sequence[ComparedSystem], of: TaskSplit, measures: Sequence[str], selection: Selection
) -> list[Refusal]:
    """Return which results of a task cannot be compared with the first system's, and why."""
    found = []
    baseline, result = systems[0].results[of]
    if problems := problems_of(result):
        return [Refusal(of, systems[0].label, f"{baseline}: {'; '.join(problems)}")]
    for system in systems[1:]:
        path, other = system.results[of]
        problems = problems_of(other) or problems_between(
            result,
            other,
            measures,
            rules=selection.pairs,
            common_pairs=selection.common_pairs,
        )
        if problems:
            reason = f"{path} against {baseline}: {'; '.join(problems)}"
            found.append(Refusal(of, system.label, reason))
    return found


def _common(stored: Mapping[str, StoredResult], rules: Sequence[str]) -> set[str]:
    """Return the names of the pairs to compare: those that all systems have."""
    return set.intersection(*(done_pairs(result, rules) for _, result in stored.values()))


def _scores(stored: Mapping[str, StoredResult], rules: Sequence[str]) -> dict[str, SystemScores]:
    """Return the per-query values of the pairs that all have, pairs sorted."""
    pairs = [LanguagePair.parse(name) for name in _common(stored, rules)]
    found = {}
    for label, (path, result) in stored.items():
        scores = read_scores(path, result, pairs)
        found[label] = {pair: scores[pair] for pair in sorted(scores)}
    return found


def _nothing(
    systems: Sequence[ComparedSystem], tasks: Sequence[str], refused: Sequence[Refusal]
) -> ResultError:
    if refused:
        listing = "\n".join(f"- {refusal}" for refusal in refused)
        return ResultError(f"nothing here can be compared:\n{listing}")
    listing = "; ".join(
        f"{system.label} has {' and '.join(str(of) for of in system.results)}" for system in systems
    )
    among = f" among {', '.join(tasks)}" if tasks else ""
    return ResultError(
        f"no result of {systems[0].label} and another is of one task and split{among}: {listing}"
    )
