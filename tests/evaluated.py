"""What a run of the watched encoder on the tiny collection left."""

from __future__ import annotations

from pathlib import Path

from clir_bench.results.schema import Result
from clir_bench.results.store import read_result

EVERYTHING = [
    ("documents", "de"),
    ("documents", "sw"),
    ("queries", "en"),
    ("queries", "fr"),
]


def stored(output: Path, name: str = "watched/mine/test.json") -> Result:
    found = read_result(output / name)
    assert isinstance(found, Result)
    return found


def statuses(result: Result) -> dict[str, str]:
    return {name: pair.status for name, pair in result.pairs.items()}
