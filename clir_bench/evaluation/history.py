"""Which commands made a result: the first stays, and later ones that add to it come after it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from clir_bench.results.schema import Environment, Result
from clir_bench.results.summary import environment_record


@dataclass
class History:
    """The commands behind one result, of which this process runs one.

    Attributes:
        command: What a person typed to start this process.
        stored: The result as it was last read or written; None where there is none to add to.
    """

    command: str
    stored: Result | None = None
    _started: float = field(default_factory=time.time)
    _mine: Environment | None = None

    def now(self) -> Environment:
        """Return where and how this process runs."""
        return environment_record(self.command, self._started)

    def completed(self, result: Result) -> Result:
        """Return a result whose `environment` is this process' with all commands that made it.

        It is the stored result itself where this process has added nothing to it: the command, the
        start and the seconds in a result are those of the run that its scores are from.
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
    """Return whether any run of a stored result is still one of the result's."""
    runs = {name: pair.run_sha256 for name, pair in result.pairs.items() if pair.status == "done"}
    return any(
        pair.status == "done" and runs.get(name) == pair.run_sha256
        for name, pair in stored.pairs.items()
    )
