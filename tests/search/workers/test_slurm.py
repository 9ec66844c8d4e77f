"""The script of docs/scaling.md on a real Slurm: one node, started for the test and ended with it.

Needs Slurm and MUNGE (Debian: `slurm-wlm`, `munge`) and nothing set up: the controller and the node
are started with a configuration of their own, on ports that are free, with two devices that stand
for GPUs.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from folders import Folder, make_folder, write_jsonl, write_plugin
from killed_runs import left

DAEMONS = ("munged", "slurmctld", "slurmd")
N_JOBS = 3
N_DOCUMENTS = 40_000  # ten shards: three or four for each job
PATIENCE = 240
"""Seconds that the whole array may take on a busy machine; some 30 on a quiet one."""

SLOW_ENCODER = """
    import time

    class Slow(Plugin):
        def encode_documents(self, texts, *, language):
            time.sleep(0.25)  # a window; a second for a shard: time to be killed in
            return super().encode_documents(texts, language=language)

    def load(request):
        return Slow()
"""

CONFIGURATION = """\
ClusterName=clirbench
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MpiDefault=none
ReturnToService=2
KillWait=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=200000 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in (*DAEMONS, "sbatch")),
        reason="needs Slurm and MUNGE (Debian: slurm-wlm, munge)",
    ),
]


@dataclass(frozen=True)
class Cluster:
    """A controller and a node that run.

    Attributes:
        environment: What programs need to reach it.
    """

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | self.environment
        )
        return done.stdout.strip()

    def waiting(self) -> str:
        """Return the jobs that have not ended, with their states, a line each."""
        return self.ask("squeue", "--noheader", "--array", "--format=%i %T")


@pytest.fixture(name="cluster")
def cluster_fixture(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    controller, node = free_ports(2)
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=host, user=getpass.getuser(), folder=folder, controller=controller, node=node
        )
    )
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    (folder / "cgroup.conf").write_text("ConstrainCores=no\n")
    cluster = Cluster({"SLURM_CONF": str(folder / "slurm.conf")})
    # In the foreground, so that they end with the test whatever becomes of their pid files.
    munge = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munge += [
        f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("socket", "pid-file")
    ]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    daemons = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            daemons.append(
                subprocess.Popen(
                    command,
                    env=os.environ | cluster.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            if command is munge:
                wait_for((folder / "munge.socket").exists, 20, "MUNGE's socket")
        wait_for(lambda: node_is_idle(cluster), 60, "an idle node")
        yield cluster
        subprocess.run(
            ["scancel", f"--user={getpass.getuser()}"],
            check=False,
            env=os.environ | cluster.environment,
        )
    finally:
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def node_is_idle(cluster: Cluster) -> bool:
    try:
        return cluster.ask("sinfo", "--noheader", "--format=%T") == "idle"
    except subprocess.CalledProcessError:  # the controller is not there yet
        return False


def free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(happened: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Folder:
    folder = make_folder(tmp_path)
    rows = [
        {"_id": f"d{number}", "title": "", "text": f"Kitale {number} shule {number % 97} Mombasa"}
        for number in range(N_DOCUMENTS)
    ]
    write_jsonl(folder.data / "sw" / "corpus.jsonl", rows)
    folder.edit_card('official = ["en-sw", "fr-sw", "en-de"]', 'official = ["en-sw"]')
    folder.edit_card('available = ["fr-de"]', 'available = ["fr-sw"]')
    folder.edit_card('"*-sw" = [4, 3, 5]\n"*-de" = [3, 3, 3]\n', f'"*-sw" = [{N_DOCUMENTS}, 3, 5]')
    return folder


def test_an_array_whose_job_is_killed_and_requeued_leaves_the_bytes_of_one_run(
    cluster: Cluster, folder: Folder, tmp_path: Path
) -> None:
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    script = tmp_path / "clir-bench.slurm"
    script.write_text(text.partition("```bash\n")[2].partition("```")[0])
    write_plugin(tmp_path / "site", "slow", SLOW_ENCODER)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    command = bin_ / "clir-bench"
    command.write_text(f'#!/bin/bash\nexec {sys.executable} -m clir_bench "$@"\n')
    command.chmod(0o755)
    environment = os.environ | cluster.environment
    environment |= {
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path / "site"),
        "MODEL": "slow",
        "TASK": str(folder.card_path),
        "JOBS": str(N_JOBS),
    }
    submitted = subprocess.run(
        ["bash", str(script)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    array = int(submitted.stdout.split()[-1]) - 1  # the merge is submitted right after it

    # Job 0 has stored the first shard of the corpus, and not its last: it is killed here.
    wait_for(lambda: any((tmp_path / "vectors").glob("*/000000.json")), 120, "first shard")
    first = f"{array}_0"
    assert f"{first} RUNNING" in cluster.waiting()
    cluster.ask("scontrol", "requeue", first)
    wait_for(lambda: f"{first} PENDING" in cluster.waiting(), 60, "requeued job")
    cluster.ask("scontrol", "update", f"JobId={first}", "StartTime=now")  # not after two minutes

    wait_for(lambda: cluster.waiting() == "", PATIENCE, "end of all jobs")
    logs = "\n".join(path.read_text() for path in tmp_path.glob("clir-bench-*.log"))
    last = re.findall(r"job 0 of 3: (\d) shards encoded, (\d) were there", logs)[-1]
    n_encoded, n_kept = map(int, last)
    assert n_encoded + n_kept == 4, logs
    assert n_kept >= 1, logs
    done = subprocess.run(
        [str(command), "run", "-m", "slow", "-t", str(folder.card_path), "-o", "plain"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0
    assert left(tmp_path / "results") == left(tmp_path / "plain")
