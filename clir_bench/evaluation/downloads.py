"""Fetches tasks' data and models ahead of time, for runs without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from clir_bench.encoders import fetch
from clir_bench.errors import ClirBenchError
from clir_bench.evaluation.selection import RunPlan, TaskPlan
from clir_bench.systems.names import models_of
from clir_bench.tasks.adapters.irds import prefetch, uses_ir_datasets
from clir_bench.tasks.download import download_all
from clir_bench.tasks.source import locate


class Fetched(NamedTuple):
    """A task or model that was asked for.

    Attributes:
        name: The task's id, or what names the model.
        outcome: What is where, in words; "" where it failed.
        error: Why it could not be fetched, else "".
    """

    name: str
    outcome: str
    error: str = ""


def fetch_all(plans: Sequence[RunPlan], models: Sequence[str] = ()) -> Iterator[Fetched]:
    """Fetch models, then the data of tasks, and yield each when it is there.

    What cannot be fetched does not stop the others. An interrupted download continues.

    Args:
        plans: Tasks and pairs, as `selection.plan_runs` returns them.
        models: What `load_system` takes.
    """
    tasks = {task.card.id: task for plan in plans for task in plan.tasks}
    jobs = [(model, f"model {model}: ", partial(_fetch_models, model)) for model in models]
    jobs += [(name, "", partial(_fetch_task, task)) for name, task in tasks.items()]
    for name, where, get in jobs:
        try:
            yield Fetched(name, get())
        except ClirBenchError as error:
            yield Fetched(name, "", f"{where}{error}")


def _fetch_models(system: str) -> str:
    """Fetch the models of one system and return a sentence with their places."""
    models = models_of(system)
    if models == [system]:
        return _fetch_model(system)
    return "; ".join(f"{model}: {_fetch_model(model)}" for model in models) or "needs no model"


def _fetch_model(model: str) -> str:
    """Fetch one model and return a sentence with its place."""
    found = fetch(model)
    if found is None:
        return "loaded once; it keeps no weights in the Hub's cache"
    size = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    return f"{size / 1e6:,.1f} MB at revision {found.revision} are in {found.folder}"


def _fetch_task(task: TaskPlan) -> str:
    """Fetch one task and return a sentence on what was done."""
    source = locate(task.card, task.split)
    if source.origin == "local":
        return f"read from {source.directory}; nothing to fetch"
    if uses_ir_datasets(task.card):
        prefetch(task.card, list(task.pairs), task.split)
        return f"{len(task.pairs)} pairs are in the cache of ir_datasets"
    files = download_all(task.card)
    return f"{len(files)} files are in {source.directory}"
