"""Writes results to disk and reads them.

`<output>/<system>/<task>/<split>.json` is the result. The folder `<split>/` beside it has each
pair's TREC run (`en-sw.run.gz`) and per-query values (`en-sw.values.tsv.gz`), and what else its
result lists under `files`, such as translations (`en-sw.translations.jsonl.gz`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel

from clir_bench.core.bounded_files import read_plain, unpack_gzip
from clir_bench.core.display import shown_path, visible
from clir_bench.core.files import (
    UNFINISHED,
    inside,
    output_errors,
    refuse_links_out,
    write_file,
)
from clir_bench.core.structured_files import parse_json, validated
from clir_bench.errors import DataError, OutputError, ResultError
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import SCHEMA_VERSION, PairResult, Result, SuiteResult
from clir_bench.results.trec_runs import format_run
from clir_bench.types import LanguagePair, Run

_AnyResult = TypeVar("_AnyResult", Result, SuiteResult, Result | SuiteResult)
_LARGEST_RESULT_BYTES = 64 * 2**20
_LARGEST_VALUES_BYTES = 64 * 2**20
"""Largest result, and largest unpacked values file: 112 pairs take 270 KB, 100,000 queries take
12 MB."""

_LARGEST_VALUE = 1e12
"""No measure of a query is larger; sums of millions of such values are still finite."""

_RANDOM = rf"\.[a-z0-9_]{{8}}{re.escape(UNFINISHED)}"  # as `mkstemp` makes names
_OF_PAIR = re.compile(rf"\..+\.(run|values\.tsv|translations\.jsonl)\.gz{_RANDOM}")
_SAME_MEAN = 1e-9
"""Means of the same values differ by no more than this, whichever tool computed them."""
_STALE_SECONDS = 3600
"""A file unchanged for this long was left by a killed run."""


def system_folder(name: str) -> str:
    """Return a system's name as a folder name, safe on every file system.

    >>> system_folder("my/model: v2")
    'my_model_v2'
    """
    folder = re.sub(r"[^\w.@+-]+", "_", name, flags=re.ASCII).strip("._")[:120] or "system"
    if name.isascii():
        return folder
    # Two names in another script must not share a folder.
    return f"{folder}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def result_path(output: Path, system: str, task: str, split: str) -> Path:
    """Return where the result of a system on a task's split is stored.

    Raises:
        ResultError: The task's or split's name, which a file may state, leaves the folder.
    """
    what = f"the result of task {task[:80]!r}, split {split[:80]!r}"
    folder = output / system_folder(system)
    return inside(folder, f"{task}/{split}.json", what, error=ResultError)


def result_file(path: Path, name: str | None, what: str) -> Path:
    """Return the path of a file that the result at `path` names.

    Raises:
        DataError: The name leaves the result's folder, or there is none.
    """
    if name is None:
        raise DataError(f"{path}: states no {what}; run it again")
    return inside(path.parent, name, f"{path}: {what}")


def read_result(path: Path) -> Result | SuiteResult:
    """Read a stored result.

    Raises:
        ResultError: It is missing, broken, or of another schema version.
    """
    try:
        data = read_plain(path, _LARGEST_RESULT_BYTES, follow_links=True)
        raw = parse_json(data, shown_path(path), DataError)
    except DataError as error:
        if not os.path.lexists(path):
            raise ResultError(f"{path}: no such result") from None
        problem = str(error).removeprefix(f"{shown_path(path)}: ")
        raise ResultError(f"{path}: not a result: {problem}") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise ResultError(
            f"{path}: schema version {version!r}, this clir-bench reads {SCHEMA_VERSION}; "
            "read it with the version that wrote it, or run again"
        )
    if "suite" in raw:
        return validated(SuiteResult, raw, str(path), ResultError)
    return validated(Result, raw, str(path), ResultError)


def find_results(paths: Iterable[Path]) -> list[Path]:
    """Return the named files; a folder stands for all JSON files below it.

    Raises:
        ResultError: A folder has none.
    """
    found: list[Path] = []
    for path in paths:
        # Not a named pipe or a folder with such a name.
        inside = sorted(file for file in path.rglob("*.json") if file.is_file())
        if path.is_dir() and not inside:
            raise ResultError(f"{path}: no result in this folder")
        found += inside if path.is_dir() else [path]
    return found


def shown_result(result: _AnyResult) -> _AnyResult:
    """Return a result for tables: all its texts are on one line, without hidden characters.

    Line ends are escaped too: a name must not start a line of its own.
    """
    return type(result).model_validate(_spelled_out(result.model_dump()))


def _spelled_out(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {_spelled_out(key): _spelled_out(inner) for key, inner in value.items()}
    return type(value)(map(_spelled_out, value)) if isinstance(value, list | tuple) else value


def write_result(path: Path, result: Result | SuiteResult) -> None:
    """Store a result as sorted JSON; the old one stays until the new one is complete.

    Raises:
        OutputError: The folder cannot be written, a link leads out of it, or the disk is full.
    """
    for file in (path, path.with_suffix("") / "of a pair"):
        refuse_links_out(path.parents[2], file, error=OutputError)
    write_file(path, (to_json(result, indent=1) + "\n").encode())


def to_json(model: BaseModel, indent: int | None = None) -> str:
    """Return a result or a card as JSON with sorted keys, on one line unless indented."""
    values = model.model_dump(mode="json")
    # Fields that came later stand only where they say something: older files stay as they are.
    _drop(values, later_commands=[])
    _drop(values.get("system"), details={}, parts=[], instruction="")
    for pair in values.get("pairs", {}).values():
        _drop(pair, method="", files={})
    text = json.dumps(values, sort_keys=True, indent=indent, ensure_ascii=False, allow_nan=False)
    # A file name that is not UTF-8 holds half a surrogate pair, which JSON can escape.
    return text.encode(errors="backslashreplace").decode()


def _drop(values: Any, **empty: object) -> None:
    """Remove the fields that hold these values."""
    for name, value in empty.items():
        if isinstance(values, dict) and values.get(name) == value:
            del values[name]


def write_run(path: Path, pair: LanguagePair, run: Run, tag: str) -> tuple[str, str]:
    """Store a pair's run; return its name relative to the result's folder, and its sha256."""
    return _write_beside(path, f"{path.stem}/{pair}.run.gz", format_run(run, tag))


def write_values(path: Path, pair: LanguagePair, scores: QueryScores) -> tuple[str, str]:
    """Store a pair's per-query values; return the file's name and sha256 as `write_run` does."""
    return _write_beside(path, f"{path.stem}/{pair}.values.tsv.gz", format_values(scores))


def write_more(path: Path, pair: LanguagePair, contents: Mapping[str, bytes]) -> dict[str, str]:
    """Store a pair's further files, named by suffix; return their names and sha256."""
    return dict(
        _write_beside(path, f"{path.stem}/{pair}.{suffix}", data)
        for suffix, data in contents.items()
    )


def _write_beside(path: Path, name: str, data: bytes) -> tuple[str, str]:
    file = result_file(path, name, "a file of a pair")
    refuse_links_out(path.parents[2], file, error=OutputError)
    write_file(file, data)
    return name, hashlib.sha256(data).hexdigest()


def read_pair_values(path: Path, pair: LanguagePair, stored: PairResult) -> QueryScores:
    """Return a pair's per-query values, after checking that the result at `path` has them.

    Older results do not state the sha256 of values; they are accepted if their stated means are
    those of the values.

    Raises:
        DataError: The file is missing, broken, or holds other values than the result was made from.
    """
    file = result_file(path, stored.values_file, f"values_file of {pair}")
    remedy = f"put the file of {pair} back that was there, or run the pair again"
    data = read_plain(file, _LARGEST_VALUES_BYTES)
    if stored.values_sha256 not in (None, hashlib.sha256(data).hexdigest()):
        raise DataError(
            f"{file}: not the values that {path.name} states: its sha256 is another; {remedy}"
        )
    values = parse_values(unpack_gzip(data, file, _LARGEST_VALUES_BYTES), file)
    if stored.values_sha256 is not None:
        return values
    means = values.means()
    for measure, score in stored.scores.items():
        if measure in means and abs(means[measure] - score.mean) > _SAME_MEAN:
            raise DataError(
                f"{file}: not the values that {path.name} states: their {measure} is "
                f"{means[measure]!r}, and {score.mean!r} is stated; {remedy}"
            )
    return values


def parse_values(text: bytes, path: Path) -> QueryScores:
    """Return the per-query values in the unpacked file `path`.

    Raises:
        DataError: It is not what `write_values` writes.
    """
    try:
        lines = text.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = text.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{number}: not UTF-8: {error.reason}; convert the file") from None
    if not lines[-1]:
        lines.pop()
    return _values([line.removesuffix("\r") for line in lines], path)


def _values(lines: Sequence[str], path: Path) -> QueryScores:
    """Parse the lines of a values file, all columns at once."""
    names = lines[0].split("\t") if lines else ["query_id"]
    if names[0] != "query_id":
        raise DataError(f"{path}:1: expected a header that begins with query_id")
    width, rows = len(names), lines[1:]
    if not rows:
        raise DataError(f"{path}: no values")
    values = np.empty((len(rows), width - 1))
    cells = "\t".join(rows).split("\t")
    try:
        regular = all(row.count("\t") == width - 1 for row in rows)
        for column in range(width - 1) if regular else ():
            values[:, column] = [float(cell) for cell in cells[column + 1 :: width]]
    except ValueError:
        regular = False
    if not regular or not (np.abs(values) <= _LARGEST_VALUE).all():
        raise DataError(f"{path}:{_first_problem(rows, width - 1)}")
    return QueryScores(tuple(cells[::width]), tuple(names[1:]), values)


def _first_problem(rows: Sequence[str], n_values: int) -> str:
    """Return the first line that is wrong, and how."""
    for number, row in enumerate(rows, start=2):
        cells = row.split("\t")[1:]
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            return f"{number}: values must be numbers"
        if not all(abs(value) <= _LARGEST_VALUE for value in values):
            return f"{number}: values must be finite numbers of at most {_LARGEST_VALUE:g}"
        if len(values) != n_values:
            return f"{number}: expected {n_values} values, found {len(values)}"
    return "2: no values"


def read_scores(
    path: Path, result: Result, pairs: Iterable[LanguagePair] | None = None
) -> dict[LanguagePair, QueryScores]:
    """Return per-query values of the pairs of a stored result that are done.

    A values file may hold more measures than the result, from an earlier run. Only the result's own
    are returned, in its order.

    Args:
        path: Where `result` was read from.
        result: The result.
        pairs: Only these; all that are done when None.

    Raises:
        DataError: A values file is missing, broken or another than the result was made from.
    """
    wanted = None if pairs is None else {str(pair) for pair in pairs}
    found = {}
    for name, pair_result in result.pairs.items():
        if pair_result.status == "done" and (wanted is None or name in wanted):
            pair = LanguagePair.parse(name)
            values = read_pair_values(path, pair, pair_result)
            found[pair] = values.only(result.task.measures)
    return found


def check_writable(path: Path) -> None:
    """Check now that `path` can be written later, and remove the leftovers of killed runs.

    Raises:
        OutputError: Says which path and why.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
        now = os.fstat(handle).st_mtime  # by the clock of the file system, perhaps another machine
        os.close(handle)
        Path(name).unlink()
    _sweep(path.parent, re.compile(rf"\.{re.escape(path.name)}{_RANDOM}"), now)
    _sweep(path.with_suffix(""), _OF_PAIR, now)


def _sweep(folder: Path, names: re.Pattern[str], now: float) -> None:
    """Remove half-written files, by name, that are too old to be in progress."""
    try:
        found = [path for path in folder.iterdir() if names.fullmatch(path.name)]
    except OSError:
        return
    for path in found:
        with suppress(OSError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and now - status.st_mtime > _STALE_SECONDS:
                path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from storing a result in the same output folder meanwhile.

    `path` is as `result_path` returns it; the lock is one hidden file in the output folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    from filelock import FileLock

    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.parents[2] / ".lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def format_values(scores: QueryScores) -> bytes:
    """Return per-query values as a gzipped table, with every digit."""
    lines = ["\t".join(("query_id", *scores.measures))]
    for query_id, values in zip(scores.query_ids, scores.values.tolist(), strict=True):
        lines.append("\t".join((query_id, *(repr(value) for value in values))))
    return gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=6, mtime=0)
