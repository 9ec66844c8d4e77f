"""Lists the files of a submission, and reports every file that does not belong there.

<system>/system.toml
<system>/<task>/<split>.json
<system>/<task>/<split>/<pair>.run.xz
<system>/<task>/<split>/<pair>.values.tsv.gz
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.bounded_files import kind_of
from clir_bench.core.display import shown_path
from clir_bench.errors import ResultError
from clir_bench.leaderboard.submission.run_format import SUFFIX
from clir_bench.results.system_card import CARD_FILE
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import shipped_card

LARGEST_SYSTEM_BYTES = 32 * 2**20
_MOST_ENTRIES = 5000
_FOLDER = re.compile(r"[A-Za-z0-9@+_][\w.@+-]{0,119}", flags=re.ASCII)
_RESULT = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})\.json")
PAIR = re.compile(r"[a-z]{2,8}-[a-z]{2,8}")
VALUES = ".values.tsv.gz"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and the remedy."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{shown_path(self.path)}: {self.what}"


@dataclass
class SystemFiles:
    """The files of one system.

    Attributes:
        folder: Its folder.
        results: Files named like results of the benchmark's tasks.
        pair_files: For each result, the names of the files in the folder beside it.
        size_bytes: Size of all files in the folder, including those that do not belong.
    """

    folder: Path
    results: list[Path] = field(default_factory=list)
    pair_files: dict[Path, set[str]] = field(default_factory=dict)
    size_bytes: int = 0

    @property
    def is_readable(self) -> bool:
        """Whether the files are small enough to be read at all."""
        return self.size_bytes <= LARGEST_SYSTEM_BYTES


def find_systems(path: Path) -> list[Path]:
    """Return the systems' folders at `path`: a folder of results, a system or a result.

    Raises:
        ResultError: `path` is none of these.
    """
    kind = _kind(path)
    if kind is None or kind == "link":
        raise ResultError(f"{shown_path(path)}: no such folder or file (links are not followed)")
    if kind == "file":
        if path.name == CARD_FILE:
            return [path.absolute().parent]
        if path.suffix == ".json":
            return [path.absolute().parent.parent]
    if kind != "folder":
        raise ResultError(
            f"{shown_path(path)}: expected a folder of results, a system's folder, or a result"
        )
    try:
        inside = [entry for entry in sorted(path.iterdir()) if _kind(entry) == "folder"]
    except OSError as error:
        raise ResultError(
            f"{shown_path(path)}: cannot be read: {error.strerror or error}"
        ) from None
    # A folder with a card is a system, even if other files lie in it by mistake.
    tasks = (_is_task(entry) and _kind(entry / CARD_FILE) is None for entry in inside)
    if _kind(path / CARD_FILE) is not None or any(tasks):
        return [path]
    if not inside:
        raise ResultError(f"{shown_path(path)}: no submission in this folder")
    return inside


def list_system(folder: Path) -> tuple[SystemFiles, list[Problem]]:
    """Return a system's files, and the files that do not belong; opens no file."""
    files, problems = SystemFiles(folder), []
    if not _FOLDER.fullmatch(folder.absolute().name):
        problems.append(Problem(folder, "is not a valid name of a system's folder; rename it"))
    for entry, kind in _entries(folder, problems):
        files.size_bytes += _size(entry, kind)
        if entry.name == CARD_FILE and kind == "file":
            continue
        if kind != "folder":
            problems.append(_unexpected(entry, kind, "a task's folder or system.toml"))
        elif (card := shipped_card(entry.name)) is None:
            problems.append(Problem(Path(entry.path), "is not a task of the benchmark; remove it"))
        else:
            _list_task(Path(entry.path), card, files, problems)
    if not files.is_readable:
        what = f"{files.size_bytes:,} bytes; at most {LARGEST_SYSTEM_BYTES:,} are allowed per"
        problems.append(Problem(folder, f"{what} system, so none of its files was read"))
    if not files.results:
        problems.append(Problem(folder, "no result; `clir-bench submit` makes results"))
    return files, problems


def _list_task(folder: Path, card: TaskCard, files: SystemFiles, problems: list[Problem]) -> None:
    folders: dict[str, tuple[os.DirEntry[str], str]] = {}
    results: dict[str, Path] = {}
    for entry, kind in _entries(folder, problems):
        files.size_bytes += _size(entry, kind)
        matched = _RESULT.fullmatch(entry.name)
        if kind == "file" and matched and matched[1] in card.splits:
            results[matched[1]] = Path(entry.path)
        elif kind == "file" and matched:
            what = f"{matched[1]!r} is not a split of the task, which has {', '.join(card.splits)}"
            problems.append(Problem(Path(entry.path), what))
        elif kind == "folder":
            folders[entry.name] = entry, kind
        else:
            problems.append(_unexpected(entry, kind, "<split>.json and the folder <split>"))
    for split, (entry, kind) in folders.items():
        if split not in results:
            expected = "results, and folders with the name of a result"
            problems.append(_unexpected(entry, kind, expected))
    for split, path in results.items():
        files.results.append(path)
        names = files.pair_files.setdefault(path, set())
        if split not in folders:
            problems.append(Problem(path, "the folder with its runs is missing"))
            continue
        for entry, kind in _entries(path.with_suffix(""), problems):
            files.size_bytes += _size(entry, kind)
            if kind == "file" and _is_pair_file(entry.name):
                names.add(entry.name)
            else:
                expected = f"<pair>{SUFFIX} and <pair>{VALUES}"
                problems.append(_unexpected(entry, kind, expected))


def _entries(folder: Path, problems: list[Problem]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield a folder's entries by name, with their kind; links are no files."""
    try:
        with os.scandir(folder) as found:
            entries = []
            for entry in found:
                entries.append(entry)
                if len(entries) > _MOST_ENTRIES:
                    problems.append(Problem(folder, f"more than {_MOST_ENTRIES:,} files"))
                    return
            for entry in sorted(entries, key=lambda entry: entry.name):
                yield entry, kind_of(entry.stat(follow_symlinks=False))
    except OSError as error:
        problems.append(Problem(folder, f"cannot be read: {error.strerror or error}"))


def _size(entry: os.DirEntry[str], kind: str) -> int:
    # The entry has cached its status since its kind was read.
    return entry.stat(follow_symlinks=False).st_size if kind == "file" else 0


def _is_pair_file(name: str) -> bool:
    pair, _, rest = name.partition(".")
    return bool(PAIR.fullmatch(pair)) and f".{rest}" in (SUFFIX, VALUES)


def _unexpected(entry: os.DirEntry[str], kind: str, expected: str) -> Problem:
    what = f"unexpected {kind}; expected only {expected} here; remove it"
    return Problem(Path(entry.path), what)


def _kind(path: Path) -> str | None:
    """Return the kind of entry at a path, None where nothing is visible."""
    try:
        return kind_of(path.lstat())
    except (OSError, ValueError):
        return None


def _is_task(folder: Path) -> bool:
    try:
        names = [entry.name for entry in folder.iterdir() if _kind(entry) == "file"]
    except OSError:
        return False  # which `list_system` reports
    return any(map(_RESULT.fullmatch, names))
