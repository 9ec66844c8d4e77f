"""Imports point downwards only, and the command line starts without the heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "clir_bench"

LAYERS = {
    "": 0,
    "environment": 0,
    "errors": 0,
    "characters": 0,
    "files": 0,
    "languages": 0,
    "measures": 0,
    "plugins": 0,
    "profiling": 0,
    "progress": 0,
    "structured": 0,
    "types": 0,
    "bounded": 1,
    "cards": 1,
    "pairs": 1,
    "registry": 1,
    "adapters": 2,
    "aggregate": 2,
    "encoders": 2,
    "index": 2,
    "inspection": 2,
    "outline": 2,
    "runs": 2,
    "samples": 2,
    "schema": 2,
    "scoring": 2,
    "approximation": 3,
    "embeddings": 3,
    "preparation": 3,
    "repeats": 3,
    "results": 3,
    "retrieval": 3,
    "summary": 3,
    "windows": 3,
    "workers": 3,
    "disparity": 4,
    "comparison": 4,
    "distill": 4,
    "evaluate": 4,
    "export": 4,
    "external": 4,
    "leaderboard": 4,
    "jobs": 4,
    "ledger": 4,
    "passes": 4,
    "submission": 4,
    "suite": 4,
    "__main__": 5,
    "cli": 5,
    "testing": 5,
}
"""Module or package below clir_bench to its layer; within a layer modules may know each other."""

ALLOWED = {("cards", "adapters.irds")}
"""`--task irds:ID` has no card: the adapter that knows ir_datasets writes one when it is asked."""

HEAVY = ("faiss", "pandas", "sentence_transformers", "torch", "transformers")

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def layer(module: str) -> int:
    return LAYERS[module.partition(".")[0]]


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


def test_every_layer_has_what_it_names() -> None:
    assert set(LAYERS) == {module.partition(".")[0] for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_nothing_from_a_layer_above(module: str) -> None:
    assert module.partition(".")[0] in LAYERS, "a new module needs a layer: add it to LAYERS"
    above = {
        name
        for name in imported(MODULES[module])
        if layer(name) > layer(module) and (module, name) not in ALLOWED
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
