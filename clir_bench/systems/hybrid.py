"""Fuses the rankings of several systems.

By default by reciprocal rank fusion: a document's score is the sum, over systems, of
1 / (k + rank), with k = 60 and ranks from 1 (Cormack, Clarke and Buettcher 2009). With weights, it
is the weighted sum of scores that are normalised per query and system, to 0 for the last document
that the system ranked and 1 for the first (Lee 1997). A document that a system did not rank gets
nothing from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clir_bench.results.system_record import SystemRecord
from clir_bench.search.topk import id_ranks
from clir_bench.systems.answers import Answer, GroupAnswers, Task, failures_of, joined_files
from clir_bench.systems.composition import composed_info, record_of
from clir_bench.systems.names import Composition
from clir_bench.systems.system import EncoderSystem, System
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import CorpusGroup
from clir_bench.types import EncoderInfo, LanguagePair, Run

K = 60


@dataclass(frozen=True)
class HybridSystem(System):
    """Several systems, and how their rankings are fused.

    Attributes:
        spec: The name that the user gave for it.
        parts: At least two.
        k: Of reciprocal rank fusion.
        weights: Of the parts' normalised scores; None for reciprocal rank fusion.
    """

    spec: str
    parts: tuple[System, ...]
    k: int = K
    weights: tuple[float, ...] | None = None

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        how = f"reciprocal rank fusion, k = {self.k}"
        if self.weights is not None:
            how = f"weighted sum of normalised scores, {', '.join(map(str, self.weights))}"
        name = f"hybrid:{'+'.join(part.info.name for part in self.parts)}{self._options()}"
        return composed_info(name, self.parts, {"fusion": how})

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return record_of(self, self.parts)

    @property
    def leaves(self) -> tuple[EncoderSystem, ...]:
        """Those of all parts."""
        return tuple(leaf for part in self.parts for leaf in part.leaves)

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system with each of its encoders changed."""
        return replace(self, parts=tuple(part.with_leaves(change) for part in self.parts))

    def for_task(self, card: TaskCard) -> System:
        """Return the system with the task's instruction in each of its parts."""
        return replace(self, parts=tuple(part.for_task(card) for part in self.parts))

    def check(self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]) -> None:
        """Refuse a task that one of its parts cannot run.

        Raises:
            UsageError: Says why.
        """
        for part in self.parts:
            part.check(card, split, pairs)

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        streams, first = [], 0
        for part in self.parts:
            n = len(part.leaves)
            streams.append(part.answers(groups, task.of_leaves(first, n)))
            first += n
        for found in zip(*streams, strict=True):
            yield self._fused(found, task.top_k)

    def _fused(self, found: Sequence[GroupAnswers], top_k: int) -> GroupAnswers:
        fused = GroupAnswers(found[0].group, found[0].corpus)
        fused.failures.update(failures_of(found))
        by_part = [{one.prepared.pair: one for one in part.answers} for part in found]
        for pair, first in by_part[0].items():
            if pair not in fused.failures:
                answers = [part[pair] for part in by_part]
                runs = [answer.run for answer in answers]
                run = fuse(runs, top_k, k=self.k, weights=self.weights)
                fused.answers.append(replace(_joined(answers), prepared=first.prepared, run=run))
        return fused

    def _options(self) -> str:
        if self.weights is not None:
            return f"+weights={','.join(f'{weight:g}' for weight in self.weights)}"
        return "" if self.k == K else f"+k={self.k}"


def fuse(
    runs: Sequence[Run],
    top_k: int,
    *,
    k: int = K,
    weights: Sequence[float] | None = None,
) -> Run:
    """Return the fused ranking of each query of the first run.

    >>> one = Run(["q"], [("a", "b")], [np.array([2.0, 1.0], dtype=np.float32)])
    >>> other = Run(["q"], [("b", "c")], [np.array([9.0, 1.0], dtype=np.float32)])
    >>> fuse([one, other], 2).doc_ids
    (('b', 'a'),)

    Args:
        runs: Of the same queries; a query that one lacks gets nothing from it.
        top_k: Documents to rank per query.
        k: Of reciprocal rank fusion.
        weights: One per run, for the weighted sum of normalised scores.
    """
    places = [{query_id: place for place, query_id in enumerate(run.query_ids)} for run in runs]
    doc_ids, scores = [], []
    for query_id in runs[0].query_ids:
        total: dict[str, float] = {}
        for number, (run, place) in enumerate(zip(runs, places, strict=True)):
            if query_id not in place:
                continue
            ranked = run.doc_ids[place[query_id]]
            if weights is None:
                values = 1.0 / (k + np.arange(1, len(ranked) + 1))
            else:
                values = weights[number] * _normalised(run.scores[place[query_id]])
            for doc_id, value in zip(ranked, values.tolist(), strict=True):
                total[doc_id] = total.get(doc_id, 0.0) + value
        ids = list(total)
        fused = np.fromiter(total.values(), dtype=np.float64, count=len(ids)).astype(np.float32)
        order = np.lexsort((id_ranks(ids), -fused))[:top_k]
        doc_ids.append(tuple(ids[place] for place in order.tolist()))
        scores.append(fused[order])
    return Run(runs[0].query_ids, tuple(doc_ids), tuple(scores))


def build(composition: Composition) -> System:
    """Return the system of a name such as `hybrid:A+B`.

    Raises:
        UsageError: It has one part only, an unknown option, or impossible weights.
    """
    composition.known_options("k", "weights")
    operands, options = composition.operands, composition.options
    if len(operands) < 2:
        raise composition.wrong("a hybrid fuses at least two systems: hybrid:A+B")
    if len({*options} & {"k", "weights"}) == 2:
        raise composition.wrong("k is of reciprocal rank fusion; leave it or the weights out")
    weights = _weights(composition, options["weights"]) if "weights" in options else None
    k = composition.whole("k", default=K, least=1)
    parts = tuple(composition.system(operand) for operand in operands)
    return HybridSystem(composition.spec, parts, k, weights)


def _normalised(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return scores from 0 to 1; 1 for all if all are equal."""
    values = scores.astype(np.float64)
    lowest, highest = values.min(initial=math.inf), values.max(initial=-math.inf)
    if not highest > lowest:
        return np.ones(len(values))
    normalised: NDArray[np.float64] = (values - lowest) / (highest - lowest)
    return normalised


def _joined(answers: Sequence[Answer]) -> Answer:
    """Return an answer with the cost and the methods of several."""
    first, *others = answers
    cost = first.cost
    for other in others:
        cost = cost + other.cost
    methods = dict.fromkeys(answer.method for answer in answers if answer.method)
    beside = joined_files(answer.beside for answer in answers)
    method = " | ".join(methods)
    return replace(first, cost=cost, approximate=None, method=method, beside=beside)


def _weights(composition: Composition, text: str) -> tuple[float, ...]:
    try:
        weights = tuple(float(weight) for weight in text.split(","))
    except ValueError:
        weights = ()
    n = len(composition.operands)
    if len(weights) != n or not all(0 < weight < math.inf for weight in weights):
        raise composition.wrong(f"weights={text}: expected {n} positive numbers, one per system")
    return weights
