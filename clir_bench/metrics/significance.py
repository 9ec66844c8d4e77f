"""Tests differences between systems (paired randomization test), and corrects for several tests.

If two systems were the same, their two answers to a question could be exchanged. An exchange turns
the sign of that question's difference. Under this hypothesis all 2^n choices of signs for n
questions are equally likely. The p-value is the share of choices whose mean difference is at least
as far from zero as the observed one (Fisher 1935; for retrieval Smucker, Allan and Carterette 2007,
doi 10.1145/1321440.1321528). Translations of one question change signs together.

If there are at most `n_flips` choices, all are counted. Otherwise `n_flips` are drawn and the
p-value is (b + 1) / (n_flips + 1), where b draws are as extreme as the observed one. It is never 0
and never too small (Phipson and Smyth 2010, doi 10.2202/1544-6115.1585).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_FLIPS = 10_000
_CHUNK = 512
_SLAB = 8192
_ROUNDING = 1e-10
"""Sums this close, relative to the largest possible one, are equal up to rounding."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """Questions that affect the same columns.

    Attributes:
        columns: Which columns of the test, `(n_block_columns,)`.
        values: Each question's share of each column's sum, `(n_questions, n_block_columns)`.
        generator: Draws the signs of these questions; one test uses it up.
    """

    columns: NDArray[np.intp]
    values: _Floats
    generator: np.random.Generator


@dataclass(frozen=True)
class FlipTest:
    """The outcome, one entry per tested sum.

    Attributes:
        observed: The sums as they are.
        p_values: Two-sided.
        exact: Whether every way to turn the signs was counted.
    """

    observed: _Floats
    p_values: _Floats
    exact: NDArray[np.bool_]


def flip_test(blocks: Sequence[Block], weights: _Floats, *, n_flips: int = N_FLIPS) -> FlipTest:
    """Test whether sums over questions differ from zero, by turning the signs of questions.

    Memory is bounded: a few hundred flips of a few thousand questions are held at a time.

    Args:
        blocks: Every question once.
        weights: What is tested are weighted sums of the columns' sums, `(n_columns, n_tests)`.
        n_flips: Sign vectors to draw, and the largest number to enumerate instead.
    """
    observed, largest, n_effective = _observe(blocks, weights)
    tolerance = _ROUNDING * largest
    bound = np.abs(observed) - tolerance
    exact = n_effective <= int(np.log2(n_flips))
    p_values = np.ones(len(observed))
    if not exact.all():
        n_extreme = np.zeros(len(observed), dtype=np.int64)
        for first in range(0, n_flips, _CHUNK):
            sums = _flipped(blocks, len(weights), min(_CHUNK, n_flips - first)) @ weights
            n_extreme += (np.abs(sums) >= bound).sum(axis=0)
        p_values = (n_extreme + 1) / (n_flips + 1)
    for test in np.flatnonzero(exact):
        every = _enumerate(blocks, weights[:, test])
        p_values[test] = np.mean(np.abs(every) >= bound[test])
    return FlipTest(observed, p_values, exact)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the order given (Holm 1979).

    The smallest is multiplied by the number of tests, the next by one less, and so on; none becomes
    smaller than one before it, nor larger than 1. The chance that any true null hypothesis of the
    family falls below alpha is at most alpha, however the tests depend on each other.

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()


def _observe(
    blocks: Sequence[Block], weights: _Floats
) -> tuple[_Floats, _Floats, NDArray[np.int64]]:
    """Return each tested sum, its largest possible value, and how many questions affect it."""
    observed = np.zeros(weights.shape[1])
    largest = np.zeros(weights.shape[1])
    n_effective = np.zeros(weights.shape[1], dtype=np.int64)
    for block in blocks:
        for first in range(0, len(block.values), _SLAB):
            values = _weighted(block.values[first : first + _SLAB], weights[block.columns])
            observed += values.sum(axis=0)
            largest += np.abs(values).sum(axis=0)
            n_effective += np.count_nonzero(values, axis=0)
    return observed, largest, n_effective


def _weighted(values: _Floats, weights: _Floats) -> _Floats:
    """Return `values @ weights`, exactly 0 where the terms cancel but for rounding."""
    sums: _Floats = values @ weights
    sums[np.abs(sums) <= _ROUNDING * (np.abs(values) @ np.abs(weights))] = 0.0
    return sums


def _flipped(blocks: Sequence[Block], n_columns: int, n_flips: int) -> _Floats:
    """Return column sums under `n_flips` sign vectors, `(n_flips, n_columns)`."""
    sums = np.zeros((n_flips, n_columns))
    for block in blocks:
        for first in range(0, len(block.values), _SLAB):
            values = block.values[first : first + _SLAB]
            n_bytes = -(-len(values) // 8)
            drawn = block.generator.integers(256, size=(n_flips, n_bytes), dtype=np.uint8)
            kept = np.unpackbits(drawn, axis=1, count=len(values)).astype(np.float64)
            sums[:, block.columns] += 2 * (kept @ values) - values.sum(axis=0)
    return sums


def _enumerate(blocks: Sequence[Block], weights: _Floats) -> _Floats:
    """Return one tested sum under every choice of signs of the few questions that affect it."""
    sums = np.zeros(1)
    for block in blocks:
        values = _weighted(block.values, weights[block.columns, None])
        for value in values[values != 0]:
            sums = np.concatenate([sums + value, sums - value])
    return sums
