"""`clir-bench languages`: lists the languages and their resource tiers."""

from __future__ import annotations

import click

from clir_bench.cli import options
from clir_bench.cli.output import show
from clir_bench.core.tables import Column, Format, Table
from clir_bench.tasks.languages import all_languages, load_scheme, resolve, scheme_names


@click.command(epilog="Example: clir-bench languages sw Somali tgl --tiers optical")
@click.argument("names", nargs=-1)
@options.tiers
@options.formats("a language", "a language")
def command(names: tuple[str, ...], tiers: str, form: Format) -> None:
    """List the languages and their resource tiers.

    NAMES may be codes or names, in any common form: sw, swa, swh, Swahili, zh-cn. Without NAMES,
    lists all. A dash means that the source does not say.
    """
    scheme = load_scheme(tiers)
    languages = [resolve(name) for name in names] if names else all_languages()
    rows = [
        [
            language.code, language.iso639_3, language.name, language.script, language.family,
            language.joshi_class, language.cc100_gib, scheme.tier(language.code),
        ]
        for language in languages
    ]  # fmt: skip
    columns = [
        Column("code"),
        Column("ISO 639-3", drop=1, key="iso639_3"),
        Column("name"),
        Column("script"),
        Column("family", drop=2),
        Column("Joshi", right=True, key="joshi_class"),
        Column("CC-100 GiB", right=True, key="cc100_gib"),
        Column(scheme.name, key="tier"),
    ]
    notes = ((f"{scheme.name}: {scheme.note.strip()}", f"schemes: {', '.join(scheme_names())}"),)
    show([Table(columns=columns, rows=rows, notes=notes)], form)
