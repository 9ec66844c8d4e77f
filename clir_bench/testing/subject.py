"""Loads the encoder under test: once in this process, and once in another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from clir_bench.core.display import shortened
from clir_bench.core.guards import guarded
from clir_bench.encoders import load_encoder, provider, under_contract
from clir_bench.encoders.contract import AnyChecked
from clir_bench.testing.isolation import Apart, ProcessSettings, observe
from clir_bench.testing.report import BrokenPromiseError, NotApplicableError
from clir_bench.types import (
    AnyEncoder,
    EncoderInfo,
    Family,
    LexicalEncoder,
    SparseRows,
    StructuredQueries,
    Vectors,
)

Side = Literal["queries", "documents"]
SIDES: tuple[Side, Side] = ("queries", "documents")

_FOLDED_DIM = 2**14
_TOLERANCES = {"float32": 1e-3, "float64": 1e-3}
_COARSE = 5e-2
"""Of half precision, whose sums depend on how much padding they run over."""


@dataclass(frozen=True)
class LoadOptions:
    """How the encoder is loaded, as `load_encoder` takes it."""

    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    trust_remote_code: bool = False
    seed: int = 0


class EncoderSubject:
    """An encoder by name, or one that is loaded already.

    Args:
        encoder: What `--model` takes, or a loaded encoder: then loading and other processes cannot
            be checked.
        options: How a named one is loaded.
    """

    def __init__(self, encoder: str | AnyEncoder, options: LoadOptions = LoadOptions()) -> None:
        self._given, self._options = encoder, options

    def __str__(self) -> str:
        return self._given if isinstance(self._given, str) else f"encoder {self._given!r}"

    @property
    def title(self) -> str:
        """Return name, kind, size and origin; the encoder must load."""
        info = self.info
        package = f" of {provider(self._given)}" if isinstance(self._given, str) else ""
        limit = f", {info.max_tokens} tokens" if info.max_tokens else ""
        return (
            f"{info.name}{package}: {info.similarity}, {self.encoder.dim} dimensions, "
            f"{info.dtype}{limit}"
        )

    @cached_property
    def encoder(self) -> AnyChecked:
        """The encoder, its output checked as in every run."""
        if isinstance(self._given, AnyChecked):
            return self._given
        if not isinstance(self._given, str):
            return under_contract(
                self._given, type(self._given).__name__, type(self._given).__module__
            )
        return load_encoder(self._given, **vars(self._options))

    @property
    def info(self) -> EncoderInfo:
        """The encoder's own description."""
        return self.encoder.info

    @property
    def tolerance(self) -> float:
        """Largest distance of two vectors of one text, as a share of their length."""
        return _TOLERANCES.get(self.info.dtype, _COARSE)

    @cached_property
    def apart(self) -> Apart:
        """What the encoder did in another process, without a network.

        Raises:
            NotApplicableError: The encoder was given as an object.
        """
        if not isinstance(self._given, str):
            raise NotApplicableError("needs the encoder's name, to load it in another process")
        return observe(self._given, self._options.__dict__, ProcessSettings())

    def rows(self, side: Side, texts: Sequence[str], language: str = "en") -> list[Vectors]:
        """Return one `(n_vectors, dim)` array per text, with one row unless it is late interaction.

        Sparse rows are returned with their ids folded to a few thousand, so that they fit into
        memory whatever the ids are.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        found = self._call(self.encoder, side, list(texts), language)
        if isinstance(found, StructuredQueries):
            found = _folded(found.queries, len(found.concepts)) @ _folded(found.concepts)
        elif isinstance(found, SparseRows):
            found = _folded(found)
        return list(found) if self.family == "tokens" else [row[None, :] for row in found]

    def returned(self, side: Side, texts: list[str]) -> Any:
        """Return what the encoder itself returns for English texts, not checked.

        Raises:
            BrokenPromiseError: The encoder raised something.
        """
        with guarded(lambda: f"{side}: the encoder failed", BrokenPromiseError):
            return self._call(self.encoder.inner, side, texts, "en")

    @property
    def family(self) -> Family:
        """What a text becomes."""
        return self.encoder.family

    def arrays(self, found: Any) -> list[Any]:
        """Return the arrays in what an encoder returned."""
        if isinstance(found, StructuredQueries):
            return [*self.arrays(found.queries), *self.arrays(found.concepts)]
        if isinstance(found, SparseRows):
            return [found.starts, found.ids, found.weights]
        return list(found) if self.family == "tokens" else [found]

    def _call(self, encoder: Any, side: Side, texts: list[str], language: str) -> Any:
        if isinstance(self.encoder.inner, LexicalEncoder) and side == "queries":
            return encoder.structure_queries(
                texts, language=language, document_languages=[language]
            )
        one = {"queries": "query", "documents": "document"}[side]
        names = {"tokens": f"encode_{one}_tokens", "sparse": f"encode_{one}_terms"}
        return getattr(encoder, names.get(self.family, f"encode_{side}"))(texts, language=language)


def _folded(rows: SparseRows, dim: int = _FOLDED_DIM) -> Vectors:
    """Return sparse rows as an array `(n_rows, dim)`; ids that agree modulo `dim` are summed."""
    found = np.zeros((len(rows), dim), dtype=np.float32)
    owners = np.repeat(np.arange(len(rows)), np.diff(rows.starts))
    np.add.at(found, (owners, rows.ids % dim if dim else rows.ids), rows.weights)
    return found


def require_same(
    first: Sequence[Vectors],
    second: Sequence[Vectors],
    texts: Sequence[str],
    *,
    within: float,
    between: str,
) -> float:
    """Return the largest relative difference between two encodings of the same texts.

    It is |a - b| / max(|a|, |b|) in Frobenius norms.

    Raises:
        BrokenPromiseError: The difference is larger than `within`, or a text has another number of
            vectors; names the text and what differs (`between`).
    """
    largest = 0.0
    for one, other, text in zip(first, second, texts, strict=True):
        if one.shape != other.shape:
            raise BrokenPromiseError(
                f"{between}: text {shortened(text)} has {len(one)} vectors, then {len(other)}"
            )
        difference = relative_difference(one, other)
        if not difference <= within:
            raise BrokenPromiseError(
                f"{between}: the vectors of text {shortened(text)} differ by {difference:.2g} of "
                f"their length; at most {within:.2g} is allowed"
            )
        largest = max(largest, difference)
    return largest


def relative_difference(one: Vectors, other: Vectors) -> float:
    """Return |a - b| / max(|a|, |b|), 0 for two arrays of zeros."""
    length = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)))
    return float(np.linalg.norm(one - other)) / length if length else 0.0
