"""Counts the floating-point operations of an encoder, and measures how many its device can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_SIDE = 2048
_REPEATS = 5


def operations(transformer: torch.nn.Module, counts: Mapping[str, int]) -> int:
    """Return the floating-point operations of a transformer's matrix products, without padding.

    Two per weight and token in linear layers, and in attention 4 x layers x width for every pair of
    tokens of a text (Kaplan et al. 2020, arXiv 2001.08361, table 1, without causal masking).

    Args:
        transformer: The model without later parts such as pooling.
        counts: "tokens", and "squared_tokens", the sum of squared text lengths.
    """
    import torch

    linear = [m for m in transformer.modules() if isinstance(m, torch.nn.Linear)]
    n_weights = sum(layer.weight.numel() for layer in linear)
    config: Any = getattr(getattr(transformer, "auto_model", None), "config", None)
    layers, width = (
        int(getattr(config, name, 0) or 0) for name in ("num_hidden_layers", "hidden_size")
    )
    return 2 * n_weights * counts.get("tokens", 0) + 4 * layers * width * counts.get(
        "squared_tokens", 0
    )


def matrix_rate(
    dtype: torch.dtype, device: str, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the operations per second of a product of two square matrices, best of a few."""
    import torch

    left, right = (torch.ones((_SIDE, _SIDE), dtype=dtype, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(_REPEATS):
        _wait(device)
        started = clock()
        left @ right
        _wait(device)
        best = min(best, clock() - started)
    return 2 * _SIDE**3 / best


def _wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
