"""Manages one entry of the store: all shards with one encoder's vectors of one corpus."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core import provenance
from clir_bench.core.locks import shared
from clir_bench.core.provenance import VERSION
from clir_bench.errors import MissingDataError, OutputError
from clir_bench.results.store import system_folder
from clir_bench.search.vectors.cache_key import Corpus, key_sha256
from clir_bench.search.vectors.description import FILE, read_description
from clir_bench.search.vectors.shards import (
    DamagedShardError,
    Shard,
    ShardWriter,
    check_size,
    data_path,
    manifest_path,
    read_manifest,
    read_shard,
    write_beside,
)
from clir_bench.types import Vectors

logger = logging.getLogger(__name__)

MANIFEST = re.compile(r"(\d{6,})\.json")
DATA = re.compile(r"\d{6,}-[0-9a-f]{16}\.f32")
INDEX = r"index-[0-9a-f]{16}\.(faiss|json)"
LEFT_BY_KILLED = re.compile(
    rf"\.(\d{{6,}}(\.json)?|entry\.json)\.[a-z0-9_]{{8}}|\.entry\.{INDEX}\.(?:[a-z0-9_]{{8}}|[0-9a-f]{{32}})"
)
KEPT = ".keep"
KEY_DIGITS = 32


@dataclass
class Entry:
    """One folder of shards, and whether it can be written now.

    Attributes:
        folder: Where they are, or will be.
        key: Everything the vectors depend on.
        corpus: The documents of the vectors.
        dim: Length of every vector.
        late: Whether a document has several vectors.
        required: Fail when a shard cannot be written; otherwise warn once and go on without.
        stored_only: Fail when a shard is not there or damaged; otherwise it is encoded.
        disk_share: Share of the free disk that it may use.
    """

    folder: Path
    key: dict[str, str]
    corpus: Corpus
    dim: int
    late: bool
    required: bool = False
    stored_only: bool = False
    disk_share: float = 1.0
    _writable: bool = field(default=True, init=False)
    _written_bytes: int = field(default=0, init=False)

    @property
    def n_shards(self) -> int:
        """How many shards the corpus has."""
        return len(self.corpus.outline.shard_sizes)

    def missing(self) -> list[int]:
        """Return the numbers of the missing shards."""
        done = done_shards(self.folder)
        return [number for number in range(self.n_shards) if number not in done]

    def documents_left(self) -> int:
        """Return how many documents the missing shards cover."""
        sizes = self.corpus.outline.shard_sizes
        return sum(sizes[number] for number in self.missing())

    def damages(self) -> dict[int, str]:
        """Return problems of finished shards that are visible without reading their vectors."""
        found = {}
        for number in sorted(done_shards(self.folder)):
            try:
                manifest = read_manifest(self.folder, number)
                if manifest is not None:
                    check_size(self.folder, number, manifest)
            except DamagedShardError as error:
                found[number] = str(error)
        return found

    def needed_bytes(self) -> int | None:
        """Return the bytes that the missing shards will take, None while that is unknown."""
        n_documents = self.documents_left()
        if not self.late:
            return n_documents * self.dim * 4
        for number in sorted(done_shards(self.folder)):
            with suppress(DamagedShardError):
                manifest = read_manifest(self.folder, number)
                if manifest is not None and manifest.n_documents:
                    return n_documents * manifest.size_bytes // manifest.n_documents
        return None

    @contextmanager
    def opened(self, *, keep: bool) -> Iterator[None]:
        """Use the entry: no process removes it meanwhile.

        Args:
            keep: Mark it as one that no run removes by itself.
        """
        with shared(self.folder, lambda: sweep(self.folder)):
            try:
                self._describe(keep)
            except OSError as error:
                self._give_up(error)
            yield

    def read(self, number: int, ids: Sequence[str], n_documents: int) -> Shard | None:
        """Return a shard, or None if it is missing or damaged and must be encoded.

        Args:
            number: Of the shard.
            ids: Of the texts it covers, in the order of their vectors.
            n_documents: Documents it covers, those without text included.

        Raises:
            MissingDataError: It must be encoded, but encoding is not allowed.
        """
        try:
            shard = read_shard(self.folder, number, ids, n_documents)
        except DamagedShardError as error:
            if self.stored_only:
                raise MissingDataError(
                    f"{self.folder}: shard {number} is damaged ({error}), and nothing is encoded "
                    f"here; {repair_remedy(self.folder.parent)}"
                ) from None
            logger.warning(
                "stored vectors: shard %d of %s is damaged (%s); encoding it again",
                number,
                self.folder,
                error,
            )
            return None
        if shard is None and self.stored_only:
            raise MissingDataError(
                f"{self.folder}: shard {number} is not there any more, and nothing is encoded "
                "here; run its job again"
            )
        return shard

    def _describe(self, keep: bool) -> None:
        if keep and not (self.folder / KEPT).exists():
            (self.folder / KEPT).touch()
        known = {
            "corpus": self.corpus.label,
            "key": self.key,
            "n_documents": self.corpus.n_documents,
            "n_shards": self.n_shards,
            "version": 1,
        }
        text = json.dumps(known, indent=1, sort_keys=True) + "\n"
        found = read_description(self.folder)
        if found is None or found.key != self.key:
            write_beside(self.folder / FILE, text)

    def _check_room(self) -> None:
        """Stop before the disk is full; the first shard tells how long the texts are."""
        if not self.late:
            return
        need, free = self.needed_bytes() or 0, shutil.disk_usage(self.folder).free
        room = int(self.disk_share * (free + self._written_bytes)) - self._written_bytes
        if need > room:
            message = f"the missing shards need {need:,} bytes more, of which {free:,} are free"
            if room < free:
                message += f", {max(room, 0):,} of them for a run that names no folder"
            self._give_up(OSError(errno.ENOSPC, message))

    def _give_up(self, error: OSError) -> None:
        """Write nothing any more."""
        problem = f"{self.folder}: vectors cannot be stored: {error.strerror or error}"
        if self.required:
            raise OutputError(
                f"{problem}; make room or choose another folder with --embeddings. Shards that "
                "are done are kept"
            ) from error
        if self._writable:
            logger.warning(
                "%s; going on without storing more, so a killed run would encode these again",
                problem,
            )
        self._writable = False


class Writing:
    """A shard being written, or skipped once its folder has refused a write."""

    def __init__(self, entry: Entry, number: int) -> None:
        self._entry = entry
        self._writer: ShardWriter | None = None
        if not entry._writable:
            return
        try:
            self._writer = ShardWriter(entry.folder, number, entry.dim, late=entry.late)
        except OSError as error:
            entry._give_up(error)

    def add(self, vectors: Vectors | list[Vectors]) -> None:
        """Write the vectors of the next texts."""
        if self._writer is None:
            return
        try:
            self._writer.add(vectors)
        except OSError as error:
            self.abandon()
            self._entry._give_up(error)

    def finish(self, ids: Sequence[str], n_documents: int, seconds: float) -> None:
        """Make the shard count; arguments are `ShardWriter.finish`'s."""
        if self._writer is None:
            return
        try:
            manifest = self._writer.finish(ids, n_documents, seconds, _made_with())
        except OSError as error:
            self.abandon()
            self._entry._give_up(error)
        else:
            self._writer = None
            self._entry._written_bytes += manifest.size_bytes
            self._entry._check_room()

    def abandon(self) -> None:
        """Leave nothing of an unfinished shard behind."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None


def entry_folder(root: Path, model: str, key: dict[str, str]) -> Path:
    """Return the folder of the entry that `key` names."""
    return root / f"{system_folder(model)[:60]}-{key_sha256(key)[:KEY_DIGITS]}"


def repair_remedy(root: Path) -> str:
    """Return the remedy for damaged shards where encoding is not allowed."""
    return (
        f"`clir-bench cache verify --repair --embeddings {root}` takes damaged shards out; then "
        "run their jobs again"
    )


def done_shards(folder: Path) -> set[int]:
    """Return the numbers of the shards whose manifest is there."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names alone, of thousands of files
    except OSError:
        return set()
    return {int(match[1]) for name in names if (match := MANIFEST.fullmatch(name))}


def sweep(folder: Path) -> int:
    """Remove killed runs' leftovers from an unused entry; return how many bytes.

    Leftovers are half-written files, and vectors that no manifest names.
    """
    named = set()
    for number in done_shards(folder):
        with suppress(DamagedShardError):
            manifest = read_manifest(folder, number)
            if manifest is not None:
                named.add(data_path(folder, number, manifest).name)
    freed = 0
    for path in paths_in(folder):
        orphaned = DATA.fullmatch(path.name) and path.name not in named
        if orphaned or LEFT_BY_KILLED.fullmatch(path.name):
            with suppress(OSError):
                size_bytes = path.lstat().st_size
                path.unlink()
                freed += size_bytes
    return freed


def paths_in(folder: Path) -> list[Path]:
    """Return the content of a folder, nothing if it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def drop_shard(folder: Path, number: int) -> None:
    """Remove a damaged shard, its manifest first.

    Raises:
        OSError: The folder cannot be written.
    """
    manifest_path(folder, number).unlink(missing_ok=True)


def _made_with() -> dict[str, str]:
    return {"clir-bench": VERSION, **provenance.packages(), **provenance.hardware()}
