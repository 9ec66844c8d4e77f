"""Reads and writes one shard of vectors, with checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clir_bench.core.files import let_read, written_beside
from clir_bench.core.profiling import stage
from clir_bench.types import Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOAT, _LENGTH = np.dtype("<f4"), np.dtype("<i8")
_BUFFER = 1 << 20


class Manifest(BaseModel):
    """The file that marks a shard as done and describes it.

    Attributes:
        n_documents: Documents of the corpus that the shard covers.
        n_texts: Those of them that have a text, and so vectors.
        n_rows: Vectors: as many as texts, or their tokens for late interaction.
        late: Whether the number of tokens of each text follows the vectors.
        ids_sha256: Over the ids of the texts, in the order of their vectors.
        sha256: Over the bytes of the vectors' file.
        encode_seconds: Time in the encoder, which a run that reads the shard reports as its own.
        made_with: Packages, processor and accelerator, for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    n_documents: int = Field(ge=0)
    n_texts: int = Field(ge=0)
    n_rows: int = Field(ge=0)
    dim: int = Field(ge=1)
    late: bool
    ids_sha256: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    encode_seconds: float = Field(ge=0)
    made_with: dict[str, str] = {}

    @property
    def size_bytes(self) -> int:
        """Bytes of the vectors' file."""
        lengths = self.n_texts * _LENGTH.itemsize if self.late else 0
        return self.n_rows * self.dim * _FLOAT.itemsize + lengths


class DamagedShardError(Exception):
    """A shard differs from its manifest; the message says how."""


class Shard:
    """A shard's vectors, mapped into memory.

    Args:
        path: The vectors' file, whose content has been checked.
        manifest: Its manifest, which says how to read it.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.encode_seconds = manifest.encode_seconds
        self._rows: Vectors = np.empty((0, manifest.dim), dtype=np.float32)
        self._ends: NDArray[np.int64] | None = None
        if manifest.n_rows:
            shape = (manifest.n_rows, manifest.dim)
            self._rows = np.asarray(np.memmap(path, dtype=_FLOAT, mode="r", shape=shape))
        if manifest.late:
            with path.open("rb") as file:
                file.seek(manifest.n_rows * manifest.dim * _FLOAT.itemsize)
                lengths = np.frombuffer(file.read(), dtype=_LENGTH)
            self._ends = np.concatenate([[0], np.cumsum(lengths)])

    def vectors(self, first: int, last: int) -> Vectors | list[Vectors]:
        """Return the vectors of texts `first` to `last` (exclusive), as the encoder made them."""
        if self._ends is None:
            return self._rows[first:last]
        return [self._rows[self._ends[text] : self._ends[text + 1]] for text in range(first, last)]


class ShardWriter:
    """Writes one shard; it counts only after `finish`.

    Args:
        folder: The entry's folder.
        number: Of the shard, from 0.
        dim: Length of every vector.
        late: Whether a text has several.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, number: int, dim: int, *, late: bool) -> None:
        self._folder, self._number, self._dim = folder, number, dim
        self._lengths: list[int] | None = [] if late else None
        self._n_texts = self._n_rows = 0
        self._digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{number:06d}.")
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "wb", buffering=_BUFFER)

    @stage("write")
    def add(self, vectors: Vectors | list[Vectors]) -> None:
        """Write the vectors of the next texts.

        Raises:
            OSError: The disk is full.
        """
        self._n_texts += len(vectors)
        if self._lengths is None:
            self._write(vectors)
            return
        for tokens in vectors:
            self._lengths.append(len(tokens))
            self._write(tokens)

    @stage("write")
    def finish(
        self, ids: Sequence[str], n_documents: int, seconds: float, made_with: dict[str, str]
    ) -> Manifest:
        """Make the shard count.

        Args:
            ids: Of the texts whose vectors were added, in their order.
            n_documents: Documents the shard covers, those without text included.
            seconds: Time in the encoder.
            made_with: As in `Manifest`.

        Raises:
            OSError: The disk is full.
        """
        if self._lengths is not None:
            self._put(np.array(self._lengths, dtype=_LENGTH))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        manifest = Manifest(
            n_documents=n_documents,
            n_texts=self._n_texts,
            n_rows=self._n_rows,
            dim=self._dim,
            late=self._lengths is not None,
            ids_sha256=ids_sha256(ids),
            sha256=self._digest.hexdigest(),
            encode_seconds=round(seconds, 6),
            made_with=made_with,
        )
        let_read(self._temporary)
        self._temporary.replace(data_path(self._folder, self._number, manifest))
        write_beside(
            manifest_path(self._folder, self._number), manifest.model_dump_json(indent=1) + "\n"
        )
        return manifest

    def abandon(self) -> None:
        """Remove the unfinished files; does nothing after `finish`."""
        with suppress(OSError):  # a full disk refuses the rest of the buffer
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _write(self, rows: Any) -> None:
        self._n_rows += len(rows)
        self._put(np.ascontiguousarray(rows, dtype=_FLOAT))

    def _put(self, array: NDArray[Any]) -> None:
        if array.size:
            self._digest.update(array.data)
            self._file.write(array.data)


@stage("read")
def read_shard(folder: Path, number: int, ids: Sequence[str], n_documents: int) -> Shard | None:
    """Return a shard, or None when it is not there.

    Args:
        folder: The entry's folder.
        number: Of the shard.
        ids: Of the texts it must have vectors of, in their order.
        n_documents: Documents it must cover.

    Raises:
        DamagedShardError: It is there, but not what it should be.
    """
    manifest = read_manifest(folder, number)
    if manifest is None:
        return None
    found = (manifest.n_documents, manifest.ids_sha256)
    if found != (n_documents, ids_sha256(ids)):
        raise DamagedShardError("it is of other documents")
    check_data(folder, number, manifest)
    return Shard(data_path(folder, number, manifest), manifest)


def read_manifest(folder: Path, number: int) -> Manifest | None:
    """Return a shard's manifest, or None if it is not done.

    Raises:
        DamagedShardError: Its manifest is broken.
    """
    path = manifest_path(folder, number)
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise DamagedShardError(f"{path.name} is not a manifest") from None
    except OSError as error:
        raise DamagedShardError(f"{path.name} cannot be read: {error.strerror or error}") from None


def check_size(folder: Path, number: int, manifest: Manifest) -> Path:
    """Return the path of a shard's vectors, after checking only their size.

    Raises:
        DamagedShardError: They are missing, too few or too many.
    """
    path = data_path(folder, number, manifest)
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise DamagedShardError(f"{path.name} cannot be read: {error.strerror or error}") from None
    if size_bytes != manifest.size_bytes:
        raise DamagedShardError(
            f"{path.name} has {size_bytes:,} bytes, expected {manifest.size_bytes:,}"
        )
    return path


def check_data(folder: Path, number: int, manifest: Manifest) -> None:
    """Read a shard's vectors and compare them with their checksum.

    Raises:
        DamagedShardError: They are missing, too few or changed.
    """
    path = check_size(folder, number, manifest)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DamagedShardError(f"{path.name} cannot be read: {error.strerror or error}") from None
    if sha256 != manifest.sha256:
        raise DamagedShardError(
            f"{path.name} has sha256 {sha256[:12]}, expected {manifest.sha256[:12]}"
        )


def manifest_path(folder: Path, number: int) -> Path:
    """Return where a shard's manifest is."""
    return folder / f"{number:06d}.json"


def data_path(folder: Path, number: int, manifest: Manifest) -> Path:
    """Return where a shard's vectors are."""
    return folder / f"{number:06d}-{manifest.sha256[:16]}.f32"


def ids_sha256(ids: Sequence[str]) -> str:
    """Return the hex sha256 over document ids, none of which holds a line break."""
    return hashlib.sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()


def write_beside(path: Path, text: str) -> None:
    """Write a small file under a temporary name, then rename it.

    Raises:
        OSError: The folder cannot be written.
    """
    with written_beside(path) as file:
        file.write(text.encode())
