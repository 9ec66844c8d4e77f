"""Collects the vectors of documents until there are enough for one step of the search."""

from __future__ import annotations

from typing import Any

import numpy as np

from clir_bench.types import Vectors

_SPARE_DOCUMENTS = 1024
"""Room for the last vectors, which may make a block larger than needed."""


class VectorBlock:
    """Vectors of one search, stored in place as they come: a block is in memory once.

    Args:
        max_documents: The block is full with this many documents,
        max_bytes: or with this many bytes of vectors.

    Attributes:
        n_documents: Vectors it holds, or lists of them for late interaction.
        size_bytes: Of these vectors.
    """

    def __init__(self, max_documents: int, max_bytes: int) -> None:
        self._max_documents, self._max_bytes = max_documents, max_bytes
        self._empty()

    def _empty(self) -> None:
        self.n_documents = 0
        self.size_bytes = 0
        self._rows: Vectors | None = None
        self._ragged: list[Vectors] = []

    @property
    def is_full(self) -> bool:
        """Whether to search it before adding more."""
        return self.n_documents >= self._max_documents or self.size_bytes >= self._max_bytes

    def add(self, vectors: Vectors | list[Vectors]) -> None:
        """Add vectors, `(n, dim)`, or one `(n_tokens, dim)` per document for late interaction."""
        if isinstance(vectors, list):
            self._ragged += vectors
            self.size_bytes += sum(item.nbytes for item in vectors)
        else:
            n = self.n_documents
            self._with_room(n + len(vectors), vectors)[n : n + len(vectors)] = vectors
            self.size_bytes += vectors.nbytes
        self.n_documents += len(vectors)

    def _with_room(self, n: int, like: Vectors) -> Vectors:
        """Return the rows, with room for `n`; memory that is not written to costs nothing."""
        if self._rows is None or len(self._rows) < n:
            enough = min(self._max_documents, self._max_bytes // max(1, like[:1].nbytes) + 1)
            rows = np.empty((max(n, enough + _SPARE_DOCUMENTS), like.shape[1]), dtype=np.float32)
            if self._rows is not None:
                rows[: self.n_documents] = self._rows[: self.n_documents]
            self._rows = rows
        return self._rows

    def take(self) -> Any:
        """Return the added vectors, as one array or one list, and start anew."""
        taken = self._ragged if self._rows is None else self._rows[: self.n_documents]
        self._empty()
        return taken
