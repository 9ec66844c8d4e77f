"""Writes a training's log: JSON lines with losses every 50 steps, and scores at validations."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clir_bench.core.display import shown
from clir_bench.core.files import write_file
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, OutputError

_LOGGER = logging.getLogger(__name__)
_REMEDY = "remove the line, which changes nothing but the log"


class Journal:
    """Appends to `path`; `cut` removes lines after the checkpoint from which training continues."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, entry: Mapping[str, float]) -> None:
        """Add a line.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(entry)) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror or error}; make room and run "
                "the same command again"
            ) from error

    def cut(self, step: int) -> None:
        """Remove all lines after `step`.

        Raises:
            DataError: A line is not what `write` writes.
        """
        kept = [entry for entry in self.read() if entry["step"] <= step]
        if self._path.is_file():
            write_file(self._path, "".join(json.dumps(entry) + "\n" for entry in kept).encode())

    def read(self) -> list[dict[str, float]]:
        """Return all lines, without an incomplete last one.

        Raises:
            DataError: The file cannot be read, or a line is not what `write` writes.
        """
        if not self._path.is_file():
            return []
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror or error}") from None
        entries = []
        for number, line in enumerate(lines, start=1):
            where = f"{self._path}:{number}"
            try:
                entry = parse_json(line, where, DataError)
            except DataError as error:
                if number < len(lines):
                    raise DataError(f"{error}; {_REMEDY}") from None
                continue
            if not _is_entry(entry):
                raise DataError(
                    f"{where}: expected an object of numbers with a step, found "
                    f"{shown(entry)}; {_REMEDY}"
                )
            entries.append(entry)
        return entries

    def plot(self, path: Path) -> bool:
        """Draw losses and scores over steps into `path`; return False without matplotlib."""
        if find_spec("matplotlib") is None:
            return False
        import importlib

        figures: Any = importlib.import_module("matplotlib.figure")

        figure = figures.Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots(1, 2)
        entries = self.read()
        names = sorted({name for entry in entries for name in entry})
        shown = (("loss", ("loss",)), ("held-back bitext", ("maxsim", "pooled")))
        for axis, (title, wanted) in zip(axes, shown, strict=True):
            axis.set_title(title)
            for name in names:
                if name.split(".")[0] not in wanted:
                    continue
                points = [(entry["step"], entry[name]) for entry in entries if name in entry]
                axis.plot(
                    *zip(*points, strict=True), label=name, marker="." if len(points) < 9 else ""
                )
            axis.set_xlabel("step")
            if axis.lines:
                axis.legend()
        figure.savefig(path)
        return True


def _is_entry(found: object) -> bool:
    return (
        isinstance(found, dict)
        and "step" in found
        and all(isinstance(value, int | float) for value in found.values())
    )
