"""A tiny official task, a system submitted to it, and ways of tampering with what was submitted."""

from __future__ import annotations

import atexit
import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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


def make_submission(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Folder], object] = lambda _: None
) -> Submitted:
    """Return a copy of a submission of the hashing encoder on the tiny task, taken for shipped.

    `change` is what is done to the task's folder first.
    """
    shutil.copytree(_submission(change), root, dirs_exist_ok=True)
    tasks = root / "tasks"
    monkeypatch.setattr(catalog, "shipped_directory", lambda: tasks)
    full = root / "full" / "hashing" / "mine" / "test.json"
    return Submitted(Folder(tasks / "mine.toml", tasks / "data"), full, root / "submitted")


@cache
def _submission(change: Callable[[Folder], object]) -> Path:
    """Run the encoder and submit its result, once per process; return the folder of all of it."""
    home = tempfile.TemporaryDirectory()
    atexit.register(home.cleanup)
    root = Path(home.name)
    task = make_folder(root / "tasks")
    change(task)
    (root / "card.toml").write_text(CARD, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "shipped_directory", lambda: task.card_path.parent)
        assert clir("run", "-m", "hashing", "-t", "mine", "-o", root / "full") == 0
        full = root / "full" / "hashing" / "mine" / "test.json"
        to = ("--to", root / "submitted", "--card", root / "card.toml")
        assert clir("submit", full, *to) == 0
    return root
