"""`clir-bench download`: fetches the data of tasks, and models, ahead of time."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, say
from clir_bench.encoders import at_revision, fetch
from clir_bench.errors import ClirBenchError, UsageError
from clir_bench.evaluation.selection import Selection, TaskPlan, plan_runs, split_names
from clir_bench.tasks.adapters.irds import prefetch, uses_ir_datasets
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.download import download_all
from clir_bench.tasks.source import locate


@click.command(epilog="Example: clir-bench download miracl --languages sw,te --model labse")
@click.argument("tasks", nargs=-1)
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    help="A model to fetch, as `run --model` takes it. May be given several times.",
)
@options.revision
@options.languages
@options.pairs
@options.split
@options.tasks_dir
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    revision: str | None,
    languages: str | None,
    pairs: str | None,
    split: str | None,
    tasks_dir: Path | None,
) -> None:
    """Fetch the data of TASKS, and models, ahead of time; runs work offline afterwards.

    An interrupted download continues. Files with a known sha256 are compared with it, and fetched
    for all of the task's languages, as they are small. Models go to the Hub's own cache (HF_HOME);
    a cluster's nodes without a network must see it too.
    """
    if not tasks and not models:
        raise UsageError("name a task, as in `clir-bench download miracl`, or a --model")
    wanted = [at_revision(model, revision) for model in models]
    plans, notes = plan_runs(
        [load_card(task, tasks_dir) for task in tasks],
        Selection(languages=split_names(languages), pairs=split_names(pairs)),
        split=split,
        tasks_dir=tasks_dir,
    )
    for note in notes:
        say(f"note: {note}")
    problems = []
    for model in wanted:
        try:
            echo(f"{model}: {_fetch_model(model)}")
        except ClirBenchError as error:
            problems.append(f"model {model}: {error}")
    for task in {task.card.id: task for plan in plans for task in plan.tasks}.values():
        try:
            echo(f"{task.card.id}: {_fetch(task)}")
        except ClirBenchError as error:
            problems.append(str(error))
    for problem in problems:
        echo(f"failed: {problem}", err=True)
    if problems:
        ctx.exit(1)


def _fetch_model(model: str) -> str:
    """Fetch one model and return a sentence with its place."""
    found = fetch(model)
    if found is None:
        return "loaded once; it keeps no weights in the Hub's cache"
    size = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    return f"{size / 1e6:,.1f} MB at revision {found.revision} are in {found.folder}"


def _fetch(task: TaskPlan) -> str:
    """Fetch one task and return a sentence on what was done."""
    source = locate(task.card, task.split)
    if source.origin == "local":
        return f"read from {source.directory}; nothing to fetch"
    if uses_ir_datasets(task.card):
        prefetch(task.card, list(task.pairs), task.split)
        return f"{len(task.pairs)} pairs are in the cache of ir_datasets"
    files = download_all(task.card)
    return f"{len(files)} files are in {source.directory}"
