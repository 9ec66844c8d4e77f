"""TREC run files: `query_id Q0 doc_id rank score tag`, ranks from 1, in trec_eval's order."""

from __future__ import annotations

import gzip
import io
import math
import struct
from pathlib import Path

import numpy as np

from clir_bench.adapters.files import read_columns
from clir_bench.errors import DataError
from clir_bench.types import Run


def format_run(run: Run, tag: str) -> bytes:
    """Return a run as gzipped TREC text, the same bytes for the same run.

    Scores are written with nine significant digits, which float32 survives unchanged. White space
    in the tag becomes "_".
    """
    tag = "_".join(tag.split()) or "run"
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as file:
        for query_id, doc_ids, scores in zip(run.query_ids, run.doc_ids, run.scores, strict=True):
            lines = [
                f"{query_id} Q0 {doc_id} {rank} {score:.9g} {tag}\n"
                for rank, (doc_id, score) in enumerate(
                    zip(doc_ids, scores.tolist(), strict=True), start=1
                )
            ]
            file.write("".join(lines).encode())
    return buffer.getvalue()


def read_run(path: Path) -> Run:
    """Read a run made anywhere; the order is decided by score and id, as trec_eval does.

    The rank column is not believed: trec_eval ignores it too.

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
    """Return a score, NaN where there is none that trec_eval could keep as a float32."""
    try:
        value = float(text)
        struct.pack("<f", value)
    except (ValueError, OverflowError):
        return math.nan
    return value
