"""Results with values written by hand, stored as `clir-bench submit` stores them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clir_bench.cards import TaskCard, load_card
from clir_bench.leaderboard.official import FILE_NAME, DataKey, format_official
from clir_bench.results import result_path, write_result, write_run, write_values
from clir_bench.schema import (
    Cost,
    Environment,
    PairCounts,
    PairResult,
    Result,
    Score,
    SettingsRecord,
    SystemRecord,
    TaskRecord,
    TierSummary,
)
from clir_bench.scoring import QueryScores
from clir_bench.types import LanguagePair, Run

MEASURES = ("P@1", "nDCG@10")
Values = Mapping[str, Sequence[float]]
"""Pair to the value of every query, the same for every measure."""

SYSTEM_CARD = """\
name = "{name}"
description = "A system of a test"
kind = "dense"
url = "https://example.org/system"
license = "MIT"
contact = "nobody"

[training]
languages = ["en", "sw"]
bitext = ["OPUS-100 en-sw"]
corpora = []
evaluation_data_seen = "no"
"""

BOARD = """\
title = "Sentences"
about = "A sentence to its translation."

[[sections]]
id = "to-english"
title = "To English"
about = "Two languages."
task = "tatoeba"
pairs = ["sw-en", "de-en"]
measures = ["P@1", "nDCG@10"]
"""


def data_hash(pair: str) -> str:
    """The hash that stands for a pair's data in these tests."""
    return hashlib.sha256(pair.encode()).hexdigest()


def store_board(folder: Path, *, name: str = "sentences", text: str = BOARD) -> Path:
    """Write a board and the official hashes of `tatoeba`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    (folder / "results").mkdir(exist_ok=True)
    card = load_card("tatoeba")
    assert isinstance(card, TaskCard)
    keys = [DataKey("tatoeba", "test", pair) for pair in card.available_pairs()]
    (folder / FILE_NAME).write_bytes(format_official({k: data_hash(str(k.pair)) for k in keys}))
    return folder


def store(
    results: Path,
    name: str,
    values: Values,
    *,
    task: Mapping[str, Any] | None = None,
    system: Mapping[str, Any] | None = None,
    pair: Mapping[str, Any] | None = None,
    started: str = "2026-11-20T23:30:00+00:00",
    card: str | None = SYSTEM_CARD,
) -> Path:
    """Store a result of `tatoeba`; mappings replace fields of what is usually stored."""
    path = result_path(results, name, "tatoeba", "test")
    pairs = {}
    for pair_name, by_query in values.items():
        parsed = LanguagePair.parse(pair_name)
        ids = tuple(f"q{number:03}" for number in range(len(by_query)))
        scores = QueryScores(
            ids, MEASURES, np.array([[v] * len(MEASURES) for v in by_query], float)
        )
        run = Run(ids, [("d1",)] * len(ids), [np.array([1], dtype=np.float32)] * len(ids))
        run_file, run_sha256 = write_run(path, parsed, run, "test")
        values_file, values_sha256 = write_values(path, parsed, scores)
        fields = {
            "tier": "low",
            "language": parsed.query,
            "status": "done",
            "official": True,
            "counts": PairCounts(documents=100, queries=10, judged_queries=len(ids), qrels=10),
            "data_sha256": data_hash(pair_name),
            "scores": {m: Score(mean=v, interval=(0, 1)) for m, v in scores.means().items()},
            "cost": Cost(
                documents_per_second=50,
                queries_per_second=5,
                encode_seconds=2,
                index_seconds=0,
                search_seconds=0,
                score_seconds=0,
                peak_memory_bytes=1,
                index_size_bytes=400,
                pairs_sharing_corpus=1,
            ),
            "run_sha256": run_sha256,
            "run_file": run_file,
            "values_file": values_file,
            "values_sha256": values_sha256,
        }
        pairs[pair_name] = PairResult(**{**fields, **(pair or {})})
    record = SystemRecord(
        name=name, spec=name, package="test 1", revision="1", weights_sha256="0" * 64,
        query_prompt="", document_prompt="", max_tokens=512, dtype="float32", dim=4,
        n_parameters=22_713_216, similarity="cosine", license="MIT", training_languages=(),
        description="",
    ).model_copy(update=dict(system or {}))  # fmt: skip
    task_record = TaskRecord(
        id="tatoeba", title="Tatoeba", version=1, card_sha256="0" * 64, split="test",
        measures=MEASURES, official=True, unofficial=(), sample=False, limit=None, complete=False,
        parallel_queries=True, data_sha256="0" * 64,
    ).model_copy(update=dict(task or {}))  # fmt: skip
    none = TierSummary(scheme="joshi", note="", means={}, gap={}, ratio={}, worst_language={})
    environment = Environment(
        clir_bench="0.1.0", python="3.11", platform="Linux", packages={},
        hardware={"processor": "A chip", "cores": "2"}, git_commit=None, git_dirty=None,
        command="", started=started, seconds=1,
    )  # fmt: skip
    settings = SettingsRecord(top_k=100, seed=0, n_resamples=1000)
    result = Result(
        system=record, task=task_record, settings=settings, environment=environment,
        pairs=pairs, languages={}, tiers=none, overall={},
    )  # fmt: skip
    write_result(path, result)
    if card is not None:
        text = card.format(name=name)
        (path.parents[1] / "system.toml").write_text(text, encoding="utf-8")
    return path
