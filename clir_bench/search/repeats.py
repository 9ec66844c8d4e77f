"""Gives equal texts equal vectors, wherever they are in the corpus.

A vector's last bits depend on the other texts of its batch, and on the processor. Within a window
each different text is encoded once (`workers.executor.hand_out`). Across windows, all documents
with one text get the vector of the first of them. This module replaces vectors when they are read
in corpus order, after they came from a worker, an accelerator, another job or the disk. So it works
for every encoder, batch size, number of workers and jobs, for resumed runs, and for vectors stored
by different machines. Encoding repeated texts separately would work on one kind of machine only,
and would be slow on an accelerator.

The first reading finds the repeated texts (`outline`). Only their first vectors are kept, in memory
up to a bound and then in a temporary file; 24 bytes of memory per such text remain. A key of 64
bits names a text, and a digest of 128 bits confirms it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from clir_bench.errors import OutputError
from clir_bench.tasks.outline import Text
from clir_bench.types import Vectors

_MEMORY_BYTES = 32 * 2**20
_DIGEST_BYTES = 16
_FLOAT_BYTES = 4


class Repeated(NamedTuple):
    """A text that occurs more than once.

    Attributes:
        number: Its place among these texts.
        digest: Of the text and its language.
    """

    number: int
    digest: bytes


class FirstVectors:
    """The first vectors of texts that occur more than once.

    Args:
        repeated: As in `Outline`.
    """

    def __init__(self, repeated: bytes) -> None:
        self._keys = np.frombuffer(repeated, dtype=np.int64)
        n = len(self._keys)
        self._digests = np.zeros(n, dtype=f"V{_DIGEST_BYTES}")
        self._starts, self._n_rows = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int32)
        self._end = 0
        self._file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES) if n else None  # noqa: SIM115

    def among(self, texts: Sequence[Text]) -> dict[int, Repeated]:
        """Return, by row, the texts that occur more than once in the corpus."""
        if not len(self._keys) or not texts:
            return {}
        keys = np.fromiter((text.key for text in texts), dtype=np.int64, count=len(texts))
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        rows = np.flatnonzero(self._keys[places] == keys)
        return {
            row: Repeated(place, _digest(texts[row]))
            for row, place in zip(rows.tolist(), places[rows].tolist(), strict=True)
        }

    def unify(self, parts: list[Any], repeated: Mapping[int, Repeated]) -> list[Any]:
        """Return vectors in which every repeated text has its first document's.

        Args:
            parts: Arrays `(n, dim)`, or lists of one `(n_tokens, dim)` per text, whose rows follow
                one another; they stay as they are.
            repeated: The value of `among`, by row.

        Raises:
            OutputError: A temporary file cannot be written.
        """
        if not repeated:
            return parts
        unified, first = [], 0
        for part in parts:
            last = first + len(part)
            mine = {row - first: one for row, one in repeated.items() if first <= row < last}
            unified.append(self._unified(part, mine) if mine else part)
            first = last
        return unified

    def close(self) -> None:
        """Release the vectors."""
        if self._file is not None:
            self._file.close()

    def _unified(self, part: Any, repeated: Mapping[int, Repeated]) -> Any:
        late = isinstance(part, list)
        rows = list(part) if late else np.array(part, dtype=np.float32)
        for row, one in repeated.items():
            vectors = part[row] if late else part[row : row + 1]
            first = self._first(one, vectors)
            if late:
                rows[row] = first
            else:
                rows[row] = first[0]
        return rows

    def _first(self, one: Repeated, vectors: Vectors) -> Vectors:
        """Return a text's first vectors, which are these if it had none yet."""
        if self._file is None:
            return vectors
        number, n_rows = one.number, int(self._n_rows[one.number])
        try:
            if not n_rows:
                self._file.seek(self._end)
                self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
                self._digests[number] = np.void(one.digest)
                self._starts[number], self._n_rows[number] = self._end, len(vectors)
                self._end = self._file.tell()
                return vectors
            if self._digests[number].tobytes() != one.digest:
                return vectors  # another text of the same key
            self._file.seek(int(self._starts[number]))
            width = vectors.shape[1]
            found = self._file.read(n_rows * width * _FLOAT_BYTES)
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: the vectors of texts that occur more than once cannot "
                f"be kept there: {error.strerror or error}; make room, or name another folder with "
                "TMPDIR"
            ) from error
        return np.frombuffer(found, dtype="<f4").reshape(n_rows, width)


def _digest(text: Text) -> bytes:
    digest = hashlib.blake2b(text.text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    digest.update(b"\0" + text.language.encode("utf-8", "surrogatepass"))
    return digest.digest()
