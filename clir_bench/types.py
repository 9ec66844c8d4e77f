"""The types that all parts of the package share: queries, documents, judgments, runs, encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POOL = "mul"
"""The document side of a pair whose corpus mixes several languages: `en-mul`."""

Tier: TypeAlias = Literal["low", "mid", "high", "unknown"]
Vectors: TypeAlias = "NDArray[np.float32]"
"""One row per text, float32, shape `(n_texts, dim)`."""
Integers: TypeAlias = "NDArray[np.int64]"
Family: TypeAlias = Literal["single", "tokens", "sparse"]
"""What a text becomes: one vector, one vector per token, or weights of terms."""
SPARSE_ENTRY = [("id", "<i8"), ("weight", "<f4")]
"""An id and its weight, as numpy's dtype."""


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
        translations: By query id, the queries in the documents' language, where such translations
            come with the data; the adapter is then marked `tasks.adapters.gives_translations`.
    """

    corpus_id: str
    documents: Iterable[Document]
    queries: Sequence[Query]
    qrels: Sequence[Qrel]
    skip_same_id: bool = False
    translations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Sparse vectors, one per text: ids of terms and their weights, row after row (CSR).

    >>> rows = SparseRows.of([{7: 1.0, 3: 2.0}, {}])
    >>> len(rows), rows.ids.tolist(), rows.weights.tolist(), rows.starts.tolist()
    (2, [3, 7], [2.0, 1.0], [0, 2, 2])

    Attributes:
        starts: int64 `(n_rows + 1,)`; row i is `ids[starts[i]:starts[i + 1]]`.
        ids: Ids of terms, int64, at least 0, ascending within a row, each at most once per row.
        weights: float32, as long as `ids`.
    """

    starts: Integers
    ids: Integers
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Iterable[Mapping[int, float]]) -> SparseRows:
        """Return the rows that map ids of terms to weights."""
        import numpy as np

        ordered = [sorted(row.items()) for row in rows]
        starts = np.cumsum([0, *map(len, ordered)], dtype=np.int64)
        ids = np.array([key for row in ordered for key, _ in row], dtype=np.int64)
        weights = np.array([value for row in ordered for _, value in row], dtype=np.float32)
        return cls(starts, ids, weights)

    @classmethod
    def concatenated(cls, parts: Sequence[SparseRows]) -> SparseRows:
        """Return the rows of several parts, in order."""
        import numpy as np

        if len(parts) == 1:
            return parts[0]
        sizes = [np.diff(part.starts) for part in parts]
        starts = np.concatenate([[0], *sizes]).cumsum(dtype=np.int64)
        ids = np.concatenate([np.empty(0, np.int64), *(part.ids for part in parts)])
        weights = np.concatenate([np.empty(0, np.float32), *(part.weights for part in parts)])
        return cls(starts, ids, weights)

    @classmethod
    def of_entries(cls, entries: NDArray[np.void], lengths: Sequence[int]) -> SparseRows:
        """Return the rows of these lengths, whose pairs `entries` returned."""
        import numpy as np

        starts = np.concatenate([[0], lengths]).cumsum(dtype=np.int64)
        return cls(starts, entries["id"].astype(np.int64), entries["weight"].astype(np.float32))

    def entries(self) -> NDArray[np.void]:
        """Return all pairs of id and weight, 12 bytes each, to be stored or sent."""
        import numpy as np

        entries = np.empty(len(self.ids), dtype=np.dtype(SPARSE_ENTRY))
        entries["id"], entries["weight"] = self.ids, self.weights
        return entries

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, some: slice | NDArray[Any] | Sequence[int]) -> SparseRows:
        """Return some rows: a slice with step 1, or positions in any order."""
        import numpy as np

        if isinstance(some, slice):
            first, last, _ = some.indices(len(self))
            starts = self.starts[first : max(first, last) + 1]
            inside = slice(starts[0], starts[-1])
            return SparseRows(starts - starts[0], self.ids[inside], self.weights[inside])
        sizes = np.diff(self.starts)[some]
        starts = np.concatenate([[0], sizes]).cumsum(dtype=np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][some] - starts[:-1], sizes)
        return SparseRows(starts, self.ids[places], self.weights[places])

    @property
    def nbytes(self) -> int:
        """Bytes of the ids, weights and starts."""
        return self.starts.nbytes + self.ids.nbytes + self.weights.nbytes


@dataclass(frozen=True)
class EncoderInfo:
    """What a result records about the encoder that made it.

    Attributes:
        name: The system's name in results and on leaderboards.
        revision: Commit of the weights, version of the plugin, or the first 12 hex digits of
            `weights_sha256` for a local model: never empty, never a placeholder.
        weights_sha256: sha256 over the weight files' content, or None for a model without weights.
        query_prompt: Text put before every query; in it, "{instruction}" becomes the task's.
        document_prompt: Text put before every document.
        max_tokens: Longer texts are cut here; None when there is no limit.
        dtype: Arithmetic of the forward pass, as torch names it: "float32", "bfloat16"; or
            "mixed-bfloat16" (see `encoders.st.precision`).
        dtype_reason: Why the encoder chose that arithmetic under `dtype="auto"`, with its
            measurements; empty otherwise. Its numbers differ from run to run, so it does not
            help to identify a system.
        n_parameters: Number of weights, None when there are none.
        similarity: "cosine" (rows are unit length), "dot" or "maxsim"; "sparse" is the inner
            product of sparse vectors, "bm25" of term counts (see `search.lexical`); "fused" is of
            systems that are made of others, "pairs" of models that read query and document
            together, and "none" of bounds.
        license: SPDX id where known.
        training_languages: Codes of the languages seen in training, empty when not known.
        description: One line for people.
        details: What else decides the rankings, by name: the analysis of each language, say.
        instruction: The task's sentence within `query_prompt`, for encoders that follow
            instructions (see `encoders.instructions`).
    """

    name: str
    revision: str
    weights_sha256: str | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    max_tokens: int | None = None
    dtype: str = "float32"
    n_parameters: int | None = None
    similarity: Literal["cosine", "dot", "maxsim", "sparse", "bm25", "fused", "pairs", "none"] = (
        "cosine"
    )
    license: str | None = None
    training_languages: tuple[str, ...] = ()
    description: str = ""
    dtype_reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    instruction: str = ""


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


@runtime_checkable
class SparseEncoder(Protocol):
    """Texts to weights of terms; relevance is the inner product."""

    info: EncoderInfo
    dim: int

    def encode_query_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text, in the order of `texts`."""
        ...

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text, in the order of `texts`."""
        ...


@dataclass(frozen=True, eq=False)
class StructuredQueries:
    """Queries whose terms stand for any of several document terms.

    A concept is a query term. Its expected frequency in a document is the sum, over document terms,
    of their probability times their count; its expected document frequency likewise (Darwish and
    Oard 2003, Probabilistic Structured Query Methods). Where queries and documents share a
    language, a concept is one term of probability 1.

    Attributes:
        queries: Per query, the concepts in it and how often each occurs.
        concepts: Per concept, ids of document terms and their probabilities, above 0 to 1.
    """

    queries: SparseRows
    concepts: SparseRows


@runtime_checkable
class LexicalEncoder(Protocol):
    """Texts to counts of terms, which BM25 weighs with the statistics of the whole corpus.

    Attributes:
        k1: How soon more occurrences of a term stop to count, at least 0.
        b: How much longer documents count less, 0 to 1.
    """

    info: EncoderInfo
    dim: int
    k1: float
    b: float

    def structure_queries(
        self, texts: Sequence[str], *, language: str, document_languages: Sequence[str]
    ) -> StructuredQueries:
        """Return the queries, in the order of `texts`."""
        ...

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row of counts per text, in the order of `texts`."""
        ...

    def method(self, language: str, document_languages: Sequence[str]) -> str:
        """Say in one line how queries and documents of a pair are matched."""
        ...


AnyVectors: TypeAlias = "Vectors | list[Vectors] | SparseRows"
"""Of many texts, by family: rows, one array per text, or sparse rows."""
AnyEncoder: TypeAlias = Encoder | TokenEncoder | SparseEncoder | LexicalEncoder


@dataclass(frozen=True)
class EncoderRequest:
    """The argument of an encoder's entry point: `load(request)`, which returns an encoder.

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
