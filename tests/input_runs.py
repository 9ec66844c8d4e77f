"""Runs of the command line on the tiny collection, and what they left."""

from __future__ import annotations

import gzip

from folders import (
    Folder,
    clir,
)

from clir_bench.results.schema import Result
from clir_bench.results.store import read_result

DE = "de/corpus.jsonl"


def run(folder: Folder, *arguments: object, model: str = "hashing") -> int:
    output = folder.card_path.parent / "out"
    return clir("run", "-m", model, "-t", folder.card_path, "-o", output, *arguments)


def stored(folder: Folder, name: str = "hashing/mine/test.json") -> Result:
    found = read_result(folder.card_path.parent / "out" / name)
    assert isinstance(found, Result)
    return found


def statuses(folder: Folder) -> dict[str, str]:
    return {name: pair.status for name, pair in stored(folder).pairs.items()}


def means(folder: Folder) -> dict[str, dict[str, float]]:
    return {
        name: {measure: score.mean for measure, score in pair.scores.items()}
        for name, pair in stored(folder).pairs.items()
    }


def append(folder: Folder, name: str, line: str) -> None:
    with (folder.data / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def pack(folder: Folder, name: str, cut: int = 0) -> None:
    """Replace a file by its gzip, `cut` bytes short."""
    path = folder.data / name
    data = gzip.compress(path.read_bytes())
    path.with_name(path.name + ".gz").write_bytes(data[: len(data) - cut])
    path.unlink()
