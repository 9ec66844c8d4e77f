"""Chooses the stored results that a section of a board shows, and says why it leaves out others.

Boards and `clir-bench validate` read submissions with the same code (`submission.read`). A section
shows the results that have no problem. Boards do not check that the per-query values are those of
the runs, because this needs the benchmark's data; `validate` checks it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.display import shown_path
from clir_bench.errors import DataError, ResultError
from clir_bench.leaderboard.data_hashes import DataKey, Pinned
from clir_bench.leaderboard.definition import SectionDefinition
from clir_bench.leaderboard.escaping import visible
from clir_bench.leaderboard.submission.layout import Problem
from clir_bench.leaderboard.submission.read import (
    SubmittedResult,
    SubmittedSystem,
    look_alikes,
    open_system,
    read_submitted,
)
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.results.store import result_path
from clir_bench.results.system_card import SystemCard
from clir_bench.types import LanguagePair

_SHOWN = 5


@dataclass(frozen=True)
class AcceptedResult:
    """A result that passed every check of a section.

    Attributes:
        folder: The system's folder name.
        path: The result's file.
        date: Day on which the run began, UTC.
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
    """A result that a section leaves out, and why."""

    path: Path
    reason: str


@dataclass
class Submissions:
    """A folder of results to make boards from.

    Attributes:
        folder: The folder of results.
        official: The hashes of the boards' pairs (`data_hashes.read_official`).
    """

    folder: Path
    official: Mapping[DataKey, Pinned]
    systems: list[SubmittedSystem] = field(init=False)
    _last: dict[Path, SubmittedResult] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        try:
            entries = sorted(self.folder.iterdir(), key=lambda path: path.name)
        except OSError as error:
            raise ResultError(
                f"{self.folder}: no such folder of results: {error.strerror or error}"
            ) from None
        folders = [
            path
            for path in entries
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
        ]
        alike = look_alikes(folders)
        self.systems = [open_system(folder) for folder in folders]
        for system in self.systems:
            system.problems += [alike[system.folder]] if system.folder in alike else []

    def find(self, section: SectionDefinition) -> tuple[list[AcceptedResult], list[Refusal]]:
        """Return the results that a section takes, by folder name, and the refused ones.

        Raises:
            DataError: A pair of the section has no official hash.
        """
        _check_pinned(section, self.official)
        entries: list[AcceptedResult] = []
        refusals: list[Refusal] = []
        paths = []
        for system in self.systems:
            name = system.folder.name
            path = result_path(self.folder, name, section.task, section.chosen_split)
            if name != path.parts[-3] or not os.path.lexists(path):
                continue  # no folder that `submit` makes, or a system without this task
            paths.append(path)
            problems = system.concerning(path)
            submitted = self._read(path, system) if path in system.results else None
            if submitted is not None:
                problems += submitted.problems
            if problems or submitted is None or system.card is None:
                refusals.append(Refusal(path, self._reason(path, problems)))
                continue
            taken = _entry(path, system.card, system.results[path], submitted.scores, section)
            if isinstance(taken, AcceptedResult):
                entries.append(taken)
            else:
                refusals.append(taken)
        self._last = {path: self._last[path] for path in paths if path in self._last}
        return entries, refusals

    def _read(self, path: Path, system: SubmittedSystem) -> SubmittedResult:
        """Return the system at a path; consecutive sections of one task read it once."""
        if path not in self._last:
            self._last[path] = read_submitted(path, system, self.official)
        return self._last[path]

    def _reason(self, path: Path, problems: Sequence[Problem]) -> str:
        """Say what is wrong, without this machine's path to the checkout."""
        said = [problem.what if problem.path == path else str(problem) for problem in problems]
        more = [f"and {len(said) - _SHOWN:,} other problems"] if len(said) > _SHOWN else []
        reason = "; ".join((*dict.fromkeys(said[:_SHOWN]), *more))
        return visible(reason.replace(f"{shown_path(self.folder)}{os.sep}", ""))


def _check_pinned(section: SectionDefinition, official: Mapping[DataKey, Pinned]) -> None:
    keys = [DataKey(section.task, section.chosen_split, pair) for pair in section.chosen_pairs]
    if unknown := [str(key) for key in keys if not all(official.get(key, ("",)))]:
        raise DataError(
            f"no official hashes of the data and the judged queries of "
            f"{', '.join(unknown[:_SHOWN])}; `clir-bench leaderboard pin {section.task}` writes "
            "them from the data"
        )


def _entry(
    path: Path,
    card: SystemCard,
    result: Result,
    scores: Mapping[LanguagePair, QueryScores],
    section: SectionDefinition,
) -> AcceptedResult | Refusal:
    """Return what a section shows of a result without problems."""
    task = result.task
    if missing := [measure for measure in section.measures if measure not in task.measures]:
        return Refusal(path, f"it has no {', '.join(missing)}; submit it again with these measures")
    shown_scores = {
        pair: scores[pair].only(section.measures) for pair in section.chosen_pairs if pair in scores
    }
    if not shown_scores:
        return Refusal(path, "no pair of this section is done")
    return AcceptedResult(path.parts[-3], path, card, result, _date(result), shown_scores)


def run_file_of(entry: AcceptedResult, pair: LanguagePair) -> Path:
    """Return a pair's run beside its result."""
    return entry.path.parent / str(entry.result.pairs[str(pair)].run_file)


def _date(result: Result) -> str:
    moment = datetime.datetime.fromisoformat(result.environment.started)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC)
    return moment.date().isoformat()
