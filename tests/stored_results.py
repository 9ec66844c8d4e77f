"""Results with values written by hand, stored as `clir-bench submit` stores them."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clir_bench.core.files import write_file
from clir_bench.leaderboard.assembly import assemble
from clir_bench.leaderboard.board import Board, BoardRow, Section
from clir_bench.leaderboard.data_hashes import (
    FILE_NAME,
    DataKey,
    Pinned,
    format_official,
    queries_sha256,
    read_official,
)
from clir_bench.leaderboard.definition import read_definition
from clir_bench.leaderboard.entries import Submissions
from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.make import SETTINGS, means_update, task_record
from clir_bench.leaderboard.submission.plan import plan_of
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import (
    Cost,
    Environment,
    PairCounts,
    PairResult,
    Result,
    Submission,
    TierSummary,
)
from clir_bench.results.store import result_path, system_folder, write_result, write_values
from clir_bench.results.system_record import SystemRecord
from clir_bench.tasks import catalog
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.types import LanguagePair, Run

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


TASK_CARD = """\
id = "tatoeba"
title = "Tatoeba"
description = "A sentence to its translation, two languages with English"
adapter = "tatoeba"
splits = ["test"]
default_split = "test"
measures = ["P@1", "nDCG@10"]
parallel_queries = true
license = "CC-BY-2.0"

[pairs]
official = ["*-en", "en-*"]

[languages]
en = "eng"
de = "deu"
sw = "swh"

[counts.test]
"*" = [100, 40, 40]

[submission]
depth = 10
pairs = ["*-en"]
measures = ["RR@10"]
"""


def use_small_tatoeba(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `tatoeba` a task of two languages, for submissions must have all of its pairs."""
    shutil.copytree(catalog.shipped_directory(), folder)
    (folder / "tatoeba.toml").write_text(TASK_CARD, encoding="utf-8")
    monkeypatch.setattr(catalog, "shipped_directory", lambda: folder)


def query_ids(n: int) -> tuple[str, ...]:
    """The ids of queries in these tests."""
    return tuple(f"q{number:03}" for number in range(n))


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
    if not (folder / FILE_NAME).exists():
        keys = [DataKey("tatoeba", "test", pair) for pair in card.available_pairs()]
        four = queries_sha256(query_ids(4))
        pins = {key: Pinned(data_hash(str(key.pair)), four) for key in keys}
        (folder / FILE_NAME).write_bytes(format_official(pins))
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
    pin: bool = True,
) -> Path:
    """Store a result of `tatoeba`; mappings replace fields of what is usually stored.

    Its queries become the judged ones, unless `pin` is false.
    """
    path = result_path(results, name, "tatoeba", "test")
    task_card = load_card("tatoeba")
    assert isinstance(task_card, TaskCard)
    plan = plan_of(task_card)
    scores = {
        LanguagePair.parse(pair_name): QueryScores(
            query_ids(len(by_query)),
            plan.measures,
            np.array([[v] * len(plan.measures) for v in by_query], float),
        )
        for pair_name, by_query in values.items()
    }
    scores = {one: scores[one] for one in plan.ordered(task_card, scores)}
    pairs = {str(one): _pair(path, one, of_pair) for one, of_pair in scores.items()}
    if pin:
        pins = read_official(results.parent)
        for one, of_pair in scores.items():
            key = DataKey("tatoeba", "test", one)
            pins[key] = pins[key]._replace(queries=queries_sha256(of_pair.query_ids))
        (results.parent / FILE_NAME).write_bytes(format_official(pins))
    record = SystemRecord(
        name=name, spec=name, package="test 1", revision="1", weights_sha256="0" * 64,
        query_prompt="", document_prompt="", max_tokens=512, dtype="float32", dim=4,
        n_parameters=22_713_216, similarity="cosine", license="MIT", training_languages=(),
        description="",
    )  # fmt: skip
    none = TierSummary(scheme="joshi", note="", means={}, gap={}, ratio={}, worst_language={})
    environment = Environment(
        clir_bench="0.1.0", python="3.11", platform="Linux", packages={},
        hardware={"processor": "A chip", "cores": "2"}, git_commit=None, git_dirty=None,
        command="", started=started, seconds=1,
    )  # fmt: skip
    result = Result(
        system=record,
        task=task_record(task_card, "test", plan.measures, pairs),
        settings=SETTINGS.model_copy(update={"top_k": plan.depth}), environment=environment,
        pairs=pairs, languages={}, tiers=none, overall={},
        submission=Submission(
            depth=plan.depth, source_top_k=1000, source_measures=("P@1",), clir_bench="0.1.0"
        ),
    )  # fmt: skip
    write_result(path, means_update(result, task_card, scores))
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["task"].update(task or {})
    raw["system"].update(system or {})
    for known in raw["pairs"].values():
        known.update(pair or {})
    path.write_text(json.dumps(raw), encoding="utf-8")
    if card is not None:
        text = card.format(name=name)
        (path.parents[1] / "system.toml").write_text(text, encoding="utf-8")
    return path


def change_values(path: Path, pair: str, text: str) -> None:
    """Store another text as the values of a result's pair."""
    file = path.parent / "test" / f"{pair}.values.tsv.gz"
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def _pair(path: Path, pair: LanguagePair, scores: QueryScores) -> PairResult:
    ids = scores.query_ids
    found = tuple(f"d{number}" for number in range(10))
    falling = np.arange(10, 0, -1, dtype=np.float32)
    run = Run(ids, [found] * len(ids), [falling] * len(ids))
    data = run_format.compress(run_format.format_compact(run, 10, system_folder(path.parts[-3])))
    write_file(path.parent / "test" / f"{pair}.run.xz", data)
    values_file, values_sha256 = write_values(path, pair, scores)
    return PairResult(
        tier="low",
        language=pair.query,
        status="done",
        official=True,
        counts=PairCounts(
            documents=100, queries=40, judged_queries=len(ids), qrels=40, retrieved=10 * len(ids)
        ),
        data_sha256=data_hash(str(pair)),
        cost=Cost(
            documents_per_second=50, queries_per_second=5, encode_seconds=2, index_seconds=0,
            search_seconds=0, score_seconds=0, peak_memory_bytes=1, index_size_bytes=400,
            pairs_sharing_corpus=1,
        ),
        run_sha256=hashlib.sha256(data).hexdigest(),
        source_run_sha256="0" * 64,
        run_file=f"test/{pair}.run.xz",
        values_file=values_file,
        values_sha256=values_sha256,
    )  # fmt: skip


GOOD: Values = {"sw-en": [1, 0, 0, 0], "de-en": [1, 1, 1, 0]}


def board_of(folder: Path, name: str = "sentences") -> Board:
    submissions = Submissions(folder / "results", read_official(folder))
    return assemble(read_definition(folder / f"{name}.toml"), submissions, folder)


def only_section(folder: Path) -> Section:
    (section,) = board_of(folder).sections
    return section


def only_row(folder: Path) -> BoardRow:
    (row,) = only_section(folder).rows
    return row


def refusal(folder: Path) -> str:
    section = only_section(folder)
    assert section.rows == ()
    (left_out,) = section.left_out
    return left_out.reason
