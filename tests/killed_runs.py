"""Runs that are killed, in child processes, and what is left of them when they have been resumed.

    python killed_runs.py FOLDER N_RUNS SEED

Every child is a fork of this process. A child to be killed counts its calls of the operating
system that touch files (open, write, flush, fsync, rename, unlink, lock, ...) and sends itself
SIGKILL before one of them; after one is before the next. Every run is killed once at a chosen call,
perhaps again at others, and resumed to its end. N_RUNS 0 means a run for every call there is.
Prints what was done as JSON; exits with an error when a run ends in other bytes than one that was
never killed, or has encoded more than a shard again for each kill.
"""

from __future__ import annotations

import importlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from folders import DOCUMENTS, Folder, make_folder, write_jsonl

from clir_bench.core import provenance
from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.evaluation.sharded_encoding import Job, encode_job
from clir_bench.search.vectors import store
from clir_bench.search.vectors.store import Keeping
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks import outline
from clir_bench.tasks.source import locate
from clir_bench.types import Vectors

WINDOW, SHARD = 3, 12
N_DOCUMENTS = {"sw": 50, "de": 15}
_TOUCHING = {
    *("open", "close", "write", "flush", "fsync", "replace", "rename", "unlink", "mkdir"),
    *("rmdir", "chmod", "flock", "truncate", "link", "utime"),
}
_MODULES = {"posix", "fcntl", "_io"}
encoded = mmap.mmap(-1, 8)
"""Number of documents encoded, shared with all children."""


class Counting(HashingEncoder):
    """Counts the documents it encodes."""

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        encoded[:] = (int.from_bytes(encoded[:], "little") + len(texts)).to_bytes(8, "little")
        return super().encode_documents(texts, language=language)


def larger_folder(root: Path) -> Folder:
    """Return the collection of `folders` with more documents."""
    folder = make_folder(root)
    for language, n_documents in N_DOCUMENTS.items():
        rows = [{"_id": i, "title": "", "text": text} for i, text in DOCUMENTS[language].items()]
        for number in range(len(rows), n_documents):
            text = "" if number % 7 == 0 else f"Kitale {number} Mombasa {number % 5} shule"
            rows.append({"_id": f"x{number}", "title": "", "text": text})
        write_jsonl(folder.data / language / "corpus.jsonl", rows)
    return folder


def small_shards() -> None:
    """Store shards of 12 documents, of however small a corpus."""
    outline.WINDOW_DOCUMENTS = WINDOW
    store.AUTO_DOCUMENTS = 0


def system() -> EncoderSystem:
    return EncoderSystem(CheckedEncoder(Counting()), "hashing", "clir-bench 0.0.0")


def run(folder: Folder, output: Path, keeping: Keeping, n_jobs: int = 1) -> None:
    """Evaluate on all pairs; with several jobs, each encodes its share first."""
    settings = RunSettings(n_resamples=10, embeddings=keeping)
    source = locate(folder.card, "test")
    for number in range(n_jobs if n_jobs > 1 else 0):
        pairs = folder.card.official_pairs()
        encode_job(
            folder.card, system(), Job(number, n_jobs),
            source=source, split="test", pairs=pairs, settings=settings,
        )  # fmt: skip
    evaluate(folder.card, system(), output=output, source=source, settings=settings)


class Points:
    """Counts calls that touch files, and kills the process at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.n, self.kill_at = 0, kill_at

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ not in _TOUCHING:
            return
        owner = called.__self__
        of_system = isinstance(owner, ModuleType) and owner.__name__ in _MODULES
        if of_system or isinstance(owner, io.IOBase):
            if self.n == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.n += 1


def child(task: Callable[[], None], kill_at: int | None = None) -> tuple[int, int]:
    """Run a task in a child and return its exit status and the points it counted."""
    counted = mmap.mmap(-1, 8)
    pid = os.fork()
    if not pid:
        points = Points(kill_at)
        status = 1
        try:
            sys.setprofile(points)
            try:
                task()
            finally:
                sys.setprofile(None)
            counted[:] = points.n.to_bytes(8, "little")
            status = 0
        except BaseException:  # noqa: BLE001 - a child says what happened and ends here
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return status, int.from_bytes(counted[:], "little")


def left(output: Path) -> dict[str, bytes]:
    """Return the run and values files by name."""
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.gz")}


def chain(folder: Folder, root: Path, draw: random.Random, first: int, points: int) -> int:
    """Kill a run at point `first`, resume it, perhaps kill it again, and return the kills."""
    shutil.rmtree(root, ignore_errors=True)
    encoded[:] = bytes(8)
    keep = Keeping("keep", root / "vectors")
    keeping, n_jobs = draw.choice([(keep, 1), (Keeping(), 1), (keep, 2)])
    kill_at: int | None = first
    n_kills = 0
    while True:
        status, _ = child(lambda: run(folder, root / "out", keeping, n_jobs), kill_at)
        if status == 0:
            break
        assert os.WIFSIGNALED(status), "a resumed run failed"
        assert os.WTERMSIG(status) == signal.SIGKILL
        n_kills += 1
        kill_at = draw.randrange(points) if draw.random() < 0.4 else None
    n_encoded = int.from_bytes(encoded[:], "little")
    n_texts = sum(n for n in N_DOCUMENTS.values())
    assert n_encoded <= n_texts + n_kills * SHARD, f"{n_encoded} encoded after {n_kills} kills"
    return n_kills


def warm_up() -> None:
    """Load here what every child would load for itself; run nothing that starts threads."""
    for name in ("faiss", "ir_measures", "pytrec_eval", "ir_datasets"):
        importlib.import_module(name)
    Counting().encode_documents(["text"], language="en")
    provenance.packages(), provenance.hardware(), provenance.git_state()


def main(root: Path, n_runs: int, seed: int) -> None:
    warm_up()
    small_shards()
    os.environ["CLIR_BENCH_CACHE"] = str(root / "cache" / "killed")
    folder, draw = larger_folder(root / "data"), random.Random(seed)  # noqa: S311
    assert child(lambda: run(folder, root / "plain", Keeping("off")))[0] == 0
    expected = left(root / "plain")
    assert len(expected) == 6
    keep = Keeping("keep", root / "counted-vectors")
    status, points = child(lambda: run(folder, root / "counted", keep))
    assert status == 0
    assert left(root / "counted") == expected
    n_kills, n_runs = 0, n_runs or points
    for number in range(n_runs):
        shutil.rmtree(root / "cache", ignore_errors=True)
        first = number * points // n_runs
        n_kills += chain(folder, root / "killed", draw, first, points)
        assert left(root / "killed" / "out") == expected, f"other bytes, killed at {first}"
        hidden = [
            path for path in (root / "killed" / "vectors").rglob(".[0-9e]*") if path.is_file()
        ]
        assert not hidden, f"left behind: {hidden}"
    done = {"kills": n_kills, "points": points, "runs": n_runs}
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
