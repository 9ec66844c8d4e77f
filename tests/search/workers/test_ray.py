"""Workers on a real Ray cluster of several nodes, which come and go in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from folders import clir, forget_plugins
from worker_runs import Slow

from clir_bench.errors import UsageError, WorkerError
from clir_bench.search.workers import ray as cluster_module
from clir_bench.search.workers.executor import Loading
from clir_bench.search.workers.ray import ClusterCrew
from clir_bench.tasks import outline

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
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 3)
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


LOCAL_CLUSTER = """
import os, subprocess, sys
from clir_bench.search.workers.ray import ClusterCrew
from clir_bench.search.workers.executor import Loading

crew = ClusterCrew(Loading("hashing"), "local", 1, 1)
address = crew._ray.get_runtime_context().gcs_address
without = {name: os.environ[name] for name in os.environ if not name.startswith("RAY_AUTH")}
others = {
    "mine": dict(os.environ),
    "none": without | {"RAY_AUTH_MODE": "disabled"},
    "another": without | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
}
asked = {
    name: subprocess.Popen([sys.executable, "-c", sys.argv[1], address], env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for name, env in others.items()
}
for name, process in asked.items():
    out, err = process.communicate(timeout=60)
    print(name, out.strip() or err.strip().splitlines()[-1])
crew.stop()
"""
STRANGER = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_put(b"key", b"value", True, None, timeout=10)
print("got in")
"""


def test_nobody_without_the_token_gets_into_a_cluster_started_here(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    environ = {name: os.environ[name] for name in os.environ if not name.startswith("RAY_")}
    environ |= {"HOME": str(tmp_path), "RAY_TMPDIR": "/tmp"}  # noqa: S108 - sockets' names are short
    done = subprocess.run(
        [sys.executable, "-c", LOCAL_CLUSTER, STRANGER],
        env=environ, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said.get("mine") == "got in", done.stderr
    assert "AuthenticationError" in said["none"]
    assert "AuthenticationError" in said["another"]
    assert not (tmp_path / ".ray").exists(), "the token is in no file"


@pytest.mark.parametrize(
    ("version", "mode", "match"),
    [("2.59.1", "", r"ray>=2\.60"), ("2.60.0", "disabled", "RAY_AUTH_MODE=disabled")],
)
def test_a_cluster_that_lets_everybody_in_is_not_started_here(
    monkeypatch: pytest.MonkeyPatch, version: str, mode: str, match: str
) -> None:
    class Ray:
        __version__ = version

        def is_initialized(self) -> bool:
            return False

        def init(self, *, address: str, **_: object) -> None:
            assert address == "auto"
            raise ConnectionError("no cluster")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setattr(cluster_module, "_ray", Ray)
    with pytest.raises(WorkerError, match=match):
        ClusterCrew(Loading("hashing"), "", 1, 1)
