"""Tests an encoder in a separate process, which refuses and records every network connection.

The process has another `PYTHONHASHSEED` (which exposes vectors that depend on `hash(text)`) and
runs the Hub's libraries in offline mode; its standard output is recorded. Python's audit events
(PEP 578) report connections. They miss sockets that a library opens in native code; there, only
offline mode helps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clir_bench.testing.report import BrokenPromiseError

TIMEOUT_SECONDS = 600
_SHOWN_LINES = 3


@dataclass(frozen=True)
class Places:
    """Settings with which the process starts, for tests."""

    timeout_seconds: float = TIMEOUT_SECONDS
    python: str = sys.executable


@dataclass(frozen=True)
class Apart:
    """What was seen of an encoder in a separate process.

    Attributes:
        connections: Phase ("import", "load", "encode") to the addresses it tried to reach.
        error: Phase and message of the error that stopped it, "" without one.
        printed: What it wrote to standard output.
        vectors: Side to one `(n_vectors, dim)` nested list per text of `texts.SENTENCES`.
        load_seconds: From importing the package to the encoder.
        queries_per_second: Of short texts.
        documents_per_second: Of texts of 100 words.
        loaded_bytes: Peak memory once loaded.
        peak_bytes: Peak memory after all.
    """

    connections: dict[str, list[str]]
    error: str
    printed: str
    vectors: dict[str, list[list[list[float]]]]
    load_seconds: float = 0.0
    queries_per_second: float = 0.0
    documents_per_second: float = 0.0
    loaded_bytes: int = 0
    peak_bytes: int = 0


def observe(spec: str, options: Mapping[str, Any], places: Places) -> Apart:
    """Load and try the encoder `spec` in a separate process.

    Raises:
        BrokenPromiseError: The process died or did not end.
    """
    found, printed = run_apart("encoder", {"spec": spec, "options": dict(options)}, places)
    return Apart(**found, printed=printed)


def run_apart(what: str, request: Mapping[str, Any], places: Places) -> tuple[dict[str, Any], str]:
    """Return what `isolated.py` found about an encoder or an adapter, and what was printed.

    Raises:
        BrokenPromiseError: The process died or did not end.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        try:
            done = subprocess.run(
                [places.python, "-P", "-m", "clir_bench.testing.isolated", what, str(answer)],
                input=json.dumps(request),
                capture_output=True,
                check=False,
                text=True,
                errors="replace",
                env=_environment(),
                timeout=places.timeout_seconds,
            )
        except subprocess.TimeoutExpired:
            raise BrokenPromiseError(
                f"a separate process did not end within {places.timeout_seconds:,.0f} seconds"
            ) from None
        if not answer.is_file():
            last = " / ".join(done.stderr.strip().splitlines()[-_SHOWN_LINES:])
            raise BrokenPromiseError(
                f"a separate process ended with code {done.returncode}: {last}"
            )
        return json.loads(answer.read_text(encoding="utf-8")), done.stdout


def _environment() -> dict[str, str]:
    here = os.environ.get("PYTHONHASHSEED", "random")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONHASHSEED": "1" if here == "2" else "2",
        "HF_HUB_OFFLINE": "1",
    }
