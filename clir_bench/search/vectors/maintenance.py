"""Lists, checks and removes stored vectors, for `clir-bench cache`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.display import line_of
from clir_bench.core.locks import LOCK, alone
from clir_bench.errors import UnknownNameError
from clir_bench.search.vectors.description import FILE, read_description
from clir_bench.search.vectors.entry import KEPT, done_shards, drop_shard, sweep
from clir_bench.search.vectors.pair_scores import FOLDER as PAIRS
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


@dataclass(frozen=True)
class CheckedEntry:
    """An entry with all its shards read.

    Attributes:
        damaged: The problem of each damaged shard, by its number.
        in_use: Damaged shards were to be removed, and stay, because a run uses the entry.
    """

    entry: StoredEntry
    damaged: Mapping[int, str]
    in_use: bool = False


@dataclass(frozen=True)
class Pruned:
    """What pruning did.

    Attributes:
        removed: Entries that are gone.
        kept: Entries that had to stay, each with the reason.
        freed_bytes: On disk, leftovers of killed runs among them.
    """

    removed: tuple[StoredEntry, ...]
    kept: tuple[tuple[StoredEntry, str], ...]
    freed_bytes: int


def verify_vectors(
    root: Path, keys: Sequence[str] = (), *, repair: bool = False
) -> Iterator[CheckedEntry]:
    """Compare every shard with its checksum, and yield each entry when it was read.

    Args:
        root: Folder of stored vectors.
        keys: Only entries with a name that ends in one of these; all when empty.
        repair: Remove damaged shards, so that the next run makes them again.

    Raises:
        UnknownNameError: No entry has one of the keys.
    """
    for entry in _with_keys(stored(root), keys):
        damaged = dict(_damages(entry))
        yield CheckedEntry(entry, damaged, bool(repair and damaged and not _repair(entry, damaged)))


def prune_vectors(
    root: Path,
    keys: Sequence[str] = (),
    *,
    everything: bool = False,
    model: str | None = None,
    idle_seconds: float | None = None,
) -> Pruned:
    """Remove what killed runs left half written, and the entries that all arguments name.

    Entries in use by a run stay, and so does any folder that clir-bench did not make or that holds
    other files. Without any of the arguments no entry is removed. Scores of pairs are removed if
    neither a key nor a model is named.

    Args:
        root: Folder of stored vectors.
        keys: Entries with a name that ends in one of these; any when empty.
        everything: Whether to remove entries although nothing else says which.
        model: Only those that this model made.
        idle_seconds: Only those that no run has used for longer.

    Raises:
        UnknownNameError: No entry has one of the keys.
    """
    freed = _sweep_leftovers(root)
    if (everything or idle_seconds is not None) and not keys and model is None:
        freed += _remove_pair_scores(root, idle_seconds or 0.0)
    removed, kept = [], []
    entries = _with_keys(stored(root), keys)
    if not (keys or everything or model is not None or idle_seconds is not None):
        entries = []
    for entry in entries:
        if model not in (None, entry.model):
            continue
        if idle_seconds is not None and entry.idle_seconds <= idle_seconds:
            continue
        if problem := remove(entry.folder):
            kept.append((entry, problem))
        else:
            removed.append(entry)
            freed += entry.size_bytes
    return Pruned(tuple(removed), tuple(kept), freed)


def _remove_pair_scores(root: Path, idle_seconds: float) -> int:
    """Remove files of pair scores that no run has used for so long; return how many bytes."""
    freed = 0
    for path in root.glob(f"{PAIRS}/*.scores"):
        with suppress(OSError):
            state = path.lstat()
            if time.time() - state.st_mtime >= idle_seconds:
                path.unlink()
                freed += state.st_size
    return freed


def _with_keys(entries: list[StoredEntry], keys: Sequence[str]) -> list[StoredEntry]:
    for key in keys:
        if not any(entry.name.endswith(key) for entry in entries):
            names = [entry.name[-12:] for entry in entries]
            raise UnknownNameError("key", key, names, "`clir-bench cache list` lists them.")
    return [entry for entry in entries if not keys or entry.name.endswith(tuple(keys))]


def _damages(entry: StoredEntry) -> Iterator[tuple[int, str]]:
    """Read every shard; yield the number and the problem of each damaged one."""
    for number in sorted(done_shards(entry.folder)):
        try:
            manifest = read_manifest(entry.folder, number)
            if manifest is not None:
                check_data(entry.folder, number, manifest)
        except DamagedShardError as error:
            yield number, str(error)


def _repair(entry: StoredEntry, damaged: Iterable[int]) -> bool:
    """Remove damaged shards, so that the next run makes them again; False when in use."""
    with alone(entry.folder) as mine:
        if mine:
            for number in damaged:
                drop_shard(entry.folder, number)
            sweep(entry.folder)
        return mine


def _sweep_leftovers(root: Path) -> int:
    """Remove what killed runs left half written, and return how many bytes."""
    freed = sum(remove_aside(folder) for folder in root.glob(f"{REMOVED}*"))
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
