"""The program of the separate process in which `isolation.run_apart` tests a plugin.

It runs as `python -m clir_bench.testing.isolated WHAT ANSWER`. It reads the request as JSON from
standard input, and writes the answer as JSON to the file ANSWER.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CONNECTING = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}
"""Audit event to which of its arguments is the address."""
_LOCAL = ("127.", "localhost", "::1")
_TIMED_SECONDS = 0.5


class Wall:
    """Refuses every connection that leaves this machine, and records its target and phase."""

    def __init__(self) -> None:
        self.phase = "import"
        self.connections: dict[str, list[str]] = defaultdict(list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CONNECTING:
            return
        address = arguments[_CONNECTING[event]]
        host = address[0] if isinstance(address, tuple) else address
        if event.startswith("socket.get"):
            host = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "::1")
        elif not isinstance(address, tuple):  # a socket file, or a socket that is connected
            return
        if str(host).startswith(_LOCAL):
            return
        self.connections[self.phase].append(str(host))
        raise OSError(errno.ENETUNREACH, "the checks of clir-bench refuse every network connection")


def observe_encoder(request: dict[str, Any], wall: Wall) -> dict[str, Any]:
    """Return the fields of `isolation.Apart`, up to where the encoder failed."""
    from clir_bench.core import plugins, provenance
    from clir_bench.encoders import load_encoder
    from clir_bench.errors import ClirBenchError
    from clir_bench.testing.subject import EncoderSubject
    from clir_bench.testing.texts import SENTENCES, long_text

    answer: dict[str, Any] = {"connections": wall.connections, "error": "", "vectors": {}}
    try:
        started = time.perf_counter()
        name = request["spec"].partition(":")[0]
        if name in plugins.names(plugins.ENCODERS):
            plugins.load(plugins.ENCODERS, name)
        wall.phase = "load"
        subject = EncoderSubject(load_encoder(request["spec"], **request["options"]))
        answer["load_seconds"] = time.perf_counter() - started
        answer["loaded_bytes"] = provenance.peak_memory_bytes()
        wall.phase = "encode"
        for side in ("queries", "documents"):
            rows = subject.rows(side, SENTENCES)
            answer["vectors"][side] = [row.tolist() for row in rows]
        queries = [f"{sentence} {number}" for number in range(4) for sentence in SENTENCES]
        answer["queries_per_second"] = _rate(lambda: subject.rows("queries", queries), len(queries))
        documents = [f"{number} {long_text(100)}" for number in range(32)]
        answer["documents_per_second"] = _rate(
            lambda: subject.rows("documents", documents), len(documents)
        )
    except ClirBenchError as error:
        answer["error"] = f"{wall.phase}: {error}"
    answer["peak_bytes"] = provenance.peak_memory_bytes()
    return answer


def _rate(encode: Callable[[], object], n_texts: int) -> float:
    """Return texts per second, over as many rounds as begin within half a second."""
    started, rounds = time.perf_counter(), 0
    while rounds == 0 or (time.perf_counter() - started < _TIMED_SECONDS and rounds < 50):
        encode()
        rounds += 1
    return n_texts * rounds / (time.perf_counter() - started)


def hash_collections(request: dict[str, Any], _: Wall) -> dict[str, Any]:
    """Return the data hash of every pair of a task."""
    from clir_bench.testing.tasks import TaskSubject

    subject = TaskSubject(
        request["task"],
        split=request["split"],
        pairs=request["pairs"],
        data_dir=Path(request["data_dir"]) if request["data_dir"] else None,
    )
    return {"sha256": subject.hashes()}


def main() -> None:
    """Answer one request."""
    what, answer = sys.argv[1:]
    request = json.load(sys.stdin)
    wall = Wall()
    sys.addaudithook(wall)
    found = {"encoder": observe_encoder, "adapter": hash_collections}[what](request, wall)
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
