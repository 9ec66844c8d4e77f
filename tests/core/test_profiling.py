"""Where a command's time goes: stages that do not overlap, and what `run --profile` prints."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from clir_bench.cli.profile import profile_text
from clir_bench.cli.run import command
from clir_bench.core import profiling
from clir_bench.core.profiling import Profile, profiled, stage, staged
from clir_bench.encoders.st.rates import matrix_rate, operations
from clir_bench.search.vectors.shards import ShardWriter, read_shard


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(profiling.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_an_inner_stage_stops_the_outer_ones_clock(clock: Clock) -> None:
    with profiled() as profile:
        clock.now = 1
        with stage("encode"):
            clock.now = 3
            with stage("tokenize"):
                clock.now = 7
            clock.now = 8
        clock.now = 20
    assert dict(profile.seconds) == {"encode": 3, "tokenize": 4}
    assert profile.total_seconds == 20


def test_a_stage_counts_when_it_ends_in_an_error(clock: Clock) -> None:
    @stage("score")
    def fail() -> None:
        clock.now += 2
        raise ValueError("no")

    with profiled() as profile:
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                fail()
    assert profile.seconds["score"] == 4


def test_reading_counts_the_source_and_not_who_asks(clock: Clock) -> None:
    def source() -> Any:
        for number in range(3):
            clock.now += 5
            yield number

    with profiled() as profile:
        for _ in staged("read", source()):
            clock.now += 100
    assert profile.seconds["read"] == 15


def test_nothing_is_measured_unless_asked_nor_in_other_threads() -> None:
    with stage("encode"):
        pass
    items = [1, 2]
    assert staged("read", items) is items

    def elsewhere() -> None:
        with stage("encode"):
            pass

    with profiled() as profile:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert dict(profile.seconds) == {}


def test_storing_vectors_counts_as_writing_and_reading_them_back_as_reading(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def taking(seconds: float, what: Any) -> Any:
        def done(*arguments: Any) -> Any:
            clock.now += seconds
            return what(*arguments)

        return done

    monkeypatch.setattr(os, "fsync", taking(2, os.fsync))
    monkeypatch.setattr(hashlib, "file_digest", taking(5, hashlib.file_digest))
    with profiled() as profile:
        writer = ShardWriter(tmp_path, 0, 2, "single")
        monkeypatch.setattr(writer, "_put", taking(1, writer._put))
        writer.add(np.ones((2, 2), dtype=np.float32))
        writer.finish(["a", "b"], 2, 0.1, {})
        read_shard(tmp_path, 0, ["a", "b"], 2)
    # Once for the vectors; their file and its manifest are each made sure to be on the disk.
    assert dict(profile.seconds) == {"write": 1 + 2 * 2, "read": 5}


def test_what_no_stage_took_is_other() -> None:
    profile = Profile()
    profile.total_seconds = 10.0
    profile.seconds.update(encode=7.5, read=1.5)
    lines = profile_text("m on t", profile).splitlines()
    assert lines[0] == "profile of m on t: 10.00 s"
    assert [line.split() for line in lines[1:8]] == [
        ["read", "1.50", "s", "15.0%"],
        ["tokenize", "0.00", "s", "0.0%"],
        ["encode", "7.50", "s", "75.0%"],
        ["write", "0.00", "s", "0.0%"],
        ["search", "0.00", "s", "0.0%"],
        ["score", "0.00", "s", "0.0%"],
        ["other", "1.00", "s", "10.0%"],
    ]


def test_operations_are_two_a_weight_and_token_and_attentions_own() -> None:
    import torch

    block = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Linear(32, 8))
    # Without a configuration there is no attention to count: 2 * (8*32 + 32*8) * 10 tokens.
    assert operations(block, {"tokens": 10, "squared_tokens": 60}) == 10_240

    class WithConfig(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.auto_model = block

    block.config = type("Config", (), {"num_hidden_layers": 2, "hidden_size": 8})  # type: ignore[assignment]
    # And 4 * 2 layers * 8 wide for each of 60 pairs of tokens.
    assert operations(WithConfig(), {"tokens": 10, "squared_tokens": 60}) == 10_240 + 3_840


def test_the_rate_of_matrix_products_is_positive() -> None:
    import torch

    assert matrix_rate(torch.float32, "cpu") > 1e8


def test_run_profile_prints_every_stage_to_stderr_and_leaves_results_as_they_are(
    tmp_path: Path,
) -> None:
    arguments = ["-m", "hashing", "-t", "xquad", "--sample", "-l", "de,en"]
    plain = CliRunner().invoke(command, [*arguments, "-o", str(tmp_path / "plain")])
    told = CliRunner().invoke(command, [*arguments, "-o", str(tmp_path / "told"), "--profile"])
    assert (plain.exit_code, told.exit_code) == (0, 0), told.output
    assert "profile of hashing on xquad" in told.stderr
    assert "tokens per second" not in told.stderr
    assert "profile of" not in told.stdout + plain.output
    runs = sorted((tmp_path / "plain").rglob("*.run.gz"))
    assert runs
    for run in runs:
        assert (
            run.read_bytes()
            == (tmp_path / "told" / run.relative_to(tmp_path / "plain")).read_bytes()
        )
