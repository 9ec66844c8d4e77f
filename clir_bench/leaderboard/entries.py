"""Stored results that a section takes, and why it does not take the others.

Results are read as `clir-bench submit` leaves them: `<results>/<system>/<task>/<split>.json` with
its values and runs beside it, and `<results>/<system>/system.toml`. They are hostile: only files
whose names follow from the system, task, split and pair are opened, none through a link, none that
is too large, and nothing a result says of its own means is believed that its values do not give.
"""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from clir_bench.adapters.source import sha256_of
from clir_bench.errors import ClirBenchError, DataError, ResultError
from clir_bench.leaderboard.definition import SectionDefinition
from clir_bench.leaderboard.escaping import visible
from clir_bench.leaderboard.official import DataKey
from clir_bench.measures import looks_at, too_deep
from clir_bench.results import parse_values, read_result, result_path, system_folder
from clir_bench.schema import PairResult, Result
from clir_bench.scoring import QueryScores
from clir_bench.submission.bounded import read_gzip
from clir_bench.submission.system_card import SystemCard, card_path, read_system_card
from clir_bench.submission.text import printable
from clir_bench.types import LanguagePair

_LARGEST_RESULT_BYTES = 16 * 2**20
_LARGEST_VALUES_BYTES = 64 * 2**20
_LARGEST_DIFFERENCE = 1e-9
_LARGEST_AMOUNT = 10**15
_SHOWN = 5


@dataclass(frozen=True)
class Entry:
    """A result that passed every check of a section.

    Attributes:
        folder: The system's folder name.
        path: The result's file.
        date: Day the run began, UTC.
        scores: Per-query values of the section's measures, of the pairs it has.
    """

    folder: str
    path: Path
    card: SystemCard
    result: Result
    date: str
    scores: Mapping[LanguagePair, QueryScores]


@dataclass(frozen=True)
class Refusal:
    """A result that a section does not take, and why."""

    path: Path
    reason: str


def system_folders(results: Path) -> Iterator[Path]:
    """Yield the folders of systems, sorted by name.

    Raises:
        ResultError: There is no such folder of results.
    """
    if not results.is_dir():
        raise ResultError(f"{results}: no such folder of results")
    for path in sorted(results.iterdir(), key=lambda path: path.name):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def find_entries(
    results: Path, section: SectionDefinition, official: Mapping[DataKey, str]
) -> tuple[list[Entry], list[Refusal]]:
    """Return the results that a section takes, by folder name, and the refused ones.

    Args:
        results: Folder of results.
        section: What is shown.
        official: Data hashes of every pair of the section.

    Raises:
        DataError: A pair of the section has no official data hash.
        ResultError: There is no such folder of results.
    """
    keys = {
        pair: DataKey(section.task, section.chosen_split, pair) for pair in section.chosen_pairs
    }
    if unknown := [str(key) for key in keys.values() if key not in official]:
        raise DataError(
            f"no official data hash of {', '.join(unknown[:_SHOWN])}; "
            f"`clir-bench leaderboard pin {section.task}` writes them from the data"
        )
    expected = {pair: official[key] for pair, key in keys.items()}
    entries: list[Entry] = []
    refusals: list[Refusal] = []
    for folder in system_folders(results):
        path = result_path(results, folder.name, section.task, section.chosen_split)
        if folder.name != path.parts[-3] or not path.exists():
            continue  # no folder that `submit` makes, or a system without this task
        try:
            entries.append(_entry(path, section, expected))
        except ClirBenchError as error:
            # Without the place of this checkout, which would make the board another one elsewhere.
            reason = str(error).removeprefix(f"{path}: ").replace(f"{results}{os.sep}", "")
            refusals.append(Refusal(path, visible(reason)))
    return entries, refusals


def _entry(path: Path, section: SectionDefinition, expected: Mapping[LanguagePair, str]) -> Entry:
    folder = path.parts[-3]
    _check_file(path, _LARGEST_RESULT_BYTES)
    result = read_result(path)
    if not isinstance(result, Result):
        raise ResultError(f"{path}: the result of a suite; a board takes those of its parts")
    done = {
        pair: result.pairs[str(pair)]
        for pair in expected
        if str(pair) in result.pairs and result.pairs[str(pair)].status == "done"
    }
    problems = _problems(result, folder, section) + _depth_problems(result, done, section)
    problems += _data_problems(done, expected)
    try:
        date = _date(result.environment.started)
    except (ValueError, OverflowError):  # the last day there is, in another time zone
        problems.append(f"the run began at {printable(result.environment.started)}, no time")
    if problems:
        raise ResultError(f"{path}: {'; '.join(problems)}")
    card_file = card_path(path.parents[2], folder)
    if card_file.is_symlink() or (card_file.exists() and not card_file.is_file()):
        raise ResultError(f"{card_file}: a link; expected a plain file")
    card = read_system_card(card_file)
    if card.name != result.system.name:
        raise ResultError(f"{path}: {card_file.name} is of a system called {printable(card.name)}")
    scores = {pair: _scores(path, pair, known, section) for pair, known in done.items()}
    return Entry(folder, path, card, result, date, scores)


def _problems(result: Result, folder: str, section: SectionDefinition) -> list[str]:
    task, card, problems = result.task, section.card, []
    if system_folder(result.system.name) != folder:
        problems.append(f"it is of a system called {printable(result.system.name)}")
    if (task.id, task.split) != (card.id, section.chosen_split):
        problems.append(f"it is of task {printable(task.id)}, split {printable(task.split)}")
    if task.version != card.version:
        problems.append(f"made with version {task.version} of the task's card, now {card.version}")
    if task.sample:
        problems.append("the embedded sample was run, not the benchmark")
    if task.limit is not None:
        problems.append(f"partial: only {task.limit} queries were run (--limit)")
    if absurd := [name for name, amount in _amounts(result) if not 0 <= amount <= _LARGEST_AMOUNT]:
        problems.append(f"absurd: {', '.join(dict.fromkeys(absurd))}")
    if missing := [measure for measure in section.measures if measure not in task.measures]:
        problems.append(f"it has no {', '.join(missing)}; submit it again with these measures")
    return problems


def _depth_problems(
    result: Result, done: Mapping[LanguagePair, PairResult], section: SectionDefinition
) -> list[str]:
    depth = result.reach(map(str, done))
    deeper = [name for name in section.measures if looks_at(name) > depth]
    return [too_deep(deeper, depth)] if deeper else []


def _amounts(result: Result) -> Iterator[tuple[str, float]]:
    """Yield the numbers that boards compute with or show; JSON has integers of any size."""
    yield "n_parameters", result.system.n_parameters or 0
    yield "dim", result.system.dim
    yield "max_tokens", result.system.max_tokens or 0
    for pair in result.pairs.values():
        for record in (pair.counts, pair.cost):
            if record is not None:
                yield from record.model_dump().items()


def _data_problems(
    done: Mapping[LanguagePair, PairResult], expected: Mapping[LanguagePair, str]
) -> list[str]:
    if not done:
        return ["no pair of this section is done"]
    problems = []
    if odd := [str(pair) for pair, known in done.items() if not known.official]:
        reasons = dict.fromkeys(r for known in done.values() for r in known.unofficial)
        said = "; ".join(printable(reason) for reason in list(reasons)[:_SHOWN])
        problems.append(f"not official: {_some(odd)}{f' ({said})' if said else ''}")
    if other := [str(pair) for pair, known in done.items() if known.data_sha256 != expected[pair]]:
        problems.append(f"other documents, queries or judgments than the official: {_some(other)}")
    return problems


def _scores(
    path: Path, pair: LanguagePair, known: PairResult, section: SectionDefinition
) -> QueryScores:
    name = f"{path.stem}/{pair}.values.tsv.gz"
    if known.values_file != name:
        raise ResultError(f"{path}: the values of {pair} must be in {name}")
    file = path.parent / name
    _check_file(file, _LARGEST_VALUES_BYTES)
    text = read_gzip(file, _LARGEST_VALUES_BYTES, _LARGEST_VALUES_BYTES)
    values = parse_values(text, file).only(section.measures)
    if len(set(values.query_ids)) != len(values.query_ids):
        raise ResultError(f"{file}: a query is there twice")
    means = values.means()
    for measure in section.measures:
        stated = known.scores.get(measure)
        if stated is None or not math.isclose(
            stated.mean, means[measure], rel_tol=0, abs_tol=_LARGEST_DIFFERENCE
        ):
            raise ResultError(
                f"{path}: {pair}: {measure} is stated as {stated.mean if stated else None}, "
                f"the mean of its values is {means[measure]!r}"
            )
    if known.values_sha256 not in (None, sha256_of(file)):
        raise ResultError(f"{file}: is not the file of the result's values_sha256")
    return values


def run_file_of(entry: Entry, pair: LanguagePair) -> Path | None:
    """Return a pair's run beside its result, None where there is none."""
    stated = entry.result.pairs[str(pair)].run_file
    names = (f"{entry.path.stem}/{pair}.run.{suffix}" for suffix in ("gz", "xz"))
    path = next((entry.path.parent / name for name in names if name == stated), None)
    return path if path and path.is_file() and not path.is_symlink() else None


def _check_file(path: Path, largest: int) -> None:
    """Refuse what is no plain file, lies behind a link, or is larger than `largest` bytes."""
    if any(part.is_symlink() for part in (path, path.parent, path.parent.parent)):
        raise ResultError(f"{path}: a link; expected a plain file")
    if not path.is_file():
        raise ResultError(f"{path}: no such file")
    if (size := path.stat().st_size) > largest:
        raise ResultError(f"{path}: {size:,} bytes; expected at most {largest:,}")


def _date(started: str) -> str:
    moment = datetime.datetime.fromisoformat(started)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC)
    return moment.date().isoformat()


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
