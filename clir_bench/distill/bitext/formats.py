"""Reads the file formats of bitext, one function per format, and yields every pair of a file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.distill.bitext.locations import LANGUAGE, Place, find, lines_of, rows_of, single
from clir_bench.distill.bitext.sources import BitextSource
from clir_bench.distill.bitext.tmx import units_of
from clir_bench.errors import DataError, MissingDataError, UsageError
from clir_bench.tasks.languages import PIVOT


class Raw(NamedTuple):
    """A pair as in the file; None for a missing side.

    `language` is our code, `script` the ISO 15924 script its text should be in.
    """

    english: str | None
    foreign: str | None
    language: str
    script: str


class Opened(NamedTuple):
    """One file of a source: its name in errors, and its pairs."""

    where: str
    pairs: Iterator[Raw]


def open_files(source: BitextSource, root: Path) -> Iterator[Opened]:
    """Yield every file of a source that holds a requested language, in the order of the paths.

    Raises:
        MissingDataError: No file matches the path.
        DataError: A language in a path is not known.
        UsageError: A hub data set without the library `datasets`.
    """
    if source.format == "hub":
        yield from _hub(source)
        return
    for code, place in find(source.path, root):
        language: tuple[str, str] | None = None
        if code or (source.format != "tmx" and "language" not in source.fields):
            language = _selected(source, code or source.languages[0], str(place))
            if language is None:
                continue
        if source.format == "tmx":
            yield Opened(str(place), _tmx(source, place, language))
        elif source.format == "tsv":
            yield Opened(str(place), _tsv(source, place, language))
        elif language is not None:
            english = single(source.english, root, code)
            read = _lines if source.format == "lines" else _verses
            yield Opened(str(place), read(english, place, language))


def _selected(source: BitextSource, code: str, where: str) -> tuple[str, str] | None:
    """Return (our code, script) of a wanted language, None for English and unwanted ones."""
    wanted = source.wanted()
    try:
        language = source.language_of(code, where=where)
    except DataError:
        if wanted:  # whatever it is, it is none of those asked for
            return None
        raise
    return None if language[0] == PIVOT or (wanted and language[0] not in wanted) else language


def _lines(english: Place, foreign: Place, language: tuple[str, str]) -> Iterator[Raw]:
    n_english = n_foreign = 0
    for e, f in zip_longest(lines_of(english), lines_of(foreign)):
        if e is not None:
            n_english = e[0]
        if f is not None:
            n_foreign = f[0]
        if e is not None and f is not None:
            yield Raw(e[1], f[1], *language)
    if n_english != n_foreign:
        raise DataError(
            f"{foreign}: {n_foreign:,} lines, but {english} has {n_english:,}; both must be "
            "aligned line by line (an empty line where there is no translation)"
        )


def _verses(english: Place, foreign: Place, language: tuple[str, str]) -> Iterator[Raw]:
    unmatched = dict(_verse_texts(english))
    for key, text in _verse_texts(foreign):
        yield Raw(unmatched.pop(key, None), text, *language)
    for text in unmatched.values():
        yield Raw(text, None, *language)


def _verse_texts(place: Place) -> Iterator[tuple[str, str]]:
    seen: dict[str, int] = {}
    for number, columns in rows_of(place):
        if len(columns) != 2:
            raise DataError(
                f"{place}:{number}: expected 'key<tab>text', found {len(columns)} columns"
            )
        key = columns[0].strip()
        if key in seen:
            raise DataError(f"{place}:{number}: {key!r} occurs already in line {seen[key]}")
        seen[key] = number
        yield key, columns[1]


def _tsv(source: BitextSource, place: Place, language: tuple[str, str] | None) -> Iterator[Raw]:
    rows = rows_of(place)
    fields = _fields(source) or {"english": 0, "foreign": 1}
    position: dict[str, int] = {}
    known: dict[str, tuple[str, str] | None] = {}
    for number, columns in rows:
        if not position:
            position = _positions(fields, columns, f"{place}:{number}")
            if not source.fields and len(columns) != 2:
                raise DataError(
                    f"{place}:{number}: expected 2 columns, English and its translation, found "
                    f"{len(columns)}; name them in 'fields'"
                )
            if any(isinstance(name, str) for name in fields.values()):
                continue  # the header
        if "language" in position:
            code = columns[position["language"]].strip()
            if code not in known:
                known[code] = _selected(source, code, f"{place}:{number}")
            row_language = known[code]
            if row_language is None or (language is not None and row_language != language):
                continue
        else:
            assert language is not None  # noqa: S101 - BitextSource sees to it
            row_language = language
        yield Raw(columns[position["english"]], columns[position["foreign"]], *row_language)


def _fields(source: BitextSource) -> dict[str, int | str]:
    return {str(field): name for field, name in source.fields.items()}


def _positions(fields: Mapping[str, int | str], columns: list[str], where: str) -> dict[str, int]:
    position = {}
    for field, name in fields.items():
        if isinstance(name, str) and name in columns:
            position[field] = columns.index(name)
        elif isinstance(name, int) and 0 <= name < len(columns):
            position[field] = name
        else:
            raise DataError(
                f"{where}: no column {name!r} for {field!r}; the file has {len(columns)}: "
                + ", ".join(repr(column[:20]) for column in columns[:10])
            )
    return position


def _tmx(source: BitextSource, place: Place, only: tuple[str, str] | None) -> Iterator[Raw]:
    known: dict[str, tuple[str, str]] = {}
    for line, variants in units_of(place):
        english: list[str] = []
        foreign: list[tuple[str, tuple[str, str]]] = []
        for code, text in variants:
            if code not in known:
                known[code] = source.language_of(code, where=f"{place}:{line}")
            if known[code][0] == PIVOT:
                english.append(text)
            else:
                foreign.append((text, known[code]))
        taken = [(text, language) for text, language in foreign if _takes(source, only, language)]
        for text, language in taken:
            for original in english or (None,):
                yield Raw(original, text, *language)
        if only is not None and not taken:
            for original in english:
                yield Raw(original, None, *only)


def _takes(source: BitextSource, only: tuple[str, str] | None, language: tuple[str, str]) -> bool:
    if only is not None:
        return language[0] == only[0]
    wanted = source.wanted()
    return not wanted or language[0] in wanted


def _hub(source: BitextSource) -> Iterator[Opened]:
    codes = source.languages if LANGUAGE in source.path else ("",)
    for code in codes:
        path = source.path.removeprefix("hf:").replace(LANGUAGE, code)
        name, configuration = _hub_name(path)
        rows = _load_hub(source, name, configuration)
        language = None
        if "language" not in source.fields:
            language = source.language_of(code or source.languages[0], where=source.path)
        fields = {
            field: str(name).replace(LANGUAGE, code) for field, name in _fields(source).items()
        }
        yield Opened(f"hf:{path}", _hub_pairs(source, rows, fields, language))


def _hub_name(path: str) -> tuple[str, str | None]:
    if path.startswith((".", "/")):
        return path, None
    parts = path.split("/")
    return "/".join(parts[:2]), "/".join(parts[2:]) or None


def _load_hub(source: BitextSource, name: str, configuration: str | None) -> Any:
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise UsageError(
            f"bitext {source.name!r}: reading {source.path} needs the library datasets: "
            "pip install datasets"
        ) from error
    try:
        return datasets.load_dataset(
            name, configuration, split=source.split, streaming=True, revision=source.revision
        )
    except Exception as error:  # a plugin boundary: the hub's libraries may raise anything
        raise MissingDataError(
            f"bitext {source.name!r}: {source.path}, split {source.split!r}, cannot be read: "
            f"{type(error).__name__}: {error}"
        ) from error


def _hub_pairs(
    source: BitextSource, rows: Any, fields: Mapping[str, str], language: tuple[str, str] | None
) -> Iterator[Raw]:
    fields = fields or {"english": "english", "foreign": "foreign"}
    for number, row in enumerate(rows, start=1):
        where = f"{source.path}, split {source.split!r}, row {number}"
        values = {field: _dotted(row, name, where) for field, name in fields.items()}
        row_language = language or _selected(source, values["language"] or "", where)
        if row_language is not None:
            yield Raw(values["english"], values["foreign"], *row_language)


def _dotted(row: Any, name: str, where: str) -> str | None:
    value = row
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            found = ", ".join(value) if isinstance(value, Mapping) else repr(value)[:40]
            raise DataError(f"{where}: no field {name!r} (found: {found})")
        value = value[key]
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: {name!r} must be text, found {value!r}"[:300])
    return value
