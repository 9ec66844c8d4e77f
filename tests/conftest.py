"""Fixtures every test module may use."""

from __future__ import annotations

import os
import re
from pathlib import Path

import hypothesis
import pytest

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
