"""Defines the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from clir_bench.core.tables import Format
from clir_bench.errors import UsageError
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import Keeping


def _keeping(_: click.Context, __: click.Parameter, value: str) -> Keeping:
    return Keeping.parse(value)


def _joined(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> str | None:
    return ",".join(values) or None


_SHORT = "clir_bench.cli.short_formats"


def _short(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta.setdefault(_SHORT, []).append(parameter.name)


def _format(ctx: click.Context, _: click.Parameter, value: str | None) -> str:
    wanted = {*ctx.meta.pop(_SHORT, []), *([value] if value else [])}
    if len(wanted) > 1:
        raise UsageError(f"{', '.join(sorted(wanted))} are several formats; choose one")
    return wanted.pop() if wanted else "table"


def formats(json: str, csv: str, *short: str) -> Callable[[Any], Any]:
    """Return the option `--format`, which fills `form`.

    Args:
        json: What a line of JSON holds.
        csv: What a line of CSV holds.
        short: Formats that also have their own option.
    """
    option = click.option(
        "--format",
        "form",
        type=click.Choice(get_args(Format)),
        callback=_format,
        help=f"How to print. table fits the terminal; json: {json} per line; csv: {csv} per line, "
        "with every number in full. Default: table.",
    )

    def add(command: Any) -> Any:
        for name in short:
            command = click.option(
                f"--{name}", name, is_flag=True, is_eager=True, expose_value=False,
                callback=_short, help=f"The same as --format {name}.",
            )(command)  # fmt: skip
        return option(command)

    return add


languages = click.option(
    "--languages",
    "-l",
    multiple=True,
    callback=_joined,
    help="Only pairs of these languages: sw,te",
)
pairs = click.option(
    "--pairs",
    "-p",
    multiple=True,
    callback=_joined,
    help="Only these pairs: en-sw,hi-en, or *-mul, or all. Default: official.",
)
measures = click.option(
    "--measures", multiple=True, callback=_joined, help="More ir-measures names to report: P@5,RR"
)
tier = click.option(
    "--tier", multiple=True, callback=_joined, help="Only pairs of these tiers: low,mid"
)
tiers = click.option(
    "--tiers",
    default="joshi",
    show_default=True,
    help="Tier scheme: joshi, cc100, optical, or a TOML file of your own.",
)
split = click.option("--split", help="Split of the task. Default: the card's.")
data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the task's files."
)
tasks_dir = click.option(
    "--tasks-dir", type=click.Path(path_type=Path), help="Folder with cards of your own."
)
output = click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of results.",
)
seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of the intervals.")
device = click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
dtype = click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "mixed-bfloat16"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the model; auto measures which one that keeps scores is fast here, and "
    "records it.",
)
batch_size = click.option("--batch-size", type=click.IntRange(1), help="Texts per forward pass.")


def _tokens(_: click.Context, __: click.Parameter, value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r}: expected auto or a number of at least 1")
    return int(value)


batch_tokens = click.option(
    "--batch-tokens",
    default="auto",
    show_default=True,
    callback=_tokens,
    metavar="N",
    help="Tokens per forward pass, halved when memory runs out.",
)
trust_remote_code = click.option(
    "--trust-remote-code", is_flag=True, help="Let code shipped with the model run."
)
revision = click.option(
    "--revision",
    help="Branch, tag or commit of a model st:owner/name; also st:owner/name@REVISION.",
)
embeddings = click.option(
    "--embeddings",
    metavar="auto|off|FOLDER",
    default="auto",
    show_default=True,
    callback=_keeping,
    help="Store documents' vectors, so that a killed run goes on where it was. FOLDER keeps all of "
    "them for later runs; auto keeps those of 10,000 documents or more in the cache, until the "
    "results are stored.",
)


def _index(_: click.Context, __: click.Parameter, value: str) -> IndexSpec | None:
    return IndexSpec.parse(value)


index = click.option(
    "--index",
    metavar="exact|FACTORY",
    default="exact",
    show_default=True,
    callback=_index,
    help="Search by one of FAISS's approximate indexes: HNSW32, SQfp16, 'IVF1024,Flat;nprobe=32'. "
    "What it misses is measured; the result is not official.",
)


def _workers(_: click.Context, __: click.Parameter, value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r}: expected auto or a number of at least 1")
    return int(value)


workers = click.option(
    "--workers",
    metavar="auto|N",
    default="auto",
    show_default=True,
    callback=_workers,
    help="Processes that encode. auto: one per GPU or per core, where the work is worth it; 1: "
    "this process alone.",
)
worker_threads = click.option(
    "--worker-threads",
    type=click.IntRange(1),
    help="Threads of each worker on a processor. Default: an equal share of the cores; 1 with Ray.",
)
executor = click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where workers are: on this machine, or actors of a Ray cluster.",
)
address = click.option(
    "--address",
    metavar="HOST:PORT",
    help="Of the Ray cluster. Default: the one of $RAY_ADDRESS or of this machine.",
)


def bitext_options(command: Any) -> Any:
    """Add the options `--bitext` and `--bitext-root`."""
    root = click.option(
        "--bitext-root",
        type=click.Path(path_type=Path),
        help="What relative paths start from. Default: the recipe's folder.",
    )
    bitext = click.option(
        "--bitext",
        multiple=True,
        help="A TSV of 'English<tab>translation', as CODE=FILE (sw=pairs.tsv.gz); may be repeated.",
    )
    return bitext(root(command))


def bitext_source(option: str, name: str = "--bitext") -> dict[str, Any]:
    """Return the source that CODE=FILE names.

    Raises:
        UsageError: It is not written so.
    """
    code, found, path = option.partition("=")
    if not found or not code or not path:
        raise UsageError(f"{name} {option!r}: expected CODE=FILE, as in sw=pairs.tsv.gz")
    return {
        "name": f"{code}-{Path(path).name.partition('.')[0]}",
        "format": "tsv",
        "path": path,
        "license": "unknown",
        "languages": [code],
        "fields": {"english": 0, "foreign": 1},
    }
