"""Input that is odd and right, and output folders that cannot be written."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import (
    DOCUMENTS,
    Folder,
    make_folder,
)
from input_runs import DE, append, means, pack, run, statuses, stored

from clir_bench.results import store


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


# Odd, and right


def test_line_ends_marks_and_packing_change_no_score(folder: Folder, tmp_path: Path) -> None:
    assert run(folder) == 0
    other = make_folder(tmp_path / "other")
    for path in [path for path in other.data.rglob("*.*") if path.is_file()]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        pack(other, str(path.relative_to(other.data)))
    assert run(other) == 0
    assert means(other) == means(folder)
    hashes = [
        {name: pair.data_sha256 for name, pair in stored(found).pairs.items()}
        for found in (folder, other)
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("pack_bytes", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_known_by_their_first_bytes(
    folder: Folder, tmp_path: Path, pack_bytes: Callable[[bytes], bytes]
) -> None:
    assert run(folder) == 0
    other = make_folder(tmp_path / "other")
    for path in [path for path in other.data.rglob("*.*") if path.is_file()]:
        path.write_bytes(pack_bytes(b"\xef\xbb\xbf" + path.read_bytes()))
    assert run(other) == 0
    assert means(other) == means(folder)


def test_a_card_may_begin_with_a_byte_order_mark(folder: Folder) -> None:
    sha256 = folder.card.sha256()
    folder.card_path.write_bytes(b"\xef\xbb\xbf" + folder.card_path.read_bytes())
    assert folder.card.sha256() == sha256
    assert run(folder) == 0


def test_accented_right_to_left_and_very_long_texts_are_scored(folder: Folder) -> None:
    folder.edit_card('"*-de" = [3, 3, 3]', '"*-de" = [6, 3, 3]')
    arabic = "خبر عن المطر في \u200fميناء\u200e مومباسا"
    append(folder, DE, json.dumps({"_id": "رقم-١", "text": arabic}))
    append(folder, DE, json.dumps({"_id": "ein-ö", "text": "Übergröße " * 10_000}))
    append(folder, DE, json.dumps({"_id": "zwei\u0301", "text": "line\nbreak\ttab\u2028separator"}))
    assert run(folder) == 0
    run_file = folder.card_path.parent / "out/hashing/mine/test/en-de.run.gz"
    lines = gzip.decompress(run_file.read_bytes()).decode().removesuffix("\n").split("\n")
    ranked = {line.split(" ")[2] for line in lines}
    assert ranked == {*DOCUMENTS["de"], "رقم-١", "ein-ö", "zwei\u0301"}
    before = means(folder)
    assert run(folder, "--measures", "P@1") == 0
    assert {m: v for m, v in means(folder)["en-de"].items() if m != "P@1"} == before["en-de"]


def test_empty_documents_are_counted_and_never_retrieved(folder: Folder) -> None:
    folder.edit_card('"*-de" = [3, 3, 3]', '"*-de" = [4, 3, 3]')
    append(folder, DE, '{"_id": "d9", "title": " ", "text": "\\n"}')
    assert run(folder) == 0
    pair = stored(folder).pairs["en-de"]
    assert pair.official
    assert pair.counts is not None
    assert (pair.counts.documents, pair.counts.empty_documents) == (4, 1)
    assert pair.counts.retrieved == 9


# The output folder


def test_a_file_in_the_way_of_the_output_is_found_out_first(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.card_path.parent / "out").write_text("mine")
    assert run(folder) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("failed: hashing on mine: ")
    assert "test.json: cannot be written: " in captured.err
    assert "choose another folder with --output" in captured.err
    assert (folder.card_path.parent / "out").read_text() == "mine"


def test_a_read_only_output_is_said(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    assert run(folder) == 1
    assert "cannot be written: Read-only file system" in capsys.readouterr().err


@pytest.mark.parametrize("all_after", [False, True])
def test_a_disk_that_fills_up_in_the_second_corpus_keeps_the_first(
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    all_after: bool,
) -> None:
    """Whether only the large file finds no room, or nothing does any more."""
    fsync, write_file, full = os.fsync, store.write_file, []

    def no_room(descriptor: int) -> None:
        if full and (all_after or full[-1].startswith("en-de")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    def noting(path: Path, data: bytes) -> None:
        if path.name.startswith("en-de") or full:
            full.append(path.name)
        write_file(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        patch.setattr(store, "write_file", noting)
        assert run(folder) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("failed: hashing on mine: ")
    assert "cannot be written: No space left on device" in captured.err
    assert captured.err.count("\n") == 1
    assert statuses(folder) == {"en-sw": "done", "fr-sw": "done", "en-de": "not run"}
    files = {path.name for path in (folder.card_path.parent / "out/hashing/mine/test").iterdir()}
    assert files == {
        f"{pair}.{kind}.gz" for pair in ("en-sw", "fr-sw") for kind in ("run", "values.tsv")
    }
    assert run(folder) == 0
    assert set(statuses(folder).values()) == {"done"}
