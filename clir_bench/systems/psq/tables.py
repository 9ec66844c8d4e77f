"""Files of translation tables: `sw-en.psq` holds p(English term | Swahili term).

A file is the line `clir-bench psq 1`, 32 bytes of sha256 of all that follows, and xz. Unpacked: a
line of JSON (`Header`), then for both vocabularies, sorted by UTF-8, how many bytes each term
shares with the term before (u8), how many follow (u8), and these; then of every query term the
number of its document terms (u8) and its frequency (u8); then of every entry, by ascending document
term, the low, middle and high byte of the step from the entry before, and its probability (u8).

A byte u stands for the frequency 2^(u/4 - 7) and the probability 2^(-u/4): both are rounded, to
9%, and the probabilities of a row are made to sum to 1 when it is read.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from clir_bench.core.bounded_files import read_plain, unpack_xz
from clir_bench.core.display import shown_path
from clir_bench.core.files import write_file
from clir_bench.core.structured_files import parse_json, validated
from clir_bench.encoders.lexical.analysis import ANALYSIS_VERSION, load_analyzer
from clir_bench.errors import DataError, MissingDataError, UnknownNameError, UsageError
from clir_bench.systems.psq.align import Row
from clir_bench.systems.psq.packing import pack, unpack
from clir_bench.tasks.languages import resolve

SHIPPED = Path(__file__).with_name("tables")
SUFFIX = ".psq"
FORMAT = 1

_MAGIC = b"clir-bench psq "
_LARGEST_PACKED, _LARGEST, _LONGEST_HEADER = 2**26, 2**28, 2**20
Text = Annotated[str, StringConstraints(max_length=200)]


class Source(BaseModel):
    """Where translations came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    license: Text
    pairs: Annotated[int, Field(ge=0)]


class Header(BaseModel):
    """What a table says about itself.

    Attributes:
        query_language: Canonical code.
        document_language: Likewise.
        query_analyzer: Name of the analyzer that made the query terms.
        document_analyzer: Likewise.
        analysis: `ANALYSIS_VERSION` of both.
        sources: The bitext and lexicons, with their licences.
        settings: What `align` was told.
        sizes: Query terms, document terms, entries, bytes of the two vocabularies' suffixes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    query_language: Text
    document_language: Text
    query_analyzer: Text
    document_analyzer: Text
    analysis: int
    sources: Annotated[tuple[Source, ...], Field(max_length=1000)] = ()
    settings: Annotated[dict[str, float], Field(max_length=50)] = {}
    sizes: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Table(Mapping[str, Row]):
    """p(document term | query term) of one direction; maps query terms to rows."""

    header: Header
    sha256: str = field(default="")
    rows: Mapping[str, Row] = field(default_factory=dict, repr=False)

    def __getitem__(self, term: str) -> Row:
        return self.rows[term]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def header_of(
    query_language: str, document_language: str, sources: Sequence[Source], settings: Any
) -> Header:
    """Return the header of a new table, with the analyzers of today."""
    query, document = resolve(query_language).code, resolve(document_language).code
    return Header(
        query_language=query,
        document_language=document,
        query_analyzer=load_analyzer(query).name,
        document_analyzer=load_analyzer(document).name,
        analysis=ANALYSIS_VERSION,
        sources=tuple(sources),
        settings=settings,
    )


def file_name(query_language: str, document_language: str) -> str:
    """Return what the table of a direction is called in its folder."""
    return f"{query_language}-{document_language}{SUFFIX}"


def write_table(folder: Path, header: Header, rows: Mapping[str, Row]) -> Path:
    """Write a table and return its path; equal rows give equal bytes.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / file_name(header.query_language, header.document_language)
    sizes, data = pack(rows)
    line = header.model_copy(update={"sizes": sizes}).model_dump_json().encode() + b"\n"
    packed = lzma.compress(line + data, format=lzma.FORMAT_XZ, preset=6 | lzma.PRESET_EXTREME)
    magic = _MAGIC + b"%d\n" % FORMAT
    write_file(path, magic + hashlib.sha256(packed).digest() + packed)
    return path


def directions(folder: Path = SHIPPED) -> list[tuple[str, str]]:
    """Return the (query language, document language) of every table in a folder, sorted.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; `clir-bench align --output` makes one")
    found = (path.name.removesuffix(SUFFIX).partition("-") for path in folder.glob(f"*{SUFFIX}"))
    return sorted((query, document) for query, _, document in found)


def load_table(query_language: str, document_language: str, folder: Path = SHIPPED) -> Table:
    """Return the table of a direction.

    Raises:
        UnknownNameError: There is no such language.
        MissingDataError: The folder has no table of this direction.
        UsageError: There is no such folder, or the table was made with other analyzers.
        DataError: The file is damaged, of another version or of another direction.
    """
    query, document = resolve(query_language).code, resolve(document_language).code
    known = directions(folder)
    if (query, document) not in known:
        raise MissingDataError(_missing(query, document, folder, known))
    return read_table(folder / file_name(query, document))


def _missing(query: str, document: str, folder: Path, known: list[tuple[str, str]]) -> str:
    where = "clir-bench has" if folder == SHIPPED else f"{folder} holds"
    hint = ""
    if (document, query) in known:
        hint = (
            f"; the table {document}-{query} is of the other direction and cannot be turned round"
        )
    elif near := [f"{q}-{d}" for q, d in known if q == query or d == document][:5]:
        hint = f"; there are {', '.join(near)}" + (", ..." if len(near) == 5 else "")
    return (
        f"{where} no translation table from {query} queries to {document} documents{hint}. "
        f"`clir-bench align --bitext {query if document == 'en' else document}=FILE --output "
        "FOLDER` makes tables from translated texts; name them as psq:FOLDER"
    )


def read_table_bytes(path: Path) -> bytes:
    """Return the bytes of a table's file.

    Raises:
        DataError: It cannot be read, or is larger than any table.
    """
    return read_plain(path, _LARGEST_PACKED, follow_links=True)


def read_table(path: Path) -> Table:
    """Return the table in a file, which may come from anyone.

    Raises:
        UsageError: It was made with other analyzers.
        DataError: It is damaged, of another version, or not the direction that its name says.
    """
    data = read_table_bytes(path)
    shown = shown_path(path)
    line, _, rest = data.partition(b"\n")
    if not line.startswith(_MAGIC):
        raise DataError(f"{shown}: no translation table; `clir-bench align` makes them")
    if line != _MAGIC + b"%d" % FORMAT:
        version = ascii(line[len(_MAGIC) :][:20].decode("latin-1"))
        raise DataError(
            f"{shown}: expected version {FORMAT} of the format, found {version}; make it again "
            "with `clir-bench align`, or use the clir-bench that made it"
        )
    digest, packed = rest[:32], rest[32:]
    if hashlib.sha256(packed).digest() != digest:
        raise DataError(f"{shown}: damaged: its bytes do not match their sha256; fetch it again")
    body = unpack_xz(packed, path, _LARGEST)
    end = body.find(b"\n", 0, _LONGEST_HEADER)
    header = validated(Header, parse_json(body[:end], str(shown), DataError), str(shown), DataError)
    try:
        table = Table(
            header, hashlib.sha256(data).hexdigest(), unpack(header.sizes, body[end + 1 :])
        )
    except ValueError as error:
        raise DataError(
            f"{shown}: not what its format says: {error}; make it again with `clir-bench align`"
        ) from None
    _check(table.header, path, str(shown))
    return table


def _check(header: Header, path: Path, shown: str) -> None:
    languages = header.query_language, header.document_language
    for code in languages:
        try:
            known = resolve(code).code
        except UnknownNameError as error:
            raise DataError(f"{shown}: {error}") from None
        if known != code:
            raise DataError(f"{shown}: language {code!r} is called {known!r} here; make it again")
    if path.name != file_name(*languages):
        raise DataError(
            f"{shown}: holds the direction {languages[0]}-{languages[1]}; give it back its name "
            f"{file_name(*languages)}, a table cannot be turned round"
        )
    if header.analysis != ANALYSIS_VERSION:
        raise UsageError(
            f"{shown}: its terms are of analysis version {header.analysis}, this clir-bench has "
            f"{ANALYSIS_VERSION}; make it again with `clir-bench align`"
        )
