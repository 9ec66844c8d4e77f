"""Prints results as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from clir_bench.cli.output import echo, show
from clir_bench.core.display import both_ends, fixed, some_of
from clir_bench.core.tables import Column, Fold, Format, Note, Table, csv_text
from clir_bench.results.lines import POOL_TITLE, task_title
from clir_bench.results.schema import Group, Result, Score, Scores, SuiteResult, TierSummary
from clir_bench.results.store import shown_result, to_json
from clir_bench.results.system_record import SystemRecord, with_arithmetic
from clir_bench.results.views import EvaluationResult
from clir_bench.search.vectors.store import size_text
from clir_bench.tasks.cards import SAMPLE
from clir_bench.tasks.languages import TIERS, resolve

_MANY = 12
_ROW = (
    "system", "dtype", "task", "split", "scheme", "part", "level", "name", "tier", "members",
    "queries", "status", "measure", "mean", "low", "high",
)  # fmt: skip


class Printer:
    """Prints results one by one, each as soon as it is there."""

    def __init__(self, form: Format, *, by_pair: bool = False, failures: bool = False) -> None:
        """Print in one of the formats.

        Args:
            form: The format.
            by_pair: One line per pair instead of one per language.
            failures: List failed pairs below a table.
        """
        self.form, self.by_pair, self.failures = form, by_pair, failures
        self.n_printed = 0

    def show(self, result: Result | SuiteResult) -> None:
        """Print a result."""
        self.n_printed += 1
        if self.form == "json":
            echo(to_json(result))
            return
        result = shown_result(result)
        if self.form == "csv":
            echo(csv_text([result_rows(result)], heading=self.n_printed == 1))
            return
        tables = result_tables(result, by_pair=self.by_pair)
        if self.n_printed > 1:
            echo()
        show([*tables, failure_table(result)] if self.failures else tables, self.form)

    def show_stored(self, stored: EvaluationResult) -> None:
        """Print a result that was just made, and where it is."""
        if stored.suite is not None:
            self.show(stored.suite)
        elif stored.result is not None:
            done = any(pair.status == "done" for pair in stored.result.pairs.values())
            if done or self.form == "json":
                self.show(stored.result)
            if self.form == "table":
                if done:
                    echo(f"\nruns and per-query values: {stored.folder}/")
                echo(f"result: {stored.path}")


def format_score(score: Score | None, *, interval: bool = False) -> str:
    """Return a mean with four decimals, its interval with three, a dash for none."""
    if score is None:
        return "-"
    low, high = score.interval
    return fixed(score.mean) + (f" [{fixed(low, 3)}, {fixed(high, 3)}]" if interval else "")


def result_tables(result: Result | SuiteResult, *, by_pair: bool = False) -> list[Table]:
    """Return the tables of one result: languages by tier, tier means, gap, and what is missing."""
    if isinstance(result, SuiteResult):
        return [_suite_table(result)]
    measures, title, about = (
        result.task.measures,
        _title(result),
        tuple(prompt_lines(result.system)),
    )
    tables = []
    if by_pair:
        tables.append(_pair_table(result, measures))
    else:
        if result.languages:
            tables.append(_language_table(result, result.languages, measures))
        if result.pool is not None:
            pool = _language_table(result, result.pool.languages, measures)
            tables += [_below(f"{POOL_TITLE} (*-mul):", pool)]
    if result.overall:
        tables.append(_mean_table(result.tiers, result.overall, measures))
    if result.pool is not None:
        pool = _mean_table(result.pool.tiers, result.pool.overall, measures)
        tables.append(_below("pool:", pool))
    notes = [approximate_text(result), *_notes(result)]
    if not result.task.sample:
        notes += _reasons(result.task.unofficial)
    return [Table(title, about=about), *tables, Table(notes=tuple(filter(None, notes)))]


def _below(title: str, table: Table) -> Table:
    return Table(title, table.columns, table.rows, level=3)


def result_rows(result: Result | SuiteResult) -> Table:
    """Return every number of a result in full, one row per mean and measure."""
    of: dict[str, Any] = {"system": result.system.name, "dtype": result.system.dtype}
    if isinstance(result, SuiteResult):
        rows = _suite_rows(result)
    else:
        of |= {"task": result.task.id, "split": result.task.split, "scheme": result.tiers.scheme}
        rows = _result_rows(result)
    return Table(
        columns=[Column(key) for key in _ROW],
        rows=[[(of | row).get(key) for key in _ROW] for row in rows],
    )


def _result_rows(result: Result) -> Iterable[dict[str, Any]]:
    for name, pair in result.pairs.items():
        of = {
            "part": "pool" if result.pool is not None and name.endswith("-mul") else "pairs",
            "level": "pair", "name": name, "tier": pair.tier, "status": pair.status,
            "queries": pair.counts.judged_queries if pair.counts else None,
        }  # fmt: skip
        yield from _score_rows(of, pair.scores) if pair.scores else [of]
    for part, means in (("pairs", result), ("pool", result.pool)):
        if means is None:
            continue
        for level, groups in (("language", means.languages), ("tier", means.tiers.means)):
            for name, group in groups.items():
                of = {"part": part, "level": level, "name": name, "tier": group.tier}
                yield from _score_rows({**of, "members": group.members}, group.scores)
        for level, name, scores in (
            ("overall", "all languages", means.overall),
            ("gap", "high - low", means.tiers.gap),
            ("ratio", "low / high", means.tiers.ratio),
        ):
            yield from _score_rows({"part": part, "level": level, "name": name}, scores)
        for measure, code in means.tiers.worst_language.items():
            worst = {measure: means.languages[code].scores[measure]}
            of = {"part": part, "level": "worst language", "name": code}
            yield from _score_rows({**of, "tier": means.languages[code].tier}, worst)


def _suite_rows(result: SuiteResult) -> Iterable[dict[str, Any]]:
    for part in result.parts:
        of: dict[str, Any] = {
            "task": part.task,
            "split": part.split,
            "level": "overall",
            "members": part.pairs,
        }
        of |= {"name": "all languages", "status": "failed" if part.error else None}
        yield from _score_rows(of, {part.measure: part.score}) if part.score else [of]
    if result.mean is not None:
        of = {"task": result.suite, "level": "suite", "name": "mean of the parts"}
        yield from _score_rows(of, {"": result.mean})


def _score_rows(of: Mapping[str, Any], scores: Scores) -> Iterable[dict[str, Any]]:
    for measure, score in scores.items():
        low, high = score.interval
        yield {**of, "measure": measure, "mean": score.mean, "low": low, "high": high}


def _suite_table(result: SuiteResult) -> Table:
    """Return the table of a suite: one line per part, and the suite's."""
    rows = [
        [part.task, part.split, len(part.pairs), part.measure, part.score] for part in result.parts
    ]
    rows.append([f"{result.suite} (mean of the parts)", "", "", "", result.mean])
    sample = any(part.split == SAMPLE for part in result.parts)
    notes = [] if sample or result.official else _reasons(result.unofficial)
    columns = [
        Column("part"), Column("split", drop=20), Column("pairs", right=True, drop=10),
        Column("measure"), _score_column("score", interval=True),
    ]  # fmt: skip
    about = tuple(prompt_lines(result.system))
    return Table(_title(result), columns, rows, about=about, notes=tuple(notes))


def prompt_lines(system: SystemRecord) -> list[str]:
    """Return one line per side with the prefix of its texts; none for weightless models."""
    if system.weights_sha256 is None and not (system.query_prompt or system.document_prompt):
        return []
    prompts = {"query": system.query_prompt, "document": system.document_prompt}
    if not any(prompts.values()):
        return ["no prompts"]
    return [
        f"{side} prompt: {both_ends(text) if text else 'none'}" for side, text in prompts.items()
    ]


def approximate_text(result: Result) -> str:
    """Return a line with the share of exact results that the index found, "" without an index."""
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


def failure_table(result: Result | SuiteResult) -> Table:
    """Return one line per pair or part that failed, with its error; empty when none did."""
    if isinstance(result, SuiteResult):
        errors = {part.task: part.error for part in result.parts if part.error}
    else:
        failed = {name: pair for name, pair in result.pairs.items() if pair.status == "failed"}
        errors = {name: pair.error or "" for name, pair in failed.items()}
    lines = tuple(f"- {name}: {error}" for name, error in errors.items())
    return Table(notes=(("Failed:", *lines),) if errors else ())


def _title(result: Result | SuiteResult) -> str:
    system = with_arithmetic(result.system.name, result.system.dtype)
    return f"{system} on {task_title(result)}"


def _language_table(result: Result, groups: Mapping[str, Group], measures: Sequence[str]) -> Table:
    rows = []
    for code in sorted(groups, key=lambda code: (TIERS.index(groups[code].tier), code)):
        group = groups[code]
        pairs = [result.pairs[name] for name in group.members if name in result.pairs]
        n_queries = sum(pair.counts.judged_queries for pair in pairs if pair.counts)
        members = group.members[0] if len(group.members) == 1 else f"{len(group.members)} pairs"
        language = f"{code} {resolve(code).name}"
        rows.append([group.tier, language, members, n_queries, *_scores(group.scores, measures)])
    columns = [
        Column("tier", drop=130), Column("language"), Column("pairs", drop=95),
        Column("queries", right=True, drop=110), *_score_columns(measures),
    ]  # fmt: skip
    return Table(columns=columns, rows=rows)


def _pair_table(result: Result, measures: Sequence[str]) -> Table:
    pairs = sorted(result.pairs.items(), key=lambda item: (TIERS.index(item[1].tier), item[0]))
    rows = [
        [pair.tier, name, pair.status, pair.counts.judged_queries if pair.counts else None,
         *_scores(pair.scores, measures)]
        for name, pair in pairs
        if pair.status != "not run"
    ]  # fmt: skip
    columns = [
        Column("tier", drop=130), Column("pair"), Column("status", drop=95),
        Column("queries", right=True, drop=110), *_score_columns(measures),
    ]  # fmt: skip
    not_run = [name for name, pair in pairs if pair.status == "not run"]
    notes = (f"not run: {some_of(not_run, _MANY)}",) if not_run else ()
    return Table(columns=columns if rows else (), rows=rows, notes=notes)


def _mean_table(tiers: TierSummary, overall: Scores, measures: Sequence[str]) -> Table:
    rows: list[list[Any]] = []
    for tier in TIERS:
        if tier in tiers.means:
            group = tiers.means[tier]
            rows.append([f"{tier} ({len(group.members)})", *_scores(group.scores, measures)])
    for name, scores in (
        ("all languages", overall), ("gap, high - low", tiers.gap),
        ("ratio, low / high", tiers.ratio),
    ):  # fmt: skip
        if scores:
            rows.append([name, *_scores(scores, measures)])
    rows.append(["worst language", *(tiers.worst_language.get(m) for m in measures)])
    columns = [Column(f"tiers: {tiers.scheme}"), *_score_columns(measures)]
    return Table(columns=columns, rows=rows)


def _notes(result: Result) -> list[Note]:
    """Return why documents are left out of rankings, one line per pair where pairs differ."""
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
    return [tuple(f"note: {line}" for line in lines)] if lines else []


def _reasons(unofficial: Sequence[str]) -> list[Note]:
    return [("Not official:", *(f"- {reason}" for reason in unofficial))] if unofficial else []


def _scores(scores: Scores, measures: Sequence[str]) -> list[Score | None]:
    return [scores.get(measure) for measure in measures]


def _score_columns(measures: Sequence[str]) -> list[Column]:
    """Return a column per measure: narrow terminals drop the last first, and never the first."""
    first, *others = measures
    return [
        _score_column(first, interval=True),
        *(
            _score_column(measure, drop=max(100 - 2 * number, 1))
            for number, measure in enumerate(others, 1)
        ),
    ]


def _score_column(name: str, *, interval: bool = False, drop: int | None = None) -> Column:
    def mean(value: Score | str | None) -> str:
        return value if isinstance(value, str) else format_score(value)

    def with_interval(value: Score | str | None) -> str:
        return value if isinstance(value, str) else format_score(value, interval=True)

    if not interval:
        return Column(name, mean, right=True, drop=drop)
    short, without = (
        Fold(0, f"{name} [95%]", with_interval), Fold(120, name, mean, "intervals"),
    )  # fmt: skip
    return Column(f"{name} [95% interval]", with_interval, right=True, folds=(short, without))
