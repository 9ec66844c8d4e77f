"""Says which files of a task are downloaded, and where they are in the cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from clir_bench.core.files import inside, path_problem, refuse_links_out
from clir_bench.errors import CardError, DataError, OutputError
from clir_bench.tasks.cards import TaskCard

DATA_VARIABLE = "CLIR_BENCH_DATA"


CACHE_VARIABLE = "CLIR_BENCH_CACHE"


_MANIFEST_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")  # "*" where sha256sum read it as binary


def by_hand(card: TaskCard) -> str:
    """Say what to fetch by hand, if the card knows it, and where to put it."""
    folder = f"the folder with --data-dir, or put it at ${DATA_VARIABLE}/{folder_name(card)}."
    if card.download is None:
        return f"Name {folder}"
    return f"{card.download.by_hand.strip()} Then name {folder}"


def folder_name(card: TaskCard) -> str:
    """Return the name of the task's folder in the data, cache and sample folders.

    It is the card's `source.folder`, which tasks of the same files share, or else its id.
    """
    folder = card.source.get("folder")
    return folder if isinstance(folder, str) else card.id


def cached_folder(card: TaskCard) -> Path:
    """Return the folder that the task's files are fetched to."""
    return inside(cache_directory() / "data", folder_name(card), "source.folder", error=CardError)


def cached_file(card: TaskCard, name: str) -> Path:
    """Return where a file of a card's manifest is fetched to.

    Raises:
        DataError: The name leaves the task's folder in the cache.
        OutputError: A link in the cache would take the file elsewhere.
    """
    path = inside(cached_folder(card), name, f"task {card.id!r}: a file of its manifest")
    refuse_links_out(cache_directory(), path, error=OutputError)
    return path


def cache_directory() -> Path:
    """Return `$CLIR_BENCH_CACHE`, or the platform's cache folder for clir-bench."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("clir-bench"))


def read_manifest(card: TaskCard) -> dict[str, str]:
    """Return relative path to sha256 of every file the card's manifest lists.

    Raises:
        CardError: The card names a manifest that is not there.
        DataError: The manifest is not in `sha256sum` format, or a name leaves the task's folder.
    """
    if card.download is None or not card.download.manifest or card.directory is None:
        return {}
    what = f"task {card.id!r}: download.manifest"
    path = inside(card.directory, card.download.manifest, what, error=CardError)
    listed: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"task {card.id!r}: manifest {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        match = _MANIFEST_LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{path}:{number}: expected '<sha256>  <path>', found {line[:80]!r}")
        if problem := path_problem(match[2]):
            raise DataError(f"{path}:{number}: the path {match[2][:80]!r} {problem}")
        listed[match[2]] = match[1].lower()
    return listed
