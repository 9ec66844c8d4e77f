"""Turns queries into probabilistic structured queries.

A query term becomes a distribution over document terms (Darwish and Oard 2003, SIGIR): `TABLE` of
it by the translation table, the rest the term itself, since many a word is the same in both
languages. What a table of a few thousand sentences lacks comes from three more places:

- A rare term is pooled with terms of the table that share character n-grams with it, so that other
  forms of a word help. Terms of the table vote with their count times the square of their cosine.
- A term that is not in the table stands for itself; `SIMILAR` of it goes to what similar terms
  become.
- A term that is not in the table also matches what is left when affixes are cut off: up to three
  characters in front, up to two at the end ("unelson" finds "nelson"). Each has the probability
  `CUT` beside the term's own, as hardly ever more than one of them is a word of the corpus.

Terms with digits stand for themselves alone. All constants were chosen on AfriQA's development and
training questions, none on a test set (benchmarks/psq.py).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from clir_bench.encoders.lexical.analysis import Analyzer, load_analyzer
from clir_bench.systems.psq.align import Row
from clir_bench.systems.psq.folding import fold, query_terms

TABLE = 0.65
SIMILAR = 0.35
CUT = 0.4

_RARE = 20.0  # aligned occurrences from which a term needs no help of similar ones
_POOLED = 0.5  # weight of similar terms beside a term's own row
_LARGEST_VOTE = 10.0
_GRAM, _NEAREST, _LEAST_COSINE = 5, 5, 0.4
_SHORTEST_REST = 4  # characters left when affixes are cut off
_EDGES = re.compile(r"^\W+|\W+$")


class Concept(NamedTuple):
    """A query term: how often it occurs, and the probability of each document term."""

    weight: float
    terms: Mapping[str, float]


class Expander:
    """Makes structured queries of one query language.

    Args:
        language: The queries'.
        tables: Rows by document language, several for a pool. A language with None has no table:
            terms stand for themselves there. The queries' own language needs none.
    """

    def __init__(self, language: str, tables: Mapping[str, Mapping[str, Row] | None]) -> None:
        self._analyzer = load_analyzer(language)
        self._sides = [
            _Same() if code == language else _Side(load_analyzer(code), rows or {})
            for code, rows in tables.items()
        ]

    def expand(self, text: str) -> list[Concept]:
        """Return the concepts of a query in the order of their terms; none where none is left."""
        counts: Counter[str] = Counter()
        words: dict[str, str] = {}
        for piece in text.split():
            folded = fold(piece, self._analyzer.language)
            terms = query_terms(piece, self._analyzer)
            counts.update(terms)
            for term in terms:
                words.setdefault(term, folded if len(terms) == 1 else term)
        return [
            Concept(float(count), concept)
            for term, count in counts.items()
            if (concept := self._union(term, words[term]))
        ]

    def _union(self, term: str, word: str) -> dict[str, float]:
        concept: dict[str, float] = {}
        for side in self._sides:
            for name, share in side.concept(term, word).items():
                concept[name] = max(share, concept.get(name, 0.0))
        return concept


class _Same:
    """Documents in the queries' language."""

    def concept(self, term: str, word: str) -> dict[str, float]:
        return {term: 1.0}


class _Side:
    """Documents in another language."""

    def __init__(self, analyzer: Analyzer, rows: Mapping[str, Row]) -> None:
        self._analyzer, self._rows = analyzer, rows
        self._similar: _Similar | None = None
        self.concept = cache(self._concept)

    def _concept(self, term: str, word: str) -> dict[str, float]:
        """Return the probability of each document term for a query term, written as `word`."""
        itself = self._analyzer.terms(word)
        is_number = any(character.isdigit() for character in term)
        row = {} if is_number else self._row(term)
        share = (TABLE if term in self._rows else SIMILAR) if row else 0.0
        concept = defaultdict(float, {name: share * p for name, p in row.items()})
        for name in itself:
            concept[name] += (1 - share) / len(itself)
        if not is_number and term not in self._rows:
            for name in sorted(
                {name for rest in _cut(term) for name in self._analyzer.terms(rest)}
            ):
                if name not in itself:
                    concept[name] = max(concept[name], CUT)
        return dict(concept)

    def _row(self, term: str) -> dict[str, float]:
        own = self._rows.get(term)
        votes = [(own.frequency, own)] if own else []
        if (own is None or own.frequency < _RARE) and len(term) >= _GRAM:
            if self._similar is None:
                self._similar = _Similar(self._rows)
            for cosine, name in self._similar.find(term):
                vote = cosine**2 * min(self._rows[name].frequency, _LARGEST_VOTE)
                votes.append((vote * (_POOLED if own else 1), self._rows[name]))
        total = math.fsum(weight for weight, _ in votes)
        pooled: defaultdict[str, float] = defaultdict(float)
        for weight, row in votes:
            for name, share in row.terms.items():
                pooled[name] += weight / total * share
        return dict(pooled)


class _Similar:
    """Finds terms by the cosine of their character n-grams, weighted by idf."""

    def __init__(self, terms: Mapping[str, Row]) -> None:
        self._terms = [term for term in terms if len(term) >= _GRAM]
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, term in enumerate(self._terms):
            for gram in _grams(term):
                self._places[gram].append(place)
        self._weights = {
            gram: math.log1p(len(self._terms) / len(places)) ** 2
            for gram, places in self._places.items()
        }
        self._of_new = math.log1p(len(self._terms)) ** 2

    def find(self, term: str) -> list[tuple[float, str]]:
        """Return up to five other terms with their cosines, the nearest first."""
        shared: defaultdict[int, float] = defaultdict(float)
        for gram in sorted(_grams(term)):
            for place in self._places.get(gram, ()):
                shared[place] += self._weights[gram]
        norm = self._norm(term)
        found = sorted(
            (-weight / math.sqrt(norm * self._norm(self._terms[place])), self._terms[place])
            for place, weight in shared.items()
            if self._terms[place] != term
        )
        return [(-cosine, name) for cosine, name in found[:_NEAREST] if -cosine >= _LEAST_COSINE]

    def _norm(self, term: str) -> float:
        return math.fsum(self._weights.get(gram, self._of_new) for gram in _grams(term))


def _grams(term: str) -> set[str]:
    return {term[start : start + _GRAM] for start in range(len(term) - _GRAM + 1)}


def _cut(word: str) -> Iterator[str]:
    term = _EDGES.sub("", word)
    for n in (1, 2, 3):
        if len(term) - n >= _SHORTEST_REST:
            yield term[n:]
    for n in (1, 2):
        if len(term) - n >= _SHORTEST_REST:
            yield term[:-n]
