"""What a worker process runs: load the model, encode what is sent, end when nobody is left.

python -m clir_bench.workers.serve FILE_DESCRIPTOR
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from clir_bench.errors import ClirBenchError, EncoderError
from clir_bench.workers import messages
from clir_bench.workers.work import Encoded, Loading, encode, identity_of


def main(descriptor: int) -> None:
    """Serve the process at the other end of a socket until it goes away."""
    # Ctrl-C reaches all processes of a terminal; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        encoder = Loading(**messages.receive(connection)).load()
        messages.send(connection, {"event": "ready", "identity": identity_of(encoder)})
    except (EOFError, OSError):
        return
    except ClirBenchError as error:
        messages.send(connection, _failed(None, error))
        return
    # Threads, because texts must be taken in, and vectors sent off, while the model works.
    wanted: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    made: queue.SimpleQueue[tuple[int, Encoded | ClirBenchError]] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(connection, wanted), daemon=True).start()
    threading.Thread(target=_send_off, args=(connection, made), daemon=True).start()
    while (message := wanted.get()) is not None:
        try:
            made.put((message["number"], encode(encoder, messages.batch_of(message))))
        except ClirBenchError as error:
            made.put((message["number"], error))
        except MemoryError as error:
            made.put((message["number"], EncoderError(f"no memory left: {error}")))


def _take_in(connection: Connection, wanted: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    try:
        while True:
            wanted.put(messages.receive(connection))
    except (EOFError, OSError):
        wanted.put(None)


def _send_off(
    connection: Connection, made: queue.SimpleQueue[tuple[int, Encoded | ClirBenchError]]
) -> None:
    try:
        while True:
            number, found = made.get()
            if isinstance(found, Encoded):
                messages.send_encoded(connection, number, found)
            else:
                messages.send(connection, _failed(number, found))
    except (EOFError, OSError):
        return  # the other thread sees the end too


def _failed(number: int | None, error: ClirBenchError) -> dict[str, Any]:
    return {"event": "failed", "number": number, "message": str(error)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
