"""Measured figures in small CSV files, from which tables and plots are made.

Lines that begin with `#` come first and say what was measured on: `# machine: ...`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Records(NamedTuple):
    """One file.

    Attributes:
        about: What was measured on, by name.
        rows: By column; the same columns in all.
    """

    about: dict[str, str]
    rows: list[dict[str, str]]

    def where(self, **wanted: object) -> list[dict[str, str]]:
        """Return the rows with these values."""
        texts = {column: str(value) for column, value in wanted.items()}
        return [row for row in self.rows if texts.items() <= row.items()]

    def different(self, column: str) -> list[str]:
        """Return the values of a column, in the order in which they first occur."""
        return list(dict.fromkeys(row[column] for row in self.rows))


def about_here(threads: int, packages: Sequence[str] = ()) -> dict[str, str]:
    """Return what this machine is and which versions of packages are installed."""
    from importlib.metadata import version

    from clir_bench.core.provenance import hardware

    found = hardware()
    machine = f"{found['processor']}, {found['cores']} cores, {found['memory_GiB']} GiB"
    if "accelerators" in found:
        machine += f", {found['accelerators']}"
    about = {"machine": machine, "threads": str(threads)}
    if packages:
        about["versions"] = ", ".join(f"{name} {version(name)}" for name in packages)
    return about


def write(path: Path, rows: Iterable[Mapping[str, Any]], about: Mapping[str, str]) -> None:
    """Write a file; numbers keep four significant digits."""
    rows = list(rows)
    buffer = io.StringIO()
    buffer.writelines(f"# {name}: {value}\n" for name, value in about.items())
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({column: _short(value) for column, value in row.items()})
    path.write_text(buffer.getvalue(), encoding="utf-8")


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def read(path: Path) -> Records:
    """Read a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    about: dict[str, str] = {}
    while lines and lines[0].startswith("#"):
        name, _, value = lines.pop(0).removeprefix("#").partition(":")
        about[name.strip()] = value.strip()
    return Records(about, list(csv.DictReader(lines)))
