"""Peak memory against the size of the corpus: exact search with an encoder that looks vectors up.

python benchmarks/memory.py --documents 100000 1000000 10000000 \\
    --queries 50 500 --top-k 100 1000 --csv benchmarks/measured/memory.csv

Documents and their vectors are made when they are asked for, so that nothing but the search keeps
anything. Every size is run in a process of its own, and the peak is the process' highest resident
memory, libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from tables import markdown

DIM = 128
_TABLE = 4096


@dataclass(frozen=True)
class Documents:
    """Documents whose texts are their numbers."""

    n: int

    def __iter__(self) -> Iterator[object]:
        from clir_bench.types import Document

        return (Document(f"d{number}", str(number)) for number in range(self.n))


class LookUp:
    """Vectors made of two small tables' rows, so that those of millions of documents differ."""

    dim = DIM

    def __init__(self) -> None:
        from clir_bench.types import EncoderInfo

        self.info = EncoderInfo(name="look-up", revision="1", similarity="dot")
        generator = np.random.default_rng(0)
        self._tables = generator.standard_normal((2, _TABLE, DIM), dtype=np.float32)

    def encode_queries(self, texts: Sequence[str], *, language: str) -> np.ndarray:
        numbers = np.fromiter(map(int, texts), dtype=np.int64, count=len(texts))
        return self._tables[0, numbers % _TABLE] + self._tables[1, numbers // _TABLE % _TABLE]

    encode_documents = encode_queries


def measure(n_documents: int, n_queries: int, k: int) -> dict[str, float]:
    """Search one corpus in this process."""
    from clir_bench.encoders.contract import CheckedEncoder
    from clir_bench.metrics.scoring import score
    from clir_bench.search.document_vectors import DocumentVectors
    from clir_bench.search.search import QuerySet, encode_queries, search
    from clir_bench.search.vectors.cache_key import Corpus
    from clir_bench.search.workers.executor import Here
    from clir_bench.tasks.outline import outline_of
    from clir_bench.types import Qrel, Query

    encoder = CheckedEncoder(LookUp())
    queries = [Query(f"q{number}", str(number * 97)) for number in range(n_queries)]
    vectors = encode_queries(encoder, queries, "en")
    query_set = QuerySet([query.query_id for query in queries], vectors)
    wall, processor = time.perf_counter(), time.process_time()
    documents: Any = Documents(n_documents)
    outline = outline_of(documents, language="en", document_text="{text}")
    corpus = Corpus("", n_documents, "en", "{text}", "documents", outline)
    vectors = DocumentVectors(documents, Here(encoder), corpus)
    (run,), _ = search(vectors, [query_set], k=k)
    qrels = [Qrel(query.query_id, f"d{int(query.text)}", 1) for query in queries]
    scores = score(run, qrels, ["nDCG@10"])
    return {
        "documents": n_documents,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "processor": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "ndcg": scores.means()["nDCG@10"],
    }


def measured_apart(n_documents: int, n_queries: int, k: int) -> dict[str, Any]:
    """Search one corpus in a process of its own."""
    options = {"--documents": n_documents, "--queries": n_queries, "--top-k": k}
    done = subprocess.run(
        [sys.executable, __file__, "--alone"]
        + [str(part) for option in options.items() for part in option],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )
    found = json.loads(done.stdout)
    print(found, file=sys.stderr, flush=True)
    return {
        "documents": n_documents,
        "queries": n_queries,
        "top_k": k,
        "peak_mb": found["peak_mb"],
        "processor_seconds": found["processor"],
        "wall_seconds": found["wall"],
    }


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="+", default=[500])
    parser.add_argument("--top-k", type=int, nargs="+", default=[1000], help="one for each")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    depths = list(zip(arguments.queries, arguments.top_k, strict=True))
    if arguments.alone:
        print(json.dumps(measure(arguments.documents[0], *depths[0])))
        return
    rows = [
        measured_apart(n_documents, n_queries, k)
        for n_queries, k in depths
        for n_documents in arguments.documents
    ]
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.csv or Path(folder) / "memory.csv"
        records.write(path, rows, records.about_here(threads, ("faiss-cpu", "numpy")))
        print(markdown("memory", records.read(path)))


if __name__ == "__main__":
    main()
