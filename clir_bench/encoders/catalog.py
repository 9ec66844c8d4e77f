"""Loads well-known models by short names; `models.toml` describes them."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from clir_bench.core.files import sha256_of
from clir_bench.encoders import hub, weights
from clir_bench.encoders.st import loading
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import AnyEncoder, EncoderRequest

_MAIN_WEIGHTS = "model.safetensors"


class Package(BaseModel):
    """An installable package that carries the same weights.

    Attributes:
        name: The package to install.
        module: Its name for import.
        folder: Where in the module the model lies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    module: str
    folder: str


class ModelFacts(BaseModel):
    """One table of `models.toml`; the fields are described there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hub_id: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    n_parameters: int
    similarity: loading.Similarity
    license: str
    source: str
    dim: int | None = None
    max_tokens: int | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    package: Package | None = None
    note: str = ""


@cache
def table() -> Mapping[str, ModelFacts]:
    """Return short name to facts, in the order of `models.toml`."""
    raw = tomllib.loads(Path(__file__).with_name("models.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: ModelFacts.model_validate(facts) for name, facts in raw.items()})


def short_name(hub_id: str) -> str | None:
    """Return the short name of a Hub id, None when it has none.

    >>> short_name("intfloat/multilingual-e5-base")
    'multilingual-e5-base'
    """
    folded = hub_id.casefold()
    return next(
        (name for name, facts in table().items() if facts.hub_id.casefold() == folded), None
    )


def find(name: str, *, trust: bool = False) -> Weights:
    """Return the weights of a short name, a Hub id (owner/name[@revision]), or a folder.

    Raises:
        UsageError: It is none of these.
        EncoderError: The weights cannot be fetched.
    """
    if name in table():
        return _pinned(name, table()[name], trust)
    return weights.resolve(name, trust=trust)


def load(request: EncoderRequest) -> AnyEncoder:
    """Return the model whose short name is `request.name`, at its pinned revision.

    An argument is a folder with a copy of that model. A copy with the sha256 that the table states
    is that model; where the table states none, it is called "<short name>@<hash>" instead.

    Raises:
        EncoderError: The model cannot be fetched or loaded, or a copy is not that model.
    """
    facts = table()[request.name]
    stated = replace(
        _settings(facts),
        dim=facts.dim,
        description=f"{facts.hub_id} ({facts.note})" if facts.note else facts.hub_id,
    )
    trust = request.trust_remote_code
    if request.argument:
        found = _copy(request.name, facts, Path(request.argument).expanduser(), trust)
    else:
        found = _pinned(request.name, facts, trust)
    return loading.build(request, found, stated)


def load_checkpoint(request: EncoderRequest) -> AnyEncoder:
    """Return the sentence-transformers model `request.argument`, a Hub id or a folder.

    Raises:
        UsageError: The argument is missing or impossible.
        EncoderError: The model cannot be fetched, read or run here.
    """
    if not request.argument:
        raise UsageError(
            f"model {request.name!r} needs a Hub id or a folder after a colon, as in "
            f"--model {request.name}:intfloat/multilingual-e5-small"
        )
    found = weights.resolve(request.argument, trust=request.trust_remote_code)
    return loading.build(request, found, known(found, loading.Stated()))


def known(found: Weights, stated: loading.Stated) -> loading.Stated:
    """Return the stated facts, completed by the table's facts about the model.

    The table's prompts, limit, similarity and license hold for the model at any commit. Its Hub id
    identifies a model, also for a folder in a Hub cache, but not for a copy elsewhere.
    """
    hub_id = found.name if hub.is_hub_id(found.name) else hub.id_of(found.folder)
    name = short_name(hub_id) if hub_id is not None else None
    if name is None:
        return stated
    facts = asdict(_settings(table()[name]))
    missing = {field for field, value in asdict(stated).items() if value is None}
    return replace(stated, **{field: facts[field] for field in missing})


def _settings(facts: ModelFacts) -> loading.Stated:
    names = ("query_prompt", "document_prompt", "max_tokens", "similarity", "license")
    return loading.Stated(**facts.model_dump(include=set(names)))


def _copy(name: str, facts: ModelFacts, folder: Path, trust: bool) -> Weights:
    """Return a local copy; it has the model's own name only if its bytes are known."""
    found = weights.from_folder(folder, trust=trust)
    if facts.sha256 is None:
        return replace(found, name=f"{name}@{found.sha256[:8]}")
    _verify(name, facts, folder)
    return replace(found, name=name, revision=facts.revision)


def _pinned(name: str, facts: ModelFacts, trust: bool = False) -> Weights:
    """Return the Hub's copy, or an installed package's if the Hub's is not cached yet."""
    if hub.cached(facts.hub_id, facts.revision) is None and facts.package is not None:
        folder = _installed(facts.package)
        if folder is not None:
            return _copy(name, facts, folder, trust)
    try:
        found = weights.from_hub(facts.hub_id, facts.revision, trust=trust)
    except EncoderError as error:
        if facts.package is None:
            raise
        raise EncoderError(
            f"{error}. The same weights come with the package {facts.package.name}: install it "
            "beside clir-bench and run again"
        ) from error
    return replace(found, name=name)


def _installed(package: Package) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    locations = list(spec.submodule_search_locations or []) if spec is not None else []
    return Path(locations[0], package.folder) if locations else None


def _verify(name: str, facts: ModelFacts, folder: Path) -> None:
    path = folder / _MAIN_WEIGHTS
    if not path.is_file():
        raise EncoderError(f"model {name!r}: {folder} holds no {_MAIN_WEIGHTS}")
    found = sha256_of(path)
    if found != facts.sha256:
        raise EncoderError(
            f"model {name!r}: {path} is not the model of that name: expected sha256 "
            f"{facts.sha256}, found {found}. To run it under its own name: --model st:{folder}"
        )
