"""Evaluates a model on a task in one call, from their names; this is `clir_bench.evaluate`.

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
from pathlib import Path
from typing import Any, TypedDict, Unpack

from clir_bench.errors import UnknownNameError
from clir_bench.evaluation.runs import Places, prepare_runs, run_plan
from clir_bench.evaluation.selection import Names, Selection, split_names
from clir_bench.evaluation.system import (
    Settings,
    System,
    as_system,
    load_system,
    with_workers,
)
from clir_bench.results.views import EvaluationResult
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks.cards import AnyCard
from clir_bench.tasks.measures import parse_measures
from clir_bench.types import Encoder, TokenEncoder

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
    if unknown := sorted(options.keys() - Options.__annotations__.keys()):
        raise UnknownNameError("option", unknown[0], Options.__annotations__)
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
        command=_call(model, task, {**asked, **given}),
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


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


_UNSAID = {"languages": None, "pairs": None, "split": None, "sample": False, "measures": None}


def _call(model: object, task: object, asked: dict[str, Any]) -> str:
    """Return the user's call, for the record.

    >>> _call("hashing", "miracl", {"languages": ["sw"], "sample": True, "split": None})
    "clir_bench.evaluate('hashing', 'miracl', languages=['sw'], sample=True)"
    """
    if isinstance(model, System):
        model = model.spec
    elif not isinstance(model, str):
        model = type(model).__name__
    task = task if isinstance(task, str | Path) else getattr(task, "id", task)
    said = [repr(model), repr(str(task))]
    for name, value in asked.items():
        if name not in _UNSAID or value != _UNSAID[name]:
            said.append(f"{name}={_plain(value)!r}")
    return f"clir_bench.evaluate({', '.join(said)})"


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else list(value)
