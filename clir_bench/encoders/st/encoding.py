"""Encodes texts with loaded sentence-transformers models (see `loading`).

A transformer with one vector per text gets batches that are filled up to a number of tokens. All
other models, and runs that state a number of texts per batch, use sentence-transformers' `encode`.
The last bits of a vector can depend on the other texts of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clir_bench.core import profiling
from clir_bench.encoders.st.batching import TextBatches, TokenBatches, release_memory
from clir_bench.encoders.st.rates import operations
from clir_bench.errors import UsageError
from clir_bench.types import EncoderInfo, EncoderRequest, Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

_TEXTS_PER_BATCH = {"cuda": 128}
_CPU_TEXTS_PER_BATCH = 32
_TOKENS_PER_BATCH = {"cuda": 65_536, "mps": 8192}
_CPU_TOKENS_PER_BATCH = 768


def batches_for(
    request: EncoderRequest, device: str, *, late: bool, has_layers: bool = True
) -> tuple[TextBatches, TokenBatches | None]:
    """Return batches of the requested size, or else of a size that suits the device.

    Batches of tokens, if any, come first; batches of texts work for every model.

    Args:
        request: The user's request.
        device: Where the model runs.
        late: Whether a text has several vectors.
        has_layers: Whether it is a transformer; others gain nothing from full batches.

    Raises:
        UsageError: Both kinds were asked for, or tokens for a model of late interaction.
    """
    kind = device.partition(":")[0]
    texts = TextBatches(request.batch_size or _TEXTS_PER_BATCH.get(kind, _CPU_TEXTS_PER_BATCH))
    if request.batch_tokens is not None:
        if request.batch_size is not None:
            raise UsageError("--batch-size and --batch-tokens exclude each other")
        if late:
            raise UsageError(
                "--batch-tokens is for models with one vector per text; use --batch-size"
            )
        return texts, TokenBatches(request.batch_tokens)
    if request.batch_size is not None or late or not has_layers:
        return texts, None
    return texts, TokenBatches(_TOKENS_PER_BATCH.get(kind, _CPU_TOKENS_PER_BATCH))


class _OneModel:
    """The common part of both kinds of encoder: a model on a device.

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


class DenseEncoder(_OneModel):
    """A SentenceTransformer: one vector per text."""

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
        return self._encode(texts, self.info.query_prompt, "query")

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`; the document prompt is put before every text."""
        return self._encode(texts, self.info.document_prompt, "document")

    def _encode(self, texts: Sequence[str], prompt: str, task: str) -> Vectors:
        import numpy as np

        rows = self._in_token_batches(texts, prompt, task)
        if rows is None:
            encode = self._model.encode_query if task == "query" else self._model.encode_document
            rows = np.asarray(_by_texts(encode, texts, prompt, self._texts), dtype=np.float32)
        if self.info.similarity != "cosine":
            return rows
        # In float32 here rather than in the model: a bfloat16 division leaves lengths off by 0.4%.
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        np.divide(rows, lengths, out=rows, where=lengths > 0)
        return rows

    def _in_token_batches(self, texts: Sequence[str], prompt: str, task: str) -> Vectors | None:
        """Return unnormalised rows, None without token batches or if the input is no grid.

        All texts are tokenized at once; a batch is some rows of that grid, less the columns in
        which none of them has a token.
        """
        import numpy as np
        import torch
        from sentence_transformers.util import batch_to_device

        model, batches = self._model, self._tokens
        if batches is None or model.truncate_dim is not None:
            return None
        grid = model.preprocess(list(texts), prompt=prompt, task=task)
        mask = _mask(grid, len(texts))
        if mask is None:
            return None
        found = np.empty((len(texts), self.dim), dtype=np.float32)

        def forward(rows: NDArray[np.intp]) -> None:
            batch = _cut(grid, torch.from_numpy(rows), mask)
            batch = batch_to_device(batch, model.device)
            out = model(batch, task=task)["sentence_embedding"]
            found[rows] = out.float().cpu().numpy()

        with torch.inference_mode():
            batches.run(mask.sum(dim=1).numpy(), forward)
        return found


class LateInteractionEncoder(_OneModel):
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
        return self._encode(self._model.encode_query, texts, self.info.query_prompt)

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


def _by_texts(
    encode: Callable[..., Any], texts: Sequence[str], prompt: str, batches: TextBatches
) -> Any:
    """Return what sentence-transformers' `encode` returns, in batches that fit."""
    return batches.run(
        lambda size: encode(
            list(texts),
            prompt=prompt,
            batch_size=size,
            show_progress_bar=False,
            convert_to_numpy=True,
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
