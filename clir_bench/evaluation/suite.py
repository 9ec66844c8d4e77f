"""Several tasks run and reported as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from clir_bench.errors import CardError, ClirBenchError, ResultError
from clir_bench.evaluation.evaluate import Settings, check_pairs, stored_split
from clir_bench.metrics.means import Summary, mean_of_tasks, summarise
from clir_bench.results.schema import Result, SuitePart, SuiteResult, SystemRecord
from clir_bench.results.store import (
    check_writable,
    locked,
    read_result,
    read_scores,
    result_path,
    write_result,
)
from clir_bench.results.summary import as_score, environment_record
from clir_bench.tasks.cards import SAMPLE, Part, SuiteCard, TaskCard, expand_rules
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.measures import at_depth, parse_measures, too_deep
from clir_bench.types import LanguagePair

RunPart = Callable[[TaskCard, Sequence[LanguagePair], str], Result]


def part_of(part: Part, tasks_dir: Path | None = None) -> TaskCard:
    """Return the card of a suite's part.

    Raises:
        CardError: The part is itself a suite, or does not report the measure the suite takes.
    """
    card = load_card(part.task, tasks_dir)
    if not isinstance(card, TaskCard):
        raise CardError(f"part {part.task!r} is a suite; a suite's parts are tasks")
    if not set(parse_measures([part.measure])) <= set(parse_measures(card.measures)):
        raise CardError(
            f"part {part.task!r}: measure {part.measure!r} is not among the task's measures "
            f"({', '.join(card.measures)})"
        )
    return card


def part_pairs(part: Part, card: TaskCard, split: str) -> list[LanguagePair]:
    """Return the pairs a part is over, among those the task has.

    A sample has fewer languages than its task; pairs of the others are left out.

    Raises:
        UsageError: A rule names a pair the task does not have, or all of them together none.
    """
    if not part.pairs:
        return card.official_pairs()
    available = {str(pair) for pair in card.available_pairs()}
    named = [rule for rule in part.pairs if "*" not in rule and "-" in rule]
    if split != SAMPLE:
        check_pairs(card, [LanguagePair.parse(rule) for rule in named])
    rules = [rule for rule in part.pairs if rule not in named or rule in available]
    pairs = [pair for pair in expand_rules(card, rules) if str(pair) in available]
    if not pairs:
        raise CardError(f"part {part.task!r}: the rules {', '.join(part.pairs)} name no pair")
    return pairs


def run_suite(
    suite: SuiteCard,
    parts: Sequence[tuple[Part, TaskCard, str]],
    run_part: RunPart,
    *,
    output: Path,
    system: SystemRecord,
    settings: Settings,
    started: float,
) -> SuiteResult:
    """Run every part, store the suite's line, and return it.

    A part that fails leaves a line without a score, and the suite without a mean.

    Args:
        suite: The suite.
        parts: Each part, the card it is run with and its split.
        run_part: Runs one task and stores its result.
        output: Folder of results.
        system: The system being run.
        settings: How the parts are run.
        started: When, in seconds since the epoch.

    Raises:
        ResultError: A result of another system is there; nothing is run or overwritten.
        OutputError: The output folder cannot be written.
    """
    splits = {split for _, _, split in parts}
    split = splits.pop() if len(splits) == 1 else "suite"
    path = result_path(output, system.name, suite.id, stored_split(split, settings))
    if not settings.overwrite:
        _check_system(path, system)
    check_writable(path)
    lines: list[SuitePart] = []
    summaries: list[tuple[Summary, str]] = []
    reasons: list[str] = []
    for part, card, split in parts:
        pairs = part_pairs(part, card, split)
        part_path = result_path(output, system.name, card.id, stored_split(split, settings))
        line = _unscored(part, card, split, pairs, part_path.relative_to(output))
        try:
            result = run_part(card, pairs, split)
            reasons += [f"{card.id}: {reason}" for reason in result.task.unofficial]
            summary = _summary(result, part_path, card, pairs, settings.tiers)
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
        official=all(line.official for line in lines),
        unofficial=tuple(reasons),
        environment=environment_record(settings.command, started),
    )
    with locked(path):
        if not settings.overwrite:
            _check_system(path, system)  # another suite's run may have ended meanwhile
        write_result(path, finished)
    return finished


def _unscored(
    part: Part, card: TaskCard, split: str, pairs: Sequence[LanguagePair], result_file: Path
) -> SuitePart:
    return SuitePart(
        task=card.id,
        split=split,
        pairs=tuple(str(pair) for pair in pairs),
        measure=next(iter(parse_measures([part.measure]))),
        score=None,
        result_file=result_file.as_posix(),
        official=False,
    )


def _check_system(path: Path, system: SystemRecord) -> None:
    """Refuse to replace the result of another system of the same name."""
    if not path.exists():
        return
    earlier = read_result(path)
    if differences := earlier.system.differences(system):
        raise ResultError(
            f"{path} holds a result with another {', '.join(differences)}; "
            f"{system.how_to_go_on(earlier.system)}write elsewhere with --output, or replace it "
            "with --overwrite"
        )


def _scored(line: SuitePart, summary: Summary, *, official: bool) -> SuitePart:
    score = as_score(summary.overall[line.measure])
    return line.model_copy(update={"score": score, "official": official})


def _measure_of(result: Result, measure: str) -> str:
    """Return what a part's measure is called over the depth of its rankings.

    Raises:
        ResultError: It cannot be had from rankings of that depth.
    """
    if measure in result.task.measures:
        return measure
    depth = result.reach(name for name, pair in result.pairs.items() if pair.status == "done")
    lower = at_depth(measure, depth)
    if lower is None or lower not in result.task.measures:
        raise ResultError(f"{too_deep([measure], depth)}; rank more (--top-k)")
    return lower


def _summary(
    result: Result, path: Path, card: TaskCard, pairs: Sequence[LanguagePair], tiers: str
) -> Summary:
    """Return the means over a part's pairs, which may be fewer than its result has.

    Raises:
        ResultError: Some of the pairs failed.
    """
    failed = [str(pair) for pair in pairs if result.pairs[str(pair)].status != "done"]
    if failed:
        problem = result.pairs[failed[0]].error or "not run"
        raise ResultError(f"{len(failed)} of {len(pairs)} pairs failed: {problem}")
    return summarise(
        read_scores(path, result, pairs),
        load_scheme(tiers),
        parallel_queries=card.parallel_queries,
        n_resamples=result.settings.n_resamples,
        seed=result.settings.seed,
    )
