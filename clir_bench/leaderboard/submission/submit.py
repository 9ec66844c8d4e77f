"""Makes the files of a pull request from stored results, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.files import write_file
from clir_bench.core.progress import Bar
from clir_bench.errors import DataError, ResultError, UsageError
from clir_bench.evaluation.selection import Names, one_folder, select_pairs, split_names
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


@dataclass(frozen=True)
class WrittenResult:
    """A result of a submission.

    Attributes:
        path: The JSON file; runs and values are in the folder beside it.
        n_pairs: Its pairs.
        size_bytes: Of all its files.
    """

    path: Path
    n_pairs: int
    size_bytes: int


@dataclass(frozen=True)
class WrittenSubmission:
    """What was written for a pull request.

    Attributes:
        results: In the order of the paths.
        systems: The folder of each system, for `validate`.
        left_out: Why results in a folder were not submitted.
    """

    results: tuple[WrittenResult, ...]
    systems: tuple[Path, ...]
    left_out: tuple[str, ...]


def submit_results(
    paths: Sequence[Path],
    to: Path,
    *,
    card: Path | None = None,
    pairs: Names = None,
    measures: Names = None,
    data_dir: Path | None = None,
    overwrite: bool = False,
) -> WrittenSubmission:
    """Cut stored results to what boards show, score them again and store them with a system card.

    Args:
        paths: Results, or folders in which all results that boards can take are submitted.
        to: Folder of submitted results.
        card: The system card; the one in `to` when None. Where there is none, a template is written
            to fill in.
        pairs: Pairs to keep beside those that boards show: "en-*", or "official".
        measures: Measures to keep beside those that boards show.
        data_dir: Folder of the one task's files; the usual places when None.
        overwrite: Replace what was submitted before.

    Raises:
        UsageError: One card for several systems, or one data folder for several tasks.
        ResultError: No result can be submitted, or one is submitted already.
        DataError: A system card is missing or wrong, the data is not that of a run, or a run file
            is missing or damaged.
        OutputError: The folder cannot be written.
    """

    def choose(task: TaskCard) -> Sequence[LanguagePair]:
        return select_pairs(task, pairs) if pairs else ()

    cuts, left_out = [], []
    for path in paths:
        for file in find_results([path]) if path.is_dir() else [path]:
            try:
                cuts.append(open_result(file, choose, split_names(measures)))
            except NotForBoardsError as error:
                if not path.is_dir():
                    raise
                left_out.append(str(error))
    if not cuts:
        reasons = "".join(f"\nleft out: {reason}" for reason in left_out)
        raise ResultError(f"nothing to submit: no result that boards can take{reasons}")
    one_folder(data_dir, len({cut.card.id for cut in cuts}))
    if not overwrite:
        for cut in cuts:
            check_free(cut, to)
    cards = _cards(cuts, to, card)
    sources = [locate(cut.card, cut.result.task.split, data_dir) for cut in cuts]
    for path, data in cards.items():
        write_file(path, data)
    written = []
    for cut, source in zip(cuts, sources, strict=True):
        bar = Bar(f"{cut.name} on {cut.card.id}")
        bar.begin("cutting", len(cut.plan.pairs))
        stored = submit(cut, to=to, source=source, advance=bar.advance)
        bar.end()
        size_bytes = sum(
            file.stat().st_size for file in (stored, *stored.with_suffix("").iterdir())
        )
        written.append(WrittenResult(stored, len(cut.plan.pairs), size_bytes))
    systems = dict.fromkeys(to / system_folder(cut.name) for cut in cuts)
    return WrittenSubmission(tuple(written), tuple(systems), tuple(left_out))


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
