"""Names from files never become paths outside their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from clir_bench.core.files import inside
from clir_bench.errors import CardError, DataError


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "a/..",
        "..",
        "/etc/passwd",
        "//server/share",
        "~/x",
        "~root/.ssh/authorized_keys",
        "C:/x",
        "c:x",
        "..\\x",
        "a\\b",
        "a\0b",
        "a\nb",
        "",
        " ",
        "\ud800",
        "x" * 256,
        "é" * 128,
        "a/" * 600 + "x",
    ],
)
def test_a_name_that_leaves_the_folder_or_is_none_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"run_file of en-sw.*state a path inside results"):
        inside(Path("results"), name, "run_file of en-sw")


@pytest.mark.parametrize("name", ["a", "a/b.c", "..a", "a..b/c", "dev sets/ñandú.tsv", "./a"])
def test_a_name_within_the_folder_is_joined(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path, name, "x") == tmp_path / name


def test_the_error_is_of_the_kind_that_is_asked_for() -> None:
    with pytest.raises(CardError, match=r"^manifest: '/x' is an absolute path"):
        inside(Path(), "/x", "manifest", error=CardError)
