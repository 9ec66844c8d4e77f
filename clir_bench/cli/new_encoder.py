"""`clir-bench new-encoder`: writes a Python package for your own encoder."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.testing.project import ProjectNames, write_project


@click.command(epilog="Example: clir-bench new-encoder my-encoder")
@click.argument("name")
@click.option(
    "--directory",
    "-d",
    type=click.Path(path_type=Path),
    help="Folder to write. Default: clir-bench-NAME.",
)
def command(name: str, directory: Path | None) -> None:
    """Write a package with your own encoder, called NAME.

    The package works at once: install it, run its tests, and replace its stand-in model with yours.
    A model that sentence-transformers can load needs no package: a TOML file describes it (`run
    --model my-model.toml`, see CONTRIBUTING.md).
    """
    names = ProjectNames.of(name)
    folder = directory or Path(names.package)
    for path in write_project(names, folder):
        echo(path)
    echo(
        f"\nnext: python -m pip install -e {shlex.quote(str(folder))}\n"
        f"      python -m pytest {shlex.quote(str(folder))}\n"
        f"      clir-bench check-encoder {name}"
    )
