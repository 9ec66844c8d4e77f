"""The default arithmetic is the one that was measured to be fast, the same for all of a run."""

from __future__ import annotations

import json
import logging
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import write_dense

from clir_bench.encoders import load_encoder
from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.encoders.st import precision, speeds
from clir_bench.encoders.st.precision import Arithmetic, faster
from clir_bench.encoders.st.speeds import Speeds, measure
from clir_bench.results.system_record import SystemRecord
from clir_bench.search.workers.executor import Loading, identity_of
from clir_bench.search.workers.plan import Workers

ZEN_4 = {"float32": 10.0, "float32, packed": 9.0, "bfloat16": 5.0, "bfloat16, packed": 4.3}
"""bfloat16 2.1 times as fast as float32, packing 1.1 to 1.2 times: seconds of a product."""
XEON = {"float32": 1 / 310, "bfloat16": 1 / 165}
"""The rates reported of a Xeon with avx512_bf16 and without AMX: float32 is the fast one."""


class Machine:
    """A clock, and ways that each take the next of their seconds."""

    def __init__(self, seconds: dict[str, list[float]]) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self._left = {way: iter([*times, *times[-1:] * 100]) for way, times in seconds.items()}

    def clock(self) -> float:
        return self.now

    def ways(self) -> dict[str, Any]:
        return {way: lambda way=way: self._run(way) for way in self._left}

    def _run(self, way: str) -> None:
        self.calls.append(way)
        self.now += next(self._left[way])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(speeds, "_known", {})
    yield tmp_path / "cache" / "speeds"


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tmp_path_factory.mktemp("models") / "tiny", 1)


def says(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> None:
    """Have the machine measure these seconds, whatever the layer."""
    monkeypatch.setattr(speeds, "_SMALLEST", 0)
    monkeypatch.setattr(speeds, "measure", lambda _: dict(seconds))
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another process, which knows only what the cache says."""
    monkeypatch.setattr(speeds, "_known", {})


def test_the_first_call_is_not_counted_and_of_the_others_the_least_is() -> None:
    machine = Machine({"a": [90.0, 3.0, 2.0, 7.0], "b": [1.0, 4.0, 50.0, 5.0]})
    assert measure(machine.ways(), machine.clock) == {"a": 2.0, "b": 4.0}


def test_ways_take_turns_so_that_other_work_slows_all_of_them_down() -> None:
    machine = Machine({"a": [1.0], "b": [1.0]})
    measure(machine.ways(), machine.clock)
    assert machine.calls == ["a", "b"] * 4  # once to warm up, then the least number of rounds


def test_fast_products_are_measured_often_and_slow_ones_seldom() -> None:
    quick, slow = Machine({"a": [0.001]}), Machine({"a": [10.0]})
    measure(quick.ways(), quick.clock)
    measure(slow.ways(), slow.clock)
    assert (len(quick.calls), len(slow.calls)) == (26, 4)


def test_a_busy_moment_changes_no_decision() -> None:
    # Every second product takes ten times as long, as on a machine with other work.
    noisy = {way: [s, 10 * s, s, 10 * s, s] for way, s in ZEN_4.items()}
    machine = Machine(noisy)
    assert measure(machine.ways(), machine.clock) == pytest.approx(ZEN_4)


def test_bfloat16_that_is_slower_is_not_taken_whatever_the_processor_lists() -> None:
    chosen = faster(Speeds(1e9, XEON), share=2 / 3)
    assert chosen.dtype == "float32"
    # 1 / (2/3 * 310/165 + 1/3) = 0.63
    assert "0.63 times as fast" in chosen.reason


def test_bfloat16_that_is_clearly_faster_is_taken() -> None:
    chosen = faster(Speeds(9e9, ZEN_4), share=2 / 3)
    # 9 / (2/3 * 4.3 + 1/3 * 9) = 1.53; 9e9 operations in 9 and 4.3 seconds
    assert chosen.dtype == "mixed-bfloat16"
    assert "1.53 times as fast" in chosen.reason
    assert "float32 1 GFLOP/s, bfloat16 2 GFLOP/s" in chosen.reason


@pytest.mark.parametrize(
    ("times", "dtype"), [(1.0, "float32"), (1.14, "float32"), (1.16, "mixed-bfloat16")]
)
def test_the_whole_plan_must_be_faster_by_a_margin(times: float, dtype: str) -> None:
    # With half of the products n times as fast, the whole is 1 / (1/2 + 1/2n) times as fast.
    low = 2 / times - 1
    assert faster(Speeds(1.0, {"float32": 1.0, "bfloat16": low}), share=0.5).dtype == dtype


def test_conversions_count_and_every_way_makes_the_layers_product() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 96).eval()
    ways = speeds.ways_of(layer, with_bfloat16=True)
    assert {"float32", "bfloat16"} <= set(ways)
    rows = torch.linspace(-1, 1, speeds.ROWS * 64).view(speeds.ROWS, 64)
    with torch.inference_mode():
        expected = layer(rows)
        for name, way in ways.items():
            found = way()
            assert found.dtype == torch.float32
            assert torch.allclose(found, expected, atol=1e-5 if "float32" in name else 0.05)
    assert layer.weight.dtype == torch.float32


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("seconds", "dtype"), [(ZEN_4, "mixed-bfloat16"), (XEON, "float32")])
def test_auto_takes_what_was_measured_to_be_fast_and_says_what_that_was(
    seconds: dict[str, float], dtype: str, dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, seconds)
    info = load_encoder(f"st:{dense}", device="cpu").info
    assert info.dtype == dtype
    assert info.dtype_reason.startswith("measured: float32 ")
    stated = load_encoder(f"st:{dense}", device="cpu", dtype=dtype).info
    assert (stated.dtype, stated.dtype_reason) == (dtype, "")


@pytest.mark.usefixtures("cache")
def test_what_was_measured_is_recorded_and_is_no_part_of_what_the_system_is(
    dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, ZEN_4)
    auto, stated = (
        load_encoder(f"st:{dense}", device="cpu", dtype=dtype)
        for dtype in ("auto", "mixed-bfloat16")
    )
    records = [
        SystemRecord.of(one.info, dim=one.dim, spec="x", package="y 1") for one in (auto, stated)
    ]
    assert records[0].dtype_reason == auto.info.dtype_reason != ""
    assert records[0].fingerprint() == records[1].fingerprint()
    assert identity_of(auto) == identity_of(stated)


@pytest.mark.usefixtures("cache")
def test_workers_are_told_the_arithmetic_and_measure_none(
    dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, ZEN_4)
    loading = Loading(f"st:{dense}", device="cpu")
    crews: list[Loading] = []
    monkeypatch.setattr(
        "clir_bench.search.workers.plan.LocalCrew", lambda loading, *_: crews.append(loading)
    )
    Workers(loading.load(), loading, number=2)._crew(1000)
    assert [each.dtype for each in crews] == ["mixed-bfloat16"]


def test_later_processes_decide_as_the_first_did(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = torch.nn.Linear(64, 96)
    says(monkeypatch, ZEN_4)
    first = speeds.here(layer, with_bfloat16=True)
    forget(monkeypatch)
    says(monkeypatch, XEON)
    assert speeds.here(layer, with_bfloat16=True) == first
    assert len(list(cache.iterdir())) == 1


def test_of_processes_that_measure_at_once_the_first_decides(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = torch.nn.Linear(64, 96)
    says(monkeypatch, XEON)

    def measured_meanwhile(_: object) -> dict[str, float]:
        forget(monkeypatch)
        says(monkeypatch, ZEN_4)
        speeds.here(layer, with_bfloat16=True)
        forget(monkeypatch)
        return dict(XEON)

    monkeypatch.setattr(speeds, "measure", measured_meanwhile)
    assert speeds.here(layer, with_bfloat16=True).seconds == ZEN_4
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "{", '{"seconds": {"float32": -1}}', "[]", '{"seconds": 3}'])
def test_a_damaged_record_is_made_anew(
    text: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = torch.nn.Linear(64, 96)
    says(monkeypatch, ZEN_4)
    speeds.here(layer, with_bfloat16=True)
    (path,) = cache.iterdir()
    path.write_text(text)
    forget(monkeypatch)
    says(monkeypatch, XEON)
    assert speeds.here(layer, with_bfloat16=True).seconds == XEON
    assert json.loads(path.read_text())["seconds"] == XEON


def test_another_number_of_threads_is_measured_for_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = torch.nn.Linear(64, 96)
    says(monkeypatch, ZEN_4)
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        speeds.here(layer, with_bfloat16=True)
    assert len(list(cache.iterdir())) == 2


def test_weights_stay_plain_only_where_plain_ones_are_clearly_faster() -> None:
    slower = Speeds(1.0, {"float32": 1.0, "float32, packed": 1.06})
    assert not slower.packs("float32")
    assert slower.best("float32") == 1.0
    assert Speeds(1.0, {"float32": 1.0, "float32, packed": 1.04}).packs("float32")
    assert Speeds().packs("float32")  # not measured


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("packed", [0.5, 2.0])
def test_a_model_is_packed_where_that_was_measured_to_be_faster(
    packed: float, dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, {"float32": 1.0, "float32, packed": packed})
    encoder = load_encoder(f"st:{dense}", device="cpu", dtype="float32")
    assert isinstance(encoder, CheckedEncoder)
    layers = precision.linear_layers(encoder.inner._model[0])  # type: ignore[attr-defined]
    are_packed = {"forward" in vars(layer) for layer in layers}
    assert are_packed == {packed < 1 and torch.backends.mkldnn.is_available()}


def test_where_nothing_can_be_remembered_packing_is_left_to_no_measurement(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parent.write_text("a file where a folder belongs")
    says(monkeypatch, {"float32": 1.0, "float32, packed": 2.0})
    with caplog.at_level(logging.INFO, "clir_bench"):
        assert speeds.here(torch.nn.Linear(64, 96), with_bfloat16=False).packs("float32")
    assert "speeds cannot be kept" in caplog.text


def test_a_layer_too_small_for_the_clock_is_not_measured_and_nothing_is_stored(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds, "measure", lambda _: pytest.fail("measured"))
    tiny = speeds.here(torch.nn.Linear(32, 64), with_bfloat16=True)
    assert faster(tiny, 0.5) == Arithmetic("float32", "the model's layers are too small to measure")
    assert not cache.exists()


def test_measuring_is_cheap(cache: Path) -> None:
    import time

    layer = torch.nn.Linear(384, 1536)  # all-MiniLM-L6-v2's
    started = time.process_time()
    found = speeds.here(layer, with_bfloat16=False)
    assert time.process_time() - started < 3  # 0.3 on an idle machine
    assert (found.best("float32") or 0) > 0
    (path,) = cache.iterdir()
    assert json.loads(path.read_text())["machine"]["layer"] == [768, 384, 1536]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tells of glibc's allocator")
def test_memory_of_one_batch_is_kept_for_the_next() -> None:
    code = """
import resource, torch
torch.set_num_threads(1)
from clir_bench.encoders.st.batching import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [torch.ones(768, 1536) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
keep_freed_memory()
faults()
print(first, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 10_000  # pages of 4 KiB: 4 x 4.7 MB twenty times are 92,160
    assert after < 500
