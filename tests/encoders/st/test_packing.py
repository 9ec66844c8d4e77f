"""Packed layers give what the layers gave, and are left alone where torch cannot pack."""

from __future__ import annotations

import copy
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from clir_bench.encoders.st import packing
from clir_bench.encoders.st.packing import pack

PACKS = torch.backends.mkldnn.is_available()


def layers(dtype: torch.dtype, *, bias: bool = True) -> torch.nn.Sequential:
    torch.manual_seed(0)
    made = torch.nn.Sequential(
        torch.nn.Linear(48, 96, bias=bias), torch.nn.GELU(), torch.nn.Linear(96, 48, bias=bias)
    )
    return made.to(dtype).eval()


@pytest.mark.skipif(not PACKS, reason="this torch has no oneDNN")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 48), (5, 7, 48), (3000, 48)])
def test_packed_layers_give_the_same_values(shape: tuple[int, ...], bias: bool) -> None:
    plain = layers(torch.float32, bias=bias)
    packed = copy.deepcopy(plain)
    assert pack(packed) == 2
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(packed(inputs), plain(inputs), atol=1e-5)


@pytest.mark.skipif(not PACKS, reason="this torch has no oneDNN")
def test_packed_bfloat16_layers_stay_within_its_rounding() -> None:
    plain = layers(torch.bfloat16)
    packed = copy.deepcopy(plain)
    if pack(packed) == 0:
        pytest.skip("this processor packs no bfloat16")
    inputs = torch.randn(64, 48, generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.inference_mode():
        assert torch.allclose(packed(inputs), plain(inputs), atol=1e-2)


def _missing(*_: Any) -> Any:
    raise RuntimeError("no such operator here")


@pytest.mark.parametrize(
    "operators",
    [
        SimpleNamespace(),
        SimpleNamespace(
            _linear_pointwise=_missing, _reorder_linear_weight=lambda weight, _: weight
        ),
        SimpleNamespace(
            _linear_pointwise=lambda rows, weight, *_: rows @ weight.T + 1,
            _reorder_linear_weight=lambda weight, _: weight,
        ),
    ],
    ids=["absent", "failing", "giving other values"],
)
def test_layers_stay_as_they_are_where_torch_cannot_pack_and_the_log_says_so(
    operators: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = layers(torch.float32)
    left = copy.deepcopy(plain)
    monkeypatch.setattr(torch.ops, "mkldnn", operators)
    with caplog.at_level(logging.INFO, "clir_bench"):
        assert pack(left) == 0
    assert "going on without" in caplog.text
    inputs = torch.randn(4, 48)
    assert torch.equal(left(inputs), plain(inputs))


def test_a_model_whose_weights_would_take_gigabytes_twice_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = layers(torch.float32)
    monkeypatch.setattr(packing, "_MOST_BYTES", 1000)
    assert pack(plain) == 0
