"""Writes runs small enough for git: TREC runs with ranks as scores, aligned columns, and xz.

A line is still `query_id Q0 doc_id rank score tag`. After `xz -dc`, every tool for TREC runs can
read it. Three things make the file small without changing the order:

- The scores are whole numbers: `depth` for the first document, and one less for each next one. The
  system's own scores are two thirds of a run file, and no measure needs them.
- Columns are padded with spaces, document ids on the left, so that all lines have the same length,
  a multiple of 16 bytes. This helps xz: except for document ids, each line repeats the bytes at the
  same places of the line before. xz needs 1.4 to 2.6 bytes per line. Without the padding, xz needs
  1.7 to 4.1 and gzip 3.8 to 8.9 (measured on all-minilm-l6-v2's runs).
- xz gets this alignment as settings (`lp` and `pb`).
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from clir_bench.core.text_files import read_columns
from clir_bench.errors import DataError
from clir_bench.results.trec_runs import read_run
from clir_bench.types import Run

SUFFIX = ".run.xz"
LARGEST_PACKED_BYTES = 4 * 2**20
LARGEST_BYTES = 64 * 2**20
"""Of one run, in xz and unpacked."""

LONGEST_LINE = 1024
_ALIGNMENT = 16
_FILTERS = [
    {
        "id": lzma.FILTER_LZMA2,
        "dict_size": 2**23,
        "lc": 0,
        "lp": 4,
        "pb": 4,
        "mode": lzma.MODE_NORMAL,
        "nice_len": 64,
        "mf": lzma.MF_BT4,
        "depth": 1000,
    }
]


def cut(run: Run, depth: int) -> Run:
    """Return every query's first `depth` documents, scored by their ranks."""
    doc_ids = [tuple(ids[:depth]) for ids in run.doc_ids]
    return Run(run.query_ids, doc_ids, [_falling(len(ids), depth) for ids in doc_ids])


def read_top(path: Path, depth: int) -> Run:
    """Return every query's first `depth` documents of any TREC run, scored by their ranks.

    Gives the order of `trec_runs.read_run`, in a third of the time if the file is already sorted.

    Raises:
        DataError: As `trec_runs.read_run`.
    """
    found: dict[str, list[str]] = {}
    scores: list[float] = []
    current = None
    for _, (query_id, _, doc_id, _, score, _) in read_columns(path, 6, None):
        if query_id != current:
            if query_id in found or not _falls(scores):
                return cut(read_run(path), depth)
            current, scores, ids = query_id, [], found.setdefault(query_id, [])
        try:
            scores.append(float(score))
        except ValueError:
            return cut(read_run(path), depth)  # which says what is wrong
        if len(ids) < depth:
            ids.append(doc_id)
    if not found or not _falls(scores) or any(len(set(ids)) < len(ids) for ids in found.values()):
        return cut(read_run(path), depth)
    falling = [_falling(len(ids), depth) for ids in found.values()]
    return Run(tuple(found), tuple(tuple(ids) for ids in found.values()), falling)


def format_compact(run: Run, depth: int, tag: str) -> bytes:
    """Return a cut run as aligned TREC text, the same bytes for the same run.

    Queries keep the run's order; those without documents have no line.

    Raises:
        DataError: The run is too large to be submitted.
    """
    width = _width(run.query_ids), _width(doc_id for ids in run.doc_ids for doc_id in ids)
    tails = _tails(depth, tag)
    length = width[0] + len(" Q0 ") + width[1] + len(tails[0])
    id_width = width[1] + -length % _ALIGNMENT
    lines: list[bytes] = []
    for query_id, doc_ids in zip(run.query_ids, run.doc_ids, strict=True):
        head = query_id.encode().ljust(width[0]) + b" Q0 "
        for doc_id, tail in zip(doc_ids, tails, strict=False):
            lines += (head, doc_id.encode().rjust(id_width), tail)
    text = b"".join(lines)
    if len(text) > LARGEST_BYTES:
        raise DataError(
            f"a run has {len(text):,} bytes; at most {LARGEST_BYTES:,} can be submitted for a pair"
        )
    return text


def compress(text: bytes) -> bytes:
    """Return text as xz, the same bytes for the same text and version of liblzma."""
    return lzma.compress(text, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=_FILTERS)


def parse_compact(text: bytes, *, depth: int, n_queries: int, tag: str, where: str) -> Run:
    """Return the run in text that `format_compact` wrote; refuse any other text.

    Args:
        text: Not trusted, but no larger than `LARGEST_BYTES`.
        depth: Most documents per query.
        n_queries: Most queries.
        tag: The required last column.
        where: Names the file in errors.

    Raises:
        DataError: The text is not byte for byte what `format_compact` writes for that run.
    """
    _check_lines(text, depth * n_queries, where)
    if run := _read_columns(text, depth, tag):
        return run
    # Something is wrong. Each of the following steps can say what.
    tokens = text.split()
    if not tokens or len(tokens) % 6:
        raise DataError(f"{where}: expected lines `query_id Q0 doc_id rank score tag`")
    by_query: dict[bytes, list[str]] = {}
    for query_token, doc_token in zip(tokens[0::6], tokens[2::6], strict=True):
        by_query.setdefault(query_token, []).append(doc_token.decode("utf-8", "replace"))
    found = {token.decode("utf-8", "replace"): ids for token, ids in by_query.items()}
    _check_rankings(found, depth, where)
    doc_ids = tuple(tuple(ids) for ids in found.values())
    run = Run(tuple(found), doc_ids, [_falling(len(ids), depth) for ids in doc_ids])
    expected = format_compact(run, depth, tag)
    if text != expected:
        number = _first_difference(text, expected)
        raise DataError(
            f"{where}:{number}: differs from what `clir-bench submit` writes (lines by query, "
            f"ranks from 1, scores from {depth} downwards, the tag {tag!r}, columns of one width); "
            "submit the result again"
        )
    return run


def _read_columns(text: bytes, depth: int, tag: str) -> Run | None:
    """Return the run in checked lines, or None if `format_compact` would not write them so."""
    length = text.index(b"\n") + 1
    table = np.frombuffer(text, dtype=np.uint8).reshape(-1, length)
    query_width = text.find(b" Q0 ", 0, length)
    tails = _tails(depth, tag)
    id_start, id_end = query_width + len(" Q0 "), length - len(tails[0])
    if query_width < 1 or id_end <= id_start:
        return None
    queries, ids = table[:, :query_width], table[:, id_start:id_end]
    starts = np.flatnonzero((queries[1:] != queries[:-1]).any(axis=1)) + 1
    starts = np.concatenate([[0], starts])
    sizes = np.diff(starts, append=len(table))
    ranks = np.arange(len(table)) - np.repeat(starts, sizes)
    blank = ord(" ")
    if (
        sizes.max() > depth
        or (table[:, query_width:id_start] != np.frombuffer(b" Q0 ", dtype=np.uint8)).any()
        or (
            table[:, id_end:] != np.frombuffer(b"".join(tails), np.uint8).reshape(depth, -1)[ranks]
        ).any()
        # With six columns in a line, these two leave one name in each of both.
        or (queries[:, 0] == blank).any()
        or (ids[:, -1] == blank).any()
        or (queries[:, -1] == blank).all()
        or (ids[:, :_ALIGNMENT] == blank).all()
    ):
        return None
    try:
        query_ids = _names(queries[starts])
        doc_ids = _names(ids)
    except UnicodeDecodeError:
        return None
    ends = (starts + sizes).tolist()
    rankings = [tuple(doc_ids[a:b]) for a, b in zip(starts.tolist(), ends, strict=True)]
    if len(set(query_ids)) < len(query_ids) or any(len(set(r)) < len(r) for r in rankings):
        return None
    falling = _falling(depth, depth)
    return Run(tuple(query_ids), tuple(rankings), [falling[: len(r)] for r in rankings])


def _names(column: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> list[str]:
    """Return the names in a column of text, which holds one per line, padded with spaces."""
    ended = np.pad(column, ((0, 0), (0, 1)), constant_values=ord("\n"))
    text: bytes = ended[ended != ord(" ")].tobytes()
    return text.decode().split("\n")[:-1]


def _check_lines(text: bytes, most: int, where: str) -> None:
    """Check that the lines and columns are few enough for memory."""
    length = text.find(b"\n", 0, LONGEST_LINE) + 1
    n_lines, rest = divmod(len(text), length) if length else (0, 1)
    if rest or length % _ALIGNMENT:
        raise DataError(
            f"{where}: expected lines of one length, a multiple of {_ALIGNMENT} bytes and at most "
            f"{LONGEST_LINE}; submit the result again"
        )
    if n_lines > most:
        raise DataError(f"{where}: {n_lines:,} lines; expected at most {most:,}")
    table = np.frombuffer(text, dtype=np.uint8).reshape(n_lines, length)
    blank = table <= ord(" ")
    n_columns = (~blank[:, 1:] & blank[:, :-1]).sum(axis=1) + ~blank[:, 0]
    control = (table < ord(" ")).sum(axis=1) != 1
    odd = np.flatnonzero((table[:, -1] != ord("\n")) | control | (n_columns != 6))
    if len(odd):
        raise DataError(
            f"{where}:{odd[0] + 1}: expected `query_id Q0 doc_id rank score tag`, with spaces"
        )


def _check_rankings(found: dict[str, list[str]], depth: int, where: str) -> None:
    for query_id, ids in found.items():
        if len(ids) > depth:
            raise DataError(
                f"{where}: {len(ids):,} documents for query {query_id[:60]!a}; at most {depth} are "
                "allowed"
            )
        if len(set(ids)) < len(ids):
            twice = next(doc_id for doc_id in ids if ids.count(doc_id) > 1)
            raise DataError(f"{where}: {twice[:60]!a} occurs twice for query {query_id[:60]!a}")


def _first_difference(text: bytes, expected: bytes) -> int:
    lines = zip(text.split(b"\n"), expected.split(b"\n"), strict=False)
    return next((n for n, (one, other) in enumerate(lines, start=1) if one != other), 1)


def _tails(depth: int, tag: str) -> list[bytes]:
    """Return what follows the document at each rank: the rank, the score and the tag."""
    digits = len(str(depth))
    tag = "_".join(tag.split()) or "run"
    return [
        f" {rank:>{digits}} {depth + 1 - rank:>{digits}} {tag}\n".encode()
        for rank in range(1, depth + 1)
    ]


def _width(identifiers: Iterable[str]) -> int:
    return max(map(len, map(str.encode, identifiers)), default=0)


def _falling(n: int, depth: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.arange(depth, depth - n, -1, dtype=np.float32)


def _falls(scores: Sequence[float]) -> bool:
    with np.errstate(over="ignore"):
        single = np.array(scores, dtype=np.float32)
    return bool(np.isfinite(single).all() and (single[1:] < single[:-1]).all())
