"""Reads a model file: one TOML file with a sentence-transformers model, its prompts and limits.

    name = "e5-small-plain"                     # what results and leaderboards call it
    hub_id = "intfloat/multilingual-e5-small"   # or: folder = "weights", beside this file
    revision = "fd1525a9fd15316a2d503bf26ab031a61d056e98"
    query_prompt = "query: "
    document_prompt = "passage: "
    max_tokens = 512

Other fields may be left out (see `ModelDescription`). The stated fields are used as they are, and
the result records them. Fields that are left out come from clir-bench's table of models for that
Hub id, or else from the model's own files. A file with `url` describes a model on a server (see
`api`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.structured_files import parse_toml, validated
from clir_bench.encoders import api, catalog, hub, kinds, weights
from clir_bench.encoders.described import Described
from clir_bench.encoders.st import loading
from clir_bench.encoders.weights import Weights
from clir_bench.errors import DataError, EncoderError, UsageError
from clir_bench.types import AnyEncoder, EncoderRequest

_MAX_BYTES = 1 << 20
_SIMILARITIES = {"single": ("cosine", "dot"), "tokens": ("maxsim",), "sparse": ("sparse",)}
_KINDS = {
    "single": "one vector per text (cosine or dot)",
    "tokens": "one vector per token (maxsim)",
    "sparse": "weights of terms (sparse)",
}


class ModelDescription(Described):
    """The fields of a model file with weights; those of every model file are in `Described`.

    Attributes:
        hub_id: Where the weights are on the Hub.
        folder: Where they are on this machine instead, from the file's own folder.
        revision: The Hub's commit; without it the one the default branch is at now.
        sha256: The expected `weights_sha256` of a result: other weights are refused.
        max_tokens: Longer texts are cut; the model's own limit applies where it is lower. More
            tokens than the model has positions for are refused where nothing lower applies.
        dim: How many of a vector's first numbers are kept, for models trained so (Matryoshka); the
            rest is cut off, and the system is called NAME@DIM. The model's own number changes
            nothing.
        dtype: Arithmetic of the forward pass; `--dtype` decides where not stated.
        similarity: How vectors are compared; the model's own where not stated. "maxsim" is for
            models of late interaction, and for these alone; so is "sparse" for sparse ones.
    """

    hub_id: str | None = None
    folder: str | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    dim: Annotated[int, Field(ge=1)] | None = None
    dtype: Literal["float32", "bfloat16", "mixed-bfloat16"] | None = None
    similarity: loading.Similarity | None = None

    @field_validator("hub_id")
    @classmethod
    def _like_a_hub_id(cls, hub_id: str | None) -> str | None:
        if hub_id is not None and not hub.is_hub_id(hub_id):
            raise ValueError(
                f"{hub_id!r} is not written like a Hub id, owner/name (a folder is stated as "
                "folder = ...)"
            )
        return hub_id

    @model_validator(mode="after")
    def _one_place(self) -> ModelDescription:
        if (self.hub_id is None) == (self.folder is None):
            raise ValueError("state where the weights are: hub_id or folder, one of the two")
        if self.folder is not None and self.revision is not None:
            raise ValueError("revision is the Hub's; for a folder state sha256, or nothing")
        return self


@dataclass(frozen=True)
class DescribedModel:
    """A model file that was read.

    Attributes:
        path: The file.
        sha256: Of its bytes.
        stated: Its fields.
    """

    path: Path
    sha256: str
    stated: ModelDescription | api.ApiDescription


def read_description(path: Path) -> DescribedModel:
    """Read and check a model's file.

    Raises:
        UsageError: It cannot be read, is no TOML, or a field is unknown, missing, or wrong; every
            problem is named.
    """
    try:
        data = read_plain(path, _MAX_BYTES, follow_links=True)
    except DataError as error:
        raise UsageError(f"model {error}") from None
    raw = parse_toml(data, f"model {path}", UsageError)
    kind: type[ModelDescription | api.ApiDescription]
    kind = api.ApiDescription if "url" in raw else ModelDescription
    stated = validated(kind, raw, f"model {path}", UsageError)
    return DescribedModel(path, hashlib.sha256(data).hexdigest(), stated)


def load(request: EncoderRequest) -> AnyEncoder:
    """Return the model that the file `request.argument` describes.

    Raises:
        UsageError: The file is wrong, or `--dtype` contradicts it.
        EncoderError: The model cannot be fetched or loaded, or is not the described one.
    """
    model = read_description(Path(request.argument))
    stated = model.stated
    if isinstance(stated, api.ApiDescription):
        origin = _origin(model, f"{stated.model}, served by {stated.url}")
        return api.connect(request, stated, stated.name, origin)
    if stated.dtype is not None:
        if request.dtype not in ("auto", stated.dtype):
            raise UsageError(
                f"model {model.path} states dtype {stated.dtype!r}, --dtype says "
                f"{request.dtype!r}; leave one of them out"
            )
        request = replace(request, dtype=stated.dtype)
    found = find_weights(stated, model.path, trust=request.trust_remote_code)
    family = kinds.family(found)
    if stated.similarity is not None and stated.similarity not in _SIMILARITIES[family]:
        # sentence-transformers would convert it, drawing the weights that are missing at random.
        kind = _KINDS[family]
        raise EncoderError(
            f"model {model.path} states similarity {stated.similarity!r}, but the files of "
            f"{found.name} are of a model with {kind}; correct `similarity`, or leave it out"
        )
    shared = {field.name for field in fields(loading.Stated)} - {"description", "dim"}
    settings = loading.Stated(
        **stated.model_dump(include=shared),
        truncated_dim=stated.dim,
        must_fit=stated.max_tokens is not None,
        family=family,
        description=_origin(model, found.name),
    )
    encoder = loading.build(
        request, replace(found, name=stated.name), catalog.known(found, settings)
    )
    encoder.info = replace(encoder.info, training_languages=stated.training_languages)
    return encoder


def find_weights(stated: ModelDescription, path: Path, *, trust: bool = False) -> Weights:
    """Return the weights that a model's file at `path` names.

    Raises:
        EncoderError: They cannot be fetched, or are not those of the stated `sha256`.
    """
    if stated.folder is not None:
        found = weights.from_folder(path.parent / Path(stated.folder).expanduser(), trust=trust)
    else:
        assert stated.hub_id is not None, "checked when the file was read"  # noqa: S101
        found = weights.from_hub(stated.hub_id, stated.revision, trust=trust)
    if stated.sha256 not in (None, found.sha256):
        raise EncoderError(
            f"model {path}: expected weights of sha256 {stated.sha256}, found "
            f"{found.sha256} in {found.folder}; correct `sha256`, or fetch the weights it names"
        )
    return found


def _origin(model: DescribedModel, source: str) -> str:
    """Return the model's description in a result: its weights and the file."""
    words = f"{model.stated.description}; " if model.stated.description else ""
    return f"{words}{source}, as {model.path.name} (sha256 {model.sha256[:12]}) describes it"
