"""`clir-bench merge`: makes results from the vectors that several jobs have stored."""

from __future__ import annotations

from typing import Any

import click

from clir_bench.cli.run import RunOptions, run, run_options


@click.command(epilog="Example: clir-bench merge --model labse --task miracl --embeddings vectors")
@run_options
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Make results from the vectors that `run --num-shards` has stored.

    Give it the options of the jobs. It encodes the queries, searches and scores. It encodes no
    documents: it names missing shards and stops.
    """
    run(ctx, RunOptions(**values), stored_only=True)
