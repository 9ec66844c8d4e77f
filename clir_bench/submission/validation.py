"""What CI runs on a submission before anyone looks at it.

Everything in a submission is hostile. Nothing of it is executed, nothing is written or fetched, no
encoder is loaded, and no file is read further than its bound. All problems are reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.adapters.source import Source
from clir_bench.cards import TaskCard
from clir_bench.errors import ClirBenchError
from clir_bench.leaderboard.official import DataKey
from clir_bench.schema import Result
from clir_bench.submission.bounded import read_plain, shown
from clir_bench.submission.compact import SUFFIX
from clir_bench.submission.layout import Problem, SystemFiles, find_systems, list_system
from clir_bench.submission.recomputation import differences, from_runs, from_values
from clir_bench.submission.statements import Statement, check_statement, read_statement
from clir_bench.submission.system_card import CARD_FILE, LARGEST_CARD_BYTES, parse_system_card
from clir_bench.submission.text import printable

Sources = Callable[[TaskCard, str], Source | None]
"""Where a task's data is, None where it is not at hand; it must fetch nothing."""


@dataclass
class Report:
    """What was found.

    Attributes:
        n_systems: Systems looked at.
        recomputed: Results whose scores came out of their runs.
        not_recomputed: Results whose scores could not be recomputed for want of data.
    """

    problems: list[Problem] = field(default_factory=list)
    n_systems: int = 0
    recomputed: list[Path] = field(default_factory=list)
    not_recomputed: list[Path] = field(default_factory=list)


def validate(
    path: Path,
    sources: Sources,
    *,
    official: Mapping[DataKey, str] | None = None,
    advance: Callable[[Path], None] = lambda _: None,
) -> Report:
    """Check a submission: a folder of results, a system's folder, or one result.

    Args:
        path: What was submitted.
        sources: Where the data of tasks is.
        official: Data hashes that boards take, to compare with also where there is no data.
        advance: Called with every result before it is looked at.

    Raises:
        ResultError: There is no submission at `path`.
    """
    report = Report()
    folders = find_systems(path)
    only = path.absolute() if path.is_file() and path.name != CARD_FILE else None
    lowered: dict[str, Path] = {}
    for folder in folders:
        report.n_systems += 1
        other = lowered.setdefault(folder.absolute().name.casefold(), folder)
        if other != folder:
            report.problems.append(Problem(shown(folder), f"is {shown(other)} where case is lost"))
        _validate_system(folder, only, sources, official or {}, report, advance)
    if folders != [path] and path.is_dir():
        report.problems += [
            Problem(shown(entry), "unexpected; here belong only the folders of systems; remove it")
            for entry in sorted(path.iterdir())
            if entry not in folders
        ]
    return report


def _validate_system(
    folder: Path,
    only: Path | None,
    sources: Sources,
    official: Mapping[DataKey, str],
    report: Report,
    advance: Callable[[Path], None],
) -> None:
    files, problems = list_system(folder)
    report.problems += problems
    card_name = _check_card(folder / CARD_FILE, report)
    records = set()
    for path in files.results:
        if only is not None and path.absolute() != only:
            continue
        advance(path)
        try:
            result = read_statement(path)
        except ClirBenchError as error:
            _add(report, path, str(error))
            continue
        if card_name is not None and result.system.name != card_name:
            what = f"is of system {printable(result.system.name)}, its card of {card_name!r}"
            report.problems.append(Problem(shown(path), what))
        records.add(result.system.fingerprint())
        _validate_result(path, result, files, sources, official, report)
    if len(records) > 1:
        what = "its results come from systems that differ in weights, prompts or limits"
        report.problems.append(Problem(shown(folder), what))


def _check_card(path: Path, report: Report) -> str | None:
    """Return the name on a system card, None where there is no valid card."""
    try:
        return parse_system_card(read_plain(path, LARGEST_CARD_BYTES), where=shown(path)).name
    except ClirBenchError as error:
        _add(report, path, str(error))
        return None


def _validate_result(
    path: Path,
    result: Result,
    files: SystemFiles,
    sources: Sources,
    official: Mapping[DataKey, str],
    report: Report,
) -> None:
    statement, problems = check_statement(path, result)
    report.problems += [Problem(shown(path), what) for what in problems]
    if statement is None:
        return
    if strangers := files.pair_files[path] - _expected(statement):
        report.problems += [
            Problem(shown(path.parent / path.stem / name), "is of no pair of the result; remove it")
            for name in sorted(strangers)
        ]
    report.problems += [Problem(shown(path), what) for what in _other_data(statement, official)]
    try:
        source = sources(statement.card, result.task.split)
        done = from_values(statement) if source is None else from_runs(statement, source)
        for what in done.problems:
            _add(report, path, what)
        if not problems and len(done.pairs) == len(statement.pairs) and not done.problems:
            said = differences(statement, done)
            report.problems += [Problem(shown(path), what) for what in said]
    except ClirBenchError as error:
        _add(report, path, str(error))
        return
    (report.not_recomputed if source is None else report.recomputed).append(path)


def _expected(statement: Statement) -> set[str]:
    names = statement.result.pairs
    return {f"{name}{end}" for name in names for end in (SUFFIX, ".values.tsv.gz")}


def _other_data(statement: Statement, official: Mapping[DataKey, str]) -> list[str]:
    task = statement.result.task
    found = []
    for pair in statement.pairs:
        expected = official.get(DataKey(task.id, task.split, pair))
        if expected not in (None, statement.result.pairs[str(pair)].data_sha256):
            found.append(f"pair {pair}: data_sha256 is not that of the official data")
    return found


def _add(report: Report, path: Path, said: str) -> None:
    """Add a problem that may name its file already."""
    folder = shown(path.parent)
    file, colon, what = said.partition(": ")
    if said.startswith(folder) and colon:
        report.problems.append(Problem(file, what))
    else:
        report.problems.append(Problem(shown(path), said))
