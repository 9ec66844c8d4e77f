"""`clir-bench export`: writes stored results in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.core.files import write_file
from clir_bench.errors import UsageError
from clir_bench.results.export.stored import export_model_index, export_mteb, export_runs

_EPILOG = """\b
Examples:
  clir-bench export --format mteb results/my-encoder/xquad/validation.json
  clir-bench export --format model-index results/my-encoder/*/*.json > card.md
  clir-bench export --format ir-metadata -o runs results/labse/xquad/*.json
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(("mteb", "model-index", "ir-metadata")),
    help="mteb's TaskResult, a model card's metadata, or runs with an ir_metadata header.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Write here instead of to stdout; for ir-metadata a folder.",
)
def command(paths: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Write stored results in the formats of other sites.

    PATHS are result files. Samples, partial and unofficial results are refused, and measures that
    look deeper than the rankings go are left out.
    """
    if form == "ir-metadata":
        if output is None:
            raise UsageError("--format ir-metadata writes run files; name a folder with --output")
        done = export_runs(paths, output)
    elif form == "mteb":
        if len(set(paths)) > 1:
            raise UsageError("--format mteb writes one result per file; export them one by one")
        done = export_mteb(paths[0])
    else:
        done = export_model_index(paths)
    for note in done.notes:
        echo(f"note: {note}", err=True)
    for file in done.files:
        echo(file)
    if output is None:
        echo(done.text, nl=False)
    elif done.text:
        write_file(output, done.text.encode())
