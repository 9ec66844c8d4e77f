"""`clir-bench encoders`."""

from __future__ import annotations

import click
from tabulate import tabulate

from clir_bench.core import plugins
from clir_bench.encoders.catalog import table


@click.command(epilog="Example: clir-bench encoders")
def command() -> None:
    """List the models that can be named, and the packages they come from.

    Any other sentence-transformers model is named st:HUB_ID or st:FOLDER.
    """
    known = table()
    rows = []
    for name in plugins.names(plugins.ENCODERS):
        package = plugins.provider(plugins.ENCODERS, name)
        model = known.get(name)
        if model is None:
            rows.append([name, "", "", "", "", package])
        else:
            size = f"{model.n_parameters / 1e6:,.0f}" if model.n_parameters else "-"
            limit = str(model.max_tokens or "-")
            rows.append([name, model.hub_id, size, limit, model.license, package])
    header = ["model", "hub id", "parameters (M)", "max tokens", "license", "package"]
    click.echo(tabulate(rows, header, disable_numparse=True))
    click.echo("\nany sentence-transformers model: st:HUB_ID or st:FOLDER")
