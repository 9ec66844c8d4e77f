"""Evaluates a model, or scores run files, in one call: `clir_bench.evaluate` and `score_runs`.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     result = evaluate("hashing", "miracl", languages=["sw", "yo"], sample=True, output=folder)
>>> result
<EvaluationResult: hashing on miracl, sample>
>>> sorted(name for name, pair in result.result.pairs.items() if pair.status == "done")
['sw-sw', 'yo-yo']
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from clir_bench.core.progress import Bar
from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.evaluation.evaluate import card_for
from clir_bench.evaluation.runs import Places, prepare_runs, run_plan
from clir_bench.evaluation.score_runs import score_files
from clir_bench.evaluation.selection import (
    Names,
    Selection,
    sample_or,
    select_pairs,
    split_names,
)
from clir_bench.evaluation.system import (
    Settings,
    System,
    as_system,
    load_system,
    with_workers,
)
from clir_bench.results.store import result_path
from clir_bench.results.views import EvaluationResult
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks.cards import AnyCard, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.measures import parse_measures
from clir_bench.tasks.source import locate
from clir_bench.types import Encoder, LanguagePair, TokenEncoder

logger = logging.getLogger(__name__)


class LoadOptions(TypedDict, total=False):
    """How a model is loaded, as `load_system` takes it."""

    device: str
    dtype: str
    batch_size: int
    batch_tokens: int
    trust_remote_code: bool


class Options(LoadOptions, total=False):
    """Further options of `clir-bench run`, by the same names.

    Attributes:
        tier: Keep the pairs of these tiers: "low", or ["low", "mid"].
        tiers: The tier scheme: "joshi", "cc100", "optical", or a TOML file of your own.
        data_dir: Folder of the task's files.
        tasks_dir: Folder of cards of your own.
        top_k: Documents to rank per query.
        limit: Cut every pair to this many queries and documents; the result is partial.
        seed: Seed of the intervals, and of encoders that draw random numbers.
        overwrite: Run pairs again that are already done.
        embeddings: Which vectors to store: "auto", "off", or a folder that keeps them all.
        index: An approximate index such as "HNSW32"; "exact" for exact search.
        workers: Processes that encode; as many as pay off when not given.
        worker_threads: Threads of each worker on a processor.
        address: Address of the Ray cluster that encodes; "" takes $RAY_ADDRESS.
    """

    tier: Names
    tiers: str
    data_dir: str | Path
    tasks_dir: str | Path
    top_k: int
    limit: int
    seed: int
    overwrite: bool
    embeddings: str | Path
    index: str
    workers: int
    worker_threads: int
    address: str


class ScoreOptions(TypedDict, total=False):
    """Further options of `clir-bench score`, by the same names.

    Attributes:
        tiers: The tier scheme: "joshi", "cc100", "optical", or a TOML file of your own.
        data_dir: Folder of the task's files.
        tasks_dir: Folder of cards of your own.
        seed: Seed of the intervals.
        overwrite: Replace what is stored under the system's name.
        command: What the result records as its command; the call itself when not given.
    """

    tiers: str
    data_dir: str | Path | None
    tasks_dir: str | Path | None
    seed: int
    overwrite: bool
    command: str


_SETTINGS = ("top_k", "tiers", "limit", "seed", "overwrite")


def evaluate(
    model: str | System | Encoder | TokenEncoder,
    task: str | Path | AnyCard,
    *,
    languages: Names = None,
    pairs: Names = None,
    split: str | None = None,
    sample: bool = False,
    measures: Names = None,
    output: str | Path = "results",
    **options: Unpack[Options],
) -> EvaluationResult:
    """Run a model on a task, store the result and return it.

    This is what `clir-bench run` does: results go to the same files, and pairs already done there
    are kept. A pair that fails does not stop the others; a warning is logged, and the result's
    `failures` names it.

    Args:
        model: A name, `st:` and a Hub id or folder, the path of a model.toml, what `load_system`
            returned, or an encoder of your own (see `clir_bench.types.Encoder`).
        task: A task or suite by name, the path of a card, `irds:` and a data set, or what
            `load_task` returned.
        languages: Only the pairs of these languages: ["sw", "te"] or "sw,te".
        pairs: Only these pairs: ["en-sw", "*-mul"], or "all". The official ones when None.
        split: One of the task's splits; the task's default when None.
        sample: Run the small embedded sample, which needs no data.
        measures: More ir-measures names to report: ["P@5", "RR"].
        output: Folder of results.
        options: More options of the command: see `Options`.

    Raises:
        UnknownNameError: The model, task, split, language, pair, measure or option does not exist.
        UsageError: Arguments contradict each other, or nothing is left to run.
        DataError: The task's data is missing or wrong.
        EncoderError: The model cannot be loaded.
        ResultError: The stored result has other settings; `overwrite=True` replaces it.
        OutputError: The folder of results cannot be written.
    """
    _check_options(options, Options)
    asked: dict[str, Any] = {
        "languages": languages, "pairs": pairs, "split": split, "sample": sample,
        "measures": measures, "output": output,
    }  # fmt: skip
    given: dict[str, Any] = {**options}
    loading = {name: given[name] for name in LoadOptions.__annotations__ if name in given}
    if loading and not isinstance(model, str):
        raise UnknownNameError(
            "option", min(loading), [], "The model is loaded already; name it, or load it so."
        )
    settings = Settings(
        **{name: given[name] for name in _SETTINGS if name in given},
        measures=tuple(parse_measures(split_names(measures))),
        embeddings=Keeping.parse(str(options.get("embeddings", "auto"))),
        index=IndexSpec.parse(options.get("index", "exact")),
        command=_call("evaluate", [_name(model), _name(task)], {**asked, **given}),
    )
    request = prepare_runs(
        [str(task) if isinstance(task, Path) else task],
        Selection(
            languages=split_names(languages),
            pairs=split_names(pairs),
            tiers=split_names(options.get("tier")),
            scheme=settings.tiers,
        ),
        settings,
        split=split,
        sample=sample,
        places=Places(
            Path(output), _path(options.get("data_dir")), _path(options.get("tasks_dir"))
        ),
    )
    for note in request.left_out:
        logger.warning("%s", note)
    if isinstance(model, str):
        system = load_system(model, seed=settings.seed, **loading)
    else:
        system = model if isinstance(model, System) else as_system(model)
    workers, threads = options.get("workers"), options.get("worker_threads")
    with with_workers(system, workers, threads, options.get("address")) as staffed:
        result = run_plan(request.plans[0], staffed, request)
    for place, error in result.failures.items():
        logger.warning("failed: %s: %s", place, error)
    return result


def score_runs(
    system: str,
    task: str | Path | AnyCard,
    runs: Mapping[str, str | Path] | Iterable[tuple[str, str | Path]],
    *,
    split: str | None = None,
    sample: bool = False,
    measures: Names = None,
    output: str | Path = "results",
    **options: Unpack[ScoreOptions],
) -> EvaluationResult:
    """Score TREC runs made elsewhere, store the result under the system's name and return it.

    This is what `clir-bench score` does. Judged queries without an answer count 0. Measures that
    look deeper than the runs are renamed to the runs' depth, and those of `measures` refused. A run
    that cannot be scored does not stop the others: the result's `failures` names it.

    Args:
        system: What to call the system that made the runs.
        task: A task by name, the path of a card, or what `load_task` returned.
        runs: The run file of each pair, {"en-sw": "my.run"}. It may be packed, or a pipe.
        split: One of the task's splits; the task's default when None.
        sample: The runs are of the small embedded sample.
        measures: More ir-measures names to report: ["P@5", "RR"].
        output: Folder of results.
        options: More options of the command: see `ScoreOptions`.

    Returns:
        The stored result; its `notes` name queries without an answer and renamed measures.

    Raises:
        UnknownNameError: The task, split, pair, measure or option does not exist.
        UsageError: The task is a suite, or a run file has no pair or several.
        DataError: A run file or the task's data is missing.
        ResultError: The stored result has other settings; `overwrite=True` replaces it.
        OutputError: The folder of results cannot be written.
    """
    _check_options(options, ScoreOptions)
    given: dict[str, Any] = {**options}
    command, data_dir = given.pop("command", ""), _path(given.get("data_dir"))
    tasks_dir = _path(given.get("tasks_dir"))
    card = load_card(str(task), tasks_dir) if isinstance(task, str | Path) else task
    if not isinstance(card, TaskCard):
        raise UsageError(f"{card.id!r} is a suite; score its parts one by one")
    split_name = sample_or(split, sample) or card.default_split
    card = card_for(card, split_name)
    named = list(runs.items() if isinstance(runs, Mapping) else runs)
    if not named:
        raise UsageError("no run file; give one per pair, as in {'en-sw': 'my.run'}")
    files: dict[LanguagePair, Path] = {}
    for name, path in named:
        pairs = select_pairs(card, name)
        if len(pairs) > 1:
            raise UsageError(f"{name!r} names {len(pairs)} pairs; a run file is of one, as en-sw")
        if pairs[0] in files:
            raise UsageError(f"{path}: pair {pairs[0]} has a run file already, {files[pairs[0]]}")
        files[pairs[0]] = Path(path)
    said = [system, _name(task), {name: str(path) for name, path in named}]
    asked = {"split": split, "sample": sample, "measures": measures, "output": output, **given}
    settings = Settings(
        **{name: given[name] for name in _SETTINGS if name in given},
        measures=tuple(parse_measures(split_names(measures))),
        command=command or _call("score_runs", said, asked),
    )
    result, notes = score_files(
        card,
        files,
        system,
        output=Path(output),
        source=locate(card, split_name, data_dir),
        split=split_name,
        settings=settings,
        progress=Bar(f"{system} on {card.id}"),
    )
    path = result_path(Path(output), system, card.id, split_name)
    return EvaluationResult(path, result, notes=tuple(notes))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _check_options(options: Mapping[str, object], known: type) -> None:
    if unknown := sorted(options.keys() - known.__annotations__.keys()):
        raise UnknownNameError("option", unknown[0], known.__annotations__)


def _call(function: str, said: Iterable[object], asked: Mapping[str, Any]) -> str:
    """Return the user's call, for the record.

    >>> _call("evaluate", ["hashing", "miracl"], {"languages": ["sw"], "split": None})
    "clir_bench.evaluate('hashing', 'miracl', languages=['sw'])"
    """
    options = [
        f"{name}={_plain(value)!r}"
        for name, value in asked.items()
        if value is not None and (name, value) != ("sample", False)
    ]
    return f"clir_bench.{function}({', '.join([*map(repr, said), *options])})"


def _name(named: object) -> str:
    """Return the name of a task or model that a user gave by name or as an object."""
    if isinstance(named, System):
        return named.spec
    if isinstance(named, str | Path):
        return str(named)
    return str(getattr(named, "id", type(named).__name__))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else list(value)
