"""Pages of the documentation, cut into their fenced blocks.

`sh` holds commands; a language with a file name (```toml my-task.toml) is that file; `python` is
run where a test says so, and a `text` block below it is what it prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NEEDS_DATA = "<!-- needs the benchmark's data -->"
_FENCE = re.compile(r"^```(.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block of the page."""

    line: int
    info: str
    text: str
    needs_data: bool

    @property
    def path(self) -> str:
        return self.info.partition(" ")[2]

    @property
    def is_commands(self) -> bool:
        return self.info == "sh"

    def __str__(self) -> str:
        return f"{self.line}: {self.path or self.text.splitlines()[0]}"


def blocks_of(text: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    lines = text.splitlines()
    body: list[str] = []
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened, body = (number, fence[1]), []
        elif fence and opened is not None:
            needs_data = lines[opened[0] - 2] == NEEDS_DATA
            found.append(Block(*opened, "\n".join(body) + "\n", needs_data))
            opened = None
        else:
            body.append(line)
    assert opened is None, "a block is not closed"
    return found
