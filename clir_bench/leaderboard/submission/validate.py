"""Checks a submission; CI runs this before any review.

Nothing in a submission can be trusted. The checks execute, write and fetch nothing, load no
encoder, and read no file beyond its largest allowed size. They report all problems together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.errors import ClirBenchError
from clir_bench.leaderboard.data_hashes import DataKey, Pinned
from clir_bench.leaderboard.submission.claims import Statement
from clir_bench.leaderboard.submission.layout import Problem, find_systems
from clir_bench.leaderboard.submission.read import (
    SubmittedResult,
    as_problem,
    look_alikes,
    open_system,
    read_submitted,
)
from clir_bench.leaderboard.submission.recompute import differences, from_runs, from_values
from clir_bench.results.system_card import CARD_FILE
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source

Sources = Callable[[TaskCard, str], Source | None]
"""Where a task's data is, None where it is not at hand; it must fetch nothing."""


@dataclass
class ValidationReport:
    """The outcome of a validation.

    Attributes:
        n_systems: Number of systems checked.
        recomputed: Results with scores recomputed from their runs.
        not_recomputed: Results with scores that could not be recomputed without data.
    """

    problems: list[Problem] = field(default_factory=list)
    n_systems: int = 0
    recomputed: list[Path] = field(default_factory=list)
    not_recomputed: list[Path] = field(default_factory=list)

    def add(self, problems: Iterable[Problem]) -> None:
        """Add problems, each once."""
        self.problems = list(dict.fromkeys((*self.problems, *problems)))


def validate(
    path: Path,
    sources: Sources,
    *,
    official: Mapping[DataKey, Pinned] | None = None,
    advance: Callable[[Path], None] = lambda _: None,
) -> ValidationReport:
    """Check a submission: a folder of results, a system's folder, or one result.

    Args:
        path: What was submitted.
        sources: Where the tasks' data is.
        official: Hashes that boards pin; compared even without data.
        advance: Called with every result before its check.

    Raises:
        ResultError: `path` has no submission.
    """
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
            submitted = read_submitted(result, system, official or {})
            report.add(submitted.problems)
            if submitted.statement is not None:
                _recompute(submitted, submitted.statement, sources, report)
    if folders != [path] and path.is_dir():
        report.add(
            Problem(entry, "unexpected; expected only folders of systems here; remove it")
            for entry in sorted(path.iterdir())
            if entry not in folders
        )
    return report


def _recompute(
    submitted: SubmittedResult, statement: Statement, sources: Sources, report: ValidationReport
) -> None:
    """Score a result's runs again, or without data only recompute its means."""
    path, task = statement.path, statement.result.task
    try:
        source = sources(statement.card, task.split)
        if source is None:
            done = from_values(statement, submitted.scores, submitted.retrieved)
        else:
            done = from_runs(statement, submitted.scores, source)
        problems = [as_problem(path, error) for error in done.problems]
        if not (problems or submitted.problems):
            problems = [Problem(path, what) for what in differences(statement, done)]
    except ClirBenchError as error:
        report.add([as_problem(path, error)])
        return
    report.add(problems)
    (report.not_recomputed if source is None else report.recomputed).append(path)


def _neighbours(folders: Sequence[Path]) -> list[Path]:
    """Return the folders beside a system's; their names must not look like its own."""
    if len(folders) != 1:
        return []
    try:
        beside = [entry for entry in folders[0].absolute().parent.iterdir() if entry.is_dir()]
    except OSError:
        return []
    return [entry for entry in beside if entry != folders[0].absolute()]
