"""Scores a run against qrels, query by query, with ir-measures.

ir-measures uses several tools. Two rules here make them agree:

- A judged query without results gets the measure's value for an empty ranking, 0; pytrec_eval
  omits such queries.
- The tools order equal scores differently (trec_eval by document id, descending; the MS MARCO
  script by document id, ascending). A `Run` is already in trec_eval's order, and the tools get its
  ranks as scores: ranks have no ties.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.errors import DataError
from clir_bench.tasks.measures import parse_measures
from clir_bench.types import Qrel, Run

if TYPE_CHECKING:
    from ir_measures import Metric
    from ir_measures.measures import Measure

_BATCH_DOCUMENTS = 100_000
"""Ranked documents that the tools get at once, some 8 MB."""


@dataclass(frozen=True)
class QueryScores:
    """Per-query values of one pair.

    Attributes:
        query_ids: Every judged query, sorted; `(n_queries,)`.
        measures: ir-measures names; `(n_measures,)`.
        values: float64 `(n_queries, n_measures)`, as trec_eval computes them, usually in [0, 1].
    """

    query_ids: tuple[str, ...]
    measures: tuple[str, ...]
    values: NDArray[np.float64]

    def only(self, measures: Sequence[str]) -> QueryScores:
        """Return the values of some of the measures, in their order.

        Raises:
            DataError: One of them is not here.
        """
        if missing := [measure for measure in measures if measure not in self.measures]:
            raise DataError(
                f"no per-query values of {', '.join(missing)}; there are {', '.join(self.measures)}"
            )
        columns = [self.measures.index(measure) for measure in measures]
        return QueryScores(self.query_ids, tuple(measures), self.values[:, columns])

    def means(self) -> dict[str, float]:
        """Return the mean over judged queries of every measure.

        Sums are exactly rounded (`math.fsum`), so the order of the queries changes no digit.
        """
        columns = self.values.T.tolist()
        return {
            measure: math.fsum(column) / len(column)
            for measure, column in zip(self.measures, columns, strict=True)
        }


@stage("score")
def score(run: Run, qrels: Sequence[Qrel], measures: Iterable[str]) -> QueryScores:
    """Score a run with ir-measures.

    Args:
        run: Rankings; queries without judgments are ignored, as trec_eval does.
        qrels: Judgments; every query with at least one is counted in the means.
        measures: ir-measures names.

    Raises:
        DataError: No query is judged, or a measure's tool broke down on this run.
        UnknownNameError: A measure is not known.
    """
    parsed = parse_measures(measures)
    query_ids = tuple(sorted({qrel.query_id for qrel in qrels}))
    if not query_ids:
        raise DataError("no query is judged: the qrels are empty, so there is nothing to average")
    # gdeval accepts only numbers as query ids.
    numbers = {query_id: str(number) for number, query_id in enumerate(query_ids)}
    judged: dict[str, list[Qrel]] = {number: [] for number in numbers.values()}
    for query_id, doc_id, relevance, iteration in qrels:
        number = numbers[query_id]
        judged[number].append(Qrel(number, doc_id, relevance, iteration))
    rankings = {
        numbers[query_id]: doc_ids
        for query_id, doc_ids in zip(run.query_ids, run.doc_ids, strict=True)
        if query_id in numbers and doc_ids  # Judged@k divides by a ranking's length
    }
    columns = {measure: column for column, measure in enumerate(parsed.values())}
    values = np.full((len(query_ids), len(columns)), np.nan)
    try:
        for metric in _calculated(list(columns), judged, rankings):
            if metric.query_id.isdecimal():  # gdeval adds a line for the mean
                values[int(metric.query_id), columns[metric.measure]] = metric.value
    except Exception as error:  # third-party tools, one of them a Perl script
        raise DataError(
            f"a tool of ir-measures broke down on one of {', '.join(parsed)}: "
            f"{type(error).__name__}: {error}; leave that measure out"
        ) from error
    _fill_unanswered(values, list(columns))
    return QueryScores(query_ids, tuple(parsed), values)


def _calculated(
    measures: Sequence[Measure],
    judged: Mapping[str, list[Qrel]],
    rankings: Mapping[str, Sequence[str]],
) -> Iterator[Metric]:
    """Yield the values of all queries that have a ranking.

    The tools take dicts, which need most of scoring's memory, so they get some rankings at a time.
    Tools that sort a ranking but use only its first places get only those.
    """
    shallow = [measure for measure in measures if _looks_at(measure)]
    deep = [measure for measure in measures if not _looks_at(measure)]
    if shallow and rankings:
        cutoff = max(map(_looks_at, shallow))
        yield from _by_tools(shallow, judged, {n: ids[:cutoff] for n, ids in rankings.items()})
    batch: dict[str, Sequence[str]] = {}
    n_documents = 0
    for number, doc_ids in rankings.items() if deep else ():
        batch[number] = doc_ids
        n_documents += len(doc_ids)
        if n_documents >= _BATCH_DOCUMENTS:
            yield from _by_tools(deep, judged, batch)
            batch, n_documents = {}, 0
    if batch:
        yield from _by_tools(deep, judged, batch)


def _looks_at(measure: Measure) -> int:
    """Return how many documents a measure needs in ir-measures' own tools, 0 for all."""
    if measure.NAME not in ("Judged", "RR") or measure.params.get("judged_only"):
        return 0
    return int(measure.params.get("cutoff", 0))


def _by_tools(
    measures: Sequence[Measure],
    judged: Mapping[str, list[Qrel]],
    rankings: Mapping[str, Sequence[str]],
) -> Iterator[Metric]:
    """Yield ir-measures' values for some rankings.

    It gets ranks: the last document scores 1, the one before it 2. Compat gives documents that are
    not retrieved the score 0, so scores start above it.
    """
    import ir_measures

    # One list for all rankings: `range` would make new integers for each.
    falling = list(range(max(map(len, rankings.values())), 0, -1))
    run = {
        number: dict(zip(doc_ids, falling[-len(doc_ids) :], strict=True))
        for number, doc_ids in rankings.items()
    }
    qrels = [qrel for number in rankings for qrel in judged[number]]
    evaluator = ir_measures.evaluator(list(measures), qrels)
    yield from evaluator.iter_calc(run)


def _fill_unanswered(values: NDArray[np.float64], measures: Sequence[Any]) -> None:
    for column, measure in enumerate(measures):
        missing = np.isnan(values[:, column])
        values[missing, column] = float(measure.DEFAULT)
