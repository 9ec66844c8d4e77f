"""`clir-bench run`: runs models on tasks and stores their results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from clir_bench.cli import options
from clir_bench.cli.output import (
    ReaderGoneError,
    echo,
    say,
    silence_stdout,
    typed_command,
)
from clir_bench.cli.profile import reported
from clir_bench.cli.tables import Printer
from clir_bench.core.display import some_of
from clir_bench.core.tables import Format
from clir_bench.encoders import at_revision, check_name
from clir_bench.errors import ClirBenchError, OutputError, UsageError
from clir_bench.evaluation.runs import Places, Request, encode_share, prepare_runs, run_plan
from clir_bench.evaluation.selection import Plan, Selection, split_names
from clir_bench.evaluation.sharded_encoding import Job
from clir_bench.evaluation.system import Settings, System, load_system, with_workers
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks.measures import WHOLE, parse_measures

_EPILOG = """\b
Examples:
  clir-bench run --model hashing --task miracl --sample
  clir-bench run --model multilingual-e5-base --task miracl --languages sw,te
  clir-bench run --model st:./my-model --task xquad --task tatoeba --tier low
"""

_SHOWN = 3
_OPTIONS = (
    click.option(
        "--model",
        "-m",
        "models",
        multiple=True,
        required=True,
        help="Encoder by name, st:HUB_ID_OR_PATH, or a model.toml. May be given several times.",
    ),
    click.option(
        "--task",
        "-t",
        "tasks",
        multiple=True,
        required=True,
        help="Task by name, path to a card.toml, or irds:DATASET. May be given several times.",
    ),
    options.languages,
    options.pairs,
    options.tier,
    options.tiers,
    options.split,
    click.option("--sample", is_flag=True, help="Run the small embedded sample; needs no data."),
    options.data_dir,
    options.tasks_dir,
    options.output,
    options.measures,
    click.option(
        "--top-k",
        type=click.IntRange(1),
        default=WHOLE,
        show_default=True,
        help="Documents to rank per query; measures look no deeper.",
    ),
    options.device,
    options.dtype,
    options.batch_size,
    options.batch_tokens,
    options.revision,
    options.seed,
    click.option(
        "--limit",
        type=click.IntRange(1),
        help="Only so many queries and documents; the result is partial.",
    ),
    click.option("--overwrite", is_flag=True, help="Run again what is done already."),
    options.trust_remote_code,
    click.option("--profile", is_flag=True, help="Say on stderr where the seconds went."),
    options.embeddings,
    options.index,
    options.workers,
    options.worker_threads,
    options.executor,
    options.address,
    options.formats("a stored result", "a mean by one measure", "json"),
)
"""What `run` and `merge` both take."""


@dataclass(frozen=True)
class RunOptions:
    """The values of `_OPTIONS`."""

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    languages: str | None
    pairs: str | None
    tier: str | None
    tiers: str
    split: str | None
    sample: bool
    data_dir: Path | None
    tasks_dir: Path | None
    output: Path
    measures: str | None
    top_k: int
    device: str
    dtype: str
    batch_size: int | None
    batch_tokens: int | None
    revision: str | None
    seed: int
    limit: int | None
    overwrite: bool
    trust_remote_code: bool
    profile: bool
    embeddings: Keeping
    index: IndexSpec | None
    workers: int | None
    worker_threads: int | None
    executor: str
    address: str | None
    form: Format


_Command = TypeVar("_Command", bound=Callable[..., Any])


def run_options(command: _Command) -> _Command:
    """Give a command the options of `run`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(epilog=_EPILOG)
@run_options
@click.option(
    "--num-shards",
    type=click.IntRange(1),
    help="Divide the encoding among so many jobs; `clir-bench merge` then makes the results.",
)
@click.option("--shard-id", type=click.IntRange(0), help="Which of them this is, from 0.")
@click.pass_context
def command(
    ctx: click.Context, /, *, num_shards: int | None, shard_id: int | None, **values: Any
) -> None:
    """Run models on tasks and store their scores.

    Pairs that are already done are kept, so an interrupted run continues. A pair that fails does
    not stop the others; the command then exits with 1.
    """
    job = None
    if num_shards is not None and shard_id is not None:
        if values["embeddings"].mode == "off":
            raise UsageError("--num-shards needs somewhere to store vectors: not --embeddings off")
        job = Job(shard_id, num_shards)
    elif num_shards is not None or shard_id is not None:
        raise UsageError("--num-shards and --shard-id go together")
    run(ctx, RunOptions(**values), job=job)


def run(
    ctx: click.Context, asked: RunOptions, *, job: Job | None = None, stored_only: bool = False
) -> None:
    """Run every model on every task, or encode a job's share, and print the results."""
    if asked.address and asked.executor != "ray":
        raise UsageError("--address is for --executor ray")
    request = prepare_runs(
        asked.tasks,
        Selection(
            languages=split_names(asked.languages),
            pairs=split_names(asked.pairs),
            tiers=split_names(asked.tier),
            scheme=asked.tiers,
        ),
        Settings(
            measures=tuple(parse_measures(split_names(asked.measures))),
            top_k=asked.top_k,
            tiers=asked.tiers,
            limit=asked.limit,
            seed=asked.seed,
            overwrite=asked.overwrite,
            command=typed_command(),
            embeddings=asked.embeddings,
            stored_only=stored_only,
            index=asked.index,
        ),
        split=asked.split,
        sample=asked.sample,
        places=Places(asked.output, asked.data_dir, asked.tasks_dir),
    )
    models = [at_revision(model, asked.revision) for model in asked.models]
    for model in models:
        check_name(model)
    for note in request.left_out:
        say(f"note: {note}")
    problems: list[str] = []
    printer = Printer(asked.form)
    for model in models:
        try:
            system = load_system(
                model,
                device=asked.device,
                dtype=asked.dtype,
                batch_size=asked.batch_size,
                batch_tokens=asked.batch_tokens,
                trust_remote_code=asked.trust_remote_code,
                seed=asked.seed,
            )
        except UsageError:
            raise
        except ClirBenchError as error:
            problems.append(f"model {model}: {error}")
            continue
        cluster = (asked.address or "") if asked.executor == "ray" else None
        with with_workers(system, asked.workers, asked.worker_threads, cluster) as staffed:
            for plan in request.plans:
                if job is not None:
                    problems += _encode(plan, job, staffed, request)
                    continue
                with reported(asked.profile, f"{model} on {plan.card.id}", staffed):
                    problems += _run(plan, staffed, request, printer)
    for problem in problems:
        say(f"failed: {problem}")
    if problems:
        ctx.exit(1)


def _run(plan: Plan, system: System, request: Request, printer: Printer) -> Iterator[str]:
    """Run one task or suite, print its table, and yield failures."""
    name = f"{system.encoder.info.name} on {plan.card.id}"
    try:
        result = run_plan(plan, system, request)
    except UsageError:
        raise
    except ClirBenchError as error:
        yield f"{name}: {error}"
        return
    failures = list(result.failures.items())
    shown = len(failures) if result.suite else _SHOWN
    yield from (f"{name}, {place}: {error}" for place, error in failures[:shown])
    if others := [place for place, _ in failures[shown:]]:
        yield f"{name}, {len(others)} more: {some_of(others, 12)} (errors are in the result)"
    try:
        printer.show_stored(result)
        sys.stdout.flush()
    except ReaderGoneError:  # what follows is still to be run
        silence_stdout()
    except OutputError as error:
        silence_stdout()
        yield str(error)


def _encode(plan: Plan, job: Job, system: System, request: Request) -> Iterator[str]:
    """Encode a share of a task's or suite's documents, print what was done, and yield failures."""
    for task in plan.tasks:
        name = f"{system.encoder.info.name} on {task.card.id}"
        try:
            done = encode_share(task, job, system, request)
        except UsageError:
            raise
        except ClirBenchError as error:
            yield f"{name}: {error}"
            continue
        echo(
            f"{name}, job {job.number} of {job.n_jobs}: {done.n_encoded} shards encoded, "
            f"{done.n_mine - done.n_encoded} were there or failed; {done.n_missing} of all "
            f"{done.n_shards} are missing"
        )
        yield from (f"{name}, {failure}" for failure in done.failures)
