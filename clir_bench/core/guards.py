"""Calls plugins: reports each of their errors, and undoes what they change in the process.

It cannot guard against a plugin that ends the process itself (`os._exit`, a crash in native code),
changes environment variables, or changes this package's own objects.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clir_bench.core.display import line_of, text_of
from clir_bench.errors import ClirBenchError


def told(error: BaseException) -> str:
    """Return an exception's kind and text on one line.

    >>> told(ValueError("no such layer"))
    'ValueError: no such layer'
    >>> told(SystemExit(0))
    'SystemExit: 0'
    """
    text = text_of(lambda: str(error), "(its text cannot be read)")
    return f"{type(error).__name__}: {line_of(text)}".removesuffix(": ")


@contextmanager
def guarded(
    where: Callable[[], str], error: type[Exception], *, remedy: str = ""
) -> Iterator[None]:
    """Turn anything a plugin raises into an error that names the plugin; undo what it changed.

    `SystemExit` and the like are failures of the plugin too: it must not end the whole command.

    Args:
        where: Says whose failure it is, for the message.
        error: What is raised.
        remedy: What to do, appended to the message.

    Raises:
        Exception: As `error`; errors of this package, lack of memory and interruptions pass.
    """
    try:
        with undisturbed():
            yield
    except BaseException as raised:  # a plugin may raise anything
        if passes(raised):
            raise
        raise error(f"{where()}: {told(raised)}{remedy}") from raised


def passes(raised: BaseException) -> bool:
    """Return whether an exception is no failure of the plugin and is raised unchanged."""
    is_ours = type(raised).__module__.partition(".")[0] == __name__.partition(".")[0]
    return isinstance(raised, KeyboardInterrupt | MemoryError) or (
        isinstance(raised, ClirBenchError) and is_ours
    )


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore what a plugin may have changed for the whole process.

    This restores the standard streams, the working directory, the mask of new files, the recursion
    limit, numpy's handling of floating-point errors and the handler of Ctrl-C. If the plugin
    forked the process, the copy ends here: it must not do the rest of the work a second time.

    Raises:
        RuntimeError: The plugin closed the descriptors of the standard streams; later output is
            lost, but no file takes their place. Streams that were closed before do not count.
    """
    import numpy as np

    process = os.getpid()
    _reopened()
    streams, limit, floating = (sys.stdout, sys.stderr), sys.getrecursionlimit(), np.geterr()
    mask, folder = os.umask(0o077), _working_directory()
    os.umask(mask)
    is_main = threading.current_thread() is threading.main_thread()
    listener: Any = signal.getsignal(signal.SIGINT) if is_main else None
    try:
        yield
    finally:
        if os.getpid() != process:  # a copy of this process that the plugin did not end
            os._exit(1)
        if sys.getrecursionlimit() != limit:
            sys.setrecursionlimit(limit)
        sys.stdout, sys.stderr = streams
        np.seterr(**floating)
        os.umask(mask)
        if folder is not None and _working_directory() != folder:
            with suppress(OSError):
                os.chdir(folder)
        if listener is not None and signal.getsignal(signal.SIGINT) is not listener:
            signal.signal(signal.SIGINT, listener)
        closed = _reopened()
    if closed:
        raise RuntimeError(f"it closed {' and '.join(closed)}")


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None


def _reopened() -> list[str]:
    """Open closed standard streams again, so that no later file takes their place; return them."""
    closed = []
    for descriptor, name in ((1, "standard output"), (2, "standard error")):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.append(name)
            reopen(descriptor)
    return closed


def reopen(descriptor: int) -> None:
    """Point the descriptor of a standard stream at the null device."""
    empty = os.open(os.devnull, os.O_RDWR)
    if empty == descriptor:
        os.set_inheritable(empty, True)
    else:
        os.dup2(empty, descriptor)
        os.close(empty)
