"""`clir-bench run`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.divided import divided_job, run_divided
from clir_bench.cli.output import ReaderGoneError, say, silence_stdout
from clir_bench.cli.profile import reported
from clir_bench.cli.progress import Bar
from clir_bench.cli.selection import one_folder, select_pairs, split_list, split_measures
from clir_bench.cli.tables import result_text, some_of, suite_text
from clir_bench.core import plugins
from clir_bench.encoders import DESCRIBED, load_encoder, provider
from clir_bench.encoders.model_file import read_description
from clir_bench.errors import ClirBenchError, OutputError, UnknownNameError, UsageError
from clir_bench.evaluation.evaluate import (
    Settings,
    System,
    card_for,
    check_depth,
    evaluate,
    stored_split,
)
from clir_bench.evaluation.sharded_encoding import Job
from clir_bench.evaluation.suite import part_of, part_pairs, run_suite
from clir_bench.results.schema import Result, SuiteResult, SystemRecord
from clir_bench.results.store import result_path, to_json
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import Keeping
from clir_bench.search.workers.executor import Loading
from clir_bench.search.workers.plan import Workers
from clir_bench.tasks.cards import SAMPLE, AnyCard, Part, SuiteCard, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.measures import WHOLE, parse_measures
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

_EPILOG = """\b
Examples:
  clir-bench run --model hashing --task miracl --sample
  clir-bench run --model multilingual-e5-base --task miracl --languages sw,te
  clir-bench run --model st:./my-model --task xquad --task tatoeba --tier low
"""

_SHOWN = 3


@dataclass(frozen=True)
class _Job:
    """One task with what was asked of it: its pairs, or the parts of a suite."""

    card: AnyCard
    split: str
    pairs: tuple[LanguagePair, ...] = ()
    parts: tuple[tuple[Part, TaskCard, str], ...] = ()

    def tasks(self) -> list[tuple[TaskCard, tuple[LanguagePair, ...], str]]:
        """Return its task, or those of a suite, each with pairs and split."""
        if isinstance(self.card, TaskCard):
            return [(self.card, self.pairs, self.split)]
        return [
            (card, tuple(part_pairs(part, card, split)), split) for part, card, split in self.parts
        ]


@dataclass(frozen=True)
class _Request:
    """Everything that holds for all jobs."""

    output: Path
    data_dir: Path | None
    settings: Settings
    as_json: bool


@click.command(epilog=_EPILOG)
@click.option(
    "--model",
    "-m",
    "models",
    multiple=True,
    required=True,
    help="Encoder by name, st:HUB_ID_OR_PATH, or a model.toml. May be given several times.",
)
@click.option(
    "--task",
    "-t",
    "tasks",
    multiple=True,
    required=True,
    help="Task by name, path to a card.toml, or irds:DATASET. May be given several times.",
)
@options.languages
@options.pairs
@options.tier
@options.tiers
@options.split
@click.option("--sample", is_flag=True, help="Run the small embedded sample; needs no data.")
@options.data_dir
@options.tasks_dir
@options.output
@options.measures
@click.option(
    "--top-k",
    type=click.IntRange(1),
    default=WHOLE,
    show_default=True,
    help="Documents ranked per query; measures look no deeper.",
)
@options.device
@options.dtype
@options.batch_size
@options.batch_tokens
@options.seed
@click.option(
    "--limit",
    type=click.IntRange(1),
    help="Only so many queries and documents; the result is partial.",
)
@click.option("--overwrite", is_flag=True, help="Run again what is done already.")
@options.trust_remote_code
@click.option("--profile", is_flag=True, help="Say on stderr where the seconds went.")
@options.embeddings
@options.index
@click.option(
    "--num-shards",
    type=click.IntRange(1),
    help="Divide the encoding among so many jobs; `clir-bench merge` then makes the results.",
)
@click.option("--shard-id", type=click.IntRange(0), help="Which of them this is, from 0.")
@options.workers
@options.worker_threads
@options.executor
@options.address
@click.option("--json", "as_json", is_flag=True, help="Print results as JSON, one a line.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    languages: str | None,
    pairs: str | None,
    tier: str | None,
    tiers: str,
    split: str | None,
    sample: bool,
    data_dir: Path | None,
    tasks_dir: Path | None,
    output: Path,
    measures: str | None,
    top_k: int,
    device: str,
    dtype: str,
    batch_size: int | None,
    batch_tokens: int | None,
    seed: int,
    limit: int | None,
    overwrite: bool,
    trust_remote_code: bool,
    profile: bool,
    embeddings: Keeping,
    index: IndexSpec | None,
    num_shards: int | None,
    shard_id: int | None,
    workers: int | None,
    worker_threads: int | None,
    executor: str,
    address: str | None,
    as_json: bool,
    stored_only: bool = False,
) -> None:
    """Run models on tasks and store their scores.

    Pairs that are done already are kept, so an interrupted run goes on where it was. A pair that
    fails does not stop the others; the command then exits with 1.
    """  # fmt: skip
    settings = Settings(
        measures=tuple(parse_measures(split_measures(measures))),
        top_k=top_k,
        tiers=tiers,
        limit=limit,
        seed=seed,
        overwrite=overwrite,
        command=shlex.join(["clir-bench", *sys.argv[1:]]),
        embeddings=embeddings,
        stored_only=stored_only,
        index=index,
    )
    if address and executor != "ray":
        raise UsageError("--address is for --executor ray")
    divided = divided_job(num_shards, shard_id, embeddings)
    if sample and split not in (None, SAMPLE):
        raise UsageError("--sample and --split exclude each other")
    wanted_split = SAMPLE if sample else split
    jobs = [
        _job(load_card(task, tasks_dir), wanted_split, pairs, languages, tier, tiers, tasks_dir)
        for task in tasks
    ]
    _check_depths(jobs, settings)
    one_folder(data_dir, sum(len(job.parts) or 1 for job in jobs))
    request = _Request(output, data_dir, settings, as_json)
    for model in models:
        _check_name(model)
    problems: list[str] = []
    for model in models:
        loading = Loading(model, device, dtype, batch_size, batch_tokens, trust_remote_code, seed)
        try:
            encoder = loading.load()
        except UsageError:
            raise
        except ClirBenchError as error:
            problems.append(f"model {model}: {error}")
            continue
        cluster = (address or "") if executor == "ray" else None
        with Workers(encoder, loading, workers, worker_threads, cluster) as staff:
            one_model = _OneModel(System(encoder, model, provider(model), staff), request)
            for job in jobs:
                if divided is None:
                    with reported(profile, f"{model} on {job.card.id}", encoder, staff):
                        problems += one_model.run(job)
                else:
                    problems += one_model.encode_share(job, divided)
    for problem in problems:
        say(f"failed: {problem}")
    if problems:
        ctx.exit(1)


def _check_name(model: str) -> None:
    """Find out about a misspelt model before the first one has run for hours."""
    name = model.partition(":")[0]
    if name in plugins.names(plugins.ENCODERS):
        return
    if model.endswith(DESCRIBED):
        read_description(Path(model))
    else:
        load_encoder(model)


def _check_depths(jobs: Sequence[_Job], settings: Settings) -> None:
    for job in jobs:
        for card, pairs, split in job.tasks():
            check_depth(card, pairs, split, settings)


def _job(
    card: AnyCard,
    split: str | None,
    pairs: str | None,
    languages: str | None,
    tier: str | None,
    scheme_name: str,
    tasks_dir: Path | None,
) -> _Job:
    scheme = load_scheme(scheme_name)
    tiers = split_list(tier)
    for name in tiers:
        if name not in ("low", "mid", "high", "unknown"):
            raise UnknownNameError("tier", name, ["low", "mid", "high", "unknown"])
    if isinstance(card, SuiteCard):
        if pairs or languages or tier:
            raise UsageError(
                f"{card.id!r} is a suite whose parts and pairs are fixed; run its parts "
                f"({', '.join(part.task for part in card.parts)}) to choose pairs"
            )
        parts = []
        for part in card.parts:
            task = part_of(part, tasks_dir)
            part_split = split or part.split or task.default_split
            task = card_for(task, part_split)
            part_pairs(part, task, part_split)  # wrong ones are found out about before any runs
            parts.append((part, task, part_split))
        return _Job(card, split or "suite", parts=tuple(parts))
    split = split or card.default_split
    card = card_for(card, split)
    chosen = select_pairs(card, pairs=pairs, languages=languages, tiers=tiers, scheme=scheme)
    return _Job(card, split, tuple(chosen))


def _failures(name: str, job: _Job, result: Result) -> list[str]:
    """Return a line for each of the first few pairs that failed, and one for the others."""
    failed = [pair for pair in job.pairs if result.pairs[str(pair)].status == "failed"]
    lines = [f"{name}, {pair}: {result.pairs[str(pair)].error}" for pair in failed[:_SHOWN]]
    if len(failed) > _SHOWN:
        others = some_of([str(pair) for pair in failed[_SHOWN:]])
        lines.append(f"{name}, {len(failed) - _SHOWN} more: {others} (errors are in the result)")
    return lines


@dataclass(frozen=True)
class _OneModel:
    """A model and what is asked of it."""

    system: System
    request: _Request

    def run(self, job: _Job) -> list[str]:
        """Run one task or suite, print its table, and return what failed."""
        name = f"{self.system.encoder.info.name} on {job.card.id}"
        try:
            if isinstance(job.card, SuiteCard):
                suite = self._run_parts(job, job.card)
                failed = [
                    f"{name}, {part.task}: {part.error}" for part in suite.parts if part.error
                ]
                return [*failed, *_print(suite, self.request)]
            result = self._run_task(job.card, job.pairs, job.split)
        except ClirBenchError as error:
            if isinstance(error, UsageError):
                raise
            return [f"{name}: {error}"]
        return [*_failures(name, job, result), *_print(result, self.request)]

    def encode_share(self, job: _Job, divided: Job) -> list[str]:
        """Encode a share of a task's or suite's documents, and return what failed."""
        return [
            problem
            for card, pairs, split in job.tasks()
            for problem in run_divided(
                divided,
                card,
                pairs,
                self.system,
                data_dir=self.request.data_dir,
                split=split,
                settings=self.request.settings,
            )
        ]

    def _run_task(self, card: TaskCard, pairs: Sequence[LanguagePair], split: str) -> Result:
        return evaluate(
            card,
            self.system,
            output=self.request.output,
            source=locate(card, split, self.request.data_dir),
            split=split,
            pairs=pairs,
            settings=self.request.settings,
            progress=Bar(f"{self.system.encoder.info.name} on {card.id}"),
        )

    def _run_parts(self, job: _Job, suite: SuiteCard) -> SuiteResult:
        encoder = self.system.encoder
        record = SystemRecord.of(
            encoder.info, dim=encoder.dim, spec=self.system.spec, package=self.system.package
        )
        return run_suite(
            suite,
            job.parts,
            self._run_task,
            output=self.request.output,
            system=record,
            settings=self.request.settings,
            started=time.time(),
        )


def _print(result: Result | SuiteResult, request: _Request) -> list[str]:
    """Print a result; return what is wrong with stdout: what follows is still to be run."""
    try:
        _print_all(result, request)
        sys.stdout.flush()
    except ReaderGoneError:
        silence_stdout()
    except OutputError as error:
        silence_stdout()
        return [str(error)]
    return []


def _print_all(result: Result | SuiteResult, request: _Request) -> None:
    if request.as_json:
        click.echo(to_json(result))
        return
    if isinstance(result, SuiteResult):
        click.echo(suite_text(result))
        return
    split = stored_split(result.task.split, request.settings)
    path = result_path(request.output, result.system.name, result.task.id, split)
    if any(pair.status == "done" for pair in result.pairs.values()):
        click.echo(result_text(result))
        click.echo(f"\nruns and per-query values: {path.with_suffix('')}/")
    click.echo(f"result: {path}\n")
