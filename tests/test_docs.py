"""The tutorial and the README's Python run as they stand, and links in docs/ lead somewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pages import blocks_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_blocks_run_in_order_and_print_what_the_page_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaderboards").symlink_to(ROOT / "leaderboards")
    script = tmp_path / "clir-bench"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m clir_bench "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    printed = ""
    for block in blocks_of((ROOT / name).read_text(encoding="utf-8")):
        if block.is_commands:
            command = ["bash", "-euo", "pipefail", "-c", block.text]
            subprocess.run(command, check=True, capture_output=True)
        elif block.info == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block.text, f"{name}:{block.line}", "exec"), names)  # noqa: S102
            printed = output.getvalue()
        elif block.info == "text":
            assert _lines(printed) == _lines(block.text), f"{name}:{block.line}"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]*)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name}: {link}"


def test_the_index_names_every_page_and_the_readme_links_to_it() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name
    assert "](docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_front_page_fits_and_its_tree_names_folders_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    (tree,) = (block for block in blocks_of(text) if block.text.startswith("clir_bench/"))
    folder = ROOT
    for line in tree.text.splitlines():
        name = line.split()[0]
        folder = ROOT / "clir_bench" if line.startswith(" ") else ROOT
        assert (folder / name).is_dir(), name
