"""Finds the stored results to compare, and groups them by system."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from clir_bench.core.display import visible
from clir_bench.errors import ResultError, UnknownNameError, UsageError
from clir_bench.results.schema import Result, SuiteResult
from clir_bench.results.store import find_results, read_result, shown_result

logger = logging.getLogger(__name__)


class TaskSplit(NamedTuple):
    """The task and split of a result."""

    task: str
    split: str

    def __str__(self) -> str:
        return f"{self.task}, {self.split}"


class StoredResult(NamedTuple):
    """A result and where it was read from."""

    path: Path
    result: Result


@dataclass(frozen=True)
class ComparedSystem:
    """One system and its results.

    Attributes:
        label: Its name, with as much added as tells it from the others.
    """

    label: str
    results: dict[TaskSplit, StoredResult] = field(repr=False)


def find_systems(paths: Sequence[Path]) -> list[ComparedSystem]:
    """Return the systems with results at `paths`, in the order they are first found.

    Results of one system in several places are joined. Two results of one system on one task count
    as two systems, so a model that ran twice can be compared with itself. Unreadable files in a
    folder are left out with a warning.

    Args:
        paths: Result files, or folders in which all results are taken, except results of suites:
            their parts are there too.

    Raises:
        ResultError: A file is no result, or a folder has none.
        UsageError: A file is a suite's result, or is given twice.
    """
    found: list[tuple[tuple[object, ...], dict[TaskSplit, StoredResult]]] = []
    for stored in _read(paths):
        key = stored.result.system.fingerprint()
        of = TaskSplit(stored.result.task.id, stored.result.task.split)
        for known, results in found:
            if known == key and of not in results:
                results[of] = stored
                break
        else:
            found.append((key, {of: stored}))
    by_system = [results for _, results in found]
    return [
        ComparedSystem(label, results)
        for label, results in zip(_labels(by_system), by_system, strict=True)
    ]


def put_first(systems: Sequence[ComparedSystem], name: str | None) -> list[ComparedSystem]:
    """Return the systems with the baseline first.

    Raises:
        UnknownNameError: No system has this name.
    """
    if name is None:
        return list(systems)
    chosen = [system for system in systems if system.label == name]
    if not chosen:
        labels = [system.label for system in systems]
        raise UnknownNameError("system", name, labels, f"There are {', '.join(labels)}.")
    return [*chosen, *(system for system in systems if system not in chosen)]


def _read(paths: Sequence[Path]) -> Iterable[StoredResult]:
    seen: set[Path] = set()
    for path in paths:
        inside = find_results([path])
        n_results = 0
        for file in inside:
            try:
                result = read_result(file)
            except ResultError as error:
                if not path.is_dir():
                    raise
                logger.warning("left out: %s", error)
                continue
            if isinstance(result, SuiteResult):
                if not path.is_dir():
                    parts = ", ".join(part.result_file for part in result.parts)
                    raise UsageError(f"{file} is a suite's result; compare its parts: {parts}")
                continue
            if file.resolve() in seen:
                raise UsageError(f"{file} is given twice")
            seen.add(file.resolve())
            n_results += 1
            yield StoredResult(file, shown_result(result))
        if not n_results:
            raise ResultError(f"{path}: no result in this folder")


def _labels(systems: Sequence[dict[TaskSplit, StoredResult]]) -> list[str]:
    """Return a printable name per system, with its revision or place where needed."""
    first = [next(iter(results.values())) for results in systems]
    labels = [stored.result.system.name for stored in first]
    for more in (
        [stored.result.system.revision for stored in first],
        [visible(str(stored.path)) for stored in first],
    ):
        counts = Counter(labels)
        labels = [
            f"{label}@{extra}" if counts[label] > 1 else label
            for label, extra in zip(labels, more, strict=True)
        ]
    return labels
