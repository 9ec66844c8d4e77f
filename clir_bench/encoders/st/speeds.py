"""Measures how fast this machine computes a model's layer in float32 and in bfloat16.

The instruction set of a processor does not show their speed: bfloat16 products are twice as fast as
float32 products on one kind, and take twice as long on another. The measurements are kept in the
cache, one file per kind of machine, number of threads, version of torch and shape of layer. Later
runs and worker processes read them, so all of them choose the same arithmetic and make the same
bytes, however busy the machine is.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clir_bench.core import provenance
from clir_bench.encoders.st import packing
from clir_bench.tasks.cache import cache_directory

if TYPE_CHECKING:
    import torch

_LOGGER = logging.getLogger(__name__)

ROWS = 768
"""Tokens in the measured product: a full batch on a processor."""
FLOAT32, BFLOAT16 = "float32", "bfloat16"
PACKED = ", packed"
_MARGIN = 1.05
"""Plain weights are used only if they are this many times as fast as packed ones."""
_SMALLEST = 2e7
"""A product of fewer operations is too fast for the clock."""
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 25
_ENOUGH_SECONDS = 0.2
_VERSION = 1

_known: dict[Path, Speeds] = {}


@dataclass(frozen=True)
class Speeds:
    """Seconds of one layer's product, for each way to compute it.

    Attributes:
        operations: Of the product.
        seconds: By way: "float32" and "bfloat16", and each of them followed by ", packed". A
            bfloat16 product includes turning float32 to bfloat16 and back. Empty where nothing was
            measured.
    """

    operations: float = 0.0
    seconds: Mapping[str, float] | None = None

    def packs(self, dtype: str) -> bool:
        """Return whether to pack weights of an arithmetic; true if unmeasured."""
        found = self.seconds or {}
        plain, packed = found.get(dtype), found.get(dtype + PACKED)
        return plain is None or packed is None or packed < plain * _MARGIN

    def best(self, dtype: str) -> float | None:
        """Return the seconds of the chosen way in an arithmetic, None if unmeasured."""
        found = self.seconds or {}
        return found.get(dtype + PACKED if self.packs(dtype) else dtype, found.get(dtype))

    def rate(self, dtype: str) -> str:
        """Return billions of operations per second as text, for people."""
        seconds = self.best(dtype)
        return "not measured" if not seconds else f"{self.operations / seconds / 1e9:.0f} GFLOP/s"


def here(layer: torch.nn.Linear, *, with_bfloat16: bool) -> Speeds:
    """Return the speeds of a layer on this machine, measured now or by an earlier process.

    Layers too small for the clock, and machines whose cache cannot be written, have no speeds for
    packing: a measurement that cannot be stored must not decide the bytes of the output.

    Args:
        layer: The model's largest feed-forward layer, in float32 and not packed.
        with_bfloat16: Whether bfloat16 is worth trying.
    """
    operations = 2.0 * ROWS * layer.weight.numel()
    if operations < _SMALLEST:
        return Speeds()
    machine = _machine(layer, with_bfloat16)
    key = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()[:24]
    path = cache_directory() / "speeds" / f"{key}.json"
    if path in _known:
        return _known[path]
    seconds = _read(path)
    if seconds is None:
        seconds = measure(ways_of(layer, with_bfloat16=with_bfloat16))
        seconds = _remembered(path, machine, seconds)
    _known[path] = found = Speeds(operations, seconds)
    return found


def ways_of(
    layer: torch.nn.Linear, *, with_bfloat16: bool
) -> dict[str, Callable[[], torch.Tensor]]:
    """Return every way to compute a layer's product of `ROWS` tokens, as a model would."""
    import torch

    rows = torch.linspace(-1, 1, ROWS * layer.in_features).view(ROWS, -1)
    ways: dict[str, Callable[[], torch.Tensor]] = {}
    dtypes = (torch.float32, torch.bfloat16) if with_bfloat16 else (torch.float32,)
    for dtype in dtypes:
        name = str(dtype).removeprefix("torch.")
        copied = copy.deepcopy(layer).to(dtype)
        forwards: dict[str, Any] = {name: copied.forward}
        if packing.fits([copied]) and (packed := packing.packed(copied)) is not None:
            forwards[name + PACKED] = packed
        for way, forward in forwards.items():
            ways[way] = _converting(forward, rows, dtype)
    return ways


def _converting(
    forward: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, dtype: torch.dtype
) -> Callable[[], torch.Tensor]:
    return lambda: forward(rows.to(dtype)).float()


def measure(
    ways: Mapping[str, Callable[[], object]], clock: Callable[[], float] | None = None
) -> dict[str, float]:
    """Return the least seconds of every way.

    All are run in turn, several times, so other work on the machine slows all of them alike. The
    least time of each counts, because other work affects it least. For a single thread it is
    processor time, which other work hardly affects.
    """
    import torch

    if clock is None:
        clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    least = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for way in ways.values():
            way()
        began = clock()
        for number in range(_MOST_ROUNDS):
            if number >= _LEAST_ROUNDS and clock() - began > _ENOUGH_SECONDS:
                break
            for name, way in ways.items():
                started = clock()
                way()
                least[name] = min(least[name], clock() - started)
    return least


def _machine(layer: torch.nn.Linear, with_bfloat16: bool) -> dict[str, object]:
    """Return everything that decides the speeds."""
    import torch

    hardware = provenance.hardware()
    return {
        "version": _VERSION,
        "processor": hardware["processor"],
        "cores": hardware["cores"],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": with_bfloat16,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "layer": [ROWS, layer.in_features, layer.out_features],
    }


def _read(path: Path) -> dict[str, float] | None:
    """Return stored seconds, None if there are no valid ones."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["seconds"]
        seconds = {str(way): float(value) for way, value in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    sound = all(0 < value < float("inf") for value in seconds.values())
    return seconds if sound and FLOAT32 in seconds else None


def _remembered(
    path: Path, machine: Mapping[str, object], seconds: Mapping[str, float]
) -> dict[str, float]:
    """Store the measurements and return the stored ones: the first process decides."""
    text = json.dumps({"machine": machine, "seconds": seconds}, indent=2, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / path.name
            whole.write_text(text, encoding="utf-8")
            if path.exists() and _read(path) is None:
                whole.replace(path)  # the stored file is damaged
            else:
                path.hardlink_to(whole)
    except FileExistsError:
        pass
    except OSError as error:
        _LOGGER.info("speeds cannot be kept in %s (%s): weights are packed", path.parent, error)
        return {way: value for way, value in seconds.items() if _is_taken(way, seconds)}
    return _read(path) or dict(seconds)


def _is_taken(way: str, seconds: Mapping[str, float]) -> bool:
    """Return whether a way is packed, or has no packed variant."""
    return way.endswith(PACKED) or way + PACKED not in seconds
