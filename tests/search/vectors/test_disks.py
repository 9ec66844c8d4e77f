"""Stored vectors on disks that are full, fill up, or are only read."""

from __future__ import annotations

import errno
import io
import logging
import os
import posix
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from folders import Folder, write_jsonl
from killed_runs import N_DOCUMENTS, SHARD
from stored_vectors import (  # noqa: F401 - fixtures
    N_TEXTS,
    Asked,
    bytes_of,
    documents,
    encode,
    expected_fixture,
    folder_fixture,
    refuse,
    run,
    swahili,
    vectors_fixture,
)

from clir_bench.encoders.hashing import DIM
from clir_bench.errors import OutputError
from clir_bench.evaluation.sharded_encoding import Job
from clir_bench.search.vectors import entry, shards, store
from clir_bench.search.vectors.entry import done_shards
from clir_bench.search.vectors.shards import ShardWriter
from clir_bench.search.vectors.store import Keeping


@pytest.mark.parametrize("call", ["mkstemp", "fsync", "replace"])
def test_a_disk_that_fills_up_ends_storing_and_not_the_run(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
    call: str,
) -> None:
    finish, done = entry.Writing.finish, []

    def second_fails(self: Any, *arguments: Any) -> None:
        with monkeypatch.context() as patch:
            if done:
                target = {"mkstemp": "tempfile.mkstemp", "fsync": "os.fsync"}.get(call)
                patch.setattr(target or "pathlib.Path.replace", refuse(errno.ENOSPC))
            done.append(1)
            finish(self, *arguments)

    monkeypatch.setattr(entry.Writing, "finish", second_fails)
    run(folder, Asked(), vectors)
    assert bytes_of(folder) == expected
    assert caplog.text.count("vectors cannot be stored: No space left on device") == 2  # corpora
    assert {path.name for path in swahili(vectors).glob("??????.json")} == {"000000.json"}
    assert not list(vectors.glob("*/.0*")), "a half-written file is left"
    monkeypatch.undo()


def test_too_little_disk_is_found_out_before_anything_is_encoded(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 400_000))
    encoder = Asked()
    needed = (N_DOCUMENTS["sw"] + N_DOCUMENTS["de"]) * DIM * 4
    assert needed > 500_000
    with pytest.raises(OutputError, match=r"532 kB are needed in .*vectors, which has 400 kB free"):
        run(folder, encoder, vectors)
    assert encoder.texts == []


def test_by_default_too_little_disk_is_said_and_the_run_goes_on(
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 600_000))
    run(folder, Asked(), Keeping())
    assert "vectors are not stored" in caplog.text
    assert "takes at most half" in caplog.text
    assert bytes_of(folder) == expected


def test_late_interaction_stops_storing_when_the_first_shard_tells_it_will_not_fit(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 100_000))
    run(folder, Asked(late=True), vectors)
    assert "missing shards need" in caplog.text
    assert {path.name for path in swahili(vectors).glob("??????.json")} == {"000000.json"}


@pytest.mark.parametrize(
    ("keeping", "share", "fits"),
    [("auto", 0.9, True), ("auto", 1.1, False), ("keep", 1.1, True), ("keep", 2.1, False)],
)
def test_late_interaction_takes_half_of_the_free_disk_unless_told_a_folder(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keeping: Any,
    share: float,
    fits: bool,
) -> None:
    # Every document has three words, and so many are what the first shard promises.
    rows = [{**row, "text": "Kitale na Mombasa"} for row in documents(folder, "sw")]
    write_jsonl(folder.data / "sw" / "corpus.jsonl", rows)
    usage = namedtuple("usage", "total used free")
    n_shards = -(-N_DOCUMENTS["sw"] // SHARD)
    whole = int(2 * N_DOCUMENTS["sw"] * (3 * DIM * 4 + 8) / share)

    def left_over(_: Path) -> Any:
        taken = sum(path.stat().st_size for path in vectors.rglob("*.f32"))
        return usage(whole, taken, whole - taken)

    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 20)
    monkeypatch.setattr(shutil, "disk_usage", left_over)
    stored: list[int] = []
    monkeypatch.setattr(
        store.EmbeddingStore,
        "finished",
        lambda self, corpus: stored.append(len(done_shards(self.entry(corpus).folder))),
    )
    run(folder, Asked(late=True), Keeping(keeping, vectors))
    assert stored[0] == (n_shards if fits else 1)
    assert ("for a run that names no folder" in caplog.text) == (keeping == "auto" and not fits)


def test_a_folder_that_cannot_be_written_is_found_out_before_anything_is_encoded(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    encoder = Asked()
    with pytest.raises(OutputError, match=r"file/vectors cannot be written: Not a directory"):
        run(folder, encoder, tmp_path / "file" / "vectors")
    assert encoder.texts == []


def test_a_cache_that_is_only_read_serves_what_it_has(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    run(folder, Asked(), vectors, "before")
    real_open = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if str(path).startswith(str(vectors)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    encoder = Asked()
    run(folder, encoder, vectors)
    assert encoder.texts == []
    assert bytes_of(folder) == expected
    (swahili(vectors) / "000001.json").unlink()
    with pytest.raises(OutputError, match="Read-only file system"):
        run(folder, encoder, vectors, "third")


class FillsUp:
    """A profile function that lets one call that writes to a file find the disk full."""

    def __init__(self, at: int | None) -> None:
        self.n, self.at = 0, at

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or called.__name__ not in ("write", "flush", "fsync", "replace"):
            return
        owner = called.__self__
        # What gzip buffers since Python 3.12 has no name: it is written to the file later.
        name = getattr(owner, "name", 2)
        to_file = isinstance(owner, io.BufferedWriter | io.TextIOWrapper) and name != 2
        if to_file or getattr(owner, "__name__", "") == "posix":
            self.n += 1
            if self.n - 1 == self.at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def written(folder: Folder, vectors: Path, fail_at: int | None) -> int:
    """Run with one failing write, if any, and return how many writes there were."""
    filling = FillsUp(fail_at)
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", posix.fsync)  # one of the calls that may fail
    logging.disable()  # what is written to a terminal is none of the disk's
    sys.setprofile(filling)
    try:
        run(folder, Asked(), vectors)
    finally:
        sys.setprofile(None)
        logging.disable(logging.NOTSET)
        patch.undo()
    return filling.n


def fill_at(points: Sequence[int], folder: Folder, vectors: Path, expected: object) -> int:
    """Fill the disk at each of the writes, run again, and return how many runs it ended."""
    n_ended = 0
    for point in points:
        for path in (vectors, folder.data.parent / "out"):
            shutil.rmtree(path, ignore_errors=True)
        try:
            written(folder, vectors, point)
        except OutputError as error:
            assert "No space left on device" in str(error)
            n_ended += 1
        else:
            assert bytes_of(folder) == expected
        hidden = {path.name for path in folder.data.parent.rglob(".*") if path.is_file()}
        assert hidden <= {".lock", ".in-use", ".keep"}, f"left half written at {point}"
        run(folder, Asked(), vectors)
        assert bytes_of(folder) == expected, f"other bytes, full at {point}"
    return n_ended


def test_a_disk_full_here_and_there_ends_in_the_same_bytes_when_there_is_room_again(
    folder: Folder, vectors: Path, expected: dict[str, bytes]
) -> None:
    n_points = written(folder, vectors, None)
    assert n_points > 80
    points = range(0, n_points, n_points // 8)
    assert 0 < fill_at(points, folder, vectors, expected) < len(points)


@pytest.mark.slow
def test_a_disk_full_at_any_write_ends_in_the_same_bytes_when_there_is_room_again(
    folder: Folder, vectors: Path, expected: dict[str, bytes]
) -> None:
    n_points = written(folder, vectors, None)
    # The result, the run and the values of every pair can only be an error.
    assert fill_at(range(n_points), folder, vectors, expected) >= 4 * 7


FILLED: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "in the middle of a shard": lambda patch: patch.setattr(ShardWriter, "_put", half_written),
    "at a manifest": lambda patch: patch.setattr(shards, "write_beside", refuse(errno.ENOSPC)),
}


def half_written(writer: Any, array: Any) -> None:
    """Write half of what there is to write, and find the disk full."""
    writer._file.write(array.tobytes()[: array.nbytes // 2])
    writer._file.flush()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", FILLED)
def test_a_disk_that_stays_full_costs_the_storing_and_a_job_its_shard_in_hand(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
    where: str,
) -> None:
    encode(folder, Asked(), Job(0, 4), vectors)
    before = {path.name for path in swahili(vectors).iterdir()}
    assert "000000.json" in before
    with monkeypatch.context() as patch:
        FILLED[where](patch)
        with pytest.raises(OutputError, match=r"No space left on device; make room .* are kept"):
            encode(folder, Asked(), Job(0, 1), vectors)
        run(folder, Asked(), vectors, "full")
    assert bytes_of(folder, "full") == expected
    assert caplog.text.count("going on without storing more") == 2  # corpora
    left_over = {path.name for path in swahili(vectors).iterdir()} - before
    assert not [name for name in left_over if not name.endswith(".f32")]
    done = encode(folder, Asked(), Job(0, 1), vectors)
    assert (done.n_encoded, done.n_missing) == (7 - 2, 0)
    merging = Asked()
    run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []
    assert bytes_of(folder) == expected


def test_a_disk_full_when_results_are_stored_loses_no_vector(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    real_replace = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name.endswith(".run.gz"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(OutputError, match=r"cannot be written: No space left on device"):
            run(folder, Asked(), vectors)
    again = Asked()
    run(folder, again, vectors)
    assert len(again.texts) <= N_TEXTS["de"], "the Swahili documents were stored"
    assert bytes_of(folder) == expected
