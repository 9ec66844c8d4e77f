"""Records the commands behind a result: the first one, and later ones that added to it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from clir_bench.results.schema import Environment, Result
from clir_bench.results.summary import environment_record


@dataclass
class History:
    """The commands behind one result, including the one of this process.

    Attributes:
        command: What the user typed to start this process.
        stored: The result as last read or written; None without a result to add to.
    """

    command: str
    stored: Result | None = None
    _started: float = field(default_factory=time.time)
    _mine: Environment | None = None

    def now(self) -> Environment:
        """Return the environment of this process."""
        return environment_record(self.command, self._started)

    def completed(self, result: Result) -> Result:
        """Return a result with this process' `environment` and all commands that made it.

        If this process added nothing, returns the stored result unchanged: command, start and
        seconds belong to the run that gave the scores.
        """
        now, stored = result.environment, self.stored
        if stored is None or not _shares_runs(stored, result):
            commands = [now]
        else:
            commands = [stored.environment, *stored.later_commands]
            if self._mine in commands:
                commands[commands.index(self._mine)] = now
            elif _made_by(result, commands) == stored:
                return stored
            else:
                commands.append(now)
        self._mine, self.stored = now, _made_by(result, commands)
        return self.stored


def _made_by(result: Result, commands: list[Environment]) -> Result:
    first, *later = commands
    return result.model_copy(update={"environment": first, "later_commands": tuple(later)})


def _shares_runs(stored: Result, result: Result) -> bool:
    """Return whether the result still has any run of a stored result."""
    runs = {name: pair.run_sha256 for name, pair in result.pairs.items() if pair.status == "done"}
    return any(
        pair.status == "done" and runs.get(name) == pair.run_sha256
        for name, pair in stored.pairs.items()
    )
