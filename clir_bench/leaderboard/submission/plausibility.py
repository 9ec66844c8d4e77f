"""Finds values in a submitted result that are impossible, whatever the data and the system."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from itertools import chain, pairwise

from clir_bench.core.display import printable
from clir_bench.leaderboard.submission.make import SCHEME
from clir_bench.results.schema import (
    Cost,
    Environment,
    Group,
    PairCounts,
    PairResult,
    Result,
    Scores,
    Submission,
    TierSummary,
)
from clir_bench.results.system_record import SystemRecord
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import load_scheme, pair_language, pair_tier
from clir_bench.types import LanguagePair

_BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""There was no clir-bench before this year."""
_CLOCKS = datetime.timedelta(days=1)
"""By how much clocks and time zones may differ."""
_LONGEST_RUN_SECONDS = 10 * 366 * 86400
_MOST_PARAMETERS = 10**14
_MOST_DIMENSIONS = 10**6
_MOST_BYTES = 2**53
_FASTEST = 1e9
_ROUNDING = 1e-9
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[A-Za-z0-9.+!_-]{0,40}")
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_LANGUAGE = re.compile(r"[a-z]{2,8}")
_SIMILARITIES = ("cosine", "dot", "maxsim", "sparse", "bm25", "fused", "pairs", "none")


def impossible(result: Result, card: TaskCard, depth: int) -> Iterator[str]:
    """Yield a result's impossible statements.

    Args:
        result: A submitted result of one of the task's splits.
        card: The task's card.
        depth: Documents that a submission keeps for each query.
    """
    for environment in (result.environment, *result.later_commands):
        yield from _about_environment(environment)
    yield from _about_system(result.system)
    if result.submission is not None:
        yield from _about_cutting(result, result.submission, depth)
    if not _SHA256.fullmatch(result.task.data_sha256):
        yield "task.data_sha256 is not 64 hexadecimal digits"
    available = {str(pair) for pair in card.available_pairs()}
    for name, pair in result.pairs.items():
        if name in available:
            problems = chain(
                _about_pair(name, pair),
                _about_counts(LanguagePair.parse(name), pair, card, result.task.split, depth),
                _about_cost(pair.cost, len(available)),
                _about_scores(pair.scores, result.task.measures),
            )
            yield from (f"pair {name}: {problem}" for problem in problems)
    yield from _about_means(result)


def _about_environment(environment: Environment) -> Iterator[str]:
    try:
        started = datetime.datetime.fromisoformat(environment.started)
        if started.tzinfo is None:
            started = started.replace(tzinfo=datetime.UTC)
        started = started.astimezone(datetime.UTC)
    except (ValueError, OverflowError):  # the latest possible day, in another time zone
        yield f"environment.started {printable(environment.started)} is not a time"
        return
    seconds = environment.seconds
    if not 0 <= seconds <= _LONGEST_RUN_SECONDS:
        yield f"environment.seconds is {seconds:g}; no run takes that long"
        return
    if started < _BEGIN:
        yield f"environment.started {printable(environment.started)} is before clir-bench existed"
    ended = started + datetime.timedelta(seconds=seconds)
    if ended > datetime.datetime.now(datetime.UTC) + _CLOCKS:
        yield f"the run that began at {printable(environment.started)} ends after today"
    versions = {"clir_bench": environment.clir_bench, "python": environment.python}
    versions |= {f"packages.{name}": known for name, known in environment.packages.items()}
    for name, version in versions.items():
        if not _VERSION.fullmatch(version):
            yield f"environment.{printable(name)[1:-1]} {printable(version)} is not a version"
    for name in environment.packages:
        if not _PACKAGE.fullmatch(name):
            yield f"environment.packages: {printable(name)} is not a package's name"
    commit = environment.git_commit
    if commit is not None and not _COMMIT.fullmatch(commit):
        yield f"environment.git_commit {printable(commit)} is not a commit"
    for name in ("cores", "memory_GiB"):
        said = environment.hardware.get(name, "1")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", said) or float(said) == 0:
            yield f"environment.hardware.{name} {printable(said)} is not a positive number"


def _about_system(system: SystemRecord) -> Iterator[str]:
    amounts = (
        ("n_parameters", system.n_parameters, 1, _MOST_PARAMETERS),
        ("dim", system.dim, 0, _MOST_DIMENSIONS),
        ("max_tokens", system.max_tokens, 1, 2**31),
    )
    for name, amount, least, most in amounts:
        if amount is not None and not least <= amount <= most:
            yield f"system.{name} is {amount}; expected {least} to {most:,}"
    if system.weights_sha256 is not None and not _SHA256.fullmatch(system.weights_sha256):
        yield "system.weights_sha256 is not 64 hexadecimal digits"
    if system.similarity not in _SIMILARITIES:
        yield (
            f"system.similarity is {printable(system.similarity)}; "
            f"expected {', '.join(_SIMILARITIES)}"
        )
    for name in ("revision", "package", "spec", "dtype"):
        if not getattr(system, name).strip():
            yield f"system.{name} is empty"
    if odd := [code for code in system.training_languages if not _LANGUAGE.fullmatch(code)]:
        yield f"system.training_languages: {printable(odd[0])} is not a language's code"


def _about_cutting(result: Result, submission: Submission, depth: int) -> Iterator[str]:
    done = [pair for pair in result.pairs.values() if pair.status == "done"]
    if any(pair.reach(submission.source_top_k) < depth for pair in done):
        yield (
            f"submission.source_top_k is {submission.source_top_k}: the runs have fewer documents "
            f"per query than the {depth} of a submission, although the corpora have more; run it "
            "again"
        )
    if not _VERSION.fullmatch(submission.clir_bench):
        yield f"submission.clir_bench {printable(submission.clir_bench)} is not a version"
    if not submission.source_measures:
        yield "submission.source_measures is empty"


def _about_pair(name: str, pair: PairResult) -> Iterator[str]:
    for field in ("data_sha256", "run_sha256", "source_run_sha256"):
        value = getattr(pair, field)
        if value is None or not _SHA256.fullmatch(value):
            yield f"{field} is not 64 hexadecimal digits"
    if pair.error is not None:
        yield f"is {pair.status} and has an error: {printable(pair.error)}"
    if pair.approximate is not None:
        yield "was searched with an approximate index, which is never official"
    scheme, parsed = load_scheme(SCHEME), LanguagePair.parse(name)
    for field, stated, known in (
        ("tier", pair.tier, pair_tier(parsed, scheme)),
        ("language", pair.language, pair_language(parsed, scheme)),
    ):
        if stated != known:
            yield f"{field} is stated as {printable(stated)}, but under {SCHEME!r} it is {known!r}"


def _about_counts(
    pair: LanguagePair, known: PairResult, card: TaskCard, split: str, depth: int
) -> Iterator[str]:
    counts, expected = known.counts, card.counts_of(split, pair)
    if counts is None:
        yield "has no counts"
        return
    if expected is not None and expected != (counts.documents, counts.queries, counts.qrels):
        yield "its counts are not those on the task's card"
    yield from (f"counts: {problem}" for problem in _odd_counts(counts, depth))


def _odd_counts(counts: PairCounts, depth: int) -> Iterator[str]:
    if negative := [name for name, n in counts if n < 0]:
        yield f"{', '.join(negative)} below 0"
        return
    if not 1 <= counts.judged_queries <= min(counts.queries, counts.qrels):
        yield (
            f"{counts.judged_queries:,} judged queries of {counts.queries:,}, "
            f"with {counts.qrels:,} judgments"
        )
    n_documents = counts.documents - counts.empty_documents
    if n_documents < 1:
        yield f"{counts.empty_documents:,} of {counts.documents:,} documents are empty"
    if counts.retrieved > counts.queries * max(min(depth, n_documents), 0):
        yield (
            f"{counts.retrieved:,} documents retrieved for {counts.queries:,} queries, from "
            f"{n_documents:,} documents, at most {depth} for each"
        )


def _about_cost(cost: Cost | None, n_pairs: int) -> Iterator[str]:
    if cost is None:
        return
    for name, amount in cost:
        if name == "pairs_sharing_corpus":
            least, most = 1.0, float(n_pairs)
        elif name.endswith("_bytes"):
            least, most = 0.0, float(_MOST_BYTES)
        elif name.endswith("_per_second"):
            least, most = 0.0, _FASTEST
        else:
            least, most = 0.0, float(_LONGEST_RUN_SECONDS)
        if not least <= amount <= most:
            yield f"cost.{name} is {amount:g}; expected {least:g} to {most:g}"


def _about_scores(scores: Scores, measures: tuple[str, ...]) -> Iterator[str]:
    if set(scores) != set(measures):
        yield f"scores do not have exactly the result's measures: {', '.join(measures)}"
    yield from _about_range(scores, 0, 1)


def _about_means(result: Result) -> Iterator[str]:
    parts: list[tuple[str, Mapping[str, Group], TierSummary, Scores]] = [
        ("", result.languages, result.tiers, result.overall)
    ]
    if result.pool is not None:
        pool = result.pool
        parts.append(("pool.", pool.languages, pool.tiers, pool.overall))
    for where, languages, tiers, overall in parts:
        if tiers.scheme != SCHEME:
            yield f"{where}tiers.scheme is {printable(tiers.scheme)}; expected {SCHEME!r}"
        of = {
            f"{where}languages.{printable(code)[1:-1]}": g.scores for code, g in languages.items()
        }
        of |= {f"{where}tiers.{printable(t)[1:-1]}": g.scores for t, g in tiers.means.items()}
        of[f"{where}overall"] = overall
        for place, scores in of.items():
            yield from (f"{place}: {problem}" for problem in _about_range(scores, 0, 1))
        for problem in _about_range(tiers.gap, -1, 1):
            yield f"{where}tiers.gap: {problem}"
        for measure, ratio in tiers.ratio.items():
            # The mean of a ratio may lie outside of the interval.
            if not 0 <= ratio.interval[0] <= ratio.interval[1] or ratio.mean < 0:
                yield f"{where}tiers.ratio: {printable(measure)[1:-1]} has an impossible interval"


def _about_range(scores: Scores, least: float, most: float) -> Iterator[str]:
    """Yield the means and intervals outside of their range, and means outside of their interval."""
    for measure, score in scores.items():
        low, high = score.interval
        bounds = (least, low, score.mean, high, most)
        # Observed and resampled means may differ in the last digits.
        if any(lower > upper + _ROUNDING for lower, upper in pairwise(bounds)):
            yield (
                f"{printable(measure)[1:-1]} is stated as {score.mean:g} [{low:g}, {high:g}]; "
                f"expected a mean inside its interval, and both within {least:g} to {most:g}"
            )
