"""Reads tables of translations, `file:PATH`.

A table is tab-separated with a header, or JSON Lines. Its columns, or fields, are

    translation   the translated text, required
    query_id      which query it translates; or
    text          which text it translates; with both, the text must be the query's
    source        language of the text, optional: without it, a row is for every language
    target        language of the translation, optional likewise

Rows of other languages and other queries do no harm. gzip is read too. What is stored beside a
run, `<pair>.translations.jsonl.gz`, is such a table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.bounded_files import read_plain, unpack_gzip
from clir_bench.core.display import line_of, printable, shown_path, some_of
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, UnknownNameError, UsageError
from clir_bench.systems.translate.translators import Direction, Place
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import resolve
from clir_bench.types import LanguagePair, Query

_LARGEST_BYTES = 512 * 2**20
_COLUMNS = ("query_id", "text", "source", "target", "translation")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Table:
    """A table of translations.

    Attributes:
        rows: By source, target (each empty where the table does not state it) and key, the text,
            where that is stated beside the id, and its translation.
        columns: Those that the table has.
    """

    path: str
    name: str
    details: Mapping[str, str]
    rows: Mapping[tuple[str, str, str], tuple[str, str]]
    columns: frozenset[str]
    n_parameters: int | None = None

    def check(self, card: TaskCard, pair: LanguagePair, direction: Direction) -> None:
        """Refuse a direction that the table lacks.

        Raises:
            UsageError: Names the directions that it has.
        """
        has = {(source, target) for source, target, _ in self.rows}
        if self._stated(direction) not in has:
            listed = sorted(f"{source or 'any'}-{target or 'any'}" for source, target in has)
            raise UsageError(
                f"task {card.id!r}, pair {pair}: {self.path} has no translations {direction}; "
                f"it has {some_of(listed) or 'none'}"
            )

    def translate(
        self, texts: Sequence[Query], direction: Direction, place: Place
    ) -> Sequence[str]:
        """Return the translations of queries.

        Raises:
            DataError: Some have none, or are of other texts; counts and names them.
        """
        by_id = "query_id" in self.columns
        languages = self._stated(direction)
        found: list[str] = []
        lacking, other = [], []
        for query in texts:
            row = self.rows.get((*languages, query.query_id if by_id else query.text))
            if row is None:
                lacking.append(query.query_id)
            elif by_id and "text" in self.columns and row[0] != query.text:
                other.append(query.query_id)
            else:
                found.append(row[1])
        for wrong, what in ((lacking, "have no translation"), (other, "have another text")):
            if wrong:
                raise DataError(
                    f"{self.path}: {len(wrong):,} of {len(texts):,} queries of {place.pair} {what} "
                    f"there ({direction}): {some_of(wrong)}"
                )
        return found

    def _stated(self, direction: Direction) -> tuple[str, str]:
        source, target = direction
        return (
            source if "source" in self.columns else "",
            target if "target" in self.columns else "",
        )


def read_table(name: str) -> Table:
    """Read and check a table.

    Raises:
        DataError: It is missing, too large, or not in the format; names the line.
    """
    path = Path(name).expanduser()
    packed = data = read_plain(path, _LARGEST_BYTES, follow_links=True)
    if data.startswith(_GZIP):
        data = unpack_gzip(data, path, _LARGEST_BYTES)
    where = shown_path(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{where}:{number}: not UTF-8: {error.reason}; convert the file") from None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    read = _objects if text.lstrip().startswith("{") else _columns
    rows: dict[tuple[str, str, str], tuple[str, str]] = {}
    languages: dict[str, str] = {"": ""}
    columns: frozenset[str] = frozenset()
    for number, row in read(lines, where):
        columns = columns or _checked_columns(row, f"{where}:{number}")
        if row.keys() != columns:
            raise DataError(
                f"{where}:{number}: expected the fields {', '.join(sorted(columns))}, as before"
            )
        stated = []
        for side in ("source", "target"):
            code = row.get(side, "")
            if code not in languages:
                languages[code] = _code(code, f"{where}:{number}: {side}")
            stated.append(languages[code])
        by_id = "query_id" in columns
        key = (stated[0], stated[1], row["query_id"] if by_id else row["text"])
        value = (row.get("text", "") if by_id else "", row["translation"])
        if rows.setdefault(key, value) != value:
            raise DataError(
                f"{where}:{number}: {printable(key[2], 60)} has another translation further up; "
                "state one"
            )
    if not rows:
        raise DataError(f"{where}: no translations")
    sha256 = hashlib.sha256(packed).hexdigest()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", path.name)[:40].strip("._") or "table"
    details = {"translator": f"table of {len(rows):,} translations", "translations sha256": sha256}
    return Table(where, f"file:{stem}@{sha256[:8]}", details, rows, columns)


def _objects(lines: Sequence[str], where: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        row = parse_json(line.encode(), place, DataError)
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            raise DataError(f"{place}: expected an object of texts, found {line_of(line, 60)}")
        yield number, row


def _columns(lines: Sequence[str], where: str) -> Iterator[tuple[int, dict[str, str]]]:
    names = lines[0].split("\t")
    _checked_columns(dict.fromkeys(names, ""), f"{where}:1")
    for number, line in enumerate(lines[1:], start=2):
        if not line and number == len(lines):
            continue
        cells = line.split("\t")
        if len(cells) != len(names):
            raise DataError(f"{where}:{number}: expected {len(names)} columns, found {len(cells)}")
        yield number, dict(zip(names, cells, strict=True))


def _checked_columns(row: Mapping[str, str], where: str) -> frozenset[str]:
    names = frozenset(row)
    if "translation" in names and {"query_id", "text"} & names and names <= {*_COLUMNS}:
        return names
    raise DataError(
        f"{where}: expected the columns translation and query_id or text, and perhaps source and "
        f"target, found {line_of(some_of(names, 8), 80)}"
    )


def _code(text: str, where: str) -> str:
    try:
        return resolve(text).code
    except UnknownNameError as error:
        raise DataError(f"{where}: {error}") from None
