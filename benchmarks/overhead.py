"""What a harness costs beside the model: an encoder that looks its vectors up, against peers.

python benchmarks/overhead.py --repeat 3
python benchmarks/overhead.py --peer-python peers/bin/python --contestants by-hand beir mteb

Every contestant encodes, searches and scores the same documents in a process of its own, in turn,
so that other work on the machine falls on all of them alike. Processor seconds and peak memory are
of the work between having texts and having scores; making the vectors and loading libraries are not
in the seconds, and are in the memory. beir and mteb run where they can be imported: in this
interpreter, or in the one of `--peer-python`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records
from contestants import CONTESTANTS, OF_PEERS, Data
from tables import markdown

CARD = """\
id = "overhead"
title = "Overhead"
description = "Documents whose vectors are looked up."
adapter = "folder"
splits = ["test"]
default_split = "test"
measures = ["nDCG@10", "AP@1000"]
parallel_queries = false
license = "CC0-1.0"
[languages]
en = "en"
[pairs]
official = ["en-en"]
[counts.test]
en-en = [{n_documents}, {n_queries}, {n_queries}]
"""


def write_files(data: Data) -> None:
    """Write the collection in BEIR's layout."""
    (data.folder / "qrels").mkdir()
    with (data.folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for doc_id, text in data.documents().items():
            file.write(json.dumps({"_id": doc_id, "title": "", "text": text}) + "\n")
    with (data.folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for query_id, text in data.queries().items():
            file.write(json.dumps({"_id": query_id, "text": text}) + "\n")
    with (data.folder / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query_id, of in data.qrels().items():
            file.writelines(f"{query_id}\t{doc_id}\t1\n" for doc_id in of)
    card = CARD.format(n_documents=data.n_documents, n_queries=data.n_queries)
    (data.folder / "overhead.toml").write_text(card, encoding="utf-8")


def measured_here(name: str, data: Data, threads: int) -> dict[str, float]:
    """Run one contestant in this process."""
    import faiss

    faiss.omp_set_num_threads(threads)
    if "torch" in sys.modules or name in (*OF_PEERS, "sentence-transformers"):
        import torch

        torch.set_num_threads(threads)
    work = CONTESTANTS[name][1](data)
    wall, processor = time.perf_counter(), time.process_time()
    ndcg, average_precision = work()
    return {
        "wall": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "ndcg": round(ndcg, 5),
        "ap": round(average_precision, 5),
    }


def measured_apart(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    python = arguments.peer_python if name in OF_PEERS else sys.executable
    options = {
        "--alone": name,
        "--folder": folder,
        "--documents": arguments.documents,
        "--queries": arguments.queries,
        "--top-k": arguments.top_k,
        "--threads": arguments.threads,
    }
    done = subprocess.run(
        [python, __file__, *(str(part) for option in options.items() for part in option)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "OMP_NUM_THREADS": str(arguments.threads),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        },
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {found}", file=sys.stderr, flush=True)
    return found


def peers_about(python: str) -> dict[str, str]:
    """Return the versions of peers in their own interpreter."""
    asked = "from importlib.metadata import version as v; print(*(v(n) for n in %r))"
    done = subprocess.run(
        [python, "-c", asked % (OF_PEERS,)], capture_output=True, text=True, check=False
    )
    pairs = zip(OF_PEERS, done.stdout.split(), strict=False)
    return {"peers": ", ".join(f"{name} {version}" for name, version in pairs)}


def medians(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return one row a contestant."""
    rows = []
    for name, repeats in found.items():
        median = {key: statistics.median(one[key] for one in repeats) for key in repeats[0]}
        row = {
            "contestant": CONTESTANTS[name][0],
            "processor_seconds": median["processor"],
            "wall_seconds": median["wall"],
            "peak_mb": median["peak_mb"],
            "ndcg": median["ndcg"],
        }
        rows.append(row)
    return rows


def main() -> None:
    """Measure everybody in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--top-k", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--peer-python", default=sys.executable, help="has beir and mteb")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = (arguments.documents, arguments.queries, arguments.top_k)
    if arguments.alone:
        data = Data(*sizes, arguments.folder)
        print(json.dumps(measured_here(arguments.alone, data, arguments.threads)))
        return
    with tempfile.TemporaryDirectory() as name:
        write_files(Data(*sizes, Path(name)))
        found: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.contestants}
        for _ in range(arguments.repeat):
            for contestant, repeats in found.items():
                repeats.append(measured_apart(contestant, arguments, Path(name)))
        about = {
            **records.about_here(arguments.threads, ("faiss-cpu", "sentence-transformers")),
            **peers_about(arguments.peer_python),
            "median of": str(arguments.repeat),
        }
        path = arguments.csv or Path(name) / "overhead.csv"
        records.write(path, medians(found), about)
        print(markdown("overhead", records.read(path)))


if __name__ == "__main__":
    main()
