"""Makes Ctrl-C and SIGTERM end a command in the same way, so that finished work is kept.

Before a command begins there is nothing to keep, so the process ends at once: an interrupted import
could raise any error of the imported library.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

SAID = {
    signal.SIGINT: "interrupted; everything that was finished is kept",
    signal.SIGTERM: "terminated; everything that was finished is kept",
}
_heard: list[int] = []
_listens_to: set[int] = set()


def leave_at_once() -> None:
    """Let a signal end the process at once, with a line and its exit code.

    Signals that the parent process ignores stay ignored.
    """
    for number in SAID:
        if number in _listens_to or signal.getsignal(number) != signal.SIG_IGN:
            _listens_to.add(number)
            signal.signal(number, _leave)


def finish_first() -> None:
    """Let a signal raise `KeyboardInterrupt`, so that what is done can be stored."""
    for number in _listens_to:
        signal.signal(number, _raise)


def exit_code() -> int:
    """Return the exit code for the last signal received, or for Ctrl-C without one."""
    return 128 + (_heard[-1] if _heard else signal.SIGINT)


def said() -> str:
    """Return the message for the last signal received."""
    return SAID[signal.Signals(exit_code() - 128)]


def was_heard() -> bool:
    """Return whether a signal arrived since the command began."""
    return bool(_heard)


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, f"{SAID[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)


def _raise(number: int, _: FrameType | None) -> None:
    _heard.append(number)
    raise KeyboardInterrupt
