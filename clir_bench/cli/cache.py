"""`clir-bench cache`: lists, checks and removes stored vectors of documents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, show
from clir_bench.core.tables import Column, Format, Table, json_line
from clir_bench.errors import UnknownNameError
from clir_bench.search.vectors.maintenance import (
    StoredEntry,
    damages,
    discard,
    repair,
    stored,
    sweep_leftovers,
)
from clir_bench.search.vectors.store import embeddings_directory, size_text

_DAY_SECONDS = 24 * 3600

_folder = click.option(
    "--embeddings",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder that `run --embeddings` was given. Default: in the cache.",
)


@click.group(epilog="Example: clir-bench cache prune --older-than 30")
def command() -> None:
    """List, check and remove stored vectors of documents.

    `clir-bench run` stores vectors so that a killed run can continue; without
    --embeddings FOLDER it removes them itself when its results are stored.
    """


@command.command("list")
@_folder
@options.formats("an entry", "an entry", "json")
def list_(folder: Path | None, form: Format) -> None:
    """List what is stored."""
    root = folder or embeddings_directory()
    entries = stored(root)
    if form == "json":
        for entry in entries:
            echo(json_line({**asdict(entry), "folder": str(entry.folder)}))
        return
    rows = [
        [
            entry.name[-12:],
            entry.model if entry.readable else "unreadable",
            entry.revision[:12],
            entry.corpus,
            entry.n_documents if entry.readable else "",
            f"{entry.n_done} of {entry.n_shards}" if entry.readable else str(entry.n_done),
            entry.size_bytes,
            entry.idle_seconds,
            "yes" if entry.kept else "until scored",
        ]
        for entry in entries
    ]
    columns = [
        Column("key"), Column("model"), Column("revision", drop=1), Column("corpus"),
        Column("documents", right=True, drop=3), Column("shards", drop=4),
        Column("size", size_text, right=True, key="size_bytes"),
        Column("used", _age, drop=5, key="idle_seconds"), Column("kept", drop=2),
    ]  # fmt: skip
    if rows or form == "csv":
        show([Table(columns=columns, rows=rows)], form)
    if form == "csv":
        return
    total = sum(entry.size_bytes for entry in entries)
    echo(f"{len(entries)} corpora, {size_text(total)} in {root}")


@command.command()
@click.argument("keys", nargs=-1)
@_folder
@click.option("--repair", "repairing", is_flag=True, help="Remove damaged shards.")
@click.pass_context
def verify(ctx: click.Context, keys: tuple[str, ...], folder: Path | None, repairing: bool) -> None:
    """Compare every shard, or only those of KEYS, with its checksum.

    Runs check what they read themselves. Exits with 1 when a shard is damaged or an entry does not
    say what it holds.
    """
    n_damaged = n_unreadable = 0
    entries = _chosen(stored(folder or embeddings_directory()), keys)
    for entry in entries:
        if not entry.readable:
            n_unreadable += 1
            echo(
                f"{entry.name}: entry.json cannot be read; `clir-bench cache prune "
                f"{entry.name[-12:]}` removes it, and a run that uses it writes it anew"
            )
        found = []
        for number, problem in damages(entry):
            echo(f"{entry.name}: shard {number}: {problem}")
            found.append(number)
        n_damaged += len(found)
        if repairing and found and not repair(entry, found):
            echo(f"{entry.name}: in use; its shards are left as they are")
    n_shards = sum(entry.n_done for entry in entries)
    echo(f"{n_shards} shards of {len(entries)} corpora checked, {n_damaged} damaged")
    if n_damaged or n_unreadable:
        ctx.exit(1)


@command.command()
@click.argument("keys", nargs=-1)
@_folder
@click.option("--all", "all_", is_flag=True, help="Remove everything that no run uses now.")
@click.option("--model", help="Remove what this model made.")
@click.option(
    "--older-than",
    type=click.FloatRange(0),
    metavar="DAYS",
    help="Remove what no run has used for so long.",
)
def prune(
    keys: tuple[str, ...],
    folder: Path | None,
    all_: bool,
    model: str | None,
    older_than: float | None,
) -> None:
    """Remove half-written files of killed runs, and the vectors of KEYS or of the options.

    Several options remove only what all of them name. Vectors in use by a run stay, and so does any
    folder that clir-bench did not make or that holds other files.
    """
    root = folder or embeddings_directory()
    freed = sweep_leftovers(root)
    entries = _chosen(stored(root), keys)
    chosen = [
        entry
        for entry in entries
        if (keys or all_ or model is not None or older_than is not None)
        and (model is None or entry.model == model)
        and (older_than is None or entry.idle_seconds > older_than * _DAY_SECONDS)
    ]
    for entry in chosen:
        if problem := discard(entry):
            echo(f"kept {entry.name} ({_label(entry)}): {problem}")
            continue
        freed += entry.size_bytes
        echo(f"removed {entry.name} ({_label(entry)}, {size_text(entry.size_bytes)})")
    echo(f"{size_text(freed)} freed in {root}")


def _chosen(entries: list[StoredEntry], keys: tuple[str, ...]) -> list[StoredEntry]:
    """Return the entries with a key that ends in one of `keys`; all without `keys`."""
    for key in keys:
        if not any(entry.name.endswith(key) for entry in entries):
            names = [entry.name[-12:] for entry in entries]
            raise UnknownNameError("key", key, names, "`clir-bench cache list` lists them.")
    return [entry for entry in entries if not keys or entry.name.endswith(keys)]


def _label(entry: StoredEntry) -> str:
    return entry.corpus if entry.readable else "unreadable"


def _age(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < _DAY_SECONDS:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / _DAY_SECONDS:.0f} d ago"
