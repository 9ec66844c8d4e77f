"""Keeps the ids of ranked documents in little memory.

A Python string of ten characters and the reference to it take about 70 bytes, and rankings of a
large corpus hold up to k different ids per query.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Places = NDArray[np.int64]
_CHUNK = 65_536
_ENCODING, _ERRORS = "utf-8", "surrogatepass"


class Ids:
    """A growing table of ids in UTF-8, 8 bytes each beside their characters."""

    def __init__(self) -> None:
        self._text = b""
        self._ends: _Places = np.zeros(1, dtype=np.int64)
        """Of every id in `_text`; a 0 stands before the first."""

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, ids: Sequence[str]) -> None:
        """Append ids."""
        parts = [doc_id.encode(_ENCODING, _ERRORS) for doc_id in ids]
        lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        self._text += b"".join(parts)
        self._ends = np.concatenate([self._ends, self._ends[-1] + np.cumsum(lengths)])

    def at(self, places: _Places) -> list[str]:
        """Return the ids at some places, `(n,)`."""
        text = self._text
        starts, ends = self._ends[places].tolist(), self._ends[places + 1].tolist()
        return [
            text[start:end].decode(_ENCODING, _ERRORS)
            for start, end in zip(starts, ends, strict=True)
        ]

    def keep(self, places: _Places) -> None:
        """Drop all ids but those at some places, `(n,)`; they stand in the order of `places`."""
        characters = np.frombuffer(self._text, dtype=np.uint8)
        parts = []
        for first in range(0, len(places), _CHUNK):
            some = places[first : first + _CHUNK]
            starts, lengths = self._ends[some], self._ends[some + 1] - self._ends[some]
            # Every character's place: its id's start and how far it is from there.
            shifts = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
            parts.append(characters[shifts + np.arange(len(shifts))].tobytes())
        lengths = self._ends[places + 1] - self._ends[places]
        self._text = b"".join(parts)
        self._ends = np.concatenate([[0], np.cumsum(lengths)])
