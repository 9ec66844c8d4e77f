"""`clir-bench cache` over entries that somebody has broken: listed, said to be so, removable."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir

from clir_bench.errors import UnknownNameError
from clir_bench.search.vectors import maintenance
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.description import read_description
from clir_bench.search.vectors.entry import Entry, Writing, entry_folder
from clir_bench.search.vectors.maintenance import prune_vectors, stored, verify_vectors
from clir_bench.search.vectors.removal import remove
from clir_bench.search.vectors.shards import ShardWriter
from clir_bench.search.vectors.store import size_text

NAME = f"labse-{'0' * 32}"
KEY = {"encoder.name": '"labse"', "encoder.revision": '"1"'}
GOOD: dict[str, Any] = {
    "version": 1,
    "corpus": "mine test sw",
    "key": KEY,
    "n_documents": 10,
    "shard_documents": 4,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of one entry with one shard, and a folder that is somebody else's."""
    folder = tmp_path / "vectors" / NAME
    folder.mkdir(parents=True)
    writer = ShardWriter(folder, 0, 2, late=False)
    writer.add(np.ones((2, 2), dtype=np.float32))
    writer.finish(["a", "b"], 4, 0.1, {})
    other = folder.parent / "somebody-elses"
    other.mkdir()
    (other / "entry.json").write_text("{}")
    return folder.parent


def write(root: Path, value: Any) -> None:
    (root / NAME / "entry.json").write_text(json.dumps(value), encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    status = clir("cache", *arguments)
    found = capsys.readouterr()
    assert found.err == ""
    assert all(line.isprintable() for line in found.out.splitlines())
    return status, found.out


BROKEN: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: path.write_text(""),
    "half": lambda path: path.write_text('{"corpus": "mine'),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "not there": lambda path: path.unlink(missing_ok=True),
    "a folder": lambda path: path.mkdir(),
    "a broken link": lambda path: path.symlink_to("nowhere"),
    "many digits": lambda path: path.write_text('{"n_documents": ' + "9" * 6000 + "}"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "large": lambda path: path.write_text(json.dumps(GOOD | {"more": "x" * (2 << 20)})),
    "half a pair": lambda path: path.write_text(json.dumps(GOOD | {"corpus": "\ud800"})),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_entry_is_listed_as_unreadable_and_prune_removes_it(
    root: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    BROKEN[how](root / NAME / "entry.json")
    status, out = said(capsys, "list", "--embeddings", root)
    assert status == 0
    assert "unreadable" in out
    assert out.endswith(f"1 corpora, {inventory_size(root)} in {root}\n")
    status, out = said(capsys, "list", "--json", "--embeddings", root)
    assert (status, json.loads(out)["readable"]) == (0, False)
    status, out = said(capsys, "verify", "--embeddings", root)
    assert status == 1
    assert "entry.json cannot be read; `clir-bench cache prune 000000000000` removes it" in out
    assert "1 shards of 1 corpora checked, 0 damaged" in out
    assert said(capsys, "prune", "--embeddings", root)[0] == 0
    assert (root / NAME).is_dir(), "vectors are there: only who asks for it removes them"
    status, out = said(capsys, "prune", NAME[-12:], "--embeddings", root)
    assert status == 0
    if how in ("a folder", "a broken link"):
        assert f"kept {NAME} (unreadable): it holds entry.json, which clir-bench did not" in out
        return
    assert f"removed {NAME} (unreadable" in out
    assert [path.name for path in root.iterdir()] == ["somebody-elses"]


def inventory_size(root: Path) -> str:
    (entry,) = stored(root)
    return size_text(entry.size_bytes)


def test_verify_and_prune_say_what_they_found_and_removed(root: Path) -> None:
    (checked,) = verify_vectors(root, [NAME[-4:]])
    assert (checked.entry.name, checked.damaged, checked.in_use) == (NAME, {}, False)
    (data,) = (root / NAME).glob("*.f32")
    data.write_bytes(b"x" * data.stat().st_size)
    (checked,) = verify_vectors(root, repair=True)
    assert list(checked.damaged) == [0]
    assert [one.damaged for one in verify_vectors(root)] == [{}]
    assert prune_vectors(root).removed == ()
    assert prune_vectors(root, everything=True, model="other").removed == ()
    assert prune_vectors(root, idle_seconds=3600).removed == ()
    with pytest.raises(UnknownNameError, match="unknown key 'ffff'"):
        prune_vectors(root, ["ffff"])
    pruned = prune_vectors(root, idle_seconds=-1)
    assert [one.name for one in pruned.removed] == [NAME]
    assert stored(root) == []


def anything(draw: random.Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = draw.randrange(9 if depth < 3 else 7)
    if kind < 7:
        return [
            None,
            draw.random() < 0.5,
            draw.choice([0, -1, 10**18, 10**400, 2**63]),
            draw.choice([0.5, -1e308, 1e300]),
            draw.choice(["", "\x1b[2J", "\0", "\u202e", "\n\r", "\ud800", "%s {} \\", "é" * 5000]),
            draw.choice(["null", "[]", "1e999", '"\\u001b[31m"', '"\\ud800"', "[" * 2000]),
            draw.choice([1, 4, 10]),
        ][kind]
    if kind == 7:
        return [anything(draw, depth + 1) for _ in range(draw.randrange(4))]
    names = [*GOOD, *KEY, "\x1b[0m", "other"]
    return {draw.choice(names): anything(draw, depth + 1) for _ in range(draw.randrange(6))}


def test_whatever_an_entry_says_of_itself_the_listing_is_clean(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(0)  # noqa: S311
    readable = 0
    for _ in range(120):
        value = anything(draw)
        if draw.random() < 0.8:  # nearly right
            value = json.loads(json.dumps(GOOD))
            where = draw.choice([value, value, value["key"]])
            where[draw.choice([*where, "encoder.revision"])] = anything(draw)
        write(root, value)
        status, out = said(capsys, "list", "--embeddings", root)
        assert status == 0
        assert "corpora" in out
        (entry,) = stored(root)
        readable += entry.readable
        assert 0 <= entry.n_documents <= 10**12
        assert said(capsys, "list", "--json", "--embeddings", root)[0] == 0
        assert said(capsys, "verify", "--embeddings", root)[0] == (not entry.readable)
    assert 20 < readable < 100


def test_hostile_names_are_shown_harmless(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, GOOD | {"corpus": "\x1b[2J", "key": KEY | {"encoder.name": '"\\u001b]0;x\\u0007"'}})
    _, out = said(capsys, "list", "--embeddings", root)
    assert r"\x1b[2J" in out
    assert r"\x1b]0;x\x07" in out


def test_an_entry_that_vanishes_while_it_is_looked_at_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, GOOD)

    def read_and_remove(folder: Path) -> Any:
        found = read_description(folder)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return found

    monkeypatch.setattr(maintenance, "read_description", read_and_remove)
    assert said(capsys, "list", "--embeddings", root) == (0, f"0 corpora, 0 B in {root}\n")


def test_a_run_that_uses_a_broken_entry_writes_its_description_anew(root: Path) -> None:
    write(root, [1, 2])
    entry = Entry(root / NAME, KEY, Corpus("c", 10, "sw", "{text}", "mine"), 2, late=False)
    with entry.opened(keep=False):
        pass
    (found,) = stored(root)
    assert (found.readable, found.corpus, found.n_done) == (True, "mine", 1)


def test_entries_say_how_many_shards_they_have_and_older_ones_how_long_these_are(
    root: Path,
) -> None:
    write(root, GOOD)
    assert [found.n_shards for found in stored(root)] == [3]
    write(root, {**GOOD, "n_shards": 5})
    assert [found.n_shards for found in stored(root)] == [5]


def test_a_folder_that_cannot_be_listed_holds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for root in (tmp_path / "missing", tmp_path / "pipe"):
        assert said(capsys, "list", "--embeddings", root)[0] == 0


# What is not known to be of our making stays, whatever it is called


def entry_of(root: Path, key: dict[str, str] = KEY) -> Path:
    """Write an entry as a run does: two shards, one of them half written."""
    folder = entry_folder(root, "labse", key)
    entry = Entry(folder, key, Corpus("c", 10, "sw", "{text}", "mine"), 4, late=False)
    with entry.opened(keep=True):
        writing = Writing(entry, 0)
        writing.add(np.ones((2, 2), dtype=np.float32))
        writing.finish(["a", "b"], 4, 0.1)
    (folder / ".000001.abcd_123").write_bytes(b"half")
    return folder


HEX = "d41d8cd98f00b204e9800998ecf8427e"
FOREIGN: dict[str, dict[str, str]] = {
    f"photos-{HEX}": {"a.jpg": "precious"},
    f"empty-{HEX}": {},
    f"frames-{HEX}": {"000001.json": '{"label": "precious"}', ".in-use": ""},
    f"app-{HEX}": {"entry.json": '{"precious": 1}', ".in-use": ""},
    f"raw-{HEX}": {"000001-0123456789abcdef.f32": "precious"},
    ".removed-mine": {"x": "precious"},
    ".removed-abcd1234": {"000001.json": "precious"},
    f".removed-photos-{HEX}": {"a.jpg": "precious", "entry.json": "{}"},
    f".removed-empty-{HEX}": {},
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("option", ["--all", "--older-than=0", "--model=labse", None])
def test_prune_leaves_folders_that_only_are_called_as_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, option: str | None
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file, text in FOREIGN[name].items():
        (folder / file).write_text(text)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    status, out = said(capsys, "prune", *[option] * bool(option), "--embeddings", tmp_path)
    assert (status, out) == (0, f"0 B freed in {tmp_path}\n")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_prune_removes_an_entry_and_nothing_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, other = entry_of(tmp_path), entry_of(tmp_path, KEY | {"more": "1"})
    (other / "notes.txt").write_text("precious")
    copy = tmp_path / f"copy-{HEX}"
    shutil.copytree(ours, copy)
    (tmp_path / "link").symlink_to(copy)
    (tmp_path / f"link-{HEX}").symlink_to(copy)
    status, out = said(capsys, "prune", "--all", "--embeddings", tmp_path)
    assert status == 0
    assert f"removed {ours.name}" in out
    assert f"kept {other.name} (mine): it holds notes.txt, which clir-bench did not make" in out
    assert f"kept {copy.name} (mine): nothing in it proves that clir-bench made it" in out
    assert {path.name for path in tmp_path.iterdir()} == {
        other.name, copy.name, "link", f"link-{HEX}",
    }  # fmt: skip
    assert {path.name for path in copy.iterdir()} >= {"000000.json", "entry.json"}


def test_a_link_in_an_entry_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = entry_of(tmp_path / "vectors")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "x").write_text("precious")
    (ours / "000007.json").symlink_to(precious)
    assert "kept" in said(capsys, "prune", "--all", "--embeddings", tmp_path / "vectors")[1]
    assert ours.is_dir()
    assert (precious / "x").read_text() == "precious"


@pytest.mark.parametrize("n_removed", range(5))
def test_a_removal_that_was_killed_is_finished_by_the_next_prune(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    n_removed: int,
) -> None:
    class Killed(BaseException):
        pass

    ours, unlink, removed = entry_of(tmp_path), Path.unlink, []

    def until_killed(path: Path, **options: Any) -> None:
        if len(removed) == n_removed and path.parent.name.startswith(".removed-"):
            raise Killed
        removed.append(path)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", until_killed)
        with pytest.raises(Killed):
            remove(ours)
    assert [path.name for path in tmp_path.iterdir()] == [f".removed-{ours.name}"]
    assert said(capsys, "prune", "--embeddings", tmp_path)[0] == 0
    assert list(tmp_path.iterdir()) == []
