"""Stores scores of pairs of query and document, so that a killed run does not score them again.

A model has one file. It grows by chunks: 4 bytes of mark, the number of pairs, per pair 8 bytes of
key and a float32, and 16 bytes of checksum. The checksum covers the model's identity too. Reading
ends at the first damaged chunk, and what follows is removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.files import output_errors
from clir_bench.results.store import system_folder
from clir_bench.search.topk import Scores
from clir_bench.search.vectors.cache_key import Identity, key_sha256
from clir_bench.search.vectors.store import Keeping

logger = logging.getLogger(__name__)

AUTO_PAIRS = 1000
"""Fewer pairs are stored only if a folder is named: scoring them again is quick."""
FOLDER = "pairs"
_MARK, _HEAD, _CHECKSUM_BYTES = b"pair", struct.Struct("<4sI"), 16
_PAIR = np.dtype([("key", "<u8"), ("score", "<f4")])

Keys = NDArray[np.uint64]


def text_digest(text: str, language: str) -> bytes:
    """Return a digest of a text and its language."""
    data = f"{language}\0{text}".encode(errors="surrogatepass")
    return hashlib.blake2b(data, digest_size=16).digest()


def pair_key(query: bytes, document: bytes) -> int:
    """Return the key of a pair of digests."""
    return int.from_bytes(hashlib.blake2b(query + document, digest_size=8).digest(), "little")


class PairScores:
    """The stored scores of one model.

    Args:
        path: The model's file; None stores nothing.
        identity: Digest of what decides the scores.
    """

    def __init__(self, path: Path | None, identity: bytes) -> None:
        self._path, self._identity = path, identity
        self._keys: Keys = np.empty(0, dtype=np.uint64)
        self._scores: Scores = np.empty(0, dtype=np.float32)
        if path is not None:
            self._read(path)

    @classmethod
    def of(cls, keeping: Keeping, model: str, identity: Identity, n_pairs: int) -> PairScores:
        """Return the stored scores of a model that is to score so many pairs.

        Raises:
            OutputError: A folder is named, and it cannot be written.
        """
        asked = keeping.mode == "keep"
        if identity.untold and asked:
            logger.warning("scores of pairs are not stored: %s", identity.untold)
        if keeping.mode == "off" or identity.untold or not (asked or n_pairs >= AUTO_PAIRS):
            return cls(None, b"")
        key = {name: json.dumps(value) for name, value in identity.fields.items()}
        sha256 = key_sha256(key)
        path = keeping.root / FOLDER / f"{system_folder(model)}-{sha256[:12]}.scores"
        try:
            with output_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                return cls(path, bytes.fromhex(sha256))
        except Exception as error:
            if asked:
                raise
            logger.warning("scores of pairs are not stored: %s", error)
            return cls(None, b"")

    def find(self, keys: Keys) -> Scores:
        """Return the scores of pairs, NaN where they are not stored."""
        found = np.full(len(keys), np.nan, dtype=np.float32)
        if len(self._keys):
            places = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
            known = self._keys[places] == keys
            found[known] = self._scores[places[known]]
        return found

    def add(self, keys: Keys, scores: Scores) -> None:
        """Store scores; the run goes on without storing them if the disk is full."""
        if self._path is None or not len(keys):
            return
        pairs = np.empty(len(keys), dtype=_PAIR)
        pairs["key"], pairs["score"] = keys, scores
        chunk = _HEAD.pack(_MARK, len(pairs)) + pairs.tobytes()
        try:
            with self._path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(chunk + self._checksum(chunk))
        except OSError as error:
            logger.warning("%s: scores are no longer stored: %s", self._path, error.strerror)
            self._path = None

    def _read(self, path: Path) -> None:
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.utime(file.fileno())  # the time of last use decides which old files are removed
            file.seek(0)
            data = file.read()
            parts, end = [], 0
            while end < len(data):
                chunk, checksum = self._chunk(data, end)
                if not chunk or self._checksum(chunk) != checksum:
                    logger.warning("%s: damaged from byte %d; the rest is scored again", path, end)
                    file.truncate(end)
                    break
                parts.append(np.frombuffer(chunk, dtype=_PAIR, offset=_HEAD.size))
                end += len(chunk) + _CHECKSUM_BYTES
        if parts:
            pairs = np.concatenate(parts)
            self._keys, first = np.unique(pairs["key"], return_index=True)
            self._scores = pairs["score"][first]

    def _chunk(self, data: bytes, start: int) -> tuple[bytes, bytes]:
        """Return a chunk and its checksum, both empty if it is none."""
        if len(data) < start + _HEAD.size:
            return b"", b""
        mark, n_pairs = _HEAD.unpack_from(data, start)
        end = start + _HEAD.size + n_pairs * _PAIR.itemsize
        return (data[start:end], data[end : end + _CHECKSUM_BYTES]) if mark == _MARK else (b"", b"")

    def _checksum(self, chunk: bytes) -> bytes:
        return hashlib.sha256(self._identity + chunk).digest()[:_CHECKSUM_BYTES]
