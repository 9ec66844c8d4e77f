"""Lists the rows of a result's tables and plots: by tier, then by language, then the means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

from clir_bench.errors import UnknownNameError
from clir_bench.results.schema import Group, Result, Scores, SuiteResult, TierSummary
from clir_bench.tasks.cards import SAMPLE
from clir_bench.tasks.languages import resolve
from clir_bench.types import LanguagePair, Tier

Level: TypeAlias = Literal["pair", "language", "tier", "overall", "gap"]
_NOT_ALL = "not all official pairs"
POOL_TITLE = "one pool of all languages"
TITLES = {"tier": "mean", "overall": "all languages", "gap": "gap, high - low"}


class Line(NamedTuple):
    """One line of a table.

    Attributes:
        pool: Whether it is for a pool of languages (`en-mul`), which tables show separately.
        level: What kind of mean it is.
        tier: The tier of a pair or language, and a tier itself; None for the others.
        name: The pair, the language's code or the tier.
    """

    pool: bool
    level: Level
    tier: Tier | None
    name: str

    @property
    def title(self) -> str:
        """The line's title for readers."""
        return language_title(self.name) if self.level == "language" else TITLES.get(
            self.level, self.name
        )  # fmt: skip


def language_title(code: str) -> str:
    """Return a language's name and code, or the code alone if it has no name here.

    >>> language_title("sw")
    'Swahili (sw)'
    """
    try:
        return f"{resolve(code).name} ({code})"
    except UnknownNameError:
        return code


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Return lines as tables show them: each tier's members, then its mean, then the rest."""
    tiers: tuple[Tier | None, ...] = (*get_args(Tier), None)
    levels = get_args(Level)
    return sorted(
        lines,
        key=lambda line: (
            line.pool,
            tiers.index(line.tier),
            levels.index(line.level),
            line.name,
        ),
    )


def lines_of(result: Result, *, by_pair: bool = False) -> dict[Line, Scores]:
    """Return the scores of every line of a result's table.

    Args:
        result: The result.
        by_pair: A line per pair in place of a line per language.
    """
    found: dict[Line, Scores] = {}
    parts = [(False, result.languages, result.tiers, result.overall)]
    if result.pool is not None:
        parts.append((True, result.pool.languages, result.pool.tiers, result.pool.overall))
    for pool, languages, tiers, overall in parts:
        if by_pair:
            for name, pair in result.pairs.items():
                of_pool = result.pool is not None and LanguagePair.parse(name).document == "mul"
                if pair.status == "done" and of_pool == pool:
                    found[Line(pool, "pair", pair.tier, name)] = pair.scores
        else:
            found |= _groups(pool, "language", languages)
        found |= _means(pool, tiers, overall)
    return {line: found[line] for line in in_order(found)}


def _groups(pool: bool, level: Level, groups: Mapping[str, Group]) -> dict[Line, Scores]:
    return {Line(pool, level, group.tier, name): group.scores for name, group in groups.items()}


def _means(pool: bool, tiers: TierSummary, overall: Scores) -> dict[Line, Scores]:
    found = _groups(pool, "tier", tiers.means)
    if overall:
        found[Line(pool, "overall", None, "all languages")] = overall
    if tiers.gap:
        found[Line(pool, "gap", None, "high - low")] = tiers.gap
    return found


def _sample_title(title: str, name: str, *marks: str) -> str:
    """Say that a sample is no benchmark; it has its own languages too."""
    mark = f" ({'; '.join(marks)})" if marks else ""
    return f"{name}: embedded sample, made for trying out; not data of {title}{mark}"


def task_title(result: Result | SuiteResult) -> str:
    """Return a task's or suite's title, its split, and why its scores are not official."""
    if isinstance(result, SuiteResult):
        marks = [] if result.official else ["NOT OFFICIAL"]
        if any(part.split == SAMPLE for part in result.parts):
            return _sample_title(result.title, result.suite)
        title = result.title
    else:
        task = result.task
        title, marks = f"{task.title}, {task.split}", []
        if task.sample:
            return _sample_title(task.title, task.id, *[] if task.complete else [_NOT_ALL])
        if task.limit is not None:
            marks.append(f"partial, --limit {task.limit}")
        elif task.unofficial:
            marks.append("NOT OFFICIAL")
        if not task.complete:
            marks.append(_NOT_ALL)
    return f"{title} ({'; '.join(marks)})" if marks else title
