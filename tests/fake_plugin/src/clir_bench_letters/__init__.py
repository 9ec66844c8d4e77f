"""An example of a third-party encoder: a text's vector is how often each letter a-z occurs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clir_bench.types import EncoderInfo, EncoderRequest

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class LetterEncoder:
    """Letter counts; the argument, as in `letters:aeiou`, says which letters count."""

    def __init__(self, letters: str) -> None:
        self._letters = letters
        self.dim = len(letters) + 1
        self.info = EncoderInfo(
            name=f"letters-{letters}" if letters != LETTERS else "letters",
            revision="clir-bench-letters 1.2.0",
            similarity="cosine",
            description="how often each letter occurs",
        )

    def encode_queries(self, texts: Sequence[str], *, language: str) -> NDArray[np.float32]:
        """Return unit rows, float32 `(len(texts), dim)`."""
        counts = [[text.lower().count(letter) for letter in self._letters] for text in texts]
        # One more dimension, so that a text with none of the letters is not a row of zeros.
        rows = np.array([[*row, 0 if any(row) else 1] for row in counts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encode_documents = encode_queries


def load(request: EncoderRequest) -> LetterEncoder:
    """Return the encoder; this is what the entry point names."""
    return LetterEncoder(request.argument or LETTERS)
