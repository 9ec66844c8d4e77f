"""`clir-bench analyze`."""

from __future__ import annotations

import sys

import click

from clir_bench.cli import options
from clir_bench.cli.output import show
from clir_bench.core.tables import Column, Format, Table
from clir_bench.tasks.languages import resolve


@click.command(epilog='Example: clir-bench analyze --language hi "लड़कियों की किताबें"')
@click.argument("texts", nargs=-1)
@click.option("--language", "-l", required=True, help="Language of the texts, a code or a name.")
@options.formats("a text", "a text")
def command(texts: tuple[str, ...], language: str, form: Format) -> None:
    """Show the terms that lexical systems make of texts.

    Without TEXTS, reads standard input, one text per line. A dash means that no term is left.
    """
    from clir_bench.encoders.lexical.analysis import load_analyzer

    lines = texts or [line.decode("utf-8", "replace").rstrip("\r\n") for line in sys.stdin.buffer]
    analyzer = load_analyzer(resolve(language).code)
    rows = [[text, analyzer.terms(text)] for text in lines]
    columns = [
        Column("text"), Column("terms", lambda terms: " ".join(terms) or "-"),
    ]  # fmt: skip
    show([Table(columns=columns, rows=rows, about=(analyzer.name,))], form)
