"""Runs the teacher: an English model that gives a vector per token and one of the whole sentence.

Every different English sentence is encoded once, for all its translations and all training steps;
a `VectorStore` keeps the vectors on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clir_bench.distill.model.teacher_vectors import Taught
from clir_bench.encoders import catalog, kinds, weights
from clir_bench.encoders.st import loading
from clir_bench.errors import EncoderError, UsageError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clir_bench.distill.model.teacher_vectors import VectorStore

_LOGGER = logging.getLogger(__name__)
_CHUNK = 512  # texts between two commits of the store


class Teacher:
    """An English late-interaction or dense model, frozen.

    Args:
        name: A short name of `clir-bench encoders`, a Hub id, or a folder.
        layer: Layer of the token vectors: -1 the last, -2 the last but one, ...; a late-interaction
            teacher gives the vectors it was trained for, and allows only -1.
        max_tokens: Longer texts are cut.
        must_fit: Whether more tokens than the model has positions for are an error.
        device: A torch device, or "auto".

    Attributes:
        dim: Length of its vectors, tokens' and sentences' alike.
        key: Identifies the weights and settings that its vectors depend on.

    Raises:
        EncoderError: The model cannot be loaded, or its token and sentence vectors differ in
            length.
        UsageError: The layer does not exist, or the model is sparse.
    """

    def __init__(
        self,
        name: str,
        *,
        layer: int = -1,
        max_tokens: int = 128,
        must_fit: bool = False,
        device: str = "auto",
    ) -> None:
        import torch

        self.weights = catalog.find(name)
        family = kinds.family(self.weights)
        if family == "sparse":
            raise UsageError(
                f"teacher {name!r} is a sparse model; expected one with vectors of tokens or texts"
            )
        self.late = family == "tokens"
        self._device = loading.resolve_device(device)
        self._model: Any = loading.read(
            self.weights, family, self._device, torch.float32, trust=False
        )
        self._layer = layer
        self._check_layer()
        weights.require_unchanged(self.weights)
        loading.limit_tokens(self._model, max_tokens, self.weights.name, must_fit=must_fit)
        self._model.max_seq_length = min(self._model.max_seq_length or max_tokens, max_tokens)
        self.dim = int(self._model.get_embedding_dimension())
        self.key = f"{self.weights.sha256[:16]}-layer{layer}-{self._model.max_seq_length}"
        specials = getattr(self._model.tokenizer, "all_special_ids", [])
        self._specials = torch.tensor(specials, dtype=torch.long, device=self._device)

    def _check_layer(self) -> None:
        if self._layer == -1:
            return
        config = getattr(self._model.transformers_model, "config", None)
        depth = getattr(config, "num_hidden_layers", 0)
        if self.late or not -depth - 1 <= self._layer < 0:
            raise UsageError(
                f"teacher {self.weights.name!r}: layer {self._layer} cannot be used; expected "
                + ("-1: it is a late-interaction model" if self.late else f"-{depth + 1} to -1")
            )
        assert config is not None  # noqa: S101 - has a depth, so it is there
        config.output_hidden_states = True

    @property
    def tokenizer(self) -> Any:
        """Return the teacher's tokenizer."""
        return self._model.tokenizer

    @property
    def transformer(self) -> Any:
        """Return the teacher's transformers model."""
        return self._model.transformers_model

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> list[Taught]:
        """Return the teacher's vectors of each text, in order."""
        import torch

        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        found: list[Taught | None] = [None] * len(texts)
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                numbers = order[start : start + batch_size]
                for number, taught in zip(
                    numbers, self._batch([texts[n] for n in numbers]), strict=True
                ):
                    found[number] = taught
        return [taught for taught in found if taught is not None]

    def _batch(self, texts: list[str]) -> list[Taught]:
        import torch

        features = self._model.preprocess(texts)
        features = {
            key: value.to(self._device) if torch.is_tensor(value) else value
            for key, value in features.items()
        }
        ids, attention = features["input_ids"], features["attention_mask"].bool()
        out = self._model(features)
        tokens = out["token_embeddings"]
        if self._layer != -1:
            tokens = out["all_layer_embeddings"][self._layer]
        mask = attention & ~torch.isin(ids, self._specials)
        pooled = out.get("sentence_embedding")
        if pooled is None:  # late interaction: the mean direction of its tokens
            units = torch.nn.functional.normalize(tokens, dim=-1) * mask.unsqueeze(-1)
            pooled = torch.nn.functional.normalize(units.sum(1), dim=-1)
        if pooled.shape[-1] != tokens.shape[-1]:
            raise EncoderError(
                f"teacher {self.weights.name!r}: its token vectors have {tokens.shape[-1]} numbers "
                f"and its sentence vectors {pooled.shape[-1]}; a student cannot learn both"
            )
        halves, wholes = tokens.half().cpu().numpy(), pooled.half().cpu().numpy()
        masks, numbers = mask.cpu().numpy(), ids.int().cpu().numpy()
        return [
            Taught(halves[row][masks[row]], numbers[row][masks[row]], wholes[row])
            for row in range(len(texts))
        ]

    def fill(
        self,
        store: VectorStore,
        texts: Sequence[str],
        advance: Callable[[int], None] = lambda _: None,
    ) -> NDArray[np.int64]:
        """Encode the `texts` that the store lacks, and return each text's row in it, `(n,)`.

        Raises:
            OutputError: The store cannot be written.
        """
        missing = store.missing(texts)
        advance(len(texts) - len(missing))
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            store.append(chunk, self.encode(chunk))
            advance(len(chunk))
        return store.rows(texts)

    def piece_vectors(self, pieces: Sequence[str], *, contextual: bool) -> torch.Tensor:
        """Return a vector for each string, float32 `(len(pieces), dim)`; rows of zeros if none.

        A string that the teacher's vocabulary can only spell as unknown has none.

        Args:
            pieces: Parts of words.
            contextual: Take the mean of the output vectors of its tokens when it stands alone (for
                students without layers); otherwise the mean of their input embeddings.
        """
        import torch

        tokenizer = self.tokenizer
        unknown = tokenizer.unk_token_id
        encoded = tokenizer(list(pieces), add_special_tokens=False)["input_ids"]
        known = [row for row, ids in enumerate(encoded) if ids and unknown not in ids]
        if contextual:
            vectors = torch.zeros(len(pieces), self.dim)
            for row, taught in zip(
                known, self.encode([pieces[r] for r in known], 512), strict=True
            ):
                if len(taught.tokens):
                    vectors[row] = torch.from_numpy(taught.tokens.astype(np.float32)).mean(0)
            return vectors
        table = self.transformer.get_input_embeddings().weight.detach().float().cpu()
        vectors = torch.zeros(len(pieces), table.shape[1])
        for row in known:
            vectors[row] = table[torch.tensor(encoded[row])].mean(0)
        return vectors
