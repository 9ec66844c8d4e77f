"""`clir-bench distill`: trains a multilingual student of an English model."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clir_bench.cli.options import bitext_options, bitext_source
from clir_bench.cli.output import echo, say
from clir_bench.errors import UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

_EVERY_SECONDS = 60
_SIMPLE = {
    "method": ("method",),
    "seed": ("seed",),
    "teacher": ("teacher", "model"),
    "student": ("student", "model"),
    "layers": ("student", "layers"),
    "vocabulary": ("student", "vocabulary"),
    "steps": ("training", "steps"),
    "batch_size": ("training", "batch_size"),
    "accumulation": ("training", "accumulation"),
    "learning_rate": ("training", "learning_rate"),
    "precision": ("training", "precision"),
}
"""Option to its place in a recipe, which it takes precedence over."""


@click.command(
    epilog="Example: clir-bench distill --recipe recipes/optical.toml --bitext-root bitext "
    "--output my-optical"
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="TOML file; the other options take precedence over what it says.",
)
@click.option("--method", help="Parts of the loss joined by +: ot, kd, contrastive, late, ...")
@click.option("--teacher", help="English model: short name, Hub id or folder.")
@click.option("--student", help="Multilingual transformer; built from the teacher without one.")
@click.option("--layers", type=int, help="Of a built student; 0 is one vector per piece.")
@click.option("--vocabulary", type=int, help="Pieces of a built student's vocabulary.")
@bitext_options
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path), help="The model's folder."
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for the teacher's vectors.")
@click.option("--steps", type=int, help="Updates of the weights.")
@click.option("--batch-size", type=int, help="Pairs of a forward pass.")
@click.option("--accumulation", type=int, help="Forward passes of an update.")
@click.option("--learning-rate", type=float, help="Of all weights but embeddings.")
@click.option("--precision", help="float32 or bfloat16.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps.")
@click.option("--seed", type=int, help="Of everything that is drawn.")
@click.option("--half/--full", default=None, help="Store the weights in float16 or float32.")
@click.option("--json", "as_json", is_flag=True, help="Print the model's card for machines.")
def command(
    *,
    recipe: Path | None,
    bitext: tuple[str, ...],
    bitext_root: Path | None,
    output: Path,
    cache: Path | None,
    device: str,
    half: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Teach a multilingual student what an English model knows, from bitext.

    The same command continues a stopped training. Ctrl-C and SIGTERM write a checkpoint first; a
    second signal stops at once.
    """
    from clir_bench.distill.distillation import Places, distill, size_bytes
    from clir_bench.distill.recipe import check_recipe, read_recipe

    values = read_recipe(recipe) if recipe else {}
    for name, place in _SIMPLE.items():
        if options[name] is not None:
            _put(values, place, options[name])
    if half is not None:
        _put(values, ("student", "half"), half)
    if bitext:
        values["bitext"] = [bitext_source(one) for one in bitext]
    checked = check_recipe(values, str(recipe) if recipe else "options")
    root = bitext_root or (recipe.parent if recipe and not bitext else Path())
    watch = _Watch()
    try:
        card = distill(checked, Places(output, root.resolve(), cache), device=device, watch=watch)
    finally:
        watch.end()
    if as_json:
        echo(json.dumps(card, sort_keys=True, indent=1, ensure_ascii=False))
        return
    for name, value in sorted(card["validation"].items()):
        echo(f"held-back bitext, {name}: {value:.4f}")
    echo(
        f"{output}: {size_bytes(output) / 1e6:.1f} MB, {len(card['languages'])} languages, "
        f"{sum(card['pairs'].values()):,} pairs; use it as --model optical:{output}"
    )


def _put(values: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    for key in place[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UsageError(f"recipe: {key}: expected a table, found {inner!r}")
        values = inner
    values[place[-1]] = value


class _Watch:
    """Shows one progress bar on stderr, or one line per minute where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase."""
        from tqdm import tqdm

        self.end()
        self._label, self._total, self._done = label, total, 0
        self._began = self._told = time.monotonic()
        self._bar = tqdm(desc=label, total=total, dynamic_ncols=True, leave=False, disable=None)

    def advance(self, n: int, note: str = "") -> None:
        """Say that `n` more are done."""
        self._done += n
        if self._bar is not None and not self._bar.disable:
            self._bar.update(n)
            if note:
                self._bar.set_postfix_str(note, refresh=False)
        elif (now := time.monotonic()) - self._told >= _EVERY_SECONDS:
            self._told = now
            say(f"{self._label}: {note or f'{self._done:,} done'}{self._left(now)}")

    def _left(self, now: float) -> str:
        if not self._total or not self._done:
            return ""
        seconds = (self._total - self._done) * (now - self._began) / self._done
        return f", {timedelta(seconds=round(seconds))} left"

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
