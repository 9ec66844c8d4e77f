"""BM25 end to end, beside bm25s used by hand: time, peak memory, and whether the scores agree.

python benchmarks/bm25.py --documents 1000000 --queries 500 --csv benchmarks/measured/bm25.csv

Passages are made of English words, drawn by Zipf's law, and lie in a file in BEIR's layout. Both
sides read them, analyse them by the same rules where stated (Snowball, stop words), and write a
ranking of the first 1,000 documents per query. By hand means: read the file, `bm25s.tokenize` with
PyStemmer, `index`, `retrieve`. Every size is run in a process of its own with one thread.
bm25s comes with `pip install bm25s PyStemmer`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import records
from tabulate import tabulate

_K = 1000
_WORDS_PER_PASSAGE = 55
_CARD = """
id = "passages"
title = "Passages"
description = "Made of words"
adapter = "folder"
parallel_queries = false
splits = ["test"]
default_split = "test"
measures = ["nDCG@10"]
license = "CC0-1.0"
[source]
directory = "."
layout = "beir"
[pairs]
official = ["en-en"]
[languages]
en = "en"
"""


def make(folder: Path, n_documents: int, n_queries: int, words: list[str]) -> None:
    """Write a collection in BEIR's layout."""
    generator = np.random.default_rng(0)
    shares = 1 / np.arange(1, len(words) + 1)
    shares /= shares.sum()
    bounds = shares.cumsum()
    generator.shuffle(words)
    (folder / "qrels").mkdir(parents=True)

    def text(n: int) -> str:
        places = np.searchsorted(bounds, generator.random(n))
        return " ".join(words[place] for place in np.minimum(places, len(words) - 1))

    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(n_documents):
            length = int(generator.integers(20, 2 * _WORDS_PER_PASSAGE - 20))
            file.write(json.dumps({"_id": f"d{number}", "text": text(length)}) + "\n")
    with (
        (folder / "queries.jsonl").open("w") as file,
        (folder / "qrels" / "test.tsv").open("w") as qrels,
    ):
        qrels.write("query-id\tcorpus-id\tscore\n")
        for number in range(n_queries):
            file.write(json.dumps({"_id": f"q{number}", "text": text(6)}) + "\n")
            qrels.write(f"q{number}\td{number % n_documents}\t1\n")
    (folder / "passages.toml").write_text(_CARD)


def ours(folder: Path) -> None:
    """Run `bm25` as `clir-bench run` does: checks, ranking, measures, intervals, files."""
    import clir_bench

    clir_bench.evaluate("bm25", folder / "passages.toml", output=folder / "results")


def by_hand(folder: Path) -> None:
    """Rank with bm25s."""
    import bm25s
    import Stemmer

    with (folder / "corpus.jsonl").open() as file:
        documents = [json.loads(line) for line in file]
    with (folder / "queries.jsonl").open() as file:
        queries = [json.loads(line) for line in file]
    stemmer = Stemmer.Stemmer("english")
    tokens = bm25s.tokenize(
        [one["text"] for one in documents], stopwords="en", stemmer=stemmer, show_progress=False
    )
    retriever = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    retriever.index(tokens, show_progress=False)
    asked = bm25s.tokenize(
        [one["text"] for one in queries], stopwords="en", stemmer=stemmer, show_progress=False
    )
    found, scores = retriever.retrieve(asked, k=_K, show_progress=False)
    with (folder / "by-hand.run").open("w") as file:
        for query, places, values in zip(queries, found, scores, strict=True):
            for rank, (place, value) in enumerate(zip(places, values, strict=True), start=1):
                doc_id = documents[place]["_id"]
                file.write(f"{query['_id']} Q0 {doc_id} {rank} {value} bm25s\n")


def agreement(folder: Path, n_queries: int) -> dict[str, float]:
    """Compare our stored run with bm25s over our terms, as float64 as it goes."""
    import bm25s

    from clir_bench.encoders.lexical.analysis import load_analyzer

    analyzer = load_analyzer("en")
    with (folder / "corpus.jsonl").open() as file:
        documents = [json.loads(line) for line in file]
    with (folder / "queries.jsonl").open() as file:
        queries = [json.loads(line) for line in file][:n_queries]
    retriever = bm25s.BM25(k1=0.9, b=0.4, method="lucene", dtype="float64")
    corpus = [analyzer.terms(one["text"]) for one in documents]
    retriever.index(corpus, show_progress=False)
    place_of = {one["_id"]: place for place, one in enumerate(documents)}
    path = folder / "results" / "bm25" / "passages" / "test" / "en-en.run.gz"
    ranked: dict[str, list[tuple[str, float]]] = {}
    with gzip.open(path, "rt") as run:
        for line in run:
            query_id, _, doc_id, _, score, _ = line.split()
            ranked.setdefault(query_id, []).append((doc_id, float(score)))
    worst, n_other = 0.0, 0
    for query in queries:
        terms = [term for term in analyzer.terms(query["text"]) if term in retriever.vocab_dict]
        scores = retriever.get_scores(terms)
        found = ranked.get(query["_id"], [])
        theirs = np.array([scores[place_of[doc_id]] for doc_id, _ in found])
        mine = np.array([score for _, score in found])
        worst = max(worst, float(np.abs(theirs - mine).max(initial=0)))
        best = np.sort(scores)[::-1][: len(found)]
        n_other += int((np.abs(best - theirs) > 1e-5).sum())
    return {"largest_difference": worst, "documents_out_of_order": n_other}


def apart(what: str, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own, with one thread."""
    started = time.perf_counter()
    threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, "--alone", what, "--folder", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **threads},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"wall_seconds": time.perf_counter() - started, **found}


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[100_000])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--words", type=Path, help="a word per line; made up when not given")
    parser.add_argument("--only-ours", action="store_true", help="leave bm25s out")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    parser.add_argument("--alone", choices=["ours", "by_hand"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        {"ours": ours, "by_hand": by_hand}[arguments.alone](arguments.folder)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak, spent = usage.ru_maxrss / 1000, usage.ru_utime + usage.ru_stime
        print(json.dumps({"processor_seconds": spent, "peak_mb": peak}))
        return
    words = _words(arguments.words)
    rows: list[dict[str, Any]] = []
    for n_documents in arguments.documents:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "data"
            folder.mkdir()
            make(folder, n_documents, arguments.queries, list(words))
            for what in ("ours",) if arguments.only_ours else ("ours", "by_hand"):
                row = {"documents": n_documents, "queries": arguments.queries, "side": what}
                rows.append(row | apart(what, folder))
                print(rows[-1], file=sys.stderr, flush=True)
            if not arguments.only_ours:
                print(agreement(folder, 50), file=sys.stderr, flush=True)
    if arguments.csv:
        about = records.about_here(1, ("numpy", "scipy", "PyStemmer"))
        records.write(arguments.csv, rows, about)
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=",.1f"))


def _words(path: Path | None) -> list[str]:
    if path is not None:
        return list(dict.fromkeys(path.read_text(encoding="utf-8").split()))
    generator = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return list(
        {"".join(generator.choice(letters, generator.integers(3, 11))) for _ in range(300_000)}
    )


if __name__ == "__main__":
    main()
