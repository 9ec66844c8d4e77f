"""Counts the pairs of bitext that were read, kept and dropped, per source and language.

A model's card holds this report, so that everyone can see what the student was trained on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

READ = "read"
TRAIN = "train"
VALIDATION = "validation"
REALIGNED = "realigned"
DROPPED = (
    "one_side_only",  # a verse or unit that lacks English or the other language
    "empty",
    "broken_characters",
    "misaligned",
    "too_long",
    "no_letters",
    "copy",
    "wrong_script",
    "length_ratio",
    "not_chosen",  # beyond the requested share of the source
    "duplicate",
    "overlap",  # occurs in a benchmark
    "twin",  # its translation was held back with another English text
)
"""Why pairs are dropped, in the order the reasons are looked for: a pair counts for the first."""


@dataclass(frozen=True)
class TaskOverlap:
    """What the comparison of the bitext with one evaluation task found.

    Attributes:
        task: Task id.
        checked: "<split>: <n> of <m> pairs" for every split with readable data.
        not_checked: Why the task was not compared, or only in part; empty when all was compared.
        n_texts: Texts and sentences of the task that were compared, with repeated documents.
        n_matched: How many of them occur in the bitext.
        pairs: Bitext pairs dropped because of it; several tasks may drop one pair.
    """

    task: str
    checked: tuple[str, ...] = ()
    not_checked: str = ""
    n_texts: int = 0
    n_matched: int = 0
    pairs: int = 0


@dataclass
class BitextReport:
    """Counts of pairs per source and language, filled while bitext is read.

    Attributes:
        rows: (source, language) to counts by READ, TRAIN, VALIDATION, REALIGNED and the reasons in
            DROPPED.
        licenses: Source to its licence.
        overlap: What the comparison with each evaluation task found; empty when there was none.
    """

    rows: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    licenses: dict[str, str] = field(default_factory=dict)
    overlap: tuple[TaskOverlap, ...] = ()

    def count(self, source: str, language: str, what: str, n: int = 1) -> None:
        """Add `n` to one count."""
        self.rows.setdefault((source, language), Counter())[what] += n

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, rows sorted by source and language."""
        return {
            "rows": [
                {
                    "source": source,
                    "language": language,
                    "license": self.licenses.get(source, ""),
                    "read": row[READ],
                    "kept": row[READ] - sum(row[reason] for reason in DROPPED),
                    "dropped": {reason: row[reason] for reason in DROPPED if row[reason]},
                    "realigned": row[REALIGNED],
                    "train": row[TRAIN],
                    "validation": row[VALIDATION],
                }
                for (source, language), row in sorted(self.rows.items())
            ],
            "overlap": [
                {
                    "task": task.task,
                    "checked": list(task.checked),
                    "not_checked": task.not_checked,
                    "texts": task.n_texts,
                    "matched": task.n_matched,
                    "pairs": task.pairs,
                }
                for task in self.overlap
            ],
        }
