"""Makes and checks the masses of tokens (the marginals of a transport problem) from masks.

`plans` explains problems, masses and marginals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clir_bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

MAX_IMBALANCE = 0.01
"""Marginals may miss a sum of 1 by this much, as those in bfloat16 do; they are normalized."""


def uniform_marginals(mask: Tensor) -> Tensor:
    """Spread mass 1 evenly over the real tokens of each sentence.

    Args:
        mask: `(batch, n)`, non-zero or True for tokens that carry mass; False for padding and
            special tokens.

    Returns:
        `(batch, n)` float32, rows sum to 1, exactly zero where the mask is False.

    Raises:
        UsageError: A sentence has no real token.

    >>> import torch
    >>> uniform_marginals(torch.tensor([[True, True, False, False]])).tolist()
    [[0.5, 0.5, 0.0, 0.0]]
    """
    import torch

    return weighted_marginals(torch.ones_like(mask, dtype=torch.float32), mask)


def weighted_marginals(weights: Tensor, mask: Tensor) -> Tensor:
    """Spread mass 1 over the real tokens of each sentence in proportion to their weights.

    Args:
        weights: `(batch, n)`, finite and not negative where the mask is True, in any unit.
        mask: `(batch, n)`, non-zero or True for tokens that may carry mass.

    Returns:
        `(batch, n)`, rows sum to 1, exactly zero where the mask is False or the weight is zero;
        float64 for float64 weights, otherwise float32.

    Raises:
        UsageError: Shapes differ, a sentence has no token of positive weight, or a weight is
            negative or not finite.
    """
    import torch

    if weights.ndim != 2 or weights.shape != mask.shape:
        raise UsageError(
            f"weights of shape {tuple(weights.shape)} and mask of shape {tuple(mask.shape)}: "
            "expected the same (batch, n_tokens) for both"
        )
    dtype = torch.float64 if weights.dtype == torch.float64 else torch.float32
    mass = torch.where(mask.bool(), weights.detach().to(dtype), 0.0)
    bad = ~(torch.isfinite(mass) & (mass >= 0)).all(1)
    _refuse(bad, "a token weight is negative or not finite; weights must be finite and >= 0")
    largest = mass.amax(1, keepdim=True) if mass.shape[1] else mass.sum(1, keepdim=True)
    _refuse(
        largest[:, 0] <= 0,
        "no token carries mass: every token is masked or has weight 0; drop the sentence",
    )
    mass = mass / largest
    return mass / mass.sum(1, keepdim=True)


def checked(cost: Tensor, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a problem in working precision, with finite costs and marginals that sum to 1.

    Raises:
        UsageError: Shapes do not fit, or a marginal is negative, not finite, or does not sum to 1.
        DataError: A cost between tokens with mass is not finite.
    """
    import torch

    shapes = tuple(tuple(x.shape) for x in (cost, source, target))
    if cost.ndim != 3 or shapes[1:] != (shapes[0][:2], (shapes[0][0], shapes[0][2])):
        raise UsageError(
            f"cost, source and target have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}: "
            "expected (batch, n, m), (batch, n) and (batch, m)"
        )
    if 0 in shapes[0][1:]:
        raise UsageError(f"cost of shape {shapes[0]}: a sentence needs at least one token")
    dtype = torch.float64 if cost.dtype == torch.float64 else torch.float32
    cost, source, target = (x.detach().to(dtype) for x in (cost, source, target))
    source = _normalized("source", source)
    target = _normalized("target", target)
    # a token without mass gets an existing cost, and so leaves the range unchanged
    rows, columns = source > 0, target > 0
    first = (
        torch.arange(len(cost), device=cost.device),
        rows.int().argmax(1),
        columns.int().argmax(1),
    )
    cost = torch.where(rows[:, :, None] & columns[:, None], cost, cost[first][:, None, None])
    bad = ~torch.isfinite(cost.sum((1, 2)))
    if bad.any():
        raise DataError(
            f"problem {int(bad.nonzero()[0])} of the batch ({int(bad.sum())} in all): a cost "
            "between two tokens with mass is not finite; check the vectors it was made from"
        )
    return cost, source, target


def _normalized(name: str, marginal: Tensor) -> Tensor:
    """Return a marginal with rows that sum to 1, or name the row that does not."""
    total = marginal.sum(1, keepdim=True)
    _refuse(
        total[:, 0] == 0,
        f"{name} has no mass: every token is masked; drop the sentence",
    )
    # not <=, so that NaN is bad too
    bad = ~((marginal >= 0).all(1) & ((total[:, 0] - 1).abs() <= MAX_IMBALANCE))
    _refuse(bad, f"{name} must be >= 0 and sum to 1 in every row; see uniform_marginals")
    return marginal / total


def _refuse(bad: Tensor, reason: str) -> None:
    """Raise a UsageError that names the first bad problem of a batch, if there is one."""
    if bad.any():
        first = int(bad.nonzero()[0])
        raise UsageError(f"problem {first} of the batch ({int(bad.sum())} in all): {reason}")
