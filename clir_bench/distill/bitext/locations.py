"""Finds and opens bitext files: plain, gzip, and members of zip archives, by patterns.

A pattern is a path in which `*` stands for any characters except a slash, and `{language}` for the
source's own code of a language. "archive.zip!member" names a file inside an archive; without
"!member", an archive must hold exactly one file of the wanted kind.
"""

from __future__ import annotations

import fnmatch
import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from clir_bench.core.text_files import read_lines
from clir_bench.errors import DataError, MissingDataError

LANGUAGE = "{language}"
_LANGUAGE_GROUP = r"(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]+)*)"
_AGAIN = r"(?P=language)"
_ASIDE = re.compile(r"(?i)(readme|licen[cs]e|copying|provenance|\.)")  # what archives also hold


@dataclass(frozen=True)
class Place:
    """A file, or a file inside a zip archive.

    Attributes:
        path: The file or archive.
        member: Name inside the archive, in which `*` may stand; "" for its only file.
    """

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}!{self.member}" if self.member else str(self.path)


def find(pattern: str, root: Path) -> list[tuple[str, Place]]:
    """Return `(language code as written in the path, place)` of every match, sorted by path.

    The code is "" where the pattern has no `{language}`.

    Raises:
        MissingDataError: Nothing matches.
    """
    outside, _, member = pattern.partition("!")
    base = Path(outside).anchor
    folder = Path(base) if base else root
    relative = outside[len(base) :]
    wanted = re.compile(_regex(relative))
    globbed = relative.replace("[", "[[]").replace(LANGUAGE, "*")
    found = []
    for path in sorted(folder.glob(globbed)):
        match = wanted.fullmatch(path.relative_to(folder).as_posix())
        if match is None or not path.is_file():
            continue
        code = match.groupdict().get("language", "")
        found.append((code, Place(path, member.replace(LANGUAGE, code))))
    if not found:
        raise MissingDataError(
            f"{folder / outside}: no file matches; correct the path of this bitext source or put "
            "the files there"
        )
    return found


def single(pattern: str, root: Path, code: str) -> Place:
    """Return the one place of a pattern once `{language}` is filled in.

    Raises:
        MissingDataError: Nothing matches.
        DataError: Several files match.
    """
    found = find(pattern.replace(LANGUAGE, code), root)
    if len(found) > 1:
        names = ", ".join(place.path.name for _, place in found[:3])
        raise DataError(f"{root / pattern}: expected one file, found {len(found)} ({names}, ...)")
    return found[0][1]


@contextmanager
def open_bytes(place: Place, suffix: str = "") -> Iterator[IO[bytes]]:
    """Open a place for reading, unpacked.

    Args:
        place: What to open.
        suffix: Only members that end so are looked at in an archive; "" for all.

    Raises:
        DataError: It cannot be read, is damaged, or an archive does not hold exactly one such file.
    """
    try:
        if place.path.suffix == ".zip":
            with (
                zipfile.ZipFile(place.path) as archive,
                archive.open(_member(archive, place, suffix)) as file,
            ):
                yield file
        elif place.path.suffix == ".gz":
            with gzip.open(place.path, "rb") as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            with place.path.open("rb") as file:
                yield file
    except (zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{place}: damaged or truncated archive ({error}); fetch it again"
        ) from None
    except (RuntimeError, NotImplementedError) as error:  # zipfile's: a password, an odd packing
        raise DataError(f"{place}: the archive cannot be unpacked: {error}") from None
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from None


def lines_of(place: Place) -> Iterator[tuple[int, str]]:
    """Yield `(line number from 1, line without its end)`, as `text_files.read_lines` does.

    Raises:
        DataError: It cannot be read, is damaged or not UTF-8.
    """
    if place.path.suffix != ".zip":
        yield from read_lines(place.path)
        return
    number = 0
    with open_bytes(place) as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{place}:{number}: not UTF-8: {error.reason}; convert the file"
                ) from None
            yield number, line.removesuffix("\n").removesuffix("\r")


def rows_of(place: Place) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line number, columns)` of a tab-separated file; blank lines are skipped.

    Raises:
        DataError: As `lines_of`, or a line has another number of columns than the first.
    """
    n_columns = 0
    for number, line in lines_of(place):
        if not line.strip():
            continue
        columns = line.split("\t")
        n_columns = n_columns or len(columns)
        if len(columns) != n_columns:
            raise DataError(
                f"{place}:{number}: expected {n_columns} tab-separated columns as in the first "
                f"line, found {len(columns)}: {line[:80]!r}"
            )
        yield number, columns


def _member(archive: zipfile.ZipFile, place: Place, suffix: str) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/")]
    if place.member:
        wanted = [name for name in names if fnmatch.fnmatchcase(name, place.member)]
    else:
        wanted = [
            name
            for name in names
            if name.endswith(suffix) and not _ASIDE.match(name.rpartition("/")[2])
        ]
    if len(wanted) != 1:
        what = place.member or f"file{f' that ends in {suffix}' if suffix else ''}"
        raise DataError(
            f"{place.path}: expected one {what} in the archive, found {len(wanted)} among "
            f"{', '.join(names[:5]) or 'nothing'}; name it as 'archive.zip!member'"
        )
    return wanted[0]


def _regex(pattern: str) -> str:
    pieces = re.split(r"(\*|\{language\})", pattern)
    seen = False
    out = []
    for piece in pieces:
        if piece == "*":
            out.append("[^/]*")
        elif piece == LANGUAGE:
            out.append(_AGAIN if seen else _LANGUAGE_GROUP)
            seen = True
        else:
            out.append(re.escape(piece))
    return "".join(out)
