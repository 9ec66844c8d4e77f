"""In which arithmetic a model runs, and the mode that is both fast and faithful on a CPU.

`MIXED` multiplies in the feed-forward layers, two thirds of a transformer's products, on bfloat16
copies of their weights and inputs; attention, the residual stream, normalisation, pooling and
every other weight stay float32. Weights in bfloat16 throughout, and products in bfloat16
throughout (torch's autocast), are faster and both move scores by more than 0.001 nDCG@10;
`benchmarks/README.md` has the measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

if TYPE_CHECKING:
    import torch

MIXED: Final = "mixed-bfloat16"

Dtype: TypeAlias = Literal["float32", "bfloat16", "mixed-bfloat16"]

_FEED_FORWARD = {"densereludense", "feed_forward", "feedforward", "ffn", "intermediate", "mlp"}
_AFTER = "output"
"""What BERT and its kin call the layer after `intermediate`, and its counterpart in attention."""
_ATTENTION = "attention"


def choose(asked: str, device: str, *, late: bool) -> Dtype:
    """Return the arithmetic to use.

    "auto" is bfloat16 on CUDA devices that have it, `MIXED` on processors that multiply bfloat16
    natively, else float32. On processors late interaction, which has not been measured, and whose
    many vectors a text no pooling averages, is float32.
    """
    import torch

    if asked != "auto":
        return cast(Dtype, asked)
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float32"
    return MIXED if device == "cpu" and not late and multiplies_bfloat16() else "float32"


def multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions that multiply bfloat16."""
    import torch

    onednn: Any = torch.backends.mkldnn  # annotated because its functions carry no types
    if not onednn.is_available():
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def stored_as(dtype: Dtype) -> torch.dtype:
    """Return in what a model's weights are loaded."""
    import torch

    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


def mix(model: torch.nn.Module) -> int:
    """Turn the feed-forward layers of a float32 model to bfloat16; return how many were found."""
    import torch

    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and _is_feed_forward(name)
    ]
    for module in found:
        module.to(torch.bfloat16).register_forward_pre_hook(_to_bfloat16)
    return len(found)


def _is_feed_forward(name: str) -> bool:
    """Return whether a layer of that path is half of a feed-forward block.

    >>> _is_feed_forward("encoder.layer.0.output.dense")
    True
    >>> _is_feed_forward("encoder.layer.0.attention.output.dense")
    False
    """
    parts = [part.casefold() for part in name.split(".")]
    if any(_ATTENTION in part for part in parts):
        return False
    return not _FEED_FORWARD.isdisjoint(parts) or parts[-2:-1] == [_AFTER]


def _to_bfloat16(_: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    import torch

    return (inputs[0].to(torch.bfloat16), *inputs[1:])
