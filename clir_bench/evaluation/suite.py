"""Runs the tasks of a suite, and reports their scores and mean as one result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from clir_bench.errors import ClirBenchError, ResultError
from clir_bench.evaluation.evaluate import stored_split
from clir_bench.evaluation.selection import Plan, TaskPlan
from clir_bench.evaluation.system import Settings
from clir_bench.metrics.means import Summary, mean_of_tasks, summarise
from clir_bench.results.schema import Result, SuitePart, SuiteResult
from clir_bench.results.store import (
    check_writable,
    locked,
    read_result,
    read_scores,
    result_path,
    write_result,
)
from clir_bench.results.summary import as_score, environment_record
from clir_bench.results.system_record import SystemRecord
from clir_bench.tasks.cards import SuiteCard
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.measures import at_depth, parse_measures, too_deep


def run_suite(
    suite: SuiteCard,
    plan: Plan,
    run_task: Callable[[TaskPlan], Result],
    *,
    output: Path,
    system: SystemRecord,
    settings: Settings,
) -> tuple[Path | None, SuiteResult]:
    """Run every task, store the suite's line, and return the line's path and the line.

    A failed task gets a line without a score, and the suite has no mean. If only some pairs of a
    suite run, its tasks' results are stored but the suite's line is not.

    Args:
        suite: The suite.
        plan: What to run of its tasks.
        run_task: Runs one task and stores its result.
        output: Folder of results.
        system: The system being run.
        settings: How the tasks are run.

    Raises:
        ResultError: The stored result is of another system; nothing is run or overwritten.
        OutputError: The output folder cannot be written.
    """
    started = time.time()
    splits = {task.split for task in plan.tasks}
    split = splits.pop() if len(splits) == 1 else "suite"
    path = result_path(output, system.name, suite.id, stored_split(split, settings))
    if plan.is_whole and not settings.overwrite:
        _check_system(path, system)
    check_writable(path)
    lines: list[SuitePart] = []
    summaries: list[tuple[Summary, str]] = []
    reasons = [] if plan.is_whole else ["only some of the suite's pairs were run"]
    for task in plan.tasks:
        split = stored_split(task.split, settings)
        part_path = result_path(output, system.name, task.card.id, split)
        line = _unscored(task, part_path.relative_to(output))
        try:
            result = run_task(task)
            reasons += [f"{task.card.id}: {reason}" for reason in result.task.unofficial]
            summary = _summary(result, part_path, task, settings.tiers)
            line = line.model_copy(update={"measure": _measure_of(result, line.measure)})
        except ClirBenchError as error:
            lines.append(line.model_copy(update={"error": str(error)}))
        else:
            summaries.append((summary, line.measure))
            lines.append(_scored(line, summary, official=result.task.official))
    all_done = len(summaries) == len(lines)
    finished = SuiteResult(
        suite=suite.id,
        title=suite.title,
        card_sha256=suite.sha256(),
        system=system,
        parts=tuple(lines),
        mean=as_score(mean_of_tasks(summaries)) if all_done else None,
        official=plan.is_whole and all(line.official for line in lines),
        unofficial=tuple(reasons),
        environment=environment_record(settings.command, started),
    )
    if not plan.is_whole:
        return None, finished
    with locked(path):
        # Another run of the suite may have ended meanwhile.
        earlier = None if settings.overwrite else _check_system(path, system)
        if isinstance(earlier, SuiteResult):
            same = {"environment": earlier.environment}
            if earlier == finished.model_copy(update=same):
                return path, earlier
        write_result(path, finished)
    return path, finished


def _unscored(task: TaskPlan, result_file: Path) -> SuitePart:
    measure = task.part.measure if task.part else task.card.measures[0]
    return SuitePart(
        task=task.card.id,
        split=task.split,
        pairs=tuple(str(pair) for pair in task.pairs),
        measure=next(iter(parse_measures([measure]))),
        score=None,
        result_file=result_file.as_posix(),
        official=False,
    )


def _check_system(path: Path, system: SystemRecord) -> Result | SuiteResult | None:
    """Return an earlier result; refuse to replace one of another system with the same name."""
    if not path.exists():
        return None
    earlier = read_result(path)
    if differences := earlier.system.differences(system):
        raise ResultError(
            f"{path} holds a result with another {', '.join(differences)}; "
            f"{system.how_to_go_on(earlier.system)}write elsewhere with --output, or replace it "
            "with --overwrite"
        )
    return earlier


def _scored(line: SuitePart, summary: Summary, *, official: bool) -> SuitePart:
    score = as_score(summary.overall[line.measure])
    return line.model_copy(update={"score": score, "official": official})


def _measure_of(result: Result, measure: str) -> str:
    """Return the name of a part's measure at the depth of its rankings.

    Raises:
        ResultError: Rankings of that depth cannot give the measure.
    """
    if measure in result.task.measures:
        return measure
    depth = result.reach(name for name, pair in result.pairs.items() if pair.status == "done")
    lower = at_depth(measure, depth)
    if lower is None or lower not in result.task.measures:
        raise ResultError(f"{too_deep([measure], depth)}; rank more (--top-k)")
    return lower


def _summary(result: Result, path: Path, task: TaskPlan, tiers: str) -> Summary:
    """Return the means over a part's pairs, which may be fewer than its result has.

    Raises:
        ResultError: Some of the pairs failed.
    """
    pairs = task.pairs
    failed = [str(pair) for pair in pairs if result.pairs[str(pair)].status != "done"]
    if failed:
        problem = result.pairs[failed[0]].error or "not run"
        raise ResultError(f"{len(failed)} of {len(pairs)} pairs failed: {problem}")
    return summarise(
        read_scores(path, result, pairs),
        load_scheme(tiers),
        parallel_queries=task.card.parallel_queries,
        n_resamples=result.settings.n_resamples,
        seed=result.settings.seed,
    )
