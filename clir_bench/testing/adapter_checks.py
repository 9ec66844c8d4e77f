"""Defines the checks that a task's adapter must pass on every tested pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice, zip_longest

from clir_bench.tasks.cards import Counts
from clir_bench.tasks.checks import count_problems, inspect, inspect_corpus, missing_problems
from clir_bench.testing.report import BrokenPromiseError, Check, NotApplicableError
from clir_bench.testing.tasks import TaskSubject
from clir_bench.types import POOL, Collection, Document, LanguagePair, Qrel, Query

_INTERLEAVED = 1000


def _loads(subject: TaskSubject) -> str:
    collections = subject.collections
    return f"{len(collections)} pairs of split {subject.split!r}"


def _each(
    check: Callable[[TaskSubject, LanguagePair, Collection], None],
) -> Callable[[TaskSubject], str]:
    """Turn a check of one pair into a check of all pairs."""

    def run(subject: TaskSubject) -> str:
        for pair, collection in subject.collections.items():
            check(subject, pair, collection)
        return ""

    return run


def _types(subject: TaskSubject, pair: LanguagePair, collection: Collection) -> None:
    where = subject.where(pair)
    for kind, items in (
        (Document, collection.documents),
        (Query, collection.queries),
        (Qrel, collection.qrels),
    ):
        for item in items:
            if not isinstance(item, kind):
                raise BrokenPromiseError(f"{where}: expected a {kind.__name__}, found {item!r:.80}")
            for name, value in item._asdict().items():
                wanted = int if name == "relevance" else str
                if type(value) is not wanted:
                    raise BrokenPromiseError(
                        f"{where}: {kind.__name__}.{name} must be {wanted.__name__}, found "
                        f"{value!r:.80}"
                    )


def _pool(subject: TaskSubject) -> str:
    pools = {pair: found for pair, found in subject.collections.items() if pair.document == POOL}
    if not pools:
        raise NotApplicableError("no pair has a pool of languages")
    known = {*subject.card.languages} - {POOL}
    for pair, collection in pools.items():
        for document in collection.documents:
            if document.language not in known:
                raise BrokenPromiseError(
                    f"{subject.where(pair)}: document {document.doc_id!r} of a pool states "
                    f"language {document.language!r}; expected one of the card's: "
                    f"{', '.join(sorted(known))}"
                )
    return ""


def _re_iterable(subject: TaskSubject, pair: LanguagePair, collection: Collection) -> None:
    where = subject.where(pair)
    documents = collection.documents
    if iter(documents) is iter(documents):
        raise BrokenPromiseError(
            f"{where}: documents is a {type(documents).__name__}, which can be read only once"
        )
    for number, (one, other) in enumerate(zip_longest(documents, documents)):
        if one != other:
            raise BrokenPromiseError(
                f"{where}: two readers at the same time get different documents at {number:,}"
            )
        if number == _INTERLEAVED:
            break
    first = list(islice(documents, 3))
    n_documents = sum(1 for _ in documents)
    again = sum(1 for _ in documents)
    if n_documents != again or first != list(islice(documents, 3)):
        raise BrokenPromiseError(
            f"{where}: {n_documents:,} documents in one reading, {again:,} in the next"
        )


def _document_ids(subject: TaskSubject, pair: LanguagePair, collection: Collection) -> None:
    inspect_corpus(
        collection.documents,
        frozenset(),
        where=subject.where(pair),
        document_text=subject.card.document_text,
    )


def _judgments(subject: TaskSubject, pair: LanguagePair, collection: Collection) -> None:
    where = subject.where(pair)
    judged = frozenset(qrel.doc_id for qrel in collection.qrels)
    # Another check looks for ids that occur twice.
    unique = {document.doc_id: document for document in collection.documents}
    corpus = inspect_corpus(
        list(unique.values()), judged, where=where, document_text=subject.card.document_text
    )
    inspection = inspect(replace(collection, documents=[]), corpus, where=where)
    expected = subject.card.missing_judged_of(subject.split, pair)
    if problems := missing_problems(inspection.missing_judged, expected):
        raise BrokenPromiseError(f"{where}: {problems[0]}")
    if all(qrel.relevance <= 0 for qrel in collection.qrels):
        raise BrokenPromiseError(
            f"{where}: no document is relevant to any query, so every score is 0"
        )


def _counts(subject: TaskSubject) -> str:
    unknown = []
    for pair, collection in subject.collections.items():
        expected = subject.card.counts_of(subject.split, pair)
        if expected is None:
            unknown.append(str(pair))
            continue
        found = Counts(
            sum(1 for _ in collection.documents), len(collection.queries), len(collection.qrels)
        )
        if problems := count_problems(found, expected):
            raise BrokenPromiseError(f"{subject.where(pair)}: {'; '.join(problems)}")
    if len(unknown) == len(subject.collections):
        raise NotApplicableError(f"the card states no counts for split {subject.split!r}")
    return f"the card states no counts for {', '.join(unknown)}" if unknown else ""


def _determinism(subject: TaskSubject) -> str:
    here = {}
    for pair, collection in subject.collections.items():
        here[str(pair)] = subject.sha256(pair, collection)
        if subject.sha256(pair, subject.again(pair)) != here[str(pair)]:
            raise BrokenPromiseError(
                f"{subject.where(pair)}: loading it twice gives different data"
            )
    try:
        there = subject.hashes_apart()
    except NotApplicableError as reason:
        return f"only in this process; another process {reason}"
    different = [name for name, sha256 in here.items() if there[name] != sha256]
    if different:
        raise BrokenPromiseError(
            f"task {subject.card.id!r}: another process loads different data (sha256) for "
            f"{', '.join(different)}"
        )
    return ""


def _corpora(subject: TaskSubject) -> str:
    known: dict[str, tuple[LanguagePair, str]] = {}
    for pair, collection in subject.collections.items():
        corpus = inspect_corpus(collection.documents, frozenset(), where=subject.where(pair))
        other, sha256 = known.setdefault(collection.corpus_id, (pair, corpus.sha256))
        if sha256 != corpus.sha256:
            raise BrokenPromiseError(
                f"{subject.where(pair)}: corpus_id {collection.corpus_id!r} is also that of "
                f"{other}, which has other documents"
            )
    return f"{len(known)} corpora for {len(subject.collections)} pairs"


ADAPTER_CHECKS: tuple[Check[TaskSubject], ...] = (
    Check(
        "loading",
        "returns a Collection for every pair",
        "see clir_bench.tasks.adapters for the contract; other checks run only if this one passes",
        _loads,
    ),
    Check(
        "types",
        "returns Documents, Queries and Qrels with fields of the right types",
        'ids and texts are str ("12", not 12), relevance is int; a missing title is ""',
        _each(_types),
    ),
    Check(
        "re-iteration",
        "lets several readers read the documents, any number of times, also at the same time",
        "return an object whose __iter__ opens the file again (a list, or a small class), not a "
        "generator or an open file",
        _each(_re_iterable),
    ),
    Check(
        "document-ids",
        "names every document once, with ids that a TREC run can hold",
        "use the source's own ids; where it has none, make each from the document's content",
        _each(_document_ids),
    ),
    Check(
        "judgments",
        "judges only known queries and documents, each once, and some as relevant",
        "read queries, judgments and corpus from one release, with the same ids in all three",
        _each(_judgments),
    ),
    Check(
        "pool",
        "states the language of every document of a pool",
        "set Document.language to our code of the language",
        _pool,
    ),
    Check(
        "counts",
        "loads as many documents, queries and judgments as the card states",
        "take the counts from the source's own description; find what is missing or occurs twice",
        _counts,
    ),
    Check(
        "corpora",
        "returns the same documents for all pairs with one corpus_id",
        "put into corpus_id all that the documents depend on",
        _corpora,
    ),
    Check(
        "determinism",
        "loads the same data every time, in the same order, also in another process",
        "keep the file's order: do not iterate over sets, or over folders without sorting",
        _determinism,
    ),
)
