"""Lists, checks and removes stored vectors, for `clir-bench cache`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.display import line_of
from clir_bench.core.locks import LOCK, alone
from clir_bench.search.vectors.description import FILE, read_description
from clir_bench.search.vectors.entry import KEPT, done_shards, drop_shard, sweep
from clir_bench.search.vectors.removal import REMOVED, is_entry, remove, remove_aside
from clir_bench.search.vectors.shards import DamagedShardError, check_data, read_manifest


@dataclass(frozen=True)
class StoredEntry:
    """One entry.

    Attributes:
        name: Of its folder.
        readable: Whether its description can be read; otherwise the fields from it are empty.
        corpus: Task, split and document language of its first use.
        model: The encoder's name.
        revision: The encoder's.
        n_shards: Shards of the whole entry.
        n_done: Shards that are done.
        size_bytes: Its size on disk.
        idle_seconds: Time since a run last used it.
        kept: Whether it stays until a person removes it.
    """

    folder: Path
    name: str
    readable: bool
    corpus: str
    model: str
    revision: str
    n_documents: int
    n_shards: int
    n_done: int
    size_bytes: int
    idle_seconds: float
    kept: bool


def stored(root: Path) -> list[StoredEntry]:
    """Return the entries in a folder, by name; anything else in it is ignored."""
    try:
        folders = sorted(root.iterdir())
    except OSError:
        return []
    return [
        found
        for folder in folders
        if not folder.name.startswith(".") and (found := _stored(folder)) is not None
    ]


def damages(entry: StoredEntry) -> Iterator[tuple[int, str]]:
    """Read every shard; yield the number and the problem of each damaged one."""
    for number in sorted(done_shards(entry.folder)):
        try:
            manifest = read_manifest(entry.folder, number)
            if manifest is not None:
                check_data(entry.folder, number, manifest)
        except DamagedShardError as error:
            yield number, str(error)


def discard(entry: StoredEntry) -> str:
    """Remove an entry; return why it stays, "" when it is gone."""
    return remove(entry.folder)


def repair(entry: StoredEntry, damaged: list[int]) -> bool:
    """Remove damaged shards, so that the next run makes them again; False when in use."""
    with alone(entry.folder) as mine:
        if mine:
            for number in damaged:
                drop_shard(entry.folder, number)
            sweep(entry.folder)
        return mine


def sweep_leftovers(root: Path) -> int:
    """Remove what killed runs left half written, and return how many bytes."""
    freed = 0
    for folder in root.glob(f"{REMOVED}*"):
        freed += remove_aside(folder)
    for entry in stored(root):
        with alone(entry.folder) as mine:
            if mine:
                freed += sweep(entry.folder)
    return freed


def _stored(folder: Path) -> StoredEntry | None:
    """Return the facts about an entry, None if it is no entry or was just removed."""
    if folder.is_symlink():
        return None
    known = read_description(folder)
    if known is None and not is_entry(folder, folder.name):
        return None
    paths = (folder / LOCK, folder / FILE, folder)
    try:
        used = next(path for path in paths if path.exists()).stat().st_mtime
    except (OSError, StopIteration):
        return None
    return StoredEntry(
        folder=folder,
        name=line_of(folder.name, 120),
        readable=known is not None,
        corpus="" if known is None else line_of(known.corpus, 120),
        model="" if known is None else known.of_encoder("name"),
        revision="" if known is None else known.of_encoder("revision"),
        n_documents=0 if known is None else known.n_documents,
        n_shards=0 if known is None else known.n_shards_in_all,
        n_done=len(done_shards(folder)),
        size_bytes=_size_bytes(folder),
        idle_seconds=max(0.0, time.time() - used),
        kept=(folder / KEPT).exists(),
    )


def _size_bytes(folder: Path) -> int:
    total = 0
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):  # a run may rename or remove it meanwhile
                total += path.lstat().st_size
    return total
