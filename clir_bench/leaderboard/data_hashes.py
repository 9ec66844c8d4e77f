"""Reads and writes the hashes of the boards' data: `leaderboards/data.sha256`.

The file has two lines per pair. The line `<sha256>  <task>/<split>/<pair>` is the hash of the
documents, the judged queries and the judgments (`checks.inspect`). Every result states this hash; a
result with another one used other data. The line `<sha256>  <task>/<split>/<pair>/queries` is the
hash of the sorted ids of the judged queries. With it, CI can check without the data that the
per-query values of a submission belong to these queries. `clir-bench leaderboard pin` writes both
lines from the benchmark's own files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.display import printable
from clir_bench.core.files import write_file
from clir_bench.core.progress import Bar
from clir_bench.errors import DataError, MissingDataError, UnknownNameError
from clir_bench.leaderboard.definition import BoardDefinition, read_definitions
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import Loader, prepare
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

FILE_NAME = "data.sha256"
_LARGEST_BYTES = 16 * 2**20
_DEEPEST = 4  # <boards>/results/<system>/<task>/<split>.json
_QUERIES = "/queries"
_LINE = re.compile(
    r"([0-9a-f]{64})  ([a-z0-9][a-z0-9._-]*)/([A-Za-z0-9._-]+)/([a-z]+-[a-z]+)(/queries)?"
)


class DataKey(NamedTuple):
    """The task, split and pair of a data hash."""

    task: str
    split: str
    pair: LanguagePair

    def __str__(self) -> str:
        return f"{self.task}/{self.split}/{self.pair}"


class Pinned(NamedTuple):
    """The hashes of a pair's data.

    Attributes:
        data: Over its documents, judged queries and judgments; "" where the file has no such line.
        queries: Over the ids of its judged queries (see `queries_sha256`); "" likewise.
    """

    data: str = ""
    queries: str = ""


def queries_sha256(query_ids: Iterable[str]) -> str:
    """Return the hash of judged queries' ids, in any order."""
    return hashlib.sha256("\n".join(sorted(query_ids)).encode("utf-8", "replace")).hexdigest()


def read_official(folder: Path) -> dict[DataKey, Pinned]:
    """Return the official hashes of a folder of boards.

    Raises:
        MissingDataError: The folder has no such file.
        DataError: The file cannot be read, or a line is malformed or repeated.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise MissingDataError(
            f"{path}: no such file; `clir-bench leaderboard pin` writes it from the data"
        )
    try:
        lines = read_plain(path, _LARGEST_BYTES).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8: {error.reason}; `clir-bench leaderboard pin` writes it again"
        ) from None
    found: dict[DataKey, Pinned] = {}
    for number, line in enumerate(lines, start=1):
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise DataError(
                f"{path}:{number}: expected `<sha256>  <task>/<split>/<pair>`, perhaps with "
                f"{_QUERIES!r} after it, found {printable(line)}"
            )
        key = DataKey(matched[2], matched[3], LanguagePair.parse(matched[4]))
        field, known = "queries" if matched[5] else "data", found.get(key, Pinned())
        if getattr(known, field):
            raise DataError(f"{path}:{number}: {key}{matched[5] or ''} occurs twice")
        found[key] = known._replace(**{field: matched[1]})
    return found


def find_official(path: Path) -> dict[DataKey, Pinned]:
    """Return the official hashes of the boards that a submission belongs to, if it is below any.

    Raises:
        DataError: As `read_official`.
    """
    folders = list(path.absolute().parents)[:_DEEPEST]
    found = next((folder for folder in folders if (folder / FILE_NAME).is_file()), None)
    return {} if found is None else read_official(found)


def format_official(hashes: Mapping[DataKey, Pinned]) -> bytes:
    """Return the file's bytes, its lines sorted."""
    names = {str(key): pinned.data for key, pinned in hashes.items()}
    names |= {f"{key}{_QUERIES}": pinned.queries for key, pinned in hashes.items()}
    return "".join(f"{names[name]}  {name}\n" for name in sorted(names) if names[name]).encode()


class Wanted(NamedTuple):
    """The pairs of one task's split that boards show."""

    card: TaskCard
    split: str
    pairs: tuple[LanguagePair, ...]


def wanted(definitions: Iterable[BoardDefinition]) -> list[Wanted]:
    """Return what the boards show, each task and split once."""
    found: dict[tuple[str, str], Wanted] = {}
    for definition in definitions:
        for section in definition.sections:
            key = (section.task, section.chosen_split)
            before = found[key].pairs if key in found else ()
            pairs = tuple(dict.fromkeys((*before, *section.chosen_pairs)))
            found[key] = Wanted(section.card, section.chosen_split, pairs)
    return list(found.values())


def pin_hashes(
    folder: Path, tasks: Sequence[str] = (), *, data_dir: Path | None = None
) -> dict[DataKey, Pinned]:
    """Compute the hashes of the boards' data from the data, write them and return all of them.

    Args:
        folder: The boards' descriptions; the hashes are written there.
        tasks: Only these tasks, the hashes of others stay; all tasks when empty.
        data_dir: Folder of the one task's files; the usual places when None.

    Raises:
        UnknownNameError: No board shows one of the tasks.
        DataError: As `hashes_of`, or a description cannot be read.
        OutputError: The folder cannot be written.
    """
    chosen = wanted(read_definitions(folder))
    known = sorted({one.card.id for one in chosen})
    for task in tasks:
        if task not in known:
            raise UnknownNameError("task of a board", task, known, f"There are {', '.join(known)}.")
    hashes = read_official(folder) if (folder / FILE_NAME).is_file() else {}
    for one in chosen:
        if tasks and one.card.id not in tasks:
            continue
        bar = Bar(f"{one.card.id} {one.split}")
        bar.begin("reading", None)
        hashes |= hashes_of(one, data_dir=data_dir, advance=bar.advance)
        bar.end()
    write_file(folder / FILE_NAME, format_official(hashes))
    return hashes


def hashes_of(
    task: Wanted,
    *,
    data_dir: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[DataKey, Pinned]:
    """Return the hashes of a task's pairs.

    Args:
        task: The pairs and their split.
        data_dir: Folder of the task's files; the usual places when None.
        advance: Called with the number of documents read since the last call.

    Raises:
        DataError: A pair cannot be loaded, or what was loaded is not the benchmark's own data.
        MissingDataError: The task's files are missing.
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
