"""Time against workers: processes of this machine, and actors of a Ray cluster.

    CLIR_BENCH_DATA=FOLDER python benchmarks/workers.py --csv benchmarks/measured/workers.csv

Two encoders, each worker with one thread. One waits 2 ms per document, as a worker on a machine of
its own would look from here: what it loses against the ideal is what handing out, collecting,
storing and searching cost. The other is all-MiniLM-L6-v2 in float32 on English and German XQuAD,
whose workers share this machine's cores. Times are of the whole command, the start of Python and of
the workers included; a Ray cluster of nodes of one core is up before. All run files of an encoder
must be the same, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records
from resume import write_collection
from tables import markdown

MILLISECONDS = 2.0
PLUGIN = f"""
import time
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.types import EncoderInfo

class Waiting(HashingEncoder):
    def __init__(self):
        super().__init__()
        self.info = EncoderInfo(name="waits", revision="1")

    def encode_documents(self, texts, *, language):
        time.sleep({MILLISECONDS / 1000} * len(texts))
        return super().encode_documents(texts, language=language)

def load(request):
    return Waiting()
"""


class Place:
    """A folder with the collection, the plugin, and what runs leave."""

    def __init__(self, root: Path, n_documents: int) -> None:
        self.root = root
        site = root / "site"
        metadata = site / "waits-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Name: waits\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            "[clir_bench.encoders]\nwaits = waits_plugin:load\n"
        )
        (site / "waits_plugin.py").write_text(PLUGIN)
        # Ray's processes are started with this environment, too.
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(site), *([path] if path else [])])
        os.environ["CLIR_BENCH_CACHE"] = str(root / "cache")
        write_collection(root / "collection", [f"text {number}" for number in range(n_documents)])
        card = (root / "collection" / "resume.toml").read_text(encoding="utf-8")
        (root / "waits.toml").write_text(card.replace('"resume"', '"waits"'), encoding="utf-8")

    def task(self, encoder: str) -> list[str]:
        """Return the options that say what is run."""
        if encoder == "waits":
            return [
                *("--task", str(self.root / "waits.toml")),
                *("--data-dir", str(self.root / "collection")),
            ]
        return ["--task", "xquad", "--languages", "en,de", "--dtype", "float32"]

    def run(self, encoder: str, *options: str) -> tuple[float, str]:
        """Run the command; return how long it took and the sha256 of its run files."""
        with tempfile.TemporaryDirectory(dir=self.root) as output:
            started = time.perf_counter()
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "clir_bench", "run", "--model", encoder),
                    *self.task(encoder),
                    *("--output", output, "--embeddings", "off", *options),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            seconds = time.perf_counter() - started
            if done.returncode:
                raise SystemExit(f"{encoder} {options}: {done.stderr[-2000:]}")
            digest = hashlib.sha256()
            for path in sorted(Path(output).rglob("*.run.gz")):
                digest.update(path.read_bytes())
        return seconds, digest.hexdigest()


def cluster(n_nodes: int) -> Any:
    """Start a Ray cluster of nodes of one core on this machine."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    started = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(n_nodes):
        started.add_node(num_cpus=1, object_store_memory=200 * 2**20)
    return started


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one row a way of running."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), arguments.documents)
        nodes = cluster(max(arguments.ray))
        try:
            for encoder, label in (
                ("waits", f"waits {MILLISECONDS:g} ms per document"),
                ("all-minilm-l6-v2", "MiniLM on this machine's cores"),
            ):
                ways = [("processes", n, ()) for n in arguments.local]
                ways += [
                    ("Ray actors", n, ("--executor", "ray", "--address", nodes.address))
                    for n in arguments.ray
                ]
                hashes = set()
                for kind, n, options in ways:
                    asked = ("--workers", str(n), "--worker-threads", "1", *options)
                    times = []
                    for _ in range(arguments.repeat):
                        seconds, sha256 = place.run(encoder, *asked)
                        times.append(seconds)
                        hashes.add(sha256)
                    rows.append(
                        {
                            "executor": f"{kind}, {label}",
                            "workers": n,
                            "wall_seconds": min(times),
                            "same_bytes": "yes" if len(hashes) == 1 else "NO",
                        }
                    )
                    print(rows[-1], file=sys.stderr, flush=True)
        finally:
            nodes.shutdown()
    return rows


def main() -> None:
    """Run with different numbers of workers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=30_000, help="for the one that waits")
    parser.add_argument("--local", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--ray", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeat", type=int, default=1, help="of which the shortest counts")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    rows = measure(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.csv or Path(folder) / "workers.csv"
        records.write(path, rows, records.about_here(1, ("torch", "ray")))
        print(markdown("workers", records.read(path)))


if __name__ == "__main__":
    main()
