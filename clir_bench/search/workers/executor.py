"""Defines executors, which turn batches of texts into vectors, and the one for this process."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from clir_bench.core import profiling, provenance
from clir_bench.core.provenance import VERSION
from clir_bench.encoders import load_encoder
from clir_bench.encoders.contract import AnyChecked, family_of
from clir_bench.encoders.instructions import instructed
from clir_bench.tasks.outline import bounded
from clir_bench.types import AnyEncoder, AnyVectors, Family, SparseRows, Vectors

_METHODS = {
    ("single", "queries"): "encode_queries",
    ("single", "documents"): "encode_documents",
    ("tokens", "queries"): "encode_query_tokens",
    ("tokens", "documents"): "encode_document_tokens",
    ("sparse", "queries"): "encode_query_terms",
    ("sparse", "documents"): "encode_document_terms",
}
_RUNTIME = ("numpy", "sentence-transformers", "torch", "transformers")


@dataclass(frozen=True)
class Loading:
    """The options to load an encoder with, here and in workers; see `encoders.load_encoder`.

    Attributes:
        instruction: The task's, for encoders that follow instructions.
    """

    spec: str
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    batch_tokens: int | None = None
    trust_remote_code: bool = False
    seed: int = 0
    instruction: str = ""

    def load(self) -> AnyChecked:
        """Return the encoder.

        Raises:
            ClirBenchError: What `load_encoder` found wrong.
        """
        options = dict(vars(self))
        instruction = options.pop("instruction")
        encoder = load_encoder(**options)
        return instructed(encoder, instruction) if instruction else encoder


@dataclass(frozen=True)
class TextBatch:
    """Texts to encode together."""

    kind: Literal["queries", "documents"]
    texts: Sequence[str]
    language: str


@dataclass(frozen=True)
class EncodedTexts:
    """The vectors of a batch.

    Attributes:
        vectors: `(n_texts, dim)`, or one `(n_tokens, dim)` per text for late interaction, or
            sparse rows.
        seconds: Time in the encoder.
        counts: A profile's counts, such as "tokens", if the encoder reports them.
    """

    vectors: AnyVectors
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)


class Pending(Protocol):
    """A batch that was handed out."""

    def result(self) -> EncodedTexts:
        """Wait for the vectors and return them; may be called again.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
            WorkerError: No worker is left to encode it.
        """
        ...

    def discard(self) -> None:
        """Say that the vectors will not be needed."""
        ...


class Executor(Protocol):
    """Turns batches into vectors.

    Attributes:
        family: What a text becomes.
        ahead: Batches that may be handed out before the first one is requested.
    """

    family: Family

    @property
    def ahead(self) -> int: ...

    def has_room(self) -> bool:
        """Return whether a further batch would find, or soon find, a worker with nothing to do."""
        ...

    def submit(self, batch: TextBatch) -> Pending:
        """Hand out a batch."""
        ...


class Here:
    """The executor that encodes in this process, each batch on request."""

    ahead = 0

    def __init__(self, encoder: AnyEncoder) -> None:
        self._encoder = encoder
        self.family = family_of(encoder)

    def has_room(self) -> bool:
        """Return False: handing out early gains nothing."""
        return False

    def submit(self, batch: TextBatch) -> Pending:
        """Return the batch, not yet encoded."""
        return _Put(self._encoder, batch)


class _Put:
    """A batch that is encoded when its vectors are requested."""

    def __init__(self, encoder: AnyEncoder, batch: TextBatch) -> None:
        self._encoder, self._batch = encoder, batch
        self._encoded: EncodedTexts | None = None

    def result(self) -> EncodedTexts:
        if self._encoded is None:
            self._encoded = encode(self._encoder, self._batch)
        return self._encoded

    def discard(self) -> None:
        self._encoded = None


def hand_out(
    executor: Executor,
    kind: Literal["queries", "documents"],
    texts: Sequence[str],
    language: str,
) -> Pending:
    """Hand out texts of one language, each different one once, in batches of bounded length.

    So equal texts get equal vectors, and batches depend on the texts alone.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    batches = [TextBatch(kind, some, language) for some in bounded(list(places)) or [[]]]
    return _Texts(
        [executor.submit(batch) for batch in batches],
        [places[text] for text in texts] if len(places) < len(texts) else None,
    )


class _Texts:
    """Texts that were handed out in batches.

    Args:
        parts: The batches, in order.
        places: Each text's place among the different ones, None if all are different.
    """

    def __init__(self, parts: list[Pending], places: list[int] | None) -> None:
        self._parts, self._places = parts, places
        self._encoded: EncodedTexts | None = None

    def result(self) -> EncodedTexts:
        if self._encoded is None:
            found = [part.result() for part in self._parts]
            counts: Counter[str] = Counter()
            for one in found:
                counts.update(one.counts)
            vectors = self._each([one.vectors for one in found])
            self._encoded = EncodedTexts(vectors, sum(one.seconds for one in found), dict(counts))
            self._parts.clear()
        return self._encoded

    def discard(self) -> None:
        for part in self._parts:
            part.discard()

    def _each(self, parts: list[Any]) -> AnyVectors:
        """Return the vectors of every text."""
        if isinstance(parts[0], SparseRows):
            sparse = SparseRows.concatenated(parts)
            return sparse if self._places is None else sparse[self._places]
        if isinstance(parts[0], list):
            ragged: list[Vectors] = [vectors for part in parts for vectors in part]
            return ragged if self._places is None else [ragged[place] for place in self._places]
        rows: Vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return rows if self._places is None else rows[self._places]


def encode(encoder: AnyEncoder, batch: TextBatch) -> EncodedTexts:
    """Encode a batch in this process.

    Raises:
        EncoderError: The encoder failed or returned something unusable.
    """
    method = getattr(encoder, _METHODS[family_of(encoder), batch.kind])
    before = profiling.counted()
    started = time.perf_counter()
    vectors = method(batch.texts, language=batch.language)
    seconds = time.perf_counter() - started
    return EncodedTexts(vectors, seconds, profiling.counted() - before)


def identity_of(encoder: AnyChecked) -> dict[str, str]:
    """Return, by name, the facts that must agree for two processes to make the same vectors."""
    info = asdict(encoder.info)
    for for_people in ("description", "dtype_reason", "license", "training_languages"):
        del info[for_people]
    known = {**info, "dim": encoder.dim, "clir-bench": VERSION}
    made_with = provenance.packages()
    known |= {name: made_with.get(name) for name in _RUNTIME}
    return {name: json.dumps(value, ensure_ascii=True) for name, value in known.items()}
