"""`clir-bench schema`: prints the JSON schema of results."""

from __future__ import annotations

import json

import click

from clir_bench.cli.output import echo
from clir_bench.results.schema import Result, SuiteResult


@click.command(epilog="Example: clir-bench schema > result.schema.json")
@click.option("--suite", is_flag=True, help="The schema of a suite's result.")
def command(suite: bool) -> None:
    """Print the JSON schema of results."""
    model = SuiteResult if suite else Result
    echo(json.dumps(model.model_json_schema(), indent=1, sort_keys=True))
