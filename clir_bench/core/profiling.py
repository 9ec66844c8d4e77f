"""Where the time of a command goes; costs next to nothing unless somebody asked.

    @stage("search")
    def search_block(...): ...

    with profiled() as profile:
        ...
    profile.seconds["search"]

Stages do not overlap: while one runs inside another, the outer one's time stands still.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")

_active: Profile | None = None
_counted: Counter[str] = Counter()


class Profile:
    """What one command spent.

    Attributes:
        seconds: By stage; time outside all of them is the rest of `total_seconds`.
        worker_seconds: Time other processes spent encoding, all of them together.
        total_seconds: From beginning to end, 0 before the end.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.worker_seconds = 0.0
        self.total_seconds = 0.0
        self._before = counted()
        self._running: list[str] = []
        self._since = time.perf_counter()
        self._thread = threading.get_ident()

    @property
    def counts(self) -> Counter[str]:
        """What was worked on since the beginning, such as "tokens"."""
        return counted() - self._before

    def enter(self, name: str) -> None:
        """Let the time from now on count for `name`."""
        self._book()
        self._running.append(name)

    def leave(self) -> None:
        """Go back to the stage before."""
        self._book()
        self._running.pop()

    def is_here(self) -> bool:
        """Return whether this is the thread that is measured; others run beside it."""
        return threading.get_ident() == self._thread

    def _book(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


@contextmanager
def profiled() -> Iterator[Profile]:
    """Measure this thread's stages until the block ends."""
    global _active  # noqa: PLW0603, the one profile of the process
    profile, before = Profile(), _active
    started = time.perf_counter()
    _active = profile
    try:
        yield profile
    finally:
        _active = before
        profile.total_seconds = time.perf_counter() - started


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the block's time, or as a decorator a function's, as `name`'s."""
    profile = _active
    if profile is None or not profile.is_here():
        yield
        return
    profile.enter(name)
    try:
        yield
    finally:
        profile.leave()


def staged(name: str, items: Iterable[_Item]) -> Iterable[_Item]:
    """Return `items`, the time of getting each counted as `name`'s."""
    profile = _active
    return items if profile is None or not profile.is_here() else _staged(profile, name, items)


def _staged(profile: Profile, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
    iterator = iter(items)
    while True:
        profile.enter(name)
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            profile.leave()
        yield item


def count(name: str, n: int) -> None:
    """Count what is worked on, such as "tokens"."""
    _counted[name] += n


def counted() -> Counter[str]:
    """Return what this process has counted since it began, workers' shares included."""
    return _counted.copy()


def count_worker(seconds: float, counts: Mapping[str, int]) -> None:
    """Add what another process counted while it encoded for this one."""
    _counted.update(counts)
    if _active is not None:
        _active.worker_seconds += seconds
