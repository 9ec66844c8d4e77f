"""Reads AfriQA: from a question in an African language to its passage in English or French.

Ogundepo et al. 2023 (arXiv 2305.06897). Files are the official JSON Lines,
`data/gold_passages/<language>/gold_span_passages.afriqa.<language>.<en|fr>.<split>.json`.

Card settings: `source.<split>` lists the languages, by our codes, that have gold passages in that
split; without it, all languages have them. The corpus of a document language holds the passages of
every split and of every language paired with it, equal texts once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clir_bench.core.text_files import kept, read_jsonl
from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

_FIELDS = ("id", "question_lang", "title", "context")


class Row(NamedTuple):
    """One question and its passage; the passage's text is empty if the annotators found none."""

    question_id: str
    question: str
    title: str
    passage: str


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the questions of one language and split, and every passage of the other language.

    Query ids are "<language>-<split>-<official id>". Document ids are a hash of the passage, so
    they do not depend on what else is in the corpus. A question asked in several rows has all of
    their passages as relevant documents in each; one without a passage is kept and not judged.

    Raises:
        MissingDataError: The language has no gold passages in that split.
        DataError: A file is not in the format, or an id occurs twice in it.
    """
    with_split = _languages(card, pair.document, split)
    if pair.query not in with_split:
        raise MissingDataError(
            f"task {card.id!r}: no gold passages for {pair} in split {split!r}, which has "
            f"{', '.join(with_split) or 'no language'}; choose another split"
        )
    documents: dict[str, Document] = {}
    for other in (SAMPLE,) if split == SAMPLE else card.splits:
        for language in _languages(card, pair.document, other):
            path = _path(card, source, LanguagePair(language, pair.document), other)
            for row in _rows(path):
                _add(documents, row, pair.document)
    rows = _rows(_path(card, source, pair, split))
    query_ids = [f"{pair.query}-{split}-{row.question_id}" for row in rows]
    passages: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.passage:
            passages[row.question][_doc_id(row.passage, pair.document)] = None
    return Collection(
        corpus_id=pair.document,
        documents=list(documents.values()),
        queries=[Query(i, row.question) for i, row in zip(query_ids, rows, strict=True)],
        qrels=[
            Qrel(query_id, doc_id, 1)
            for query_id, row in zip(query_ids, rows, strict=True)
            for doc_id in passages.get(row.question, ())
        ],
    )


def _languages(card: TaskCard, document: str, split: str) -> list[str]:
    """Return the languages with passages in `document` in that split, in the card's order."""
    listed = card.source.get(split)
    return [
        pair.query
        for pair in card.available_pairs()
        if pair.document == document and (listed is None or pair.query in listed)
    ]


def _path(card: TaskCard, source: Source, pair: LanguagePair, split: str) -> Path:
    query, document = card.languages[pair.query], card.languages[pair.document]
    name = f"gold_span_passages.afriqa.{query}.{document}.{split}.json"
    return source.file(f"data/gold_passages/{query}/{name}")


@kept(n_files=32)
def _rows(path: Path) -> tuple[Row, ...]:
    rows: dict[str, Row] = {}
    for number, row in _read(path):
        if row.question_id in rows:
            raise DataError(
                f"{path}:{number}: id {row.question_id!r} occurs twice; "
                "ids must be unique in a file"
            )
        rows[row.question_id] = row
    return tuple(rows.values())


def _read(path: Path) -> Iterator[tuple[int, Row]]:
    for number, raw in read_jsonl(path, required=_FIELDS):
        values = []
        for key in _FIELDS:
            # Absent values are null, or NaN where the authors' tables had an empty cell.
            value = raw[key] if raw[key] is not None and raw[key] == raw[key] else ""
            if not isinstance(value, str):
                raise DataError(f"{path}:{number}: {key} must be text, found {value!r}")
            values.append(value if value.strip() else "")
        row = Row(*values)
        if not row.question_id:
            raise DataError(f"{path}:{number}: field 'id' is empty")
        if row.question:
            yield number, row
        elif row.passage:
            raise DataError(f"{path}:{number}: {row.question_id!r} has a passage, no question")
        # A row with neither has nothing to search with or to find; the card counts it.


def _add(documents: dict[str, Document], row: Row, language: str) -> None:
    if not row.passage:
        return
    doc_id = _doc_id(row.passage, language)
    if doc_id not in documents or (row.title and not documents[doc_id].title):
        documents[doc_id] = Document(doc_id, row.passage, row.title)


def _doc_id(passage: str, language: str) -> str:
    return f"{language}-{hashlib.sha256(passage.encode()).hexdigest()[:16]}"
