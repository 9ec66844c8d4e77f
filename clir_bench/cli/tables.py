"""Results as text tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tabulate import tabulate

from clir_bench.core.display import both_ends
from clir_bench.results.schema import (
    Group,
    PairResult,
    Result,
    Score,
    Scores,
    SuiteResult,
    SystemRecord,
    TierSummary,
)
from clir_bench.search.vectors.store import size_text
from clir_bench.tasks.cards import SAMPLE
from clir_bench.tasks.languages import resolve

_MANY = 12
_SAMPLE_MARK = "embedded sample, for trying out: not a score of the benchmark"
TIER_ORDER = ("low", "mid", "high", "unknown")


def format_score(score: Score | None, *, interval: bool = False) -> str:
    """Return a mean with four decimals, its interval with three, a dash for none."""
    if score is None:
        return "-"
    low, high = score.interval
    bounds = f" [{_fixed(low, 3)}, {_fixed(high, 3)}]" if interval else ""
    return _fixed(score.mean, 4) + bounds


def some_of(names: Sequence[str]) -> str:
    """Return the first dozen of `names`, and how many there are beyond."""
    shown = ", ".join(names[:_MANY])
    return shown if len(names) <= _MANY else f"{shown} and {len(names) - _MANY:,} more"


def _fixed(number: float, n_digits: int) -> str:
    """Return a number with `n_digits` decimals, and zero without a sign."""
    text = f"{number:.{n_digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def result_text(result: Result, *, by_pair: bool = False) -> str:
    """Return the tables of one result: languages by tier, tier means, gap, and what is missing."""
    measures = result.task.measures
    lines = [_title(result), *prompt_lines(result.system), ""]
    if by_pair:
        lines.append(_pair_table(result, measures))
    else:
        if result.languages:
            lines.append(_language_table(result, result.languages, measures))
        if result.pool is not None:
            lines += ["", "one pool of all languages (*-mul):"]
            lines.append(_language_table(result, result.pool.languages, measures))
    if result.overall:
        lines += ["", _mean_table(result.tiers, result.overall, measures)]
    if result.pool is not None:
        lines += ["", "pool:", _mean_table(result.pool.tiers, result.pool.overall, measures)]
    if approximate := approximate_text(result):
        lines += ["", approximate]
    lines += [*_notes(result), *_remarks(result)]
    return "\n".join(lines)


def suite_text(result: SuiteResult) -> str:
    """Return the table of a suite: a line a part, and the suite's."""
    rows = [
        [part.task, part.split, len(part.pairs), part.measure,
         format_score(part.score, interval=True)]
        for part in result.parts
    ]  # fmt: skip
    mean = format_score(result.mean, interval=True)
    rows.append([f"{result.suite} (mean of the parts)", "", "", "", mean])
    header = ["part", "split", "pairs", "measure", "score [95% interval]"]
    table = tabulate(rows, header, disable_numparse=True)
    mark = "" if result.official else " (NOT OFFICIAL)"
    if any(part.split == SAMPLE for part in result.parts):
        mark = f" ({_SAMPLE_MARK})"
    title = f"{result.system.name} on {result.title}{mark}"
    lines = [title, *prompt_lines(result.system), "", table]
    if mark and _SAMPLE_MARK not in mark:
        lines += _reasons(result.unofficial)
    return "\n".join(lines)


def prompt_lines(system: SystemRecord) -> list[str]:
    """Return a line a side with what was put before its texts, none for a model without weights."""
    if system.weights_sha256 is None and not (system.query_prompt or system.document_prompt):
        return []
    prompts = {"query": system.query_prompt, "document": system.document_prompt}
    if not any(prompts.values()):
        return ["no prompts"]
    return [
        f"{side} prompt: {both_ends(text) if text else 'none'}" for side, text in prompts.items()
    ]


def approximate_text(result: Result) -> str:
    """Return a line with what an approximate index found of the exact rankings, "" for none."""
    records = [pair.approximate for pair in result.pairs.values() if pair.approximate is not None]
    if not records:
        return ""
    depths = sorted({depth for record in records for depth in record.recall}, key=int)
    means = ", ".join(
        f"{np.mean([record.recall[depth] for record in records if depth in record.recall]):.4f} "
        f"of the first {int(depth):,}"
        for depth in depths
    )
    n_queries = sum(record.sampled_queries for record in records)
    largest = max(record.index_size_bytes for record in records)
    return (
        f"index {result.settings.index} found {means}, as exact search ranks them "
        f"({n_queries:,} sampled queries); {size_text(largest)} for the largest corpus"
    )


def failure_text(result: Result | SuiteResult) -> str:
    """Return a line a pair or part that failed with its error, "" when none did."""
    if isinstance(result, SuiteResult):
        errors = {part.task: part.error for part in result.parts if part.error}
    else:
        failed = {name: pair for name, pair in result.pairs.items() if pair.status == "failed"}
        errors = {name: pair.error or "" for name, pair in failed.items()}
    if not errors:
        return ""
    return "\n".join(["", "Failed:", *(f"- {name}: {error}" for name, error in errors.items())])


def _title(result: Result) -> str:
    task = result.task
    marks = []
    if task.sample:
        marks.append(_SAMPLE_MARK)
    elif task.limit is not None:
        marks.append(f"partial, --limit {task.limit}")
    elif task.unofficial:
        marks.append("NOT OFFICIAL")
    if not task.complete:
        marks.append("not all official pairs")
    mark = f" ({'; '.join(marks)})" if marks else ""
    return f"{result.system.name} on {task.title}, {task.split}{mark}"


def _language_table(result: Result, groups: Mapping[str, Group], measures: Sequence[str]) -> str:
    rows = []
    for tier in TIER_ORDER:
        of_tier = sorted(code for code, group in groups.items() if group.tier == tier)
        for code in of_tier:
            group = groups[code]
            pairs = [result.pairs[name] for name in group.members if name in result.pairs]
            n_queries = sum(pair.counts.judged_queries for pair in pairs if pair.counts)
            members = group.members[0] if len(group.members) == 1 else f"{len(group.members)} pairs"
            rows.append(
                [
                    tier,
                    f"{code} {resolve(code).name}",
                    members,
                    f"{n_queries:,}",
                    *_score_cells(group.scores, measures),
                ]
            )
    header = ["tier", "language", "pairs", "queries", f"{measures[0]} [95% interval]"]
    return tabulate(
        rows, [*header, *measures[1:]], disable_numparse=True, colalign=_align(measures)
    )


def _pair_table(result: Result, measures: Sequence[str]) -> str:
    rows = []
    not_run = []
    for name, pair in _by_tier(result.pairs):
        if pair.status == "not run":
            not_run.append(name)
            continue
        n_queries = f"{pair.counts.judged_queries:,}" if pair.counts else "-"
        cells = _score_cells(pair.scores, measures)
        rows.append([pair.tier, name, pair.status, n_queries, *cells])
    header = ["tier", "pair", "status", "queries", f"{measures[0]} [95% interval]", *measures[1:]]
    parts = []
    if rows:
        parts.append(tabulate(rows, header, disable_numparse=True, colalign=_align(measures)))
    if not_run:
        parts.append(f"not run: {some_of(not_run)}")
    return "\n\n".join(parts)


def _by_tier(pairs: Mapping[str, PairResult]) -> list[tuple[str, PairResult]]:
    return sorted(pairs.items(), key=lambda item: (TIER_ORDER.index(item[1].tier), item[0]))


def _mean_table(tiers: TierSummary, overall: Scores, measures: Sequence[str]) -> str:
    rows = []
    for tier in TIER_ORDER:
        if tier in tiers.means:
            group = tiers.means[tier]
            rows.append([f"{tier} ({len(group.members)})", *_score_cells(group.scores, measures)])
    rows.append(["all languages", *_score_cells(overall, measures)])
    if tiers.gap:
        rows.append(["gap, high - low", *_score_cells(tiers.gap, measures)])
    if tiers.ratio:
        rows.append(["ratio, low / high", *_score_cells(tiers.ratio, measures)])
    rows.append(["worst language", *(tiers.worst_language.get(m, "-") for m in measures)])
    header = [f"tiers: {tiers.scheme}", f"{measures[0]} [95% interval]", *measures[1:]]
    return tabulate(
        rows, header, disable_numparse=True, colalign=("left", *["right"] * len(measures))
    )


def _notes(result: Result) -> list[str]:
    """Return what keeps documents out of rankings, a line per pair where it differs by pair."""
    lines = []
    for name, pair in result.pairs.items():
        counts = pair.counts
        if counts and counts.missing_judged:
            lines.append(
                f"{name}: judged documents that the corpus lacks: {counts.missing_judged:,}; "
                "the relevant ones among them count as not retrieved"
            )
        if counts and counts.empty_relevant:
            lines.append(
                f"{name}: relevant documents without text: {counts.empty_relevant:,}; an encoder "
                "never retrieves them, so recall stays below 1"
            )
    if len(lines) > _MANY:
        lines[_MANY:] = [f"and {len(lines) - _MANY:,} more, by pair in the result"]
    if any(pair.skip_same_id for pair in result.pairs.values()):
        lines.append("a document with a query's own id is taken out of that query's ranking")
    return ["", *(f"note: {line}" for line in lines)] if lines else []


def _remarks(result: Result) -> list[str]:
    if not result.task.unofficial or result.task.sample:
        return []
    return _reasons(result.task.unofficial)


def _reasons(unofficial: Sequence[str]) -> list[str]:
    return ["", "Not official:", *(f"- {reason}" for reason in unofficial)] if unofficial else []


def _score_cells(scores: Scores, measures: Sequence[str]) -> list[str]:
    return [
        format_score(scores.get(measure), interval=number == 0)
        for number, measure in enumerate(measures)
    ]


def _align(measures: Sequence[str]) -> tuple[str, ...]:
    return ("left", "left", "left", "right", *["right"] * len(measures))
