"""A tiny official task, a system submitted to it, and ways of tampering with what was submitted."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, clir, make_folder

from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.validate import ValidationReport, validate
from clir_bench.tasks import catalog

CARD = """\
name = "hashing"
description = "character n-grams"
kind = "lexical"
url = "https://example.org/hashing"
license = "Apache-2.0"
contact = "Ada"

[training]
languages = []
bitext = []
corpora = []
evaluation_data_seen = "no"
"""


@dataclass
class Submitted:
    """A submission on disk.

    Attributes:
        task: The task's folder and card.
        full: The result it was made from.
        root: Folder of submitted results.
    """

    task: Folder
    full: Path
    root: Path

    @property
    def system(self) -> Path:
        return self.root / "hashing"

    @property
    def result(self) -> Path:
        return self.system / "mine" / "test.json"

    def run(self, pair: str = "en-sw") -> Path:
        return self.result.parent / "test" / f"{pair}.run.xz"

    def values(self, pair: str = "en-sw") -> Path:
        return self.result.parent / "test" / f"{pair}.values.tsv.gz"

    def edit(self, change: Callable[[Any], object]) -> None:
        """Change the stored result, as JSON."""
        raw = json.loads(self.result.read_text(encoding="utf-8"))
        change(raw)
        self.result.write_text(json.dumps(raw), encoding="utf-8")

    def replace_run(self, data: bytes, pair: str = "en-sw") -> None:
        """Store other bytes as a run, with the sha256 that goes with them."""
        self.run(pair).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.edit(lambda raw: raw["pairs"][pair].update(run_sha256=digest))

    def edit_run(self, old: bytes, new: bytes, pair: str = "en-sw") -> None:
        """Change a run's text."""
        import lzma

        text = lzma.decompress(self.run(pair).read_bytes())
        assert old in text
        self.replace_run(run_format.compress(text.replace(old, new)), pair)

    def edit_values(self, change: Callable[[str], str], pair: str = "en-sw") -> None:
        text = gzip.decompress(self.values(pair).read_bytes()).decode()
        self.values(pair).write_bytes(gzip.compress(change(text).encode()))

    def problems(self, path: Path | None = None) -> str:
        """Return all problems, a line each."""
        return "\n".join(map(str, self.report(path).problems))

    def report(self, path: Path | None = None) -> ValidationReport:
        return validate(path or self.system)


def make_submission(root: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """Run the hashing encoder on the tiny task, as if it were a shipped one, and submit it."""
    task = make_folder(root / "tasks")
    monkeypatch.setattr(catalog, "shipped_directory", lambda: task.card_path.parent)
    full = root / "full"
    assert clir("run", "-m", "hashing", "-t", "mine", "-o", full) == 0
    card = root / "card.toml"
    card.write_text(CARD, encoding="utf-8")
    made = Submitted(task, full / "hashing" / "mine" / "test.json", root / "submitted")
    assert clir("submit", made.full, "--to", made.root, "--card", card) == 0
    return made
