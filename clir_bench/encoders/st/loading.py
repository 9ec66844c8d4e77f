"""Loads `st:HUB_ID_OR_FOLDER`: any sentence-transformers model: dense, late-interaction or sparse.

It first finds one folder with the weights of one commit (see `weights`). So it loads exactly the
weights that were hashed and recorded, and loading does not use the network.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from clir_bench.encoders import kinds, weights
from clir_bench.encoders.contents import read_json
from clir_bench.encoders.quiet import quiet
from clir_bench.encoders.st import precision, prompts
from clir_bench.encoders.st.batching import keep_freed_memory
from clir_bench.encoders.st.encoding import (
    DenseEncoder,
    LateInteractionEncoder,
    SparseModelEncoder,
    batches_for,
)
from clir_bench.encoders.st.precision import Arithmetic
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import AnyEncoder, EncoderInfo, EncoderRequest, Family

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)
Similarity: TypeAlias = Literal["cosine", "dot", "maxsim", "sparse"]
"""Of the models that can be loaded here."""
_POSITION_TABLES = ("position_embeddings", "position_embedding", "embed_positions", "wpe")


@dataclass(frozen=True)
class Stated:
    """Settings of a model that replace those in its files; None keeps the one in the files.

    Attributes:
        query_prompt: Put before every query instead of the model's own prompt.
        document_prompt: Put before every document instead of the model's own prompt.
        max_tokens: An upper limit; the model's own applies where it is lower.
        must_fit: Whether `max_tokens` beyond the model's positions is an error.
        dim: The expected dimension of the model.
        truncated_dim: How many of a vector's first numbers are kept; the others are cut off.
        family: What texts become, if the model's files serve as several kinds.
    """

    query_prompt: str | None = None
    document_prompt: str | None = None
    max_tokens: int | None = None
    must_fit: bool = False
    dim: int | None = None
    truncated_dim: int | None = None
    family: Family | None = None
    similarity: Similarity | None = None
    license: str | None = None
    description: str = ""


def build(request: EncoderRequest, found: Weights, stated: Stated) -> AnyEncoder:
    """Load the model in `found.folder` and record in its info what was loaded.

    Raises:
        UsageError: There is no such kind of device.
        EncoderError: It is of the wrong kind, needs code that is not trusted, does not fit what is
            stated about it, or changed while it was loaded.
    """
    family = stated.family or kinds.family(found)
    device = resolve_device(request.device)
    chosen = precision.choose(request.dtype, device, family)
    stored = precision.stored_as(chosen.dtype)
    model = read(found, family, device, stored, request.trust_remote_code)
    if chosen.dtype == precision.MIXED and not precision.feed_forward_layers(model[0]):
        chosen = _unmixed(found, request)
    if device == "cpu":
        keep_freed_memory()
    if chosen.dtype != "bfloat16" and device == "cpu" and family == "single":
        chosen = precision.settle(model[0], chosen)
    elif chosen.dtype == precision.MIXED:
        precision.mix(model[0])
    if chosen.reason:
        _LOGGER.info("model %s runs in %s: %s", found.name, *chosen)
    weights.require_unchanged(found)
    limit = limit_tokens(model, stated.max_tokens, found.name, must_fit=stated.must_fit)
    put = _prompts(model, found, stated)
    own_dim = (_width if family == "sparse" else _dimension)(model, found.name)
    if stated.dim is not None and own_dim != stated.dim:
        raise EncoderError(
            f"model {found.name!r}: expected vectors of {stated.dim} numbers, found {own_dim}; "
            f"{found.folder} holds another model"
        )
    dim = _kept(own_dim, family, stated, found.name)
    info = EncoderInfo(
        name=found.name if dim == own_dim else f"{found.name}@{dim}",
        revision=found.revision,
        weights_sha256=found.sha256,
        query_prompt=put.query,
        document_prompt=put.document,
        max_tokens=limit,
        dtype=chosen.dtype,
        dtype_reason=chosen.reason,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        similarity=_similarity(model, family, stated, found.name),
        license=stated.license,
        description="; ".join(
            filter(None, (stated.description or _description(found, family), put.unused))
        ),
    )
    has_layers = family == "sparse" or hasattr(model[0], "auto_model")
    texts, tokens = batches_for(request, device, family, has_layers=has_layers)
    encoder: DenseEncoder | LateInteractionEncoder | SparseModelEncoder
    if family == "sparse":
        encoder = SparseModelEncoder(model, info, dim, texts, tokens)
    elif family == "tokens":
        encoder = LateInteractionEncoder(model, info, dim, texts)
    else:
        encoder = DenseEncoder(model, info, dim, texts, tokens)
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


def _prompts(model: Any, found: Weights, stated: Stated) -> prompts.Prompts:
    """Return the prompts for the texts; warn of saved prompts that stay unused."""
    saved, default = dict(model.prompts), model.default_prompt_name
    if not Path(found.folder, "modules.json").is_file():
        # sentence-transformers reads the settings of a model that has modules, and of no other.
        settings = read_json(found.folder, "config_sentence_transformers.json")
        own = settings.get("prompts")
        saved |= own if isinstance(own, dict) else {}
        default = default or settings.get("default_prompt_name")
    chosen = prompts.choose(
        saved, default, query=stated.query_prompt, document=stated.document_prompt
    )
    if chosen.unused:
        _LOGGER.warning(
            "model %s: %s: no name says that it is for retrieval's queries, or its documents; to "
            "decide it, state query_prompt and document_prompt in a model file, my-model.toml",
            found.name,
            chosen.unused,
        )
    return chosen


def _unmixed(found: Weights, request: EncoderRequest) -> Arithmetic:
    """Return float32, the arithmetic of a model with nothing to mix; refuse a stated `MIXED`."""
    if request.dtype == precision.MIXED:
        raise EncoderError(
            f"model {found.name!r} has no feed-forward layers that clir-bench knows, so there is "
            f"nothing to run in {precision.MIXED}; use --dtype float32"
        )
    return Arithmetic("float32", "the model has no feed-forward layers that clir-bench knows")


def read(found: Weights, family: Family, device: str, dtype: torch.dtype, trust: bool) -> Any:
    """Load the model; any error of the libraries becomes an `EncoderError` with a remedy."""
    with quiet():
        from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder

        classes: dict[Family, Any] = {
            "single": SentenceTransformer,
            "tokens": MultiVectorEncoder,
            "sparse": SparseEncoder,
        }
        try:
            model = classes[family](
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
            raise EncoderError(why(found, error)) from error
    # Modules that are not transformers models (static embeddings) ignore the requested dtype.
    return model.to(dtype).eval()


def why(found: Weights, error: Exception) -> str:
    """Say why a model cannot be loaded, and what to do."""
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


def limit_tokens(
    model: Any, stated: int | None, name: str, *, must_fit: bool = False
) -> int | None:
    """Return after how many tokens documents are cut; lower the model's limit if needed.

    Args:
        model: As sentence-transformers loaded it; nothing longer than it has positions for is kept.
        stated: An upper limit; the model's own applies where it is lower.
        name: The model's name.
        must_fit: Whether a stated limit beyond the model's positions is an error; where the
            model's own limit fits them and applies instead, a warning names it.

    Raises:
        EncoderError: A stated limit is beyond the model's positions, and `must_fit`.
    """
    attribute = (
        "document_length" if getattr(model[0], "document_length", None) else "max_seq_length"
    )
    own = getattr(_of_documents(model[0]), attribute, None)
    own = None if own is None or own == math.inf else int(own)
    most = _positions(model[0])
    fits = own is not None and (most is None or own <= most)
    if must_fit and stated is not None and fits and own is not None and own < stated:
        _LOGGER.warning(
            "model %s: max_tokens = %s is stated, and the model's own limit of %s tokens applies",
            name, f"{stated:,}", f"{own:,}",
        )  # fmt: skip
    elif must_fit and stated is not None and most is not None and most < stated:
        raise EncoderError(
            f"model {name!r}: max_tokens = {stated:,} is stated, and the model has positions for "
            f"{most:,} tokens; state at most {most:,}, or leave max_tokens out"
        )
    known = [limit for limit in (own, stated, most) if limit is not None]
    if not known or min(known) == own:
        return own
    setattr(model[0], attribute, min(known))
    return min(known)


def _of_documents(module: Any) -> Any:
    """Return the module that reads documents, where queries go another way."""
    routed = getattr(module, "sub_modules", {})
    return routed["document"][0] if "document" in routed else module


def _positions(module: Any) -> int | None:
    """Return for how many tokens a module has learnt positions, None if it has none.

    RoBERTa and its kin begin to count behind the padding token's id, so that XLM-R's table of 514
    positions is for 512 tokens; BART's tables say their offset. Positions that are computed, such
    as rotary ones, have no end.
    """
    import torch

    found = []
    for path, table in module.named_modules():
        name = path.rpartition(".")[2]
        of_text = not any(
            part.startswith(("vision", "visual", "image")) for part in path.split(".")
        )
        if isinstance(table, torch.nn.Embedding) and name in _POSITION_TABLES and of_text:
            skipped = 0 if table.padding_idx is None else table.padding_idx + 1
            found.append(table.num_embeddings - int(getattr(table, "offset", skipped)))
    return min(found, default=None)


def _similarity(model: Any, family: Family, stated: Stated, name: str) -> Similarity:
    if family == "tokens":
        return "maxsim"
    if stated.similarity in ("cosine", "dot") and family == "single":
        return stated.similarity
    own = model.similarity_fn_name
    if own not in ("cosine", "dot"):
        raise EncoderError(
            f"model {name!r} compares vectors by {own} distance; expected cosine or dot: the index "
            "searches by inner product"
        )
    if family == "sparse":
        return "sparse"
    return "dot" if own == "dot" else "cosine"


def _dimension(model: Any, name: str) -> int:
    # A model whose last module sends queries and documents different ways says nothing itself; the
    # modules before it know.
    for part in (model, *reversed(list(model))):
        dim = getattr(part, "get_embedding_dimension", lambda: None)()
        if isinstance(dim, int):
            return dim
    raise EncoderError(f"model {name!r} does not say how long its vectors are")


def _kept(own: int, family: Family, stated: Stated, name: str) -> int:
    """Return how many numbers of a vector are kept.

    Raises:
        EncoderError: More than there are, or the model's vectors cannot be cut.
    """
    wanted = own if stated.truncated_dim is None else stated.truncated_dim
    if wanted > own:
        raise EncoderError(
            f"model {name!r}: dim = {wanted:,} is stated, and its vectors have {own:,} numbers; "
            f"state at most {own:,}, or leave dim out"
        )
    if wanted < own and family != "single":
        raise EncoderError(
            f"model {name!r}: dim = {wanted:,} is stated; only models with one vector per text can "
            f"be cut. State {own:,}, or leave dim out"
        )
    return wanted


def _width(model: Any, name: str) -> int:
    """Return the number of terms of a sparse model: some of its modules learn it when they run."""
    sides = (model.encode_query, model.encode_document)
    query, document = (encode(["a b"], show_progress_bar=False).shape[1] for encode in sides)
    if query != document:
        raise EncoderError(
            f"model {name!r} has weights of {query:,} terms for queries and of {document:,} for "
            "documents; both sides must have the same terms to be compared"
        )
    return int(query)


def _description(found: Weights, family: Family) -> str:
    if family != "single":
        kind = "late interaction" if family == "tokens" else "sparse"
        return f"{kind}, sentence-transformers"
    if Path(found.folder, "modules.json").is_file():
        return "single vector, sentence-transformers"
    _LOGGER.warning(
        "model %s has no modules.json: sentence-transformers pools its token vectors by default",
        found.name,
    )
    return "single vector; no modules.json, so sentence-transformers' default pooling"
