"""The files of a submission: which there may be, and that there is nothing else.

<system>/system.toml
<system>/<task>/<split>.json
<system>/<task>/<split>/<pair>.run.xz
<system>/<task>/<split>/<pair>.values.tsv.gz
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.errors import ResultError
from clir_bench.submission.bounded import shown
from clir_bench.submission.compact import SUFFIX
from clir_bench.submission.system_card import CARD_FILE

LARGEST_SYSTEM_BYTES = 32 * 2**20
_MOST_ENTRIES = 5000
_FOLDER = re.compile(r"[A-Za-z0-9@+_][\w.@+-]{0,119}", flags=re.ASCII)
_TASK = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESULT = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})\.json")
PAIR = re.compile(r"[a-z]{2,8}-[a-z]{2,8}")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and what to do about it."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass
class SystemFiles:
    """The files of one system.

    Attributes:
        folder: Its folder.
        results: Files that are named as results are.
        pair_files: For each result, the names of the files in the folder beside it.
    """

    folder: Path
    results: list[Path] = field(default_factory=list)
    pair_files: dict[Path, set[str]] = field(default_factory=dict)


def find_systems(path: Path) -> list[Path]:
    """Return the folders of systems that `path` names: a folder of results, a system, a result.

    Raises:
        ResultError: There is nothing like that.
    """
    if path.is_symlink() or not path.exists():
        raise ResultError(f"{shown(path)}: no such folder or file (links are not followed)")
    if path.is_file():
        if path.name == CARD_FILE:
            return [path.parent]
        if path.suffix == ".json":
            return [path.absolute().parent.parent]
        raise ResultError(f"{shown(path)}: expected a folder of results, a system's, or a result")
    inside = _folders(path)
    # A folder that has a card is a system, whatever else lies in it by mistake.
    tasks = (_is_task(entry) and not (entry / CARD_FILE).exists() for entry in inside)
    if (path / CARD_FILE).is_file() or any(tasks):
        return [path]
    if not inside:
        raise ResultError(f"{shown(path)}: no submission in this folder")
    return inside


def list_system(folder: Path) -> tuple[SystemFiles, list[Problem]]:
    """Return a system's files, and what is there that should not be."""
    files, problems = SystemFiles(folder), []
    if not _FOLDER.fullmatch(folder.absolute().name):
        problems.append(Problem(shown(folder), "no name of a system's folder; rename it"))
    size = 0
    for entry, kind in _entries(folder, problems):
        if entry.name == CARD_FILE and kind == "file":
            continue
        if kind != "folder" or not _TASK.fullmatch(entry.name):
            problems.append(_unexpected(entry, "a task's folder or system.toml"))
            continue
        size += _list_task(Path(entry.path), files, problems)
    if size > LARGEST_SYSTEM_BYTES:
        what = f"{size:,} bytes; at most {LARGEST_SYSTEM_BYTES:,} are taken for one system"
        problems.append(Problem(shown(folder), what))
    if not files.results:
        problems.append(Problem(shown(folder), "no result; `clir-bench submit` makes them"))
    return files, problems


def _list_task(folder: Path, files: SystemFiles, problems: list[Problem]) -> int:
    """Add a task's results to `files`, and return how many bytes all of its files have."""
    size = 0
    folders: dict[str, os.DirEntry[str]] = {}
    results: dict[str, Path] = {}
    for entry, kind in _entries(folder, problems):
        matched = _RESULT.fullmatch(entry.name)
        if kind == "file" and matched:
            results[matched[1]] = Path(entry.path)
            size += entry.stat(follow_symlinks=False).st_size
        elif kind == "folder":
            folders[entry.name] = entry
        else:
            problems.append(_unexpected(entry, "<split>.json and the folder <split>"))
    for split, entry in folders.items():
        if split not in results:
            problems.append(_unexpected(entry, "results, and folders named as a result is"))
    for split, path in results.items():
        files.results.append(path)
        names = files.pair_files.setdefault(path, set())
        if split not in folders:
            problems.append(Problem(shown(path), "the folder with its runs is missing"))
            continue
        for entry, kind in _entries(Path(folders[split].path), problems):
            if kind == "file" and _is_pair_file(entry.name):
                names.add(entry.name)
                size += entry.stat(follow_symlinks=False).st_size
            else:
                problems.append(_unexpected(entry, f"<pair>{SUFFIX} and <pair>.values.tsv.gz"))
    return size


def _entries(folder: Path, problems: list[Problem]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield what is in a folder in the order of names, with its kind; links are no files."""
    try:
        with os.scandir(folder) as found:
            entries = []
            for entry in found:
                entries.append(entry)
                if len(entries) > _MOST_ENTRIES:
                    problems.append(Problem(shown(folder), f"more than {_MOST_ENTRIES:,} files"))
                    return
            for entry in sorted(entries, key=lambda entry: entry.name):
                yield entry, _kind(entry)
    except OSError as error:
        problems.append(Problem(shown(folder), f"cannot be read: {error.strerror or error}"))


def _kind(entry: os.DirEntry[str]) -> str:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "special file"


def _is_pair_file(name: str) -> bool:
    pair, _, rest = name.partition(".")
    return bool(PAIR.fullmatch(pair)) and f".{rest}" in (SUFFIX, ".values.tsv.gz")


def _unexpected(entry: os.DirEntry[str], expected: str) -> Problem:
    kind = _kind(entry)
    what = f"unexpected {kind}; here belong {expected}; remove it"
    return Problem(shown(Path(entry.path)), what)


def _folders(path: Path) -> list[Path]:
    return sorted(
        (entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink()),
        key=lambda entry: entry.name,
    )


def _is_task(folder: Path) -> bool:
    return any(_RESULT.fullmatch(entry.name) for entry in folder.iterdir() if entry.is_file())
