"""Comparisons as JSON and CSV, with every number in full."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from clir_bench.analysis.comparison.report import Comparison
from clir_bench.analysis.comparison.rows import TaskComparison

SCHEMA_VERSION = 1
"""Raised whenever a reader of older comparisons would misread a newer one."""


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as sorted JSON, ending in a newline."""
    settings = comparison.settings
    values = {
        "schema_version": SCHEMA_VERSION,
        "alpha": comparison.alpha,
        "flips": settings.n_flips,
        "resamples": settings.n_resamples,
        "seed": settings.seed,
        "tasks": [_task(task, comparison.alpha) for task in comparison.tasks],
        "refused": [
            {**refusal.of._asdict(), "system": refusal.system, "reason": refusal.reason}
            for refusal in comparison.refused
        ],
    }
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """Return a comparison as CSV, a line a difference."""
    lines = comparison.rows()
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _task(task: TaskComparison, alpha: float) -> dict[str, Any]:
    return {
        "task": task.task,
        "title": task.title,
        "split": task.split,
        "measure": task.measure,
        "scheme": task.scheme,
        "baseline": task.baseline,
        "systems": list(task.systems),
        "rank_groups": dict(task.ranks),
        "pool_rank_groups": dict(task.pool_ranks),
        "notes": list(task.notes),
        "differences": [
            {**row.values(alpha), "members": list(row.found.target.members)} for row in task.rows
        ],
    }
