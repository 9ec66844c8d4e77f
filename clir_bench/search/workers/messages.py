"""Sends and receives messages between this process and its workers: JSON, and arrays as bytes."""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from clir_bench.search.workers.executor import EncodedTexts, TextBatch
from clir_bench.types import Vectors


def send(connection: Connection, message: dict[str, Any]) -> None:
    """Send a message.

    Raises:
        OSError: The other side is gone.
    """
    connection.send_bytes(json.dumps(message).encode("ascii"))


def receive(connection: Connection) -> dict[str, Any]:
    """Wait for a message.

    Raises:
        EOFError: The other side is gone.
        OSError: The same, noticed in another way.
    """
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message


def batch_message(number: int, batch: TextBatch) -> dict[str, Any]:
    """Return a batch as a message."""
    return {
        "number": number,
        "kind": batch.kind,
        "texts": list(batch.texts),
        "language": batch.language,
    }


def batch_of(message: dict[str, Any]) -> TextBatch:
    """Return the batch of a message."""
    return TextBatch(message["kind"], message["texts"], message["language"])


def send_encoded(connection: Connection, number: int, encoded: EncodedTexts) -> None:
    """Send a batch's outcome: the facts about its vectors, then the vectors.

    Raises:
        OSError: The other side is gone.
    """
    rows, lengths = joined(encoded.vectors)
    send(
        connection,
        {
            "event": "done",
            "number": number,
            "seconds": encoded.seconds,
            "counts": encoded.counts,
            "shape": rows.shape,
            "lengths": lengths,
        },
    )
    connection.send_bytes(np.ascontiguousarray(rows, dtype="<f4").tobytes())


def receive_encoded(connection: Connection, message: dict[str, Any]) -> EncodedTexts:
    """Receive what `send_encoded` sent; `message` is its first half.

    Raises:
        EOFError: The worker ended between the halves.
        OSError: The same, noticed in another way.
    """
    rows = np.frombuffer(connection.recv_bytes(), dtype="<f4").reshape(message["shape"])
    return EncodedTexts(parted(rows, message["lengths"]), message["seconds"], message["counts"])


def joined(vectors: Vectors | list[Vectors]) -> tuple[Vectors, list[int] | None]:
    """Return vectors as one array, and for late interaction the number of rows per text."""
    if not isinstance(vectors, list):
        return vectors, None
    rows = np.concatenate(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
    return rows, [len(tokens) for tokens in vectors]


def parted(rows: Vectors, lengths: list[int] | None) -> Vectors | list[Vectors]:
    """Undo `joined`."""
    if lengths is None:
        return rows
    return np.split(rows, np.cumsum(lengths)[:-1]) if lengths else []
