"""Turns comparisons into JSON and CSV, with every number in full."""

from __future__ import annotations

from typing import Any

from clir_bench.analysis.comparison.report import Comparison
from clir_bench.analysis.comparison.rows import TaskComparison
from clir_bench.core.tables import Column, Table

SCHEMA_VERSION = 1
"""Raised whenever a reader of older comparisons would misread a newer one."""


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values."""
    settings = comparison.settings
    return {
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


def comparison_rows(comparison: Comparison) -> Table:
    """Return every difference in full, one row each."""
    lines = comparison.rows()
    return Table(
        columns=[Column(name) for name in lines[0]], rows=[list(line.values()) for line in lines]
    )


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
        **({"dtypes": dict(task.dtypes)} if {*task.dtypes.values()} > {"float32"} else {}),
        "differences": [
            {**row.values(alpha), "members": list(row.found.target.members)} for row in task.rows
        ],
    }
