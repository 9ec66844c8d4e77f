"""Tells whether arrays lie in the same memory, as those of an encoder that reuses a buffer do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def shares_memory(found: Sequence[NDArray[Any]], texts: Sequence[str]) -> bool:
    """Return whether arrays of different texts share memory, as reused buffers do."""
    import numpy as np

    numbers: dict[str, int] = {}
    owners = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
    spans = np.array([_span(item, *zip(item.shape, item.strides, strict=True)) for item in found])
    if not _overlap(spans, owners):
        return False
    lines = [_lines(item) for item in found]  # of arrays that may alternate in memory
    return _overlap(np.concatenate(lines), np.repeat(owners, [len(own) for own in lines]))


def _overlap(spans: NDArray[np.int64], owners: NDArray[np.int64]) -> bool:
    """Return whether spans of addresses, `(n, 2)`, of different owners overlap."""
    import numpy as np

    order = np.argsort(spans[:, 0], kind="stable")
    (starts, ends), owners = spans[order].T, owners[order]
    furthest = np.maximum.accumulate(ends)
    holders = np.maximum.accumulate(np.where(ends == furthest, np.arange(len(ends)), 0))
    is_other = owners[1:] != owners[holders[:-1]]
    return bool((is_other & (starts[1:] < furthest[:-1])).any())


def _span(array: NDArray[Any], *axes: tuple[int, int]) -> tuple[int, int]:
    """Return the first and last address of the first line along axes, (size, stride) each."""
    start: int = array.__array_interface__["data"][0]
    steps = [(size - 1) * stride for size, stride in axes]
    below, above = sum(min(0, step) for step in steps), sum(max(0, step) for step in steps)
    return start + below, start + above + array.itemsize


def _lines(array: NDArray[Any]) -> NDArray[np.int64]:
    """Return the spans of addresses, `(n, 2)`, that hold a matrix's numbers and no others."""
    import numpy as np

    dense = [axis for axis in (1, 0) if abs(array.strides[axis]) == array.itemsize][:1]
    axes = list(zip(array.shape, array.strides, strict=True))
    offsets = np.zeros(1, dtype=np.int64)
    for size, stride in (axes[axis] for axis in (0, 1) if axis not in dense):
        offsets = np.add.outer(offsets, stride * np.arange(size)).ravel()
    span = np.array(_span(array, *(axes[axis] for axis in dense)), dtype=np.int64)
    spans: NDArray[np.int64] = offsets[:, None] + span
    return spans
