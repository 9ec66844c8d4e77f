"""`clir-bench show`: prints stored results."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.tables import Printer
from clir_bench.core.tables import Format
from clir_bench.results.schema import Result
from clir_bench.results.store import find_results, read_result, read_scores
from clir_bench.results.summary import with_tiers


@click.command(epilog="Example: clir-bench show results/hashing/miracl/sample.json --tiers optical")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by-pair", is_flag=True, help="One line per pair instead of one per language.")
@click.option("--tiers", help="Another tier scheme, from the stored per-query values.")
@options.formats("a stored result", "a mean by one measure", "json")
def command(paths: tuple[Path, ...], by_pair: bool, tiers: str | None, form: Format) -> None:
    """Print stored results as tables.

    PATHS are result files, or folders in which all results are shown.
    """
    printer = Printer(form, by_pair=by_pair, failures=True)
    for path in find_results(paths):
        result = read_result(path)
        if tiers and isinstance(result, Result):
            result = with_tiers(result, read_scores(path, result), tiers)
        printer.show(result)
