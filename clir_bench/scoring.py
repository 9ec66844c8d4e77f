"""Run and qrels to per-query values, by ir-measures.

Two things are decided here so that every tool agrees on them:

- A judged query without results has the measure's value for an empty ranking, 0; pytrec_eval leaves
  such queries out of its answer.
- Ties. ir-measures asks several tools, and they order equal scores differently (trec_eval by
  document id, descending; the MS MARCO script by the order given). A `Run` is already in
  trec_eval's order, and what the tools are given as scores are its ranks, which have no ties.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clir_bench.errors import DataError, UnknownNameError, UsageError
from clir_bench.types import Qrel, Run

if TYPE_CHECKING:
    from ir_measures.measures import Measure

JUDGED = "Judged@10"
"""Reported with every result: how much of what was ranked first anyone has judged."""


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

    def means(self) -> dict[str, float]:
        """Return the mean over judged queries of every measure.

        Sums are exactly rounded (`math.fsum`), so the order of the queries changes no digit.
        """
        columns = self.values.T.tolist()
        return {
            measure: math.fsum(column) / len(column)
            for measure, column in zip(self.measures, columns, strict=True)
        }


def parse_measures(names: Iterable[str]) -> dict[str, Measure]:
    """Return measures by their canonical names, in the order given, duplicates once.

    Raises:
        UnknownNameError: ir-measures does not know a name.
        UsageError: It knows the name but no installed tool computes it.
    """
    import ir_measures

    measures: dict[str, Measure] = {}
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
        except (NameError, ValueError, KeyError, SyntaxError) as error:
            known = [f"{known}@10" for known in ir_measures.measures.registry]
            raise UnknownNameError(
                "measure", name, known, f"Any ir-measures name is accepted ({error})."
            ) from None
        if not ir_measures.DefaultPipeline.supports(measure):  # type: ignore[no-untyped-call]
            raise UsageError(f"measure {name!r}: no installed tool of ir-measures computes it")
        measures[str(measure)] = measure
    return measures


def score(run: Run, qrels: Sequence[Qrel], measures: Iterable[str]) -> QueryScores:
    """Score a run with ir-measures.

    Args:
        run: Rankings; queries without judgments are ignored, as trec_eval does.
        qrels: Judgments; every query with at least one is counted in the means.
        measures: ir-measures names.

    Raises:
        DataError: No query is judged.
        UnknownNameError: A measure is not known.
    """
    import ir_measures

    parsed = parse_measures(measures)
    judged: dict[str, dict[str, int]] = {}
    for qrel in qrels:
        judged.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
    if not judged:
        raise DataError("no query is judged: the qrels are empty, so there is nothing to average")
    query_ids = tuple(sorted(judged))
    positions = {query_id: position for position, query_id in enumerate(query_ids)}
    columns = {measure: column for column, measure in enumerate(parsed.values())}
    values = np.full((len(query_ids), len(columns)), np.nan)
    evaluator = ir_measures.evaluator(list(columns), judged)
    for metric in evaluator.iter_calc(_as_ranks(run, positions)):
        values[positions[metric.query_id], columns[metric.measure]] = metric.value
    _fill_unanswered(values, list(columns))
    return QueryScores(query_ids, tuple(parsed), values)


def _as_ranks(run: Run, judged: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return the run as ir-measures takes it, each document scored by minus its rank."""
    return {
        query_id: dict(zip(doc_ids, range(0, -len(doc_ids), -1), strict=True))
        for query_id, doc_ids in zip(run.query_ids, run.doc_ids, strict=True)
        if query_id in judged
    }


def _fill_unanswered(values: NDArray[np.float64], measures: Sequence[Any]) -> None:
    for column, measure in enumerate(measures):
        missing = np.isnan(values[:, column])
        values[missing, column] = float(measure.DEFAULT)
