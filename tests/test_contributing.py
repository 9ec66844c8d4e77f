"""CONTRIBUTING.md, run as it is read: every file is written and every command run, in order.

Blocks are those of `pages`; a `python` block is only read. Commands run in one folder, in a fresh
virtual environment that also sees this interpreter's packages, without a network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from pages import Block, blocks_of
from tiny_distill import write_teacher

from clir_bench.encoders.hub import is_hub_id

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CONTRIBUTING.md"

BLOCKS = blocks_of(PAGE.read_text(encoding="utf-8"))
_DATA_MARKS = (pytest.mark.realdata, pytest.mark.slow)  # a run on a whole task, and its submission
COMMANDS = [
    pytest.param(block, id=str(block), marks=_DATA_MARKS if block.needs_data else ())
    for block in BLOCKS
    if block.is_commands
]


class Walkthrough:
    """Goes through the page, block by block, as far as it is asked to."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "clone"
        self.environment = make_environment(home)
        self.folder.mkdir()
        copy_boards(self.folder / "leaderboards")
        self._next = 0
        self._failed = ""

    def go_to(self, block: Block) -> None:
        """Do all blocks up to this one; those that need data only for one that needs data too."""
        assert not self._failed, f"not reached, for an earlier block failed: {self._failed}"
        while self._next <= BLOCKS.index(block):
            current = BLOCKS[self._next]
            self._next += 1
            if block.needs_data or not current.needs_data:
                self._do(current)

    def _do(self, block: Block) -> None:
        if block.path:
            path = self.folder / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.is_commands:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                self._failed = str(block)
                pytest.fail(
                    f"{block.text}exited with {done.returncode}\n{done.stdout}{done.stderr}"
                )


def make_environment(home: Path) -> dict[str, str]:
    """Return variables under which `python`, `pip` and `clir-bench` are those of a fresh venv."""
    environment = home / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    paths = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    outer = sysconfig.get_path("purelib")
    # addsitedir and not a plain line: an editable clir-bench is a .pth file there.
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    script = environment / "bin" / "clir-bench"
    script.write_text(f'#!/bin/sh\nexec "{environment}/bin/python" -m clir_bench "$@"\n')
    script.chmod(0o755)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the other way round
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HF_HOME": str(hub_with_stand_in(home / "hub")),
        "HF_HUB_OFFLINE": "1",
        "CLIR_BENCH_CACHE": str(home / "cache"),
        "OMP_NUM_THREADS": "1",
    }


def hub_with_stand_in(home: Path) -> Path:
    """Write a tiny model into a Hub cache, under the id and commit that the page names."""
    stated = next(block.text for block in BLOCKS if block.path == "my-model.toml")
    hub_id, revision = (re.search(rf'{key} = "(.*)"', stated)[1] for key in ("hub_id", "revision"))  # type: ignore[index]
    assert is_hub_id(hub_id)
    assert re.fullmatch("[0-9a-f]{40}", revision)
    snapshots = home / "hub" / f"models--{hub_id.replace('/', '--')}" / "snapshots"
    snapshots.mkdir(parents=True)
    write_teacher(home / "made").rename(snapshots / revision)
    return home


def copy_boards(target: Path) -> None:
    """Copy what describes the boards, without results and what is made from them."""
    target.mkdir()
    for path in (ROOT / "leaderboards").iterdir():
        if path.suffix in (".toml", ".sha256"):
            shutil.copy(path, target)


@pytest.fixture(scope="module")
def walkthrough(tmp_path_factory: pytest.TempPathFactory) -> Walkthrough:
    return Walkthrough(tmp_path_factory.mktemp("contributing"))


@pytest.mark.parametrize("block", COMMANDS)
def test_every_command_of_the_page_runs(
    block: Block, walkthrough: Walkthrough, request: pytest.FixtureRequest
) -> None:
    if block.needs_data:
        request.getfixturevalue("real_data")
    walkthrough.go_to(block)


def test_the_page_shows_no_other_command() -> None:
    """What looks like a command is in a block that is run."""
    text = PAGE.read_text(encoding="utf-8")
    unfenced = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^ {4}\S", unfenced, flags=re.MULTILINE), "an indented block is not run"
    assert not re.search(r"^(\$|python|pip|clir-bench) ", unfenced, flags=re.MULTILINE)
    kinds = {block.info for block in BLOCKS if not block.path}
    assert kinds <= {"sh", "python"}


def test_every_link_of_the_page_leads_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {"#" + heading.lower().replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(([^)]*)\)", text))
    assert links <= anchors
    for path in re.findall(r"`((?:clir_bench|tests|tasks|leaderboards|\.ci)/[\w./]*)`", text):
        known = (ROOT / path).exists() or path == "leaderboards/results/"
        assert known, f"the page names {path}, which is not there"


def test_this_interpreters_own_clir_bench_is_what_runs(walkthrough: Walkthrough) -> None:
    done = subprocess.run(
        ["python", "-c", "import clir_bench; print(clir_bench.__file__)"],
        cwd=walkthrough.folder,
        env=walkthrough.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).parent.parent == ROOT
    assert Path(sys.executable).parent != Path(walkthrough.environment["PATH"].split(":")[0])
