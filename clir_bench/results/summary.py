"""Computes the parts of a result beyond its pairs: means, tiers, environment."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass

from clir_bench.core import provenance
from clir_bench.core.provenance import VERSION
from clir_bench.metrics.means import Estimate, GroupMeans, Summary, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import (
    Environment,
    Group,
    PairResult,
    PoolMeans,
    Result,
    Score,
    Scores,
    SettingsRecord,
    TaskRecord,
    TierSummary,
)
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import TierScheme, load_scheme, pair_language, pair_tier
from clir_bench.types import POOL, LanguagePair


@dataclass(frozen=True)
class Means:
    """The means of a task under one tier scheme, as `Result` has them."""

    scheme: TierScheme
    pairs: Mapping[LanguagePair, Mapping[str, Estimate]]
    languages: dict[str, Group]
    tiers: TierSummary
    overall: Scores
    pool: PoolMeans | None

    def told(self, pairs: Mapping[str, PairResult]) -> dict[str, PairResult]:
        """Return `pairs` with tiers by the scheme, and with the scores of those that are done."""
        found = {}
        for name, known in pairs.items():
            pair = LanguagePair.parse(name)
            found[name] = known.model_copy(
                update={
                    "tier": pair_tier(pair, self.scheme),
                    "language": pair_language(pair, self.scheme),
                    "scores": as_scores(self.pairs.get(pair, {})),
                }
            )
        return found


def means_of(
    scores: Mapping[LanguagePair, QueryScores],
    scheme: TierScheme,
    *,
    pooled: bool,
    parallel_queries: bool,
    settings: SettingsRecord,
) -> Means:
    """Return the means of a task.

    Args:
        scores: Per-query values of the pairs that are done, all of the same measures.
        scheme: What decides a pair's tier and language.
        pooled: Summarise pairs with a pool of languages separately.
        parallel_queries: Whether equal ids in two query languages are the same question.
        settings: Seed and size of the bootstrap.
    """

    def summary(apart: bool) -> Summary | None:
        some = {pair: v for pair, v in scores.items() if (pooled and is_pool(pair)) == apart}
        if not some:
            return None
        return summarise(
            some,
            scheme,
            parallel_queries=parallel_queries,
            n_resamples=settings.n_resamples,
            seed=settings.seed,
        )

    main, pool = summary(apart=False), summary(apart=True)
    return Means(
        scheme=scheme,
        pairs={**(main.pairs if main else {}), **(pool.pairs if pool else {})},
        languages=as_groups(main.languages) if main else {},
        tiers=tier_summary(scheme, main),
        overall=as_scores(main.overall) if main else {},
        pool=PoolMeans(
            languages=as_groups(pool.languages),
            tiers=tier_summary(scheme, pool),
            overall=as_scores(pool.overall),
        )
        if pool
        else None,
    )


def with_tiers(
    result: Result, scores: Mapping[LanguagePair, QueryScores], scheme_name: str
) -> Result:
    """Return a result under another tier scheme, from its per-query values.

    Args:
        result: As stored.
        scores: Its pairs' per-query values (`results.store.read_scores`).
        scheme_name: Name of a tier scheme, or a path to one.

    Raises:
        UnknownNameError: There is no such scheme.
        UsageError: The scheme's file is wrong.
    """
    means = means_of(
        scores,
        load_scheme(scheme_name),
        pooled=result.pool is not None,
        parallel_queries=result.task.parallel_queries,
        settings=result.settings,
    )
    return result.model_copy(
        update={
            "pairs": means.told(result.pairs),
            "languages": means.languages,
            "tiers": means.tiers,
            "overall": means.overall,
            "pool": means.pool,
        }
    )


def is_pool(pair: LanguagePair) -> bool:
    """Return whether the pair's documents are in several languages."""
    return pair.document == POOL


def has_pairs_and_pool(card: TaskCard) -> bool:
    """Return whether a task has both pooled and other pairs, which are summarised separately."""
    return len({is_pool(pair) for pair in card.available_pairs()}) > 1


def as_scores(estimates: Mapping[str, Estimate]) -> Scores:
    """Return estimates as a result stores them."""
    return {measure: as_score(estimate) for measure, estimate in estimates.items()}


def as_score(estimate: Estimate) -> Score:
    """Return an estimate as a result stores it."""
    return Score(mean=estimate.mean, interval=(estimate.low, estimate.high))


def as_groups(groups: Mapping[str, GroupMeans]) -> dict[str, Group]:
    """Return means of languages or tiers as a result stores them."""
    return {
        name: Group(tier=group.tier, members=group.members, scores=as_scores(group.scores))
        for name, group in groups.items()
    }


def tier_summary(scheme: TierScheme, summary: Summary | None) -> TierSummary:
    """Return the part of a result that depends on the tier scheme."""
    return TierSummary(
        scheme=scheme.name,
        note=scheme.note,
        means=as_groups({**summary.tiers}) if summary else {},
        gap=as_scores(summary.gap) if summary else {},
        ratio=as_scores(summary.ratio) if summary else {},
        worst_language=dict(summary.worst) if summary else {},
    )


def environment_record(command: str, started: float) -> Environment:
    """Return the environment of the current process."""
    commit, dirty = provenance.git_state()
    moment = datetime.datetime.fromtimestamp(started, tz=datetime.UTC)
    return Environment(
        clir_bench=VERSION,
        python=platform.python_version(),
        platform=provenance.platform_name(),
        packages=provenance.packages(),
        hardware=provenance.hardware(),
        git_commit=commit,
        git_dirty=dirty,
        command=command,
        started=moment.isoformat(timespec="seconds"),
        seconds=round(time.time() - started, 3),
    )


def no_score(task: TaskRecord) -> list[str]:
    """Say why a result can never be a benchmark score; nothing if it can."""
    problems = ["the embedded sample, not the benchmark"] if task.sample else []
    if task.limit is not None:
        problems.append(f"partial: cut to {task.limit} queries and documents (--limit)")
    return problems


def not_for_boards(result: Result) -> list[str]:
    """Say why boards and exports refuse a result; only this function decides it."""
    problems, task = no_score(result.task), result.task
    if not task.sample and (task.unofficial or not task.official):
        problems.append(f"not official: {'; '.join(task.unofficial) or 'no pair is done'}")
    return problems
