"""Makes the batches of a training; a batch depends only on the seed and on its own number.

Pairs come from the stream of all languages in buckets of several batches. The pairs of a bucket are
sorted by length and divided into batches, and these batches are shuffled. So there is little
padding, and a stopped training continues with the same batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clir_bench.distill.model.students import Encoded

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from clir_bench.distill.bitext.mixture import BitextCorpus
    from clir_bench.distill.bitext.sampling import PairStream
    from clir_bench.distill.model.teacher_vectors import VectorStore
    from clir_bench.distill.recipe import Recipe

_SHUFFLE = 17  # tells this random stream from others of the same seed


class Batch(NamedTuple):
    """The input of a loss, and its pairs.

    Attributes:
        features: The student's columns, then the teacher's.
        labels: Number of each row's English sentence, int64 `(rows,)`.
        pairs: Indices of the pairs, without English sentences added as their own translations.
    """

    features: tuple[dict[str, Tensor], dict[str, Tensor]]
    labels: Tensor
    pairs: NDArray[np.int64]


@dataclass
class Batches:
    """Makes batches by number.

    Attributes:
        recipe: Size and order of batches, and the student's limit.
        corpus: The bitext.
        rows: English id to row of the store, `(n_english,)`; -1 where it has none.
        store: The teacher's vectors.
        tokenizer: The student's.
        stream: The mixed stream of training pairs.
        device: Where tensors go.
    """

    recipe: Recipe
    corpus: BitextCorpus
    rows: NDArray[np.int64]
    store: VectorStore
    tokenizer: Any
    stream: PairStream
    device: torch.device

    def __post_init__(self) -> None:
        self._held = -1
        self._batches: list[NDArray[np.int64]] = []

    def __call__(self, number: int) -> Batch:
        """Return batch `number`, from 0."""
        bucket, place = divmod(number, self.recipe.training.bucket)
        if bucket != self._held:
            self._batches, self._held = self._fill(bucket), bucket
        return self.of_pairs(self._batches[place])

    def _fill(self, bucket: int) -> list[NDArray[np.int64]]:
        n_batches, size = self.recipe.training.bucket, self.recipe.training.batch_size
        self.stream.position = bucket * n_batches * size
        pairs = self.stream.take(n_batches * size)
        lengths = [sum(len(text) for text in self.corpus[int(pair)][:2]) for pair in pairs]
        ordered = pairs[np.argsort(np.array(lengths), kind="stable")]
        batches = np.split(ordered, n_batches)
        order = np.random.default_rng([self.recipe.seed, _SHUFFLE, bucket]).permutation(n_batches)
        return [batches[place] for place in order]

    def of_pairs(self, pairs: NDArray[np.int64]) -> Batch:
        """Return the batch of these pairs."""
        import torch

        labels = self.corpus.english_ids[pairs].astype(np.int64)
        texts = [self.corpus[int(pair)].foreign for pair in pairs]
        _, first = np.unique(labels, return_index=True)
        english = labels[np.sort(first)][: round(self.recipe.training.english_share * len(pairs))]
        texts += [self.corpus.english_text(int(number)) for number in english]
        labels = np.concatenate([labels, english])
        teacher = self.targets(labels)
        targets = {
            "token_embeddings": teacher.tokens,
            "attention_mask": teacher.mask,
            "input_ids": teacher.ids,
            "sentence_embedding": teacher.sentences,
        }
        return Batch(
            (self.tokenise(texts), targets), torch.from_numpy(labels).to(self.device), pairs
        )

    def targets(self, english_ids: Sequence[int] | NDArray[np.int64]) -> Encoded:
        """Return the teacher's vectors of English texts."""
        import torch

        found = self.store.batch(self.rows[np.asarray(english_ids)])
        tokens, ids, mask, sentences = (torch.from_numpy(part).to(self.device) for part in found)
        return Encoded(tokens, mask, ids, sentences, mask.float())

    def tokenise(self, texts: list[str]) -> dict[str, Tensor]:
        """Return "input_ids" and "attention_mask" of texts for the student."""
        found = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.recipe.student.max_tokens,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        return {key: found[key].to(self.device) for key in ("input_ids", "attention_mask")}
