"""Checks and hashes a collection before any expensive step.

A corpus is read once, keeping 16 bytes per document. So even 33 million passages can be checked
before the first one is encoded.
"""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from clir_bench.core.display import some_of
from clir_bench.errors import DataError
from clir_bench.tasks.cards import Counts
from clir_bench.tasks.outline import NO_OUTLINE, Outline, Outliner
from clir_bench.types import LARGEST_GRADE, Collection, Document, Qrel, Query

_SHOWN = 3
_UNWRITABLE = "is empty, or holds white space or a null character"


@dataclass(frozen=True)
class CorpusFacts:
    """The facts that one pass over the documents found.

    Attributes:
        n_documents: All documents.
        n_empty: Documents without anything to encode: they are never retrieved.
        sha256: Over ids, titles, texts and languages, in order.
        present: The wanted ids that are in the corpus.
        empty: Those of them with nothing to encode.
        other_form: The wanted ids that are there only in another Unicode form.
        outline: The next reading is compared with it.
    """

    n_documents: int
    n_empty: int
    sha256: str
    present: frozenset[str]
    empty: frozenset[str]
    other_form: frozenset[str]
    outline: Outline = field(default=NO_OUTLINE, compare=False)


@dataclass(frozen=True)
class Inspection:
    """What is known about one pair's collection before it is searched.

    Attributes:
        counts: Documents, queries (judged or not) and judgments.
        n_judged_queries: Queries with at least one judgment; the means are over these.
        n_empty_documents: As in `CorpusFacts`.
        sha256: Over the corpus, the queries and the judgments: the pair's data hash.
        queries_sha256: Over the judged queries alone.
        missing_judged: Judged documents that the corpus lacks, sorted; they are never retrieved.
        n_empty_relevant: Relevant documents without anything to encode: never retrieved either.
        skip_same_id: As in `Collection`.
        corpus_sha256: As in `CorpusFacts`.
    """

    counts: Counts
    n_judged_queries: int
    n_empty_documents: int
    sha256: str
    queries_sha256: str
    missing_judged: tuple[str, ...] = ()
    n_empty_relevant: int = 0
    skip_same_id: bool = False
    corpus_sha256: str = ""

    @property
    def n_rankable(self) -> int:
        """Documents that a ranking can hold."""
        return self.counts.documents - self.n_empty_documents


def inspect_corpus(
    documents: Iterable[Document],
    wanted: frozenset[str],
    *,
    where: str,
    language: str = "",
    document_text: str = "{title} {text}",
    advance: Callable[[int], None] = lambda _: None,
) -> CorpusFacts:
    """Read a corpus once.

    Args:
        documents: The corpus.
        wanted: Ids of judged documents, to look for.
        where: Names the corpus in errors.
        language: The documents' language where a document does not state its own.
        document_text: Which text of a document is encoded, as on the task's card.
        advance: Called with the number of documents read since the last call.

    Raises:
        DataError: An id occurs twice, is empty, or holds white space or a null character (a TREC
            run could not name it), or there is no document at all, or none with text.
    """
    digest = hashlib.sha256()
    hashes = array("q")
    present: set[str] = set()
    empty: set[str] = set()
    accented = {_composed(doc_id): doc_id for doc_id in wanted if not doc_id.isascii()}
    other_form: set[str] = set()
    problems: list[str] = []
    n_empty = 0
    outliner = Outliner(language, document_text)
    for n, document in enumerate(documents):
        for value in (document.doc_id, document.title, document.text, document.language):
            _feed(digest, value)
        hashes.append(hash(document.doc_id))
        is_empty = not outliner.add(document)
        if document.doc_id in wanted:
            present.add(document.doc_id)
            if is_empty:
                empty.add(document.doc_id)
        elif accented and (same := accented.get(_composed(document.doc_id))):
            other_form.add(same)
        if _unwritable(document.doc_id) and len(problems) < _SHOWN:
            problems.append(f"document id {document.doc_id!r} {_UNWRITABLE}")
        n_empty += is_empty
        if n % 1000 == 999:
            advance(1000)
    advance(len(hashes) % 1000)
    if not hashes:
        raise DataError(f"{where}: the corpus is empty")
    if n_empty == len(hashes):
        raise DataError(f"{where}: all {n_empty:,} documents are empty: there is no text to search")
    outline = outliner.finish()
    problems += _duplicates(documents, np.frombuffer(hashes, dtype=np.int64))
    if problems:
        raise DataError(f"{where}: " + "; ".join(problems))
    return CorpusFacts(
        len(hashes),
        n_empty,
        digest.hexdigest(),
        frozenset(present),
        frozenset(empty),
        frozenset(other_form - present),
        outline,
    )


def inspect(collection: Collection, corpus: CorpusFacts, *, where: str) -> Inspection:
    """Check queries and judgments against each other and the corpus.

    A judged document that the corpus lacks is no error: trec_eval counts it as not retrieved. Where
    all of them are lacking, the corpus is another one.

    Raises:
        DataError: Names every kind of problem found: a query without text, an id twice, a judgment
            of a query that is not there, no judged document that is there, a relevance that is no
            grade, no judged query at all.
    """
    problems = _query_problems(collection.queries)
    problems += _qrel_problems(collection.queries, collection.qrels, corpus)
    if problems:
        raise DataError(f"{where}: " + "; ".join(problems))
    n_judged = len({qrel.query_id for qrel in collection.qrels})
    sha256, queries_sha256 = digests(collection, corpus.sha256)
    return Inspection(
        Counts(corpus.n_documents, len(collection.queries), len(collection.qrels)),
        n_judged,
        corpus.n_empty,
        sha256,
        queries_sha256,
        tuple(sorted({qrel.doc_id for qrel in collection.qrels} - corpus.present)),
        len({qrel.doc_id for qrel in collection.qrels if qrel.relevance > 0} & corpus.empty),
        collection.skip_same_id,
        corpus.sha256,
    )


def digests(collection: Collection, corpus_sha256: str) -> tuple[str, str]:
    """Return a pair's data hash and that of its judged queries, as in `Inspection`."""
    judged_ids = {qrel.query_id for qrel in collection.qrels}
    judged = [query for query in collection.queries if query.query_id in judged_ids]
    queries_digest, all_digest = hashlib.sha256(), hashlib.sha256(corpus_sha256.encode())
    for query in judged:
        _feed(queries_digest, query.query_id)
        _feed(queries_digest, query.text)
    _feed(all_digest, queries_digest.hexdigest())
    _feed(all_digest, str(collection.skip_same_id))
    for qrel in sorted(collection.qrels):
        _feed(all_digest, f"{qrel.query_id}\t{qrel.doc_id}\t{qrel.relevance}")
    return all_digest.hexdigest(), queries_digest.hexdigest()


def count_problems(found: Counts, expected: Counts) -> list[str]:
    """Say how the loaded counts differ from those on the card."""
    return [
        f"{found_n:,} {name} where the card states {expected_n:,} ({found_n - expected_n:+,})"
        for name, found_n, expected_n in zip(Counts._fields, found, expected, strict=True)
        if found_n != expected_n
    ]


def missing_problems(missing: Sequence[str], expected: int) -> list[str]:
    """Say how the number of judged documents missing from the corpus differs from the card's.

    >>> missing_problems(["d98", "d99"], 0)
    ["the corpus lacks 2 judged documents where the card states 0 (missing_judged): 'd98', 'd99'"]
    """
    if len(missing) == expected:
        return []
    named = f": {_ids(missing)}" if missing else ""
    return [
        f"the corpus lacks {len(missing):,} judged documents where the card states {expected:,} "
        f"(missing_judged){named}"
    ]


def _feed(digest: hashlib._Hash, field: str) -> None:
    # The length first, so that no two sequences of fields give the same bytes.
    data = field.encode("utf-8", "surrogatepass")
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)


def _unwritable(identifier: str) -> bool:
    return identifier.split() != [identifier] or "\0" in identifier


def _duplicates(documents: Iterable[Document], hashes: np.ndarray) -> list[str]:
    hashes.sort()
    repeated = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not repeated:
        return []
    # Equal hashes are almost surely equal ids; a second look makes sure and names them.
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for document in documents:
        if hash(document.doc_id) in repeated:
            if document.doc_id in seen:
                twice[document.doc_id] = None
            seen.add(document.doc_id)
    return [f"{len(twice):,} document ids occur twice: {_ids(twice)}"] if twice else []


def _query_problems(queries: Sequence[Query]) -> list[str]:
    ids = [query.query_id for query in queries]
    problems = []
    if twice := sorted(query_id for query_id, n in Counter(ids).items() if n > 1):
        problems.append(f"{len(twice):,} query ids occur twice: {_ids(twice)}")
    if odd := [query_id for query_id in ids if _unwritable(query_id)]:
        problems.append(f"a query id {_UNWRITABLE}: {_ids(odd)}")
    if silent := [query.query_id for query in queries if not query.text.strip()]:
        problems.append(f"{len(silent):,} queries have no text: {_ids(silent)}")
    return problems


def _qrel_problems(
    queries: Sequence[Query], qrels: Sequence[Qrel], corpus: CorpusFacts
) -> list[str]:
    ids = {query.query_id for query in queries}
    problems = []
    if not qrels:
        return ["no query is judged: there is not one judgment, so there is nothing to average"]
    if strangers := sorted({qrel.query_id for qrel in qrels} - ids):
        problems.append(
            f"judgments name {len(strangers):,} queries that are not among the {len(ids):,} "
            f"queries: {_ids(strangers)}{_normalization_hint(strangers)}"
        )
    judged = {qrel.doc_id for qrel in qrels}
    if not judged & corpus.present:
        absent = sorted(judged)
        problems.append(
            f"judgments name {len(absent):,} documents, but none is in the corpus: "
            f"{_ids(absent)}{_normalization_hint(absent)}; are these of one collection?"
        )
    elif other := sorted(judged & corpus.other_form):
        problems.append(
            f"judgments name {len(other):,} documents as they are not written in the corpus: "
            f"{_ids(other)}{_normalization_hint(other)}"
        )
    if odd := [qrel for qrel in qrels if not _is_grade(qrel.relevance)]:
        problems.append(
            f"{len(odd):,} judgments have a relevance that is no whole number from "
            f"{-LARGEST_GRADE:,} to {LARGEST_GRADE:,}: {odd[0].relevance!r:.40} for query "
            f"{odd[0].query_id!r}, document {odd[0].doc_id!r}"
        )
    if len({(qrel.query_id, qrel.doc_id) for qrel in qrels}) != len(qrels):
        problems.append("a document is judged twice for one query")
    return problems


def _is_grade(relevance: object) -> bool:
    return isinstance(relevance, int | np.integer) and abs(int(relevance)) <= LARGEST_GRADE


def _composed(identifier: str) -> str:
    return unicodedata.normalize("NFC", identifier)


def _normalization_hint(strangers: Sequence[str]) -> str:
    if all(
        unicodedata.normalize("NFC", stranger) == unicodedata.normalize("NFD", stranger)
        for stranger in strangers
    ):
        return ""
    return " (accented ids: is one file in Unicode NFC and the other in NFD?)"


def _ids(identifiers: Iterable[str]) -> str:
    return some_of(map(repr, identifiers), _SHOWN)
