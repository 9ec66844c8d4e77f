"""Reads Mewsli-X: from an entity's mention in the news to its description in any language.

It reads two files as the official `get-mewsli-x.sh` leaves them in `mewsli_x/output/dataset`
(Ruder et al. 2021, arXiv 2104.07412; release mewsli-x_20220518_6):

    candidate_set_entities.jsonl        {"entity_id", "title", "description", "sentence_spans",
                                         "description_language", "description_url"}
    wikinews_mentions-<split>.jsonl     {"context": {"document_id", "language", "text",
                                         "sentence_spans", ...},
                                         "mentions": [{"example_id", "entity_id",
                                         "mention_span": {"start", "end", "text"}}, ...]}

The split is "test" or "dev"; the embedded sample's mentions are in `wikinews_mentions-test.jsonl`.
`sentence_spans` are lists of {"start", "end"}. All offsets count characters (Unicode code points).

A query is one mention of an article in the pair's query language. A document is one of the
candidate entities, with its description in any language; one entity is relevant. Texts are those of
the benchmark's own baseline (XTREME-R, `utils_mewslix.py`):

- the query is the mention, a colon, and the sentence of the mention, with the mention between
  braces: "Espoo: Buses from { Espoo } stood still."; a pair of braces in the text itself, before
  or after the mention, becomes parentheses;
- the document is the sentences of the description joined by a space; the title is not used;
- line ends and doubled spaces become one space.

The baseline cuts both sides at 64 tokens; here only the encoder cuts texts. Of a description
without sentence spans, this adapter uses the whole text; the baseline uses an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clir_bench.core.text_files import read_jsonl
from clir_bench.errors import DataError
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

ENTITIES = "candidate_set_entities.jsonl"
MENTIONS = "wikinews_mentions-{split}.jsonl"
_BRACES = re.compile(r"\{(.*?)\}")


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the mentions in one language against all candidate entities.

    Raises:
        MissingDataError: A file is not there.
        DataError: A record is not what the release's format says; file and line are named.
    """
    name = MENTIONS.format(split=card.default_split if split == SAMPLE else split)
    queries, qrels = _read_mentions(source.file(name), card.languages[pair.query])
    return Collection(
        corpus_id="entities",
        documents=EntityDocuments(source.file(ENTITIES)),
        queries=queries,
        qrels=qrels,
    )


class EntityDocuments:
    """The candidate entities, re-iterable, one line in memory at a time.

    Args:
        path: `candidate_set_entities.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Document]:
        fields = ("entity_id", "title", "description", "description_language")
        for number, row in read_jsonl(self.path, required=(*fields, "sentence_spans")):
            where = f"{self.path}:{number}"
            entity_id, title, description, language = _strings(row, fields, where)
            spans = _spans(_list(row, "sentence_spans", where), description, where)
            sentences = " ".join(description[start:end] for start, end in spans)
            yield Document(entity_id, _one_line(sentences or description), title, language)


def _read_mentions(path: Path, language: str) -> tuple[list[Query], list[Qrel]]:
    queries: dict[str, Query] = {}
    qrels: list[Qrel] = []
    for number, row in read_jsonl(path, required=("context", "mentions")):
        where = f"{path}:{number}"
        context = row["context"]
        if _member(context, "language", where) != language:
            continue
        [text] = _strings(context, ("text",), where)
        if not text:
            raise DataError(
                f"{where}: context.text is empty; the article texts are not in the released "
                "archive: run the official get-mewsli-x.sh, which restores them"
            )
        spans = _spans(_list(context, "sentence_spans", where), text, where)
        for mention in _list(row, "mentions", where):
            example_id, entity_id = _strings(mention, ("example_id", "entity_id"), where)
            if example_id in queries:
                raise DataError(f"{where}: example_id {example_id!r} occurs twice")
            span = _member(mention, "mention_span", where)
            query = _mark(text, spans, span, f"{where}: mention {example_id!r}")
            queries[example_id] = Query(example_id, query)
            qrels.append(Qrel(example_id, entity_id, 1))
    return list(queries.values()), qrels


def _mark(text: str, spans: list[tuple[int, int]], span: object, where: str) -> str:
    """Return the query text of a mention: the mention, then its sentence with the mention marked.

    >>> _mark("Rain. Buses in Espoo stop.", [(0, 5), (6, 26)],
    ...       {"start": 15, "end": 20, "text": "Espoo"}, "")
    'Espoo: Buses in { Espoo } stop.'
    """
    [(start, end)] = _spans([span], text, where)
    mention = text[start:end]
    if mention != (expected := _member(span, "text", where)):
        raise DataError(
            f"{where}: mention_span.text is {expected!r}, but characters {start} to {end} of the "
            f"article are {mention!r}; offsets count characters, not bytes"
        )
    for first, last in spans:
        if first <= start and end <= last:
            break
    else:
        raise DataError(f"{where}: lies in no sentence of the article (sentence_spans)")
    left, right = (_BRACES.sub(r"(\1)", part) for part in (text[first:start], text[end:last]))
    return _one_line(f"{mention}: {left} {{ {mention} }} {right}")


def _spans(values: list[Any], text: str, where: str) -> list[tuple[int, int]]:
    spans = []
    for span in values:
        start, end = _member(span, "start", where), _member(span, "end", where)
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end:
            raise DataError(f"{where}: span {start!r} to {end!r}: expected 0 <= start < end")
        if end > len(text):
            raise DataError(
                f"{where}: span {start} to {end} ends behind the text, which has {len(text)} "
                "characters"
            )
        spans.append((start, end))
    return spans


def _strings(row: object, names: tuple[str, ...], where: str) -> list[str]:
    values = [_member(row, name, where) for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str):
            raise DataError(f"{where}: {name} must be a string, found {_short(value)}")
    return values


def _list(row: object, name: str, where: str) -> list[Any]:
    value = _member(row, name, where)
    if not isinstance(value, list):
        raise DataError(f"{where}: {name} must be a list, found {_short(value)}")
    return value


def _member(row: object, name: str, where: str) -> Any:
    if not isinstance(row, dict) or name not in row:
        raise DataError(f"{where}: field {name!r} is missing in {_short(row)}")
    return row[name]


def _short(value: object) -> str:
    found = repr(value)
    return found if len(found) <= 80 else found[:77] + "..."


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()
