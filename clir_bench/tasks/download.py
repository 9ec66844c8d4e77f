"""Fetches files into the cache and checks their known sha256.

A file grows as `<name>.part` and is renamed once its hash is right, so the final name never holds
half a file or a wrong one. After a broken connection or Ctrl-C the download continues with an HTTP
range request. If two processes want one file, the second waits (`<name>.part.lock`). The library
Pooch checks hashes too, but starts a broken download again from its first byte.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clir_bench.core.files import sha256_of
from clir_bench.errors import DataError, MissingDataError, OutputError
from clir_bench.tasks.cache import CACHE_VARIABLE, by_hand, cached_file, read_manifest
from clir_bench.tasks.cards import TaskCard

if TYPE_CHECKING:
    from requests import Response

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
"""Each of them, set to 1, ON, YES or TRUE, forbids fetching data; the first two also models."""
_CONNECT_SECONDS, _SILENCE_SECONDS = 20, 60
_CHUNK_BYTES = 1 << 16  # a broken connection loses at most this much


def fetch(url: str, path: Path, *, sha256: str, remedy: str, progress: bool | None = None) -> None:
    """Fetch the file at `url` to `path`, unless it is already there and right.

    Args:
        url: http or https address.
        path: Where the file goes; missing folders are made.
        sha256: Hex digest of the file.
        remedy: What to do by hand; every error message ends with it.
        progress: Whether to show a bar on stderr; by default when stderr is a terminal.

    Raises:
        MissingDataError: Offline, or the address does not answer with the file. What has come so
            far is kept and continued next time.
        DataError: The whole file came and is another one; it is not kept.
        OutputError: The folder cannot be written.
    """
    from filelock import FileLock

    part = path.with_name(path.name + ".part")
    try:
        if _is(path, sha256):
            return
        if variable := offline():
            raise MissingDataError(
                f"{path.name} is not in the cache ({path.parent}) and {variable} forbids fetching "
                f"{url}. Unset it, or: {remedy}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{part}.lock"):
            if not _is(path, sha256):  # another process may just have fetched it
                _fetch_part(url, part, sha256=sha256, remedy=remedy, progress=progress)
                part.replace(path)
    except OSError as error:
        raise OutputError(
            f"{part}: cannot be written: {error.strerror or error}. Make room or name another "
            f"folder by {CACHE_VARIABLE}."
        ) from error


def download_all(card: TaskCard, *, progress: bool | None = None) -> list[Path]:
    """Fetch the files of a card's manifest into the cache and return their paths.

    Files that are there already are compared with their sha256 and fetched again if they differ.

    Args:
        card: A task with a manifest.
        progress: As in `fetch`.

    Raises:
        MissingDataError: The task's files have no known address, or as `fetch`.
        DataError: A name in the manifest leaves the task's folder; nothing is fetched.
        OutputError: A link in the cache leads out of it, or as `fetch`.
    """
    manifest = read_manifest(card)
    if card.download is None or not card.download.base_url or not manifest:
        raise MissingDataError(
            f"task {card.id!r} has no address to fetch its files from. {by_hand(card)}"
        )
    paths = {name: cached_file(card, name) for name in manifest}
    for name, path in paths.items():
        url = f"{card.download.base_url.rstrip('/')}/{name}"
        fetch(url, path, sha256=manifest[name], remedy=by_hand(card), progress=progress)
    return list(paths.values())


def offline() -> str | None:
    """Return the environment variable that forbids fetching, as `NAME=value`, or None."""
    for name in OFFLINE_VARIABLES:
        value = os.environ.get(name, "")
        if value.upper() in ("1", "ON", "YES", "TRUE"):
            return f"{name}={value}"
    return None


def _fetch_part(url: str, part: Path, *, sha256: str, remedy: str, progress: bool | None) -> None:
    """Complete `part` and check it; if a continued part is wrong, start anew once."""
    while not _is(part, sha256):
        continued = part.is_file() and part.stat().st_size > 0
        if not _transfer(url, part, remedy=remedy, progress=progress):
            part.unlink()  # the source has no bytes after ours, so ours are from another file
            continue
        if _is(part, sha256):
            return
        found = sha256_of(part)
        part.unlink()
        if not continued:
            raise DataError(
                f"{url}: expected sha256 {sha256}, found {found}: the file has changed at its "
                f"source or on the way; nothing was kept. {remedy}"
            )


def _transfer(url: str, part: Path, *, remedy: str, progress: bool | None) -> bool:
    """Append the missing bytes to `part`; return False when there are none to append."""
    import requests

    offset = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS)
        ) as response:
            if offset and response.status_code == requests.codes.requested_range_not_satisfiable:
                return False
            response.raise_for_status()
            if not _continues(response, offset):
                offset = 0
            with part.open("ab" if offset else "wb") as file:
                _write(response, file, offset, name=part.stem, progress=progress)
    except requests.RequestException as error:
        kept = part.stat().st_size if part.is_file() else 0
        again = f" The first {kept:,} bytes are kept; running again continues." if kept else ""
        message = f"{url}: cannot be fetched: {reason(error)}.{again} {remedy}"
        raise MissingDataError(message) from error
    return True


def reason(error: Exception) -> str:
    """Say briefly why fetching failed; requests wraps the reason in three layers."""
    text = str(error)
    if unresolved := re.search(r"Failed to resolve '([^']+)'", text):
        return f"the address of {unresolved[1]} cannot be resolved (is there a network?)"
    if inner := re.search(r"Caused by \w+\(['\"]?(.*?)['\"]?\)+$", text):
        return inner[1]
    return text or type(error).__name__


def _continues(response: Response, offset: int) -> bool:
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return response.status_code == 206 and start == str(offset)


def _write(
    response: Response, file: BinaryIO, offset: int, *, name: str, progress: bool | None
) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length", "")
    with tqdm(
        total=offset + int(length) if length.isdecimal() else None,
        initial=offset,
        unit="B",
        unit_scale=True,
        desc=name,
        disable=None if progress is None else not progress,  # None: off without a terminal
        file=sys.stderr,
    ) as bar:
        for chunk in response.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256
