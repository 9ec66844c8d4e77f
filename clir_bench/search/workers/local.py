"""Runs workers as processes of this machine.

Each is a program of its own. Forking would break torch's threads and CUDA, and `multiprocessing`
would run the main script again.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from clir_bench.errors import EncoderError, WorkerError
from clir_bench.search.workers import messages
from clir_bench.search.workers.executor import Loading, TextBatch
from clir_bench.search.workers.pool import Done, Event, Failed, Lost, Ready

_PATIENCE_SECONDS = 5.0
_SERVE = "clir_bench.search.workers.serve"


@dataclass
class _Process:
    """A worker."""

    name: str
    device: str
    connection: Connection
    process: subprocess.Popen[bytes]

    def end(self) -> str:
        """End it if it has not ended, and say how it ended."""
        with suppress(OSError):
            self.connection.close()
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        code = self.process.returncode
        return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


class LocalCrew:
    """Processes of this machine.

    Args:
        loading: How each loads the encoder.
        devices: One worker per device: "cuda:0", "cuda:1", or "cpu" several times.
        threads: Threads per worker on a processor.
    """

    def __init__(self, loading: Loading, devices: Sequence[str], threads: int) -> None:
        self._loading, self._devices, self._threads = loading, tuple(devices), threads
        self._processes: dict[str, _Process] = {}

    def wanted(self) -> int:
        """Return how many workers there should be: one per device."""
        return len(self._devices)

    def start(self) -> str:
        """Start a process for the first device that has none, and return its name."""
        taken = [process.device for process in self._processes.values()]
        free = list(self._devices)
        for device in taken:
            free.remove(device)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", _SERVE, str(theirs.fileno()), str(os.getpid())],
                    pass_fds=[theirs.fileno()],
                    # Its own session, so that Ctrl-C reaches only this process.
                    process_group=0,
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else None,
                    env=self._environment(),
                )
            except OSError as error:
                ours.close()
                raise WorkerError(f"a worker process cannot be started: {error}") from error
        connection = Connection(ours.detach())
        name = str(process.pid)
        self._processes[name] = _Process(name, free[0], connection, process)
        # A worker that cannot be reached has ended, which `wait` finds out.
        with suppress(OSError):
            messages.send(connection, asdict(replace(self._loading, device=free[0])))
        return name

    def give(self, worker: str, number: int, batch: TextBatch) -> None:
        """Send a batch; a worker that has ended says so in `wait`."""
        with suppress(OSError):
            connection = self._processes[worker].connection
            messages.send(connection, messages.batch_message(number, batch))

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events so far, after waiting at most `seconds` for one."""
        by_connection: dict[Any, _Process] = {p.connection: p for p in self._processes.values()}
        return [self._event(by_connection[one]) for one in wait(list(by_connection), seconds)]

    def dismiss(self, worker: str) -> None:
        """End a worker."""
        if (process := self._processes.pop(worker, None)) is not None:
            process.process.terminate()
            process.end()

    def stop(self) -> None:
        """End all workers at once: their current work is not needed any more."""
        for process in self._processes.values():
            process.process.terminate()
        while self._processes:
            self._processes.popitem()[1].end()

    def _event(self, process: _Process) -> Event:
        try:
            message = messages.receive(process.connection)
            if message["event"] == "ready":
                return Ready(process.name, message["identity"])
            if message["event"] == "done":
                encoded = messages.receive_encoded(process.connection, message)
                return Done(process.name, message["number"], encoded)
            return Failed(process.name, message["number"], EncoderError(message["message"]))
        except (EOFError, OSError):
            del self._processes[process.name]
            return Lost(process.name, process.end())

    def _environment(self) -> dict[str, str]:
        """Return the environment of a worker: this one's packages, its share of threads."""
        threads = str(self._threads)
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            "OMP_NUM_THREADS": threads,
            "RAYON_NUM_THREADS": threads,
            # This process' model is in the cache; a worker must not fetch a newer one.
            "HF_HUB_OFFLINE": "1",
        }


def _has_descriptor(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True
