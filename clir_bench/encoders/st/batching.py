"""Makes batches of texts of similar length, each up to a number of tokens that fits into memory.

>>> batches = TokenBatches(12)
>>> batches.run([3, 6, 1, 5], lambda rows: print(rows.tolist()))
[1, 3]
[0, 2]
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)
_LARGEST_KEPT = 2**25 - 2**16
"""Bytes; glibc does not learn from blocks of 32 MiB or more."""
_Returned = TypeVar("_Returned")


class TokenBatches:
    """Batches of at most so many tokens, padding included.

    Attributes:
        budget: Tokens per batch; halved for good whenever a batch did not fit into memory.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def run(
        self,
        lengths: Sequence[int] | NDArray[np.int64],
        forward: Callable[[NDArray[np.intp]], None],
    ) -> None:
        """Call `forward` with the rows of one batch after another, longest texts first.

        The longest come first, so a batch that does not fit is found at once. The same
        lengths and budget make the same batches. A text longer than the budget is a batch alone.

        Args:
            lengths: Tokens of every text.
            forward: Handles the texts whose rows it is given.
        """
        import numpy as np

        order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
        start = 0
        while start < len(order):
            longest = int(lengths[order[start]])
            rows = order[start : start + max(1, self.budget // max(1, longest))]
            try:
                forward(rows)
            except RuntimeError as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                self.budget = max(1, len(rows) // 2) * longest
                release_memory()
                _LOGGER.warning(
                    "%d texts of up to %d tokens did not fit into memory: going on with batches "
                    "of %d tokens",
                    len(rows),
                    longest,
                    self.budget,
                )
                continue
            start += len(rows)


class TextBatches:
    """Batches of a fixed number of texts of any length.

    Attributes:
        size: Texts per batch; halved for good whenever a batch did not fit into memory.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, encode: Callable[[int], _Returned]) -> _Returned:
        """Call `encode` with a batch size that fits, starting again with each smaller size."""
        while True:
            try:
                return encode(self.size)
            except RuntimeError as error:
                if self.size == 1 or not is_out_of_memory(error):
                    raise
            self.size //= 2
            release_memory()
            _LOGGER.warning(
                "a batch did not fit into memory: going on with batches of %d texts", self.size
            )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device, or torch's allocator on the processor, had no memory left."""
    if type(error).__name__ == "OutOfMemoryError":
        return True
    return "DefaultCPUAllocator" in str(error) and "allocate memory" in str(error)


def release_memory() -> None:
    """Release the memory that torch's allocator keeps on a CUDA device."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def keep_freed_memory() -> None:
    """Make the C library keep the memory of one batch for the next, if it can.

    glibc returns large blocks to the operating system as soon as they are free, until a program
    has freed one of nearly 32 MiB; then it keeps them. Otherwise every layer of every batch gets
    new pages, which the system first fills with zeros (measured in `benchmarks/README.md`).
    """
    import torch

    block = torch.empty(_LARGEST_KEPT, dtype=torch.uint8)
    del block
