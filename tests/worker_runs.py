"""Runs by workers that tell where they are, so that a test can end one in the middle.

The plugin's encoder is the hashing one, which takes its time and notes every batch of documents in
a folder, and may be told to end its process.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import install_plugin, write_plugin
from killed_runs import larger_folder

from clir_bench.encoders import provider
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.search.vectors.store import Keeping
from clir_bench.search.workers.executor import Loading
from clir_bench.search.workers.plan import Workers
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.source import locate

NAME = "slow"
CODE = """
import os
import time
from pathlib import Path

_NOTES = Path(os.environ.get("SLOW_NOTES", "."))

class Slow(Plugin):
    def encode_documents(self, texts, *, language):
        count = len(list(_NOTES.iterdir()))
        (_NOTES / f"{count:03d}-{os.getpid()}-{time.time_ns()}").touch()
        if "ends its process" in " ".join(texts):
            os._exit(9)
        if "is refused" in " ".join(texts):
            raise ValueError("this text is refused")
        time.sleep(float(os.environ.get("SLOW_SECONDS", "0")))
        if os.environ.get("SLOW_RAISES"):
            raise eval(os.environ["SLOW_RAISES"])
        return super().encode_documents(texts, language=language)

def load(request):
    if os.environ.get("SLOW_ABSENT"):
        raise OSError("no such weights")
    return Slow()
"""


class Slow:
    """The plugin, installed where workers find it too.

    Attributes:
        folder: A collection of 65 documents.
        notes: A file a batch of documents that somebody began to encode.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.folder = root, larger_folder(root)
        self.notes = root / "notes"
        self.notes.mkdir()
        write_plugin(root / "site", NAME, CODE)
        install_plugin(root / "site", monkeypatch)

    def workers(self, number: int | None, address: str | None = None) -> Workers:
        """Return workers; None for this process alone."""
        loading = Loading(NAME)
        return Workers(loading.load(), loading, number, 1, address)

    def run(self, workers: Workers | None, output: str) -> Result:
        """Run on all pairs, and end the workers."""
        with workers or self.workers(None) as staff:
            return evaluate(
                self.folder.card,
                EncoderSystem(staff.encoder, NAME, provider(NAME), staff if workers else None),
                output=self.root / output,
                source=locate(self.folder.card, "test"),
                settings=RunSettings(n_resamples=50, embeddings=Keeping("off")),
            )

    def files(self, output: str) -> dict[str, bytes]:
        """Return what a run left besides its result: runs and values."""
        folder = self.root / output
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.gz")}

    def encoders(self) -> list[int]:
        """Return the process ids of whoever has encoded documents, a batch each."""
        return [int(path.name.split("-")[1]) for path in sorted(self.notes.iterdir())]


@contextmanager
def when(condition: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Do something in the middle of the block, as soon as a condition holds."""
    done, acted = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.is_set():
            if condition():
                act()
                acted.set()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert acted.is_set(), "the block ended before the condition held"


def is_running(process: int) -> bool:
    """Return whether a process is there and not a zombie."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
