"""`clir-bench languages`."""

from __future__ import annotations

import click
from tabulate import tabulate

from clir_bench.cli import options
from clir_bench.tasks.languages import all_languages, load_scheme, resolve, scheme_names


@click.command(epilog="Example: clir-bench languages sw Somali tgl --tiers optical")
@click.argument("names", nargs=-1)
@options.tiers
def command(names: tuple[str, ...], tiers: str) -> None:
    """List the languages and their resource tiers.

    NAMES may be codes or names, in any common form: sw, swa, swh, Swahili, zh-cn. Without any, all
    are listed. A dash means that the source does not say.
    """
    scheme = load_scheme(tiers)
    languages = [resolve(name) for name in names] if names else all_languages()
    rows = [
        [
            language.code,
            language.iso639_3 or "-",
            language.name,
            language.script,
            language.family,
            "-" if language.joshi_class is None else language.joshi_class,
            "-" if language.cc100_gib is None else language.cc100_gib,
            scheme.tier(language.code),
        ]
        for language in languages
    ]
    header = ["code", "ISO 639-3", "name", "script", "family", "Joshi", "CC-100 GiB", scheme.name]
    click.echo(tabulate(rows, header, disable_numparse=True))
    click.echo(f"\n{scheme.name}: {scheme.note.strip()}")
    click.echo(f"schemes: {', '.join(scheme_names())}")
