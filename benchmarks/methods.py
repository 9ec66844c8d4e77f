"""Compares the methods of `clir-bench distill`: transport against its controls, over seeds.

    export CLIR_BENCH_DATA=...
    python benchmarks/methods.py train --bitext-root BITEXT --output methods
    python benchmarks/methods.py report methods > methods.md

Every method starts from one student without layers (vocabulary and first vectors), sees the same
pairs in the same order and takes the same number of steps: `recipes/<method>.toml`, with only the
seed changed. Students are then run on XQuAD-R, from questions in ten languages to English
sentences, and on Tatoeba, from the languages they have seen to English, late interaction and
pooled. What is there already is not done again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from clir_bench.analysis.comparison.paired import Difference, ResamplingSettings, paired_differences
from clir_bench.distill.bitext.mixture import BitextCorpus
from clir_bench.distill.distillation import (
    STUDENT,
    DistillFolders,
    distill,
    first_student,
    read_corpus,
)
from clir_bench.distill.model.teacher import Teacher
from clir_bench.distill.recipe import Recipe, check_recipe, read_recipe
from clir_bench.encoders import load_encoder
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

METHODS = ("ot-kd", "ot", "kd", "greedy", "adversarial")
BASELINE = "kd"
KINDS = ("late", "pooled")
TASKS = {"xquad-r": "nDCG@10", "tatoeba": "P@1"}
RECIPES = Path(__file__).parents[1] / "recipes"
Scores = dict[LanguagePair, QueryScores]


class Quiet:
    """A line a phase, for a log."""

    def begin(self, label: str, total: int | None) -> None:
        print(f"  {label}", file=sys.stderr, flush=True)

    def advance(self, n: int, note: str = "") -> None:
        pass


def recipe_of(method: str, seed: int, student: Path | None) -> Recipe:
    values = read_recipe(RECIPES / f"{method}.toml")
    values["seed"] = seed
    if student is not None:
        values["student"] = {"model": str(student)}
    return check_recipe(values, f"{method}.toml")


def train(output: Path, bitext: Path, cache: Path | None, seeds: list[int]) -> None:
    """Train and run what is not there yet, seed by seed."""
    first = recipe_of(METHODS[0], 0, None)
    places = DistillFolders(output, bitext, cache)
    corpus = read_corpus(first, places)
    teacher = Teacher(first.teacher.model, layer=first.teacher.layer, device="cpu")
    first_student(first, corpus, teacher, output, Quiet())
    student = output / STUDENT
    for seed in seeds:
        for method in METHODS:
            folder = output / f"{method}-{seed}"
            if not (folder / "model" / "optical.json").is_file():
                print(f"{method}, seed {seed}", file=sys.stderr, flush=True)
                recipe = recipe_of(method, seed, student)
                distill(
                    recipe,
                    DistillFolders(folder / "model", bitext, cache),
                    device="cpu",
                    watch=Quiet(),
                    corpus=corpus,
                )
            run(folder, corpus)


def run(folder: Path, corpus: BitextCorpus) -> None:
    """Run a student on both tasks, late interaction and pooled."""
    for kind in KINDS:
        spec = f"optical:{folder / 'model'}#{kind}"
        system = EncoderSystem(load_encoder(spec, device="cpu"), spec)
        for task in TASKS:
            card = load_card(task)
            assert isinstance(card, TaskCard)
            evaluate(
                card,
                system,
                output=folder / kind,
                source=locate(card, card.default_split),
                pairs=pairs_of(card, corpus),
                settings=RunSettings(top_k=20),
            )


def pairs_of(card: TaskCard, corpus: BitextCorpus) -> list[LanguagePair]:
    """Return the pairs from every language the students have seen to English."""
    return [
        pair
        for pair in card.available_pairs()
        if pair.document == "en" and pair.query in corpus.languages
    ]


def read(folder: Path, kind: str, task: str) -> Scores:
    (path,) = (folder / kind).glob(f"*/{task}/*.json")
    result = read_result(path)
    assert isinstance(result, Result)
    return read_scores(path, result)


def mean_over(parts: list[Scores]) -> Scores:
    """Return per-query values averaged over seeds."""
    first = parts[0]
    return {
        pair: QueryScores(
            one.query_ids, one.measures, np.mean([part[pair].values for part in parts], axis=0)
        )
        for pair, one in first.items()
    }


def against(baseline: Scores, scores: Scores, task: str) -> dict[str, Difference]:
    """Return the differences of tiers, of all languages and of the gap, by name."""
    found = paired_differences(
        baseline,
        scores,
        TASKS[task],
        scheme=load_scheme("joshi"),
        parallel_queries=task == "xquad-r",
        settings=ResamplingSettings(),
    )
    return {d.target.name: d for d in found if d.target.level in ("tier", "overall", "gap")}


def report(output: Path, seeds: list[int]) -> None:
    """Print the tables."""
    from tabulate import tabulate

    for task, measure in TASKS.items():
        print(f"\n### {task}, {measure}\n")
        rows, differences = [], []
        for kind in KINDS:
            found = {
                method: [read(output / f"{method}-{seed}", kind, task) for seed in seeds]
                for method in METHODS
            }
            means = {method: mean_over(parts) for method, parts in found.items()}
            for method in METHODS:
                of_mean, *of_seeds = (
                    against(means[BASELINE], scores, task)
                    for scores in (means[method], *found[method])
                )
                names = list(of_mean)
                spread = np.std([one["all languages"].system for one in of_seeds], ddof=1)
                values = [f"{of_mean[name].system:.4f}" for name in names]
                rows.append([kind, method, *values, f"{spread:.4f}"])
                if method != BASELINE:
                    cells = [of_mean[name].difference for name in names]
                    differences.append(
                        [kind, method]
                        + [f"{c.mean:+.4f} [{c.low:+.4f}, {c.high:+.4f}]" for c in cells]
                    )
        header = ["scored by", "method", *names]
        print(tabulate(rows, [*header, "sd over seeds"], tablefmt="github", disable_numparse=True))
        print(f"\nDifferences from {BASELINE}, paired by question, 95% intervals:\n")
        print(tabulate(differences, header, tablefmt="github", disable_numparse=True))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train")
    one.add_argument("--bitext-root", type=Path, required=True)
    one.add_argument("--output", type=Path, required=True)
    one.add_argument("--cache", type=Path)
    two = commands.add_parser("report")
    two.add_argument("output", type=Path)
    for command in (one, two):
        command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    if "CLIR_BENCH_DATA" not in os.environ:
        parser.error("set CLIR_BENCH_DATA to the folder of the benchmarks' data")
    if given.command == "train":
        train(given.output, given.bitext_root, given.cache, given.seeds)
    else:
        report(given.output, given.seeds)


if __name__ == "__main__":
    main()
