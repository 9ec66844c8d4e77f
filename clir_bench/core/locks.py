"""Locks folders: runs share a folder's lock; a process that removes files holds it alone.

The operating system releases the locks of a dead process, so no lock remains after `kill -9`.

`filelock.ReadWriteLock` cannot replace it. It is a SQLite database: it needs a writable folder even
to share the lock, and SQLite advises against network file systems. Here a read-only cache is used
without a lock, and a run notices when another process removed the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".in-use"


@contextmanager
def shared(folder: Path, when_alone: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Mark `folder` as used by this process; make it if needed.

    A folder that cannot be written, or is on a file system without locks, gets no lock.

    Args:
        folder: The folder of an entry of stored vectors.
        when_alone: Called first if no other process uses the folder: no process needs what killed
            ones left there.
    """
    handle = _share(folder, when_alone)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Keep other processes from using `folder` until the block ends.

    Yields:
        False when another process uses it now, or when that cannot be known.
    """
    handle = _open(folder)
    try:
        yield handle is not None and _lock(handle, _ALONE) and _still_there(folder, handle)
    finally:
        if handle is not None:
            os.close(handle)


_ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB


def _share(folder: Path, when_alone: Callable[[], object]) -> int | None:
    while True:
        with suppress(OSError):  # a cache that is only read
            folder.mkdir(parents=True, exist_ok=True)
        handle = _open(folder)
        if handle is None:
            return None
        if _lock(handle, _ALONE) and _still_there(folder, handle):
            when_alone()
        if not _lock(handle, fcntl.LOCK_SH) or _still_there(folder, handle):
            with suppress(OSError):  # of a cache that is only read
                os.utime(handle)  # the time of last use decides which old entries are removed
            return handle
        os.close(handle)  # the folder was removed before we held the lock


def _open(folder: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return os.open(folder / LOCK, flags | os.O_NOFOLLOW, 0o666)
        except OSError:
            continue
    return None


def _lock(handle: int, operation: int) -> bool:
    try:
        fcntl.flock(handle, operation)
    except OSError:
        return False
    return True


def _still_there(folder: Path, handle: int) -> bool:
    try:
        there, here = (folder / LOCK).stat(), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
