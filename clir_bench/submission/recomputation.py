"""The scores of a submission, from its runs and the benchmark's judgments.

Without the benchmark's data they can only be summed up again from the per-query values beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clir_bench.adapters.source import Source, sha256_of
from clir_bench.errors import ClirBenchError, DataError
from clir_bench.measures import depth_of
from clir_bench.preparation import Group, Loader, PreparedPair, corpus_of, prepare
from clir_bench.results import parse_values, system_folder, to_json
from clir_bench.schema import PairCounts, PairResult, Result
from clir_bench.scoring import QueryScores, score
from clir_bench.submission import compact
from clir_bench.submission.bounded import read_gzip, read_xz, shown
from clir_bench.submission.cutting import means_update, task_record
from clir_bench.submission.statements import Statement
from clir_bench.submission.text import printable
from clir_bench.types import LanguagePair, Run

LARGEST_VALUES_BYTES = 4 * 2**20
_INTERVAL_TOLERANCE = 1e-9
"""Resampled means are matrix products, whose last digit depends on the processor; means are not."""
_MOST_QUERIES = 200_000
_SHOWN = 5


@dataclass
class Recomputed:
    """What came out.

    Attributes:
        problems: What is wrong, each with the file it is in.
        scores: Per-query values by pair: recomputed, or as submitted where there is no data.
        pairs: The pairs as they should be stated, without their means.
    """

    problems: list[str] = field(default_factory=list)
    scores: dict[LanguagePair, QueryScores] = field(default_factory=dict)
    pairs: dict[str, PairResult] = field(default_factory=dict)


def from_values(statement: Statement) -> Recomputed:
    """Check runs as far as that goes without the data, and take the values as submitted."""
    done = Recomputed()
    for pair in statement.pairs:
        stated = statement.result.pairs[str(pair)]
        try:
            run = _read_run(statement, pair)
            values = _read_values(statement, pair)
        except ClirBenchError as error:
            done.problems.append(str(error))
            continue
        if problem := _count_problem(statement, pair, values):
            done.problems.append(f"{_of(statement, pair)}: {problem}")
            continue
        done.problems += _values_hash_problem(statement, pair)
        if problem := _depth_problem(statement, run, values.query_ids, stated.counts, own=1):
            done.problems.append(f"{_run_file(statement, pair)}: {problem}")
        done.scores[pair] = values
        done.pairs[str(pair)] = _with_counts(stated, run)
    return done


def from_runs(statement: Statement, source: Source) -> Recomputed:
    """Check everything against the data, and score the runs."""
    done = Recomputed()
    loader = Loader(statement.card, statement.result.task.split, source)
    preparation = prepare(loader, statement.pairs)
    for pair, failure in preparation.failures.items():
        done.problems.append(f"{_of(statement, pair)}: the data cannot be read: {failure}")
    for group in preparation.groups:
        _score_group(statement, group, loader, done)
    if source.unofficial:
        done.problems.append(
            f"the data in {source.directory} is not official, so nothing can be checked with it: "
            f"{'; '.join(dict.fromkeys(source.unofficial))}"
        )
    return done


def differences(statement: Statement, done: Recomputed) -> list[str]:
    """Say where a result states something else than comes out of its files."""
    stated, pairs = statement.result, done.pairs
    scores = {pair: done.scores[pair] for pair in statement.pairs}
    task = task_record(statement.card, stated.task.split, stated.task.measures, pairs)
    result = stated.model_copy(update={"pairs": pairs, "task": task})
    derived = means_update(result, statement.card, scores)
    found = list(_differences(_plain(stated), _plain(derived), ""))
    more = [f"and {len(found) - _SHOWN:,} other differences"] if len(found) > _SHOWN else []
    return found[:_SHOWN] + more


def _score_group(statement: Statement, group: Group, loader: Loader, done: Recomputed) -> None:
    ranked: dict[LanguagePair, set[str]] = {}
    for prepared in group.pairs:
        pair = prepared.pair
        try:
            run = _read_run(statement, pair)
            ranked[pair] = {doc_id for ids in run.doc_ids for doc_id in ids}
            done.problems += _score_pair(statement, prepared, run, loader, done)
        except ClirBenchError as error:
            done.problems.append(str(error))
    strangers = set().union(*ranked.values())
    for document in corpus_of(loader, group.corpus_pairs):
        strangers.discard(document.doc_id)
    for pair, ids in ranked.items():
        if odd := sorted(strangers & ids):
            some = ", ".join(printable(doc_id) for doc_id in odd[:_SHOWN])
            done.problems.append(
                f"{_run_file(statement, pair)}: {len(odd):,} documents are not in the corpus: "
                f"{some}; is it the run of another pair?"
            )


def _score_pair(
    statement: Statement, prepared: PreparedPair, run: Run, loader: Loader, done: Recomputed
) -> Iterator[str]:
    """Yield what is wrong with a pair, and add its scores to `done`."""
    pair, inspection = prepared.pair, prepared.inspection
    stated = statement.result.pairs[str(pair)]
    if prepared.unofficial:
        yield f"{_of(statement, pair)}: the data is not official: {'; '.join(prepared.unofficial)}"
    if stated.data_sha256 != inspection.sha256:
        yield f"{_of(statement, pair)}: was run on other documents, queries or judgments"
    collection = loader.load(pair)
    if odd := set(run.query_ids) - {query.query_id for query in collection.queries}:
        some = ", ".join(printable(query_id) for query_id in sorted(odd)[:_SHOWN])
        yield f"{_run_file(statement, pair)}: {len(odd):,} queries that the task has not: {some}"
    if collection.skip_same_id and any(
        query_id in ids for query_id, ids in zip(run.query_ids, run.doc_ids, strict=True)
    ):
        yield f"{_run_file(statement, pair)}: ranks a query that is a document for itself"
    measures = statement.result.task.measures
    scores = score(run, collection.qrels, measures)
    done.scores[pair] = scores
    counts = PairCounts(
        **inspection.counts._asdict(),
        judged_queries=inspection.n_judged_queries,
        empty_documents=inspection.n_empty_documents,
    )
    if problem := _depth_problem(
        statement, run, scores.query_ids, counts, own=collection.skip_same_id
    ):
        yield f"{_run_file(statement, pair)}: {problem}"
    known = stated.model_copy(update={"data_sha256": inspection.sha256, "counts": counts})
    done.pairs[str(pair)] = _with_counts(known, run)
    yield from _value_problems(statement, pair, scores)


def _value_problems(statement: Statement, pair: LanguagePair, scores: QueryScores) -> Iterator[str]:
    file = _values_file(statement, pair)
    values = _read_values(statement, pair)
    if values.query_ids != scores.query_ids:
        yield f"{shown(file)}: its queries are not the judged ones, sorted"
    elif not np.array_equal(values.values, scores.values):
        row, column = np.argwhere(values.values != scores.values)[0].tolist()
        yield (
            f"{shown(file)}: {values.measures[column]} of query {printable(values.query_ids[row])} "
            f"is stated as {values.values[row, column].item()!r}, the run and the judgments give "
            f"{scores.values[row, column].item()!r}"
        )
    else:
        yield from _values_hash_problem(statement, pair)


def _count_problem(statement: Statement, pair: LanguagePair, values: QueryScores) -> str | None:
    """Say which counts cannot be; resampling takes room for every query: they are a bound too."""
    stated = statement.result.pairs[str(pair)].counts
    counts = statement.card.counts_of(statement.result.task.split, pair)
    if (
        stated is None
        or counts is None
        or counts != (stated.documents, stated.queries, stated.qrels)
    ):
        return "its counts are not those on the card"
    if not len(values.query_ids) == stated.judged_queries <= counts.queries:
        return f"there are values of {len(values.query_ids):,} queries, not of those judged"
    return None


def _depth_problem(
    statement: Statement,
    run: Run,
    judged: Collection[str],
    counts: PairCounts | None,
    *,
    own: int,
) -> str | None:
    """Say that rankings are shallower than boards keep them, though the corpus has more.

    `own` is 1 where a query may be a document, which it does not find.
    """
    if counts is None:
        return None
    n_documents = counts.documents - counts.empty_documents - own
    depth = depth_of(run, set(judged), n_documents=n_documents)
    if depth.reach >= statement.plan.depth:
        return None
    return (
        f"rankings hold {depth.held:,} documents per query, and boards show measures over "
        f"{statement.plan.depth}; rank more (--top-k) and submit it again"
    )


def _read_run(statement: Statement, pair: LanguagePair) -> Run:
    """Return a pair's run.

    Raises:
        DataError: The file is not the one that was scored, or not as `submit` writes it.
    """
    file = _run_path(statement, pair)
    text = read_xz(file, compact.LARGEST_PACKED_BYTES, compact.LARGEST_BYTES)
    if sha256_of(file) != statement.result.pairs[str(pair)].run_sha256:
        raise DataError(f"{shown(file)}: is not the file of the result's run_sha256")
    counts = statement.card.counts_of(statement.result.task.split, pair)
    return compact.parse_compact(
        text,
        depth=statement.plan.depth,
        n_queries=_MOST_QUERIES if counts is None else counts.queries,
        tag=system_folder(statement.result.system.name),
        where=shown(file),
    )


def _read_values(statement: Statement, pair: LanguagePair) -> QueryScores:
    """Return a pair's values as submitted.

    Raises:
        DataError: The file is not what `results.write_values` writes, or has other measures.
    """
    file = _values_file(statement, pair)
    text = read_gzip(file, LARGEST_VALUES_BYTES, LARGEST_VALUES_BYTES)
    values = parse_values(text, file)
    if values.measures != statement.result.task.measures:
        raise DataError(f"{shown(file)}: its columns are not the result's measures, in order")
    if len(set(values.query_ids)) < len(values.query_ids):
        raise DataError(f"{shown(file)}: a query is there twice")
    return values


def _values_hash_problem(statement: Statement, pair: LanguagePair) -> Iterator[str]:
    """Say when values that are right are in another file than the result states."""
    file = _values_file(statement, pair)
    if statement.result.pairs[str(pair)].values_sha256 not in (None, sha256_of(file)):
        yield f"{shown(file)}: is not the file of the result's values_sha256"


def _with_counts(stated: PairResult, run: Run) -> PairResult:
    retrieved = sum(map(len, run.doc_ids))
    counts = stated.counts and stated.counts.model_copy(update={"retrieved": retrieved})
    return stated.model_copy(
        update={"counts": counts, "status": "done", "official": True, "unofficial": ()}
    )


def _run_path(statement: Statement, pair: LanguagePair) -> Path:
    return statement.path.parent / statement.path.stem / f"{pair}{compact.SUFFIX}"


def _run_file(statement: Statement, pair: LanguagePair) -> str:
    return shown(_run_path(statement, pair))


def _values_file(statement: Statement, pair: LanguagePair) -> Path:
    return statement.path.parent / statement.path.stem / f"{pair}.values.tsv.gz"


def _of(statement: Statement, pair: LanguagePair) -> str:
    return f"{shown(statement.path)}: pair {pair}"


def _plain(result: Result) -> Any:
    return json.loads(to_json(result))


def _differences(stated: Any, derived: Any, place: str) -> Iterator[str]:
    if isinstance(stated, Mapping) and isinstance(derived, Mapping):
        for key in sorted({*stated, *derived}):
            inner = f"{place}.{key}" if place else key
            yield from _differences(stated.get(key), derived.get(key), inner)
    elif isinstance(stated, list) and isinstance(derived, list) and len(stated) == len(derived):
        for one, other in zip(stated, derived, strict=True):
            yield from _differences(one, other, place)
    elif stated != derived and not _is_close(stated, derived, place):
        yield f"{place} is stated as {_short(stated)}, its files give {_short(derived)}"


def _is_close(stated: Any, derived: Any, place: str) -> bool:
    return (
        place.endswith(".interval")
        and isinstance(stated, float | int)
        and isinstance(derived, float | int)
        and math.isclose(stated, derived, rel_tol=_INTERVAL_TOLERANCE, abs_tol=_INTERVAL_TOLERANCE)
    )


def _short(value: Any) -> str:
    return printable(value) if isinstance(value, str) else printable(repr(value))[1:-1]
