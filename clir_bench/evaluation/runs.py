"""Prepares and runs evaluations of several systems on several tasks, for `clir-bench run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.progress import Bar
from clir_bench.evaluation.evaluate import check_depth, evaluate, stored_split
from clir_bench.evaluation.selection import (
    EVERYTHING,
    Plan,
    Selection,
    TaskPlan,
    one_folder,
    plan_runs,
    sample_or,
)
from clir_bench.evaluation.sharded_encoding import Job, JobDone, encode_job
from clir_bench.evaluation.suite import run_suite
from clir_bench.evaluation.system import DEFAULTS, Settings, System
from clir_bench.results.schema import Result
from clir_bench.results.store import result_path, system_folder
from clir_bench.results.views import EvaluationResult
from clir_bench.tasks.cards import AnyCard, SuiteCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import locate

_DEFAULT_OUTPUT = Path("results")


@dataclass(frozen=True)
class Places:
    """Where the files of runs are.

    Attributes:
        output: Folder of results.
        data: Folder of the one task's files; `tasks.source.locate` finds it when None.
        tasks: Folder of your own cards.
    """

    output: Path = _DEFAULT_OUTPUT
    data: Path | None = None
    tasks: Path | None = None


_HERE = Places()


@dataclass(frozen=True)
class Request:
    """What every system shall run.

    Attributes:
        plans: The tasks and suites.
        left_out: Which parts of the selection some tasks lack, one sentence each.
    """

    plans: tuple[Plan, ...]
    left_out: tuple[str, ...]
    settings: Settings
    places: Places


def prepare_runs(
    tasks: Sequence[str | AnyCard],
    selection: Selection = EVERYTHING,
    settings: Settings = DEFAULTS,
    *,
    split: str | None = None,
    sample: bool = False,
    places: Places = _HERE,
) -> Request:
    """Check all of a run that needs neither data nor a model.

    Args:
        tasks: Cards, or what `clir-bench run --task` takes.
        selection: Which of their pairs to run.
        settings: How to run them.
        split: A split that all tasks have; each task's default when None.
        sample: Run the embedded samples.
        places: Where the files are.

    Raises:
        UnknownNameError: The task, split, language or pair does not exist.
        CardError: A card is wrong.
        UsageError: Arguments contradict each other, nothing is left to run, or a measure looks
            deeper than the rankings will go.
    """
    chosen = sample_or(split, sample)
    cards = [load_card(task, places.tasks) if isinstance(task, str) else task for task in tasks]
    plans, left_out = plan_runs(cards, selection, split=chosen, tasks_dir=places.tasks)
    for plan in plans:
        for task in plan.tasks:
            check_depth(task.card, task.pairs, task.split, settings)
    one_folder(places.data, sum(len(plan.tasks) for plan in plans))
    return Request(tuple(plans), tuple(left_out), settings, places)


def run_plan(plan: Plan, system: System, request: Request) -> EvaluationResult:
    """Run a system on a task or suite, and return the stored result.

    Pairs that are already done are kept. A failing pair, or a failing task of a suite, does not
    stop the others: the result's `failures` names them.

    Raises:
        ClirBenchError: Nothing could be run (see `evaluation.evaluate`).
    """
    if not isinstance(plan.card, SuiteCard):
        return EvaluationResult(*_run_task(plan.tasks[0], system, request))
    parts: list[EvaluationResult] = []

    def run_part(task: TaskPlan) -> Result:
        path, result = _run_task(task, system, request)
        parts.append(EvaluationResult(path, result))
        return result

    output, settings = request.places.output, request.settings
    path, suite = run_suite(
        plan.card, plan, run_part, output=output, system=system.record, settings=settings
    )
    path = path or output / system_folder(suite.system.name)
    return EvaluationResult(path, None, suite, tuple(parts))


def encode_share(task: TaskPlan, job: Job, system: System, request: Request) -> JobDone:
    """Encode and store one job's share of a task's documents, and score nothing.

    Raises:
        ClirBenchError: Nothing could be encoded (see `sharded_encoding.encode_job`).
    """
    return encode_job(
        task.card,
        system,
        job,
        source=locate(task.card, task.split, request.places.data),
        split=task.split,
        pairs=task.pairs,
        settings=request.settings,
        progress=Bar(f"{system.encoder.info.name} on {task.card.id}"),
    )


def _run_task(task: TaskPlan, system: System, request: Request) -> tuple[Path, Result]:
    card, output, name = task.card, request.places.output, system.encoder.info.name
    result = evaluate(
        card,
        system,
        output=output,
        source=locate(card, task.split, request.places.data),
        split=task.split,
        pairs=task.pairs,
        settings=request.settings,
        progress=Bar(f"{name} on {card.id}"),
    )
    return result_path(output, name, card.id, stored_split(task.split, request.settings)), result
