"""Names that come from files, joined to folders: the one place where such a name becomes a path."""

from __future__ import annotations

import re
from pathlib import Path

from clir_bench.errors import ClirBenchError, DataError

_LONGEST_PART = 255
_LONGEST_NAME = 1000
_DRIVE = re.compile(r"[A-Za-z]:")


def path_problem(name: str) -> str | None:
    """Say why a relative name with `/` between folders cannot be used below a folder, else None.

    Whatever the operating system, a name that one of them would read as leaving the folder is
    refused: absolute names, `..`, backslashes, drives, control characters.

    >>> path_problem("corpus/en.jsonl") is None
    True
    >>> path_problem("../secret")
    "has '..', which leaves the folder"
    """
    if not name or name.isspace():
        return "is empty"
    if len(name) > _LONGEST_NAME:
        return f"has {len(name):,} characters; at most {_LONGEST_NAME:,} are allowed"
    if any(character < " " or character == "\x7f" for character in name):
        return "has a control character"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "has half a surrogate pair"
    if "\\" in name:
        return "has a backslash; folders are separated by '/'"
    if name.startswith(("/", "~")) or _DRIVE.match(name):
        return "is an absolute path; expected a path relative to the folder"
    parts = name.split("/")
    if ".." in parts:
        return "has '..', which leaves the folder"
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        return f"has a part of more than {_LONGEST_PART} bytes"
    return None


def inside(
    folder: Path, name: str, what: str, *, error: type[ClirBenchError] = DataError
) -> Path:
    """Return the path of `name` below `folder`, for a name that a file or a stranger states.

    Only the name is looked at: links that lie in `folder` already are the user's own.

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
