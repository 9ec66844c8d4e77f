"""Stored vectors that are damaged, shared, and left by killed runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import killed_runs
import numpy as np
import pytest
from folders import Folder
from killed_runs import SHARD, WINDOW
from stored_vectors import (  # noqa: F401 - fixtures
    DAMAGES,
    N_TEXTS,
    Asked,
    bytes_of,
    documents,
    expected_fixture,
    folder_fixture,
    run,
    swahili,
    vectors_fixture,
)

from clir_bench.core import locks
from clir_bench.core.locks import alone, shared
from clir_bench.search.vectors import store
from clir_bench.search.vectors.removal import remove
from clir_bench.search.vectors.shards import DamagedShardError, ShardWriter, read_shard
from clir_bench.search.vectors.store import Keeping
from clir_bench.types import Vectors

# Damage


# What differs for late interaction is the layout of the data, not of the manifest.
@pytest.mark.parametrize(
    ("late", "damage"),
    [(False, damage) for damage in DAMAGES] + [(True, "a flipped bit"), (True, "truncated")],
)
def test_a_damaged_shard_is_noticed_and_encoded_again_alone(
    folder: Folder, vectors: Path, caplog: pytest.LogCaptureFixture, damage: str, late: bool
) -> None:
    run(folder, Asked(late), vectors, "before")
    (data,) = swahili(vectors).glob("000001-*.f32")
    whole = data.read_bytes()
    DAMAGES[damage](data, data.with_name("000001.json"))
    encoder, third = Asked(late), Asked(late)
    run(folder, encoder, vectors, "after")
    assert bytes_of(folder, "after") == bytes_of(folder, "before")
    expected = [line["text"] for line in documents(folder, "sw")[SHARD : 2 * SHARD]]
    assert encoder.texts == [text for text in expected if text]
    assert ("shard 1 of" in caplog.text) == (damage != "no manifest")
    assert data.read_bytes() == whole
    run(folder, third, vectors, "third")
    assert third.texts == []


def test_a_shard_of_other_documents_is_not_taken(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 0, 2, late=False)
    writer.add(np.ones((2, 2), dtype=np.float32))
    writer.finish(["a", "b"], 2, 0.1, {})
    assert read_shard(tmp_path, 0, ["a", "b"], 2) is not None
    assert read_shard(tmp_path, 1, ["a", "b"], 2) is None
    for ids, n_documents in ((["b", "a"], 2), (["a", "c"], 2), (["a", "b"], 3)):
        with pytest.raises(DamagedShardError, match="other documents"):
            read_shard(tmp_path, 0, ids, n_documents)


def test_a_shard_without_any_text_is_a_shard(tmp_path: Path) -> None:
    for number, late in enumerate((False, True)):
        ShardWriter(tmp_path, number, 3, late=late).finish([], 5, 0.0, {})
        shard = read_shard(tmp_path, number, [], 5)
        assert shard is not None
        assert len(shard.vectors(0, 0)) == 0


# Several at once


@dataclass
class WithAnother(Asked):
    """Lets another run of the same do everything while it encodes its second window."""

    other: Callable[[], object] = lambda: None

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        found = super().encode_documents(texts, language=language)
        other, self.other = self.other, lambda: None
        if len(self.texts) > WINDOW:
            other()
        else:
            self.other = other
        return found


@pytest.mark.parametrize("mode", ["keep", "auto"])
def test_two_runs_at_once_on_one_cache_are_safe(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes], mode: Any
) -> None:
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 0)
    keeping = Keeping(mode, store.embeddings_directory())
    encoder = WithAnother()
    encoder.other = lambda: run(folder, Asked(), keeping, "other")
    run(folder, encoder, keeping)
    assert bytes_of(folder) == bytes_of(folder, "other") == expected
    # The second run has stored all shards but the one in hand meanwhile.
    assert len(encoder.texts) < N_TEXTS["sw"] + N_TEXTS["de"]
    left_over = list(keeping.root.iterdir())
    assert len(left_over) == (2 if mode == "keep" else 0)


def test_whoever_removes_waits_for_nobody_and_takes_nothing_in_use(tmp_path: Path) -> None:
    folder, swept = tmp_path / f"entry-{'0' * 32}", []
    with shared(folder, lambda: swept.append(1)):
        with alone(folder) as mine:
            assert not mine
        with shared(folder, lambda: swept.append(2)):
            assert remove(folder) == "a run uses it, or it cannot be locked"
    assert swept == [1]
    assert remove(folder) == ""
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_half_written_is_swept_by_the_next(
    folder: Folder, vectors: Path
) -> None:
    run(folder, Asked(), vectors, "before")
    here = swahili(vectors)
    before = {path.name for path in here.iterdir()}
    for name in (
        ".000003.abcd_123",
        ".000003.json.abcdefgh",
        ".entry.json.12345678",
        f"000003-{'0' * 16}.f32",
    ):
        (here / name).write_text("half")
    run(folder, Asked(), vectors, "after")
    assert {path.name for path in here.iterdir()} == before


# Kills


def killed(folder: Path, n_runs: int, seed: int) -> dict[str, int]:
    """Kill and resume runs in processes of their own; see `killed_runs`."""
    done = subprocess.run(
        [sys.executable, killed_runs.__file__, str(folder), str(n_runs), str(seed)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_runs_killed_here_and_there_go_on_and_end_in_the_same_bytes(tmp_path: Path) -> None:
    assert killed(tmp_path, 5, seed=0)["kills"] >= 5


@pytest.mark.slow
def test_runs_killed_at_every_write_and_rename_end_in_the_same_bytes(tmp_path: Path) -> None:
    done = killed(tmp_path, 0, seed=1)
    assert done["kills"] >= done["points"] >= 200


def test_using_an_entry_makes_it_young_again(tmp_path: Path) -> None:
    with locks.shared(tmp_path):
        pass
    os.utime(tmp_path / locks.LOCK, (1, 1))
    with locks.shared(tmp_path):
        pass
    assert (tmp_path / locks.LOCK).stat().st_mtime > 1
