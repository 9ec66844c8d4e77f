"""`clir-bench encoders`: lists the models that have a name."""

from __future__ import annotations

import click

from clir_bench.cli import options
from clir_bench.cli.output import show
from clir_bench.core import plugins
from clir_bench.core.tables import Column, Fold, Format, Table
from clir_bench.encoders.catalog import table


def _millions(number: int | None) -> str:
    return "-" if number is None else f"{number / 1e6:,.0f}"


@click.command(epilog="Example: clir-bench encoders")
@options.formats("a model", "a model")
def command(form: Format) -> None:
    """List the named models, and the packages they come from.

    Any other sentence-transformers model is named st:HUB_ID or st:FOLDER.
    """
    known = table()
    rows = []
    for name in plugins.names(plugins.ENCODERS):
        model = known.get(name)
        facts = (
            (model.hub_id, model.n_parameters, model.max_tokens, model.license)
            if model
            else (None, None, None, None)
        )
        rows.append([name, *facts, plugins.provider(plugins.ENCODERS, name)])
    columns = [
        Column("model"),
        Column("hub id", drop=4, key="hub_id"),
        Column("parameters (M)", _millions, right=True, key="n_parameters",
               folds=(Fold(0, "params (M)", _millions),)),
        Column("max tokens", right=True, drop=3, key="max_tokens"),
        Column("license", drop=2),
        Column("package", drop=1),
    ]  # fmt: skip
    notes = ("any sentence-transformers model: st:HUB_ID or st:FOLDER",)
    show([Table(columns=columns, rows=rows, notes=notes)], form)
