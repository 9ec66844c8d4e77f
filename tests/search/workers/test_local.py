"""Workers that are real processes: the same bytes however many there are and whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir, forget_plugins, make_folder
from worker_runs import NAME, Slow, is_running, when

from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.errors import UsageError
from clir_bench.search.workers import plan
from clir_bench.search.workers.executor import Loading, TextBatch
from clir_bench.search.workers.local import LocalCrew
from clir_bench.search.workers.messages import joined, parted
from clir_bench.search.workers.plan import Workers, cores
from clir_bench.tasks import outline
from clir_bench.types import EncoderInfo


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 3)
    made = Slow(tmp_path, monkeypatch)
    monkeypatch.setenv("SLOW_NOTES", str(made.notes))
    yield made
    forget_plugins(monkeypatch)


def test_run_files_are_the_same_bytes_by_two_workers_as_by_this_process(slow: Slow) -> None:
    slow.run(None, "here")
    assert set(slow.encoders()) == {os.getpid()}
    for note in slow.notes.iterdir():
        note.unlink()
    slow.run(slow.workers(2), "workers")
    assert len(set(slow.encoders()) - {os.getpid()}) == 2
    assert os.getpid() not in slow.encoders()
    assert slow.files("workers") == slow.files("here")
    assert len(slow.files("here")) == 6


def test_a_killed_worker_costs_what_it_had_in_hand_and_changes_no_byte(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow.run(None, "here")
    n_alone = len(slow.encoders())
    for note in slow.notes.iterdir():
        note.unlink()
    monkeypatch.setenv("SLOW_SECONDS", "0.05")
    killed: list[int] = []

    def kill() -> None:
        killed.append(slow.encoders()[-1])
        os.kill(killed[0], signal.SIGKILL)

    with when(lambda: len(slow.encoders()) > n_alone // 2, kill):
        slow.run(slow.workers(2), "workers")
    assert "killed by signal 9" in caplog.text
    assert slow.files("workers") == slow.files("here")
    assert n_alone < len(slow.encoders()) <= n_alone + 2
    assert not is_running(killed[0])


def test_a_text_that_ends_every_worker_fails_its_pairs_and_no_others(
    slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    slow.folder.edit("de/corpus.jsonl", "Fussball", "This text ends its process.")
    result = slow.run(slow.workers(1), "workers")
    assert {name: pair.status for name, pair in result.pairs.items()} == {
        "en-sw": "done",
        "fr-sw": "done",
        "en-de": "failed",
    }
    error = result.pairs["en-de"].error or ""
    assert "3 workers were lost" in error
    assert "exit code 9" in error
    assert caplog.text.count("was lost") == 3


def test_what_an_encoder_refuses_fails_in_a_worker_as_it_does_here(slow: Slow) -> None:
    slow.folder.edit("de/corpus.jsonl", "Fussball", "This text is refused.")
    errors = [
        slow.run(workers, output).pairs["en-de"].error
        for workers, output in ((None, "here"), (slow.workers(2), "workers"))
    ]
    assert errors[0] == errors[1]
    assert "this text is refused" in (errors[0] or "")


def test_no_worker_outlives_the_run(slow: Slow) -> None:
    slow.run(slow.workers(2), "workers")
    assert not any(is_running(process) for process in set(slow.encoders()))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "sigterm", "sigkill"],
)
def test_workers_end_at_once_with_the_process_that_started_them(
    number: int, code: int, slow: Slow
) -> None:
    command = [sys.executable, "-m", "clir_bench", "run", "-m", NAME, "-t"]
    run = subprocess.Popen(
        [*command, str(slow.folder.card_path), "-o", str(slow.root / "out"), "--workers", "2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SLOW_SECONDS": "60"},
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a script has the signal ignored, and so would its child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    by_deadline(lambda: bool(slow.encoders()) or run.poll() is not None, 60)
    workers = children(run.pid)
    assert len(workers) == 2
    run.send_signal(number)
    _, said = run.communicate(timeout=20)
    assert run.returncode == code
    assert "Traceback" not in said
    by_deadline(lambda: not any(map(is_running, workers)), 5)


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == process]


def by_deadline(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt"])
def test_what_would_end_a_worker_from_within_is_a_failure_of_the_encoder(
    raised: str, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_RAISES", raised)
    result = slow.run(slow.workers(2), "workers")
    assert {pair.status for pair in result.pairs.values()} == {"failed"}
    assert raised.partition("(")[0] in (result.pairs["en-sw"].error or "")


def test_workers_that_cannot_load_the_model_say_why(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = slow.workers(2)
    monkeypatch.setenv("SLOW_ABSENT", "1")
    result = slow.run(workers, "workers")
    assert {pair.status for pair in result.pairs.values()} == {"failed"}
    assert "no such weights" in (result.pairs["en-sw"].error or "")


def test_late_interaction_travels_as_it_was() -> None:
    vectors = [np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((1, 2), dtype=np.float32)]
    rows, lengths = joined(vectors)
    assert rows.shape == (4, 2)
    back = parted(rows, lengths)
    assert [one.tolist() for one in back] == [one.tolist() for one in vectors]
    assert parted(*joined([])) == []


def test_vectors_of_a_worker_are_those_of_this_process() -> None:
    texts = ["Mvua kubwa", "\ud800 half a character", "नमस्ते"]
    crew = LocalCrew(Loading("hashing"), ["cpu"], 1)
    try:
        name = crew.start()
        (ready,) = crew.wait(60)
        crew.give(name, 7, TextBatch("documents", texts, "sw"))
        (done,) = crew.wait(60)
    finally:
        crew.stop()
    found: Any = done
    assert (found.worker, found.number) == (name, 7)
    expected = HashingEncoder().encode_documents(texts, language="sw")
    assert np.array_equal(found.encoded.vectors, expected)
    assert ready.worker == name


# How many


@dataclass
class Heavy:
    """An encoder that says how much work a token is."""

    per_token: int = 10**9
    device: str = "cpu"
    info: EncoderInfo = field(default=EncoderInfo("heavy", "1", n_parameters=10**6))
    dim: int = 1

    def operations(self, counts: dict[str, int]) -> int:
        return self.per_token * counts["tokens"]

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Any:
        raise NotImplementedError

    encode_documents = encode_queries


def devices(encoder: Heavy, n_texts: int = 10**5, **asked: Any) -> tuple[list[str], int]:
    workers = Workers(CheckedEncoder(encoder), Loading("heavy"), **asked)
    return workers._local(n_texts)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "cores", lambda: 4)


@pytest.mark.usefixtures("four_cores")
def test_by_default_long_work_takes_a_worker_a_core_and_short_work_none() -> None:
    assert devices(Heavy()) == (["cpu"] * 4, 1)
    assert devices(Heavy(), n_texts=10) == ([], 0)
    assert devices(Heavy(per_token=1)) == ([], 0)


@pytest.mark.usefixtures("four_cores")
def test_by_default_models_do_not_fill_more_than_half_of_the_memory() -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    third = EncoderInfo("heavy", "1", n_parameters=memory // 4 // 5)
    assert devices(Heavy(info=third)) == (["cpu"] * 2, 2)
    most = EncoderInfo("heavy", "1", n_parameters=memory // 4)
    assert devices(Heavy(info=most)) == ([], 0)


@pytest.mark.usefixtures("four_cores")
def test_workers_that_were_asked_for_are_started_whatever_the_work() -> None:
    assert devices(Heavy(), n_texts=1, number=2) == (["cpu"] * 2, 2)
    assert devices(Heavy(), n_texts=1, number=2, threads=1) == (["cpu"] * 2, 1)
    assert devices(Heavy(), number=1) == ([], 0)
    assert devices(Heavy(), threads=2) == (["cpu"] * 2, 2)


@pytest.mark.usefixtures("four_cores")
def test_every_gpu_of_the_machine_has_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    gpus = ["cuda:0", "cuda:1", "cuda:2"]
    heavy = Heavy(per_token=10**12, device="cuda:0")
    assert devices(heavy)[0] == gpus
    assert devices(heavy, number=2)[0] == gpus[:2]
    named = Workers(CheckedEncoder(heavy), Loading("heavy", device="cuda:1"))
    assert named._local(10**9) == ([], 0), "one GPU was named"


def test_this_process_leaves_the_gpu_to_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    left: list[str] = []

    class OnGpu(Heavy):
        def leave_device(self) -> None:
            left.append(self.device)

    on_gpu = OnGpu(per_token=10**12, device="cuda:0")
    with Workers(CheckedEncoder(on_gpu), Loading("heavy")) as workers:
        assert workers.executor(10).ahead == 0
        assert left == []
        assert workers.executor(10**6).ahead > 0
        assert left == ["cuda:0"]


def test_threads_that_somebody_allowed_are_all_that_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_nobody_and_half_a_worker_are_refused() -> None:
    with pytest.raises(UsageError, match="workers 0"):
        Workers(CheckedEncoder(HashingEncoder()), Loading("hashing"), number=0)


def test_command_line_runs_by_workers_and_says_what_they_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path)
    for workers in ("1", "2"):
        assert (
            clir(
                *("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / workers),
                *("--workers", workers, "--profile"),
            )
            == 0
        )
    said = capsys.readouterr().err
    assert said.count("waiting for workers") == 1
    runs = [sorted((tmp_path / workers).rglob("*.run.gz")) for workers in "12"]
    assert [path.read_bytes() for path in runs[0]] == [path.read_bytes() for path in runs[1]]
    assert len(runs[0]) == 3


def test_command_line_refuses_an_address_without_ray(capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("run", "-m", "hashing", "-t", "xquad", "--address", "localhost:6379") == 2
    assert "--executor ray" in capsys.readouterr().err
