"""Fixtures every test module may use."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Each of pytest's processes has one core: more threads would wait for each other. The package and
# the tests are compiled once, not by each of the hundreds of processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Tests fail for what is wrong, not for a machine that is busy; and for the same reason everywhere.
hypothesis.settings.register_profile(
    "claims",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("claims")

_OFF_BY_DEFAULT = ("network", "gpu", "slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is off by default unless `-m` names it, as in `-m slow`."""
    asked = set(re.findall(r"\w+", config.getoption("markexpr")))
    for item in items:
        for mark in _OFF_BY_DEFAULT:
            if item.get_closest_marker(mark) is not None and mark not in asked:
                item.add_marker(pytest.mark.skip(reason=f"off by default; run with -m {mark}"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real benchmark data, or a skip that says how to have it."""
    folder = os.environ.get("CLIR_BENCH_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real benchmark data: set CLIR_BENCH_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Make fsync return at once: a test cannot see whether bytes outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
