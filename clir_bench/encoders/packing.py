"""Linear layers whose weights lie in oneDNN's own order, reordered once rather than in each call.

Values are those of the layers as they were up to rounding: products are summed in another order.
torch packs weights for its own compiler only, by operators that it promises nobody to keep; where
they are missing or wrong the layers stay as they are, and the log says so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)
_MOST_BYTES = 2 * 2**30
"""Larger models are left as they are: the weights lie in memory a second time."""
_ROWS = 2048
"""For how many rows oneDNN chooses the order; it serves any number."""
_TOLERANCE = {"torch.float32": 1e-4, "torch.bfloat16": 2e-2}


def pack(model: torch.nn.Module) -> int:
    """Pack the linear layers of a model on a processor, in place; return how many were packed.

    The weights stay where they are too, for whoever counts them.
    """
    import torch

    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    if sum(layer.weight.nbytes for layer in layers) > _MOST_BYTES:
        return 0
    try:
        packed = [(layer, _packed(layer)) for layer in layers]
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        _LOGGER.info(
            "torch %s packs no weights for oneDNN: going on without, a tenth slower (%s)",
            torch.__version__,
            error,
        )
        return 0
    for layer, forward in packed:
        layer.forward = forward  # type: ignore[method-assign]
    return len(packed)


def _packed(layer: torch.nn.Linear) -> Any:
    """Return a forward function that gives what the layer's own gives.

    Raises:
        ValueError: It does not, which is tried on a few rows.
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
