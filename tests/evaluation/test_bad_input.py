"""Bad input end to end: one clear message, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import (
    Folder,
    make_folder,
    write_jsonl,
)
from input_runs import DE, append, means, pack, run, statuses, stored

DE_QRELS = "qrels/de.test.tsv"


EN = "queries.en.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


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
