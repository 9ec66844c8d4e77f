"""`st:HUB_ID_OR_FOLDER`: any sentence-transformers model, single-vector or late-interaction.

Weights are resolved to one folder at one commit first (see `weights`), so that what is hashed and
recorded is what is loaded, and loading itself touches no network.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clir_bench.encoders import packing, precision, weights
from clir_bench.encoders.precision import Dtype
from clir_bench.encoders.sentences import DenseEncoder, LateInteractionEncoder, batches_for
from clir_bench.encoders.weights import Weights, read_json
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import Encoder, EncoderInfo, EncoderRequest, TokenEncoder

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_LATE_INTERACTION = ("MultiVectorEncoder", "ColBERT")


@dataclass(frozen=True)
class Stated:
    """What is known of a model besides its files; None leaves it to the files.

    Attributes:
        query_prompt: Put before every query instead of the model's own prompt.
        document_prompt: Put before every document instead of the model's own prompt.
        max_tokens: An upper limit; the model's own applies where it is lower.
        dim: What the model's dimension must be.
        late: Whether to load it as late interaction or pooled, where its files serve as both.
    """

    query_prompt: str | None = None
    document_prompt: str | None = None
    max_tokens: int | None = None
    dim: int | None = None
    late: bool | None = None
    similarity: Literal["cosine", "dot", "maxsim"] | None = None
    license: str | None = None
    description: str = ""


def load(request: EncoderRequest) -> Encoder | TokenEncoder:
    """Return the sentence-transformers model `request.argument`, a Hub id or a folder.

    Raises:
        UsageError: The argument is missing or impossible.
        EncoderError: The model cannot be had, read or run here.
    """
    if not request.argument:
        raise UsageError(
            f"model {request.name!r} needs a Hub id or a folder after a colon, as in "
            f"--model {request.name}:intfloat/multilingual-e5-small"
        )
    return build(request, weights.resolve(request.argument), Stated())


def build(request: EncoderRequest, found: Weights, stated: Stated) -> Encoder | TokenEncoder:
    """Load the model in `found.folder` and say in its info what was loaded.

    Raises:
        UsageError: The device is no device.
        EncoderError: It is of the wrong kind, needs code that is not trusted, or does not fit
            what is stated about it.
    """
    late = is_late_interaction(found) if stated.late is None else stated.late
    device = resolve_device(request.device)
    dtype = precision.choose(request.dtype, device, late=late)
    stored = precision.stored_as(dtype)
    model = read(found, late, device, stored, request.trust_remote_code)
    if dtype == precision.MIXED and not precision.mix(model[0]):
        dtype = _unmixed(found, request)
    if dtype in (precision.MIXED, "float32") and device == "cpu" and not late:
        packing.pack(model[0])
    limit = _limit(model, stated.max_tokens)
    info = EncoderInfo(
        name=found.name,
        revision=found.revision,
        weights_sha256=found.sha256,
        query_prompt=_prompt(model.prompts, ("query",), stated.query_prompt),
        document_prompt=_prompt(model.prompts, _DOCUMENT_PROMPTS, stated.document_prompt),
        max_tokens=limit,
        dtype=dtype,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        similarity=_similarity(model, late, stated, found.name),
        license=stated.license,
        description=stated.description or _description(found, late),
    )
    dim = _dimension(model, found.name)
    has_layers = hasattr(model[0], "auto_model")
    texts, tokens = batches_for(request, device, late=late, has_layers=has_layers)
    encoder = (
        LateInteractionEncoder(model, info, dim, texts)
        if late
        else DenseEncoder(model, info, dim, texts, tokens)
    )
    if stated.dim is not None and encoder.dim != stated.dim:
        raise EncoderError(
            f"model {found.name!r}: expected vectors of {stated.dim} numbers, found {encoder.dim}; "
            f"{found.folder} holds another model"
        )
    return encoder


def resolve_device(device: str) -> str:
    """Return the torch device to use; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: There is no such kind of device.
        EncoderError: It is not on this machine: no other one is taken in its place.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UsageError(f"device {device!r}: expected auto, cpu, cuda, cuda:N or mps") from error
    index = torch.device(device).index or 0
    absent = kind == "cuda" and (
        not torch.cuda.is_available() or index >= torch.cuda.device_count()
    )
    if absent or (kind == "mps" and not torch.backends.mps.is_available()):
        raise EncoderError(f"device {device!r} is not on this machine; use --device cpu or auto")
    return device


def _unmixed(found: Weights, request: EncoderRequest) -> Dtype:
    """Return the arithmetic of a model that has nothing to mix: float32, unless more was asked."""
    if request.dtype == precision.MIXED:
        raise EncoderError(
            f"model {found.name!r} has no feed-forward layers that clir-bench knows, so there is "
            f"nothing to run in {precision.MIXED}; use --dtype float32"
        )
    return "float32"


def is_late_interaction(found: Weights) -> bool:
    """Tell the kinds apart by what their files say, as sentence-transformers 6 does."""
    kind = read_json(found.folder, "config_sentence_transformers.json").get("model_type")
    modules = read_json(found.folder, "modules.json")
    types = [str(module.get("type", "")) for module in modules] if modules else []
    architectures = read_json(found.folder, "config.json").get("architectures") or []
    sparse = any("Splade" in name or "sparse_encoder" in name for name in types)
    if kind in ("SparseEncoder", "CrossEncoder") or sparse:
        raise EncoderError(
            f"model {found.name!r} is a {kind or 'SparseEncoder'}; clir-bench runs single-vector "
            "(SentenceTransformer) and late-interaction (MultiVectorEncoder) models"
        )
    if kind in _LATE_INTERACTION:
        return True
    if kind is None and any("pylate" in name or "multi_vector" in name for name in types):
        return True
    return kind is None and any(
        name == "HF_ColBERT" or str(name).endswith("ForRetrieval") for name in architectures
    )


def read(found: Weights, late: bool, device: str, dtype: torch.dtype, trust: bool) -> Any:
    """Load the model; whatever the libraries raise becomes an `EncoderError` saying what to do."""
    with _quiet():
        from sentence_transformers import MultiVectorEncoder, SentenceTransformer

        kind = MultiVectorEncoder if late else SentenceTransformer
        try:
            model = kind(
                str(found.folder),
                device=device,
                trust_remote_code=trust,
                # Trusted code may live in another repository than the weights.
                local_files_only=not trust,
                model_kwargs={"dtype": dtype, "use_safetensors": True},
            )
        except (MemoryError, EncoderError):
            raise
        except Exception as error:  # a model's own code may raise anything
            raise EncoderError(_why(found, error)) from error
    # Modules that are not transformers models (static embeddings) ignore the requested dtype.
    return model.to(dtype).eval()


def _why(found: Weights, error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    if "trust_remote_code" in text:
        return (
            f"model {found.name!r} at {found.revision} needs code that comes with its weights, "
            f"which is not run unless you ask for it: read the .py files of {found.folder}, then "
            f"use --trust-remote-code ({text})"
        )
    if "pytorch_model.bin" in text:
        return (
            f"model {found.name!r}: a part of it has no .safetensors weights, and pickled ones are "
            f"not read, because they can run code. Write it with save_pretrained(FOLDER) where you "
            f"trust it, and name that folder ({text})"
        )
    if type(error).__name__ == "OutOfMemoryError":
        return f"model {found.name!r} does not fit the device's memory; use --device cpu ({text})"
    return f"model {found.name!r} in {found.folder} cannot be loaded: {text}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' bars and warnings off the terminal while a model is loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        # Annotated because these functions of transformers carry no types.
        their_logging: Any = transformers_logging
        verbosity, bars = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
        their_logging.set_verbosity_error()
        their_logging.disable_progress_bar()
        try:
            yield
        finally:
            their_logging.set_verbosity(verbosity)
            if bars:
                their_logging.enable_progress_bar()


def _limit(model: Any, stated: int | None) -> int | None:
    """Return after how many tokens documents are cut, lowering the model's limit if need be."""
    attribute = (
        "document_length" if getattr(model[0], "document_length", None) else "max_seq_length"
    )
    own = getattr(model[0], attribute, None)
    own = None if own is None or own == math.inf else int(own)
    if stated is None or (own is not None and own <= stated):
        return own
    setattr(model[0], attribute, stated)
    return stated


def _prompt(own: Mapping[str, str | None], names: Sequence[str], stated: str | None) -> str:
    """Return the stated prompt, else the first of the model's own that is not empty.

    sentence-transformers 6 would take an empty "document" prompt it made up itself before a
    "passage" prompt that the model's authors saved.
    """
    if stated is not None:
        return stated
    return next((text for name in names if (text := own.get(name))), "")


def _similarity(
    model: Any, late: bool, stated: Stated, name: str
) -> Literal["cosine", "dot", "maxsim"]:
    if late:
        return "maxsim"
    if stated.similarity is not None:
        return stated.similarity
    own = model.similarity_fn_name
    if own not in ("cosine", "dot"):
        raise EncoderError(
            f"model {name!r} compares vectors by {own} distance; expected cosine or dot: the index "
            "searches by inner product"
        )
    return "dot" if own == "dot" else "cosine"


def _dimension(model: Any, name: str) -> int:
    # A model whose last module sends queries and documents different ways says nothing itself; the
    # modules before it know.
    for part in (model, *reversed(list(model))):
        dim = getattr(part, "get_embedding_dimension", lambda: None)()
        if isinstance(dim, int):
            return dim
    raise EncoderError(f"model {name!r} does not say how long its vectors are")


def _description(found: Weights, late: bool) -> str:
    if late:
        return "late interaction, sentence-transformers"
    if Path(found.folder, "modules.json").is_file():
        return "single vector, sentence-transformers"
    _LOGGER.warning(
        "model %s has no modules.json: sentence-transformers pools its token vectors by default",
        found.name,
    )
    return "single vector; no modules.json, so sentence-transformers' default pooling"
