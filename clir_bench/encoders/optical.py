"""`optical:FOLDER`: a checkpoint that clir-bench's own distillation wrote.

A checkpoint is an ordinary sentence-transformers model folder whose one set of weights serves as
late interaction and as a pooled model. Which it is, its card says; `optical:FOLDER#pooled` and
`optical:FOLDER#late` say it instead.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from clir_bench.encoders import sbert, weights
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import Encoder, EncoderRequest, TokenEncoder

CARD = "optical.json"
_KINDS = {"late": True, "pooled": False}


def load(request: EncoderRequest) -> Encoder | TokenEncoder:
    """Return the checkpoint in the folder `request.argument`, named "optical@<hash>".

    A pooled one of a folder that also serves late interaction is named "optical-pooled@<hash>".

    Raises:
        UsageError: No folder is named, or a kind that is none.
        EncoderError: The folder holds no usable model.
    """
    if not request.argument:
        raise UsageError(
            f"model {request.name!r} needs a checkpoint: no weights ship with clir-bench yet, so "
            f"name its folder, as in --model {request.name}:path/to/checkpoint"
        )
    argument, marked, kind = request.argument.partition("#")
    if marked and kind not in _KINDS:
        raise UsageError(f"model {request.name}:{request.argument}: expected #late or #pooled")
    found = weights.from_folder(Path(argument).expanduser())
    card = _card(found.folder)
    kind = kind or str(card.get("default", ""))
    name = request.name + ("-pooled" if kind == "pooled" else "")
    named = replace(found, name=f"{name}@{found.sha256[:8]}")
    encoder = sbert.build(request, named, sbert.Stated(late=_KINDS.get(kind)))
    if languages := card.get("languages"):
        encoder.info = replace(encoder.info, training_languages=tuple(languages))
    return encoder


def _card(folder: Path) -> dict[str, Any]:
    """Return the checkpoint's card, empty where it has none."""
    card = weights.read_json(folder, CARD)
    if not isinstance(card, dict):
        raise EncoderError(f"{folder / CARD}: expected a JSON object")
    return card
