"""The errors that clir-bench raises.

    ClirBenchError              exit code 1
    +-- UsageError              exit code 2: the command or the call is invalid
    |   +-- UnknownNameError    a task, model, language, pair, split, ... does not exist
    |   +-- CardError           a task card that cannot be read or contradicts itself
    +-- DataError               a file or a collection breaks the rules of its format
    |   +-- MissingDataError    a file is not there and cannot be fetched
    +-- EncoderError            an encoder failed, or returned something unusable
    |   +-- WorkerError         workers cannot be started, or were lost repeatedly
    +-- PluginError             an entry point that cannot be imported or lacks a method
    +-- ConformanceError        an encoder or adapter does not pass the checks for plugins
    +-- ResultError             a stored result that cannot be read, or must not be overwritten
    +-- OutputError             the output folder cannot be written
    +-- TrainingError           a training that cannot continue; its last good weights are kept

A message names the file or the task, what was expected, what was found, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ClirBenchError(Exception):
    """The base class of all errors of clir-bench.

    Attributes:
        exit_code: Exit code of a command that this error ends.
    """

    exit_code = 1


class UsageError(ClirBenchError):
    """The command or the call is invalid; nothing was run."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that does not exist; the message lists the most similar names that do.

    Args:
        kind: What was looked for, in the singular: "task", "model", "language".
        name: What was asked for.
        known: Every name that would have been accepted.
        remedy: What to do instead, appended to the message.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        self.kind, self.name = kind, name
        self.near = near_names(name, known)
        hint = f"; did you mean {' or '.join(self.near)}?" if self.near else "."
        super().__init__(f"unknown {kind} {name!r}{hint}{' ' + remedy if remedy else ''}")


class CardError(UsageError):
    """A task card that cannot be read or contradicts itself."""


class DataError(ClirBenchError):
    """A file or a collection breaks the rules of its format."""


class MissingDataError(DataError):
    """A file is not there and cannot be fetched."""


class EncoderError(ClirBenchError):
    """An encoder failed, or returned something that cannot be searched with."""


class WorkerError(EncoderError):
    """Workers cannot be started, differ from each other, or were lost repeatedly."""


class PluginError(ClirBenchError):
    """An entry point that cannot be imported, lacks a method, or takes a built-in's name."""


class ConformanceError(ClirBenchError, AssertionError):
    """An encoder or adapter does not pass the checks of `clir_bench.testing`."""


class ResultError(ClirBenchError):
    """A stored result that cannot be read, or that a run must not overwrite."""


class OutputError(ClirBenchError):
    """The output folder cannot be written."""


class TrainingError(ClirBenchError):
    """A training that cannot continue; its last good weights are kept."""


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return up to `limit` known names that look like `name`, nearest first.

    >>> near_names("mircal", ["miracl", "mmarco", "xquad"])
    ['miracl']
    """
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=limit, cutoff=0.6)
    return [folded[candidate] for candidate in close]
