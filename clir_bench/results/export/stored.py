"""Writes stored results in the formats of other sites, each in one call.

Samples, partial and unofficial results are refused, and measures that look deeper than the rankings
go are left out with a note.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.bounded_files import read_unpacked
from clir_bench.core.display import printable, visible
from clir_bench.core.files import inside, write_file
from clir_bench.errors import DataError, ResultError, UsageError
from clir_bench.results.export.ir_metadata import header
from clir_bench.results.export.model_index import model_index
from clir_bench.results.export.mteb import is_known_to_mteb, task_result
from clir_bench.results.schema import PairResult, Result
from clir_bench.results.store import read_result, result_file, system_folder
from clir_bench.results.summary import not_for_boards
from clir_bench.results.system_card import card_path, read_system_card
from clir_bench.results.trec_runs import is_stored_run
from clir_bench.tasks.measures import looks_at, too_deep
from clir_bench.types import LanguagePair

_LARGEST_RUN_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Exported:
    """Results in another site's format.

    Attributes:
        text: The document, ending in a newline; "" where files were written instead.
        files: The files that were written.
        notes: What was left out, and why.
    """

    text: str = ""
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def export_mteb(path: Path) -> Exported:
    """Return a stored result as the JSON of mteb's `TaskResult`.

    Raises:
        ResultError: The result cannot be read, or is none to be published.
    """
    result, notes = _read(path)
    if not is_known_to_mteb(result.task.id):
        notes.append(f"mteb has no task with the data of {result.task.id!r}")
    text = json.dumps(task_result(result), indent=2, ensure_ascii=False) + "\n"
    return Exported(text, notes=tuple(notes))


def export_model_index(paths: Sequence[Path]) -> Exported:
    """Return one system's stored results as the front matter of a model card on the Hub.

    Raises:
        UsageError: The results are of several systems.
        ResultError: As `export_mteb`.
    """
    results, notes = _read_all(paths)
    if len({result.system.name for result in results.values()}) > 1:
        raise UsageError("--format model-index is of one model; the results are of several")
    return Exported(model_index(list(results.values())), notes=notes)


def export_runs(paths: Sequence[Path], folder: Path) -> Exported:
    """Write the runs of stored results with an ir_metadata header, `<system>/<task>/<pair>.run`.

    Args:
        paths: The results, each with its runs beside it.
        folder: Where the runs go.

    Raises:
        ResultError: As `export_mteb`.
        DataError: A run is missing, or is not the one that was scored.
        OutputError: The folder cannot be written.
    """
    results, notes = _read_all(paths)
    files = [file for path, one in results.items() for file in _write_runs(path, one, folder)]
    return Exported(files=tuple(files), notes=notes)


def _read_all(paths: Sequence[Path]) -> tuple[dict[Path, Result], tuple[str, ...]]:
    read = {path: _read(path) for path in paths}
    notes = tuple(note for _, notes in read.values() for note in notes)
    return {path: result for path, (result, _) in read.items()}, notes


def _read(path: Path) -> tuple[Result, list[str]]:
    """Return a result that may be published, and notes on what was left out of it."""
    result = read_result(path)
    if not isinstance(result, Result):
        raise ResultError(f"{path}: the result of a suite; export those of its parts")
    problems = not_for_boards(result)
    problems += [
        f"pair {name} has no score by {', '.join(missing)}"
        for name, pair in result.pairs.items()
        if pair.status == "done" and (missing := set(result.task.measures) - set(pair.scores))
    ]
    try:
        datetime.datetime.fromisoformat(result.environment.started).timestamp()
    except (ValueError, OverflowError):
        problems.append(f"environment.started {printable(result.environment.started)} is no time")
    if problems:
        raise ResultError(f"{path}: {'; '.join(problems)}; nothing to be posted elsewhere")
    return _without_deeper(path, result)


def _without_deeper(path: Path, result: Result) -> tuple[Result, list[str]]:
    """Return a result without measures that look deeper than its rankings, and a note on them.

    Newer results state the depth of each pair's rankings.

    Raises:
        ResultError: The main measure of the other site is among them.
    """
    depth = result.reach(name for name, pair in result.pairs.items() if pair.status == "done")
    measures = result.task.measures
    deeper = [name for name in measures if looks_at(name) > depth]
    why = too_deep(deeper, depth)
    if measures[0] in deeper:
        raise ResultError(f"{path}: {why}; run it again, and measures get their right names")
    kept = tuple(name for name in measures if name not in deeper)
    task = result.task.model_copy(update={"measures": kept})
    notes = [f"{path}: left out: {why}"] if deeper else []
    return result.model_copy(update={"task": task}), notes


def _write_runs(path: Path, result: Result, folder: Path) -> list[Path]:
    card_file = card_path(path.absolute().parents[2], result.system.name)
    card = read_system_card(card_file) if os.path.lexists(card_file) else None
    tag = system_folder(result.system.name)
    written = []
    for name, pair in result.pairs.items():
        if pair.status != "done":
            continue
        text = _run_text(path, name, pair)
        head = header(result, LanguagePair.parse(name), tag, card)
        target = inside(folder / tag, f"{result.task.id}/{name}.run", f"{path}: task.id")
        write_file(target, head.encode() + text)
        written.append(target)
    return written


def _run_text(path: Path, name: str, pair: PairResult) -> bytes:
    """Return a pair's run, unpacked; check that it is the scored file before it is published."""
    file = result_file(path, pair.run_file, f"run_file of {name}")
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise DataError(f"{file}: leads out of the folder of {path}; put the run itself there")
    if not is_stored_run(file, pair):
        raise DataError(f"{file}: is not the run that {name} was scored from; run it again")
    text = read_unpacked(file, _LARGEST_RUN_BYTES)
    try:
        lines = text.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason}") from None
    for number, line in enumerate(lines, start=1):
        if len(line.split()) != 6 or visible(line, keep="\t") != line:
            raise DataError(f"{file}:{number}: expected `query_id Q0 doc_id rank score tag`")
    return text
