"""Packs the rows of a translation table into bytes, and unpacks them with every length checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from clir_bench.systems.psq.align import Row

MOST_TERMS, MOST_ENTRIES, MOST_BYTES = 2**22, 2**25, 2**28
_COUNT_STEPS, _COUNT_LEAST, _SHARE_STEPS = 4, 7, 4

Sizes = tuple[int, int, int, int, int]
_Bytes = NDArray[np.uint8]


def pack(rows: Mapping[str, Row]) -> tuple[Sizes, bytes]:
    """Return the sizes that `unpack` needs, and the bytes."""
    queries = sorted(rows, key=str.encode)
    documents = sorted({name for row in rows.values() for name in row.terms}, key=str.encode)
    number = {name: place for place, name in enumerate(documents)}
    counts, sizes, steps, shares = [], [], [], []
    for query in queries:
        row = sorted((number[name], share) for name, share in rows[query].terms.items())
        sizes.append(len(row))
        counts.append(_COUNT_STEPS * (math.log2(max(rows[query].frequency, 1e-9)) + _COUNT_LEAST))
        steps += np.diff([place for place, _ in row], prepend=0).tolist()
        shares += [-_SHARE_STEPS * math.log2(share) for _, share in row]
    gaps = np.array(steps, dtype=np.int64)
    (shared, own, suffixes), (others, theirs, tails) = _fronts(queries), _fronts(documents)
    parts = [
        shared, own, suffixes, others, theirs, tails,
        np.array(sizes, dtype=np.uint8).tobytes(), _rounded(counts),
        *((gaps >> shift & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16)),
        _rounded(shares),
    ]  # fmt: skip
    return (len(queries), len(documents), len(steps), len(suffixes), len(tails)), b"".join(parts)


def unpack(sizes: Sizes, data: bytes) -> dict[str, Row]:
    """Return the rows.

    Raises:
        ValueError: The bytes are not what `pack` returns.
    """
    n_queries, n_documents, n_entries, n_suffixes, n_tails = sizes
    if (
        min(sizes) < 0
        or max(n_queries, n_documents) > MOST_TERMS
        or n_entries > MOST_ENTRIES
        or len(data) != 4 * n_queries + n_suffixes + 2 * n_documents + n_tails + 4 * n_entries
    ):
        raise ValueError("the sizes in the header do not fit")
    reader = _Reader(data)
    queries = _terms(reader.take(n_queries), reader.take(n_queries), reader.take(n_suffixes))
    documents = _terms(reader.take(n_documents), reader.take(n_documents), reader.take(n_tails))
    lengths = reader.take(n_queries).astype(np.int64)
    counts = np.exp2(reader.take(n_queries) / _COUNT_STEPS - _COUNT_LEAST)
    low, middle, high = (reader.take(n_entries).astype(np.int64) for _ in range(3))
    gaps = low + (middle << 8) + (high << 16)
    shares = np.exp2(reader.take(n_entries) / -float(_SHARE_STEPS))
    if lengths.sum() != n_entries or (n_queries and lengths.min() < 1):
        raise ValueError("the lengths of its rows do not fit")
    starts = np.cumsum(lengths) - lengths
    places = np.cumsum(gaps)
    places -= np.repeat(places[starts] - gaps[starts], lengths)
    first = np.zeros(n_entries, dtype=bool)
    first[starts] = True
    if n_entries and (places.max() >= n_documents or (gaps[~first] < 1).any()):
        raise ValueError("a document term is out of range or repeated")
    shares /= np.repeat(np.add.reduceat(shares, starts), lengths) if n_entries else 1
    names = [documents[place] for place in places.tolist()]
    values = shares.tolist()
    return {
        query: Row(count, dict(zip(names[s : s + n], values[s : s + n], strict=True)))
        for query, count, s, n in zip(
            queries, counts.tolist(), starts.tolist(), lengths.tolist(), strict=True
        )
    }


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._bytes, self._at = np.frombuffer(data, dtype=np.uint8), 0

    def take(self, n: int) -> _Bytes:
        self._at += n
        return self._bytes[self._at - n : self._at]


def _rounded(values: Sequence[float]) -> bytes:
    return np.rint(np.clip(np.array(values, dtype=np.float64), 0, 255)).astype(np.uint8).tobytes()


def _fronts(terms: Sequence[str]) -> tuple[bytes, bytes, bytes]:
    """Return the bytes that each term shares with the one before, of its own, and its own."""
    encoded = [term.encode() for term in terms]
    shared = [_n_shared(a, b) for a, b in zip([b"", *encoded], encoded, strict=False)]
    own = [term[n:] for n, term in zip(shared, encoded, strict=True)]
    return bytes(shared), bytes(map(len, own)), b"".join(own)


def _n_shared(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _terms(shared: _Bytes, own: _Bytes, suffixes: _Bytes) -> list[str]:
    if int(own.sum(dtype=np.int64)) != len(suffixes):
        raise ValueError("the lengths of its terms do not fit")
    terms, before, tail = [], b"", suffixes.tobytes()
    ends = list(chain([0], accumulate(own.tolist())))
    for n, start, end in zip(shared.tolist(), ends, ends[1:], strict=False):
        term = before[:n] + tail[start:end]
        if n > len(before) or term <= before:
            raise ValueError("its terms are not in order")
        terms.append(term.decode())  # UnicodeDecodeError is a ValueError
        before = term
    return terms
