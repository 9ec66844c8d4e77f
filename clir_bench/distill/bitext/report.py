"""What became of the bitext that was read: counts a source and language, for people and for JSON.

A checkpoint's card holds this report, so that anybody can see what a student was taught with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    "not_chosen",  # beyond the share of the source that was asked for
    "duplicate",
    "overlap",  # stands in a benchmark
    "twin",  # its translation was held back with another English text
)
"""Why pairs are dropped, in the order the reasons are looked for: a pair counts for the first."""


@dataclass(frozen=True)
class TaskOverlap:
    """What was found when the bitext was compared with one evaluation task.

    Attributes:
        task: Task id.
        checked: "<split>: <n> of <m> pairs" for every split of which anything could be read.
        not_checked: Why some of the task or all of it was not compared; empty when all was.
        n_texts: Texts and sentences of the task that were compared, repeated documents included.
        n_matched: How many of them stand in the bitext.
        pairs: Bitext pairs dropped for it; a pair may be dropped for several tasks.
    """

    task: str
    checked: tuple[str, ...] = ()
    not_checked: str = ""
    n_texts: int = 0
    n_matched: int = 0
    pairs: int = 0


@dataclass
class BitextReport:
    """Counts of pairs a source and language, filled while bitext is read.

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

    def total(self, what: str) -> int:
        """Return one count over all sources and languages; "kept" is one as well."""
        return sum(_value(row, what) for row in self.rows.values())

    def kept(self, source: str, language: str) -> int:
        """Return how many pairs of a source and language were not dropped."""
        return _value(self.rows.get((source, language), Counter()), "kept")

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, rows sorted by source and language."""
        return {
            "rows": [
                {
                    "source": source,
                    "language": language,
                    "license": self.licenses.get(source, ""),
                    "read": row[READ],
                    "kept": _value(row, "kept"),
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

    def table(self) -> str:
        """Return the report as plain text: a line a source and language, then a line a task."""
        from tabulate import tabulate

        used = [reason for reason in DROPPED if self.total(reason)]
        columns = (READ, "kept", REALIGNED, *used)
        header = ["source", "language", *(name.replace("_", " ") for name in columns)]
        lines: list[Iterable[object]] = [
            (source, language, *(_value(row, column) for column in columns))
            for (source, language), row in sorted(self.rows.items())
        ]
        lines.append(("all", "", *(self.total(column) for column in columns)))
        text = tabulate(lines, header, intfmt=",", disable_numparse=[0, 1])
        if not self.overlap:
            return f"{text}\n\nNot compared with any evaluation task."
        tasks = [
            (
                task.task,
                task.n_texts,
                task.n_matched,
                task.pairs,
                "; ".join(task.checked) or "not checked",
                task.not_checked,
            )
            for task in self.overlap
        ]
        header = ["task", "texts", "in the bitext", "pairs dropped", "checked", "not checked"]
        return f"{text}\n\n" + tabulate(tasks, header, intfmt=",", disable_numparse=[0, 4, 5])


def _value(row: Counter[str], what: str) -> int:
    return row[READ] - sum(row[reason] for reason in DROPPED) if what == "kept" else row[what]
