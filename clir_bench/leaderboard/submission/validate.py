"""Checks a submission; CI runs this before any review.

Nothing in a submission can be trusted. The checks execute, write and fetch nothing, load no
encoder, and read no file beyond its largest allowed size. They report all problems together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.errors import ClirBenchError, MissingDataError
from clir_bench.leaderboard.data_hashes import DataKey, Pinned, find_official
from clir_bench.leaderboard.submission.claims import Statement
from clir_bench.leaderboard.submission.layout import Problem, find_systems
from clir_bench.leaderboard.submission.read import (
    SubmittedResult,
    as_problem,
    look_alikes,
    open_system,
    read_submitted,
)
from clir_bench.leaderboard.submission.recompute import (
    Recomputed,
    differences,
    from_runs,
    from_values,
)
from clir_bench.results.system_card import CARD_FILE
from clir_bench.tasks.source import local_source


@dataclass
class ValidationReport:
    """The outcome of a validation.

    Attributes:
        n_systems: Number of systems checked.
        recomputed: Results with scores recomputed from their runs.
        not_recomputed: Results with scores that were not all recomputed, each with the data that
            is missing and the remedy; "" where recomputing was not wanted.
    """

    problems: list[Problem] = field(default_factory=list)
    n_systems: int = 0
    recomputed: list[Path] = field(default_factory=list)
    not_recomputed: dict[Path, str] = field(default_factory=dict)

    def add(self, problems: Iterable[Problem]) -> None:
        """Add problems, each once."""
        self.problems = list(dict.fromkeys((*self.problems, *problems)))


def validate(
    path: Path,
    *,
    data_dir: Path | None = None,
    recompute: bool = True,
    official: Mapping[DataKey, Pinned] | None = None,
    advance: Callable[[Path], None] = lambda _: None,
) -> ValidationReport:
    """Check a submission: a folder of results, a system's folder, or one result.

    Args:
        path: What was submitted.
        data_dir: Folder of the task's files, or one with such a folder per task; the usual places
            when None. Where files are missing, all that needs none of them is checked.
        recompute: Whether to score the runs again, which needs the tasks' data.
        official: Hashes that boards pin; those of the boards above `path` when None. They are
            compared even without data.
        advance: Called with every result before its check.

    Raises:
        ResultError: `path` has no submission.
        MissingDataError: `data_dir` is no folder.
        DataError: The file of official hashes cannot be read.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise MissingDataError(f"--data-dir {data_dir} is no folder")
    official = find_official(path) if official is None else official
    report = ValidationReport()
    folders = find_systems(path)
    only = path.absolute() if path.is_file() and path.name != CARD_FILE else None
    alike = look_alikes({*folders, *_neighbours(folders)})
    for folder in folders:
        report.n_systems += 1
        system = open_system(folder, only)
        report.add([alike[folder]] if folder in alike else [])
        report.add(system.problems)
        for result in system.results:
            advance(result)
            submitted = read_submitted(result, system, official)
            report.add(submitted.problems)
            if submitted.statement is not None:
                _recompute(submitted, submitted.statement, data_dir, recompute, report)
    if folders != [path] and path.is_dir():
        report.add(
            Problem(entry, "unexpected; expected only folders of systems here; remove it")
            for entry in sorted(path.iterdir())
            if entry not in folders
        )
    return report


def _recompute(
    submitted: SubmittedResult,
    statement: Statement,
    data_dir: Path | None,
    wanted: bool,
    report: ValidationReport,
) -> None:
    """Score a result's runs again, or without data only recompute its means."""
    path = statement.path
    try:
        done = _recomputed(submitted, statement, data_dir, wanted)
        problems = [as_problem(path, error) for error in done.problems]
        if not (problems or submitted.problems):
            problems = [Problem(path, what) for what in differences(statement, done)]
    except ClirBenchError as error:
        report.add([as_problem(path, error)])
        return
    report.add(problems)
    if wanted and not done.missing:
        report.recomputed.append(path)
    else:
        report.not_recomputed[path] = done.missing


def _recomputed(
    submitted: SubmittedResult, statement: Statement, data_dir: Path | None, wanted: bool
) -> Recomputed:
    values, retrieved = submitted.scores, submitted.retrieved
    if not wanted:
        return from_values(statement, values, retrieved)
    try:
        source = local_source(statement.card, statement.result.task.split, data_dir)
    except MissingDataError as error:
        return from_values(statement, values, retrieved, str(error))
    return from_runs(statement, values, retrieved, source)


def _neighbours(folders: Sequence[Path]) -> list[Path]:
    """Return the folders beside a system's; their names must not look like its own."""
    if len(folders) != 1:
        return []
    try:
        beside = [entry for entry in folders[0].absolute().parent.iterdir() if entry.is_dir()]
    except OSError:
        return []
    return [entry for entry in beside if entry != folders[0].absolute()]
