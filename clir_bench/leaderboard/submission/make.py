"""Makes submissions from the results of `clir-bench run`.

It keeps the first documents of each ranking (`plan`, `run_format`) and scores these shorter runs
again, so that every digit of a submission can be recomputed from its own files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.files import write_file
from clir_bench.core.provenance import VERSION
from clir_bench.core.safe_text import name_problem, without_folders
from clir_bench.errors import DataError, ResultError
from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.plan import Plan, plan_of
from clir_bench.metrics.means import N_RESAMPLES
from clir_bench.metrics.scoring import QueryScores, score
from clir_bench.results.schema import (
    PairResult,
    Result,
    SettingsRecord,
    Submission,
    SuiteResult,
    TaskRecord,
)
from clir_bench.results.store import (
    read_result,
    result_file,
    result_path,
    system_folder,
    write_result,
    write_values,
)
from clir_bench.results.summary import has_pairs_and_pool, means_of, not_for_boards
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import is_stored_run
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.loading import Loader, prepare
from clir_bench.tasks.source import Source
from clir_bench.types import LanguagePair, Run

SCHEME = "joshi"
"""Tier scheme of submissions; boards sum values up under their own."""

SETTINGS = SettingsRecord(top_k=0, seed=0, n_resamples=N_RESAMPLES)
"""Seed and size of the bootstrap of every submission; `top_k` is the plan's depth."""

_OWN_FILE = re.compile(r"[a-z]+-[a-z]+\.(run\.[gx]z|values\.tsv\.gz)")


class NotForBoardsError(ResultError):
    """The result is no benchmark score: a sample, a part, a suite, or unofficial data."""


@dataclass(frozen=True)
class Cut:
    """A result that can be submitted, before its runs are read.

    Attributes:
        path: Where it was read from.
        plan: Which parts of it to keep.
    """

    path: Path
    result: Result
    card: TaskCard
    plan: Plan

    @property
    def name(self) -> str:
        """The system's name."""
        return self.result.system.name


@dataclass
class _Kept:
    """The records of the cut pairs."""

    pairs: dict[str, PairResult] = field(default_factory=dict)
    scores: dict[LanguagePair, QueryScores] = field(default_factory=dict)


def open_result(
    path: Path,
    choose: Callable[[TaskCard], Iterable[LanguagePair]] = lambda _: (),
    measures: Iterable[str] = (),
) -> Cut:
    """Read a result and check that it may be submitted.

    Args:
        path: The result.
        choose: Pairs of a task to keep beside those of its plan.
        measures: Measures to keep beside the plan's.

    Raises:
        NotForBoardsError: The result is a sample, a suite, limited, unofficial, or lacks pairs.
        ResultError: The result cannot be read, or used another version of the task's card.
    """
    result = read_result(path)
    if isinstance(result, SuiteResult):
        raise NotForBoardsError(
            f"{path}: is the result of a suite; submit the results of its parts"
        )
    problems = not_for_boards(result)
    if problems:
        raise NotForBoardsError(f"{path}: {'; '.join(problems)}")
    if result.submission is not None:
        raise ResultError(
            f"{path}: is a submission already; submit the result that it was made from"
        )
    card = load_card(result.task.id)
    if not isinstance(card, TaskCard) or card.sha256() != result.task.card_sha256:
        raise ResultError(f"{path}: made with another version of the task's card; run it again")
    if problem := name_problem(result.system.name):
        raise ResultError(f"{path}: {problem}")
    plan = plan_of(card, measures)
    plan = Plan(plan.ordered(card, (*plan.pairs, *choose(card))), plan.depth, plan.measures)
    known = result.pairs
    missing = [
        name for name in map(str, plan.pairs) if name not in known or known[name].status != "done"
    ]
    if missing:
        some = f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
        raise NotForBoardsError(
            f"{path}: partial: {len(missing)} of the {len(plan.pairs)} pairs that a submission "
            f"needs are not done ({some}); run them first"
        )
    if (depth := result.reach(map(str, plan.pairs))) < plan.depth:
        raise NotForBoardsError(
            f"{path}: rankings hold {depth:,} documents per query, but a submission needs "
            f"{plan.depth}; rank more (--top-k)"
        )
    return Cut(path, result, card, plan)


def submit(
    cut: Cut, *, to: Path, source: Source, advance: Callable[[int], None] = lambda _: None
) -> Path:
    """Cut a result's runs, score them again and store the submission; return the result's path.

    Args:
        cut: The result, as `open_result` returns it.
        to: Folder of submitted results.
        source: Where the task's files are; scoring again needs the judgments.
        advance: Called with 1 for every pair that is done.

    Raises:
        DataError: The data is not that of the run, or a run file is missing or damaged.
        OutputError: The folder cannot be written.
    """
    loader = Loader(cut.card, cut.result.task.split, source)
    _check_data(cut, loader)
    path = result_path(to, cut.name, cut.card.id, cut.result.task.split)
    kept = _Kept()
    for pair in cut.plan.pairs:
        was = cut.result.pairs[str(pair)]
        run = _read_run(cut.path, pair, was, cut.plan.depth)
        scores = score(run, loader.load(pair).qrels, cut.plan.measures)
        kept.scores[pair] = scores
        kept.pairs[str(pair)] = _store(path, pair, was, run, scores, cut)
        advance(1)
    result = _result(cut, kept)
    _remove_others(path, result)
    write_result(path, result)
    return path


def means_update(
    result: Result, card: TaskCard, scores: Mapping[LanguagePair, QueryScores]
) -> Result:
    """Return a submission with the means that its per-query values give."""
    means = means_of(
        scores,
        load_scheme(SCHEME),
        pooled=has_pairs_and_pool(card),
        parallel_queries=card.parallel_queries,
        settings=result.settings,
    )
    return result.model_copy(
        update={
            "pairs": means.told(result.pairs),
            "languages": means.languages,
            "tiers": means.tiers,
            "overall": means.overall,
            "pool": means.pool,
        }
    )


def task_record(
    card: TaskCard, split: str, measures: tuple[str, ...], pairs: Mapping[str, PairResult]
) -> TaskRecord:
    """Return what a submission says about its task."""
    hashes = "\n".join(f"{name} {pairs[name].data_sha256}" for name in sorted(pairs))
    return TaskRecord(
        id=card.id,
        title=card.title,
        version=card.version,
        card_sha256=card.sha256(),
        split=split,
        measures=measures,
        official=True,
        unofficial=(),
        sample=False,
        limit=None,
        complete={str(pair) for pair in card.official_pairs()} <= set(pairs),
        parallel_queries=card.parallel_queries,
        data_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
    )


def _check_data(cut: Cut, loader: Loader) -> None:
    prepared = prepare(loader, cut.plan.pairs)
    if prepared.failures:
        raise DataError("; ".join(dict.fromkeys(map(str, prepared.failures.values()))))
    for group in prepared.groups:
        for pair in group.pairs:
            if pair.inspection.sha256 != cut.result.pairs[str(pair.pair)].data_sha256:
                raise DataError(
                    f"{cut.path}: the data in {loader.source.directory} is not the data that pair "
                    f"{pair.pair} was run on; name the folder of that data with --data-dir"
                )


def _read_run(path: Path, pair: LanguagePair, was: PairResult, depth: int) -> Run:
    file = result_file(path, was.run_file, f"run_file of {pair}")
    if not file.is_file():
        raise DataError(f"{file}: the run of {pair} is missing; run it again")
    if not is_stored_run(file, was):
        raise DataError(f"{file}: not the run that {pair} was scored from; run it again")
    return run_format.read_top(file, depth)


def _store(
    path: Path, pair: LanguagePair, was: PairResult, run: Run, scores: QueryScores, cut: Cut
) -> PairResult:
    depth = cut.plan.depth
    data = run_format.compress(run_format.format_compact(run, depth, system_folder(cut.name)))
    run_file = f"{path.stem}/{pair}{run_format.SUFFIX}"
    write_file(path.parent / run_file, data)
    values_file, values_sha256 = write_values(path, pair, scores)
    retrieved = sum(map(len, run.doc_ids))
    counts = was.counts and was.counts.model_copy(update={"retrieved": retrieved})
    return was.model_copy(
        update={
            "counts": counts,
            "scores": {},
            "source_run_sha256": was.run_sha256,
            "depth": None,
            "cut": True,
            "run_file": run_file,
            "run_sha256": hashlib.sha256(data).hexdigest(),
            "values_file": values_file,
            "values_sha256": values_sha256,
        }
    )


def _result(cut: Cut, kept: _Kept) -> Result:
    was, depth = cut.result, cut.plan.depth
    environment, *later = (
        ran.model_copy(update={"command": without_folders(ran.command)})
        for ran in (was.environment, *was.later_commands)
    )
    result = was.model_copy(
        update={
            "system": _record(was.system),
            "task": task_record(cut.card, was.task.split, cut.plan.measures, kept.pairs),
            "settings": SETTINGS.model_copy(update={"top_k": depth}),
            "environment": environment,
            "later_commands": tuple(later),
            "pairs": kept.pairs,
            "submission": Submission(
                depth=depth,
                source_top_k=was.settings.top_k,
                source_measures=was.task.measures,
                clir_bench=VERSION,
            ),
        }
    )
    return means_update(result, cut.card, kept.scores)


def _record(system: SystemRecord) -> SystemRecord:
    return system.model_copy(
        update={
            "spec": without_folders(system.spec),
            "description": without_folders(system.description),
        }
    )


def _remove_others(path: Path, result: Result) -> None:
    """Remove the files of pairs that only an earlier submission had."""
    wanted = {pair.run_file for pair in result.pairs.values()}
    wanted |= {pair.values_file for pair in result.pairs.values()}
    for file in (path.parent / path.stem).iterdir():
        if _OWN_FILE.fullmatch(file.name) and f"{path.stem}/{file.name}" not in wanted:
            file.unlink()


def check_free(cut: Cut, to: Path) -> None:
    """Refuse to replace a submission.

    Raises:
        ResultError: A submission of that system, task and split exists.
    """
    path = result_path(to, cut.name, cut.card.id, cut.result.task.split)
    if path.exists():
        raise ResultError(f"{path} exists already; --overwrite replaces it")
