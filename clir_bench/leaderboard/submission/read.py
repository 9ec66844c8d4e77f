"""Reads submissions for CI and boards, and checks all that can be checked without benchmark data.

Boards show exactly the results that pass here. `validate` goes further: it scores the runs again
and recomputes the intervals.

No file of a submission can be trusted. Only files with names built from system, task, split and
pair are opened, none through a link, and each is read only up to the size that the task's card
allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.bounded_files import read_gzip
from clir_bench.core.display import printable, shown_path
from clir_bench.core.files import sha256_of
from clir_bench.core.safe_text import looks
from clir_bench.encoders import catalog
from clir_bench.errors import ClirBenchError, DataError
from clir_bench.leaderboard.data_hashes import DataKey, Pinned, queries_sha256
from clir_bench.leaderboard.submission.claims import (
    Statement,
    check_statement,
    largest_result,
    read_statement,
)
from clir_bench.leaderboard.submission.layout import (
    VALUES,
    Problem,
    SystemFiles,
    list_system,
)
from clir_bench.leaderboard.submission.recompute import (
    depth_problem,
    mean_differences,
    n_retrieved,
    read_run,
)
from clir_bench.leaderboard.submission.run_format import SUFFIX
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.results.store import parse_values, system_folder
from clir_bench.results.system_card import CARD_FILE, SystemCard, read_system_card
from clir_bench.tasks.catalog import shipped_card
from clir_bench.types import LanguagePair

_OWN = ("hashing", "optical", "optical-pooled")
_LEAST_VALUES_BYTES = 256 * 2**10
_LONGEST_ID, _LONGEST_VALUE = 256, 32
_SHOWN = 5


@dataclass
class SubmittedSystem:
    """A system's folder: its files, its card and the statements of its results.

    Attributes:
        card: None where it is missing or wrong.
        results: The readable results, by path.
        problems: What is wrong outside of the readable results.
    """

    folder: Path
    files: SystemFiles
    card: SystemCard | None = None
    results: dict[Path, Result] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def concerning(self, path: Path) -> list[Problem]:
        """Return the problems that concern a result: all but those of other tasks."""
        others = {result.parent for result in self.files.results} - {path.parent}
        return [
            problem
            for problem in self.problems
            if not any(folder in (problem.path, *problem.path.parents) for folder in others)
        ]


@dataclass(frozen=True)
class SubmittedResult:
    """A result with its per-query values, as far as they are readable.

    Attributes:
        statement: None where it is unusable.
        scores: Per-query values by pair, of all measures.
        retrieved: Number of documents in the run, by pair.
        problems: What is wrong with it.
    """

    statement: Statement | None
    scores: Mapping[LanguagePair, QueryScores]
    retrieved: Mapping[LanguagePair, int]
    problems: list[Problem]


def open_system(folder: Path, only: Path | None = None) -> SubmittedSystem:
    """Return a system's folder; reads all its results, or `only` one of them."""
    files, problems = list_system(folder)
    system = SubmittedSystem(folder, files, problems=problems)
    if not files.is_readable:
        return system
    try:
        system.card = read_system_card(folder / CARD_FILE)
    except ClirBenchError as error:
        problems.append(as_problem(folder / CARD_FILE, error))
    for path in files.results:
        card = shipped_card(path.parent.name)
        if card is None or only not in (None, path):
            continue
        try:
            system.results[path] = read_statement(path, largest_result(card))
        except ClirBenchError as error:
            problems.append(as_problem(path, error))
    first = next(iter(system.results), None)
    for path, result in system.results.items():
        other = system.results[first or path].system.on_any_task()
        differences = result.system.on_any_task().differences(other)
        if differences:
            what = f"is not of the same system as {shown_path(first or path)}; they differ in"
            problems.append(Problem(path, f"{what} {', '.join(differences)}"))
    return system


def read_submitted(
    path: Path, system: SubmittedSystem, official: Mapping[DataKey, Pinned]
) -> SubmittedResult:
    """Check one of a system's results against its card, its files and the official hashes.

    Args:
        path: One of `system.results`.
        system: The system of the result.
        official: Hashes that boards pin; pairs without one are not compared.
    """
    result = system.results[path]
    statement, said = check_statement(path, result)
    said += _against_card(result, system.card)
    problems = [Problem(path, what) for what in said]
    if statement is None:
        return SubmittedResult(None, {}, {}, problems)
    expected = {f"{n}{end}" for n in result.pairs for end in (SUFFIX, VALUES)}
    problems += [
        Problem(path.with_suffix("") / name, "belongs to no pair of the result; remove it")
        for name in sorted(system.files.pair_files[path] - expected)
    ]
    scores: dict[LanguagePair, QueryScores] = {}
    retrieved: dict[LanguagePair, int] = {}
    others: list[Problem] = []
    for pair in statement.pairs:
        stated = statement.stated(pair)
        pinned = official.get(DataKey(result.task.id, result.task.split, pair), Pinned())
        if pinned.data not in ("", stated.data_sha256):
            what = f"pair {pair}: data_sha256 is not that of the official data"
            problems.append(Problem(path, what))
        run = None
        try:
            run = read_run(statement, pair)
            retrieved[pair] = n_retrieved(run)
        except ClirBenchError as error:
            problems.append(as_problem(path, error))
        try:
            scores[pair] = _values(statement, pair, pinned)
        except ClirBenchError as error:
            problems.append(as_problem(path, error))
            continue
        judged = scores[pair].query_ids
        if run and (problem := depth_problem(statement, run, judged, stated.counts, own=1)):
            problems.append(Problem(statement.run_path(pair), problem))
        file = statement.values_path(pair)
        if stated.values_sha256 not in (None, sha256_of(file)):
            others.append(Problem(file, "its sha256 is not the result's values_sha256"))
    if not problems:
        problems += [Problem(path, what) for what in mean_differences(statement, scores)]
    # Last, so that errors name the wrong values, not only that they differ.
    return SubmittedResult(statement, scores, retrieved, problems + others)


def as_problem(path: Path, error: ClirBenchError) -> Problem:
    """Return an error as a problem of the file that it names, or else of `path`."""
    said = str(error)
    for place in (path, *_beside(path)):
        if said.startswith(f"{shown_path(place)}:"):
            what = said.removeprefix(f"{shown_path(place)}:").lstrip()
            return Problem(place, re.sub(r"^(\d+): ", r"line \1: ", what))
    return Problem(path, said)


def look_alikes(folders: Iterable[Path]) -> dict[Path, Problem]:
    """Return the folders of systems with names that look like those of others.

    Nothing shows which of two came first, so both are refused; names of clir-bench's own systems
    stay theirs.
    """
    known = {looks(name): system_folder(name) for name in (*catalog.table(), *_OWN)}
    alike: dict[str, list[Path]] = {}
    for folder in folders:
        alike.setdefault(looks(folder.absolute().name), []).append(folder)
    found = {}
    for look, some in alike.items():
        for folder in some:
            name = folder.absolute().name
            others = sorted({other.absolute().name for other in some} - {name})
            if look in known:
                others = [known[look]] if name != known[look] else []
            if others:
                alike_names = ", ".join(map(printable, others))
                what = f"has a name that looks like {alike_names}; rename the system"
                found[folder] = Problem(folder, what)
    return found


def _beside(path: Path) -> Iterator[Path]:
    """Yield the files of a result's pairs."""
    try:
        yield from (Path(entry.path) for entry in os.scandir(path.with_suffix("")))
    except OSError:
        return


def _against_card(result: Result, card: SystemCard | None) -> Iterator[str]:
    if card is None:
        return
    if result.system.name != card.name:
        name = printable(result.system.name)
        yield f"is a result of system {name}, but the card is of {card.name!r}"
    if more := sorted(set(result.system.training_languages) - set(card.training.languages)):
        some = ", ".join(map(printable, more[:_SHOWN]))
        yield f"was trained on languages that its card does not name: {some}"


def _values(statement: Statement, pair: LanguagePair, pinned: Pinned) -> QueryScores:
    """Return a pair's per-query values.

    Raises:
        DataError: The file is not in the format of `store.write_values`, has other measures, has
            impossible values, or is not about the judged queries.
    """
    stated, n_queries = statement.stated(pair).counts, statement.most_queries(pair)
    file, measures = statement.values_path(pair), statement.result.task.measures
    largest = (n_queries + 1) * (_LONGEST_ID + _LONGEST_VALUE * len(measures))
    largest = max(largest, _LEAST_VALUES_BYTES)
    values = parse_values(read_gzip(file, largest, largest), file)
    if values.measures != measures:
        raise DataError(
            f"{shown_path(file)}: its columns must be the result's measures, in their order"
        )
    if len(set(values.query_ids)) < len(values.query_ids):
        raise DataError(f"{shown_path(file)}: a query occurs twice")
    if not ((values.values >= 0) & (values.values <= 1)).all():
        raise DataError(f"{shown_path(file)}: has a value outside of 0 to 1")
    n_values = len(values.query_ids)
    if n_values > n_queries or (stated is not None and n_values != stated.judged_queries):
        raise DataError(
            f"{statement.place(pair)}: there are values of {n_values:,} queries, "
            "but not of the judged ones"
        )
    if pinned.queries not in ("", queries_sha256(values.query_ids)):
        raise DataError(
            f"{shown_path(file)}: its queries are not the judged queries of the official data"
        )
    return values
