"""Stores a teacher's vectors on disk, and finds them by their texts.

    <folder>/meta.json          version, dim, committed number of texts and tokens
             keys.u8            BLAKE2b digest of each text, 16 bytes
             ends.u64           after how many tokens each text ends
             tokens.f16         (n_tokens, dim)
             ids.i32            (n_tokens,)
             sentences.f16      (n_texts, dim)

Data is only ever added at the end of the files. If a process was killed while it added data, the
files are longer than `meta.json` states; the next process that opens the store removes that rest.
Only one process can have a store open: it locks the folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clir_bench.core.files import write_file
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, OutputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VERSION = 1
_DIGEST = 16


class Taught(NamedTuple):
    """A teacher's vectors of one text.

    Attributes:
        tokens: Contextual vectors of its tokens, without special ones, float16 `(n, dim)`.
        ids: The tokens' places in the teacher's vocabulary, int32 `(n,)`.
        sentence: The pooled vector, float16 `(dim,)`.
    """

    tokens: NDArray[np.float16]
    ids: NDArray[np.int32]
    sentence: NDArray[np.float16]


class TeacherBatch(NamedTuple):
    """A teacher's vectors of a batch of texts, padded with zeros.

    Attributes:
        tokens: float32 `(batch, m, dim)`.
        ids: int64 `(batch, m)`; -1 where padded.
        mask: bool `(batch, m)`.
        sentences: float32 `(batch, dim)`.
    """

    tokens: NDArray[np.float32]
    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    sentences: NDArray[np.float32]


class VectorStore:
    """Vectors of texts, appended once and read by row through memory maps.

    Args:
        folder: Created if missing.
        dim: Length of every vector.

    Raises:
        OutputError: The folder cannot be written.
        UsageError: Another process has it open.
        DataError: The store has another version or dim.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        from filelock import FileLock, Timeout

        self._folder, self.dim = folder, dim
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(str(folder / ".lock"))
            self._lock.acquire(timeout=1)
        except Timeout:
            raise UsageError(
                f"{folder}: another process is writing the teacher's vectors; wait for it, or "
                "choose another folder with --cache"
            ) from None
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
        meta = self._read_meta()
        self._n_texts, self._n_tokens = int(meta["texts"]), int(meta["tokens"])
        self._cut()
        self._map()

    def close(self) -> None:
        """Release the store for other processes."""
        self._lock.release()

    def __len__(self) -> int:
        return self._n_texts

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the texts without vectors, each once, in order."""
        new: dict[bytes, str] = {}
        for text in texts:
            key = _key(text)
            if key not in self._rows:
                new.setdefault(key, text)
        return list(new.values())

    def rows(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each text, `(len(texts),)`; all must be stored."""
        return np.array([self._rows[_key(text)] for text in texts], dtype=np.int64)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of tokens of each row, `(len(rows),)`."""
        return np.asarray(self._ends[rows + 1] - self._ends[rows])

    def ids(self, row: int) -> NDArray[np.int32]:
        """Return the token ids of a row, `(n,)`."""
        return np.asarray(self._ids[self._ends[row] : self._ends[row + 1]])

    def batch(self, rows: NDArray[np.int64]) -> TeacherBatch:
        """Return the vectors of some rows, padded to the longest."""
        lengths = self.lengths(rows)
        width = max(int(lengths.max(initial=0)), 1)
        tokens = np.zeros((len(rows), width, self.dim), dtype=np.float32)
        ids = np.full((len(rows), width), -1, dtype=np.int64)
        for place, row in enumerate(rows):
            start, end = self._ends[row], self._ends[row + 1]
            tokens[place, : end - start] = self._tokens[start:end]
            ids[place, : end - start] = self._ids[start:end]
        mask = np.arange(width)[None, :] < lengths[:, None]
        return TeacherBatch(tokens, ids, mask, self._sentences[rows].astype(np.float32))

    def append(self, texts: Sequence[str], taught: Sequence[Taught]) -> None:
        """Add new texts, all or none of them.

        Raises:
            OutputError: They cannot be written; the store is unchanged.
        """
        if not texts:
            return
        ends = self._n_tokens + np.cumsum([len(one.tokens) for one in taught])
        parts: dict[str, bytes] = {
            "keys.u8": b"".join(_key(text) for text in texts),
            "ends.u64": ends.astype(np.uint64).tobytes(),
            "tokens.f16": np.concatenate([one.tokens for one in taught]).tobytes(),
            "ids.i32": np.concatenate([one.ids for one in taught]).tobytes(),
            "sentences.f16": np.stack([one.sentence for one in taught]).tobytes(),
        }
        try:
            for name, data in parts.items():
                with (self._folder / name).open("ab") as file:
                    file.write(data)
        except OSError as error:
            self._cut()
            raise OutputError(
                f"{self._folder}: the teacher's vectors cannot be written: "
                f"{error.strerror or error}; make room or choose another folder with --cache"
            ) from error
        self._n_texts += len(texts)
        self._n_tokens = int(ends[-1])
        self._write_meta()
        self._map()

    def _read_meta(self) -> dict[str, Any]:
        path = self._folder / "meta.json"
        if not path.is_file():
            return {"texts": 0, "tokens": 0}
        try:
            found = parse_json(path.read_bytes(), str(path), DataError)
        except DataError:
            found = None
        meta: dict[str, Any] = found if isinstance(found, dict) else {}
        if meta.get("version") != _VERSION or meta.get("dim") != self.dim:
            raise DataError(
                f"{path}: expected a store of version {_VERSION} with dim {self.dim}, found "
                f"version {meta.get('version')} with dim {meta.get('dim')}; delete the folder, it "
                "is only a cache"
            )
        return meta

    def _write_meta(self) -> None:
        meta = {
            "dim": self.dim,
            "texts": self._n_texts,
            "tokens": self._n_tokens,
            "version": _VERSION,
        }
        write_file(self._folder / "meta.json", (json.dumps(meta, sort_keys=True) + "\n").encode())

    def _files(self) -> dict[str, tuple[Any, int, int]]:
        """Return each file's number type, rows and columns."""
        return {
            "keys.u8": (np.uint8, self._n_texts, _DIGEST),
            "ends.u64": (np.uint64, self._n_texts, 1),
            "tokens.f16": (np.float16, self._n_tokens, self.dim),
            "ids.i32": (np.int32, self._n_tokens, 1),
            "sentences.f16": (np.float16, self._n_texts, self.dim),
        }

    def _cut(self) -> None:
        for name, (dtype, rows, width) in self._files().items():
            path, size = self._folder / name, np.dtype(dtype).itemsize * rows * width
            found = path.stat().st_size if path.is_file() else 0
            if found < size:
                raise DataError(
                    f"{path}: expected {size} bytes, found {found}: truncated; delete the folder "
                    f"{self._folder}, it is only a cache"
                )
            if found > size:
                with path.open("r+b") as file:
                    file.truncate(size)

    def _map(self) -> None:
        ends = self._open("ends.u64").astype(np.int64).ravel()
        self._ends = np.concatenate([np.zeros(1, dtype=np.int64), ends])
        self._tokens, self._sentences = self._open("tokens.f16"), self._open("sentences.f16")
        self._ids = self._open("ids.i32").ravel()
        keys = np.ascontiguousarray(self._open("keys.u8")).tobytes()
        self._rows = {
            keys[start : start + _DIGEST]: row
            for row, start in enumerate(range(0, len(keys), _DIGEST))
        }

    def _open(self, name: str) -> NDArray[Any]:
        dtype, rows, width = self._files()[name]
        if not rows:
            return np.empty((0, width), dtype=dtype)
        return np.memmap(self._folder / name, dtype=dtype, mode="r", shape=(rows, width))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
