"""Workers on a real Ray cluster of several nodes, which come and go in the middle of a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from folders import clir, forget_plugins
from worker_runs import Slow

from clir_bench import windows
from clir_bench.errors import UsageError, WorkerError
from clir_bench.workers import cluster as cluster_module
from clir_bench.workers.cluster import ClusterCrew
from clir_bench.workers.work import Loading

# Ray leaves sockets and processes to the garbage collector when a cluster is taken down.
pytestmark = pytest.mark.filterwarnings("ignore")


class Cluster:
    """A head that runs nothing, and nodes of one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
        self._ray = RayCluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []
        self.address: str = self._ray.address

    def add(self) -> None:
        self.nodes.append(self._ray.add_node(num_cpus=1, object_store_memory=80 * 2**20))

    def kill(self, number: int) -> None:
        self._ray.remove_node(self.nodes.pop(number), allow_graceful=False)

    def shutdown(self) -> None:
        self._ray.shutdown()


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    monkeypatch.setattr(windows, "ENCODE_BLOCK", 3)
    made = Slow(tmp_path, monkeypatch)
    monkeypatch.setenv("SLOW_NOTES", str(made.notes))
    # Nodes start what finds the plugin, as machines on which it is installed would.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    yield made
    forget_plugins(monkeypatch)


@pytest.fixture
def cluster(slow: Slow) -> Iterator[Cluster]:
    pytest.importorskip("ray")
    made = Cluster()
    yield made
    made.shutdown()


def test_a_node_killed_in_the_middle_and_one_that_may_come_in_time_change_no_byte(
    slow: Slow, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow.run(None, "here")
    n_alone = len(slow.encoders())
    for note in slow.notes.iterdir():
        note.unlink()
    monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.1)
    monkeypatch.setenv("SLOW_SECONDS", "0.6")
    for _ in range(2):
        cluster.add()

    def is_half_done() -> bool:
        return len(slow.encoders()) > n_alone // 2 and len(set(slow.encoders())) == 2

    # Ray starts nodes in a main thread only, so the run is in the other.
    workers = slow.workers(None, cluster.address)
    with ThreadPoolExecutor(1) as other_thread:
        run = other_thread.submit(slow.run, workers, "ray")
        while not is_half_done():
            assert not run.done(), "the run ended before two nodes had encoded half"
            time.sleep(0.01)
        cluster.kill(0)
        cluster.add()
        run.result(60)
    assert slow.files("ray") == slow.files("here")
    assert "was lost" in caplog.text
    assert os.getpid() not in slow.encoders()
    assert len(slow.encoders()) <= n_alone + 2, "what the lost worker had in hand"


def test_ray_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'clir-bench\[ray\]'"):
        ClusterCrew(Loading("hashing"), "", 1, 1)


def test_an_address_where_nothing_is_fails_at_once(slow: Slow) -> None:
    pytest.importorskip("ray")
    with pytest.raises(WorkerError, match=r"127.0.0.1:1.*ray start --head"):
        slow.workers(1, "127.0.0.1:1").__enter__()


def test_command_line_runs_on_a_cluster(
    slow: Slow, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add()
    asked = ("run", "-m", "slow", "-t", slow.folder.card_path)
    assert clir(*asked, "-o", slow.root / "here") == 0
    on_ray = ("--executor", "ray", "--address", cluster.address, "--workers", "1")
    assert clir(*asked, "-o", slow.root / "ray", *on_ray) == 0
    assert slow.files("ray") == slow.files("here")
    assert "failed" not in capsys.readouterr().err
