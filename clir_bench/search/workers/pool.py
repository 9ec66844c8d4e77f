"""Gives batches to workers of any kind and returns their vectors, even if workers are lost.

Other workers encode a lost worker's batches again, and a new worker replaces it. A worker gets
batches only after it has reported which model and packages it loaded, and they are the same as
here.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from clir_bench.core import profiling
from clir_bench.core.display import shortened
from clir_bench.errors import ClirBenchError, WorkerError
from clir_bench.search.workers.executor import EncodedTexts, Pending, TextBatch

logger = logging.getLogger(__name__)

IN_HAND = 2
"""Batches per worker at once: one that it encodes, and the next one."""
_AHEAD, _AHEAD_LATE = 3, 2
"""Batches per worker that are handed out or wait to be read, so a slow worker delays no other. For
late interaction, whose windows take some 100 MB, only the batches that workers hold."""
_ATTEMPTS = 3
_STARTS = 3
_WAIT_SECONDS = 1.0
_SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Ready:
    """A worker has loaded the model.

    Attributes:
        identity: Its model and packages, from `executor.identity_of`.
    """

    worker: str
    identity: Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """A worker has encoded a batch."""

    worker: str
    number: int
    encoded: EncodedTexts


@dataclass(frozen=True)
class Failed:
    """A worker's encoder has refused a batch, or could not be loaded.

    Attributes:
        number: Of the batch; None for the loading.
    """

    worker: str
    number: int | None
    error: ClirBenchError


@dataclass(frozen=True)
class Lost:
    """A worker is gone."""

    worker: str
    reason: str


Event: TypeAlias = Ready | Done | Failed | Lost


class Crew(Protocol):
    """Starts workers and talks to them; the pool handles order, failures and turns."""

    def wanted(self) -> int:
        """Return how many workers there should be now."""
        ...

    def start(self) -> str:
        """Begin to start a worker and return its name.

        Raises:
            WorkerError: No worker can be started at all.
        """
        ...

    def give(self, worker: str, number: int, batch: TextBatch) -> None:
        """Send a batch to a worker that is ready; one that is gone says so in `wait`."""
        ...

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return the events so far, after waiting at most `seconds` for one."""
        ...

    def dismiss(self, worker: str) -> None:
        """End a worker."""
        ...

    def stop(self) -> None:
        """End all workers."""
        ...


@dataclass
class _Ticket:
    """A batch and its state.

    Attributes:
        n_lost: Workers that were lost while they held it. After the first, only a worker with no
            other batch gets it, so that no batch is blamed for another.
    """

    batch: TextBatch
    n_lost: int = 0
    encoded: EncodedTexts | None = None
    error: ClirBenchError | None = None

    @property
    def is_open(self) -> bool:
        return self.encoded is None and self.error is None


@dataclass
class _Staff:
    """Workers by their state."""

    ready: dict[str, deque[int]] = field(default_factory=dict)
    starting: set[str] = field(default_factory=set)
    n_failed_starts: int = 0
    problem: ClirBenchError | None = None


class WorkerPool:
    """The executor whose batches are encoded by a crew.

    Args:
        crew: The workers.
        identity: The model and packages they must load, from `executor.identity_of`.
        late: Whether a text has several vectors.
    """

    def __init__(self, crew: Crew, identity: Mapping[str, str], *, late: bool) -> None:
        self.late = late
        self._crew, self._identity = crew, identity
        self._staff = _Staff()
        self._tickets: dict[int, _Ticket] = {}
        self._queue: list[int] = []
        self._n_submitted = 0

    @property
    def ahead(self) -> int:
        """Batches that may be handed out before the first one is requested."""
        return (_AHEAD_LATE if self.late else _AHEAD) * max(1, self._crew.wanted())

    def has_room(self) -> bool:
        """Return whether a further batch would find, or soon find, a worker with nothing to do."""
        return len(self._tickets) < self.ahead

    def submit(self, batch: TextBatch) -> Pending:
        """Hand out a batch."""
        number = self._n_submitted
        self._n_submitted += 1
        self._tickets[number] = _Ticket(batch)
        heapq.heappush(self._queue, number)
        self._turn(0)
        return _Handed(self, number)

    def collect(self, number: int) -> EncodedTexts:
        """Wait for a batch and forget it.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
            WorkerError: No worker is left to encode it.
        """
        ticket = self._tickets[number]
        since, told = time.monotonic(), False
        with profiling.stage("encode"):
            while ticket.is_open:
                self._turn(_WAIT_SECONDS)
                if self._staff.ready:
                    since = time.monotonic()
                elif not told and time.monotonic() - since > _SILENCE_SECONDS:
                    told = True
                    logger.warning(
                        "waiting for a worker: %d are being started", len(self._staff.starting)
                    )
        del self._tickets[number]
        if ticket.encoded is None:
            raise ticket.error or WorkerError("a batch came to nothing")
        profiling.count_worker(ticket.encoded.seconds, ticket.encoded.counts)
        return ticket.encoded

    def discard(self, number: int) -> None:
        """Forget a batch; a worker's result for it is thrown away."""
        self._tickets.pop(number, None)

    def close(self) -> None:
        """End all workers."""
        self._crew.stop()
        self._staff, self._queue = _Staff(), []

    def _turn(self, seconds: float) -> None:
        """Give all workers work, and collect their results."""
        self._start()
        self._give()
        if self._is_anybody_left():
            for event in self._crew.wait(seconds):
                self._take(event)
            self._give()

    def _start(self) -> None:
        staff = self._staff
        while (
            staff.problem is None and len(staff.ready) + len(staff.starting) < self._crew.wanted()
        ):
            try:
                staff.starting.add(self._crew.start())
            except WorkerError as error:
                self._not_started(error)

    def _is_anybody_left(self) -> bool:
        """Return whether there are workers, now or soon; if not, no batch will be encoded."""
        staff = self._staff
        if staff.problem is None or staff.ready or staff.starting:
            return True
        for ticket in self._tickets.values():
            if ticket.is_open:
                ticket.error = staff.problem
        return False

    def _give(self) -> None:
        """Give the oldest batches to the workers with the least in hand."""
        while self._queue:
            number = self._queue[0]
            if (ticket := self._tickets.get(number)) is None or not ticket.is_open:
                heapq.heappop(self._queue)
                continue
            if (worker := self._free(0 if ticket.n_lost else IN_HAND - 1)) is None:
                return
            heapq.heappop(self._queue)
            self._staff.ready[worker].append(number)
            self._crew.give(worker, number, ticket.batch)

    def _free(self, most: int) -> str | None:
        """Return the worker with the least in hand, None if all have more than `most`."""
        ready = self._staff.ready
        free = [
            worker
            for worker, held in ready.items()
            if len(held) <= most and not any(self._is_suspect(number) for number in held)
        ]
        return min(free, key=lambda worker: len(ready[worker]), default=None)

    def _is_suspect(self, number: int) -> bool:
        return number in self._tickets and self._tickets[number].n_lost > 0

    def _take(self, event: Event) -> None:
        staff = self._staff
        if isinstance(event, Ready):
            staff.starting.discard(event.worker)
            if (differs := _difference(self._identity, event.identity)) is None:
                staff.ready[event.worker], staff.n_failed_starts = deque(), 0
                return
            self._crew.dismiss(event.worker)
            self._not_started(WorkerError(f"worker {event.worker}: {differs}"))
        elif isinstance(event, Done):
            self._settle(event.worker, event.number, event.encoded, None)
        elif isinstance(event, Lost):
            self._lose(event)
        elif event.number is not None:
            self._settle(event.worker, event.number, None, event.error)
        else:
            staff.starting.discard(event.worker)
            self._crew.dismiss(event.worker)
            self._not_started(WorkerError(f"worker {event.worker}: {event.error}"))

    def _settle(
        self, worker: str, number: int, encoded: EncodedTexts | None, error: ClirBenchError | None
    ) -> None:
        held = self._staff.ready.get(worker)
        if held is not None and number in held:
            held.remove(number)
        ticket = self._tickets.get(number)
        if ticket is not None and ticket.is_open:
            ticket.encoded, ticket.error = encoded, error

    def _lose(self, event: Lost) -> None:
        """Give a lost worker's batches to others."""
        staff = self._staff
        if event.worker in staff.starting:
            staff.starting.discard(event.worker)
            self._not_started(WorkerError(f"worker {event.worker} was lost: {event.reason}"))
            return
        held = staff.ready.pop(event.worker, None)
        if held is None:
            return
        logger.warning(
            "worker %s was lost (%s): others do its %d batches again",
            event.worker,
            event.reason,
            len(held),
        )
        for number in held:
            ticket = self._tickets.get(number)
            if ticket is None:
                continue
            ticket.n_lost += 1
            if ticket.n_lost < _ATTEMPTS or len(held) > 1:
                heapq.heappush(self._queue, number)
                continue
            first = shortened(ticket.batch.texts[0]) if ticket.batch.texts else "none"
            ticket.error = WorkerError(
                f"{_ATTEMPTS} workers were lost while they encoded the same "
                f"{len(ticket.batch.texts)} {ticket.batch.kind} in {ticket.batch.language!r}, the "
                f"first being {first}; the last one: {event.reason}. If memory ran out, use fewer "
                "--workers or a smaller --batch-size"
            )

    def _not_started(self, error: WorkerError) -> None:
        """Try again a few times; then go on with the present workers, or give up."""
        staff = self._staff
        staff.n_failed_starts += 1
        if staff.n_failed_starts < _STARTS:
            logger.warning("%s; starting another", error)
            return
        staff.problem = error
        if staff.ready or staff.starting:
            logger.warning("%s; going on with those there are", error)


class _Handed:
    """A batch that some worker encodes."""

    def __init__(self, pool: WorkerPool, number: int) -> None:
        self._pool, self._number = pool, number
        self._found: EncodedTexts | ClirBenchError | None = None

    def result(self) -> EncodedTexts:
        if self._found is None:
            try:
                self._found = self._pool.collect(self._number)
            except ClirBenchError as error:
                self._found = error
        if isinstance(self._found, ClirBenchError):
            raise self._found
        return self._found

    def discard(self) -> None:
        self._pool.discard(self._number)


def _difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """Say how a worker's model and packages differ from the expected ones, None if equal."""
    names = [name for name in (*expected, *found) if expected.get(name) != found.get(name)]
    if not names:
        return None
    shown = "; ".join(
        f"{name} {found.get(name, 'absent')}, here {expected.get(name, 'absent')}"
        for name in dict.fromkeys(names)
    )
    return (
        f"expected the model and packages that are here, found {shown}. What it encodes would not "
        "be what this machine encodes: install the same versions, and name the same weights"
    )
