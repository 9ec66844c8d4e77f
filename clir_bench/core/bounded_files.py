"""Reads untrusted files: regular files only, and never more than a stated number of bytes."""

from __future__ import annotations

import errno
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path

from clir_bench.core.display import shown_path
from clir_bench.errors import DataError

_CHUNK = 2**18
_XZ_MEMORY_BYTES = 64 * 2**20
_GZIP = 31  # zlib's window size of 15 bits, and the header and checksum of gzip


def read_plain(path: Path, largest: int, *, follow_links: bool = False) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: The file.
        largest: Its largest size in bytes.
        follow_links: Whether `path` may be a link; for files that the user names.

    Raises:
        DataError: It is missing, not a regular file, larger than `largest`, or a forbidden link.
    """
    try:
        # An earlier check could miss a link, or a named pipe that blocks; these flags cannot.
        no_links = 0 if follow_links else os.O_NOFOLLOW
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | no_links)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{shown_path(path)}: cannot be read: {_reason(error)}") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown_path(path)}: expected a plain file, found {kind_of(status)}")
        if status.st_size > largest:
            raise _too_large(path, largest)
        data = _read(handle, largest + 1)
    except OSError as error:
        raise DataError(f"{shown_path(path)}: cannot be read: {_reason(error)}") from None
    finally:
        os.close(handle)
    if len(data) > largest:  # it grew, or does not tell its size, as in /proc
        raise _too_large(path, largest)
    return data


def kind_of(status: os.stat_result) -> str:
    """Return the kind of a path: "file", "folder", "link" or "special file"."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "special file"


def _read(handle: int, most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := os.read(handle, min(most, 2**20))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _too_large(path: Path, largest: int) -> DataError:
    return DataError(f"{shown_path(path)}: larger than {largest:,} bytes")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link, and links are not followed"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def read_xz(path: Path, largest_packed: int, largest: int) -> bytes:
    """Return what an xz file holds.

    Raises:
        DataError: As `read_plain`, or it is damaged, unpacks to more than `largest` bytes, needs
            more than 64 MiB to be unpacked, or has anything after its end.
    """
    return unpack_xz(read_plain(path, largest_packed), path, largest)


def unpack_xz(data: bytes, path: Path, largest: int) -> bytes:
    """Return what the bytes of an xz file unpack to; `path` names it in errors.

    Raises:
        DataError: As `read_xz`.
    """
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
    text = _unpack(path, data, unpacker.decompress, lambda: unpacker.needs_input, largest)
    if not unpacker.eof or unpacker.unused_data:
        raise DataError(f"{shown_path(path)}: truncated, or followed by something else")
    return text


def read_gzip(path: Path, largest_packed: int, largest: int) -> bytes:
    """Return what a gzip file holds.

    Raises:
        DataError: As `read_plain`, or it is damaged, unpacks to more than `largest` bytes, or has
            anything after its end.
    """
    return unpack_gzip(read_plain(path, largest_packed), path, largest)


def unpack_gzip(data: bytes, path: Path, largest: int) -> bytes:
    """Return what the bytes of a gzip file unpack to; `path` names it in errors.

    Raises:
        DataError: As `read_gzip`.
    """
    unpacker = zlib.decompressobj(wbits=_GZIP)

    def step(data: bytes, most: int) -> bytes:
        return unpacker.decompress(data or unpacker.unconsumed_tail, most)

    text = _unpack(path, data, step, lambda: not unpacker.unconsumed_tail, largest)
    if not unpacker.eof or unpacker.unused_data:
        raise DataError(f"{shown_path(path)}: truncated, or followed by something else")
    return text


def read_unpacked(path: Path, largest: int) -> bytes:
    """Return what a file holds, unpacked where its name ends in .gz or .xz.

    Raises:
        DataError: As `read_plain`, `read_gzip` and `read_xz`.
    """
    if path.suffix in (".gz", ".xz"):
        return (read_gzip if path.suffix == ".gz" else read_xz)(path, largest, largest)
    return read_plain(path, largest)


def _unpack(
    path: Path,
    data: bytes,
    step: Callable[[bytes, int], bytes],
    is_hungry: Callable[[], bool],
    largest: int,
) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            part = step(data, _CHUNK)
            data = b""
            parts.append(part)
            size += len(part)
            if size > largest:
                raise DataError(f"{shown_path(path)}: unpacks to more than {largest:,} bytes")
            if not part and is_hungry():
                return b"".join(parts)
    except (lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{shown_path(path)}: damaged: {error}") from None
    except EOFError:  # lzma raises this when asked again after the end
        return b"".join(parts)
