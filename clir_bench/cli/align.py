"""`clir-bench align`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from clir_bench.cli.options import bitext_options, bitext_source
from clir_bench.cli.output import echo
from clir_bench.core.progress import Bar

_N_SHOWN, _N_TRANSLATIONS = 8, 4
_FIRST = 40  # so many of the most frequent terms are mostly function words


@click.command(
    epilog="Example: clir-bench align --bitext sw=pairs.tsv.gz --output tables, then "
    "clir-bench run --model psq:tables --task afriqa --languages sw"
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="TOML file with [[bitext]] as for distill, and [[lexicon]]; tools/psq_tables.toml is one.",
)
@bitext_options
@click.option(
    "--lexicon",
    multiple=True,
    help="A TSV of 'English<tab>translation' of words and names, as CODE=FILE; may be repeated.",
)
@click.option(
    "--languages", "-l", multiple=True, help="Make only these tables (sw,yo); may be repeated."
)
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path), help="The tables' folder."
)
def command(
    *,
    recipe: Path | None,
    bitext: tuple[str, ...],
    bitext_root: Path | None,
    lexicon: tuple[str, ...],
    languages: tuple[str, ...],
    output: Path,
) -> None:
    """Make translation tables from bitext, from and to English, for `--model psq:FOLDER`.

    Sentences of the evaluation tasks whose data is at hand are found and dropped first.
    """
    from clir_bench.distill.recipe import read_recipe
    from clir_bench.systems.psq.build import build_tables, check_table_recipe

    values: dict[str, Any] = read_recipe(recipe) if recipe else {}
    if bitext:
        values["bitext"] = [bitext_source(one) for one in bitext]
    if lexicon:
        values["lexicon"] = [bitext_source(one, "--lexicon") for one in lexicon]
    checked = check_table_recipe(values, str(recipe) if recipe else "options")
    root = bitext_root or (recipe.parent if recipe and not bitext else Path())
    wanted = [code for one in languages for code in one.split(",") if code]
    bar = Bar("align")
    try:
        for made in build_tables(checked, root.resolve(), output, languages=wanted, progress=bar):
            entries = sum(len(row.terms) for row in made.rows.values())
            echo(
                f"{made.path}: {made.path.stat().st_size / 1e3:.0f} kB, {made.n_pairs:,} pairs, "
                f"{len(made.rows):,} query terms, {entries:,} translations"
            )
            for term in made.frequent[_FIRST:][:_N_SHOWN]:
                best = sorted(made.rows[term].terms.items(), key=lambda one: (-one[1], one[0]))
                shown = ", ".join(f"{name} {share:.2f}" for name, share in best[:_N_TRANSLATIONS])
                echo(f"  {term}: {shown}")
    finally:
        bar.end()
    echo(f"use them as --model psq:{output}")
