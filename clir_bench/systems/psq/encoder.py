"""`psq`: the encoder behind probabilistic structured queries.

A query's terms become concepts, distributions over document terms (`expand`); documents are counts
of their terms, as for `bm25`. `search.lexical` ranks by the expected frequencies of the concepts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from clir_bench.encoders.lexical.analysis import ANALYSIS_VERSION
from clir_bench.encoders.lexical.bm25 import K1, Analyzers, B, lexical_details
from clir_bench.errors import UsageError
from clir_bench.systems.psq.expand import Expander
from clir_bench.systems.psq.tables import (
    SHIPPED,
    SUFFIX,
    Table,
    directions,
    load_table,
    read_table_bytes,
)
from clir_bench.types import EncoderInfo, EncoderRequest, SparseRows, StructuredQueries

_REVISION_DIGITS = 12


class PSQ:
    """Structured queries by the translation tables in a folder.

    Args:
        folder: Holds the tables, one per direction.
    """

    dim = 0
    k1, b = K1, B

    def __init__(self, folder: Path = SHIPPED) -> None:
        self._folder = folder
        self._analyzers = Analyzers()
        self._expanders: dict[tuple[str, tuple[str, ...]], Expander] = {}
        self._tables: dict[tuple[str, str], Table | None] = {}

    @cached_property
    def info(self) -> EncoderInfo:
        """Its description, which depends on every table in the folder."""
        digest = hashlib.sha256()
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            digest.update(path.name.encode() + hashlib.sha256(read_table_bytes(path)).digest())
        sha256 = digest.hexdigest()
        own = "" if self._folder == SHIPPED else f"@{sha256[:_REVISION_DIGITS]}"
        return EncoderInfo(
            name=f"psq{own}",
            revision=sha256[:_REVISION_DIGITS],
            weights_sha256=sha256,
            similarity="bm25",
            description="Probabilistic structured queries by translation tables",
            details=lexical_details(self.k1, self.b) | {"analysis": str(ANALYSIS_VERSION)},
        )

    def structure_queries(
        self, texts: Sequence[str], *, language: str, document_languages: Sequence[str]
    ) -> StructuredQueries:
        """Return the queries, each term standing for its translations.

        Raises:
            MissingDataError: No table has this direction.
            DataError: The table is damaged.
            UsageError: The table was made with other analyzers.
        """
        expander = self._expander(language, tuple(document_languages))
        places: dict[tuple[tuple[str, float], ...], int] = {}
        queries = []
        for text in texts:
            query: dict[int, float] = {}
            for concept in expander.expand(text):
                key = tuple(sorted(concept.terms.items()))
                place = places.setdefault(key, len(places))
                query[place] = query.get(place, 0.0) + concept.weight
            queries.append(query)
        concepts = []
        for terms in places:
            ids = self._analyzers.ids.of([term for term, _ in terms])
            concepts.append(dict(zip(ids, (share for _, share in terms), strict=True)))
        return StructuredQueries(SparseRows.of(queries), SparseRows.of(concepts))

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return how often each term occurs, one row per text."""
        return self._analyzers.count(texts, language)

    def method(self, language: str, document_languages: Sequence[str]) -> str:
        """Say in one line how queries and documents of a pair are matched.

        Raises:
            ClirBenchError: As `structure_queries`.
        """
        said = [f"queries {self._analyzers[language].name}"]
        for code in document_languages:
            table = self._table(language, code)
            if table is not None:
                said.append(f"table {language}-{code} {table.sha256[:_REVISION_DIGITS]}")
            if len(document_languages) == 1:
                said.append(f"documents {self._analyzers[code].name}")
        return "; ".join(said)

    def _expander(self, language: str, document_languages: tuple[str, ...]) -> Expander:
        key = language, document_languages
        if key not in self._expanders:
            tables = {code: self._table(language, code) for code in document_languages}
            if not any(tables.values()) and language not in document_languages:
                load_table(language, document_languages[0], self._folder)  # says what there is
            self._expanders[key] = Expander(language, tables)
        return self._expanders[key]

    def _table(self, language: str, document_language: str) -> Table | None:
        """Return the table of a direction; None where a pool's language has none."""
        key = language, document_language
        if language == document_language:
            return None
        if key not in self._tables:
            known = directions(self._folder)
            self._tables[key] = load_table(*key, self._folder) if key in known else None
        return self._tables[key]


def load(request: EncoderRequest) -> PSQ:
    """Return the encoder with the tables in the folder `request.argument`, or the shipped ones.

    Raises:
        UsageError: There is no such folder, or it holds no table.
    """
    folder = Path(request.argument).expanduser() if request.argument else SHIPPED
    if not directions(folder):
        raise UsageError(
            f"{folder}: holds no translation table (*{SUFFIX}); `clir-bench align` makes them"
        )
    return PSQ(folder)
