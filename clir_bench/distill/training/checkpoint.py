"""Writes and reads checkpoints, from which a stopped training continues.

    <output>/.training/step-00000500/weights.safetensors
                                     optimiser.safetensors
                                     state.json           version, step, recipe, sizes, sha256, log

A checkpoint is written under another name and then renamed, so it is either whole or not there, and
the last good one always survives. Nothing is pickled. The newest and the best are kept.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clir_bench.core.files import sha256_of
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
_NAME = re.compile(r"step-(\d{8})")
_WEIGHTS, _OPTIMISER, _STATE = "weights.safetensors", "optimiser.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A training after a number of updates.

    Attributes:
        step: Updates made.
        weights: Parameters of student and loss, by name.
        optimiser: The rest of the optimiser's state.
        state: JSON values: "recipe" (its fingerprint), "best" and the loop's own values.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    state: Mapping[str, Any]


def write(folder: Path, checkpoint: Checkpoint, keep: set[int]) -> None:
    """Write a checkpoint into `folder` and remove the ones not in `keep`.

    Args:
        folder: Where checkpoints are.
        checkpoint: What to write.
        keep: Steps to keep beside it.

    Raises:
        OutputError: The checkpoint cannot be written; earlier ones are kept.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    final = folder / f"step-{checkpoint.step:08d}"
    temporary = folder / f".{final.name}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, tensors in ((_WEIGHTS, checkpoint.weights), (_OPTIMISER, checkpoint.optimiser)):
            own = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
            save_file(own, temporary / name)
        sizes = {name: (temporary / name).stat().st_size for name in (_WEIGHTS, _OPTIMISER)}
        hashes = {name: sha256_of(temporary / name) for name in sizes}
        state = {
            **checkpoint.state,
            "version": VERSION,
            "step": checkpoint.step,
            "sizes": sizes,
            "sha256": hashes,
        }
        (temporary / _STATE).write_text(
            json.dumps(state, sort_keys=True, indent=1) + "\n", encoding="utf-8"
        )
        if final.exists():
            shutil.rmtree(final)
        temporary.replace(final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OutputError(
            f"{final}: the checkpoint cannot be written: {error}; make room and run the same "
            f"command again, it continues from {_newest_name(folder) or 'the beginning'}"
        ) from error
    for step, path in steps(folder).items():
        if step != checkpoint.step and step not in keep:
            shutil.rmtree(path, ignore_errors=True)


def steps(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in `folder` by step, ascending."""
    if not folder.is_dir():
        return {}
    found = {
        int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))
    }
    return dict(sorted(found.items()))


def read(path: Path, recipe: str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: One of `steps`.
        recipe: Fingerprint of the recipe that it must belong to.

    Raises:
        DataError: The checkpoint is truncated, or of another version or recipe.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    advice = f"delete {path} to go on from the one before, or begin anew in another folder"
    try:
        state = parse_json((path / _STATE).read_bytes(), _STATE, DataError)
        if not isinstance(state, dict):
            raise DataError("not a JSON object")
    except (OSError, DataError) as error:
        raise DataError(f"{path / _STATE}: cannot be read ({error}); {advice}") from None
    if state.get("version") != VERSION:
        raise DataError(
            f"{path / _STATE}: expected a checkpoint of version {VERSION}, found version "
            f"{state.get('version')}; continue with the clir-bench that wrote it, or start again "
            "in another folder"
        )
    if state.get("recipe") != recipe:
        raise DataError(
            f"{path}: expected a checkpoint of this recipe ({recipe}), found one of another "
            f"({state.get('recipe')}); use that recipe again, or another --output"
        )
    tensors = {}
    for name in (_WEIGHTS, _OPTIMISER):
        expected = state.get("sizes", {}).get(name)
        found = (path / name).stat().st_size if (path / name).is_file() else 0
        if found != expected:
            raise DataError(
                f"{path / name}: expected {expected} bytes, found {found}: truncated; {advice}"
            )
        stated = state.get("sha256", {}).get(name)  # older checkpoints have none
        if stated not in (None, sha256_of(path / name)):
            raise DataError(f"{path / name}: damaged: its sha256 differs; {advice}")
        try:
            tensors[name] = load_file(path / name)
        except SafetensorError as error:
            raise DataError(f"{path / name}: damaged ({error}); {advice}") from None
    return Checkpoint(int(state["step"]), tensors[_WEIGHTS], tensors[_OPTIMISER], state)


def _newest_name(folder: Path) -> str:
    found = list(steps(folder).values())
    return found[-1].name if found else ""
