"""Measures how much time a command spends in each stage; it costs almost nothing when off.

    @stage("search")
    def search_block(...): ...

    with profiled() as profile:
        ...
    profile.seconds["search"]

Stages do not overlap: an outer stage's clock stops while an inner one runs.
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
    """The time that one command spent.

    Attributes:
        seconds: By stage; the rest of `total_seconds` was spent outside all stages.
        worker_seconds: Time that all other processes together spent encoding.
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
        """How much was processed since the beginning, such as "tokens"."""
        return counted() - self._before

    def enter(self, name: str) -> None:
        """Count the time from now on for `name`."""
        self._book()
        self._running.append(name)

    def leave(self) -> None:
        """Go back to the stage before."""
        self._book()
        self._running.pop()

    def is_here(self) -> bool:
        """Return whether this is the measured thread; others run beside it."""
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
    """Count the time of a block, or of a decorated function, for `name`."""
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
    """Return `items`; the time to get each one counts for `name`."""
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
    """Count what is processed, such as "tokens"."""
    _counted[name] += n


def counted() -> Counter[str]:
    """Return what this process and its workers have counted since it began."""
    return _counted.copy()


def count_worker(seconds: float, counts: Mapping[str, int]) -> None:
    """Add what another process counted while it encoded for this one."""
    _counted.update(counts)
    if _active is not None:
        _active.worker_seconds += seconds
