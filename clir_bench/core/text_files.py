"""Readers for the text formats of benchmarks; every error names the file and line.

All readers accept a byte-order mark, CRLF line ends, gzip, bzip2 and xz. They do not change the
text itself: no trimming, no Unicode normalization. The first bytes of a file, not its name, tell
how it is compressed. A file is opened once and read from start to end, so it may be a pipe.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from clir_bench.errors import DataError
from clir_bench.types import LARGEST_GRADE, Document, Qrel, Query

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b)|(?P<xz>\xfd7zXZ\x00)|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))"
    rb"|(?P<zstd>\x28\xb5\x2f\xfd)|(?P<zip>PK\x03\x04)"
)
_MAGIC_BYTES = 10
_PIPE_BYTES = 2**20
_SUFFIXES = {".gz": "gzip", ".xz": "xz", ".bz2": "bzip2"}
_OPENERS: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "xz": lzma.open, "bzip2": bz2.open}
_GRADE = re.compile(r"[+-]?[0-9]+")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kept(n_files: int) -> Callable[[_Function], _Function]:
    """Cache a function's values for the last `n_files` files, each until it changes on disk.

    A task's pairs read the same few files again and again. The function's first argument is the
    file; the others must be hashable. Callers must not change the returned value.
    """

    def decorate(read: _Function) -> _Function:
        @lru_cache(maxsize=n_files)
        def remembered(
            path: Path, mtime_ns: int, size_bytes: int, *options: Any, **more: Any
        ) -> Any:
            return read(path, *options, **more)

        @wraps(read)
        def reader(path: Path, *options: Any, **more: Any) -> Any:
            status = path.stat()
            return remembered(path, status.st_mtime_ns, status.st_size, *options, **more)

        return cast(_Function, reader)

    return decorate


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield `(line number from 1, line without its end)`.

    Only LF and CRLF end a line; other separators (U+2028, U+0085) belong to the text.

    Raises:
        DataError: The file is missing, not UTF-8, damaged, truncated, or compressed in a format
            that no reader here knows.
    """
    number, kind = 0, _SUFFIXES.get(path.suffix, "")
    try:
        with path.open("rb") as packed, _from_start(packed) as (start, file):
            if match := _MAGIC.match(start):
                kind = str(match.lastgroup)
            if kind and not start:
                raise EOFError("the file is empty")  # gzip would read these as no lines
            if kind and kind not in _OPENERS:
                raise DataError(f"{path}: is a {kind} file; unpack it first")
            with _OPENERS[kind](file, "rb") if kind else file as lines:
                for number, raw in enumerate(lines, start=1):
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                    yield number, line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8: {error.reason}; convert the file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        raise DataError(
            f"{path}: damaged or truncated {kind} after line {number} ({error}); fetch it again"
        ) from None


@contextmanager
def _from_start(file: IO[bytes]) -> Iterator[tuple[bytes, IO[bytes]]]:
    """Look at a file's first bytes without losing them; a pipe cannot go back."""
    start = file.read(_MAGIC_BYTES)
    if file.seekable():
        file.seek(0)
        yield start, file
        return
    with io.BufferedReader(_Rejoined(start, file), _PIPE_BYTES) as rejoined:
        yield start, rejoined


class _Rejoined(io.RawIOBase):
    """The first bytes of a file, and then what has not been read of it."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        self._start, self._file = start, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] or self._file.read(len(buffer))
        self._start = self._start[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        DataError: As `read_lines`, or the JSON is broken at the line named.
    """
    text = "\n".join(line for _, line in read_lines(path))
    try:
        return _parse(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: broken JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: broken JSON: {error}") from None


def read_jsonl(path: Path, required: Iterable[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield `(line number, object)` of a JSON Lines file; blank lines are skipped.

    Raises:
        DataError: A line is broken JSON, no object, or lacks one of the `required` keys.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            value = _parse(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}:{number}: broken JSON: {error.msg} (column {error.colno})"
            ) from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: broken JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, found {line[:40]!r}")
        for key in required:
            if key not in value:
                found = ", ".join(sorted(value)) or "none"
                raise DataError(f"{path}:{number}: field {key!r} is missing (found: {found})")
        yield number, value


def _parse(text: str) -> Any:
    value = json.loads(text)
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # no tokenizer accepts it, and this would come out only when the text is encoded
            raise ValueError(f"half a surrogate pair: {error.object[error.start]!r}") from None
    return value


def read_columns(
    path: Path, n_columns: int, separator: str | None = "\t"
) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line number, columns)` of a delimited file without quoting; blank lines are skipped.

    `separator=None` splits at any run of white space, as TREC files are read.

    Raises:
        DataError: A line has another number of columns than `n_columns`.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        columns = line.split(separator)
        if len(columns) != n_columns:
            raise DataError(
                f"{path}:{number}: expected {n_columns} columns, found {len(columns)}: "
                f"{line[:80]!r}"
            )
        yield number, columns


def read_topics(path: Path) -> list[Query]:
    """Read `query_id<tab>text` lines.

    Raises:
        DataError: A column is missing, an id or a text is empty, or a query id occurs twice.
    """
    queries: dict[str, Query] = {}
    for number, (query_id, text) in read_columns(path, 2):
        if query_id in queries:
            raise DataError(f"{path}:{number}: query id {query_id!r} occurs twice")
        if not query_id.strip() or not text.strip():
            missing = "text" if query_id.strip() else "id"
            raise DataError(f"{path}:{number}: query {query_id!r} has no {missing}")
        queries[query_id] = Query(query_id, text)
    return list(queries.values())


def parse_grade(text: str, where: str, name: str = "relevance") -> int:
    """Return a relevance grade.

    Args:
        text: As it stands in the file.
        where: File and line.
        name: What the format calls it.

    Raises:
        DataError: It is no whole number, or one that no tool can count with.
    """
    if not _GRADE.fullmatch(text):
        raise DataError(f"{where}: {name} must be a whole number, found {text[:40]!r}")
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) <= len(str(LARGEST_GRADE)) and abs(grade := int(text)) <= LARGEST_GRADE:
        return grade
    raise DataError(
        f"{where}: {name} must be from {-LARGEST_GRADE:,} to {LARGEST_GRADE:,}, found {text[:40]}"
    )


def read_qrels(path: Path) -> list[Qrel]:
    """Read TREC qrels, `query_id iteration doc_id relevance`, separated by any white space.

    Raises:
        DataError: A column is missing, a relevance is no grade, or one document is judged twice for
            one query.
    """
    qrels: dict[tuple[str, str], Qrel] = {}
    for number, (query_id, iteration, doc_id, relevance) in read_columns(path, 4, None):
        qrel = Qrel(query_id, doc_id, parse_grade(relevance, f"{path}:{number}"), iteration)
        if (query_id, doc_id) in qrels:
            raise DataError(f"{path}:{number}: {doc_id!r} is judged twice for query {query_id!r}")
        qrels[query_id, doc_id] = qrel
    return list(qrels.values())


class JsonlDocuments:
    """Documents of JSON Lines files, re-iterable, one line in memory at a time.

    Args:
        paths: The files, read in this order.
        doc_id: Key of the document's id.
        text: Key of its text.
        title: Key of its title, "" when the format has none; an absent title is empty.
    """

    def __init__(
        self, paths: Iterable[Path], *, doc_id: str, text: str = "text", title: str = "title"
    ) -> None:
        self.paths = tuple(paths)
        self._keys = (doc_id, text, title)

    def __iter__(self) -> Iterator[Document]:
        id_key, text_key, title_key = self._keys
        for path in self.paths:
            for number, row in read_jsonl(path, required=(id_key, text_key)):
                values = (row[id_key], row[text_key], row.get(title_key) or "")
                for key, value in zip(self._keys, values, strict=True):
                    if not isinstance(value, str):
                        raise DataError(f"{path}:{number}: {key} must be text, found {value!r}")
                yield Document(*values)


class TsvDocuments:
    """Documents of tab-separated files without quoting, re-iterable, one line in memory at a time.

    Args:
        paths: The files, read in this order.
        columns: What the columns hold, each of "doc_id", "title" and "text" at most once.
    """

    def __init__(
        self, paths: Iterable[Path], *, columns: tuple[str, ...] = ("doc_id", "text")
    ) -> None:
        self.paths = tuple(paths)
        self._columns = columns

    def __iter__(self) -> Iterator[Document]:
        for path in self.paths:
            for _, values in read_columns(path, len(self._columns)):
                yield Document(**dict(zip(self._columns, values, strict=True)))
