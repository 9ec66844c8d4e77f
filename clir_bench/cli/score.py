"""`clir-bench score`: scores TREC run files of other software."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, typed_command
from clir_bench.cli.tables import Printer
from clir_bench.core.progress import Bar
from clir_bench.core.tables import Format
from clir_bench.errors import UsageError
from clir_bench.evaluation.evaluate import card_for
from clir_bench.evaluation.score_runs import score_runs
from clir_bench.evaluation.selection import select_pairs, split_names
from clir_bench.evaluation.system import Settings
from clir_bench.results.store import result_path
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.measures import parse_measures
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

_EPILOG = """\b
Examples:
  clir-bench score --task miracl --system my-bm25 sw-sw=sw.run.gz te-te=te.run
  clir-bench score --task xquad --system lucene en-en=run.txt --json
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="PAIR=RUN...")
@click.option("--task", "-t", required=True, help="Task by name, or path to a card.toml.")
@click.option("--system", required=True, help="What to call the system that made the runs.")
@options.split
@click.option("--sample", is_flag=True, help="The runs are of the embedded sample.")
@options.tiers
@options.measures
@options.data_dir
@options.tasks_dir
@options.output
@options.seed
@click.option("--overwrite", is_flag=True, help="Replace what is stored under that system's name.")
@options.formats("the stored result", "a mean by one measure", "json")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    runs: tuple[str, ...],
    task: str,
    system: str,
    split: str | None,
    sample: bool,
    tiers: str,
    measures: str | None,
    data_dir: Path | None,
    tasks_dir: Path | None,
    output: Path,
    seed: int,
    overwrite: bool,
    form: Format,
) -> None:
    """Score TREC run files made elsewhere against a task.

    Give each run with its pair, as in en-sw=my.run; it may be packed, or come from a pipe, as in
    en-sw=/dev/stdin. Judged queries without an answer count 0. Measures that look deeper than the
    runs are renamed to the runs' depth (R@10 for R@100); those of --measures are refused. The
    result is stored like those of `clir-bench run`. """  # fmt: skip
    card = load_card(task, tasks_dir)
    if not isinstance(card, TaskCard):
        raise UsageError(f"{task!r} is a suite; score its parts one by one")
    split = SAMPLE if sample else split or card.default_split
    card = card_for(card, split)
    files: dict[LanguagePair, Path] = {}
    for run in runs:
        name, equals, path = run.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{run!r}: write the pair and its run file, as in en-sw=my.run")
        chosen = select_pairs(card, name)
        if len(chosen) > 1:
            raise UsageError(f"{run!r} names {len(chosen)} pairs; a run file is of one, as en-sw")
        if chosen[0] in files:
            raise UsageError(f"{run!r}: pair {chosen[0]} has a run file already")
        files[chosen[0]] = Path(path)
    settings = Settings(
        measures=tuple(parse_measures(split_names(measures))),
        tiers=tiers,
        seed=seed,
        overwrite=overwrite,
        command=typed_command(),
    )
    result, notes = score_runs(
        card,
        files,
        system,
        output=output,
        source=locate(card, split, data_dir),
        split=split,
        settings=settings,
        progress=Bar(f"{system} on {card.id}"),
    )
    done = any(pair.status == "done" for pair in result.pairs.values())
    if done or form == "json":
        Printer(form).show(result)
    if done and form == "table":
        echo(f"\nresult: {result_path(output, system, card.id, split)}")
    for note in notes:
        echo(f"note: {note}", err=True)
    failed = [pair for pair in files if result.pairs[str(pair)].status == "failed"]
    for pair in failed:
        echo(f"failed: {pair}: {result.pairs[str(pair)].error}", err=True)
    if failed:
        ctx.exit(1)
