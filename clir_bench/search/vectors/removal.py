"""Removes entries of stored vectors; keeps every folder that clir-bench may not have made."""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path

from clir_bench.core.display import line_of
from clir_bench.core.locks import LOCK, alone
from clir_bench.search.vectors.cache_key import key_sha256
from clir_bench.search.vectors.description import FILE, read_description
from clir_bench.search.vectors.entry import (
    DATA,
    INDEX,
    KEPT,
    KEY_DIGITS,
    LEFT_BY_KILLED,
    MANIFEST,
    done_shards,
    paths_in,
)
from clir_bench.search.vectors.shards import DamagedShardError, read_manifest

REMOVED = ".removed-"
_NAME = re.compile(rf".+-[0-9a-f]{{{KEY_DIGITS}}}")
_MARKS = {KEPT, LOCK}
_OURS = re.compile(
    "|".join(
        (
            *(pattern.pattern for pattern in (MANIFEST, DATA, LEFT_BY_KILLED)),
            *map(re.escape, (FILE, KEPT, LOCK)),
            INDEX,
            r"\.nfs[0-9a-f]+",  # NFS renames a file so if it is removed while open
        )
    )
)
"""Names of an entry's files."""


def is_entry(folder: Path, name: str) -> bool:
    """Return whether a folder proves that clir-bench made it as the entry `name`.

    A name is no proof. Proof is a description whose key gives the name; if that cannot be read, a
    shard's manifest; if there is neither, only the empty files that mark entries.
    """
    if folder.is_symlink() or not folder.is_dir() or not _NAME.fullmatch(name):
        return False
    description = read_description(folder)
    if description is not None:
        return name.endswith(f"-{key_sha256(description.key)[:KEY_DIGITS]}")
    for number in done_shards(folder):
        with suppress(DamagedShardError, OSError):
            if read_manifest(folder, number) is not None:
                return True
    sizes = {path.name: path.lstat().st_size for path in paths_in(folder)}
    return LOCK in sizes and set(sizes) <= _MARKS and not any(sizes.values())


def remove(folder: Path) -> str:
    """Remove a whole entry, never half of it; return why it stays, "" when it is gone.

    Only what `is_entry` proves is removed, and only if nothing else lies in it.
    """
    with alone(folder) as mine:
        if not mine:
            return "a run uses it, or it cannot be locked"
        if problem := _problem(folder, folder.name):
            return problem
        aside = folder.with_name(f"{REMOVED}{folder.name}")
        remove_aside(aside)
        try:
            folder.replace(aside)
        except OSError as error:
            return f"it cannot be removed: {error.strerror or error}"
    remove_aside(aside)
    return ""


def remove_aside(folder: Path) -> int:
    """Finish removing an entry that `remove` has renamed, and return how many bytes."""
    if _problem(folder, folder.name.removeprefix(REMOVED)):
        return 0
    freed = 0
    with suppress(OSError):  # another process may be removing it
        # The proof goes last, so a killed removal can be finished.
        for path in sorted(paths_in(folder), key=_proves):
            size_bytes = path.lstat().st_size
            path.unlink()
            freed += size_bytes
        folder.rmdir()
    return freed


def _problem(folder: Path, name: str) -> str:
    """Say why a folder must not be removed as the entry called `name`, "" when it may."""
    if not is_entry(folder, name):
        return "nothing in it proves that clir-bench made it under this name"
    strange = [
        path.name
        for path in paths_in(folder)
        if not _OURS.fullmatch(path.name) or not stat.S_ISREG(path.lstat().st_mode)
    ]
    if strange:
        return f"it holds {line_of(min(strange), 120)}, which clir-bench did not make"
    return ""


def _proves(path: Path) -> int:
    """Return how well a file proves that a folder is an entry, 0 for not at all."""
    if path.name in _MARKS:
        return 3
    return 2 if path.name == FILE else int(MANIFEST.fullmatch(path.name) is not None)
