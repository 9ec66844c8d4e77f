"""Makes safe paths, hashes files, and writes files so that readers never see half of one.

A name that a file states becomes a path here and nowhere else. To write a file, this module writes
a temporary file in the same folder and renames it.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from clir_bench.core.profiling import stage
from clir_bench.errors import ClirBenchError, DataError, OutputError

UNFINISHED = ".clir-bench"
"""Suffix of files that are still being written; it marks them as ours."""

_LONGEST_PART = 255
_LONGEST_NAME = 1000  # bytes; leaves room for the folder in the longest path allowed
_DRIVE = re.compile(r"[A-Za-z]:")


def path_problem(name: str) -> str | None:
    """Say why a relative name with `/` between folders cannot be used below a folder, else None.

    Refused on every operating system: names that any of them would read as leaving the folder, such
    as absolute names, `..`, backslashes, drives and control characters.

    >>> path_problem("corpus/en.jsonl") is None
    True
    >>> path_problem("../secret")
    "has '..', which leaves the folder"
    """
    size_bytes, parts = _size_bytes(name), name.split("/")
    problems = (
        (not name or name.isspace(), "is empty"),
        (
            size_bytes > _LONGEST_NAME,
            f"has {size_bytes:,} bytes; at most {_LONGEST_NAME:,} are allowed",
        ),
        (any(c < " " or c == "\x7f" for c in name), "has a control character"),
        (any("\ud800" <= c <= "\udfff" for c in name), "has half a surrogate pair"),
        ("\\" in name, "has a backslash; folders are separated by '/'"),
        (
            name.startswith(("/", "~")) or _DRIVE.match(name),
            "is an absolute path; expected a path relative to the folder",
        ),
        (".." in parts, "has '..', which leaves the folder"),
        (
            any(_size_bytes(part) > _LONGEST_PART for part in parts),
            f"has a part of more than {_LONGEST_PART} bytes",
        ),
    )
    return next((problem for is_wrong, problem in problems if is_wrong), None)


def _size_bytes(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))


def inside(folder: Path, name: str, what: str, *, error: type[ClirBenchError] = DataError) -> Path:
    """Return the path of `name` below `folder`, for a name that a file or a stranger states.

    Only the name is checked: links that are already in `folder` are the user's own.

    Args:
        folder: What the path must stay in.
        name: A relative name, with `/` between folders.
        what: What the name is and where it is stated, for the message.
        error: What is raised.

    Raises:
        ClirBenchError: As `error`, when the name would leave the folder, or is no name of a file.

    >>> inside(Path("data"), "sw/corpus.jsonl", "source.corpus").as_posix()
    'data/sw/corpus.jsonl'
    """
    if problem := path_problem(name):
        shown = ascii(name[:80]) + ("..." if len(name) > 80 else "")
        raise error(f"{what}: {shown} {problem}; state a path inside {folder}")
    return folder / name


def refuse_links_out(folder: Path, path: Path, *, error: type[ClirBenchError] = DataError) -> None:
    """Make sure that writing to `path`, which `inside` has returned, stays in `folder`.

    Raises:
        ClirBenchError: As `error`, when `path` is a link, or a link on the way to it leads out.
    """
    if path.is_symlink() or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise error(
            f"{path}: a link leads out of {folder}, and nothing is written through it; put a real "
            "folder or file in its place"
        )


def sha256_of(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@stage("write")
def write_file(path: Path, data: bytes) -> None:
    """Write to a temporary file, then rename it: readers never see half a file.

    Raises:
        OutputError: Says which path and why.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path, suffix=UNFINISHED) as file:
            file.write(data)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn any error of the operating system into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "choose another folder with --output or make room; what was done before is kept"
        ) from error


@contextmanager
def written_beside(path: Path, *, prefix: str = "", suffix: str = "") -> Iterator[IO[bytes]]:
    """Open a new file beside `path` that replaces it once it is complete and on the disk.

    Args:
        path: The final file; its folder exists.
        prefix: Begins the new file's name; a dot and the name of `path` when empty.
        suffix: Ends it.

    Raises:
        OSError: The folder cannot be written or the disk is full; `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=prefix or f".{path.name}.", suffix=suffix
    )
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        let_read(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def let_read(path: Path) -> None:
    """Give a file made by `mkstemp` the permissions that an ordinary new file has."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
