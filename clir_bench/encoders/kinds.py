"""Finds the kind of a model from its files, and refuses kinds that do not make text vectors.

sentence-transformers loads any transformers checkpoint. If nothing says how to pool (there is no
modules.json), it drops the head and takes the mean of the token vectors. A reranker, a masked
language model or a generator was not trained for this, so its score would mean nothing.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clir_bench.encoders import contents
from clir_bench.encoders.contents import ADAPTER, module_folders, read_json
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError
from clir_bench.types import Family

_LATE_INTERACTION = ("MultiVectorEncoder", "ColBERT")
_HEAD = re.compile(r"For[A-Z]|LMHead|WithLM|DoubleHeads|MTModel|Reader$|CrossEncoder|Reranker")
_VECTORS = ("ForRetrieval", "ForEmbedding", "ForTextEmbedding", "ForTextEncoding")
_PAIR_MODULES = re.compile(r"(?i)cross_?encoder|logitscore")
_SPARSE_MODULES = re.compile(r"(?i)splade|sparse_?(encoder|auto|static)|mlmtransformer")
_SPARSE_HEADS = re.compile(r"(?i)splade_?pooling|sparse_?(auto|static)")
_WORD_HEAD = "ForMaskedLM"
_POOLED_TASKS = (None, "feature-extraction", "retrieval")
_ADAPTED_TASKS = (None, "FEATURE_EXTRACTION")
_HEAD_TENSOR = re.compile(
    r"(^|\.)(classifier|pre_classifier|classification_head|score|lm_head|cls|qa_outputs|lm_loss"
    r"|generator_lm_head|vocab_projector|vocab_transform|predictions|discriminator_predictions)\."
)
_PAIRS = re.compile(r"(?i)cross_?encoder|logitscore")
_LARGEST_HEADER = 100 << 20  # the most that the safetensors library reads

_REMEDY = (
    "If token vectors pooled all the same are what you want to measure, write it once with its "
    "pooling stated and name that folder: "
    "from sentence_transformers import SentenceTransformer; "
    "from sentence_transformers.sentence_transformer.modules import Pooling, Transformer; "
    "t = Transformer({path}); "
    "SentenceTransformer(modules=[t, Pooling(t.get_embedding_dimension(), 'mean')])"
    ".save_pretrained('FOLDER'); then --model st:FOLDER"
)


_SPLADE_REMEDY = (
    "If it was trained as a SPLADE model, write it once as one, "
    "from sentence_transformers import SparseEncoder; "
    "SparseEncoder({path}).save_pretrained('FOLDER'), and name that: --model st:FOLDER. "
)


def family(found: Weights) -> Family:
    """Return what a model makes of a text when sentence-transformers 6 loads it, by its files.

    Raises:
        EncoderError: This kind does not turn texts into vectors to search with.
    """
    settings = _object(found, "config_sentence_transformers.json")
    kind = settings.get("model_type")
    types = _module_types(found)
    architectures = _architectures(found.folder)
    pairs = next((name for name in types if _PAIR_MODULES.search(name)), None)
    if kind == "CrossEncoder" or pairs:
        raise _refusal(found, f"is a {kind or f'model with the module {pairs}'}", reranker=True)
    sparse = next((name for name in types if _SPARSE_MODULES.search(name)), None)
    if kind == "SparseEncoder" or (kind is None and sparse):
        _require_term_head(found, types)
        return "sparse"
    if sparse:
        raise EncoderError(
            f"model {found.name!r} is saved as a {kind} and has the module {sparse}, which makes "
            "weights of terms; correct model_type in config_sentence_transformers.json"
        )
    if kind in _LATE_INTERACTION:
        return "tokens"
    if kind is None and any("pylate" in name or "multi_vector" in name for name in types):
        return "tokens"
    if kind is None and any(
        name == "HF_ColBERT" or name.endswith("ForRetrieval") for name in architectures
    ):
        return "tokens"
    _require_pooling(found, architectures, stated=bool(types))
    return "single"


def _require_term_head(found: Weights, types: list[str]) -> None:
    """Refuse a sparse model without trained layers that make weights of terms.

    sentence-transformers would put layers with random weights in their place.
    """
    own_code = any(not name.startswith("sentence_transformers.") for name in types)
    if not own_code and not any(_SPARSE_HEADS.search(name) for name in types):
        raise EncoderError(
            f"model {found.name!r} is a SparseEncoder without its head: its modules.json names "
            f"{', '.join(types) or 'no modules'}, and nothing that makes weights of terms; "
            "expected SpladePooling, SparseAutoEncoder or SparseStaticEmbedding among them. "
            "Save the whole model with SparseEncoder.save_pretrained(FOLDER)"
        )
    named = [name for place in module_folders(found.folder) for name in _architectures(place)]
    splade = any("splade" in name.casefold() for name in types)
    if splade and named and not any(name.endswith(_WORD_HEAD) for name in named):
        raise EncoderError(
            f"model {found.name!r} is a SPLADE model without its head: its weights are of a "
            f"{named[0]}, which has no layer that scores the words of the vocabulary; expected a "
            f"model whose name ends in {_WORD_HEAD}. Save the whole model with "
            "SparseEncoder.save_pretrained(FOLDER)"
        )


def scores_pairs(found: Weights) -> bool:
    """Return whether a model reads query and document together, by its files."""
    settings = _object(found, "config_sentence_transformers.json")
    types = _module_types(found)
    if settings.get("model_type") == "CrossEncoder" or any(map(_PAIRS.search, types)):
        return True
    if settings.get("model_type") or types:
        return False
    adapted = _object(found, ADAPTER).get("task_type") == "SEQ_CLS"
    return adapted or any(map(_scores_pairs, _architectures(found.folder)))


def _require_pooling(found: Weights, architectures: list[str], *, stated: bool) -> None:
    """Refuse a model that was trained for something else and does not state how to pool it.

    Args:
        found: The model.
        architectures: The architectures that its config names.
        stated: Whether it has a modules.json, and with it a pooling.
    """
    for place in module_folders(found.folder):
        for path in sorted(place.glob("sentence_*config.json")):
            task = read_json(place, path.name).get("transformer_task")
            if task not in _POOLED_TASKS:
                raise _refusal(found, f"is saved for {task}", reranker=_scores_pairs(str(task)))
    if stated:
        return
    adapted = _object(found, ADAPTER).get("task_type")
    if adapted not in _ADAPTED_TASKS:
        raise _refusal(
            found, f"is an adapter for the task {adapted}", reranker=adapted == "SEQ_CLS"
        )
    if (found.folder / "artifact.metadata").is_file():
        raise EncoderError(
            f"model {found.name!r} is a ColBERT checkpoint (artifact.metadata) whose config.json "
            f"names {', '.join(architectures) or 'no architecture'}; expected HF_ColBERT, by which "
            "its projection is loaded: state it as `architectures`"
        )
    for name in architectures:
        if _HEAD.search(name) and not name.endswith(_VECTORS):
            raise _refusal(found, f"is a {name}", reranker=_scores_pairs(name))
        if _is_causal(found, name):
            raise _refusal(found, f"is a {name}, which reads from left to right only")
    if not architectures and (tensor := _head_tensor(found.folder)):
        raise _refusal(found, f"names no architecture and has a head ({tensor})")


def _refusal(found: Weights, what: str, *, reranker: bool = False) -> EncoderError:
    name, path = found.name, repr(str(found.folder))
    if not reranker:
        why = ", and no modules.json says how its token vectors become one vector per text. "
        if what.endswith(_WORD_HEAD):
            why += _SPLADE_REMEDY.format(path=path)
        return EncoderError(f"model {name!r} {what}{why}{_REMEDY.format(path=path)}")
    labels = _config(found.folder).get("id2label")
    if isinstance(labels, dict) and len(labels) > 1:
        use = f"; it has {len(labels)} labels, and so no single score to rank documents by either. "
    else:
        use = (
            ". To rank the first documents of another system again with it: --model "
            "rerank:MODEL+SYSTEM, as in rerank:MODEL+bm25. "
        )
    return EncoderError(
        f"model {name!r} {what}; a reranker reads query and document together and has no vectors "
        f"to search with{use}{_REMEDY.format(path=path)}"
    )


def _scores_pairs(name: str) -> bool:
    return bool(re.search(r"(?i)sequence.?classification|cross.?encoder|rerank", name))


def _is_causal(found: Weights, architecture: str) -> bool:
    """Return whether an architecture is transformers' own bare decoder, such as LlamaModel."""
    config = _config(found.folder)
    both_ways = config.get("is_causal") is False or config.get("use_bidirectional_attention")
    if both_ways or config.get("is_encoder_decoder"):  # only its encoder is loaded
        return False
    if config.get("is_decoder"):
        return True
    from transformers.models.auto import modeling_auto

    names: Any = modeling_auto  # annotated because its tables carry no types
    kind = config.get("model_type")
    generates = kind in names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = kind in names.MODEL_FOR_MASKED_LM_MAPPING_NAMES or kind in _BOTH_WAYS
    own = names.MODEL_MAPPING_NAMES.get(kind)
    classes = own if isinstance(own, (list, tuple)) else (own,)
    return generates and not masked and architecture in classes


_BOTH_WAYS = ("bert-generation", "xlnet")
"""Generators that read both ways and are in no table of masked language models."""


def _architectures(folder: Path) -> list[str]:
    found = _config(folder).get("architectures")
    return [str(name) for name in found] if isinstance(found, list) else []


def _config(folder: Path) -> dict[str, Any]:
    """Return a transformers config; for an adapter, the base model's."""
    for reference in contents.references(folder):
        if reference.where.startswith(ADAPTER):
            folder = contents.resolved(folder, reference)
    config = read_json(folder, "config.json")
    return config if isinstance(config, dict) else {}


def _object(found: Weights, name: str) -> dict[str, Any]:
    content = read_json(found.folder, name)
    if not isinstance(content, dict):
        raise EncoderError(f"{found.folder / name}: expected a JSON object")
    return content


def _module_types(found: Weights) -> list[str]:
    """Return the classes of a sentence-transformers model's modules, those in routers too."""
    modules = read_json(found.folder, "modules.json")
    if not modules:
        return []
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise EncoderError(f"{found.folder / 'modules.json'}: expected a list of modules")
    types = [str(module.get("type", "")) for module in modules]
    for place in module_folders(found.folder):
        routed = read_json(place, "router_config.json")
        types += [str(name) for name in routed.get("types", {}).values()] if routed else []
    return types


def _head_tensor(folder: Path) -> str | None:
    return next((name for name in _tensors(folder) if _HEAD_TENSOR.search(name)), None)


def _tensors(folder: Path) -> Iterator[str]:
    """Yield the names of a folder's tensors, from the headers of its safetensors files."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if size > _LARGEST_HEADER:
                continue  # no safetensors file: loading says so
            try:
                header = json.loads(file.read(size))
            except ValueError:
                continue
        yield from (name for name in header if name != "__metadata__")
