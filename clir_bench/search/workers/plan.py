"""Decides how many workers to use, and whether they are worth it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import get_args

from clir_bench.encoders.contract import AnyChecked, family_of
from clir_bench.encoders.st.precision import Dtype
from clir_bench.errors import UsageError
from clir_bench.search.workers.executor import Executor, Here, Loading, identity_of
from clir_bench.search.workers.local import LocalCrew
from clir_bench.search.workers.pool import Crew, WorkerPool

_WORTH_SECONDS = 60.0
"""Processes take some ten seconds to load torch and a model; shorter work stays here."""
_OPERATIONS_PER_SECOND = {"cuda": 2e13}
_CORE_OPERATIONS_PER_SECOND = 5e10
_TOKENS_PER_TEXT = 100
_PROCESS_BYTES = 600 * 2**20
"""Memory of a process with torch and sentence-transformers loaded, without the model."""
_MEMORY_SHARE = 0.5


@dataclass
class Workers:
    """The workers for one encoder, which are started when it is worth it.

    Attributes:
        encoder: The encoder, loaded here.
        loading: How it was loaded.
        number: Number of workers; None for as many as this machine has GPUs or cores for, if the
            work is worth it.
        threads: Of each worker on processors; None for an equal share of the cores.
        address: Of a Ray cluster, empty for that of $RAY_ADDRESS or of this machine; None for
            processes of this machine.
        threads_each: What each worker of this machine was given; None while there are none.
    """

    encoder: AnyChecked
    loading: Loading
    number: int | None = None
    threads: int | None = None
    address: str | None = None
    threads_each: int | None = field(default=None, init=False)
    _pool: WorkerPool | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name, value in (("workers", self.number), ("threads", self.threads)):
            if value is not None and value < 1:
                raise UsageError(f"{name} {value}: expected at least 1")

    def __enter__(self) -> Workers:
        """Connect to the cluster, if any, now and not after hours of checking data.

        Raises:
            UsageError: Ray is asked for and not installed.
            WorkerError: There is no cluster at the address.
        """
        if self.address is not None:
            self.executor(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def executor(self, n_texts: int) -> Executor:
        """Return the executor for this many texts.

        Raises:
            UsageError: Ray is asked for and not installed.
            WorkerError: There is no cluster at the address.
        """
        if self._pool is None and n_texts and (crew := self._crew(n_texts)) is not None:
            self._pool = WorkerPool(crew, identity_of(self.encoder), family_of(self.encoder))
        return self._pool or Here(self.encoder)

    def load_instead(self, encoder: AnyChecked, loading: Loading) -> None:
        """End workers that loaded the encoder in another way; later ones load it so."""
        if loading != self.loading:
            self.close()
        self.encoder, self.loading = encoder, loading

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _crew(self, n_texts: int) -> Crew | None:
        # Workers must not choose an arithmetic of their own.
        loading = replace(self.loading, dtype=_stated_dtype(self.encoder, self.loading))
        if self.address is not None:
            from clir_bench.search.workers.ray import ClusterCrew

            return ClusterCrew(loading, self.address, self.number, self.threads or 1)
        devices, threads = self._local(n_texts)
        if not devices:
            return None
        self.threads_each = threads
        if devices[0].startswith("cuda"):
            # A large model may not fit a GPU twice.
            getattr(self.encoder.inner, "leave_device", lambda: None)()
        return LocalCrew(loading, devices, threads)

    def _local(self, n_texts: int) -> tuple[list[str], int]:
        """Return one device per worker, none if this process should encode, and their threads."""
        device = str(getattr(self.encoder.inner, "device", "cpu"))
        n_cores = cores()
        if device.startswith("cuda"):
            devices = _gpus(device, self.loading.device)
        else:
            n_workers = self.number or n_cores // (self.threads or 1)
            devices = [device] * n_workers if device == "cpu" else [device]
        if self.number is None:
            devices = devices[: self._memory_for()]
            if len(devices) < 2 or not self._is_worth_it(n_texts, device, n_cores):
                return [], 0
        else:
            devices = (devices * self.number)[: self.number]
            if self.number == 1 and self.threads is None:
                return [], 0
        return devices, self.threads or max(1, n_cores // len(devices))

    def _memory_for(self) -> int:
        """Return how many processes with a model each may fill half of the memory."""
        n_parameters = self.encoder.info.n_parameters or 0
        each = _PROCESS_BYTES + 4 * n_parameters
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return int(_MEMORY_SHARE * memory / each)

    def _is_worth_it(self, n_texts: int, device: str, n_cores: int) -> bool:
        """Return whether this process would be busy for long, if the model tells its size."""
        operations = getattr(self.encoder.inner, "operations", None)
        if operations is None:
            return False
        n_tokens = _TOKENS_PER_TEXT * n_texts
        rate = _OPERATIONS_PER_SECOND.get(device.partition(":")[0])
        rate = rate or _CORE_OPERATIONS_PER_SECOND * n_cores
        return bool(operations({"tokens": n_tokens}) / rate > _WORTH_SECONDS)


def cores() -> int:
    """Return how many cores this process may use.

    OMP_NUM_THREADS, if set, is the limit: users set it on shared machines. A container's share of
    processor time counts as well.
    """
    stated = os.environ.get("OMP_NUM_THREADS", "")
    if stated.isdecimal() and int(stated):
        return int(stated)
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            found = min(found or 1, max(1, int(quota) // int(period)))
    return found or 1


def _gpus(device: str, asked: str) -> list[str]:
    """Return all of the machine's GPUs, or the one that was named."""
    if asked not in ("auto", "cuda"):
        return [device]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def _stated_dtype(encoder: AnyChecked, loading: Loading) -> str:
    found = encoder.info.dtype
    return found if loading.dtype == "auto" and found in get_args(Dtype) else loading.dtype
