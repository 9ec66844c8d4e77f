"""Recomputes the scores of a submission from its runs and the benchmark's judgments.

Without the benchmark's data, it can recompute only the means, from the per-query values.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clir_bench.core.bounded_files import read_plain, unpack_xz
from clir_bench.core.display import printable, shown_path
from clir_bench.errors import ClirBenchError, DataError, MissingDataError
from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.claims import Statement
from clir_bench.leaderboard.submission.make import means_update, task_record
from clir_bench.metrics.scoring import QueryScores, score
from clir_bench.results.schema import PairCounts, PairResult, Result
from clir_bench.results.store import system_folder, to_json
from clir_bench.tasks.loading import CorpusGroup, Loader, PreparedPair, corpus_of, prepare
from clir_bench.tasks.measures import depth_of
from clir_bench.tasks.source import Source
from clir_bench.types import LanguagePair, Run

Values = Mapping[LanguagePair, QueryScores]
_INTERVAL_TOLERANCE = 1e-9
"""Resampled means are matrix products, whose last digit depends on the processor; means are not."""
_SHOWN = 5


@dataclass
class Recomputed:
    """The outcome of recomputing.

    Attributes:
        values: Per-query values by pair, as submitted.
        problems: What is wrong, each with its file.
        scores: Per-query values by pair: recomputed, or as submitted without data.
        pairs: What the result should state about the pairs, without their means.
        missing: Which data is missing, so that values were taken as submitted; "" if none is.
    """

    values: Values = field(default_factory=dict)
    problems: list[ClirBenchError] = field(default_factory=list)
    scores: dict[LanguagePair, QueryScores] = field(default_factory=dict)
    pairs: dict[str, PairResult] = field(default_factory=dict)
    missing: str = ""

    def take(
        self,
        statement: Statement,
        retrieved: Mapping[LanguagePair, int],
        pairs: Iterable[LanguagePair],
    ) -> None:
        """Take the values of these pairs as submitted, as far as they and the runs are readable."""
        for pair in pairs:
            if pair in self.values and pair in retrieved:
                self.scores[pair] = self.values[pair]
                self.pairs[str(pair)] = _with_counts(statement.stated(pair), retrieved[pair])


def from_values(
    statement: Statement, values: Values, retrieved: Mapping[LanguagePair, int], missing: str = ""
) -> Recomputed:
    """Take the values as submitted, and `retrieved`, the number of documents in each pair's run."""
    done = Recomputed(values=values, missing=missing)
    done.take(statement, retrieved, statement.pairs)
    return done


def from_runs(
    statement: Statement, values: Values, retrieved: Mapping[LanguagePair, int], source: Source
) -> Recomputed:
    """Check everything against the data, and score the runs of all pairs whose data is there."""
    done = Recomputed(values=values)
    loader = Loader(statement.card, statement.result.task.split, source)
    preparation = prepare(loader, statement.pairs)
    missing: dict[LanguagePair, str] = {}
    for pair, failure in preparation.failures.items():
        if isinstance(failure, MissingDataError):
            missing[pair] = str(failure)
            continue
        what = f"{statement.place(pair)}: the data cannot be read: {failure}"
        done.problems.append(DataError(what))
    if missing:
        files = list(dict.fromkeys(source.missing))
        done.missing = source.lacks(files) if files else next(iter(missing.values()))
        done.take(statement, retrieved, missing)
    for group in preparation.groups:
        _score_group(statement, group, loader, done)
    if source.unofficial:
        what = (
            f"the data in {source.directory} is not official, so nothing can be checked with it: "
            f"{'; '.join(dict.fromkeys(source.unofficial))}"
        )
        done.problems.append(DataError(what))
    return done


def differences(statement: Statement, done: Recomputed) -> list[str]:
    """Say where a result differs from its files."""
    stated = statement.result
    derived = _derived(stated.model_copy(update={"pairs": done.pairs}), statement, done.scores)
    return _first_differences(stated, derived)


def mean_differences(statement: Statement, values: Values) -> list[str]:
    """Say where a result's means differ from its values; does not draw intervals again."""
    stated = statement.result
    quick = stated.settings.model_copy(update={"n_resamples": 1})
    derived = _derived(stated.model_copy(update={"settings": quick}), statement, values)
    return _first_differences(
        stated, derived.model_copy(update={"settings": stated.settings}), drawn=False
    )


def _packed_run(statement: Statement, pair: LanguagePair) -> bytes:
    """Return the bytes of a pair's run.

    Raises:
        DataError: The file cannot be read, or is not the scored one.
    """
    file = statement.run_path(pair)
    data = read_plain(file, run_format.LARGEST_PACKED_BYTES)
    if hashlib.sha256(data).hexdigest() != statement.stated(pair).run_sha256:
        raise DataError(f"{shown_path(file)}: its sha256 is not the result's run_sha256")
    return data


def _derived(known: Result, statement: Statement, values: Values) -> Result:
    """Return what a result with the pairs of `known` should state."""
    task = statement.result.task
    scores = {pair: values[pair] for pair in statement.pairs}
    record = task_record(statement.card, task.split, task.measures, known.pairs)
    return means_update(known.model_copy(update={"task": record}), statement.card, scores)


def _first_differences(stated: Result, derived: Result, *, drawn: bool = True) -> list[str]:
    found = list(_differences(_plain(stated), _plain(derived), "", drawn))
    more = [f"and {len(found) - _SHOWN:,} other differences"] if len(found) > _SHOWN else []
    return found[:_SHOWN] + more


def _score_group(
    statement: Statement, group: CorpusGroup, loader: Loader, done: Recomputed
) -> None:
    ranked: dict[LanguagePair, set[str]] = {}
    for prepared in group.pairs:
        pair = prepared.pair
        try:
            run = read_run(statement, pair)
            ranked[pair] = {doc_id for ids in run.doc_ids for doc_id in ids}
            found = _score_pair(statement, prepared, run, loader, done)
            done.problems += map(DataError, found)
        except ClirBenchError as error:
            done.problems.append(error)
    strangers = set().union(*ranked.values())
    for document in corpus_of(loader, group.corpus_pairs):
        strangers.discard(document.doc_id)
    for pair, ids in ranked.items():
        if odd := sorted(strangers & ids):
            some = ", ".join(printable(doc_id) for doc_id in odd[:_SHOWN])
            where = shown_path(statement.run_path(pair))
            what = (
                f"{where}: {len(odd):,} documents are not in the corpus: "
                f"{some}; is it the run of another pair?"
            )
            done.problems.append(DataError(what))


def _score_pair(
    statement: Statement, prepared: PreparedPair, run: Run, loader: Loader, done: Recomputed
) -> Iterator[str]:
    """Yield a pair's problems, and add its scores to `done`."""
    pair, inspection = prepared.pair, prepared.inspection
    place, file = statement.place(pair), shown_path(statement.run_path(pair))
    stated = statement.stated(pair)
    if prepared.unofficial:
        yield f"{place}: the data is not official: {'; '.join(prepared.unofficial)}"
    if stated.data_sha256 != inspection.sha256:
        yield f"{place}: was run on other documents, queries or judgments"
    collection = loader.load(pair)
    if odd := set(run.query_ids) - {query.query_id for query in collection.queries}:
        some = ", ".join(printable(query_id) for query_id in sorted(odd)[:_SHOWN])
        yield f"{file}: {len(odd):,} queries that the task does not have: {some}"
    if collection.skip_same_id and any(
        query_id in ids for query_id, ids in zip(run.query_ids, run.doc_ids, strict=True)
    ):
        yield f"{file}: ranks a document that is the query itself"
    measures = statement.result.task.measures
    scores = score(run, collection.qrels, measures)
    done.scores[pair] = scores
    # An older version may not have recorded this; do not demand it.
    skips = None if stated.skip_same_id is None else inspection.skip_same_id
    known = stated.model_copy(
        update={
            "data_sha256": inspection.sha256,
            "counts": PairCounts.of(prepared.inspection),
            "skip_same_id": skips,
        }
    )
    own = inspection.skip_same_id
    if problem := depth_problem(
        statement, run, scores.query_ids, PairCounts.of(prepared.inspection), own=own
    ):
        yield f"{file}: {problem}"
    done.pairs[str(pair)] = _with_counts(known, n_retrieved(run))
    if pair in done.values:
        yield from _value_problems(statement, pair, done.values[pair], scores)


def _value_problems(
    statement: Statement, pair: LanguagePair, values: QueryScores, scores: QueryScores
) -> Iterator[str]:
    file = statement.values_path(pair)
    if values.query_ids != scores.query_ids:
        yield f"{shown_path(file)}: its queries must be the judged ones, sorted"
    elif not np.array_equal(values.values, scores.values):
        row, column = np.argwhere(values.values != scores.values)[0].tolist()
        yield (
            f"{shown_path(file)}: {values.measures[column]} of query "
            f"{printable(values.query_ids[row])} is stated as "
            f"{values.values[row, column].item()!r}, but the run and the judgments give "
            f"{scores.values[row, column].item()!r}"
        )


def depth_problem(
    statement: Statement,
    run: Run,
    judged: Collection[str],
    counts: PairCounts | None,
    *,
    own: int,
) -> str | None:
    """Say that rankings are shallower than boards need, although the corpus has more documents.

    `own` is 1 where a query may itself be a document, which its ranking leaves out.
    """
    if counts is None:
        return None
    n_documents = counts.documents - counts.empty_documents - own
    try:
        depth = depth_of(run, set(judged), n_documents=n_documents)
    except DataError as error:
        return str(error)
    if depth.reach >= statement.plan.depth:
        return None
    return (
        f"rankings hold {depth.held:,} documents per query, but boards show measures over "
        f"{statement.plan.depth}; rank more (--top-k) and submit it again"
    )


def read_run(statement: Statement, pair: LanguagePair) -> Run:
    """Return a pair's run.

    Raises:
        DataError: The file is not the scored one, or not in the format of `submit`.
    """
    file, depth = statement.run_path(pair), statement.plan.depth
    n_queries = statement.most_queries(pair)
    largest = min(run_format.LARGEST_BYTES, n_queries * depth * run_format.LONGEST_LINE)
    return run_format.parse_compact(
        unpack_xz(_packed_run(statement, pair), file, largest),
        depth=depth,
        n_queries=n_queries,
        tag=system_folder(statement.result.system.name),
        where=shown_path(file),
    )


def n_retrieved(run: Run) -> int:
    """Return the number of documents in a run, over all queries."""
    return sum(map(len, run.doc_ids))


def _with_counts(stated: PairResult, retrieved: int) -> PairResult:
    counts = stated.counts and stated.counts.model_copy(update={"retrieved": retrieved})
    return stated.model_copy(
        update={"counts": counts, "status": "done", "official": True, "unofficial": ()}
    )


def _plain(result: Result) -> Any:
    return json.loads(to_json(result))


def _differences(stated: Any, derived: Any, place: str, drawn: bool) -> Iterator[str]:
    """Yield the differences, without random draws unless they were `drawn` again."""
    if not drawn and place.endswith((".interval", "tiers.ratio")):
        return
    if isinstance(stated, Mapping) and isinstance(derived, Mapping):
        for key in sorted({*stated, *derived}):
            inner = f"{place}.{key}" if place else key
            yield from _differences(stated.get(key), derived.get(key), inner, drawn)
    elif isinstance(stated, list) and isinstance(derived, list) and len(stated) == len(derived):
        for one, other in zip(stated, derived, strict=True):
            yield from _differences(one, other, place, drawn)
    elif stated != derived and not _is_close(stated, derived, place):
        yield f"{place} is stated as {_short(stated)}, but its files give {_short(derived)}"


def _is_close(stated: Any, derived: Any, place: str) -> bool:
    return (
        place.endswith(".interval")
        and isinstance(stated, float | int)
        and isinstance(derived, float | int)
        and math.isclose(stated, derived, rel_tol=_INTERVAL_TOLERANCE, abs_tol=_INTERVAL_TOLERANCE)
    )


def _short(value: Any) -> str:
    return printable(value) if isinstance(value, str) else printable(repr(value))[1:-1]
