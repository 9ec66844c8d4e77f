"""Official data hashes, from the benchmarks' own files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from clir_bench.errors import DataError
from clir_bench.leaderboard.data_hashes import DataKey, Pinned, queries_sha256
from clir_bench.leaderboard.definition import BoardDefinition
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import Loader, prepare
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair


class Wanted(NamedTuple):
    """What boards show of one task's split."""

    card: TaskCard
    split: str
    pairs: tuple[LanguagePair, ...]


def wanted(definitions: Iterable[BoardDefinition]) -> list[Wanted]:
    """Return what boards show, each task and split once."""
    found: dict[tuple[str, str], Wanted] = {}
    for definition in definitions:
        for section in definition.sections:
            key = (section.task, section.chosen_split)
            before = found[key].pairs if key in found else ()
            pairs = tuple(dict.fromkeys((*before, *section.chosen_pairs)))
            found[key] = Wanted(section.card, section.chosen_split, pairs)
    return list(found.values())


def data_hashes(
    task: Wanted,
    *,
    data_dir: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[DataKey, Pinned]:
    """Return the hashes that the pairs of a task are known by.

    Args:
        task: Which pairs of which split.
        data_dir: Folder of the task's files, where they are not looked for as ever.
        advance: Called with the number of documents read since the last call.

    Raises:
        DataError: A pair cannot be loaded, or what was loaded is not the benchmark's own data.
        MissingDataError: The task's files cannot be had.
    """
    card, split, pairs = task
    source = locate(card, split, data_dir)
    loader = Loader(card, split, source)
    prepared = prepare(loader, pairs, advance)
    problems = [f"{pair}: {error}" for pair, error in prepared.failures.items()]
    found: dict[DataKey, Pinned] = {}
    for group in prepared.groups:
        for pair in group.pairs:
            problems += [f"{pair.pair}: not official: {reason}" for reason in pair.unofficial]
            judged = {qrel.query_id for qrel in loader.load(pair.pair).qrels}
            pinned = Pinned(pair.inspection.sha256, queries_sha256(judged))
            found[DataKey(card.id, split, pair.pair)] = pinned
    problems += [f"not official: {reason}" for reason in dict.fromkeys(source.unofficial)]
    if problems:
        raise DataError(f"task {card.id!r}, split {split!r}: {'; '.join(problems)}")
    return found
