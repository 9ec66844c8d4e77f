"""The program of a worker process: loads the model, encodes what arrives, ends with its parent.

python -m clir_bench.search.workers.serve FILE_DESCRIPTOR PROCESS

PROCESS is the id of the parent. The worker ends as soon as the parent is gone, however the parent
ended and whatever the worker is doing: nothing needs its output any more.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from clir_bench.core.guards import told
from clir_bench.errors import ClirBenchError, EncoderError
from clir_bench.search.workers import messages
from clir_bench.search.workers.executor import EncodedTexts, Loading, encode, identity_of

_LOOK_SECONDS = 1.0
"""Seconds between checks that the parent lives. Its socket tells sooner, unless a third process has
a copy of it."""


def main(descriptor: int, parent: int) -> None:
    """Serve the process at the other end of a socket until it goes away."""
    # Ctrl-C reaches all processes of a terminal; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    # Threads, because texts must be taken in, and vectors sent off, while the model works.
    wanted: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    made: queue.SimpleQueue[tuple[int, EncodedTexts | ClirBenchError]] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(connection, parent, wanted), daemon=True).start()
    try:
        encoder = Loading(**wanted.get()).load()
    except (ClirBenchError, KeyboardInterrupt) as error:
        messages.send(connection, _failed(None, error))
        return
    messages.send(connection, {"event": "ready", "identity": identity_of(encoder)})
    threading.Thread(target=_send_off, args=(connection, made), daemon=True).start()
    while True:
        message = wanted.get()
        try:
            made.put((message["number"], encode(encoder, messages.batch_of(message))))
        except ClirBenchError as error:
            made.put((message["number"], error))
        except MemoryError as error:
            made.put((message["number"], EncoderError(f"no memory left: {error}")))
        except KeyboardInterrupt as error:  # only the encoder can have raised it
            made.put((message["number"], EncoderError(f"the encoder raised {told(error)}")))


def _take_in(
    connection: Connection, parent: int, wanted: queue.SimpleQueue[dict[str, Any]]
) -> None:
    with suppress(EOFError, OSError):
        while os.getppid() == parent:
            if connection.poll(_LOOK_SECONDS):
                wanted.put(messages.receive(connection))
    os._exit(0)


def _send_off(
    connection: Connection, made: queue.SimpleQueue[tuple[int, EncodedTexts | ClirBenchError]]
) -> None:
    try:
        while True:
            number, found = made.get()
            if isinstance(found, EncodedTexts):
                messages.send_encoded(connection, number, found)
            else:
                messages.send(connection, _failed(number, found))
    except OSError:
        return  # the other thread sees the end too


def _failed(number: int | None, error: BaseException) -> dict[str, Any]:
    said = str(error) if isinstance(error, ClirBenchError) else f"the encoder raised {told(error)}"
    return {"event": "failed", "number": number, "message": said}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
