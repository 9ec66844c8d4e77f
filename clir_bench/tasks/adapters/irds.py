"""Reads collections through ir_datasets: any of its data sets, and three tasks of clir-bench.

A card with `adapter = "ir_datasets"` says in `[source]`:

    dataset = "miracl/{document}/{split}"           # documents, queries and judgments; or
    documents_dataset = "mmarco/v2/{document}/dev/small"    # documents, and separately
    queries_dataset = "mmarco/v2/{query}/dev/small"         # queries with their judgments
    dataset_en = "msmarco-passage/dev/small"        # for a language to which no pattern applies
    qrels_dataset = "neuclir/1/{document}/trec-2023"    # where judgments do not come with queries
    query_field = "description_{query}"             # of a query; else the default in its language
    fallback_query_field = "title"                  # for queries whose query_field is empty
    title_field, text_field                         # of a document; else title and text, where it
                                                    # has both, or its default_text()

`patterns.fill` lists the names that a pattern may contain. If a record has its query in several
languages, the pair decides which field is used; a pair in another language than ir_datasets states
is refused (`irds_languages`). Where queries are documents (`finds_itself`), the document with a
query's own id is removed from its ranking. Queries and judgments are used unfiltered, so judgments
of another year's queries are noticed. Documents stream from the files or the document store of
ir_datasets. Nothing is fetched if `clir_bench.tasks.download.OFFLINE_VARIABLES` forbid it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from clir_bench.core.files import path_problem
from clir_bench.errors import CardError, DataError, MissingDataError, UsageError, near_names
from clir_bench.tasks.adapters.irds_errors import failure, import_ir_datasets
from clir_bench.tasks.adapters.irds_languages import query_field, require_documents
from clir_bench.tasks.adapters.patterns import fill, setting
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

# Their queries (arguments, questions, posts, papers) are, or may be, in the collection.
_QUERIES_ARE_DOCUMENTS = re.compile(
    r"beir/(arguana|quora(/dev|/test)?|cqadupstack/\w+|scidocs)|nano-beir/(arguana|quora|scidocs)"
)


class Sides(NamedTuple):
    """The ids of the data sets for the two sides of a pair."""

    documents: str
    queries: str


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the collection of one pair from ir_datasets.

    Raises:
        UsageError: A folder was named, but ir_datasets reads from its own.
        CardError: The card's `[source]` is wrong.
        MissingDataError: There is no such data set, or it cannot be fetched.
        DataError: What was fetched cannot be read.
    """
    if source.origin != "cache":
        raise UsageError(
            f"task {card.id!r} is read by ir_datasets, which cannot read {source.directory}; "
            "set IR_DATASETS_HOME to its folder instead of --data-dir"
        )
    return collection(card, pair, split)


def uses_ir_datasets(card: TaskCard) -> bool:
    """Return whether ir_datasets can fetch what the card describes."""
    return "dataset" in card.source or "documents_dataset" in card.source


def sides(card: TaskCard, pair: LanguagePair, split: str) -> Sides:
    """Return the data sets that a card names for a pair.

    Raises:
        CardError: It names none, or only one side's.
    """
    if "dataset" in card.source:
        both = _dataset(card, "dataset", pair.document, pair, split)
        return Sides(both, both)
    return Sides(
        _dataset(card, "documents_dataset", pair.document, pair, split),
        _dataset(card, "queries_dataset", pair.query, pair, split),
    )


def collection(card: TaskCard, pair: LanguagePair, split: str) -> Collection:
    """Return the collection of one pair as `load` does, for a card with any adapter."""
    ids = sides(card, pair, split)
    if "text_field" not in card.source:
        dataset = open_dataset(card, ids.documents, "docs")
        require_documents(ids.documents, dataset, pair.document)
    documents = IrdsDocuments(card, ids.documents)
    queries = _queries(card, ids.queries, pair, split)
    qrels = _qrels(card, _judgments(card, pair, split))
    skips = finds_itself(ids.queries)
    return Collection(documents.corpus_id, documents, queries, qrels, skip_same_id=skips)


def finds_itself(dataset_id: str) -> bool:
    """Return whether the queries of a data set are documents of its corpus, by the same ids.

    BEIR's evaluation removes documents with the query's id in all its data sets
    (`ignore_identical_ids`). But in most of them, queries and documents are numbered independently,
    so such a document has nothing to do with the query; these data sets are not listed.
    """
    return _QUERIES_ARE_DOCUMENTS.fullmatch(dataset_id) is not None


def prefetch(card: TaskCard, pairs: Iterable[LanguagePair], split: str) -> None:
    """Make ir_datasets fetch everything of these pairs.

    Every record of every data set is read once. Only this makes sure that all files are there
    afterwards, and finds a damaged file now.

    Raises:
        CardError, MissingDataError, DataError: As `load`.
    """
    done: set[tuple[str, str]] = set()
    for pair in pairs:
        ids, judgments = sides(card, pair, split), _judgments(card, pair, split)
        corpus = IrdsDocuments(card, ids.documents)
        parts: list[tuple[str, str, Iterable[Any]]] = [
            ("qrels", judgments, _records(card, judgments, "qrels")),
            ("queries", ids.queries, _records(card, ids.queries, "queries")),
            ("docs", corpus.corpus_id, corpus),
        ]
        for entity, name, records in parts:
            if (entity, name) not in done:
                deque(records, maxlen=0)
                done.add((entity, name))


class IrdsDocuments:
    """The documents of a data set, re-iterable, one in memory at a time.

    Attributes:
        corpus_id: Equal for data sets that share their documents.
    """

    def __init__(self, card: TaskCard, dataset_id: str) -> None:
        self._card, self._id = card, dataset_id
        dataset = open_dataset(card, dataset_id, "docs")
        self.corpus_id = f"ir_datasets:{import_ir_datasets().docs_parent_id(dataset_id)}"
        fields = dataset.docs_cls()._fields
        has_both = {"title", "text"} <= set(fields)
        title, text = ("title", "text") if has_both else ("", "")
        self._title = _field(card, "title_field", fields, setting(card, "title_field", title))
        self._text = _field(card, "text_field", fields, setting(card, "text_field", text))

    def __iter__(self) -> Iterator[Document]:
        for record in _records(self._card, self._id, "docs"):
            text = getattr(record, self._text) if self._text else record.default_text()
            title = getattr(record, self._title) if self._title else ""
            yield Document(record.doc_id, _text(self._id, text), _text(self._id, title))


def open_dataset(card: TaskCard, dataset_id: str, *entities: str) -> Any:
    """Return ir_datasets' object; this rarely fetches anything.

    Raises:
        CardError: The id does not look like one of ir_datasets' ids.
        MissingDataError: There is no such data set, it lacks one of `entities` ("docs", ...), or
            the list of its files cannot be fetched.
    """
    ir_datasets = import_ir_datasets()
    if problem := path_problem(dataset_id):
        raise CardError(f"task {card.id!r}: the data set {dataset_id[:80]!r} {problem}")
    try:
        dataset = ir_datasets.load(dataset_id)
    except KeyError:
        near = near_names(dataset_id, ir_datasets.registry)
        hint = f" (near: {', '.join(near)})" if near else ""
        raise MissingDataError(
            f"task {card.id!r}: ir_datasets {ir_datasets.__version__} has no data set "
            f"{dataset_id!r}{hint}; this pair has no such split, or [source] in the card is wrong"
        ) from None
    except Exception as error:  # some data sets fetch their file list when opened
        raise failure(dataset_id, error, card) from error
    for entity in entities:
        if not dataset.has(entity):
            raise MissingDataError(
                f"task {card.id!r}: ir_datasets' {dataset_id!r} has no {entity}; name one that has "
                "in [source] of the card"
            )
    return dataset


def _dataset(card: TaskCard, key: str, language: str, pair: LanguagePair, split: str) -> str:
    exception = f"dataset_{language}"
    pattern = setting(card, exception if exception in card.source else key)
    return fill(card, pattern, pair, split)


def _judgments(card: TaskCard, pair: LanguagePair, split: str) -> str:
    """Return the data set with a pair's judgments: the queries' own unless the card names one."""
    if "qrels_dataset" in card.source:
        return fill(card, setting(card, "qrels_dataset"), pair, split)
    return sides(card, pair, split).queries


def _queries(card: TaskCard, dataset_id: str, pair: LanguagePair, split: str) -> list[Query]:
    dataset = open_dataset(card, dataset_id, "queries")
    fields = dataset.queries_cls()._fields
    if "query_field" in card.source:
        stated = fill(card, setting(card, "query_field"), pair, split)
        field = _field(card, "query_field", fields, stated)
    else:
        field = query_field(dataset_id, dataset, pair.query)
    stated = fill(card, setting(card, "fallback_query_field", ""), pair, split)
    fallback = _field(card, "fallback_query_field", fields, stated)
    queries = []
    for record in _records(card, dataset_id, "queries"):
        text = _text(dataset_id, getattr(record, field) if field else record.default_text())
        if fallback and not text.strip():
            text = _text(dataset_id, getattr(record, fallback))
        queries.append(Query(record.query_id, text))
    if not queries:
        raise DataError(_no_queries(card, dataset_id, dataset))
    return queries


def _no_queries(card: TaskCard, dataset_id: str, dataset: Any) -> str:
    stated = dataset.queries_metadata().get("count")
    remedy = "take another data set"
    if match := re.fullmatch(r"neuclir/1/(fa|ru|zh)/trec-2023", dataset_id):
        # It looks for the topics of 2023 among those judged in 2022 (its issue 292).
        remedy = (
            f'write a card with documents_dataset = "neuclir/1/{match[1]}", queries_dataset = '
            f'"neuclir/1/multi/trec-2023" and qrels_dataset = "{dataset_id}" in [source]'
        )
    return (
        f"task {card.id!r}: ir_datasets {import_ir_datasets().__version__} gives no query of "
        f"{dataset_id!r}{f', where it states {stated:,}' if stated else ''}; {remedy}"
    )


def _qrels(card: TaskCard, dataset_id: str) -> list[Qrel]:
    shared: dict[str, str] = {}  # millions of judgments name the same few ids: keep one copy
    return [
        Qrel(
            shared.setdefault(record.query_id, record.query_id),
            shared.setdefault(record.doc_id, record.doc_id),
            record.relevance,
            str(getattr(record, "iteration", "0")),
        )
        for record in _records(card, dataset_id, "qrels")
    ]


def _field(card: TaskCard, key: str, fields: Iterable[str], name: str) -> str:
    if name and name not in fields:
        raise CardError(
            f"task {card.id!r}: source.{key} is {name!r}, but the records of ir_datasets have "
            f"{', '.join(fields)}"
        )
    return name


def _text(dataset_id: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CardError(
            f"ir_datasets' {dataset_id!r}: a field that is searched is {type(value).__name__}, "
            "expected text; name others in the card: source.query_field, title_field, text_field"
        )
    return value


def _records(card: TaskCard, dataset_id: str, entity: str) -> Iterator[Any]:
    dataset = open_dataset(card, dataset_id, entity)
    try:
        yield from getattr(dataset, f"{entity}_iter")()
    except Exception as error:  # ir_datasets and its readers may raise anything
        raise failure(dataset_id, error, card) from error
