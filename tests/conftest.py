"""Fixtures every test module may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real benchmark data, or a skip that says how to have it."""
    folder = os.environ.get("CLIR_BENCH_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real benchmark data: set CLIR_BENCH_DATA to its folder")
    return Path(folder)
