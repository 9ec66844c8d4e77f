"""Makes the records of tasks and pairs in a result, and lists how two results differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from clir_bench.results.schema import PairResult, Result, SettingsRecord, SuiteResult, TaskRecord
from clir_bench.results.system_record import SystemRecord
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.languages import TierScheme, pair_language, pair_tier
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.measures import looks_at, parse_measures
from clir_bench.types import LanguagePair

Hashes = tuple[str | None, str | None]
FileState = tuple[int, int, int] | None


def task_record(
    loader: Loader, measures: tuple[str, ...], pairs: Mapping[str, PairResult]
) -> TaskRecord:
    """Return the record of a task with these pairs."""
    done = {name: pair for name, pair in pairs.items() if pair.status == "done"}
    reasons = dict.fromkeys(reason for pair in done.values() for reason in pair.unofficial)
    official_pairs = [str(pair) for pair in loader.card.official_pairs()]
    hashes = "\n".join(f"{name} {done[name].data_sha256}" for name in sorted(done))
    return TaskRecord(
        id=loader.card.id,
        title=loader.card.title,
        version=loader.card.version,
        card_sha256=loader.card.sha256(),
        split=loader.split,
        measures=measures,
        parallel_queries=loader.card.parallel_queries,
        official=bool(done) and not reasons,
        unofficial=tuple(reasons),
        sample=loader.split == SAMPLE,
        limit=loader.limit,
        complete=all(name in done for name in official_pairs),
        data_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
    )


def deeper_than(card: TaskCard, depth: int) -> list[str]:
    """Return the task's measures that look deeper than `depth`."""
    return [name for name in parse_measures(card.measures) if looks_at(name) > depth]


def too_shallow(card: TaskCard, depth: int) -> list[str]:
    """Say that rankings are too shallow for the task's measures and for boards."""
    deeper = deeper_than(card, depth)
    if not deeper or depth >= (kept := card.submission.depth):
        return []
    return [
        f"rankings of {depth:,} documents per query: too few for the task's "
        f"{', '.join(deeper)}, and for boards, which keep {kept:,}"
    ]


def unscored(
    pair: LanguagePair,
    scheme: TierScheme,
    status: Literal["failed", "not run"],
    error: str | None = None,
) -> PairResult:
    """Return the record of a pair without scores."""
    return PairResult(
        tier=pair_tier(pair, scheme),
        language=pair_language(pair, scheme),
        status=status,
        error=error,
    )


def differences(
    earlier: Result | SuiteResult,
    system: SystemRecord,
    loader: Loader,
    settings: SettingsRecord,
    *,
    any_depth: bool,
) -> list[str]:
    """Name the differences that forbid adding to an earlier result; `any_depth` ignores `top_k`."""
    if not isinstance(earlier, Result):
        return ["kind of result (a suite's)"]
    found = earlier.system.differences(system)
    if earlier.task.card_sha256 != loader.card.sha256():
        found.append("version of the task's card")
    if (earlier.task.split, earlier.task.limit) != (loader.split, loader.limit):
        found.append(f"split or --limit ({earlier.task.split}, {earlier.task.limit})")
    if earlier.settings.top_k != settings.top_k and not any_depth:
        found.append(f"--top-k ({earlier.settings.top_k})")
    if earlier.settings.index != settings.index:
        found.append(f"--index ({earlier.settings.index or 'exact'})")
    return found


def hashes_of(stored: PairResult) -> Hashes:
    """Return the hashes of a pair's files."""
    return stored.run_sha256, stored.values_sha256


def state_of(path: Path) -> FileState:
    """Return a state that changes when the file does, None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
