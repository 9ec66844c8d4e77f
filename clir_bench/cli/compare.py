"""`clir-bench compare`: tests which differences between systems are significant."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clir_bench.analysis.comparison.files import comparison_record, comparison_rows
from clir_bench.analysis.comparison.groups import ALPHA
from clir_bench.analysis.comparison.paired import N_RESAMPLES, Settings
from clir_bench.analysis.comparison.report import Selection, compare
from clir_bench.analysis.comparison.systems import find_systems, put_first
from clir_bench.analysis.comparison.tables import comparison_tables
from clir_bench.cli import options
from clir_bench.cli.output import echo, show
from clir_bench.core.files import write_file
from clir_bench.core.tables import Format, json_line, written
from clir_bench.evaluation.selection import split_names
from clir_bench.metrics.significance import N_FLIPS
from clir_bench.results.store import check_writable
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.measures import parse_measures

_EPILOG = """\b
Examples:
  clir-bench compare results/hashing results/my-encoder
  clir-bench compare results --baseline labse --task tatoeba --tiers cc100
  clir-bench compare a/xquad-r b/xquad-r --pairs '*-en' --by-pair
"""
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=_EPILOG)
@click.argument(
    "paths", nargs=-1, required=True, metavar="RESULT...", type=click.Path(path_type=Path)
)
@click.option("--baseline", help="System the others are compared with. Default: the first.")
@click.option("--task", "-t", "tasks", multiple=True, help="Only this task; may be repeated.")
@click.option("--pairs", "-p", multiple=True, help="Only these pairs: en-sw,hi-en, or *-mul.")
@click.option(
    "--measures", multiple=True, help="Compare by these. Default: each task's primary measure."
)
@options.tiers
@click.option("--common-pairs", is_flag=True, help="Compare the pairs that all systems have.")
@click.option("--by-pair", is_flag=True, help="One line per pair instead of one per language.")
@click.option(
    "--flips",
    type=click.IntRange(100, 10_000_000),
    default=N_FLIPS,
    show_default=True,
    help="Sign vectors of the randomization test.",
)
@click.option(
    "--resamples",
    type=click.IntRange(100, 100_000),
    default=N_RESAMPLES,
    show_default=True,
    help="Replicates of the bootstrap.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=ALPHA,
    show_default=True,
    help="Corrected p-values up to this tell systems apart.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of both."
)
@options.formats("the comparison", "a difference", "markdown")
@click.option("--json", "json_file", type=_FILE, help="Write every number to this file as JSON.")
@click.option("--csv", "csv_file", type=_FILE, help="Write every number to this file as CSV.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    paths: tuple[Path, ...],
    baseline: str | None,
    tasks: tuple[str, ...],
    pairs: tuple[str, ...],
    measures: tuple[str, ...],
    tiers: str,
    common_pairs: bool,
    by_pair: bool,
    flips: int,
    resamples: int,
    alpha: float,
    seed: int,
    form: Format,
    json_file: Path | None,
    csv_file: Path | None,
) -> None:
    """Tell which differences between systems are real.

    RESULTs are result files, or folders in which all results are taken, of two or more systems.
    Each system is compared with the baseline on every task both have: by pair, language, tier, over
    all languages, and in the gap between high and low tier. Results of other data, another card,
    split, measure or depth, of a sample or a --limit are refused, and so are results with other
    pairs unless --common-pairs is given.
    """  # fmt: skip
    for file in (json_file, csv_file):
        if file is not None:
            check_writable(file)
    comparison = compare(
        put_first(find_systems(paths), baseline),
        scheme=load_scheme(tiers),
        settings=Settings(n_flips=flips, n_resamples=resamples, seed=seed),
        alpha=alpha,
        selection=Selection(
            tasks=tasks,
            measures=tuple(parse_measures(split_names(measures))),
            pairs=_rules(pairs),
            common_pairs=common_pairs,
        ),
    )
    record, rows = comparison_record(comparison), [comparison_rows(comparison)]
    if json_file is not None:
        text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        write_file(json_file, f"{text}\n".encode())
    if csv_file is not None:
        write_file(csv_file, f"{written(rows, 'csv')}\n".encode())
    if form == "json":
        echo(json_line(record))
    else:
        show(rows if form == "csv" else comparison_tables(comparison, by_pair=by_pair), form)
    for refusal in comparison.refused:
        echo(f"refused: {refusal}", err=True)
    if comparison.refused:
        ctx.exit(1)


def _rules(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the rules of `--pairs`; empty for all pairs."""
    rules = tuple(rule.strip() for rule in ",".join(pairs).split(",") if rule.strip())
    return () if rules == ("all",) else rules
