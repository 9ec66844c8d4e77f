"""Printing what may quote a file or a stranger: nothing in it can steer a terminal."""

from __future__ import annotations

import click

from clir_bench.characters import visible


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text; unseen characters but line ends and tabs are spelled out, as JSON does."""
    click.echo(visible(str(text), keep="\n\t"), err=err, nl=nl)
