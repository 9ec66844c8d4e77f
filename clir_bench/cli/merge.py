"""`clir-bench merge`: results from vectors that jobs have stored."""

from __future__ import annotations

from functools import partial

import click

from clir_bench.cli import run

_HELP = """Make results from the vectors that `run --num-shards` has stored.

Takes the options the jobs were given, encodes the queries, searches and scores. Refuses to encode
documents: shards that are missing are named.
"""
_DIVIDING = ("num_shards", "shard_id")

command = click.Command(
    "merge",
    params=[option for option in run.command.params if option.name not in _DIVIDING],
    callback=run.command.callback
    and partial(run.command.callback, num_shards=None, shard_id=None, stored_only=True),
    help=_HELP,
    epilog="Example: clir-bench merge --model labse --task miracl --embeddings vectors",
)
