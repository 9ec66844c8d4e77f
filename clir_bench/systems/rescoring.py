"""Models that score some documents per query: CrossEncoders, and encoders of any family.

The first read query and document together. The others compare vectors as their own search does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from clir_bench import encoders
from clir_bench.core import plugins
from clir_bench.encoders import kinds, weights
from clir_bench.encoders.contract import AnyChecked, family_of
from clir_bench.encoders.instructions import instructed
from clir_bench.encoders.st import cross_encoder
from clir_bench.errors import UsageError
from clir_bench.results.system_record import SystemRecord
from clir_bench.search import exact, sparse
from clir_bench.search.topk import Scores, require_finite
from clir_bench.search.vectors.cache_key import Identity, identify
from clir_bench.search.workers.executor import Here, Loading, hand_out
from clir_bench.systems.answers import Asked
from clir_bench.systems.composition import PACKAGE
from clir_bench.tasks.outline import Text
from clir_bench.types import AnyEncoder, EncoderInfo, EncoderRequest, LexicalEncoder


class Place(NamedTuple):
    """A query and a document, by position.

    Attributes:
        asked: Which of several sets of queries.
        query: Which of its queries.
        document: Which of some documents.
    """

    asked: int
    query: int
    document: int


Scoring: TypeAlias = Callable[[Sequence[Text], Sequence[Place]], Scores]
"""Takes documents and places, and returns one score per place."""


class Rescorer(Protocol):
    """A model that scores pairs of query and document."""

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        ...

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        ...

    @property
    def identity(self) -> Identity:
        """Decides which stored scores are its own."""
        ...

    def instructed(self, instruction: str) -> Rescorer:
        """Return the model with a task's instruction, if it follows instructions."""
        ...

    def scoring(self, asked: Sequence[Asked]) -> Scoring:
        """Return what scores documents for these queries."""
        ...


@dataclass(frozen=True)
class PairModel:
    """A CrossEncoder.

    Attributes:
        spec: The name that the user gave for it.
    """

    scorer: cross_encoder.PairScorer
    spec: str

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        return self.scorer.info

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return SystemRecord.of(self.info, dim=0, spec=self.spec, package=PACKAGE)

    @property
    def identity(self) -> Identity:
        """Decides which stored scores are its own."""
        return identify(self.info, dim=0, spec=self.spec, package=PACKAGE, seed=0)

    def instructed(self, instruction: str) -> Rescorer:
        """Return the model: pairs of texts are scored without an instruction."""
        return self

    def scoring(self, asked: Sequence[Asked]) -> Scoring:
        """Return what scores documents for these queries."""
        return lambda texts, places: self.scorer.score(
            [(asked[one.asked].texts[one.query], texts[one.document].text) for one in places]
        )


@dataclass(frozen=True)
class VectorModel:
    """An encoder.

    Attributes:
        encoder: Makes one vector, one vector per token, or weights of terms.
        spec: The name that the user gave for it.
        seed: It was loaded with it.
    """

    encoder: AnyEncoder
    spec: str
    seed: int = 0

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        return self.encoder.info

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        package = encoders.provider(self.spec)
        return SystemRecord.of(self.info, dim=self.encoder.dim, spec=self.spec, package=package)

    @property
    def identity(self) -> Identity:
        """Decides which stored scores are its own."""
        package = encoders.provider(self.spec)
        found = identify(
            self.info, dim=self.encoder.dim, spec=self.spec, package=package, seed=self.seed
        )
        if found.untold:
            return found
        # Document vectors do not depend on it, but scores do.
        return replace(found, fields={**found.fields, "query_prompt": self.info.query_prompt})

    def instructed(self, instruction: str) -> Rescorer:
        """Return the model with a task's instruction, if it follows instructions."""
        if not isinstance(self.encoder, AnyChecked):
            return self
        return replace(self, encoder=instructed(self.encoder, instruction))

    def scoring(self, asked: Sequence[Asked]) -> Scoring:
        """Return what scores documents for these queries."""
        executor = Here(self.encoder)
        known: dict[int, Any] = {}

        def queries_of(number: int) -> Any:
            if number not in known:
                one = asked[number]
                known[number] = hand_out(executor, "queries", one.texts, one.language).result()
            return known[number].vectors

        def score(texts: Sequence[Text], places: Sequence[Place]) -> Scores:
            scores = np.empty(len(places), dtype=np.float32)
            groups: dict[tuple[str, int], list[int]] = {}
            for number, place in enumerate(places):
                key = (texts[place.document].language, place.asked)
                groups.setdefault(key, []).append(number)
            used = sorted({place.document for place in places})
            for language in dict.fromkeys(language for language, _ in groups):
                rows = [row for row in used if texts[row].language == language]
                row_of = {row: place for place, row in enumerate(rows)}
                some = [texts[row].text for row in rows]
                vectors = hand_out(executor, "documents", some, language).result().vectors
                for (other, number), numbers in groups.items():
                    if other == language:
                        of_queries = [places[one].query for one in numbers]
                        of_documents = [row_of[places[one].document] for one in numbers]
                        scores[numbers] = _products(
                            family_of(self.encoder),
                            (queries_of(number), of_queries),
                            (vectors, of_documents),
                        )
            require_finite(scores)
            return scores

        return score


def load(name: str, loading: Loading) -> Rescorer:
    """Return a model by its name: a Hub id, a folder, or the name of any encoder.

    Raises:
        UnknownNameError: No model has that name.
        UsageError: The model needs statistics of the whole corpus.
        EncoderError: It cannot be loaded, or is of a kind that scores no documents.
    """
    check_name(name)
    name = full_name(name)
    if name.startswith("st:"):
        argument = name.removeprefix("st:")
        found = weights.resolve(argument, trust=loading.trust_remote_code)
        if kinds.scores_pairs(found):
            return PairModel(cross_encoder.load(_request(argument, loading), found), name)
    encoder = Loading(**vars(loading) | {"spec": name}).load()
    if isinstance(getattr(encoder, "inner", encoder), LexicalEncoder):
        raise UsageError(
            f"--model rerank:{name}+...: {name} weighs terms by the statistics of the whole "
            "corpus, so it cannot score some of its documents; fuse it with the other instead: "
            f"hybrid:{name}+SYSTEM"
        )
    return VectorModel(encoder, name, loading.seed)


def check_name(name: str) -> None:
    """Refuse a misspelt model.

    Raises:
        UnknownNameError: It is no name of an encoder, no folder, and not written like a Hub id.
        UsageError: The model's own file is missing or wrong.
    """
    argument = name.removeprefix("st:")
    if "/" not in argument and not Path(argument).expanduser().is_dir():
        encoders.check_name(name)


def full_name(name: str) -> str:
    """Return a model's name as encoders have it, where Hub ids and folders follow "st:".

    >>> full_name("acme/reranker"), full_name("labse")
    ('st:acme/reranker', 'labse')
    """
    registered = name.partition(":")[0] in plugins.names(plugins.ENCODERS)
    return name if registered or name.endswith(encoders.DESCRIBED) else f"st:{name}"


def _request(argument: str, loading: Loading) -> EncoderRequest:
    fields: dict[str, Any] = vars(loading) | {"name": "st", "argument": argument}
    del fields["spec"], fields["instruction"]
    return EncoderRequest(**fields)


def _products(
    family: str, queries: tuple[Any, Sequence[int]], documents: tuple[Any, Sequence[int]]
) -> Scores:
    """Return the scores of pairs.

    Args:
        family: Of the vectors.
        queries: Vectors, and each pair's position in them.
        documents: Likewise.
    """
    (of_queries, query_rows), (of_documents, rows) = queries, documents
    if family == "sparse":
        terms = np.unique(of_queries.ids)
        left = sparse.among(of_queries, terms)[query_rows]
        right = sparse.among(of_documents, terms)[rows]
        summed: Scores = np.asarray(left.multiply(right).sum(axis=1)).astype(np.float32).ravel()
        return summed
    if family == "tokens":
        pairs = zip(query_rows, rows, strict=True)
        best = [(of_documents[row] @ of_queries[query].T).max(axis=0).sum() for query, row in pairs]
        return np.array(best, dtype=np.float32)
    columns = np.asarray(rows, dtype=np.int64)[:, None]
    return exact.inner_products(of_queries[query_rows], of_documents, columns)[:, 0]
