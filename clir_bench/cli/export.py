"""`clir-bench export`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clir_bench.adapters.files import read_lines
from clir_bench.adapters.source import sha256_of
from clir_bench.errors import DataError, ResultError, UsageError
from clir_bench.export.ir_metadata import header
from clir_bench.export.model_index import model_index
from clir_bench.export.mteb import is_known_to_mteb, task_result
from clir_bench.files import inside
from clir_bench.measures import looks_at, too_deep
from clir_bench.results import read_result, result_file, system_folder, write_file
from clir_bench.schema import Result
from clir_bench.submission.cutting import not_for_boards
from clir_bench.submission.system_card import SystemCard, card_path, read_system_card
from clir_bench.types import LanguagePair

_EPILOG = """\b
Examples:
  clir-bench export --format mteb results/my-encoder/xquad/validation.json
  clir-bench export --format model-index results/my-encoder/*/*.json > front-matter.md
  clir-bench export --format ir-metadata --output runs results/my-encoder/xquad/validation.json
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
    """Write stored results as other places take them.

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
            raise UsageError("--format mteb writes one result a file; export them one by one")
        [result] = results.values()
        text = json.dumps(task_result(result), indent=2, ensure_ascii=False) + "\n"
        if not is_known_to_mteb(result.task.id):
            click.echo(f"note: mteb has no task with the data of {result.task.id!r}", err=True)
    else:
        if len({result.system.name for result in results.values()}) > 1:
            raise UsageError("--format model-index is of one model; the results are of several")
        text = model_index(list(results.values()))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(output, text.encode())


def _read(path: Path) -> Result:
    result = read_result(path)
    if not isinstance(result, Result):
        raise ResultError(f"{path}: the result of a suite; export those of its parts")
    if problems := not_for_boards(result):
        raise ResultError(f"{path}: {'; '.join(problems)}; nothing to be posted elsewhere")
    return _vouched(path, result)


def _vouched(path: Path, result: Result) -> Result:
    """Return a result without the measures that look deeper than its rankings go.

    Results say so themselves since they state how deep each pair's rankings go.

    Raises:
        ResultError: The measure that others take for the main one is among them.
    """
    depth = result.reach(name for name, pair in result.pairs.items() if pair.status == "done")
    measures = result.task.measures
    deeper = [name for name in measures if looks_at(name) > depth]
    said = too_deep(deeper, depth)
    if measures[0] in deeper:
        raise ResultError(f"{path}: {said}; run it again, and measures get their right names")
    if deeper:
        click.echo(f"note: {path}: left out: {said}", err=True)
    kept = tuple(name for name in measures if name not in deeper)
    return result.model_copy(update={"task": result.task.model_copy(update={"measures": kept})})


def _write_runs(path: Path, result: Result, output: Path) -> None:
    folder = path.parent.parent.parent
    card_file = card_path(folder, result.system.name)
    card: SystemCard | None = read_system_card(card_file) if card_file.is_file() else None
    tag = system_folder(result.system.name)
    for name, pair in result.pairs.items():
        if pair.status != "done":
            continue
        run_file = result_file(path, pair.run_file, f"run_file of {name[:80]}")
        if not run_file.is_file() or sha256_of(run_file) != pair.run_sha256:
            raise DataError(f"{run_file}: missing, or not the run that {path} was scored from")
        lines = [line for _, line in read_lines(run_file)]
        head = header(result, LanguagePair.parse(name), tag, card)
        what = f"{path}: task and pair"
        target = inside(output / tag, f"{result.task.id}/{name}.run", what, error=ResultError)
        write_file(target, (head + "".join(f"{line}\n" for line in lines)).encode())
        click.echo(str(target))
