"""Encodes texts with loaded sentence-transformers models (see `loading`).

Transformers with one vector per text, and sparse models, get batches that are filled up to a number
of tokens. All other models, and runs that state a number of texts per batch, use
sentence-transformers' `encode`.
The last bits of a vector can depend on the other texts of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clir_bench.core import profiling
from clir_bench.encoders.instructions import filled
from clir_bench.encoders.st.batching import TextBatches, TokenBatches, release_memory
from clir_bench.encoders.st.rates import operations
from clir_bench.errors import UsageError
from clir_bench.types import EncoderInfo, EncoderRequest, Family, SparseRows, Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder

_TEXTS_PER_BATCH = {"cuda": 128}
_CPU_TEXTS_PER_BATCH = 32
_TOKENS_PER_BATCH = {"cuda": 65_536, "mps": 8192}
_CPU_TOKENS_PER_BATCH = 768
_SPARSE_TOKENS_PER_BATCH = 8192
"""On a GPU: every token has a number for each word of the vocabulary."""


def batches_for(
    request: EncoderRequest, device: str, family: Family, *, has_layers: bool = True
) -> tuple[TextBatches, TokenBatches | None]:
    """Return batches of the requested size, or else of a size that suits the device.

    Batches of tokens, if any, come first; batches of texts work for every model.

    Args:
        request: The user's request.
        device: Where the model runs.
        family: What a text becomes.
        has_layers: Whether it is a transformer; others gain nothing from full batches.

    Raises:
        UsageError: Both kinds were asked for, or tokens for a model of late interaction.
    """
    kind = device.partition(":")[0]
    texts = TextBatches(request.batch_size or _TEXTS_PER_BATCH.get(kind, _CPU_TEXTS_PER_BATCH))
    if request.batch_tokens is not None:
        if request.batch_size is not None:
            raise UsageError("--batch-size and --batch-tokens exclude each other")
        if family == "tokens":
            raise UsageError("--batch-tokens is not for late interaction; use --batch-size")
        return texts, TokenBatches(request.batch_tokens)
    if request.batch_size is not None or family == "tokens" or not has_layers:
        return texts, None
    size = _TOKENS_PER_BATCH.get(kind, _CPU_TOKENS_PER_BATCH)
    return texts, TokenBatches(min(size, _SPARSE_TOKENS_PER_BATCH) if family == "sparse" else size)


class LoadedModel:
    """The common part of all kinds of encoder: a model on a device.

    Attributes:
        device: Where the model runs.
    """

    def __init__(self, model: Any, info: EncoderInfo, dim: int) -> None:
        self._model = model
        self.info, self.dim = info, dim
        self.device = str(model.device)
        _count_tokens(model)

    def operations(self, counts: Mapping[str, int]) -> int:
        """Return the operations of the matrix products, from a profile's counts."""
        return operations(self._model[0], counts)

    def leave_device(self) -> None:
        """Release the device's memory, because workers will encode."""
        self._model.to("cpu")
        release_memory()

    def _in_token_batches(
        self,
        batches: TokenBatches,
        texts: Sequence[str],
        prompt: str,
        task: str,
        take: Callable[[NDArray[np.intp], Any], None],
        **options: int,
    ) -> bool:
        """Give `take` the rows and vectors of one batch after another.

        All texts are tokenized at once; a batch is some rows of that grid, less the columns in
        which none of them has a token. Texts without tokens are left out.

        Returns:
            Whether the input is such a grid; if not, nothing was done.
        """
        import torch
        from sentence_transformers.util import batch_to_device

        model = self._model
        grid = model.preprocess(list(texts), prompt=prompt, task=task)
        mask = _mask(grid, len(texts))
        if mask is None:
            return False
        lengths = mask.sum(dim=1).numpy()

        def forward(rows: NDArray[np.intp]) -> None:
            if lengths[rows].any():
                batch = _cut(grid, torch.from_numpy(rows), mask)
                batch = batch_to_device(batch, model.device)
                take(rows, model(batch, task=task, **options)["sentence_embedding"].float())

        with torch.inference_mode():
            batches.run(lengths, forward)
        return True


class DenseEncoder(LoadedModel):
    """A SentenceTransformer: one vector per text, cut after `dim` numbers."""

    def __init__(
        self,
        model: SentenceTransformer,
        info: EncoderInfo,
        dim: int,
        texts: TextBatches,
        tokens: TokenBatches | None,
    ) -> None:
        super().__init__(model, info, dim)
        self._texts, self._tokens = texts, tokens

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`; the query prompt is put before every text."""
        return self._encode(texts, filled(self.info.query_prompt), "query")

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`; the document prompt is put before every text."""
        return self._encode(texts, self.info.document_prompt, "document")

    def _encode(self, texts: Sequence[str], prompt: str, task: str) -> Vectors:
        import numpy as np

        rows = self._filled(texts, prompt, task)
        if rows is None:
            encode = self._model.encode_query if task == "query" else self._model.encode_document
            whole = np.asarray(_by_texts(encode, texts, prompt, self._texts), dtype=np.float32)
            rows = np.ascontiguousarray(whole[:, : self.dim])
        if self.info.similarity != "cosine":
            return rows
        # In float32 here rather than in the model: a bfloat16 division leaves lengths off by 0.4%.
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        np.divide(rows, lengths, out=rows, where=lengths > 0)
        return rows

    def _filled(self, texts: Sequence[str], prompt: str, task: str) -> Vectors | None:
        """Return unnormalised rows, None without token batches or if the input is no grid."""
        import numpy as np

        if self._tokens is None or self._model.truncate_dim is not None:
            return None
        found = np.zeros((len(texts), self.dim), dtype=np.float32)

        def take(rows: NDArray[np.intp], vectors: Any) -> None:
            found[rows] = vectors[:, : self.dim].cpu().numpy()

        done = self._in_token_batches(self._tokens, texts, prompt, task, take)
        return found if done else None


class LateInteractionEncoder(LoadedModel):
    """A MultiVectorEncoder: one vector per token."""

    def __init__(
        self, model: MultiVectorEncoder, info: EncoderInfo, dim: int, texts: TextBatches
    ) -> None:
        super().__init__(model, info, dim)
        self._texts = texts

    def encode_query_tokens(
        self,
        texts: Sequence[str],
        *,
        language: str,
    ) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, expansion tokens included."""
        return self._encode(self._model.encode_query, texts, filled(self.info.query_prompt))

    def encode_document_tokens(
        self,
        texts: Sequence[str],
        *,
        language: str,
    ) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, without the model's skipped tokens."""
        return self._encode(self._model.encode_document, texts, self.info.document_prompt)

    def _encode(
        self, encode: Callable[..., Any], texts: Sequence[str], prompt: str
    ) -> list[Vectors]:
        import numpy as np

        found = _by_texts(encode, texts, prompt, self._texts)
        return [np.asarray(tokens, dtype=np.float32) for tokens in found]


class SparseModelEncoder(LoadedModel):
    """A SparseEncoder: weights of the vocabulary's words, or of learned features."""

    def __init__(
        self,
        model: SparseEncoder,
        info: EncoderInfo,
        dim: int,
        texts: TextBatches,
        tokens: TokenBatches | None,
    ) -> None:
        super().__init__(model, info, dim)
        self._texts, self._tokens = texts, tokens

    def encode_query_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text; the query prompt is put before every text."""
        return self._encode(texts, filled(self.info.query_prompt), "query")

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text; the document prompt is put before every text."""
        return self._encode(texts, self.info.document_prompt, "document")

    def _encode(self, texts: Sequence[str], prompt: str, task: str) -> SparseRows:
        import numpy as np
        from sentence_transformers.util import select_max_active_dims

        most = self._model.max_active_dims
        options = {} if most is None else {"max_active_dims": most}
        parts, places = [SparseRows.of([{}])], np.zeros(len(texts), dtype=np.int64)

        def take(rows: NDArray[np.intp], vectors: Any) -> None:
            places[rows] = sum(map(len, parts)) + np.arange(len(rows))
            parts.append(_sparse_rows(select_max_active_dims(vectors, most)))

        if self._tokens is None or not self._in_token_batches(
            self._tokens, texts, prompt, task, take, **options
        ):
            encode = self._model.encode_query if task == "query" else self._model.encode_document
            found = _sparse_rows(_by_texts(encode, texts, prompt, self._texts, save_to_cpu=True))
        else:
            found = SparseRows.concatenated(parts)[places]
        if self._model.similarity_fn_name != "cosine":
            return found
        sizes = np.diff(found.starts)
        owners = np.repeat(np.arange(len(texts)), sizes)
        squares = np.square(found.weights, dtype=np.float64)
        lengths = np.sqrt(np.bincount(owners, squares, len(texts)))
        weights = (found.weights / lengths[owners]).astype(np.float32)
        return SparseRows(found.starts, found.ids, weights)


def _sparse_rows(vectors: Any) -> SparseRows:
    """Return a tensor, `(n_texts, dim)`, as sparse rows without its zeros."""
    import numpy as np

    if not vectors.is_sparse:
        vectors = vectors.to_sparse()
    vectors = vectors.cpu().coalesce()
    rows, ids = vectors.indices().numpy()
    starts = np.searchsorted(rows, np.arange(len(vectors) + 1)).astype(np.int64)
    return SparseRows(starts, ids.copy(), vectors.values().float().numpy())


def _by_texts(
    encode: Callable[..., Any],
    texts: Sequence[str],
    prompt: str,
    batches: TextBatches,
    **options: bool,
) -> Any:
    """Return what sentence-transformers' `encode` returns, in batches that fit."""
    options = options or {"convert_to_numpy": True}
    return batches.run(
        lambda size: encode(
            list(texts),
            prompt=prompt,
            batch_size=size,
            show_progress_bar=False,
            **options,
        )
    )


def _count_tokens(model: Any) -> None:
    """Make a model report its tokenizer's time and tokens to the profile, if there is one."""
    preprocess = model.preprocess

    def watched(inputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        with profiling.stage("tokenize"):
            features = preprocess(inputs, *args, **kwargs)
        if (mask := _mask(features, len(inputs))) is not None:
            lengths = mask.sum(dim=1)
            profiling.count("texts", len(inputs))
            profiling.count("tokens", int(lengths.sum()))
            profiling.count("squared_tokens", int((lengths**2).sum()))
        return features

    model.preprocess = watched


def _mask(features: Mapping[str, Any], n_texts: int) -> Any:
    """Return the attention mask, `(n_texts, width)`, None where the input has another form."""
    mask = features.get("attention_mask")
    return mask if mask is not None and mask.ndim == 2 and len(mask) == n_texts else None


def _cut(grid: Mapping[str, Any], rows: Any, mask: Any) -> dict[str, Any]:
    """Return some rows of a model's input, without the columns where none of them has a token."""
    kept = mask[rows].any(dim=0)
    batch = {}
    for name, value in grid.items():
        whole = getattr(value, "ndim", 0) > 0 and len(value) == len(mask)
        if whole and value.ndim == 2 and value.shape[1] == mask.shape[1]:
            batch[name] = value[rows][:, kept]
        else:
            batch[name] = value[rows] if whole else value
    return batch
