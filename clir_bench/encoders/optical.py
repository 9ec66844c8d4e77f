"""Loads distilled models: `optical` is part of this package, `optical:FOLDER` is one of your own.

`recipes/optical.toml` is the recipe of `optical`. Such a model is an ordinary sentence-transformers
folder. Its weights serve both as a late-interaction model and as a pooled one, and its card says
which is the default. `optical:FOLDER#pooled` and `optical:FOLDER#late` choose one of the two, and
so does `optical:#pooled` for the model of this package.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from clir_bench.encoders import weights
from clir_bench.encoders.contents import read_json
from clir_bench.encoders.st import loading
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import AnyEncoder, EncoderRequest, Family

CARD = "optical.json"
SHIPPED = Path(__file__).parent / "optical_model"
_KINDS: dict[str, Family] = {"late": "tokens", "pooled": "single"}


def load(request: EncoderRequest) -> AnyEncoder:
    """Return the model in the folder `request.argument`, or the one of this package.

    The package's own model is named "optical", others "optical@<hash>". As pooled models they are
    named "optical-pooled" and "optical-pooled@<hash>".

    Raises:
        UsageError: The kind is neither late nor pooled.
        EncoderError: The folder holds no usable model.
    """
    argument, marked, kind = (request.argument or "").partition("#")
    if marked and kind not in _KINDS:
        raise UsageError(f"model {request.name}:{request.argument}: expected #late or #pooled")
    folder = Path(argument).expanduser() if argument else SHIPPED
    found = weights.from_folder(folder, trust=request.trust_remote_code)
    card = _card(found.folder)
    kind = kind or str(card.get("default", ""))
    name = request.name + ("-pooled" if kind == "pooled" else "")
    named = replace(found, name=f"{name}@{found.sha256[:8]}" if argument else name)
    encoder = loading.build(request, named, loading.Stated(family=_KINDS.get(kind)))
    if languages := card.get("languages"):
        encoder.info = replace(encoder.info, training_languages=tuple(languages))
    return encoder


def _card(folder: Path) -> dict[str, Any]:
    """Return the checkpoint's card, empty where it has none."""
    card = read_json(folder, CARD)
    if not isinstance(card, dict):
        raise EncoderError(f"{folder / CARD}: expected a JSON object")
    return card
