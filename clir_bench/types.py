"""The types that all parts of the package share: queries, documents, judgments, runs, encoders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POOL = "mul"
"""The document side of a pair whose corpus mixes several languages: `en-mul`."""

Tier: TypeAlias = Literal["low", "mid", "high", "unknown"]
Vectors: TypeAlias = "NDArray[np.float32]"
"""One row per text, float32, shape `(n_texts, dim)`."""


class LanguagePair(NamedTuple):
    """Query language, then document language, by clir-bench's own codes.

    >>> str(LanguagePair("en", "sw"))
    'en-sw'
    """

    query: str
    document: str

    @classmethod
    def parse(cls, name: str) -> LanguagePair:
        """Return the pair that `str` writes as `name`.

        >>> LanguagePair.parse("en-sw")
        LanguagePair(query='en', document='sw')
        """
        query, _, document = name.partition("-")
        return cls(query, document)

    def __str__(self) -> str:
        return f"{self.query}-{self.document}"


class Query(NamedTuple):
    """What is searched with."""

    query_id: str
    text: str


class Document(NamedTuple):
    """What is searched for; `language` is set where one corpus mixes languages."""

    doc_id: str
    text: str
    title: str = ""
    language: str = ""


LARGEST_GRADE = 100_000
"""Bound of a relevance: trec_eval's memory and time grow with it, and it counts 0 above 2^31."""


class Qrel(NamedTuple):
    """One relevance judgment, with the same fields as ir_measures' `Qrel`.

    `relevance` is a whole number of at most `LARGEST_GRADE`, relevant above 0.
    """

    query_id: str
    doc_id: str
    relevance: int
    iteration: str = "0"


@dataclass(frozen=True)
class Collection:
    """What an adapter returns for one language pair.

    Attributes:
        corpus_id: Pairs with the same `corpus_id` share one encoding and one index, so equal ids
            must mean equal documents. It need only be unique within a task and split.
        documents: Re-iterable and streamed from disk; every `doc_id` occurs once.
        queries: Every query, judged or not.
        qrels: The official judgments, non-relevant ones included.
        skip_same_id: Remove the document whose `doc_id` equals the `query_id` from that query's
            ranking (a query that is itself in the corpus must not find itself).
    """

    corpus_id: str
    documents: Iterable[Document]
    queries: Sequence[Query]
    qrels: Sequence[Qrel]
    skip_same_id: bool = False


@dataclass(frozen=True)
class EncoderInfo:
    """What a result records about the encoder that made it.

    Attributes:
        name: The system's name in results and on leaderboards.
        revision: Commit of the weights, version of the plugin, or the first 12 hex digits of
            `weights_sha256` for a local model: never empty, never a placeholder.
        weights_sha256: sha256 over the weight files' content, or None for a model without weights.
        query_prompt: Text put before every query.
        document_prompt: Text put before every document.
        max_tokens: Longer texts are cut here; None when there is no limit.
        dtype: Arithmetic of the forward pass, as torch names it: "float32", "bfloat16"; or
            "mixed-bfloat16" (see `encoders.st.precision`).
        dtype_reason: Why the encoder chose that arithmetic under `dtype="auto"`, with its
            measurements; empty otherwise. Its numbers differ from run to run, so it does not
            help to identify a system.
        n_parameters: Number of weights, None when there are none.
        similarity: "cosine" (rows are unit length), "dot" or "maxsim".
        license: SPDX id where known.
        training_languages: Codes of the languages seen in training, empty when not known.
        description: One line for people.
    """

    name: str
    revision: str
    weights_sha256: str | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    max_tokens: int | None = None
    dtype: str = "float32"
    n_parameters: int | None = None
    similarity: Literal["cosine", "dot", "maxsim"] = "cosine"
    license: str | None = None
    training_languages: tuple[str, ...] = ()
    description: str = ""
    dtype_reason: str = ""


@runtime_checkable
class Encoder(Protocol):
    """Turns each text into one vector; the score is the inner product."""

    info: EncoderInfo
    dim: int

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`, rows in the order of `texts`."""
        ...

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`, rows in the order of `texts`."""
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """Turns each text into one vector per token (late interaction); the score is MaxSim.

    MaxSim is the sum over query tokens of the largest inner product with a document token
    (Khattab and Zaharia 2020, arXiv 2004.12832).
    """

    info: EncoderInfo
    dim: int

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, in the order of `texts`."""
        ...

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, in the order of `texts`."""
        ...


@dataclass(frozen=True)
class EncoderRequest:
    """The argument of an encoder's entry point: `load(request) -> Encoder | TokenEncoder`.

    Attributes:
        name: The registered name, "st" of `st:intfloat/multilingual-e5-small`.
        argument: What follows the colon, empty when there is none.
        device: A torch device ("cpu", "cuda:0"), or "auto".
        dtype: "auto", "float32", "bfloat16" or "mixed-bfloat16" (see `encoders.st.precision`).
        batch_size: Texts per forward pass, or None for the encoder's own choice.
        trust_remote_code: Whether code shipped with the weights may run; off unless asked for.
        seed: For encoders that draw random numbers.
        batch_tokens: Tokens per forward pass instead of `batch_size`, padding included, or None.
    """

    name: str
    argument: str = ""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "mixed-bfloat16"] = "auto"
    batch_size: int | None = None
    trust_remote_code: bool = False
    seed: int = 0
    batch_tokens: int | None = None


@dataclass(frozen=True)
class Run:
    """Ranked documents of one query set, kept as arrays until ir-measures needs them.

    Rankings are in trec_eval's order: score descending, ties by `doc_id` descending.

    Attributes:
        query_ids: `(n_queries,)`.
        doc_ids: One tuple of ids per query, best first; may be empty and differ in length.
        scores: One float32 array per query, as long as its `doc_ids`, never increasing.
    """

    query_ids: Sequence[str]
    doc_ids: Sequence[Sequence[str]]
    scores: Sequence[Vectors]
