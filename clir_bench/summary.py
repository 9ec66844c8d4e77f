"""Means, tiers and surroundings as a result stores them."""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Mapping

import clir_bench
from clir_bench import environment
from clir_bench.aggregate import Estimate, GroupMeans, Summary
from clir_bench.cards import TaskCard
from clir_bench.languages import TierScheme
from clir_bench.results import Environment, Group, Score, Scores, TierSummary
from clir_bench.types import POOL, LanguagePair


def is_pool(pair: LanguagePair) -> bool:
    """Return whether the pair's documents are in several languages."""
    return pair.document == POOL


def has_pairs_and_pool(card: TaskCard) -> bool:
    """Return whether a task has pooled pairs beside others, which are summed up apart."""
    return len({is_pool(pair) for pair in card.available_pairs()}) > 1


def as_scores(estimates: Mapping[str, Estimate]) -> Scores:
    """Return estimates as a result stores them."""
    return {
        measure: Score(mean=estimate.mean, interval=(estimate.low, estimate.high))
        for measure, estimate in estimates.items()
    }


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
    """Return where and how the current process runs."""
    commit, dirty = environment.git_state()
    moment = datetime.datetime.fromtimestamp(started, tz=datetime.UTC)
    return Environment(
        clir_bench=clir_bench.__version__,
        python=platform.python_version(),
        platform=environment.platform_name(),
        packages=environment.packages(),
        hardware=environment.hardware(),
        git_commit=commit,
        git_dirty=dirty,
        command=command,
        started=moment.isoformat(timespec="seconds"),
        seconds=round(time.time() - started, 3),
    )
