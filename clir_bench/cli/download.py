"""`clir-bench download`: fetches the data of tasks, and models, ahead of time."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, say
from clir_bench.encoders import at_revision
from clir_bench.errors import UsageError
from clir_bench.evaluation.downloads import fetch_all
from clir_bench.evaluation.selection import Selection, plan_runs, split_names
from clir_bench.tasks.catalog import load_card


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
    fetched = []
    for one in fetch_all(plans, wanted):
        fetched.append(one)
        if not one.error:
            echo(f"{one.name}: {one.outcome}")
    problems = [one.error for one in fetched if one.error]
    for problem in problems:
        echo(f"failed: {problem}", err=True)
    if problems:
        ctx.exit(1)
