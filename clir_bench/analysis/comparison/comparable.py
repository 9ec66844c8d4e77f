"""Decides which results may be compared, and gives the reason where they may not.

Two results of a task are comparable when they share queries, documents, judgments and measure.
"""

from __future__ import annotations

from collections.abc import Sequence

from clir_bench.core.display import some_of
from clir_bench.errors import UsageError
from clir_bench.results.schema import Result
from clir_bench.results.summary import no_score
from clir_bench.tasks.measures import EVERYTHING, at_depth, is_cut, looks_at, too_deep
from clir_bench.tasks.pairs import expand
from clir_bench.types import POOL, LanguagePair


def problems_of(result: Result) -> list[str]:
    """Return why a result cannot be compared with any other; empty when it can."""
    problems = [f"it is {reason}" for reason in no_score(result.task)]
    if not done_pairs(result):
        problems.append("no pair of it is done")
    return problems


def problems_between(
    baseline: Result,
    other: Result,
    measures: Sequence[str],
    *,
    rules: Sequence[str] = (),
    common_pairs: bool = False,
) -> list[str]:
    """Return why two results cannot be compared by `measures`, empty when they can.

    Args:
        baseline: One result.
        other: The other.
        measures: The measures for the comparison.
        rules: Only pairs that these name (see `done_pairs`) are to be compared.
        common_pairs: Compare the pairs that both have, where one has more.
    """
    one, two = baseline.task, other.task
    problems = []
    if one.id != two.id:
        return [f"other task: {one.id} and {two.id}"]
    if one.split != two.split:
        problems.append(f"other split: {one.split} and {two.split}")
    if one.card_sha256 != two.card_sha256:
        problems.append(
            f"other card: version {one.version}, {one.card_sha256[:12]}, and version "
            f"{two.version}, {two.card_sha256[:12]}; run the older one again"
        )
    common = done_pairs(baseline, rules) & done_pairs(other, rules)
    for measure in measures:
        problems += _measure_problems(baseline, other, measure, common)
    problems += _pair_problems(baseline, other, rules, common_pairs)
    return problems


def done_pairs(result: Result, rules: Sequence[str] = ()) -> set[str]:
    """Return the names of the pairs that have a score.

    Args:
        result: The result.
        rules: Only pairs that these name, as `pairs.PairRules` does; all when empty.

    Raises:
        UsageError: A rule is malformed, or names a language that the result lacks.
    """
    done = {name for name, pair in result.pairs.items() if pair.status == "done"}
    if not rules:
        return done
    sides = {side for name in result.pairs for side in LanguagePair.parse(name)} - {POOL}
    try:
        named = {str(pair) for pair in expand(rules, sorted(sides))}
    except ValueError as error:
        raise UsageError(f"{result.task.id}: {error}") from None
    return done & named


def notes_on(results: Sequence[Result], compared: set[str]) -> list[str]:
    """Return what a reader of a comparison of these results of one task should know.

    Args:
        results: The results.
        compared: Names of the pairs that are compared.
    """
    notes = []
    if reasons := list(dict.fromkeys(reason for r in results for reason in r.task.unofficial)):
        notes.append(f"not the official data: {'; '.join(reasons)}")
    left_out = set().union(*(done_pairs(result) for result in results)) - compared
    if left_out:
        notes.append(f"left out: {some_of(sorted(left_out))}")
    if not all(result.task.complete for result in results):
        notes.append("not all official pairs of the task have been run")
    return notes


def _measure_problems(baseline: Result, other: Result, measure: str, common: set[str]) -> list[str]:
    """Return why two results cannot be compared by a measure on the pairs that both have."""
    absent = [result for result in (baseline, other) if measure not in result.task.measures]
    if absent:
        return [_absent(result, measure, common) for result in absent]
    problems = []
    for pair in sorted(common):
        depths = baseline.reach([pair]), other.reach([pair])
        if min(depths) >= looks_at(measure) and (is_cut(measure) or depths[0] == depths[1]):
            continue
        cut = " and ".join("the whole corpus" if n == EVERYTHING else str(n) for n in depths)
        problems.append(
            f"other depth: rankings were cut at {cut}, which changes {measure}"
            if depths[0] != depths[1]
            else f"{too_deep([measure], depths[0])}; run both again to have it by its right name"
        )
    return list(dict.fromkeys(problems))


def _absent(result: Result, measure: str, common: set[str]) -> str:
    """Say that a result lacks a measure, and what to do."""
    has, depth = ", ".join(result.task.measures), result.reach(common)
    said = f"other measures: {result.system.name} has no {measure}, only {has}"
    if depth >= looks_at(measure):
        return f"{said}; --measures {measure} of the command that made it adds it"
    lower = at_depth(measure, depth)
    remedy = f"; compare by {lower}, which --measures {lower} adds to the other" if lower else ""
    return f"{said}: its rankings hold {depth:,} documents per query{remedy}"


def _pair_problems(
    baseline: Result, other: Result, rules: Sequence[str], common_pairs: bool
) -> list[str]:
    one, two = done_pairs(baseline, rules), done_pairs(other, rules)
    problems = []
    if not one & two:
        problems.append(f"no pair{' that is asked for' if rules else ''} is done in both")
    elif one != two and not common_pairs:
        only = [
            f"{some_of(sorted(mine - theirs))} only in {result.system.name}"
            for mine, theirs, result in ((one, two, baseline), (two, one, other))
            if mine - theirs
        ]
        problems.append(
            f"other pairs: {'; '.join(only)}; --common-pairs compares the {len(one & two):,} that "
            "both have"
        )
    changed = {
        name
        for name in one & two
        if baseline.pairs[name].data_sha256 != other.pairs[name].data_sha256
    }
    if changed:
        problems.append(
            f"other data: documents, queries or judgments differ in {some_of(sorted(changed))}; "
            "run both on the same files"
        )
    return problems
