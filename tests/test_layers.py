"""Imports point downwards only, and the command line starts without the heavy libraries."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "clir_bench"

FLOORS = """
cli
leaderboard
analysis testing
evaluation
systems
search distill
results
encoders metrics
tasks
core
errors types
"""
"""Top down: a folder imports from floors below its own, and from none beside it."""

HEAVY = ("faiss", "matplotlib", "pandas", "sentence_transformers", "torch", "transformers")

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


FLOOR = {
    folder: number
    for number, floor in enumerate(reversed(FLOORS.split("\n")))
    for folder in floor.split()
}


def folder_of(module: str) -> str:
    return module.partition(".")[0]


def imported(path: Path) -> set[str]:
    """Return the modules of clir_bench that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute here"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    names = {name.removeprefix("clir_bench").lstrip(".") for name in found if "clir_bench" in name}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def test_every_floor_has_what_it_names() -> None:
    assert set(FLOOR) == {folder_of(module) for module in MODULES} - {"", "__main__"}


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"", "__main__"}))
def test_module_imports_from_floors_below_its_own_only(module: str) -> None:
    assert folder_of(module) in FLOOR, "a new folder needs a floor: add it to FLOORS"
    floor = FLOOR[folder_of(module)]
    above = {
        name
        for name in imported(MODULES[module]) - {""}
        if folder_of(name) != folder_of(module) and FLOOR[folder_of(name)] >= floor
    }
    assert above == set()


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name in HEAVY}


def test_command_line_starts_without_heavy_libraries() -> None:
    assert loaded_by("import clir_bench.cli") == set()


def test_no_module_loads_a_heavy_library_before_it_is_used() -> None:
    # distill defines torch modules; nothing else imports it before it trains.
    names = [
        f"clir_bench.{name}".rstrip(".")
        for name in MODULES
        if name != "__main__" and not name.startswith("distill.")
    ]
    assert (
        loaded_by(
            "import importlib\nfor name in " + repr(names) + ": importlib.import_module(name)"
        )
        == set()
    )


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[^A-Za-z0-9._-]", one)[0].lower().replace("_", "-") for one in stated}
    names = {"faiss": "faiss-cpu", "ot": "pot", "yaml": "pyyaml", "Stemmer": "pystemmer"}
    nodes = chain(*(ast.walk(ast.parse(path.read_text())) for path in MODULES.values()))
    imported = {
        name.partition(".")[0]
        for node in nodes
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    ours = {"clir_bench", "_typeshed", *sys.stdlib_module_names}
    libraries = {names.get(name, name.replace("_", "-")) for name in imported - ours}
    assert libraries - declared == set()
