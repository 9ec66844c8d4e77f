"""Estimates p(document term | query term) from translated texts.

The model is IBM Model 1 (Brown et al. 1993, Computational Linguistics 19:263) with the prior of
fast_align (Dyer, Chahuneau and Smith 2013, NAACL) that words stand at about the same place in both
sentences. The document's sentence generates the query's: each query term comes from one document
term, or from none. With EM's posterior a(j | i) that the query term at i came from the document
term at j,

    count(q, d) = sum over pairs, i with q_i = q and j with d_j = d of a(j | i),
    p(d | q)    = count(q, d) / sum over d' of count(q, d').

So every occurrence of a query term votes once. On AfriQA's development questions this is better
than the other direction, and than products, means and minima of both (benchmarks/psq.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

LONGEST_TERM_BYTES = 96
"""Longer terms are left out."""
_MOST_TERMS = 128  # per side of a pair; the rest is cut

_Numbers = NDArray[np.int64]
_Floats = NDArray[np.float64]


class TermPair(NamedTuple):
    """The terms of a text and of its translation, and how often the pair counts."""

    query: Sequence[str]
    document: Sequence[str]
    weight: float = 1.0


class Row(NamedTuple):
    """What one query term becomes.

    Attributes:
        frequency: How many occurrences of the query term were aligned to a document term.
        terms: Document terms with their probabilities, which sum to 1.
    """

    frequency: float
    terms: Mapping[str, float]


class AlignmentSettings(BaseModel):
    """How to estimate and prune.

    Attributes:
        iterations: Of EM.
        diagonal: The prior of a link is exp(-diagonal · |i/m - j/n|); 0 is IBM Model 1.
        null: Prior that a query term comes from no document term.
        threshold: Least probability that is kept.
        mass: The most probable document terms are kept until their probabilities reach this.
        most: Document terms of a query term, at most.
        per_count: Of rare query terms, at most 1 + `per_count` times their count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    iterations: Annotated[int, Field(ge=1, le=100)] = 5
    diagonal: Annotated[float, Field(ge=0, le=100)] = 4.0
    null: Annotated[float, Field(gt=0, lt=1)] = 0.08
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.03
    mass: Annotated[float, Field(gt=0, le=1)] = 0.98
    most: Annotated[int, Field(ge=1, le=255)] = 8
    per_count: Annotated[float, Field(gt=0)] = 1.0


def align(
    pairs: Iterable[TermPair],
    settings: AlignmentSettings,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Row]:
    """Return query term to its row, sorted by term; equal input gives equal bytes.

    Args:
        pairs: A pair with an empty side counts for nothing.
        settings: How.
        advance: Called after each of `settings.iterations`.
    """
    links = _Links(pairs, settings)
    if not len(links.query):
        return {}
    chance = np.full(len(links.query), 1 / len(links.query_terms))
    for _ in range(settings.iterations):
        counts = links.expect(chance)
        totals = np.bincount(links.document, counts, len(links.document_terms))
        chance = counts / np.maximum(totals, 1e-300)[links.document]
        advance()
    return _prune(links, links.expect(chance), settings)


class _Links:
    """Every pair of a query position and a document position within a pair of texts.

    Attributes:
        query_terms: Query terms by number.
        document_terms: Likewise.
        query: Query term of each kind of link, `(n_kinds,)`.
        document: Document term of each kind of link.
    """

    def __init__(self, pairs: Iterable[TermPair], settings: AlignmentSettings) -> None:
        self.query_terms: dict[str, int] = {}
        self.document_terms: dict[str, int] = {}
        queries, documents, weights = [], [], []
        for pair in pairs:
            one = _numbers(pair.query, self.query_terms)
            other = _numbers(pair.document, self.document_terms)
            if one and other:
                queries.append(one)
                documents.append(other)
                weights.append(pair.weight)
        m, n = _lengths(queries), _lengths(documents)
        sizes = m * n
        texts = np.repeat(np.arange(len(sizes)), sizes)
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        i, j = np.divmod(within, n[texts])
        flat, others = _flat(queries), _flat(documents)
        self._position = np.asarray((np.cumsum(m) - m)[texts] + i, dtype=np.int32)
        kinds = flat[self._position] * max(len(self.document_terms), 1)
        kinds += others[(np.cumsum(n) - n)[texts] + j]
        kinds, which = np.unique(kinds, return_inverse=True)
        self._kind = which.astype(np.int32)
        self.query, self.document = np.divmod(kinds, max(len(self.document_terms), 1))
        distance = np.abs((i + 0.5) / m[texts] - (j + 0.5) / n[texts])
        prior = np.exp(-settings.diagonal * distance)
        prior /= np.bincount(self._position, prior, len(flat))[self._position]
        self._prior = (prior * (1 - settings.null)).astype(np.float32)
        self._weight = np.repeat(np.array(weights, dtype=np.float32), m)
        from_none = np.bincount(flat, self._weight, len(self.query_terms))
        self._none = settings.null * (from_none / max(from_none.sum(), 1e-300))[flat]

    def expect(self, chance: _Floats) -> _Floats:
        """Return the expected count of each kind of link, given p(query term | document term)."""
        joint = chance.astype(np.float32)[self._kind] * self._prior
        total = np.bincount(self._position, joint, len(self._none)) + self._none
        joint *= (self._weight / total).astype(np.float32)[self._position]
        return np.asarray(np.bincount(self._kind, joint, len(chance)), dtype=np.float64)


def _numbers(terms: Sequence[str], vocabulary: dict[str, int]) -> list[int]:
    return [
        vocabulary.setdefault(term, len(vocabulary))
        for term in terms[:_MOST_TERMS]
        if 0 < len(term.encode("utf-8", "surrogatepass")) <= LONGEST_TERM_BYTES
    ]


def _lengths(lists: Sequence[Sequence[int]]) -> _Numbers:
    return np.array([len(one) for one in lists], dtype=np.int64)


def _flat(lists: Sequence[Sequence[int]]) -> _Numbers:
    return np.array([number for one in lists for number in one], dtype=np.int64)


def _prune(links: _Links, counts: _Floats, settings: AlignmentSettings) -> dict[str, Row]:
    totals = np.bincount(links.query, counts, len(links.query_terms))
    shares = counts / np.maximum(totals, 1e-300)[links.query]
    kept = np.flatnonzero((shares >= settings.threshold) & (shares > 0))
    names = list(links.document_terms)
    found: dict[int, list[tuple[float, str]]] = {}
    for query, document, share in zip(
        links.query[kept].tolist(), links.document[kept].tolist(), shares[kept].tolist(),
        strict=True,
    ):  # fmt: skip
        found.setdefault(query, []).append((-share, names[document]))
    rows = {}
    for term, number in sorted(links.query_terms.items()):
        count = float(totals[number])
        most = min(settings.most, round(1 + settings.per_count * count))
        terms, mass = {}, 0.0
        for negative, name in sorted(found.get(number, ()))[:most]:
            if mass >= settings.mass:
                break
            terms[name] = -negative
            mass -= negative
        if terms:
            rows[term] = Row(count, {name: share / mass for name, share in terms.items()})
    return rows
