"""Python in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )
