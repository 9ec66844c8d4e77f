"""The tables of the documentation, made from `measured/*.csv`.

In a document a table stands between `<!-- measured: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from records import Records, read

MEASURED = Path(__file__).parent / "measured"
ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "benchmarks" / "README.md", ROOT / "docs" / "performance.md")
_PLACE = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown(name: str, records: Records) -> str:
    """Return a file's table, and under it what it was measured on."""
    table = TABLES[name](records)
    about = "; ".join(
        value if key in ("machine", "versions", "languages") else f"{key}: {value}"
        for key, value in records.about.items()
    )
    return f"{table}\n\n{about}.\n"


def with_tables(text: str) -> str:
    """Return a document with all its tables made anew."""

    def made(match: re.Match[str]) -> str:
        records = read(MEASURED / f"{match[2]}.csv")
        return f"{match[1]}\n{markdown(match[2], records)}\n{match[3]}"

    return _PLACE.sub(made, text)


def _table(columns: dict[str, str], rows: Iterable[Iterable[str]]) -> str:
    """Return Markdown; `columns` are headings and alignments."""
    heading = " | ".join(name.strip() for name in columns)  # of two of one name one has a space
    lines = [f"| {heading} |".replace("|  |", "| |"), f"|{'|'.join(columns.values())}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


_NUMBER = "---:"


def _overhead(records: Records) -> str:
    first = records.rows[0]

    def cells(row: dict[str, str]) -> list[str]:
        seconds, peak = float(row["processor_seconds"]), float(row["peak_mb"])
        name = row["contestant"]
        return [
            f"**{name}**" if name.startswith("clir-bench") else name,
            f"{seconds:.2f}",
            f"{seconds / float(first['processor_seconds']):.2f}",
            f"{float(row['wall_seconds']):.1f}",
            f"{peak:.0f}",
            f"{peak / float(first['peak_mb']):.2f}",
        ]

    columns = {
        "": "---",
        "processor seconds": _NUMBER,
        "ratio": _NUMBER,
        "wall seconds": _NUMBER,
        "peak MB": _NUMBER,
        "ratio ": _NUMBER,
    }
    return _table(columns, map(cells, records.rows))


def _memory(records: Records) -> str:
    rows = []
    for row in records.rows:
        same = records.where(queries=row["queries"], top_k=row["top_k"])
        peak = float(row["peak_mb"])
        rows.append(
            [
                f"{int(row['documents']):,}",
                row["queries"],
                row["top_k"],
                f"{peak:.0f}",
                f"{peak / float(same[0]['peak_mb']):.2f}",
                f"{float(row['processor_seconds']):.1f}",
            ]
        )
    headings = (
        "documents", "queries", "k", "peak MB", "against the smallest", "processor seconds",
    )  # fmt: skip
    return _table(dict.fromkeys(headings, _NUMBER), rows)


def _resume(records: Records) -> str:
    rows = [
        [
            row["encoder"],
            row["embeddings"],
            f"{row['killed_at_percent']}%",
            f"{float(row['uninterrupted_seconds']):.1f}",
            f"{float(row['seconds_before']):.1f}",
            f"{float(row['seconds_after']):.1f}",
            f"{float(row['seconds_lost']):.1f}",
            row["same_bytes"],
        ]
        for row in records.rows
    ]
    columns = {
        "encoder": "---",
        "vectors": "---",
        "killed at": _NUMBER,
        "never killed, s": _NUMBER,
        "before, s": _NUMBER,
        "after, s": _NUMBER,
        "lost, s": _NUMBER,
        "same run file": "---",
    }
    return _table(columns, rows)


def _encoding(records: Records) -> str:
    rows = [
        [row["way"], f"{float(row['speed']):.2f}", f"{float(row['largest_move']):.5f}"]
        for row in records.rows
    ]
    columns = {"": "---", "speed": _NUMBER, "largest move of nDCG@10": _NUMBER}
    return _table(columns, rows)


def _xquad(records: Records) -> str:
    first = records.rows[0]
    rows = []
    for row in records.rows:
        wall = float(row["wall_seconds"])
        rows.append(
            [
                row["way"],
                f"{wall:.1f}",
                f"{float(first['wall_seconds']) / wall:.2f}",
                f"{float(row['processor_seconds']):.1f}",
                f"{float(first['processor_seconds']) / float(row['processor_seconds']):.2f}",
                f"{float(row['texts_per_second']):.0f}",
                f"{float(row['peak_mb']):.0f}",
                f"{float(row['worst_move']):.5f}" if row["worst_move"] else "",
            ]
        )
    columns = {
        "": "---",
        "wall seconds": _NUMBER,
        "faster by": _NUMBER,
        "processor seconds": _NUMBER,
        "faster by ": _NUMBER,
        "texts per second": _NUMBER,
        "peak MB": _NUMBER,
        "largest move of nDCG@10": _NUMBER,
    }
    return _table(columns, rows)


def _workers(records: Records) -> str:
    rows = []
    for row in records.rows:
        alone = records.where(executor=row["executor"])[0]
        speed = float(alone["wall_seconds"]) / float(row["wall_seconds"])
        share = speed * int(alone["workers"]) / int(row["workers"])
        rows.append(
            [
                row["executor"],
                row["workers"],
                f"{float(row['wall_seconds']):.1f}",
                f"{speed:.2f}",
                f"{share:.0%}",
                row["same_bytes"],
            ]
        )
    columns = {
        "executor": "---",
        "workers": _NUMBER,
        "wall seconds": _NUMBER,
        "faster by": _NUMBER,
        "share of ideal": _NUMBER,
        "same run file": "---",
    }
    return _table(columns, rows)


def _processors(records: Records) -> str:
    columns = {
        "processor": "---",
        "threads": _NUMBER,
        "float32, Gflop/s": _NUMBER,
        "bfloat16, Gflop/s": _NUMBER,
        "`--dtype auto` takes": "---",
        "times as fast as mteb": _NUMBER,
        "by whom": "---",
    }
    return _table(columns, [list(row.values()) for row in records.rows])


TABLES: dict[str, Callable[[Records], str]] = {
    "overhead": _overhead,
    "memory": _memory,
    "resume": _resume,
    "encoding": _encoding,
    "xquad": _xquad,
    "processors": _processors,
    "workers": _workers,
}
