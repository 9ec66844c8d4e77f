"""Reads WikiCLIR (Sasaki et al. 2018, N18-2073): from English to articles of 25 Wikipedias.

ir_datasets fetches the files (`[source]` as in `irds`), or they come from a folder with the layout
of the release; then `[source]` gives their names as patterns. `{suffix}` in a pattern is our code
of the document language unless `suffix_<our code>` states another:

    documents    doc_id<tab>title<tab>text
    queries      query_id<tab>title<tab>first_sent, English, one file for all languages
    qrels        query_id doc_id relevance, by any white space; 2 same article, 1 linked both ways

The queries of a language are those with judgments in it. The same file with `.gz` after its name is
read too.
"""

from __future__ import annotations

from pathlib import Path

from clir_bench.core.text_files import TsvDocuments, parse_grade, read_columns
from clir_bench.errors import CardError, DataError
from clir_bench.tasks.adapters import irds
from clir_bench.tasks.adapters.patterns import fill, setting
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, LanguagePair, Qrel, Query

_FIELDS = ("title", "first_sent")
_ITERATION = "Q0"  # the files have none; ir_datasets uses this value


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the English queries judged in one language, and its articles.

    Raises:
        CardError: `source.query_field` is neither "first_sent" nor "title".
        MissingDataError: A file is missing, or cannot be fetched.
        DataError: A file is broken.
    """
    if source.origin == "cache":
        return irds.collection(card, pair, split)
    suffix = setting(card, f"suffix_{pair.document}", pair.document)
    names = {
        key: fill(card, setting(card, key), pair, split, suffix=suffix)
        for key in ("documents", "queries", "qrels")
    }
    paths = {key: source.file(name, name + ".gz") for key, name in names.items()}
    qrels = _read_qrels(paths["qrels"])
    return Collection(
        corpus_id=names["documents"],
        documents=TsvDocuments([paths["documents"]], columns=("doc_id", "title", "text")),
        queries=_read_queries(card, paths["queries"], {qrel.query_id for qrel in qrels}),
        qrels=qrels,
    )


def _read_queries(card: TaskCard, path: Path, judged: set[str]) -> list[Query]:
    field = _column(card, setting(card, "query_field"))
    fallback = _column(card, setting(card, "fallback_query_field", _FIELDS[field]))
    queries: dict[str, Query] = {}
    for number, (query_id, *fields) in read_columns(path, 1 + len(_FIELDS)):
        if query_id not in judged:
            continue
        if query_id in queries:
            raise DataError(f"{path}:{number}: query id {query_id!r} occurs twice")
        text = fields[field] if fields[field].strip() else fields[fallback]
        if not text.strip():
            raise DataError(f"{path}:{number}: query {query_id!r} has no text")
        queries[query_id] = Query(query_id, text)
    return list(queries.values())


def _column(card: TaskCard, field: str) -> int:
    if field not in _FIELDS:
        raise CardError(
            f"task {card.id!r}: source.query_field must be {' or '.join(_FIELDS)}, found {field!r}"
        )
    return _FIELDS.index(field)


def _read_qrels(path: Path) -> list[Qrel]:
    qrels: dict[tuple[str, str], Qrel] = {}
    shared: dict[str, str] = {}  # millions of judgments name the same few ids: keep one copy
    for number, (query_id, doc_id, relevance) in read_columns(path, 3, None):
        if (query_id, doc_id) in qrels:
            raise DataError(f"{path}:{number}: {doc_id!r} is judged twice for query {query_id!r}")
        grade = parse_grade(relevance, f"{path}:{number}")
        key = shared.setdefault(query_id, query_id), shared.setdefault(doc_id, doc_id)
        qrels[key] = Qrel(*key, grade, _ITERATION)
    return list(qrels.values())
