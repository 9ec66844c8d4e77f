"""Decides which pairs of which tasks to run, from the languages and pairs that users name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from clir_bench.errors import CardError, ClirBenchError, UnknownNameError, UsageError
from clir_bench.evaluation.evaluate import card_for, check_pairs
from clir_bench.tasks.cards import SAMPLE, AnyCard, Part, TaskCard, expand_rules
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import (
    PIVOT,
    TIERS,
    load_scheme,
    pair_readings,
    pair_tier,
    resolve,
)
from clir_bench.tasks.measures import parse_measures
from clir_bench.types import POOL, LanguagePair

Names = str | Iterable[str] | None
"""Names as people give them: "sw,te", or one by one."""


def split_names(names: Names) -> tuple[str, ...]:
    """Return names, splitting "sw, te" at commas outside parentheses.

    >>> split_names(["R@100, P(judged_only=True,rel=2)@5", "AP"])
    ('R@100', 'P(judged_only=True,rel=2)@5', 'AP')
    """
    texts = [names] if isinstance(names, str) else names or ()
    parts = (part.strip() for text in texts for part in re.split(r",(?![^(]*\))", text))
    return tuple(part for part in parts if part)


@dataclass(frozen=True)
class Selection:
    """Which pairs of tasks to run.

    Attributes:
        languages: Keep the pairs of these languages: one side is among them, and the other is too,
            or is English or a pool. All languages when empty.
        pairs: "official", "all", or pairs such as "en-sw" and "*-mul". Official when empty.
        tiers: Keep the pairs of these tiers. All when empty.
        scheme: The tier scheme, by name or path.

    Raises:
        UnknownNameError: The tier does not exist.
    """

    languages: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    scheme: str = "joshi"

    def __post_init__(self) -> None:
        for name in self.tiers:
            if name not in TIERS:
                raise UnknownNameError("tier", name, TIERS)


EVERYTHING = Selection()
"""All pairs that run when none are asked for."""


@dataclass(frozen=True)
class TaskPlan:
    """The pairs of one task to run.

    Attributes:
        card: The task, as its split is read.
        part: The task's part in a suite; None outside of suites.
    """

    card: TaskCard
    split: str
    pairs: tuple[LanguagePair, ...]
    part: Part | None = None


@dataclass(frozen=True)
class Plan:
    """The tasks and pairs to run of a task or suite.

    Attributes:
        tasks: The task, or those of a suite.
        is_whole: A suite runs with all its tasks and pairs.
    """

    card: AnyCard
    tasks: tuple[TaskPlan, ...]
    is_whole: bool = True


def plan_runs(
    cards: Sequence[AnyCard],
    selection: Selection = EVERYTHING,
    *,
    split: str | None = None,
    tasks_dir: Path | None = None,
) -> tuple[list[Plan], list[str]]:
    """Return the plan of each task that has any of the selection, and notes on what is left out.

    Args:
        cards: Tasks and suites.
        selection: Which of their pairs to run.
        split: A split that all have; each task's default when None.
        tasks_dir: Folder with the cards of a suite's tasks.

    Raises:
        UnknownNameError: None of the tasks has a language, pair or split of that name.
        CardError: A suite is wrong.
        UsageError: Nothing is left of any task.
    """
    whole = [Plan(card, _tasks(card, split, tasks_dir)) for card in cards]
    if not whole:
        return [], []
    chosen, notes = _select([task for plan in whole for task in plan.tasks], selection)
    plans, remaining = [], iter(chosen)
    for plan in whole:
        tasks = tuple(task for task in islice(remaining, len(plan.tasks)) if task.pairs)
        if tasks:
            plans.append(Plan(plan.card, tasks, is_whole=tasks == plan.tasks))
    return plans, notes


def select_pairs(card: TaskCard, pairs: Names, languages: Names = None) -> list[LanguagePair]:
    """Return the pairs of one task that the user asked for.

    Raises:
        UnknownNameError: The task has no such language or pair.
        UsageError: Nothing is left.
    """
    task = TaskPlan(card, card.default_split, tuple(card.official_pairs()))
    selection = Selection(languages=split_names(languages), pairs=split_names(pairs))
    return list(_select([task], selection)[0][0].pairs)


def sample_or(split: str | None, sample: bool) -> str | None:
    """Return the split that the user asked for: the sample, `split`, or None for the default.

    Raises:
        UsageError: Both were asked for.
    """
    if sample and split not in (None, SAMPLE):
        raise UsageError("--sample and --split exclude each other")
    return SAMPLE if sample else split


def one_folder(data_dir: Path | None, n_tasks: int) -> None:
    """Refuse one data folder for several tasks.

    Raises:
        UsageError: A task's own folder was named for more than one task.
    """
    if data_dir is not None and n_tasks > 1:
        raise UsageError(
            "--data-dir names the folder of one task; for several, put their folders side by side "
            "and name the parent in the environment variable CLIR_BENCH_DATA"
        )


def _tasks(card: AnyCard, split: str | None, tasks_dir: Path | None) -> tuple[TaskPlan, ...]:
    """Return a task, or those of a suite, each with all its pairs."""
    if isinstance(card, TaskCard):
        split = split or card.default_split
        card = card_for(card, split)
        return (TaskPlan(card, split, tuple(card.official_pairs())),)
    tasks = []
    for part in card.parts:
        task = _part_card(part, tasks_dir)
        part_split = split or part.split or task.default_split
        task = card_for(task, part_split)
        tasks.append(TaskPlan(task, part_split, tuple(_part_pairs(part, task, part_split)), part))
    return tuple(tasks)


def _part_card(part: Part, tasks_dir: Path | None = None) -> TaskCard:
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


def _part_pairs(part: Part, card: TaskCard, split: str) -> list[LanguagePair]:
    """Return the pairs that a part covers, as far as the task has them.

    A sample has fewer languages than its task; pairs of the others are left out.

    Raises:
        UsageError: A rule names a pair that the task lacks, or the rules select no pair.
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


def _select(tasks: Sequence[TaskPlan], selection: Selection) -> tuple[list[TaskPlan], list[str]]:
    """Return the selected pairs of each task, and what each task lacks."""
    scheme = load_scheme(selection.scheme)
    wanted, missing = _languages(tasks, selection.languages)
    chosen = _named(tasks, selection.pairs, missing)
    beside = wanted | {PIVOT, POOL}
    selected, notes = [], []
    for task, pairs, lacks in zip(tasks, chosen, missing, strict=True):
        kept = tuple(
            pair
            for pair in dict.fromkeys(pairs)
            if (not wanted or (wanted & set(pair) and set(pair) <= beside))
            and (not selection.tiers or pair_tier(pair, scheme) in selection.tiers)
        )
        selected.append(replace(task, pairs=kept))
        if not kept:
            notes.append(f"task {task.card.id!r} is left out: it has no pair of that selection")
        elif lacks:
            notes.append(f"task {task.card.id!r} does not have {', '.join(lacks)}: left out there")
    if not any(task.pairs for task in selected):
        names = ", ".join(dict.fromkeys(task.card.id for task in tasks))
        first = tasks[0].card.id
        has = f"task {first!r} has no" if len(tasks) == 1 else f"none of the tasks {names} has a"
        raise UsageError(
            f"{has} pair of that selection; `clir-bench tasks {first}` lists "
            "its pairs, and `--pairs all` selects among more than the official ones"
        )
    return selected, notes


def _languages(tasks: Sequence[TaskPlan], names: Sequence[str]) -> tuple[set[str], list[list[str]]]:
    """Return the codes of languages, and which of the names each task does not have."""
    codes = {name: resolve(name).code for name in names}
    known = sorted({code for task in tasks for code in task.card.languages})
    for name, code in codes.items():
        if code not in known:
            ids = ", ".join(dict.fromkeys(repr(task.card.id) for task in tasks))
            has = f"Task {ids} has" if len(tasks) == 1 else f"The tasks {ids} have"
            raise UnknownNameError("language", name, known, f"{has}: {', '.join(known)}.")
    lacks = [
        [name for name, code in codes.items() if code not in task.card.languages] for task in tasks
    ]
    return set(codes.values()), lacks


def _named(
    tasks: Sequence[TaskPlan], names: Sequence[str], missing: Sequence[list[str]]
) -> list[list[LanguagePair]]:
    """Return each task's pairs with these names; add the names it lacks to `missing`."""
    if names in ((), ("official",)):
        return [list(task.pairs) for task in tasks]
    if names == ("all",):
        return [_available(task) for task in tasks]
    chosen: list[list[LanguagePair]] = [[] for _ in tasks]
    for name in names:
        errors: list[ClirBenchError] = []
        for number, task in enumerate(tasks):
            try:
                chosen[number] += _pairs_named(task, name)
            except UsageError as error:
                errors.append(error)
                missing[number].append(name)
        if len(errors) == len(tasks):
            raise errors[0]
    return chosen


def _available(task: TaskPlan) -> list[LanguagePair]:
    """Return all pairs of a task; of a suite's task, those that the suite covers."""
    return list(task.pairs) if task.part else task.card.available_pairs()


def _pairs_named(task: TaskPlan, name: str) -> list[LanguagePair]:
    available = set(_available(task))
    rule = _rule(name, {str(pair) for pair in available})
    if "*" not in rule:
        check_pairs(task.card, [LanguagePair.parse(rule)])
    return [pair for pair in expand_rules(task.card, [rule]) if pair in available]


def _rule(name: str, available: Collection[str]) -> str:
    """Return the one rule that a name stands for, among the pairs of a task."""
    readings = [str(pair) for pair in pair_readings(name)]
    known = [rule for rule in readings if rule in available] or readings
    if len(known) > 1:
        raise UsageError(f"pair {name!r} may mean {' or '.join(known)}; write one of these")
    return known[0]
