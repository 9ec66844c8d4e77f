"""`bm25`: matches terms of queries and documents (`search.lexical` has the formula, with sources).

`bm25:k1=1.2,b=0.75` states other parameters than Anserini's, k1 = 0.9 and b = 0.4. If a query's
language differs from its documents', the query is analysed by the documents' rules: what both
languages write alike, such as names, then matches. In a pool of several languages, each text is
analysed by the rules of its own.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np

from clir_bench.encoders.lexical.analysis import ANALYSIS_VERSION, Analyzer, load_analyzer
from clir_bench.errors import UsageError
from clir_bench.types import EncoderInfo, EncoderRequest, Integers, SparseRows, StructuredQueries

K1, B = 0.9, 0.4
_LARGEST_K1 = 1000.0
_KEPT_TERMS = 2**19
_ID_MASK = 2**63 - 1


class TermIds:
    """Gives every term an id: 63 bits of its BLAKE2b hash, the same in every process.

    Among ten million different terms, two share an id with a probability of about 5 in a million.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def of(self, terms: Sequence[str]) -> list[int]:
        """Return the id of each term."""
        known = self._ids
        if len(known) > _KEPT_TERMS:
            known.clear()
        try:
            return [known[term] for term in terms]
        except KeyError:
            return [known.get(term) or self._new(term) for term in terms]

    def _new(self, term: str) -> int:
        digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = self._ids[term] = int.from_bytes(digest, "little") & _ID_MASK
        return number


def count_terms(texts: Sequence[Sequence[str]], ids: TermIds) -> SparseRows:
    """Return how often each term occurs, one row per list of terms."""
    lengths = [len(terms) for terms in texts]
    found = np.array(ids.of(list(chain.from_iterable(texts))), dtype=np.int64)
    rows = np.repeat(np.arange(len(texts)), lengths)
    order = np.lexsort((found, rows))
    found, rows = found[order], rows[order]
    is_first = np.ones(len(found), dtype=bool)
    is_first[1:] = (found[1:] != found[:-1]) | (rows[1:] != rows[:-1])
    firsts = np.flatnonzero(is_first)
    counts = np.diff(firsts, append=len(found)).astype(np.float32)
    starts = np.searchsorted(rows[firsts], np.arange(len(texts) + 1)).astype(np.int64)
    return SparseRows(starts, found[firsts], counts)


class Analyzers:
    """The analyzers of the languages seen so far, and the ids of terms."""

    def __init__(self) -> None:
        self.ids = TermIds()
        self._of: dict[str, Analyzer] = {}

    def __getitem__(self, language: str) -> Analyzer:
        if language not in self._of:
            self._of[language] = load_analyzer(language)
        return self._of[language]

    def count(self, texts: Sequence[str], language: str) -> SparseRows:
        """Return how often each term of the texts occurs, one row per text."""
        return count_terms(list(self[language].terms_of(texts)), self.ids)


class BM25:
    """The encoder: texts to counts of terms.

    Args:
        k1: As in `types.LexicalEncoder`.
        b: As in `types.LexicalEncoder`.
    """

    dim = 0

    def __init__(self, k1: float = K1, b: float = B) -> None:
        self.k1, self.b = k1, b
        self._analyzers = Analyzers()

    @cached_property
    def info(self) -> EncoderInfo:
        """Its description."""
        own = [f"{name}={value:g}" for name, value in self._own.items()]
        return EncoderInfo(
            name=f"bm25:{','.join(own)}" if own else "bm25",
            revision=f"analysis-{ANALYSIS_VERSION}",
            similarity="bm25",
            description="BM25 over the terms of each language's analyzer",
            details=lexical_details(self.k1, self.b),
        )

    @property
    def _own(self) -> dict[str, float]:
        values, usual = {"k1": self.k1, "b": self.b}, {"k1": K1, "b": B}
        return {name: value for name, value in values.items() if value != usual[name]}

    def structure_queries(
        self, texts: Sequence[str], *, language: str, document_languages: Sequence[str]
    ) -> StructuredQueries:
        """Return the queries, each term standing for itself."""
        counts = self._analyzers.count(texts, _rules_of(language, document_languages))
        terms, places = np.unique(counts.ids, return_inverse=True)
        queries = SparseRows(counts.starts, _ints(places), counts.weights)
        return StructuredQueries(queries, each_alone(terms))

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return how often each term occurs, one row per text."""
        return self._analyzers.count(texts, language)

    def method(self, language: str, document_languages: Sequence[str]) -> str:
        """Say in one line how queries and documents of a pair are matched."""
        return f"terms: {self._analyzers[_rules_of(language, document_languages)].name}"


def load(request: EncoderRequest) -> BM25:
    """Return BM25 with the parameters of `request.argument`.

    Raises:
        UsageError: A parameter is unknown or impossible.
    """
    return BM25(**parameters(request.name, request.argument))


def parameters(name: str, text: str) -> dict[str, float]:
    """Return the parameters in a text such as "k1=1.2,b=0.75".

    Raises:
        UsageError: One is unknown or impossible.
    """
    bounds = {"k1": _LARGEST_K1, "b": 1.0}
    found: dict[str, float] = {}
    for part in text.split(",") if text else []:
        key, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if key not in bounds or not 0 <= number <= bounds[key]:
            raise UsageError(
                f"{name}:{text}: expected k1=NUMBER (0 to {_LARGEST_K1:g}) and b=NUMBER (0 to 1), "
                f"as in {name}:k1=1.2,b=0.75; found {part!r}"
            )
        found[key] = number
    return found


def lexical_details(k1: float, b: float) -> dict[str, str]:
    """Return what decides rankings by terms, beside the analyzers' rules."""
    stemmer = f"PyStemmer {importlib.metadata.version('PyStemmer')}"
    return {"k1": f"{k1:g}", "b": f"{b:g}", "stemmer": stemmer}


def each_alone(terms: Integers) -> SparseRows:
    """Return concepts that stand for one term each."""
    ones = np.ones(len(terms), dtype=np.float32)
    return SparseRows(np.arange(len(terms) + 1, dtype=np.int64), terms, ones)


def _rules_of(language: str, document_languages: Sequence[str]) -> str:
    """Return the language by whose rules queries are analysed."""
    return document_languages[0] if len(document_languages) == 1 else language


def _ints(values: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Integers:
    return np.ascontiguousarray(values, dtype=np.int64)
