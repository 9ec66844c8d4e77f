"""`hashing`: an encoder of hashed character n-grams, a baseline that only sees shared characters.

It needs no weights, knows no language and has learned nothing. Between languages of different
scripts it should score near chance; where it does not, the benchmark leaks (shared numbers, names,
Latin words). The construction:

1. A text is NFKC-normalised, case-folded and NFKC-normalised again. Every run of separators
   (Unicode categories P, S, Z, C) becomes one boundary, and so do both ends of the text.
2. Features are the character n-grams, n = 3, 4, 5, with boundaries only as their first or last
   character, and the pairs of neighbouring characters (n = 2) of scripts where one character is a
   syllable or a word: there, words are too short for three.
3. An n-gram c1..cn (code points, 0 for a boundary) hashes to
   h = c1 A^(n-1) + ... + cn (mod 2^64), A = 0x9E3779B97F4A7C15, then splitmix64's finaliser of
   h xor n (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195). Its upper 32 bits choose one
   of `DIM` - 1 buckets by multiplication, its lowest bit a sign (Weinberger et al. 2009,
   arXiv 0902.2206).
4. A bucket holding the signed count s becomes sign(s) sqrt(|s|), and rows are scaled to unit
   length. Square roots of integers are exact to the last bit by IEEE 754, so the vectors are the
   same on every machine; logarithms need not be.
5. The last dimension is kept for texts without any n-gram (punctuation, nothing at all) and for
   those whose n-grams cancel to nothing: they get the unit vector along it, so that no row is zero
   and they resemble one another and no other text.

Python versions differ in the newest characters of Unicode that they know; nothing else depends on
Python, numpy or the machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from clir_bench.errors import UsageError
from clir_bench.types import EncoderInfo, EncoderRequest, Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIM = 2048
ORDERS = (3, 4, 5)
MULTIPLIER = 0x9E3779B97F4A7C15
SYLLABIC = ((0x2E80, 0xD7FF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""First and last code points of Han, kana, Hangul, Yi and their neighbours."""
_REVISION = "hashing-1"
_MAX_CHUNK_CHARACTERS = 1 << 20


class HashingEncoder:
    """Turns texts into hashed character n-grams; the module's docstring gives the construction."""

    dim = DIM

    def __init__(self, batch_size: int = 512) -> None:
        self._batch_size = batch_size
        self.info = EncoderInfo(
            name="hashing",
            revision=_REVISION,
            similarity="cosine",
            license="Apache-2.0",
            description="hashed character 3- to 5-grams, no weights: what surface overlap scores",
        )

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return unit rows, float32 `(len(texts), DIM)`."""
        return self._encode(texts)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return unit rows, float32 `(len(texts), DIM)`."""
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        rows = np.zeros((len(texts), DIM), dtype=np.float32)
        done = 0
        for chunk in _chunks(texts, self._batch_size):
            rows[done : done + len(chunk)] = _rows(chunk)
            done += len(chunk)
        return rows


def load(request: EncoderRequest) -> HashingEncoder:
    """Return the encoder `hashing`, always on the CPU in float32.

    Raises:
        UsageError: It was given an argument.
    """
    if request.argument:
        raise UsageError(
            f"model {request.name!r} takes no argument, found {request.argument!r}; "
            f"write --model {request.name}"
        )
    return HashingEncoder() if request.batch_size is None else HashingEncoder(request.batch_size)


def _chunks(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """Split `texts` so that neither the rows nor the characters of a chunk fill the memory."""
    chunk: list[str] = []
    n_characters = 0
    for text in texts:
        if chunk and (len(chunk) == size or n_characters + len(text) > _MAX_CHUNK_CHARACTERS):
            yield chunk
            chunk, n_characters = [], 0
        chunk.append(text)
        n_characters += len(text)
    if chunk:
        yield chunk


def _rows(texts: Sequence[str]) -> Vectors:
    """Return the vectors of one chunk, all texts hashed side by side as one long string."""
    import numpy as np

    characters, boundary, owner = _characters(texts)
    counts = np.zeros(len(texts) * DIM)
    hashes, allowed = characters, np.ones(len(characters), dtype=np.bool_)
    syllabic = _syllabic(characters)
    for n in range(2, max(ORDERS) + 1):
        n_grams = len(characters) - n + 1
        if n_grams <= 0:
            break
        hashes = hashes[:n_grams] * np.uint64(MULTIPLIER) + characters[n - 1 :]
        if n == 2:
            chosen = syllabic[:-1] & syllabic[1:]
        else:  # the character before the last is now an inner one
            chosen = allowed = allowed[:n_grams] & ~boundary[n - 2 : -1]
        # An n-gram's second character is never a boundary, so it tells whose n-gram it is.
        bucket, sign = _buckets(hashes[chosen], n)
        cell = owner[1 : n_grams + 1][chosen] * DIM + bucket
        counts += np.bincount(cell, weights=sign, minlength=len(counts))
    return _unit_rows(counts.reshape(len(texts), DIM))


def _characters(
    texts: Sequence[str],
) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return code points (0 for a boundary), whether each is a boundary, and its text."""
    import numpy as np

    folded = [
        unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        for text in texts
    ]
    joined = " " + "".join(f"{text} " for text in folded)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    boundary = _separators()[points]
    # Text i owns its characters and the space after them; the very first space belongs to none.
    lengths = np.array([1, *(len(text) + 1 for text in folded)])
    owner = np.repeat(np.maximum(np.arange(-1, len(texts)), 0), lengths)
    kept = np.ones(len(points), dtype=np.bool_)
    kept[1:] = ~(boundary[1:] & boundary[:-1])
    characters = np.where(boundary, 0, points)[kept].astype(np.uint64)
    return characters, boundary[kept], owner[kept]


@cache
def _separators() -> NDArray[np.bool_]:
    """Return for every code point whether it separates words."""
    import numpy as np

    return np.array([unicodedata.category(chr(point))[0] in "PSZC" for point in range(0x110000)])


def _syllabic(characters: NDArray[np.uint64]) -> NDArray[np.bool_]:
    import numpy as np

    inside = np.zeros(len(characters), dtype=np.bool_)
    for first, last in SYLLABIC:
        inside |= (characters >= first) & (characters <= last)
    return inside


def _buckets(hashes: NDArray[np.uint64], n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    import numpy as np

    mixed = hashes ^ np.uint64(n)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    bucket = ((mixed >> np.uint64(32)) * np.uint64(DIM - 1)) >> np.uint64(32)
    sign = 1.0 - 2.0 * (mixed & np.uint64(1)).astype(np.float64)
    return bucket.astype(np.int64), sign


def _unit_rows(counts: NDArray[np.float64]) -> Vectors:
    import numpy as np

    size = np.abs(counts)
    total = size.sum(axis=1)  # the squared length of a row, a whole number and so exact
    empty = total == 0
    rows = np.copysign(np.sqrt(size / np.where(empty, 1, total)[:, None]), counts)
    rows[empty, DIM - 1] = 1.0
    return rows.astype(np.float32)
