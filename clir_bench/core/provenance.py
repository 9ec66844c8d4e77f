"""Records how a result was made: packages, machine, and the state of the code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

VERSION = "0.1.0"
PACKAGE = Path(__file__).parents[1]

_PACKAGES = (
    "faiss-cpu", "ir-datasets", "ir-measures", "numpy", "pytrec-eval-terrier",
    "sentence-transformers", "torch", "transformers",
)  # fmt: skip

_peaks: list[int] = []


@cache
def packages() -> dict[str, str]:
    """Return installed versions of the packages a score may depend on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Return processor, cores, memory and, if torch is in use, accelerators."""
    found = _machine()
    torch = sys.modules.get("torch")  # the first model of a command may not use it, the next may
    if torch is None or not torch.cuda.is_available():
        return found
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {**found, "accelerators": ", ".join(names)}


@cache
def git_state() -> tuple[str | None, bool | None]:
    """Return commit of the checkout clir-bench runs from and whether it has changes.

    Both are None for an installed package.
    """
    folder = PACKAGE
    try:
        tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        if not tracked:
            return None, None
        return _git(folder, "rev-parse", "HEAD").strip(), bool(
            _git(folder, "status", "--porcelain")
        )
    except (OSError, subprocess.SubprocessError):
        return None, None


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process."""
    # On Linux `getrusage` may report the peak of the parent process.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                _peaks.append(int(line.split()[1]) * 1024)
                _peaks[:] = [max(_peaks)]  # the kernel's figure may fall by some pages
                return _peaks[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def platform_name() -> str:
    """Return operating system and architecture."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    ).stdout


@cache
def _machine() -> dict[str, str]:
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory_GiB": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
