"""Tokens per second of the lexical analysis, beside bm25s.tokenize with PyStemmer.

    python benchmarks/lexical.py FILE --language en --peer-python peers/bin/python

FILE holds one text per line (.gz too). The peer is handed the same lines in a process of its own,
with the same stemmer and its own stop words where it has them; one thread each. Seconds are those
of the analysis alone, the best of three; what was kept from the first time is forgotten.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import time
from pathlib import Path

from tabulate import tabulate

PEER = """
import json, sys, time
import bm25s, Stemmer
lines = json.load(open(sys.argv[1]))
best, n = 1e9, 0
for _ in range(3):
    stem = Stemmer.Stemmer(sys.argv[2]) if sys.argv[2] else None
    start = time.perf_counter()
    found = bm25s.tokenize(lines, stopwords=sys.argv[3] or None, stemmer=stem, show_progress=False)
    best = min(best, time.perf_counter() - start)
    n = sum(map(len, found.ids))
print(json.dumps([best, n]))
"""


def ours(lines: list[str], language: str) -> tuple[float, int]:
    """Return the seconds and the number of terms."""
    from clir_bench.encoders.lexical.analysis import load_analyzer

    best, n_terms = float("inf"), 0
    for _ in range(3):
        analyzer = load_analyzer(language)
        start = time.perf_counter()
        n_terms = sum(map(len, analyzer.terms_of(lines)))
        best = min(best, time.perf_counter() - start)
    return best, n_terms


def main() -> None:
    """Print the table."""
    from clir_bench.encoders.lexical.analysis import rules_of

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--language", default="en")
    parser.add_argument("--peer-python")
    parser.add_argument("--repeat", type=int, default=1, help="read the file so many times")
    options = parser.parse_args()
    opened = gzip.open if options.file.suffix == ".gz" else open
    with opened(options.file, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file] * options.repeat
    n_words = sum(len(line.split()) for line in lines)
    found = {"clir-bench": ours(lines, options.language)}
    if options.peer_python:
        handed = Path(f"{options.file.name}.lines.json")
        handed.write_text(json.dumps(lines), encoding="utf-8")
        stop = options.language if options.language in ("en", "de", "fr", "es", "ru") else ""
        arguments = [str(handed), rules_of(options.language).stemmer, stop]
        done = subprocess.run(
            [options.peer_python, "-c", PEER, *arguments],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        handed.unlink()
        seconds, n_terms = json.loads(done.stdout.splitlines()[-1])
        found["bm25s.tokenize, PyStemmer"] = (seconds, n_terms)
    slowest = max(seconds for seconds, _ in found.values())
    rows = [
        [name, seconds, n_terms, n_words / seconds, slowest / seconds]
        for name, (seconds, n_terms) in found.items()
    ]
    print(f"{options.language}: {len(lines):,} texts, {n_words:,} words between white space\n")
    heading = ["analysis", "seconds", "terms kept", "words per second", "times as fast"]
    print(tabulate(rows, heading, tablefmt="github", floatfmt=("", ".2f", "", ",.0f", ".1f")))


if __name__ == "__main__":
    main()
