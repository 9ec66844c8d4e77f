"""`clir-bench show`."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli.tables import failure_text, result_text, suite_text
from clir_bench.errors import ResultError
from clir_bench.results import read_result, read_scores, to_json
from clir_bench.schema import Result, SuiteResult
from clir_bench.summary import with_tiers


@click.command(epilog="Example: clir-bench show results/hashing/miracl/sample.json --tiers optical")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by-pair", is_flag=True, help="A line a pair instead of a line a language.")
@click.option("--tiers", help="Another tier scheme, from the stored per-query values.")
@click.option("--json", "as_json", is_flag=True, help="Print results as JSON, one a line.")
def command(paths: tuple[Path, ...], by_pair: bool, tiers: str | None, as_json: bool) -> None:
    """Print stored results as tables.

    PATHS are result files, or folders in which all results are shown.
    """
    for number, path in enumerate(_result_files(paths)):
        result = read_result(path)
        if tiers and isinstance(result, Result):
            result = with_tiers(result, read_scores(path, result), tiers)
        if as_json:
            click.echo(to_json(result))
            continue
        click.echo("\n" * bool(number) + _text(result, by_pair))
        if failures := failure_text(result):
            click.echo(failures)


def _text(result: Result | SuiteResult, by_pair: bool) -> str:
    if isinstance(result, SuiteResult):
        return suite_text(result)
    return result_text(result, by_pair=by_pair)


def _result_files(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise ResultError(f"{path}: no result in this folder")
        found += inside
    return found
