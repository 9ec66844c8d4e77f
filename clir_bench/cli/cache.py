"""`clir-bench cache`: lists, checks and removes stored vectors of documents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, show
from clir_bench.core.tables import Column, Format, Table, json_line
from clir_bench.search.vectors.maintenance import (
    StoredEntry,
    prune_vectors,
    stored,
    verify_vectors,
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
@click.option("--repair", is_flag=True, help="Remove damaged shards.")
@click.pass_context
def verify(ctx: click.Context, keys: tuple[str, ...], folder: Path | None, repair: bool) -> None:
    """Compare every shard, or only those of KEYS, with its checksum.

    Runs check what they read themselves. Exits with 1 when a shard is damaged or an entry does not
    say what it holds.
    """
    checked = []
    for one in verify_vectors(folder or embeddings_directory(), keys, repair=repair):
        checked.append(one)
        name = one.entry.name
        if not one.entry.readable:
            echo(
                f"{name}: entry.json cannot be read; `clir-bench cache prune {name[-12:]}` removes "
                "it, and a run that uses it writes it anew"
            )
        for number, problem in one.damaged.items():
            echo(f"{name}: shard {number}: {problem}")
        if one.in_use:
            echo(f"{name}: in use; its shards are left as they are")
    n_shards = sum(one.entry.n_done for one in checked)
    n_damaged = sum(len(one.damaged) for one in checked)
    echo(f"{n_shards} shards of {len(checked)} corpora checked, {n_damaged} damaged")
    if n_damaged or not all(one.entry.readable for one in checked):
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
    idle_seconds = None if older_than is None else older_than * _DAY_SECONDS
    done = prune_vectors(root, keys, everything=all_, model=model, idle_seconds=idle_seconds)
    for entry, problem in done.kept:
        echo(f"kept {entry.name} ({_label(entry)}): {problem}")
    for entry in done.removed:
        echo(f"removed {entry.name} ({_label(entry)}, {size_text(entry.size_bytes)})")
    echo(f"{size_text(done.freed_bytes)} freed in {root}")


def _label(entry: StoredEntry) -> str:
    return entry.corpus if entry.readable else "unreadable"


def _age(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < _DAY_SECONDS:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / _DAY_SECONDS:.0f} d ago"
