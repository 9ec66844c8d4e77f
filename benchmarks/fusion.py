"""`hybrid:` beside ranx on stored runs: reciprocal ranks, and the weighted sum of min-max scores.

    clir-bench run --model bm25 --model hashing --task xquad --output results
    python benchmarks/fusion.py results/bm25 results/hashing --peer-python peers/bin/python

Both fuse the same run files: those of every pair that both folders have. ranx (Bassani and Romelli
2022) runs in a Python of its own. Reported are the largest difference of a document's fused score
(ours are float32), the queries whose order differs beyond documents within that difference, and the
largest difference of a pair's nDCG@10.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

TIED = 1e-6
WEIGHTS = (0.7, 0.3)


def fuse_by_ranx(files: list[list[str]], out: str) -> None:
    """Fuse runs with ranx, in its own Python: pairs of run files, plain TREC text."""
    import ranx

    fused: list[Any] = []
    for pair in files:
        runs = [ranx.Run.from_file(file, kind="trec") for file in pair]
        rrf = ranx.fuse(runs=runs, method="rrf", params={"k": 60})
        weighted = ranx.fuse(
            runs=runs, norm="min-max", method="wsum", params={"weights": list(WEIGHTS)}
        )
        fused.append([rrf.to_dict(), weighted.to_dict()])
    Path(out).write_text(json.dumps(fused), encoding="utf-8")


def compare(ours: Any, theirs: dict[str, dict[str, float]]) -> tuple[float, int]:
    """Return the largest difference of a score, and the queries in another order."""
    worst, n_other = 0.0, 0
    for query_id, doc_ids, scores in zip(ours.query_ids, ours.doc_ids, ours.scores, strict=True):
        expected = theirs[query_id]
        assert set(doc_ids) == set(expected), f"{query_id}: other documents are ranked"
        found = [expected[doc_id] for doc_id in doc_ids]
        worst = max(worst, *(abs(a - b) for a, b in zip(scores.tolist(), found, strict=True)))
        n_other += any(low > high + TIED for high, low in pairwise(found))
    return worst, n_other


def main() -> None:
    """Fuse, compare and print one line per method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs=2, type=Path, help="systems' folders of results")
    parser.add_argument("--peer-python", required=True, help="a Python that has ranx")
    parser.add_argument("--task", default="xquad")
    arguments = parser.parse_args()
    from clir_bench.metrics.scoring import score
    from clir_bench.results.trec_runs import from_scores, read_run
    from clir_bench.systems.hybrid import fuse
    from clir_bench.tasks.catalog import load_card
    from clir_bench.tasks.loading import Loader
    from clir_bench.tasks.measures import parse_measures
    from clir_bench.tasks.source import locate
    from clir_bench.types import LanguagePair

    card = load_card(arguments.task)
    split = card.default_split
    loader = Loader(card, split, locate(card, split))
    places = [folder / card.id / split for folder in arguments.folders]
    names = sorted(
        {p.name for p in places[0].glob("*.run.gz")} & {p.name for p in places[1].iterdir()}
    )
    ndcg = parse_measures(["nDCG@10"])
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in names:
            texts = [gzip.decompress((place / name).read_bytes()).decode() for place in places]
            queries = [{line.split(" ", 1)[0] for line in text.splitlines()} for text in texts]
            pair = [Path(folder, f"{number}-{name}.trec") for number in range(2)]
            for text, plain in zip(texts, pair, strict=True):
                # ranx refuses runs of different queries; bm25 finds nothing for some.
                lines = text.splitlines(keepends=True)
                both = queries[0] & queries[1]
                kept = [line for line in lines if line.split(" ", 1)[0] in both]
                plain.write_text("".join(kept), encoding="utf-8")
            files.append([str(plain) for plain in pair])
        out = str(Path(folder, "fused.json"))
        asked = json.dumps([files, out])
        subprocess.run(
            [arguments.peer_python, __file__, "--ranx"], input=asked, text=True, check=True
        )
        theirs = json.loads(Path(out).read_text(encoding="utf-8"))
        runs_of = [[read_run(Path(file)) for file in pair] for pair in files]
    for number, method in enumerate(("rrf, k = 60", f"min-max, weights {WEIGHTS}")):
        worst, n_other, n_queries, moved = 0.0, 0, 0, 0.0
        for name, runs, by_ranx in zip(names, runs_of, theirs, strict=True):
            ours = fuse(runs, 10**6, weights=WEIGHTS if number else None)
            difference, other = compare(ours, by_ranx[number])
            worst, n_other = max(worst, difference), n_other + other
            n_queries += len(ours.query_ids)
            qrels = loader.load(LanguagePair.parse(name.removesuffix(".run.gz"))).qrels
            means = [
                score(run, qrels, ndcg).means() for run in (ours, from_scores(by_ranx[number]))
            ]
            moved = max(moved, *(abs(means[0][m] - means[1][m]) for m in means[0]))
        print(
            f"{method}: {len(names)} pairs, {n_queries:,} queries; scores differ by at most "
            f"{worst:.1e}; {n_other} queries in another order; nDCG@10 moves by at most {moved:.1e}"
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["--ranx"]:
        fuse_by_ranx(*json.loads(sys.stdin.read()))
    else:
        main()
