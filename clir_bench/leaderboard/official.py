"""The data that boards are about, as hashes: `leaderboards/data.sha256`.

One line a pair, `<sha256>  <task>/<split>/<pair>`, sorted by what it is of: the data hash that
every result records over the documents, the judged queries and the judgments
(`inspection.inspect`). A result with another hash was made on other data. `clir-bench leaderboard
pin` writes the lines from the benchmark's own files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clir_bench.errors import DataError, MissingDataError
from clir_bench.types import LanguagePair

FILE_NAME = "data.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9][a-z0-9._-]*)/([A-Za-z0-9._-]+)/([a-z]+-[a-z]+)")


class DataKey(NamedTuple):
    """What a data hash is of."""

    task: str
    split: str
    pair: LanguagePair

    def __str__(self) -> str:
        return f"{self.task}/{self.split}/{self.pair}"


def read_official(folder: Path) -> dict[DataKey, str]:
    """Return the official data hashes of a folder of boards.

    Raises:
        MissingDataError: The folder has no such file.
        DataError: A line is not what the format says, or a pair occurs twice.
    """
    path = folder / FILE_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise MissingDataError(
            f"{path}: no such file; `clir-bench leaderboard pin` writes it from the data"
        ) from None
    found: dict[DataKey, str] = {}
    for number, line in enumerate(lines, start=1):
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise DataError(f"{path}:{number}: expected `<sha256>  <task>/<split>/<pair>`")
        key = DataKey(matched[2], matched[3], LanguagePair.parse(matched[4]))
        if key in found:
            raise DataError(f"{path}:{number}: {key} is there twice")
        found[key] = matched[1]
    return found


def format_official(hashes: Mapping[DataKey, str]) -> bytes:
    """Return the file's bytes, its lines sorted."""
    return "".join(f"{hashes[key]}  {key}\n" for key in sorted(hashes, key=str)).encode()
