"""`optical:FOLDER`: a checkpoint that clir-bench's own distillation wrote.

A checkpoint is an ordinary sentence-transformers model folder, late-interaction or pooled, and is
read as one; it carries its prompts and limits itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clir_bench.encoders import sbert, weights
from clir_bench.errors import UsageError
from clir_bench.types import Encoder, EncoderRequest, TokenEncoder


def load(request: EncoderRequest) -> Encoder | TokenEncoder:
    """Return the checkpoint in the folder `request.argument`, named "optical@<hash>".

    Raises:
        UsageError: No folder is named.
        EncoderError: The folder holds no usable model.
    """
    if not request.argument:
        raise UsageError(
            f"model {request.name!r} needs a checkpoint: no weights ship with clir-bench yet, so "
            f"name its folder, as in --model {request.name}:path/to/checkpoint"
        )
    found = weights.from_folder(Path(request.argument).expanduser())
    named = replace(found, name=f"{request.name}@{found.sha256[:8]}")
    return sbert.build(request, named, sbert.Stated())
