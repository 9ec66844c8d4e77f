"""`clir-bench export`: writes stored results in the formats of other tools."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.core.bounded_files import read_unpacked
from clir_bench.core.display import printable, visible
from clir_bench.core.files import inside, write_file
from clir_bench.errors import DataError, ResultError, UsageError
from clir_bench.results.export.ir_metadata import header
from clir_bench.results.export.model_index import model_index
from clir_bench.results.export.mteb import is_known_to_mteb, task_result
from clir_bench.results.schema import PairResult, Result
from clir_bench.results.store import read_result, result_file, system_folder
from clir_bench.results.summary import not_for_boards
from clir_bench.results.system_card import card_path, read_system_card
from clir_bench.results.trec_runs import is_stored_run
from clir_bench.tasks.measures import looks_at, too_deep
from clir_bench.types import LanguagePair

_LARGEST_RUN_BYTES = 512 * 2**20
_EPILOG = """\b
Examples:
  clir-bench export --format mteb results/my-encoder/xquad/validation.json
  clir-bench export --format model-index results/my-encoder/*/*.json > card.md
  clir-bench export --format ir-metadata -o runs results/labse/xquad/*.json
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(("mteb", "model-index", "ir-metadata")),
    help="mteb's TaskResult, a model card's metadata, or runs with an ir_metadata header.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Write here instead of to stdout; for ir-metadata a folder.",
)
def command(paths: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Write stored results in the formats of other sites.

    PATHS are result files. Samples, partial and unofficial results are refused, and measures that
    look deeper than the rankings go are left out.
    """
    results = {path: _read(path) for path in paths}
    if form == "ir-metadata":
        if output is None:
            raise UsageError("--format ir-metadata writes run files; name a folder with --output")
        for path, result in results.items():
            _write_runs(path, result, output)
        return
    if form == "mteb":
        if len(results) > 1:
            raise UsageError("--format mteb writes one result per file; export them one by one")
        [result] = results.values()
        text = json.dumps(task_result(result), indent=2, ensure_ascii=False) + "\n"
        if not is_known_to_mteb(result.task.id):
            echo(f"note: mteb has no task with the data of {result.task.id!r}", err=True)
    else:
        if len({result.system.name for result in results.values()}) > 1:
            raise UsageError("--format model-index is of one model; the results are of several")
        text = model_index(list(results.values()))
    if output is None:
        echo(text, nl=False)
    else:
        write_file(output, text.encode())


def _read(path: Path) -> Result:
    result = read_result(path)
    if not isinstance(result, Result):
        raise ResultError(f"{path}: the result of a suite; export those of its parts")
    problems = not_for_boards(result)
    problems += [
        f"pair {name} has no score by {', '.join(missing)}"
        for name, pair in result.pairs.items()
        if pair.status == "done" and (missing := set(result.task.measures) - set(pair.scores))
    ]
    try:
        datetime.datetime.fromisoformat(result.environment.started).timestamp()
    except (ValueError, OverflowError):
        problems.append(f"environment.started {printable(result.environment.started)} is no time")
    if problems:
        raise ResultError(f"{path}: {'; '.join(problems)}; nothing to be posted elsewhere")
    return _vouched(path, result)


def _vouched(path: Path, result: Result) -> Result:
    """Return a result without measures that look deeper than its rankings.

    Newer results state the depth of each pair's rankings.

    Raises:
        ResultError: The main measure of the other site is among them.
    """
    depth = result.reach(name for name, pair in result.pairs.items() if pair.status == "done")
    measures = result.task.measures
    deeper = [name for name in measures if looks_at(name) > depth]
    said = too_deep(deeper, depth)
    if measures[0] in deeper:
        raise ResultError(f"{path}: {said}; run it again, and measures get their right names")
    if deeper:
        echo(f"note: {path}: left out: {said}", err=True)
    kept = tuple(name for name in measures if name not in deeper)
    return result.model_copy(update={"task": result.task.model_copy(update={"measures": kept})})


def _write_runs(path: Path, result: Result, output: Path) -> None:
    card_file = card_path(path.absolute().parents[2], result.system.name)
    card = read_system_card(card_file) if os.path.lexists(card_file) else None
    tag = system_folder(result.system.name)
    for name, pair in result.pairs.items():
        if pair.status != "done":
            continue
        text = _run_text(path, name, pair)
        head = header(result, LanguagePair.parse(name), tag, card)
        target = inside(output / tag, f"{result.task.id}/{name}.run", f"{path}: task.id")
        write_file(target, head.encode() + text)
        echo(target)


def _run_text(path: Path, name: str, pair: PairResult) -> bytes:
    """Return a pair's run, unpacked; check that it is the scored file before it is published."""
    file = result_file(path, pair.run_file, f"run_file of {name}")
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise DataError(f"{file}: leads out of the folder of {path}; put the run itself there")
    if not is_stored_run(file, pair):
        raise DataError(f"{file}: is not the run that {name} was scored from; run it again")
    text = read_unpacked(file, _LARGEST_RUN_BYTES)
    try:
        lines = text.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason}") from None
    for number, line in enumerate(lines, start=1):
        if len(line.split()) != 6 or visible(line, keep="\t") != line:
            raise DataError(f"{file}:{number}: expected `query_id Q0 doc_id rank score tag`")
    return text
