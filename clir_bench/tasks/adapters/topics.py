"""Reads TREC topics in their tagged form.

    <top>
    <num> Number: 351
    <title> Falkland petroleum exploration
    <desc> Description:
    What information is available on petroleum exploration near the Falkland Islands?
    <narr> Narrative: ...
    </top>

A field ends at its closing tag (`</title>`) or where the next field begins. The labels ("Number:",
"Topic:", "Description:", "Narrative:") are not part of the text. Lines of one field are joined by a
space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.text_files import read_lines
from clir_bench.errors import DataError
from clir_bench.types import Query

FIELDS = ("title", "desc", "narr")
"""The fields of a topic that can be searched with."""

_TAG = re.compile(r"<(/?)(top|num|title|desc|narr)\s*>", re.IGNORECASE)
_LABELS = {
    "num": re.compile(r"(?:Number|Num)\s*:", re.IGNORECASE),
    "title": re.compile(r"(?:Topic|Title)\s*:", re.IGNORECASE),
    "desc": re.compile(r"Description\s*:", re.IGNORECASE),
    "narr": re.compile(r"Narrative\s*:", re.IGNORECASE),
}


@dataclass
class _Topic:
    line: int
    parts: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        joined = " ".join(part.strip() for part in self.parts.get(name, []) if part.strip())
        label = _LABELS[name].match(joined)
        return joined[label.end() :].strip() if label else joined


def read_trec_topics(path: Path, query_field: str = "title") -> list[Query]:
    """Read `<top>` records; `query_field`, one of `FIELDS`, becomes the query.

    Raises:
        DataError: A record is not closed, has no number or no `query_field`, a number occurs
            twice, or there is text between records.
    """
    queries: dict[str, Query] = {}
    for topic in _topics(path):
        query_id, text = topic.text("num"), topic.text(query_field)
        where = f"{path}:{topic.line}"
        if not query_id:
            raise DataError(f"{where}: this topic has no <num>")
        if not text:
            raise DataError(f"{where}: topic {query_id!r} has no text in <{query_field}>")
        if query_id in queries:
            raise DataError(f"{where}: topic number {query_id!r} occurs twice")
        queries[query_id] = Query(query_id, text)
    return list(queries.values())


def _topics(path: Path) -> list[_Topic]:
    topics: list[_Topic] = []
    topic: _Topic | None = None
    current = ""
    for number, line in read_lines(path):
        # Split at the tags: text, closing slash, tag name, text, ...
        pieces = _TAG.split(line)
        _add_text(topic, current, pieces[0], f"{path}:{number}")
        for closing, tag, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            name = tag.lower()
            if name == "top":
                if bool(closing) != (topic is not None):
                    raise DataError(f"{path}:{number}: {_misplaced(closing, topic)}")
                if topic is not None:
                    topics.append(topic)
                topic, current = (None if closing else _Topic(number)), ""
            else:
                current = "" if closing else name
            _add_text(topic, current, text, f"{path}:{number}")
    if topic is not None:
        raise DataError(f"{path}:{topic.line}: this <top> is never closed by </top>")
    return topics


def _misplaced(closing: str, topic: _Topic | None) -> str:
    if topic is None:
        return "</top> without a <top> before it" if closing else ""
    return f"a new <top>, but the one of line {topic.line} is not closed by </top>"


def _add_text(topic: _Topic | None, current: str, text: str, where: str) -> None:
    if not text.strip():
        return
    if topic is None:
        raise DataError(f"{where}: expected <top>, found {text.strip()[:40]!r}")
    if current:
        topic.parts.setdefault(current, []).append(text)
