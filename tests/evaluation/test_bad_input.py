"""Bad input end to end: one clear message, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import bz2
import errno
import gzip
import importlib.metadata
import json
import lzma
import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import (
    DOCUMENTS,
    Folder,
    clir,
    forget_plugins,
    install_plugin,
    make_folder,
    write_jsonl,
    write_plugin,
)

from clir_bench.core import plugins
from clir_bench.results import store
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result

DE = "de/corpus.jsonl"
DE_QRELS = "qrels/de.test.tsv"
EN = "queries.en.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def run(folder: Folder, *arguments: object, model: str = "hashing") -> int:
    output = folder.card_path.parent / "out"
    return clir("run", "-m", model, "-t", folder.card_path, "-o", output, *arguments)


def stored(folder: Folder, name: str = "hashing/mine/test.json") -> Result:
    found = read_result(folder.card_path.parent / "out" / name)
    assert isinstance(found, Result)
    return found


def statuses(folder: Folder) -> dict[str, str]:
    return {name: pair.status for name, pair in stored(folder).pairs.items()}


def means(folder: Folder) -> dict[str, dict[str, float]]:
    return {
        name: {measure: score.mean for measure, score in pair.scores.items()}
        for name, pair in stored(folder).pairs.items()
    }


def append(folder: Folder, name: str, line: str) -> None:
    with (folder.data / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def pack(folder: Folder, name: str, cut: int = 0) -> None:
    """Replace a file by its gzip, `cut` bytes short."""
    path = folder.data / name
    data = gzip.compress(path.read_bytes())
    path.with_name(path.name + ".gz").write_bytes(data[: len(data) - cut])
    path.unlink()


# Cards


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("measures =", "mesures =", "unknown field 'mesures' (did you mean 'measures'?)"),
        ("parallel_queries = true", "parallel_queries = [1]", "parallel_queries: "),
        ('splits = ["test"]', 'splits = "test"', "splits: expected a list, found 'test'"),
        ('"*-sw" = [4, 3, 5]', '"*-sw" = [4, "three", 5]', "counts.test.*-sw"),
        ('adapter = "folder"', 'adapter = "foldre"', "unknown adapter 'foldre'; did you mean fold"),
        ('"nDCG@10"', '"nDGC@10"', "'nDGC@10' is no ir-measures name"),
        ('"en-sw", "fr-sw"', '"en-xx", "fr-sw"', "pair rule 'en-xx'"),
        ('sw = "sw"', 'swa = "sw"', "language 'swa' must be written 'sw'"),
        ('license = "CC0-1.0"', "", "field 'license' is missing"),
        ('title = "My collection"', 'title = "My', "not valid TOML"),
        ('id = "mine"', 'id = "Mine!"', "id: "),
    ],
)  # fmt: skip
def test_a_wrong_card_names_the_file_and_the_field(
    folder: Folder, old: str, new: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit_card(old, new)
    assert run(folder) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {folder.card_path}: ")
    assert problem in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (folder.card_path.parent / "out").exists()


# Files: the German pair fails, the Swahili ones are done


def truncated_gzip(folder: Folder) -> None:
    pack(folder, DE, cut=12)


def not_a_gzip(folder: Folder) -> None:
    path = folder.data / DE
    path.rename(path.with_name("corpus.jsonl.gz"))


def broken_json(folder: Folder) -> None:
    append(folder, DE, '{"_id": "d9", "text": ')


def no_object(folder: Folder) -> None:
    append(folder, DE, "[1, 2]")


def missing_field(folder: Folder) -> None:
    append(folder, DE, '{"_id": "d9", "body": "x"}')


def wrong_type(folder: Folder) -> None:
    append(folder, DE, '{"_id": 9, "text": "x"}')


def half_a_surrogate(folder: Folder) -> None:
    append(folder, DE, '{"_id": "d9", "text": "\\ud800"}')


def not_utf8(folder: Folder) -> None:
    path = folder.data / DE
    path.write_bytes(path.read_bytes() + '{"_id": "d9", "text": "Öl"}\n'.encode("latin-1"))


def duplicate_document(folder: Folder) -> None:
    append(folder, DE, '{"_id": "d2", "text": "again"}')


def id_with_a_space(folder: Folder) -> None:
    append(folder, DE, '{"_id": "d 9", "text": "again"}')


def no_document(folder: Folder) -> None:
    (folder.data / DE).write_text("")


def only_empty_documents(folder: Folder) -> None:
    write_jsonl(folder.data / DE, [{"_id": d, "text": " "} for d in ("d1", "d2", "d3")])


def missing_column(folder: Folder) -> None:
    append(folder, DE_QRELS, "q1\td2")


def missing_header(folder: Folder) -> None:
    folder.edit(DE_QRELS, "query-id\tcorpus-id\tscore\n", "")


def fractional_relevance(folder: Folder) -> None:
    append(folder, DE_QRELS, "q1\td2\t0.5")


def judged_twice(folder: Folder) -> None:
    append(folder, DE_QRELS, "q1\td1\t0")


def absent_documents(folder: Folder) -> None:
    folder.edit(DE_QRELS, "\td", "\td7")


def zstandard(folder: Folder) -> None:
    (folder.data / DE).write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 20)


def huge_relevance(folder: Folder) -> None:
    append(folder, DE_QRELS, f"q1\td2\t{10**30}")


def no_number(folder: Folder) -> None:
    append(folder, DE_QRELS, "q1\td2\tabc")


def absent_query(folder: Folder) -> None:
    append(folder, DE_QRELS, "q77\td1\t1")


def nothing_judged(folder: Folder) -> None:
    (folder.data / DE_QRELS).write_text("query-id\tcorpus-id\tscore\n")


def missing_file(folder: Folder) -> None:
    (folder.data / DE_QRELS).unlink()


def folder_in_place_of_a_file(folder: Folder) -> None:
    (folder.data / DE).unlink()
    (folder.data / DE).mkdir()


def other_normalization(folder: Folder) -> None:
    """German documents in NFD, their judgments in NFC."""
    rows = [json.loads(line) for line in (folder.data / DE).read_text().splitlines()]
    for row in rows:
        row["_id"] = unicodedata.normalize("NFD", row["_id"].replace("d1", "é1"))
    write_jsonl(folder.data / DE, rows)
    folder.edit(DE_QRELS, "d1", unicodedata.normalize("NFC", "é1"))


@pytest.mark.parametrize(
    ("damage", "file", "problem"),
    [
        (truncated_gzip, DE + ".gz", ": damaged or truncated gzip after line"),
        (not_a_gzip, DE + ".gz", ": damaged or truncated gzip after line 0"),
        (broken_json, DE, ":4: broken JSON: Expecting value (column 23)"),
        (no_object, DE, ":4: expected a JSON object, found '[1, 2]'"),
        (missing_field, DE, ":4: field 'text' is missing (found: _id, body)"),
        (wrong_type, DE, ":4: _id must be text, found 9"),
        (half_a_surrogate, DE, ":4: broken JSON: half a surrogate pair"),
        (not_utf8, DE, ":4: not UTF-8: invalid"),
        (duplicate_document, "", "document ids occur twice: 'd2'"),
        (id_with_a_space, "", "document id 'd 9' is empty"),
        (no_document, "", "documents of en-de: the corpus is empty"),
        (only_empty_documents, "", "all 3 documents are empty"),
        (missing_column, DE_QRELS, ":5: expected 3 columns, found 2: 'q1\\td2'"),
        (missing_header, DE_QRELS, ":1: expected the header query-id<tab>corpus-id<tab>score"),
        (fractional_relevance, DE_QRELS, ":5: score must be a whole number, found '0.5'"),
        (judged_twice, DE_QRELS, ":5: 'd1' is judged twice for query 'q1'"),
        (zstandard, DE, ": is a zstd file; unpack it first"),
        (absent_documents, "", "3 documents, but none is in the corpus: 'd71', 'd72', 'd73'"),
        (huge_relevance, DE_QRELS, ":5: score must be from -100,000 to 100,000, found 1000000000"),
        (no_number, DE_QRELS, ":5: score must be a whole number, found 'abc'"),
        (absent_query, "", "judgments name 1 queries that are not among the 3 queries: 'q77'"),
        (nothing_judged, DE_QRELS, ": none of the 4 queries of"),
        (missing_file, "", "qrels/de.test.tsv or qrels/de.test.tsv.gz is not in"),
        (folder_in_place_of_a_file, "", "de/corpus.jsonl or de/corpus.jsonl.gz is not in"),
        (other_normalization, "", "is one file in Unicode NFC and the other in NFD?"),
    ],
)
def test_a_broken_file_fails_its_pair_alone_and_is_named(
    folder: Folder,
    damage: Callable[[Folder], None],
    file: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(folder)
    assert run(folder) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("failed: hashing on mine, en-de: ")
    assert captured.err.count("\n") == 1
    assert (f"{folder.data / file}{problem}" if file else problem) in captured.err
    if not file:
        assert "task 'mine'" in captured.err
    assert "sw Swahili" in captured.out
    assert "de German" not in captured.out
    assert statuses(folder) == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}
    assert stored(folder).pairs["en-de"].scores == {}
    assert problem in str(stored(folder).pairs["en-de"].error)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"_id": "q2", "text": "again"}', ":5: query id 'q2' occurs twice"),
        ('{"_id": "q9", "text": "  "}', ":5: query 'q9' has no text"),
        ('{"_id": "q9"}', ":5: field 'text' is missing"),
        ('{"_id": "q9", "text": 9}', ":5: _id and text must be text"),
        ('{"_id": ', ":5: broken JSON"),
    ],
)
def test_broken_queries_fail_their_language_alone(
    folder: Folder, line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    append(folder, EN, line)
    assert run(folder) == 1
    err = capsys.readouterr().err
    assert [message.split(": ")[1] for message in err.splitlines()] == [
        "hashing on mine, en-sw", "hashing on mine, en-de",
    ]  # fmt: skip
    assert err.count(f"{folder.data / EN}{problem}") == 2
    assert statuses(folder) == {"en-sw": "failed", "fr-sw": "done", "en-de": "failed"}


def test_what_was_done_before_a_file_broke_is_kept(folder: Folder) -> None:
    assert run(folder) == 0
    before = means(folder)
    truncated_gzip(folder)
    append(folder, EN, "{")
    assert run(folder) == 0
    assert means(folder) == before


def test_several_problems_of_a_pair_are_said_together(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    absent_query(folder)
    absent_documents(folder)
    assert run(folder) == 1
    err = capsys.readouterr().err
    assert "'d72'" in err
    assert "'q77'" in err


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


# Plugins


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs package acme with an entry point of that name."""

    def install(name: str, code: str = "", group: str = plugins.ENCODERS) -> None:
        write_plugin(tmp_path / "site", name, code, group)
        install_plugin(tmp_path / "site", monkeypatch)

    yield install
    forget_plugins(monkeypatch)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library", "of package acme cannot be imported"),
        ("Plugin.encode_documents = None", "of acme 3.1 lacks the method encode_documents"),
        ("def load(request): raise OSError('no disk')", "could not be loaded: OSError: no disk"),
        ("def load(request): return 7", "expected an attribute info of type EncoderInfo"),
    ],
)
def test_a_broken_model_plugin_is_named_and_the_next_model_runs(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plugin("acme", code)
    assert run(folder, "-m", "hashing", model="acme") == 1
    err = capsys.readouterr().err
    assert err.startswith("failed: model acme: ")
    assert problem in err
    assert "Traceback" not in err
    assert set(statuses(folder).values()) == {"done"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("return np.full((len(texts), DIM), np.nan, np.float32)", "that are NaN or infinite"),
        ("return np.zeros((len(texts), DIM), np.float32)", "the vector is all zeros"),
        ("return np.ones((len(texts), 3), np.float32)", "found (3, 3)"),
        ("return [[1.0] * DIM] * len(texts)", "expected a numpy array of floats, found"),
        ("raise ValueError('odd text')", "ValueError: odd text"),
    ],
)
def test_vectors_that_cannot_be_searched_with_name_model_and_text(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    import numpy as np
    def encode_documents(self, texts, *, language):
        if language == "de":
            {code}
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 1
    err = capsys.readouterr().err
    assert err.startswith("failed: plugin on mine, en-de: model 'plugin'")
    assert problem in err
    assert "'In der Hafenstadt fiel starker Regen.'" in err or "documents in 'de'" in err
    found = {n: p.status for n, p in stored(folder, "plugin/mine/test.json").pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


def test_scores_that_tell_no_document_from_another_are_warned_of(
    folder: Folder, plugin: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
    Plugin.info = property(lambda self: EncoderInfo("plugin", "1", similarity="dot"))
    Plugin.info = Plugin.info.setter(lambda self, value: None)
    before = Plugin.encode_queries
    def encode(self, texts, *, language):
        rows = before(self, texts, language=language).copy()
        rows[:, 0] += 1e9  # beside which float32 does not see what the texts differ in
        return rows
    Plugin.encode_queries = Plugin.encode_documents = encode
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 0
    assert capsys.readouterr().err.count("all documents score the same, and are ranked by") == 3


def test_a_plugin_that_takes_a_built_ins_name_is_refused(
    folder: Folder, plugin: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin("hashing")
    assert run(folder) == 1
    assert "acme takes the name of a built-in" in capsys.readouterr().err


def test_a_plugin_that_is_not_asked_for_harms_nobody(
    folder: Folder, plugin: Callable[..., None]
) -> None:
    plugin("acme", "raise SystemExit")
    assert run(folder) == 0


@pytest.mark.parametrize(
    "failure",
    [
        "raise SystemExit(0)",
        "raise BaseException('x')",
        "return None",
        "return replace(found, queries=(query for query in found.queries))",
        "return replace(found, documents=(document for document in found.documents))",
        "return replace(found, documents=[tuple(one) for one in found.documents])",
        "return replace(found, qrels=[one._replace(relevance=1.5) for one in found.qrels])",
        "return replace(found, qrels=[one._replace(doc_id='\\ud800') for one in found.qrels])",
        "return replace(found, corpus_id=None)",
    ],
)
def test_a_pair_that_an_adapter_fails_on_leaves_the_others_alone(
    failure: str,
    folder: Folder,
    plugin: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    from dataclasses import replace
    from clir_bench.tasks.adapters import folder
    def load(card, pair, split, source):
        found = folder.load(card, pair, split, source)
        if str(pair) != "en-de":
            return found
        {failure}
    """
    plugin("acme", body, plugins.ADAPTERS)
    folder.edit_card('adapter = "folder"', 'adapter = "acme"')
    assert run(folder) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "failed: hashing on mine, en-de: task 'mine', pair en-de: adapter 'acme'"
    )
    assert said.count("\n") == 1
    found = {name: pair.status for name, pair in stored(folder).pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


@pytest.mark.parametrize(
    "error",
    ["SystemExit(0)", "GeneratorExit()", "StopIteration()", "BaseException('x')", "Mute()"],
)
def test_a_pair_that_an_encoder_fails_on_leaves_the_others_alone(
    error: str,
    folder: Folder,
    plugin: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError
    def encode_documents(self, texts, *, language):
        if language == "de":
            raise {error}
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 1
    said = capsys.readouterr().err
    assert said.startswith("failed: plugin on mine, en-de: model 'plugin' failed on 3 documents")
    assert said.count("\n") == 1
    found = {n: p.status for n, p in stored(folder, "plugin/mine/test.json").pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library", "adapter 'acme' of package acme cannot be imported"),
        ("load = 7", "adapter 'acme' of package acme is int; expected a function"),
        (
            "def load(card, pair, split, source): return []",
            "of acme 3.1 returned list []; expected",
        ),
        (
            "def load(card, pair, split, source): return source['x']",
            "pair en-sw: adapter 'acme' of acme 3.1 failed: TypeError",
        ),
        (
            """
            from clir_bench.types import Collection, Qrel, Query
            class Documents:
                def __iter__(self):
                    raise KeyError("row 7")
            def load(card, pair, split, source):
                return Collection("c", Documents(), [Query("q", "t")], [Qrel("q", "d", 1)])
            """,
            "pair en-sw: adapter 'acme' of acme 3.1 failed: KeyError: 'row 7'",
        ),
    ],
)
def test_a_broken_adapter_plugin_is_named(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plugin("acme", code, plugins.ADAPTERS)
    folder.edit_card('adapter = "folder"', 'adapter = "acme"')
    assert run(folder) == 1
    captured = capsys.readouterr()
    assert problem in captured.err
    assert "Traceback" not in captured.err
    assert set(statuses(folder).values()) == {"failed"}


def test_this_package_is_the_only_one_that_registers_built_ins() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group=plugins.ADAPTERS)}
    assert "folder" in names
    assert plugins.provider(plugins.ADAPTERS, "folder").startswith("clir-bench ")
