"""The bounds of a table: `random` ranks by chance, `oracle` by the judgments themselves.

`random` scores a document by a keyed hash of the seed, the query's id and the document's id. So its
rankings depend neither on the order of the corpus nor on the machine. `oracle` ranks the judged
documents of the corpus by their grade, which gives the best nDCG there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clir_bench.errors import ClirBenchError
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import from_scores
from clir_bench.search.search import without_same_id
from clir_bench.search.topk import Scores, TopK
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.systems.answers import (
    Answer,
    GroupAnswers,
    PairCost,
    Task,
    judged_queries,
    read_texts,
)
from clir_bench.systems.composition import PACKAGE
from clir_bench.systems.names import Composition
from clir_bench.systems.system import System
from clir_bench.tasks.loading import CorpusGroup, PreparedPair, load_again
from clir_bench.types import Collection, EncoderInfo, Run

_REVISION = "1"
_ABOUT = {
    "random": "a bound: every document gets a random score",
    "oracle": "a bound: judged documents by their grade",
}
_SCORED_AT_ONCE = 2**22


@dataclass(frozen=True)
class BoundSystem(System):
    """A system that looks at no text.

    Attributes:
        spec: The name that the user gave for it.
        kind: "random" or "oracle".
        seed: Of "random".
    """

    spec: str
    kind: str
    seed: int = 0

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        name = f"{self.kind}:seed={self.seed}" if self.seed else self.kind
        about = _ABOUT[self.kind]
        return EncoderInfo(name, _REVISION, similarity="none", description=about)

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return SystemRecord.of(self.info, dim=0, spec=self.spec, package=PACKAGE)

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        for group in groups:
            found = GroupAnswers(group, Corpus.of(group, task.loader))
            collections: dict[PreparedPair, Collection] = {}
            for prepared in group.pairs:
                try:
                    collections[prepared] = load_again(task.loader, prepared)
                except ClirBenchError as error:
                    found.failures[prepared.pair] = str(error)
            try:
                runs = self._runs(group, list(collections.values()), task)
            except ClirBenchError as error:
                found.failures.update({one.pair: str(error) for one in collections})
                runs = []
            cost = PairCost(n_sharing=len(collections))
            for (prepared, collection), run in zip(collections.items(), runs, strict=bool(runs)):
                found.answers.append(Answer(prepared, collection, run, cost))
            yield found

    def _runs(self, group: CorpusGroup, some: Sequence[Collection], task: Task) -> list[Run]:
        if self.kind == "oracle":
            return _by_grade(group, some, task)
        query_ids = [[query.query_id for query in judged_queries(one)] for one in some]
        # One more, for the document that `skip_same_id` removes.
        rankings = [
            TopK(len(ids), task.top_k + one.skip_same_id)
            for ids, one in zip(query_ids, some, strict=True)
        ]
        for texts in read_texts(group, task.loader):
            doc_ids = [text.doc_id for text in texts]
            rows = np.arange(len(doc_ids), dtype=np.int64)
            for ids, ranking in zip(query_ids, rankings, strict=True):
                scores = random_scores(ids, doc_ids, self.seed)
                ranking.add(scores, np.broadcast_to(rows, scores.shape), doc_ids)
            task.progress.advance(len(texts))
        runs = [ranking.run(ids) for ids, ranking in zip(query_ids, rankings, strict=True)]
        return [_without_own(run, one, task) for run, one in zip(runs, some, strict=True)]


def random_scores(query_ids: Sequence[str], doc_ids: Sequence[str], seed: int) -> Scores:
    """Return scores from 0 to 1, float32 `(n_queries, n_documents)`, of 24 random bits each.

    >>> random_scores(["q"], ["d1", "d2"], 0).astype(float).round(3).tolist() == [[0.245, 0.148]]
    True
    """
    queries = _hashes(query_ids, f"query {seed}")
    documents = _hashes(doc_ids, "document")
    scores = np.empty((len(queries), len(documents)), dtype=np.float32)
    step = max(1, _SCORED_AT_ONCE // max(1, len(documents)))
    for first in range(0, len(queries), step):
        mixed = queries[first : first + step, None] ^ documents
        # The finalizer of splitmix64 (Steele, Lea and Flood 2014): each bit changes half of all.
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        scores[first : first + step] = (mixed >> np.uint64(40)) / np.float32(2**24)
    return scores


def build(composition: Composition) -> System:
    """Return the bound of a name: `random`, `random:seed=7` or `oracle`.

    Raises:
        UsageError: It has an option that it does not know, or a seed that is no whole number.
    """
    if composition.kind == "oracle":
        composition.known_options()
        return BoundSystem(composition.spec, "oracle")
    composition.known_options("seed")
    seed = composition.whole("seed", default=composition.loading.seed, least=0)
    return BoundSystem(composition.spec, "random", seed)


def _by_grade(group: CorpusGroup, some: Sequence[Collection], task: Task) -> list[Run]:
    judged = {qrel.doc_id for one in some for qrel in one.qrels}
    there: set[str] = set()
    for texts in read_texts(group, task.loader):
        there.update(text.doc_id for text in texts if text.doc_id in judged)
        task.progress.advance(len(texts))
    runs = []
    for one in some:
        grades: dict[str, dict[str, float]] = {query.query_id: {} for query in judged_queries(one)}
        for qrel in one.qrels:
            if qrel.doc_id in there and qrel.query_id in grades:
                grades[qrel.query_id][qrel.doc_id] = qrel.relevance
        runs.append(_without_own(from_scores(grades), one, task))
    return runs


def _without_own(run: Run, collection: Collection, task: Task) -> Run:
    if collection.skip_same_id:
        return without_same_id(run, task.top_k)
    doc_ids = tuple(ids[: task.top_k] for ids in run.doc_ids)
    return Run(run.query_ids, doc_ids, tuple(scores[: task.top_k] for scores in run.scores))


def _hashes(ids: Sequence[str], key: str) -> NDArray[np.uint64]:
    digests = [
        hashlib.blake2b(one.encode(errors="surrogatepass"), digest_size=8, key=key.encode())
        for one in ids
    ]
    return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8")
