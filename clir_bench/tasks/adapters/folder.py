"""Reads your own collection: in BEIR's layout, or TREC topics and qrels with JSONL documents.

A card for a collection in BEIR's layout, three language pairs over two corpora:

    id = "radio-news"
    title = "Radio news"
    description = "English and French questions over Somali and Swahili news."
    adapter = "folder"
    splits = ["test"]
    default_split = "test"
    measures = ["nDCG@10", "AP@1000", "R@100"]
    parallel_queries = true                         # one query id is one question in each language
    document_text = "{title} {text}"
    license = "CC-BY-4.0"

    [source]
    directory = "radio-news"                        # beside the card; --data-dir overrides it
    layout = "beir"
    documents = "{document}/corpus.jsonl"           # _id, title, text
    queries = "queries.{query}.jsonl"               # _id, text
    qrels = "qrels/{query}-{document}/{split}.tsv"  # header: query-id corpus-id score

    [pairs]
    official = ["en-so", "en-sw", "fr-sw"]

    [languages]                                     # ours -> what stands in the file names
    en = "en"
    fr = "fr"
    so = "so"
    sw = "sw"

    [counts.test]                                   # documents, queries, judgments: checked
    en-so = [12000, 50, 731]

Without `documents`, `queries` and `qrels` the names are BEIR's own: `corpus.jsonl`,
`queries.jsonl`, `qrels/{split}.tsv`. BEIR keeps the queries of all splits in one file, so a split's
queries are those judged in it.

A pair such as en-mul searches one pool of all languages: `{document}` becomes `mul`, so
`documents = "docs.{document}.jsonl"` reads the pool from `docs.mul.jsonl`. Its documents have no
languages here; `clir-bench disparity --no-pool` does not need them.

`layout = "trec"` reads `docs.jsonl` (an id under docid, doc_id, docno, id or _id; text or contents;
title if there is one), `topics.tsv` and `qrels.{split}.txt` unless the card names others. Topics
are `query_id<tab>text` lines or `<top>` records; `query_field` ("title", "desc" or "narr", "title"
by default) chooses the field of a record to search with. Qrels have TREC's four columns. Any file
may be packed with gzip, bzip2 or xz, with or without `.gz` after its name, and may have CRLF line
ends and a byte-order mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from clir_bench.core.display import some_of
from clir_bench.core.text_files import (
    JsonlDocuments,
    parse_grade,
    read_columns,
    read_jsonl,
    read_lines,
    read_qrels,
    read_topics,
)
from clir_bench.errors import CardError, DataError
from clir_bench.tasks.adapters.patterns import fill, setting
from clir_bench.tasks.adapters.topics import FIELDS, read_trec_topics
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

_BEIR_HEADER = ["query-id", "corpus-id", "score"]
_TREC_IDS = ("docid", "doc_id", "docno", "id", "_id")
_TREC_TEXTS = ("text", "contents")


class _Layout(NamedTuple):
    documents: str
    queries: str
    qrels: str
    read: Callable[[TaskCard, dict[str, Path]], tuple[Iterable[Document], list[Query], list[Qrel]]]


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the collection of one pair from a folder.

    Raises:
        CardError: The layout is unknown, or languages that differ would be read from one file.
        MissingDataError: A file is missing.
        DataError: A file is broken; the message names file and line.
    """
    name = setting(card, "layout", "beir")
    if name not in _LAYOUTS:
        raise CardError(
            f"task {card.id!r}: source.layout must be {' or '.join(_LAYOUTS)}, found {name!r}"
        )
    layout = _LAYOUTS[name]
    names: dict[str, str] = {}
    for key in ("documents", "queries", "qrels"):
        pattern = setting(card, key, getattr(layout, key))
        _require_language(card, key, pattern)
        names[key] = fill(card, pattern, pair, split)
    paths = {key: source.file(name, name + ".gz") for key, name in names.items()}
    documents, queries, qrels = layout.read(card, paths)
    return Collection(names["documents"], documents, queries, qrels)


def _require_language(card: TaskCard, key: str, pattern: str) -> None:
    """Refuse a pattern that reads two languages from the same file."""
    side = {"documents": "document", "queries": "query"}.get(key)
    if side is None or f"{{{side}}}" in pattern or f"{{{side}_code}}" in pattern:
        return
    languages = {getattr(pair, side) for pair in card.available_pairs()}
    if len(languages) > 1:
        raise CardError(
            f"task {card.id!r}: source.{key} is {pattern!r} for all of "
            f"{', '.join(sorted(languages))}; put {{{side}}} where the file names differ"
        )


def _read_beir(
    card: TaskCard, paths: dict[str, Path]
) -> tuple[Iterable[Document], list[Query], list[Qrel]]:
    documents = JsonlDocuments([paths["documents"]], doc_id="_id")
    qrels = _read_beir_qrels(paths["qrels"])
    queries = _read_beir_queries(paths["queries"])
    judged = {qrel.query_id for qrel in qrels}
    of_split = [query for query in queries if query.query_id in judged]
    if not of_split:
        asked = sorted(repr(query.query_id) for query in queries)
        raise DataError(
            f"{paths['qrels']}: none of the {len(queries)} queries of {paths['queries']} is judged "
            f"here (queries: {some_of(asked, 3) or 'none'}; judged: "
            f"{some_of(sorted(map(repr, judged)), 3) or 'none'}); are these the files of one "
            "collection?"
        )
    return documents, of_split, qrels


def _read_beir_queries(path: Path) -> list[Query]:
    queries: dict[str, Query] = {}
    for number, row in read_jsonl(path, required=("_id", "text")):
        query_id, text = row["_id"], row["text"]
        if not isinstance(query_id, str) or not isinstance(text, str):
            raise DataError(f"{path}:{number}: _id and text must be text, found {row!r:.80}")
        if query_id in queries:
            raise DataError(f"{path}:{number}: query id {query_id!r} occurs twice")
        if not text.strip():
            raise DataError(f"{path}:{number}: query {query_id!r} has no text")
        queries[query_id] = Query(query_id, text)
    return list(queries.values())


def _read_beir_qrels(path: Path) -> list[Qrel]:
    qrels: dict[tuple[str, str], Qrel] = {}
    rows = read_columns(path, len(_BEIR_HEADER))
    number, header = next(rows, (1, []))
    if header != _BEIR_HEADER:
        raise DataError(
            f"{path}:{number}: expected the header {'<tab>'.join(_BEIR_HEADER)}, "
            f"found {'<tab>'.join(header) or 'an empty file'}"
        )
    for number, (query_id, doc_id, score) in rows:
        if (query_id, doc_id) in qrels:
            raise DataError(f"{path}:{number}: {doc_id!r} is judged twice for query {query_id!r}")
        grade = parse_grade(score, f"{path}:{number}", "score")
        qrels[query_id, doc_id] = Qrel(query_id, doc_id, grade)
    return list(qrels.values())


def _read_trec(
    card: TaskCard, paths: dict[str, Path]
) -> tuple[Iterable[Document], list[Query], list[Qrel]]:
    field = setting(card, "query_field", "title")
    if field not in FIELDS:
        raise CardError(
            f"task {card.id!r}: source.query_field must be {', '.join(FIELDS)}, found {field!r}"
        )
    topics = paths["queries"]
    first = next((line for _, line in read_lines(topics) if line.strip()), "")
    tagged = first.lstrip().startswith("<")
    queries = read_trec_topics(topics, field) if tagged else read_topics(topics)
    return _trec_documents(paths["documents"]), queries, read_qrels(paths["qrels"])


def _trec_documents(path: Path) -> JsonlDocuments:
    # The keys of the first document are used for all of them.
    _, first = next(read_jsonl(path), (1, {}))
    keys = []
    for accepted in (_TREC_IDS, _TREC_TEXTS):
        present = [key for key in accepted if key in first]
        if len(present) != 1:
            raise DataError(
                f"{path}:1: expected exactly one of the fields {', '.join(accepted)}, "
                f"found {', '.join(sorted(first)) or 'no document'}"
            )
        keys += present
    return JsonlDocuments([path], doc_id=keys[0], text=keys[1])


_LAYOUTS = {
    "beir": _Layout("corpus.jsonl", "queries.jsonl", "qrels/{split}.tsv", _read_beir),
    "trec": _Layout("docs.jsonl", "topics.tsv", "qrels.{split}.txt", _read_trec),
}
