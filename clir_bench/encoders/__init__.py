"""Encoders turn texts into vectors; other packages can add their own.

A package registers a function in the entry-point group `clir_bench.encoders`:

    def load(request: EncoderRequest) -> Encoder | TokenEncoder | SparseEncoder

`load_encoder` takes a text such as "st:my-model", finds the function by the name before the colon,
and imports it only then. It checks the encoder and every vector that the encoder makes. A path that
ends in .toml is a file that describes a model (see `model_file`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast, get_args

from clir_bench.core import plugins
from clir_bench.core.display import shown
from clir_bench.core.guards import guarded
from clir_bench.encoders import hub
from clir_bench.encoders.contract import (
    AnyChecked,
    CheckedEncoder,
    CheckedSparseEncoder,
    CheckedTokenEncoder,
)
from clir_bench.encoders.statements import dim_problems, info_problems
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError, PluginError, UnknownNameError, UsageError, near_names
from clir_bench.types import EncoderInfo, EncoderRequest

__all__ = ["at_revision", "check_name", "fetch", "load_encoder", "provider", "under_contract"]

DESCRIBED = ".toml"
"""The suffix of a model file's path; no entry point's name can end so."""

_Dtype = Literal["auto", "float32", "bfloat16", "mixed-bfloat16"]
_SINGLE = ("encode_queries", "encode_documents")
_METHODS = {
    "maxsim": ("encode_query_tokens", "encode_document_tokens"),
    "sparse": ("encode_query_terms", "encode_document_terms"),
    "bm25": ("structure_queries", "encode_document_terms", "method"),
}
"""Of an encoder with each similarity; of any other: `_SINGLE`."""


def load_encoder(
    spec: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
    batch_tokens: int | None = None,
) -> AnyChecked:
    """Return the encoder that `spec` names; it checks its own vectors.

    Args:
        spec: "name" or "name:argument", as in "hashing" and
            "st:intfloat/multilingual-e5-small", or the path of a .toml file.
        device: A torch device, or "auto": CUDA, then Apple's MPS, then the CPU.
        dtype: "auto", "float32", "bfloat16" or "mixed-bfloat16".
        batch_size: Texts per forward pass; the encoder's own choice when None.
        trust_remote_code: Whether code shipped with the weights may run.
        seed: For encoders that draw random numbers.
        batch_tokens: Tokens per forward pass instead of `batch_size`, padding included.

    Raises:
        UnknownNameError: No encoder is registered under that name.
        UsageError: An argument is missing, needless or impossible.
        PluginError: The package that provides it is broken.
        EncoderError: The model cannot be fetched or loaded.
    """
    name, argument = _split(spec)
    if name != DESCRIBED and name not in plugins.names(plugins.ENCODERS):
        raise _unknown(spec, name)
    if dtype not in get_args(_Dtype):
        raise UsageError(f"dtype {dtype!r}: expected one of {', '.join(get_args(_Dtype))}")
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch size {batch_size}: expected at least 1")
    if batch_tokens is not None and batch_tokens < 1:
        raise UsageError(f"batch tokens {batch_tokens}: expected at least 1")
    request = EncoderRequest(
        name=name,
        argument=argument,
        device=device,
        dtype=cast(_Dtype, dtype),
        batch_size=batch_size,
        trust_remote_code=trust_remote_code,
        seed=seed,
        batch_tokens=batch_tokens,
    )
    load = _entry_point(name)
    with guarded(lambda: f"model {spec!r} of {provider(spec)} could not be loaded", EncoderError):
        loaded = load(request)
    return under_contract(loaded, spec, provider(spec))


def check_name(spec: str) -> None:
    """Refuse a misspelt model at once, not after other models have run for hours.

    Raises:
        UnknownNameError: No encoder is registered under that name.
        UsageError: The model's own file is missing or wrong.
    """
    name, _ = _split(spec)
    if name == DESCRIBED:
        from clir_bench.encoders.model_file import read_description

        read_description(Path(spec))
    elif name not in plugins.names(plugins.ENCODERS):
        raise _unknown(spec, name)


def at_revision(spec: str, revision: str | None) -> str:
    """Return `spec` with a branch, tag or commit of the Hub; unchanged if there is none.

    >>> at_revision("st:acme/model", "v2")
    'st:acme/model@v2'

    Raises:
        UsageError: It names no model of the Hub, or states a revision itself.
    """
    if revision is None:
        return spec
    name, argument = _split(spec)
    if name == "st" and hub.is_hub_id(argument) and not Path(argument).expanduser().is_dir():
        return f"{spec}@{revision}"
    from clir_bench.encoders.catalog import table

    hub_id = table()[name].hub_id if name in table() else "owner/name"
    raise UsageError(
        f"--revision {revision} goes with a model of the Hub, st:owner/name without a revision of "
        f"its own, found {spec!r}; name it as st:{hub_id}@{revision}"
    )


def fetch(spec: str) -> Weights | None:
    """Fetch what a later run of the model `spec` needs, code of other repositories included.

    Returns:
        The model's folder, or None if clir-bench knows no weights of the encoder. The encoder was
        then loaded once, so that its package fetched its files, unless it is on a server.

    Raises:
        ClirBenchError: As `load_encoder`.
    """
    from clir_bench.encoders import catalog, model_file

    name, argument = _split(spec)
    if name == DESCRIBED:
        stated = model_file.read_description(Path(argument)).stated
        if isinstance(stated, model_file.ModelDescription):
            return model_file.find_weights(stated, Path(argument), trust=True)
        return None
    if name == "st" or (name in catalog.table() and not argument):
        return catalog.find(argument if name == "st" else name, trust=True)
    load_encoder(spec, device="cpu")
    return None


def provider(spec: str) -> str:
    """Return "package version" of the package that provides the encoder `spec` names."""
    name, _ = _split(spec)
    return plugins.provider(plugins.ENCODERS, "st" if name == DESCRIBED else name)


def _split(spec: str) -> tuple[str, str]:
    """Return the registered name and the argument of `spec`; a file's path has no such name."""
    name, _, argument = spec.partition(":")
    if spec.endswith(DESCRIBED) and name not in plugins.names(plugins.ENCODERS):
        return DESCRIBED, spec
    return name, argument


def _entry_point(name: str) -> Callable[..., Any]:
    if name == DESCRIBED:
        from clir_bench.encoders import model_file

        return model_file.load
    return plugins.load(plugins.ENCODERS, name)


def _unknown(spec: str, name: str) -> UnknownNameError:
    known = plugins.names(plugins.ENCODERS)
    remedy = "`clir-bench encoders` lists them."
    if "/" in spec:
        from clir_bench.encoders.catalog import short_name

        short = short_name(spec)
        near = [short] if short else near_names(spec.rpartition("/")[2], known)
        alternatives = " or ".join([f"st:{spec}", *near])
        remedy = f"Hub ids and folders are written st:ID; did you mean {alternatives}? {remedy}"
        known = []
    return UnknownNameError("model", name if spec.startswith(f"{name}:") else spec, known, remedy)


def under_contract(loaded: Any, spec: str, package: str) -> AnyChecked:
    """Return an encoder that checks every vector of the one that an entry point returned.

    Raises:
        PluginError: Says which package broke the contract, and how.
    """
    where = f"model {spec!r} of {package}"
    with guarded(lambda: f"{where} cannot be looked at", PluginError):
        info, dim = getattr(loaded, "info", None), getattr(loaded, "dim", None)
        if not isinstance(info, EncoderInfo):
            raise PluginError(
                f"{where}: expected an attribute info of type EncoderInfo, found {shown(info)}"
            )
        if problems := [*info_problems(info), *dim_problems(dim, info.similarity)]:
            raise PluginError(f"{where}: " + "; ".join(problems))
        needed = _METHODS.get(info.similarity, _SINGLE)
        missing = [method for method in needed if not callable(getattr(loaded, method, None))]
    if missing:
        raise PluginError(
            f"{where} lacks the method {' and '.join(missing)}; an encoder whose similarity is "
            f"{info.similarity!r} has {' and '.join(needed)} (see clir_bench.types)"
        )
    if needed is _SINGLE:
        return CheckedEncoder(loaded)
    if info.similarity == "maxsim":
        return CheckedTokenEncoder(loaded)
    return CheckedSparseEncoder(loaded)
