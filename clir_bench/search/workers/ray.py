"""Runs workers as actors of a Ray cluster.

Ray carries texts to the actors and vectors back: its machines need clir-bench and the model, but no
shared folder. Machines may join and leave at any time.

Ray listens on all addresses of a machine and runs what it receives. So a cluster started here
accepts nothing without a token, which is new for each process.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from clir_bench.core.guards import told
from clir_bench.encoders.contract import CheckedEncoder, CheckedTokenEncoder
from clir_bench.errors import ClirBenchError, EncoderError, UsageError, WorkerError
from clir_bench.search.workers.executor import EncodedTexts, Loading, TextBatch, encode, identity_of
from clir_bench.search.workers.messages import joined, parted
from clir_bench.search.workers.pool import Done, Event, Failed, Lost, Ready
from clir_bench.types import Vectors

_LOOK_SECONDS = 5.0
"""How often the cluster is asked what it has."""
_NO_WORKERS_SECONDS = 0.1
_TOKENS_SINCE = (2, 60)
"""Ray's version from which a cluster that is started here asks for a token."""
_ANSWER_SECONDS = 5.0
_REMEDY = "Start a cluster with `ray start --head`, and name the address it prints with --address"


class EncodingActor:
    """The actor on the cluster. It returns errors, so that they arrive unchanged."""

    def __init__(self, loading: dict[str, Any]) -> None:
        self._loading = Loading(**loading)
        self._encoder: CheckedEncoder | CheckedTokenEncoder | None = None

    def load(self) -> dict[str, str] | str:
        """Load the encoder and return its identity, or the error."""
        try:
            self._encoder = self._loading.load()
        except ClirBenchError as error:
            return str(error)
        except KeyboardInterrupt as error:  # only the encoder can have raised it
            return f"the encoder raised {told(error)}"
        return identity_of(self._encoder)

    def encode(
        self, batch: TextBatch
    ) -> tuple[Vectors, list[int] | None, float, dict[str, int]] | str:
        """Return a batch's vectors as `messages.joined` does, seconds and counts, or an error."""
        if self._encoder is None:
            return "nothing was loaded"
        try:
            encoded = encode(self._encoder, batch)
        except ClirBenchError as error:
            return str(error)
        except MemoryError as error:
            return f"no memory left: {error}"
        except KeyboardInterrupt as error:
            return f"the encoder raised {told(error)}"
        return (*joined(encoded.vectors), encoded.seconds, encoded.counts)


@dataclass
class _Actor:
    """A worker.

    Attributes:
        handle: Ray's.
        tasks: Its open requests, by Ray's reference to the answer: the number of a batch, or None
            for loading.
    """

    handle: Any
    tasks: dict[Any, int | None] = field(default_factory=dict)


class ClusterCrew:
    """Actors of a Ray cluster.

    Args:
        loading: How each loads the encoder.
        address: The cluster's; "local" for a new private one here; empty for that of $RAY_ADDRESS,
            of this machine, or a new one.
        number: Of actors; None for as many as the cluster has GPUs, or else cores, for.
        threads: Cores of each.

    Raises:
        UsageError: Ray is not installed.
        WorkerError: There is no cluster at the address.
    """

    def __init__(self, loading: Loading, address: str, number: int | None, threads: int) -> None:
        self._ray = _ray()
        self._number, self._threads = number, threads
        self._actors: dict[str, _Actor] = {}
        self._n_started = 0
        self._seen: tuple[float, int] | None = None
        self._connected = not self._ray.is_initialized()
        if self._connected:
            self._connect(address)
        on_gpu = loading.device.startswith("cuda") or (
            loading.device == "auto" and self._resources().get("GPU", 0) > 0
        )
        self._resource = "GPU" if on_gpu else "CPU"
        device = "cuda" if on_gpu else "cpu"
        self._arguments = asdict(replace(loading, device=device))
        self._kind = self._ray.remote(
            num_cpus=threads,
            num_gpus=int(on_gpu),
            max_restarts=0,
            runtime_env={
                "env_vars": {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
            },
        )(EncodingActor)

    def wanted(self) -> int:
        """Return how many actors there should be: as stated, or as the cluster now allows."""
        if self._number is not None:
            return self._number
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > _LOOK_SECONDS:
            each = 1 if self._resource == "GPU" else self._threads
            self._seen = now, max(1, int(self._resources().get(self._resource, 0)) // each)
        return self._seen[1]

    def start(self) -> str:
        """Ask for an actor and return its name; it begins when the cluster has room."""
        actor = _Actor(self._kind.remote(self._arguments))
        actor.tasks[actor.handle.load.remote()] = None
        self._n_started += 1
        name = f"ray-{self._n_started}"
        self._actors[name] = actor
        return name

    def give(self, worker: str, number: int, batch: TextBatch) -> None:
        """Send a batch; an actor that is gone says so in `wait`."""
        actor = self._actors[worker]
        actor.tasks[actor.handle.encode.remote(batch)] = number

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events so far, after waiting at most `seconds` for one."""
        owners = {task: name for name, actor in self._actors.items() for task in actor.tasks}
        if not owners:
            time.sleep(min(seconds, _NO_WORKERS_SECONDS))
            return []
        tasks = list(owners)
        self._ray.wait(tasks, num_returns=1, timeout=seconds, fetch_local=False)
        done, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0, fetch_local=False)
        events: list[Event] = []
        for task in done:
            name = owners[task]
            if name in self._actors:  # an answer from an actor just found lost is computed again
                events.append(self._event(name, task))
        return events

    def dismiss(self, worker: str) -> None:
        """End an actor."""
        if (actor := self._actors.pop(worker, None)) is not None:
            self._kill(actor)

    def stop(self) -> None:
        """End all actors, and the connection if it was made here."""
        while self._actors:
            self._kill(self._actors.popitem()[1])
        if self._connected:
            self._ray.shutdown()

    def _event(self, name: str, task: Any) -> Event:
        number = self._actors[name].tasks.pop(task)
        try:
            found = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            return Failed(name, number, EncoderError(str(error.cause)))
        except self._ray.exceptions.RayError as error:
            self.dismiss(name)
            return Lost(name, " ".join(str(error).split())[:200])
        if isinstance(found, str):
            return Failed(name, number, EncoderError(found))
        if number is None:
            return Ready(name, found)
        rows, lengths, seconds, counts = found
        # A copy; otherwise the array would keep its space in Ray's store.
        return Done(name, number, EncodedTexts(parted(np.array(rows), lengths), seconds, counts))

    def _connect(self, address: str) -> None:
        if not _is_reachable(address):
            raise WorkerError(f"nothing answers at the Ray address {address}. {_REMEDY}")
        # Usage reports would go to the internet.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        wanted = address or os.environ.get("RAY_ADDRESS", "")
        listener = signal.getsignal(signal.SIGTERM)
        try:
            if wanted == "local" or not self._join(wanted):
                self._require_token()
                self._init("local")
            # Ray answers SIGTERM by `sys.exit`.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, listener)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise WorkerError(
                f"Ray cluster {address or '(of this machine)'}: {error}. {_REMEDY}"
            ) from error

    def _join(self, address: str) -> bool:
        """Connect to a cluster; return False when none was named and there is none here."""
        try:
            self._init(address or "auto")
        except ConnectionError:
            if address:
                raise
            return False
        return True

    def _init(self, address: str) -> None:
        self._ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            include_dashboard=False if address == "local" else None,
        )

    def _require_token(self) -> None:
        """Make sure that a cluster started here accepts no other user.

        Raises:
            WorkerError: Ray is too old for that, or is set to accept everybody.
        """
        found = tuple(int(number) for number in re.findall(r"\d+", self._ray.__version__)[:2])
        if found < _TOKENS_SINCE:
            raise WorkerError(
                f"Ray {self._ray.__version__} would start a cluster here in which everybody who "
                f"reaches this machine can run code: pip install 'ray>={_TOKENS_SINCE[0]}."
                f"{_TOKENS_SINCE[1]}', or name a cluster of yours with --address"
            )
        mode = os.environ.get("RAY_AUTH_MODE", "token")
        if mode.lower() != "token":
            raise WorkerError(
                f"RAY_AUTH_MODE={mode} would start a cluster here in which everybody who reaches "
                "this machine can run code: unset it, or name a cluster of yours with --address"
            )
        # Ray itself would write a token to ~/.ray, where others may be able to read it.
        if not os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

    def _resources(self) -> dict[str, float]:
        found: dict[str, float] = self._ray.cluster_resources()
        return found

    def _kill(self, actor: _Actor) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor.handle)


def _is_reachable(address: str) -> bool:
    """Return whether something listens at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return True
    try:
        with socket.create_connection((host, int(port)), _ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(
            "--executor ray needs Ray: pip install 'clir-bench[ray]', here and on the cluster"
        ) from error
    return ray
