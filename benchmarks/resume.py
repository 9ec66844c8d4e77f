"""Seconds lost to `kill -9`: runs killed at some share of their documents and started again.

    python benchmarks/resume.py --csv benchmarks/measured/resume.csv
    CLIR_BENCH_DATA=FOLDER python benchmarks/resume.py --encoder all-minilm-l6-v2 --documents 15000

Seconds are the processor's, and the encoder's waits: other work on the machine does not lengthen
them; `wall_lost` is by the clock. Lost is what the killed run and the one after it took together
beyond a run that was never killed, so it holds a second start of Python and of the model, the
documents read and checked once more, and the shard that was in hand. Every run is a process of its
own; its encoder counts documents and kills the process when it is asked for more than it may.
The encoder `look-up` makes vectors of 128 numbers out of a text's hash and waits a fixed time per
document; every other name is a model's, which is given English sentences of Tatoeba. The run file
must be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import records
from tables import markdown

DIM = 128
N_QUERIES = 200
LOOK_UP = "look-up"
CARD = """\
id = "resume"
title = "Resume"
description = "Documents of a run that is killed."
adapter = "folder"
splits = ["test"]
default_split = "test"
measures = ["nDCG@10"]
parallel_queries = false
license = "CC0-1.0"
[languages]
en = "en"
[pairs]
official = ["en-en"]
[counts.test]
en-en = [{n_documents}, {n_queries}, {n_queries}]
"""


class LookUp:
    """Vectors out of the texts' hashes, at a fixed cost."""

    dim = DIM

    def __init__(self, milliseconds: float) -> None:
        from clir_bench.types import EncoderInfo

        self.info = EncoderInfo(name=LOOK_UP, revision="1")
        self._seconds = milliseconds / 1000
        table = np.random.default_rng(0).standard_normal((2, 4096, DIM), dtype=np.float32)
        self._table = table

    def encode_queries(self, texts: Sequence[str], *, language: str) -> np.ndarray:
        """Return unit vectors, each the sum of two rows of a table."""
        digests = b"".join(hashlib.sha256(text.encode()).digest()[:8] for text in texts)
        numbers = np.frombuffer(digests, dtype="<u4").reshape(-1, 2) % 4096
        vectors = self._table[0, numbers[:, 0]] + self._table[1, numbers[:, 1]]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> np.ndarray:
        """Return what `encode_queries` does, later."""
        time.sleep(self._seconds * len(texts))
        return self.encode_queries(texts, language=language)


def sentences(n: int) -> list[str]:
    """Return English sentences of Tatoeba, each once."""
    from clir_bench.tasks.catalog import load_card
    from clir_bench.tasks.loading import Loader
    from clir_bench.tasks.source import locate

    card = load_card("tatoeba")
    loader = Loader(card, card.default_split, locate(card, card.default_split))
    found: dict[str, None] = {}
    for pair in loader.card.official_pairs():
        if pair.document == "en":
            found |= dict.fromkeys(document.text for document in loader.load(pair).documents)
        if len(found) >= n:
            return list(found)[:n]
    raise SystemExit(f"Tatoeba has {len(found):,} different English sentences, asked for {n:,}")


def write_collection(folder: Path, texts: Sequence[str]) -> None:
    """Write texts as a collection in BEIR's layout; every so many of them is a query too."""
    chosen = range(0, len(texts), max(1, len(texts) // N_QUERIES))[:N_QUERIES]
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"_id": f"d{number}", "title": "", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for number in chosen:
            file.write(json.dumps({"_id": f"q{number}", "text": texts[number]}) + "\n")
    with (folder / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        file.writelines(f"q{number}\td{number}\t1\n" for number in chosen)
    card = CARD.format(n_documents=len(texts), n_queries=len(chosen))
    (folder / "resume.toml").write_text(card, encoding="utf-8")


def run_here(folder: Path, encoder_name: str, milliseconds: float, kill_after: int) -> None:
    """Evaluate in this process, which kills itself when `kill_after` documents are encoded."""
    from clir_bench.encoders import load_encoder
    from clir_bench.encoders.contract import CheckedEncoder
    from clir_bench.evaluation.evaluate import Settings, System, evaluate
    from clir_bench.search.vectors.store import Keeping
    from clir_bench.tasks.cards import read_card
    from clir_bench.tasks.source import locate

    if encoder_name == LOOK_UP:
        encoder: Any = CheckedEncoder(LookUp(milliseconds))
    else:
        encoder = load_encoder(encoder_name, device="cpu", dtype="float32")
    encode, n_encoded = encoder.encode_documents, 0

    def counting(texts: Sequence[str], *, language: str) -> np.ndarray:
        nonlocal n_encoded
        allowed = kill_after - n_encoded if kill_after else len(texts)
        if allowed < len(texts):
            if allowed:
                encode(texts[:allowed], language=language)
            os.kill(os.getpid(), signal.SIGKILL)
        n_encoded += len(texts)
        return encode(texts, language=language)

    encoder.encode_documents = counting
    card = read_card(folder / "resume.toml")
    keeping = Keeping.parse("off" if os.environ["RESUME_EMBEDDINGS"] == "off" else "auto")
    evaluate(
        card,
        System(encoder, encoder_name, "clir-bench 0"),
        output=Path(os.environ["RESUME_OUTPUT"]),
        source=locate(card, "test", folder),
        settings=Settings(embeddings=keeping),
    )
    print(n_encoded)


class Took(NamedTuple):
    """Seconds of the processor and of waiting, and of the clock."""

    seconds: float
    wall: float


class Runs:
    """Runs of one encoder, each in a process of its own."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments

    def took(self, output: Path, embeddings: str, kill_after: int = 0) -> Took:
        """Run until the end, or until it kills itself."""
        command = [
            *(sys.executable, __file__, "--alone", str(self.folder)),
            *("--encoder", self.arguments.encoder, "--kill-after", str(kill_after)),
            *("--milliseconds", str(self.arguments.milliseconds)),
        ]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "CLIR_BENCH_CACHE": str(output / "cache"),
            "RESUME_OUTPUT": str(output),
            "RESUME_EMBEDDINGS": embeddings,
        }
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            err.seek(0)
            if process.returncode != (-signal.SIGKILL if kill_after else 0):
                raise SystemExit(f"ended with {process.returncode}:\n{err.read()[-2000:]}")
            out.seek(0)
            n_encoded = kill_after or int(out.read().splitlines()[-1])
        waited = self.arguments.milliseconds / 1000 if self.arguments.encoder == LOOK_UP else 0
        return Took(usage.ru_utime + usage.ru_stime + waited * n_encoded, wall)

    def killed_and_resumed(
        self, percent: int, embeddings: str, whole: Took, expected: bytes
    ) -> dict[str, Any]:
        """Kill a run, start it again, and return what was lost."""
        with tempfile.TemporaryDirectory() as name:
            output = Path(name)
            kill_after = self.arguments.documents * percent // 100
            before = self.took(output, embeddings, kill_after)
            after = self.took(output, embeddings)
            same = run_bytes(output) == expected
        waits = f", {self.arguments.milliseconds:g} ms per document"
        return {
            "encoder": self.arguments.encoder
            + (waits if self.arguments.encoder == LOOK_UP else ""),
            "documents": self.arguments.documents,
            "embeddings": "stored" if embeddings == "auto" else "not stored",
            "killed_at_percent": percent,
            "uninterrupted_seconds": whole.seconds,
            "seconds_before": before.seconds,
            "seconds_after": after.seconds,
            "seconds_lost": before.seconds + after.seconds - whole.seconds,
            "wall_lost": before.wall + after.wall - whole.wall,
            "same_bytes": "yes" if same else "NO",
        }


def run_bytes(output: Path) -> bytes:
    """Return the run file's and the values file's content."""
    return b"".join(path.read_bytes() for path in sorted(output.rglob("*.gz")))


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one row a kill."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "collection"
        n = arguments.documents
        look_up = arguments.encoder == LOOK_UP
        write_collection(folder, [f"text {i}" for i in range(n)] if look_up else sentences(n))
        runs = Runs(folder, arguments)
        for embeddings in ("auto", "off"):
            output = Path(name) / embeddings
            whole = min(_whole(runs, output, embeddings) for _ in range(arguments.repeat))
            expected = run_bytes(output)
            for percent in arguments.percent:
                rows.append(runs.killed_and_resumed(percent, embeddings, whole, expected))
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _whole(runs: Runs, output: Path, embeddings: str) -> Took:
    shutil.rmtree(output, ignore_errors=True)
    return runs.took(output, embeddings)


def main() -> None:
    """Kill and resume, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default=LOOK_UP)
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--milliseconds", type=float, default=1.0, help="of look-up, a document")
    parser.add_argument("--percent", type=int, nargs="+", default=[10, 50, 90])
    parser.add_argument("--repeat", type=int, default=2, help="runs that are never killed")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    parser.add_argument("--append", action="store_true", help="keep the rows that are there")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kill-after", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        run_here(arguments.alone, arguments.encoder, arguments.milliseconds, arguments.kill_after)
        return
    rows: list[dict[str, Any]] = measure(arguments)
    if arguments.append and arguments.csv.exists():
        rows = [*records.read(arguments.csv).rows, *rows]
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.csv or Path(folder) / "resume.csv"
        records.write(path, rows, records.about_here(threads, ("torch",)))
        print(markdown("resume", records.read(path)))


if __name__ == "__main__":
    main()
