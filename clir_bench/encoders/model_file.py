"""Reads a model file: one TOML file with a sentence-transformers model, its prompts and limits.

    name = "e5-small-plain"                     # what results and leaderboards call it
    hub_id = "intfloat/multilingual-e5-small"   # or: folder = "weights", beside this file
    revision = "fd1525a9fd15316a2d503bf26ab031a61d056e98"
    query_prompt = "query: "
    document_prompt = "passage: "
    max_tokens = 512

Other fields may be left out (see `ModelDescription`). The stated fields are used as they are, and
the result records them. Fields that are left out come from clir-bench's table of models for that
Hub id, or else from the model's own files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from clir_bench.core import plugins
from clir_bench.core.bounded_files import read_plain
from clir_bench.core.structured_files import parse_toml, validated
from clir_bench.encoders import catalog, hub, kinds, weights
from clir_bench.encoders.st import loading
from clir_bench.encoders.weights import Weights
from clir_bench.errors import DataError, EncoderError, UnknownNameError, UsageError
from clir_bench.tasks.languages import resolve
from clir_bench.types import Encoder, EncoderRequest, TokenEncoder

_MAX_BYTES = 1 << 20

_Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
_LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class ModelDescription(BaseModel):
    """The fields of a model file.

    Attributes:
        name: The system's name; it must not be a registered encoder's.
        hub_id: Where the weights are on the Hub.
        folder: Where they are on this machine instead, from the file's own folder.
        revision: The Hub's commit; without it the one the default branch is at now.
        sha256: The expected `weights_sha256` of a result: other weights are refused.
        query_prompt: Put before every query; the model's own where not stated.
        document_prompt: Put before every document; the model's own where not stated.
        max_tokens: Longer texts are cut; the model's own limit applies where it is lower. More
            tokens than the model has positions for are refused where nothing lower applies.
        dim: The expected length of the vectors.
        dtype: Arithmetic of the forward pass; `--dtype` decides where not stated.
        similarity: How vectors are compared; the model's own where not stated. "maxsim" is for
            models of late interaction, and for these alone.
        license: SPDX id of the weights' license.
        training_languages: Codes of the languages seen in training.
        description: One line for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    hub_id: str | None = None
    folder: str | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    dim: Annotated[int, Field(ge=1)] | None = None
    dtype: Literal["float32", "bfloat16", "mixed-bfloat16"] | None = None
    similarity: Literal["cosine", "dot", "maxsim"] | None = None
    license: _Line | None = None
    training_languages: Annotated[tuple[_LanguageCode, ...], Field(strict=False)] = ()
    description: _Line = ""

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in plugins.names(plugins.ENCODERS):
            raise ValueError(
                f"{name!r} is a registered encoder (`clir-bench encoders`); choose another name"
            )
        return name

    @field_validator("hub_id")
    @classmethod
    def _like_a_hub_id(cls, hub_id: str | None) -> str | None:
        if hub_id is not None and not hub.is_hub_id(hub_id):
            raise ValueError(
                f"{hub_id!r} is not written like a Hub id, owner/name (a folder is stated as "
                "folder = ...)"
            )
        return hub_id

    @field_validator("training_languages")
    @classmethod
    def _canonical(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            try:
                canonical = resolve(code).code
            except UnknownNameError:  # a model may know languages that no task has
                continue
            if canonical != code:
                raise ValueError(f"language {code!r} must be written {canonical!r}")
        return codes

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
    stated: ModelDescription


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
    stated = validated(ModelDescription, raw, f"model {path}", UsageError)
    return DescribedModel(path, hashlib.sha256(data).hexdigest(), stated)


def load(request: EncoderRequest) -> Encoder | TokenEncoder:
    """Return the model that the file `request.argument` describes.

    Raises:
        UsageError: The file is wrong, or `--dtype` contradicts it.
        EncoderError: The model cannot be fetched or loaded, or is not the described one.
    """
    model = read_description(Path(request.argument))
    stated = model.stated
    if stated.dtype is not None:
        if request.dtype not in ("auto", stated.dtype):
            raise UsageError(
                f"model {model.path} states dtype {stated.dtype!r}, --dtype says "
                f"{request.dtype!r}; leave one of them out"
            )
        request = replace(request, dtype=stated.dtype)
    found = find_weights(model, trust=request.trust_remote_code)
    late = kinds.is_late_interaction(found)
    if stated.similarity is not None and late != (stated.similarity == "maxsim"):
        # sentence-transformers would convert it, drawing the weights that are missing at random.
        kind = "one vector per token (maxsim)" if late else "one vector per text (cosine or dot)"
        raise EncoderError(
            f"model {model.path} states similarity {stated.similarity!r}, but the files of "
            f"{found.name} are of a model with {kind}; correct `similarity`, or leave it out"
        )
    shared = {field.name for field in fields(loading.Stated)} - {"description"}
    settings = loading.Stated(
        **stated.model_dump(include=shared),
        must_fit=stated.max_tokens is not None,
        late=late,
        description=_origin(model, found),
    )
    encoder = loading.build(
        request, replace(found, name=stated.name), catalog.known(found, settings)
    )
    encoder.info = replace(encoder.info, training_languages=stated.training_languages)
    return encoder


def find_weights(model: DescribedModel, *, trust: bool = False) -> Weights:
    """Return the weights that a model's file names.

    Raises:
        EncoderError: They cannot be fetched, or are not those of the stated `sha256`.
    """
    stated = model.stated
    if stated.folder is not None:
        found = weights.from_folder(
            model.path.parent / Path(stated.folder).expanduser(), trust=trust
        )
    else:
        assert stated.hub_id is not None, "checked when the file was read"  # noqa: S101
        found = weights.from_hub(stated.hub_id, stated.revision, trust=trust)
    if stated.sha256 not in (None, found.sha256):
        raise EncoderError(
            f"model {model.path}: expected weights of sha256 {stated.sha256}, found "
            f"{found.sha256} in {found.folder}; correct `sha256`, or fetch the weights it names"
        )
    return found


def _origin(model: DescribedModel, found: Weights) -> str:
    """Return the model's description in a result: its weights and the file."""
    words = f"{model.stated.description}; " if model.stated.description else ""
    return f"{words}{found.name}, as {model.path.name} (sha256 {model.sha256[:12]}) describes it"
