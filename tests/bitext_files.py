"""Bitext written on the spot, and what was read of it."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

from clir_bench.distill.bitext.loading import Bitext, BitextSource, read_source
from clir_bench.distill.bitext.report import DROPPED, BitextReport

SWAHILI = ("Mbuzi wamekula mkeka.", "Soko hufunguliwa alfajiri.", "Taa inawaka bado.")


ENGLISH = ("The goats have eaten the mat.", "The market opens at dawn.", "The lamp still burns.")


def source(**settings: Any) -> BitextSource:
    return BitextSource.model_validate({"name": "test", "license": "CC0-1.0", **settings})


def read(root: Path, **settings: Any) -> tuple[list[Bitext], BitextReport]:
    report = BitextReport()
    return list(read_source(source(**settings), root, report=report)), report


def dropped(report: BitextReport) -> dict[str, int]:
    counts = sum(report.rows.values(), Counter[str]())
    return {reason: counts[reason] for reason in DROPPED if counts[reason]}


def lines(folder: Path, name: str, texts: Any, encoding: str = "utf-8") -> None:
    data = "".join(f"{text}\n" for text in texts).encode(encoding)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
