"""Ranks the first documents of another system again, by a model that reads them more closely.

The documents below keep their order below those that were ranked again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clir_bench.errors import ClirBenchError
from clir_bench.results.store import system_folder
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import format_run, strictly_falling
from clir_bench.search.topk import Scores, id_ranks
from clir_bench.search.vectors.pair_scores import PairScores, pair_key, text_digest
from clir_bench.systems import rescoring
from clir_bench.systems.answers import (
    Answer,
    Asked,
    GroupAnswers,
    PairCost,
    Task,
    judged_queries,
    read_texts,
)
from clir_bench.systems.composition import composed_info, record_of
from clir_bench.systems.names import Composition
from clir_bench.systems.rescoring import Place, Rescorer, Scoring
from clir_bench.systems.system import EncoderSystem, System
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import CorpusGroup
from clir_bench.tasks.outline import Text
from clir_bench.types import EncoderInfo, LanguagePair, Run

DEPTH = 100
_PAIRS_AT_ONCE = 2048
_CHARACTERS_AT_ONCE = 2**20


@dataclass(frozen=True)
class RerankSystem(System):
    """A system, and the model that ranks its first documents again.

    Attributes:
        spec: The name that the user gave for it.
        model: Scores pairs of query and document.
        base: Makes the first ranking.
        depth: Documents per query that are ranked again.
    """

    spec: str
    model: Rescorer
    base: System
    depth: int = DEPTH

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        depth = "" if self.depth == DEPTH else f"depth={self.depth}+"
        name = f"rerank:{self.model.info.name}+{depth}{self.base.info.name}"
        how = f"the first {self.depth} documents are ranked again"
        return composed_info(name, [self.model, self.base], {"rerank": how})

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return record_of(self, [self.model, self.base])

    @property
    def leaves(self) -> tuple[EncoderSystem, ...]:
        """Those of the base."""
        return self.base.leaves

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system with each of its base's encoders changed."""
        return replace(self, base=self.base.with_leaves(change))

    def for_task(self, card: TaskCard) -> System:
        """Return the system with the task's instruction, for its model and its base."""
        model, base = self.model.instructed(card.instruction), self.base.for_task(card)
        return replace(self, model=model, base=base)

    def check(self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]) -> None:
        """Refuse a task that its base cannot run.

        Raises:
            UsageError: Says why.
        """
        self.base.check(card, split, pairs)

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others.

        Raises:
            OutputError: Scores are to be kept in a folder that cannot be written.
        """
        n_pairs = sum(
            one.inspection.counts.queries * min(self.depth, group.n_documents)
            for group in groups
            for one in group.pairs
        )
        stored = PairScores.of(task.keeping, self.model.info.name, self.model.identity, n_pairs)
        n_left = sum(group.n_documents for group in groups)
        for found in self.base.answers(groups, task):
            yield self._ranked_again(found, task, stored)
            n_left -= found.group.n_documents
            task.progress.begin("running", n_left * max(1, len(task.stores)))

    def _ranked_again(self, found: GroupAnswers, task: Task, stored: PairScores) -> GroupAnswers:
        again = GroupAnswers(found.group, found.corpus, [], dict(found.failures))
        answers: list[Answer] = []
        asked: list[Asked] = []
        for answer in found.answers:
            try:
                asked.append(task.rewrite(answer.prepared, judged_queries(answer.collection)))
                answers.append(answer)
            except ClirBenchError as error:
                again.failures[answer.prepared.pair] = str(error)
        started = time.perf_counter()
        try:
            candidates = _Candidates(answers, self.depth, asked, self.model.scoring(asked), stored)
            candidates.score(found.group, task)
        except ClirBenchError as error:
            again.failures.update({answer.prepared.pair: str(error) for answer in answers})
            return again
        seconds = (time.perf_counter() - started) / max(1, len(answers))
        for answer, one, scores in zip(answers, asked, candidates.scores, strict=True):
            tag = system_folder(self.base.info.name)
            sha256 = hashlib.sha256(format_run(answer.run, tag)).hexdigest()
            said = (answer.method, one.method, f"base run {sha256}")
            cost = answer.cost + PairCost(query_seconds=one.seconds, search_seconds=seconds)
            run = rerank(answer.run, scores)
            method = "; ".join(dict.fromkeys(filter(None, said)))
            again.answers.append(replace(answer, run=run, cost=cost, method=method))
        return again


class _Candidates:
    """The first documents of some pairs' rankings, which share a corpus.

    Attributes:
        scores: Per answer and query, the scores of its first documents; NaN for what is not in the
            corpus.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        depth: int,
        asked: Sequence[Asked],
        scoring: Scoring,
        stored: PairScores,
    ) -> None:
        self._asked, self._scoring, self._stored = asked, scoring, stored
        self._wanted: dict[str, list[tuple[int, int, int, int]]] = {}
        self.scores: list[list[Scores]] = []
        for number, answer in enumerate(answers):
            queries = judged_queries(answer.collection)
            places = {query.query_id: place for place, query in enumerate(queries)}
            run = answer.run
            for row, (query_id, doc_ids) in enumerate(zip(run.query_ids, run.doc_ids, strict=True)):
                for rank, doc_id in enumerate(doc_ids[:depth]):
                    one = (number, places[query_id], row, rank)
                    self._wanted.setdefault(doc_id, []).append(one)
            self.scores.append(
                [np.full(len(ids[:depth]), np.nan, dtype=np.float32) for ids in run.doc_ids]
            )
        self._digests = [[text_digest(text, one.language) for text in one.texts] for one in asked]

    def score(self, group: CorpusGroup, task: Task) -> None:
        """Read the corpus once more, and score the candidates in it.

        Raises:
            DataError: The documents are not those that were checked.
            EncoderError: The model fails.
        """
        task.progress.begin("ranking again", sum(map(len, self._wanted.values())))
        texts: list[Text] = []
        n_pairs = n_characters = 0
        for window in read_texts(group, task.loader) if self._wanted else ():
            for text in window:
                if text.doc_id not in self._wanted:
                    continue
                texts.append(text)
                n_pairs += len(self._wanted[text.doc_id])
                n_characters += len(text.text)
                if n_pairs >= _PAIRS_AT_ONCE or n_characters >= _CHARACTERS_AT_ONCE:
                    self._score(texts, task)
                    texts, n_pairs, n_characters = [], 0, 0
            if not self._wanted:
                break
        self._score(texts, task)

    def _score(self, texts: Sequence[Text], task: Task) -> None:
        """Score some documents for the queries that want them."""
        wanted = [
            (document, *one)
            for document, text in enumerate(texts)
            for one in self._wanted.pop(text.doc_id)
        ]
        of_texts = [text_digest(text.text, text.language) for text in texts]
        for first in range(0, len(wanted), _PAIRS_AT_ONCE):
            some = wanted[first : first + _PAIRS_AT_ONCE]
            keys = np.array(
                [pair_key(self._digests[a][q], of_texts[d]) for d, a, q, _, _ in some],
                dtype=np.uint64,
            )
            scores = self._stored.find(keys)
            left = np.flatnonzero(np.isnan(scores))
            if len(left):
                new, places, inverse = np.unique(keys[left], return_index=True, return_inverse=True)
                pairs = [some[place] for place in left[places].tolist()]
                found = self._scoring(texts, [Place(a, q, d) for d, a, q, _, _ in pairs])
                found += np.float32(0)  # turns -0 into its equal, 0
                self._stored.add(new, found)
                scores[left] = found[inverse]
            for (_, number, _, row, rank), value in zip(some, scores, strict=True):
                self.scores[number][row][rank] = value
            task.progress.advance(len(some))


def rerank(run: Run, scores: Sequence[Scores]) -> Run:
    """Return a run with the first documents of each query ranked by new scores.

    >>> run = Run(["q"], [("a", "b", "c")], [np.array([3, 2, 1], dtype=np.float32)])
    >>> rerank(run, [np.array([0.5, 2.0], dtype=np.float32)]).doc_ids
    (('b', 'a', 'c'),)

    Args:
        run: The first ranking.
        scores: Per query, of its first documents; those with NaN go below, in their order.
    """
    doc_ids, values = [], []
    for ids, new in zip(run.doc_ids, scores, strict=True):
        scored = np.flatnonzero(~np.isnan(new))
        ranks = id_ranks([ids[place] for place in scored.tolist()])
        best = scored[np.lexsort((ranks, -new[scored]))]
        below = np.setdiff1d(np.arange(len(ids)), scored)
        lowest = new[best[-1]] if len(best) else np.float32(0)
        falling = strictly_falling(np.full(len(below) + 1, lowest, dtype=np.float32))[1:]
        doc_ids.append(tuple(ids[place] for place in [*best.tolist(), *below.tolist()]))
        values.append(np.concatenate([new[best], falling]))
    return Run(run.query_ids, tuple(doc_ids), tuple(values))


def build(composition: Composition) -> System:
    """Return the system of a name such as `rerank:MODEL+SYSTEM` or `rerank:MODEL+depth=50+SYSTEM`.

    Raises:
        UsageError: A part is missing, or the depth is no whole number.
        EncoderError: The model cannot be loaded, or is of a kind that scores no documents.
    """
    composition.known_options("depth")
    if len(composition.operands) != 2:
        raise composition.wrong("expected a model and a system, rerank:MODEL+SYSTEM")
    depth = composition.whole("depth", default=DEPTH, least=1)
    model, base = composition.operands
    # The base first: its name is checked before a large model is loaded.
    system = composition.system(base)
    loaded = rescoring.load(model, composition.loading)
    return RerankSystem(composition.spec, loaded, system, depth)
