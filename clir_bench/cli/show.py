"""`clir-bench show`."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.cli.tables import failure_text, result_text, suite_text
from clir_bench.results.schema import Result, SuiteResult
from clir_bench.results.store import find_results, read_result, read_scores, shown_result, to_json
from clir_bench.results.summary import with_tiers


@click.command(epilog="Example: clir-bench show results/hashing/miracl/sample.json --tiers optical")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by-pair", is_flag=True, help="A line a pair instead of a line a language.")
@click.option("--tiers", help="Another tier scheme, from the stored per-query values.")
@click.option("--json", "as_json", is_flag=True, help="Print results as JSON, one a line.")
def command(paths: tuple[Path, ...], by_pair: bool, tiers: str | None, as_json: bool) -> None:
    """Print stored results as tables.

    PATHS are result files, or folders in which all results are shown.
    """
    for number, path in enumerate(find_results(paths)):
        result = read_result(path)
        if tiers and isinstance(result, Result):
            result = with_tiers(result, read_scores(path, result), tiers)
        if as_json:
            echo(to_json(result))
            continue
        if isinstance(result, SuiteResult):
            suite = shown_result(result)
            text, failures = suite_text(suite), failure_text(suite)
        else:
            known = shown_result(result)
            text, failures = result_text(known, by_pair=by_pair), failure_text(known)
        echo("\n" * bool(number) + text)
        if failures:
            echo(failures)
