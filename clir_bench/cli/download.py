"""`clir-bench download`."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo
from clir_bench.cli.selection import select_pairs
from clir_bench.errors import ClirBenchError
from clir_bench.evaluation.evaluate import card_for
from clir_bench.evaluation.suite import part_of
from clir_bench.tasks.adapters.irds import prefetch, uses_ir_datasets
from clir_bench.tasks.cards import SuiteCard, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.download import download_all
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair


@click.command(epilog="Example: clir-bench download miracl --languages sw,te")
@click.argument("tasks", nargs=-1, required=True)
@options.languages
@options.pairs
@options.split
@options.tasks_dir
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    tasks: tuple[str, ...],
    languages: str | None,
    pairs: str | None,
    split: str | None,
    tasks_dir: Path | None,
) -> None:
    """Fetch the data of TASKS ahead of time; runs work offline afterwards.

    An interrupted download goes on where it was. Files whose sha256 is known are compared with it,
    and fetched for all of the task's languages, as there is little of them.
    """
    jobs = [
        _job(card, languages, pairs, split)
        for card in _tasks([load_card(task, tasks_dir) for task in tasks], tasks_dir)
    ]
    problems = []
    for card, of_split, chosen in jobs:
        try:
            echo(f"{card.id}: {_fetch(card, of_split, chosen)}")
        except ClirBenchError as error:
            problems.append(str(error))
    for problem in problems:
        echo(f"failed: {problem}", err=True)
    if problems:
        ctx.exit(1)


def _tasks(cards: list[TaskCard | SuiteCard], tasks_dir: Path | None) -> list[TaskCard]:
    found: dict[str, TaskCard] = {}
    for card in cards:
        parts = (
            [part_of(part, tasks_dir) for part in card.parts]
            if isinstance(card, SuiteCard)
            else [card]
        )
        found.update((part.id, part) for part in parts)
    return list(found.values())


def _job(
    card: TaskCard, languages: str | None, pairs: str | None, split: str | None
) -> tuple[TaskCard, str, list[LanguagePair]]:
    split = split or card.default_split
    card, scheme = card_for(card, split), load_scheme("joshi")
    chosen = select_pairs(card, pairs=pairs, languages=languages, tiers=(), scheme=scheme)
    return card, split, chosen


def _fetch(card: TaskCard, split: str, pairs: list[LanguagePair]) -> str:
    """Fetch one task and return what was done, in words."""
    source = locate(card, split)
    if source.origin == "local":
        return f"read from {source.directory}; nothing to fetch"
    if uses_ir_datasets(card):
        prefetch(card, pairs, split)
        return f"{len(pairs)} pairs are in the cache of ir_datasets"
    files = download_all(card)
    return f"{len(files)} files are in {source.directory}"
