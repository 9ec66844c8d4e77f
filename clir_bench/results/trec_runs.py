"""Reads and writes TREC run files: `query_id Q0 doc_id rank score tag`, in trec_eval's order.

In a written file, each score is lower than the one before, so every tool reads the order that was
scored here. Among equal scores, trec_eval puts the higher document id first, but other tools of
ir-measures (such as those of RR@10 and Judged@10) the lower.
"""

from __future__ import annotations

import gzip
import io
import math
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from clir_bench.core.files import sha256_of
from clir_bench.core.text_files import read_columns
from clir_bench.errors import DataError
from clir_bench.results.schema import PairResult
from clir_bench.types import LanguagePair, Run, Vectors

_SIGN, _ALL_BUT_SIGN = 1 << 31, (1 << 31) - 1
_LARGEST = 0x7F7FFFFF  # the largest float32, read as an integer

_LARGEST_RUN_BYTES, _LONGEST_LINE_BYTES = 16 * 2**30, 1024
"""Largest packed run, and line of it: 100,000 queries of 1,000 documents take 2 GB."""


def format_run(run: Run, tag: str) -> bytes:
    """Return a run as gzipped TREC text, the same bytes for the same run.

    Scores are written with nine significant digits, which keep a float32 unchanged. Of equal scores
    all but the first are lowered (see `strictly_falling`). White space in the tag becomes "_".
    """
    tag = "_".join(tag.split()) or "run"
    rest_of_lines = _rest_of_lines(tag, max(map(len, run.doc_ids), default=0))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as file:
        for query_id, doc_ids, scores in zip(run.query_ids, run.doc_ids, run.scores, strict=True):
            values: list[object] = [None] * (2 * len(doc_ids))
            values[::2], values[1::2] = doc_ids, strictly_falling(scores).tolist()
            # One template per query takes half the time of one line at a time.
            template = query_id.replace("%", "%%").join(["", *rest_of_lines[: len(doc_ids)]])
            file.write((template % tuple(values)).encode())
    return buffer.getvalue()


def _rest_of_lines(tag: str, n: int) -> list[str]:
    """Return the template of the first `n` lines after the query's id."""
    tag = tag.replace("%", "%%")
    return [f" Q0 %s {rank} %.9g {tag}\n" for rank in range(1, n + 1)]


def strictly_falling(scores: Vectors) -> Vectors:
    """Return scores of which each is less than the one before, changed as little as possible.

    Each score becomes the largest float32 that is not above it and below the one before. If this
    would end below the lowest float32, the last ones are raised.

    >>> strictly_falling(np.array([0.5, 0.25, 0.25], dtype=np.float32)).tolist()
    [0.5, 0.25, 0.2499999850988388]

    Args:
        scores: `(n_documents,)` float32, finite, none larger than the one before.
    """
    if (scores[1:] < scores[:-1]).all():
        return scores
    # Read as integers, floats of one sign are in order and neighbours differ by one.
    bits = scores.view(np.int32).astype(np.int64)
    place = np.where(bits < 0, -(bits & _ALL_BUT_SIGN), bits)
    steps = np.arange(len(scores))
    place = np.minimum.accumulate(place + steps) - steps
    place = np.maximum(place, steps[::-1] - _LARGEST)
    bits = np.where(place < 0, -place | _SIGN, place)
    return bits.astype(np.uint32).view(np.float32)


def read_run(path: Path) -> Run:
    """Read a run from any tool; score and id decide the order, as in trec_eval.

    The rank column is ignored, as in trec_eval.

    Raises:
        DataError: A line has not six columns, a score is no finite number, a document occurs twice
            for one query, or there is no line at all.
    """
    found: dict[str, dict[str, float]] = {}
    for number, (query_id, _, doc_id, _, score, _) in read_columns(path, 6, None):
        value = _parse_score(score)
        if not math.isfinite(value):
            raise DataError(f"{path}:{number}: score must be a finite float32, found {score!r}")
        ranking = found.setdefault(query_id, {})
        if doc_id in ranking:
            raise DataError(f"{path}:{number}: {doc_id!r} occurs twice for query {query_id!r}")
        ranking[doc_id] = value
    if not found:
        raise DataError(f"{path}: no line; expected `query_id Q0 doc_id rank score tag`")
    return from_scores(found)


def is_stored_run(file: Path, stored: PairResult) -> bool:
    """Return whether a file is the run that a pair was scored from.

    A file larger than this run can be is not read; a sparse file may claim terabytes.
    """
    n_lines = stored.counts.retrieved if stored.counts else 0
    largest = min(_LARGEST_RUN_BYTES, n_lines * _LONGEST_LINE_BYTES or _LARGEST_RUN_BYTES)
    is_possible = file.is_file() and file.stat().st_size <= largest
    return is_possible and sha256_of(file) == stored.run_sha256


@dataclass(frozen=True)
class RunFile:
    """A run file that can be read several times.

    Attributes:
        path: Where it is read from.
        name: The user's name for it.
    """

    path: Path
    name: str

    def __str__(self) -> str:
        return self.name

    def read(self) -> Run:
        """Return the run.

        Raises:
            DataError: As `read_run`.
        """
        try:
            return read_run(self.path)
        except DataError as error:
            raise DataError(str(error).replace(str(self.path), self.name)) from None


@contextmanager
def run_files(paths: Mapping[LanguagePair, Path]) -> Iterator[dict[LanguagePair, RunFile]]:
    """Open run files; a pipe can be read only once, so its content is copied to a folder.

    Raises:
        DataError: A pipe cannot be read, or there is no room for a copy of its content.
    """
    with TemporaryDirectory(prefix="clir-bench-") as folder:
        found = {}
        for pair, path in paths.items():
            copy = path if path.is_file() else Path(folder) / f"{pair}.run"
            try:
                if copy != path:
                    with path.open("rb") as source, copy.open("wb") as target:
                        shutil.copyfileobj(source, target)
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
            found[pair] = RunFile(copy, str(path))
        yield found


def from_scores(scores: dict[str, dict[str, float]]) -> Run:
    """Return a run of query id to document id to score, put in trec_eval's order."""
    doc_ids: list[tuple[str, ...]] = []
    values: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    for ranking in scores.values():
        single = {doc_id: float(np.float32(score)) for doc_id, score in ranking.items()}
        ordered = sorted(single.items(), key=lambda item: item[0], reverse=True)
        ordered.sort(key=lambda item: item[1], reverse=True)
        doc_ids.append(tuple(doc_id for doc_id, _ in ordered))
        values.append(np.array([score for _, score in ordered], dtype=np.float32))
    return Run(tuple(scores), tuple(doc_ids), tuple(values))


def _parse_score(text: str) -> float:
    """Return a score, NaN if trec_eval could not keep it as a float32."""
    try:
        value = float(text)
        struct.pack("<f", value)
    except (ValueError, OverflowError):
        return math.nan
    return value
