"""What a result says about where it was made."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from clir_bench.core import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository that clir-bench seems to run from; returns its package folder."""
    package = tmp_path / "clir_bench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    monkeypatch.setattr(provenance, "git_state", provenance.git_state.__wrapped__)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return package


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_commit_and_changes_of_a_checkout_are_told(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance.git_state() == (commit, False)
    (checkout / "__init__.py").write_text("changed = 1\n")
    assert provenance.git_state() == (commit, True)


def test_installed_package_has_no_commit(checkout: Path) -> None:
    assert provenance.git_state() == (None, None), "no repository at all"
    git(checkout, "init", "-q")
    assert provenance.git_state() == (None, None), "somebody else's, which does not track it"


def test_no_git_is_no_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.git_state() == (None, None)


def test_packages_are_those_installed() -> None:
    found = provenance.packages()
    assert {"numpy", "ir-measures", "faiss-cpu", "torch"} <= set(found)
    assert all(importlib.metadata.version(name) == version for name, version in found.items())


def test_hardware_names_the_processor_and_its_memory() -> None:
    found = provenance.hardware()
    assert found["processor"]
    assert int(found["cores"]) >= 1
    assert float(found["memory_GiB"]) > 0


def test_accelerators_are_told_from_when_torch_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "accelerators" not in provenance.hardware()
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        get_device_name=lambda number: f"G{number}",
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert provenance.hardware()["accelerators"] == "G0, G1"


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    code = """if True:
        from clir_bench.core.provenance import peak_memory_bytes
        before = peak_memory_bytes()
        block = bytearray(2 * before)
        block[::1024] = bytes([1]) * len(block[::1024])  # memory is not taken before it is written
        during = peak_memory_bytes()
        del block
        print(before, during, peak_memory_bytes())
    """
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, during, after = map(int, run.stdout.split())
    assert 5 * 2**20 < before < 2**30, "an interpreter takes some MiB, and no GiB"
    assert during > 2 * before
    assert after >= during
