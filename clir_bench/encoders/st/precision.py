"""Chooses the arithmetic that a model runs in, such as float32 or bfloat16.

For CPUs there is `MIXED`. It computes the products of the feed-forward layers, two thirds of all
products, from bfloat16 copies of weights and inputs. Everything else stays float32: attention, the
residual stream, normalisation, pooling, and all other weights. Two other ways are faster but change
scores by more than 0.001 nDCG@10: all weights in bfloat16, and all products in bfloat16 (torch's
autocast). `benchmarks/README.md` has the measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, cast

from clir_bench.encoders.st import packing, speeds
from clir_bench.types import Family

if TYPE_CHECKING:
    import torch

MIXED: Final = "mixed-bfloat16"

Dtype: TypeAlias = Literal["float32", "bfloat16", "mixed-bfloat16"]

_MARGIN = 1.15
"""`auto` chooses `MIXED` only if it is this many times as fast as float32."""
_TO_BE_MEASURED = "not measured yet"

_FEED_FORWARD = {"densereludense", "feed_forward", "feedforward", "ffn", "intermediate", "mlp"}
_AFTER = "output"
"""BERT-like models' name for the layer after `intermediate`, and for one in attention."""
_ATTENTION = "attention"


class Arithmetic(NamedTuple):
    """The arithmetic a model runs in.

    Attributes:
        dtype: The arithmetic.
        reason: Why the package chose it; empty if the user did.
    """

    dtype: Dtype
    reason: str = ""


def choose(asked: str, device: str, family: Family) -> Arithmetic:
    """Return the arithmetic to load a model for.

    "auto" is bfloat16 on CUDA devices that have it. On processors it is float32, or `MIXED` where
    they multiply bfloat16 natively: then `settle` decides when the layers are there to be measured.
    Late interaction on processors is float32: it has not been measured, and no pooling averages its
    many vectors per text. So are sparse models everywhere: their largest logits are their weights.
    """
    import torch

    if asked != "auto":
        return Arithmetic(cast(Dtype, asked))
    if device.startswith("cuda") and family != "sparse":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Arithmetic("bfloat16", "this device multiplies bfloat16 natively")
        return Arithmetic("float32", "this device does not multiply bfloat16 natively")
    if device == "cpu" and family == "single" and multiplies_bfloat16():
        return Arithmetic(MIXED, _TO_BE_MEASURED)
    if family != "single" or device != "cpu":
        kinds = {"tokens": "late interaction", "sparse": "a sparse model"}
        what = kinds.get(family, "other arithmetic")
        return Arithmetic("float32", f"{what} has not been measured on {device}")
    return Arithmetic("float32", "this processor has no instructions that multiply bfloat16")


def settle(model: torch.nn.Module, loaded: Arithmetic) -> Arithmetic:
    """Make a float32 model on a processor run as fast as it can, in place; return its arithmetic.

    Products of the model's largest layer are measured (see `speeds`). Unless the user states
    `MIXED`, it is chosen only if all of the model's layers together are clearly faster in it than
    in float32. Weights are packed where that is faster.
    """
    layers = linear_layers(model)
    if not layers:
        return loaded
    feeding = feed_forward_layers(model)
    largest = max(feeding or layers, key=lambda layer: layer.weight.numel())
    measured = speeds.here(largest, with_bfloat16=bool(feeding) and multiplies_bfloat16())
    if loaded == (MIXED, _TO_BE_MEASURED):
        share = sum(one.weight.numel() for one in feeding) / sum(
            one.weight.numel() for one in layers
        )
        loaded = faster(measured, share)
    if loaded.dtype == MIXED:
        mix(model)
    packing.pack(model, measured.packs)
    return loaded


def faster(measured: speeds.Speeds, share: float) -> Arithmetic:
    """Return the faster of float32 and `MIXED`, float32 unless the other is clearly faster.

    Args:
        measured: Speeds of one layer.
        share: Share of the layers' products that `MIXED` computes in bfloat16.
    """
    exact, low = measured.best(speeds.FLOAT32), measured.best(speeds.BFLOAT16)
    if exact is None or low is None:
        return Arithmetic("float32", "the model's layers are too small to measure")
    times = exact / (share * low + (1 - share) * exact)
    reason = (
        f"measured: float32 {measured.rate(speeds.FLOAT32)}, bfloat16 "
        f"{measured.rate(speeds.BFLOAT16)}; {times:.2f} times as fast as float32 with {share:.0%} "
        f"of the products in bfloat16, and {_MARGIN} times are asked for"
    )
    return Arithmetic(MIXED if times >= _MARGIN else "float32", reason)


def multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions that multiply bfloat16."""
    import torch

    onednn: Any = torch.backends.mkldnn  # annotated because its functions carry no types
    if not onednn.is_available():
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def stored_as(dtype: Dtype) -> torch.dtype:
    """Return the type in which a model's weights are loaded."""
    import torch

    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


def mix(model: torch.nn.Module) -> int:
    """Turn the feed-forward layers of a float32 model to bfloat16; return how many were found."""
    import torch

    found = feed_forward_layers(model)
    for module in found:
        module.to(torch.bfloat16).register_forward_pre_hook(_to_bfloat16)
    return len(found)


def linear_layers(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Return all linear layers of a model."""
    import torch

    return [module for module in model.modules() if isinstance(module, torch.nn.Linear)]


def feed_forward_layers(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """Return the linear layers of a model's feed-forward blocks."""
    import torch

    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and _is_feed_forward(name)
    ]


def _is_feed_forward(name: str) -> bool:
    """Return whether the layer at a path is half of a feed-forward block.

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
