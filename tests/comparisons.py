"""Stored results with made-up values, for tests of what reads results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import (
    Environment,
    PairResult,
    Result,
    SettingsRecord,
    TaskRecord,
    TierSummary,
)
from clir_bench.results.store import result_path, write_result, write_values
from clir_bench.results.system_record import SystemRecord
from clir_bench.types import LanguagePair

Values = Mapping[str, Any]


def scores_of(
    values: Values, measure: str = "nDCG@10", ids: Mapping[str, Any] | None = None
) -> dict[LanguagePair, QueryScores]:
    """Return per-query values by pair, `{"sw-en": [0.5, 1.0]}`, of queries q000, q001, ..."""
    found = {}
    for name, of_pair in values.items():
        default = [f"q{number:03}" for number in range(len(of_pair))]
        query_ids = tuple((ids or {}).get(name, default))
        column = np.asarray(of_pair, dtype=np.float64)[:, None]
        found[LanguagePair.parse(name)] = QueryScores(query_ids, (measure,), column)
    return found


def store(
    output: Path,
    system: str,
    values: Values,
    *,
    revision: str = "1",
    measure: str = "nDCG@10",
    top_k: int = 1000,
    **task: Any,
) -> Path:
    """Store a result of a system whose pairs have `values`; return its path."""
    record: dict[str, Any] = {
        "id": "made-up", "title": "Made up", "version": 1, "card_sha256": "c" * 64,
        "split": "test", "measures": (measure,), "official": True, "unofficial": (),
        "sample": False, "limit": None, "complete": True, "parallel_queries": True,
        "data_sha256": "d" * 64,
    }  # fmt: skip
    record |= task
    path = result_path(output, system, record["id"], record["split"])
    pairs = {}
    for pair, scores in scores_of(values, measure).items():
        pairs[str(pair)] = PairResult(
            tier="unknown",
            language=pair.query,
            status="done",
            official=True,
            data_sha256=hashlib.sha256(str(pair).encode()).hexdigest(),
            values_file=write_values(path, pair, scores)[0],
        )
    result = Result(
        system=SystemRecord(
            name=system, spec=system, package="test", revision=revision, weights_sha256=None,
            query_prompt="", document_prompt="", max_tokens=None, dtype="float32", dim=8,
            n_parameters=None, similarity="cosine", license=None, training_languages=(),
            description="",
        ),
        task=TaskRecord(**record),
        settings=SettingsRecord(top_k=top_k, seed=0, n_resamples=1000),
        environment=Environment(
            clir_bench="0", python="3", platform="test", packages={}, hardware={},
            git_commit=None, git_dirty=None, command="", started="2025-01-01T00:00:00+00:00",
            seconds=0.0,
        ),
        pairs=pairs,
        languages={},
        tiers=TierSummary(
            scheme="joshi", note="", means={}, gap={}, ratio={}, worst_language={}
        ),
        overall={},
    )  # fmt: skip
    write_result(path, result)
    return path


def changed(path: Path, **pair_data: str) -> None:
    """Give pairs of a stored result, `sw_en="..."`, another data hash."""
    result = Result.model_validate_json(path.read_text(encoding="utf-8"))
    pairs = dict(result.pairs)
    for name, sha256 in pair_data.items():
        pair = name.replace("_", "-")
        pairs[pair] = pairs[pair].model_copy(update={"data_sha256": sha256})
    write_result(path, result.model_copy(update={"pairs": pairs}))
