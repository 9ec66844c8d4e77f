"""Reorders ("packs") the weights of linear layers once for oneDNN, to make them faster on a CPU.

Without packing, oneDNN reorders the weights in every call. Packed layers sum their products in
another order, so values differ by rounding. `speeds` measures the gain: a fifth on some processors,
nothing on others. torch's operators for packing are internal and may change at any time. If they
are missing or wrong, the layers stay as they are, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)
_MOST_BYTES = 2 * 2**30
"""Larger models are not packed, because packing holds the weights in memory twice."""
_ROWS = 2048
"""oneDNN chooses the order for this number of rows; it works for any number."""
_TOLERANCE = {"torch.float32": 1e-4, "torch.bfloat16": 2e-2}


def pack(model: torch.nn.Module, wanted: Callable[[str], bool] = lambda _: True) -> int:
    """Pack the linear layers of a model on a processor, in place; return how many were packed.

    The original weights stay too, for code that counts them.

    Args:
        model: The model.
        wanted: Whether layers with weights of that type, such as "float32", are to be packed.
    """
    import torch

    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    if not fits(layers):
        return 0
    layers = [one for one in layers if wanted(str(one.weight.dtype).removeprefix("torch."))]
    found: list[tuple[torch.nn.Linear, Any]] = []
    for layer in layers:
        if (forward := packed(layer)) is None:
            return 0
        found.append((layer, forward))
    for layer, forward in found:
        layer.forward = forward  # type: ignore[method-assign]
    return len(found)


def fits(layers: Iterable[torch.nn.Linear]) -> bool:
    """Return whether memory may hold the weights of these layers twice."""
    return sum(layer.weight.nbytes for layer in layers) <= _MOST_BYTES


def packed(layer: torch.nn.Linear) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return a layer's function on packed weights; None, and a log line, if torch cannot."""
    import torch

    try:
        return _packed(layer)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        _LOGGER.info(
            "torch %s packs no weights for oneDNN: going on without (%s)", torch.__version__, error
        )
        return None


def _packed(layer: torch.nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a forward function with the same values as the layer's own.

    Raises:
        ValueError: A test on a few rows gave other values.
    """
    import torch

    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    operators: Any = torch.ops.mkldnn
    multiply = operators._linear_pointwise
    reordered = operators._reorder_linear_weight(weight, _ROWS)

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = multiply(inputs, reordered, bias, "none", [], "")
        return found

    with torch.inference_mode():
        rows = torch.linspace(-1, 1, 3 * weight.shape[1]).view(3, -1).to(weight.dtype)
        expected, found = layer(rows).float(), forward(rows).float()
        scale = float(expected.abs().max()) + 1e-6
        if float((found - expected).abs().max()) > _TOLERANCE[str(weight.dtype)] * scale:
            raise ValueError(f"a packed layer of shape {tuple(weight.shape)} gives other values")
    return forward
