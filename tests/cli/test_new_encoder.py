"""`clir-bench new-encoder`: what it writes works as written, and no name leads it astray."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import clir
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clir_bench.core import plugins
from clir_bench.encoders import load_encoder
from clir_bench.errors import OutputError, UsageError
from clir_bench.results.system_card import read_system_card
from clir_bench.testing import check_encoder
from clir_bench.testing.project import ProjectNames, write_project

NAMES = ["my-encoder", "x", "3gram", "my.model-0_5b", "class", "numpy"]
Install = Callable[[Path], str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a project as pip would, and returns its encoder's name."""
    modules: list[str] = []

    def make(project: Path) -> str:
        stated = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        points = stated["entry-points"][plugins.ENCODERS]
        metadata = tmp_path / f"{stated['name'].replace('-', '_')}-{stated['version']}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {stated['name']}\nVersion: {stated['version']}\n"
        )
        lines = [f"{name} = {value}" for name, value in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{plugins.ENCODERS}]", *lines]))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(project / "src"))
        plugins._entry_points.cache_clear()
        importlib.invalidate_caches()
        modules.extend(value.partition(":")[0] for value in points.values())
        return next(iter(points))

    yield make
    monkeypatch.undo()
    for module in modules:
        sys.modules.pop(module, None)
    plugins._entry_points.cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_as_written_passes_every_check(
    name: str, tmp_path: Path, install: Install
) -> None:
    write_project(ProjectNames.of(name), tmp_path / "project")
    assert install(tmp_path / "project") == name
    encoder = load_encoder(name)
    assert encoder.info.name == name
    check_encoder(encoder)


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_names_are_ones_that_pip_and_python_take(name: str, tmp_path: Path) -> None:
    write_project(ProjectNames.of(name), tmp_path / "project")
    pyproject = tomllib.loads((tmp_path / "project" / "pyproject.toml").read_text())
    project = pyproject["project"]
    assert canonicalize_name(project["name"], validate=True) == project["name"]
    assert {Requirement(line).name for line in project["dependencies"]} == {"clir-bench", "numpy"}
    [(point, value)] = project["entry-points"][plugins.ENCODERS].items()
    module = value.partition(":")[0]
    assert point == name
    assert module.isidentifier()
    assert module.startswith("clir_bench_")
    assert (tmp_path / "project" / "src" / module / "__init__.py").is_file()
    assert pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{module}"]


def test_nothing_is_left_to_fill_in_and_the_system_card_is_valid(tmp_path: Path) -> None:
    files = write_project(ProjectNames.of("my-encoder"), tmp_path / "project")
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert not re.search(r"\$\w|\$\{|TODO", text), path
    assert read_system_card(tmp_path / "project" / "system.toml").name == "my-encoder"


def test_every_written_file_is_named_and_nothing_else_is_left(tmp_path: Path) -> None:
    files = write_project(ProjectNames.of("my-encoder"), tmp_path / "deep" / "project")
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(files)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["project"]


@pytest.mark.parametrize(
    "name",
    ["", "-x", "x-", ".x", "A", "a b", "a/b", "../up", "a\\b", "a:b", "a\nb", "a\x00b", "é",
     "x" * 65, "x\n", "\u202egpj", "<b>", "a'b", 'a"b', "$name", "a;rm -rf", "con/", "~"],
)  # fmt: skip
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="expected at most 64 lower-case letters"):
        ProjectNames.of(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hashing", "'hashing' is registered already"),
        ("multilingual_e5.base", "'multilingual-e5-base' is registered already"),
        ("st", "'st' is registered already"),
        ("model.toml", "a name that ends in .toml as a file; try 'model'"),
    ],
)
def test_a_name_that_means_something_else_to_run_is_refused(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        ProjectNames.of(name)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    names = ProjectNames.of("my-encoder")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for place in ("mine", "mine/thesis.txt", "link"):
        with pytest.raises(UsageError, match="is not an empty folder"):
            write_project(names, tmp_path / place)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert len(write_project(names, tmp_path / "empty")) == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        write_project(ProjectNames.of("my-encoder"), tmp_path / "new")


def test_a_folder_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/new cannot be written"):
        write_project(ProjectNames.of("my-encoder"), tmp_path / "file" / "new")


def test_the_command_says_what_it_wrote_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert clir("new-encoder", "my-encoder") == 0
    printed = capsys.readouterr().out
    assert "clir-bench-my-encoder/src/clir_bench_my_encoder/__init__.py\n" in printed
    assert "next: python -m pip install -e clir-bench-my-encoder\n" in printed
    assert clir("new-encoder", "my-encoder") == 2
    assert "exists and is not an empty folder" in capsys.readouterr().err
    assert clir("new-encoder", "my-encoder", "--directory", "a b") == 0
    assert "pip install -e 'a b'" in capsys.readouterr().out
