"""`clir-bench submit`: turns results into submissions to the leaderboards."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo
from clir_bench.core.bounded_files import read_plain
from clir_bench.core.files import write_file
from clir_bench.core.progress import Bar
from clir_bench.errors import DataError, ResultError, UsageError
from clir_bench.evaluation.selection import one_folder, select_pairs, split_names
from clir_bench.leaderboard.submission.make import (
    Cut,
    NotForBoardsError,
    check_free,
    open_result,
    submit,
)
from clir_bench.results.store import find_results, system_folder
from clir_bench.results.system_card import (
    LARGEST_CARD_BYTES,
    card_path,
    parse_system_card,
    template,
)
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

_Choice = Callable[[TaskCard], Sequence[LanguagePair]]
_EPILOG = """\b
Examples:
  clir-bench submit results/my-encoder --card my-encoder.toml
  clir-bench submit results/my-encoder/xquad --to leaderboards/results
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("leaderboards/results"),
    show_default=True,
    help="Folder of submitted results.",
)
@click.option("--card", type=click.Path(path_type=Path), help="The system card.")
@click.option(
    "--pairs",
    "-p",
    multiple=True,
    help="More pairs to keep, beside those that boards show: en-*, or official.",
)
@options.measures
@options.data_dir
@click.option("--overwrite", is_flag=True, help="Replace what was submitted before.")
def command(
    paths: tuple[Path, ...],
    to: Path,
    card: Path | None,
    pairs: tuple[str, ...],
    measures: str | None,
    data_dir: Path | None,
    overwrite: bool,
) -> None:
    """Make the files of a pull request from stored results.

    PATHS are result files, or folders in which all results that boards can take are submitted.
    Runs are cut to what boards show, scored again, and stored small enough for a repository;
    beside them goes the system card, which says what the system was trained on. Without a card, the
    command writes a template to fill in.
    """

    def choose(task: TaskCard) -> Sequence[LanguagePair]:
        return select_pairs(task, pairs) if pairs else ()

    cuts = _open(paths, choose, split_names(measures))
    one_folder(data_dir, len({cut.card.id for cut in cuts}))
    if not overwrite:
        for cut in cuts:
            check_free(cut, to)
    cards = _cards(cuts, to, card)
    sources = [locate(cut.card, cut.result.task.split, data_dir) for cut in cuts]
    for path, data in cards.items():
        write_file(path, data)
    for cut, source in zip(cuts, sources, strict=True):
        bar = Bar(f"{cut.name} on {cut.card.id}")
        bar.begin("cutting", len(cut.plan.pairs))
        stored = submit(cut, to=to, source=source, advance=bar.advance)
        bar.end()
        folder = stored.parent / stored.stem
        size = stored.stat().st_size + sum(file.stat().st_size for file in folder.iterdir())
        echo(f"{stored}: {len(cut.plan.pairs)} pairs, {size / 1e6:.1f} MB")
    for name in dict.fromkeys(cut.name for cut in cuts):
        echo(f"check it with: clir-bench validate {to / system_folder(name)}")


def _open(paths: Sequence[Path], choose: _Choice, measures: tuple[str, ...]) -> list[Cut]:
    cuts = []
    for path in paths:
        if not path.is_dir():
            cuts.append(open_result(path, choose, measures))
            continue
        for file in find_results([path]):
            try:
                cuts.append(open_result(file, choose, measures))
            except NotForBoardsError as error:
                echo(f"left out: {error}", err=True)
    if not cuts:
        raise ResultError("nothing to submit: no result that boards can take")
    return cuts


def _cards(cuts: Sequence[Cut], to: Path, card: Path | None) -> dict[Path, bytes]:
    """Return every system's card by its path, once all cards are valid."""
    systems = {cut.name: cut for cut in cuts}
    if card is not None and len(systems) > 1:
        raise UsageError(f"--card is of one system; here are {', '.join(systems)}")
    found = {}
    for name, cut in systems.items():
        target = card_path(to, name)
        source = card or target
        if not os.path.lexists(source):
            write_file(source, template(cut.result.system).encode())
            raise DataError(
                f'{source}: now holds a system card to fill in: replace every "FILL IN" and '
                "submit again"
            )
        data = read_plain(source, LARGEST_CARD_BYTES)
        stated = parse_system_card(data, where=str(source)).name
        if stated != name:
            raise DataError(f"{source}: the card is of {stated!r}, the results are of {name!r}")
        found[target] = data
    return found
