"""Readers of text formats: what they take as it comes, and how they name what is wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from clir_bench.adapters.files import (
    JsonlDocuments,
    kept,
    read_columns,
    read_json,
    read_jsonl,
    read_lines,
    read_qrels,
    read_topics,
)
from clir_bench.errors import DataError
from clir_bench.types import Document, Qrel, Query

BOM = b"\xef\xbb\xbf"


def written(folder: Path, content: bytes | str, name: str = "file.txt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(path: Path) -> list[str]:
    return [line for _, line in read_lines(path)]


def test_byte_order_mark_and_crlf_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = written(tmp_path, BOM + "q1\tnächste\r\nq2\tÜbung\r\n".encode())
    assert read_topics(path) == [Query("q1", "nächste"), Query("q2", "Übung")]


def test_byte_order_mark_is_only_dropped_at_the_start(tmp_path: Path) -> None:
    path = written(tmp_path, BOM + b"a\n" + BOM + b"b\n")
    assert lines(path) == ["a", "\ufeffb"]


def test_last_line_needs_no_end(tmp_path: Path) -> None:
    assert lines(written(tmp_path, "a\nb")) == ["a", "b"]
    assert lines(written(tmp_path, "")) == []


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_line_feeds_end_a_line(tmp_path: Path, separator: str) -> None:
    assert lines(written(tmp_path, f"a{separator}b\nc\n")) == [f"a{separator}b", "c"]
    row = json.dumps({"text": f"a{separator}b"}, ensure_ascii=False)
    [(number, value)] = read_jsonl(written(tmp_path, row + "\n"))
    assert (number, value["text"]) == (1, f"a{separator}b")


def test_text_is_neither_trimmed_nor_normalized(tmp_path: Path) -> None:
    composed, decomposed = "é", "e\u0301"
    path = written(tmp_path, f"q1\t {composed} \nq2\t{decomposed}\nq3\tשלום \u202bعالم\u202c\n")
    assert [query.text for query in read_topics(path)] == [
        f" {composed} ",
        decomposed,
        "שלום \u202bعالم\u202c",
    ]


def test_line_of_a_hundred_thousand_characters_is_read_whole(tmp_path: Path) -> None:
    text = "ж" * 100_000
    assert lines(written(tmp_path, f"{text}\n{text}\n")) == [text, text]


def test_gzip_is_read_as_the_plain_file(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(BOM + b"a\r\nb\n"), "file.txt.gz")
    assert lines(path) == ["a", "b"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-1],
        lambda packed: packed[:100] + b"\xff" * 50 + packed[150:],
        lambda packed: b"not gzip at all",
        lambda packed: b"",
    ],
    ids=["half", "one byte short", "overwritten", "not gzip", "empty"],
)
def test_damaged_gzip_names_the_file_and_what_to_do(tmp_path: Path, damage: object) -> None:
    import random

    rows = "".join(f"{random.Random(i).random()}\n" for i in range(5000))  # noqa: S311
    packed = damage(gzip.compress(rows.encode()))  # type: ignore[operator]
    path = written(tmp_path, packed, "docs.jsonl.gz")
    with pytest.raises(DataError, match=r"docs\.jsonl\.gz: damaged or truncated gzip.*again"):
        lines(path)


@pytest.mark.parametrize("content", [b"ok\nok\ncaf\xe9\n", "ok\nok\nok\n".encode("utf-16")])
def test_other_encodings_name_the_line(tmp_path: Path, content: bytes) -> None:
    line = 1 if content.startswith(b"\xff") else 3
    with pytest.raises(DataError, match=rf"file\.txt:{line}: not UTF-8.*convert"):
        lines(written(tmp_path, content))


def test_missing_file_and_folder_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: cannot be read: No such file"):
        lines(tmp_path / "gone.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        lines(tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": 1', r"broken JSON: Expecting ',' delimiter \(column 8\)"),
        ("{'a': 1}", "broken JSON"),
        ('["a"]', "expected a JSON object, found"),
        ('"a"', "expected a JSON object, found"),
        ('{"b": 1}', r"field 'a' is missing \(found: b\)"),
        ("{}", r"field 'a' is missing \(found: none\)"),
        ("[" * 100_000, "broken JSON: maximum recursion"),
        ('{"a": ' + "1" * 5000 + "}", "broken JSON: Exceeds the limit"),
        ('{"a": "\\ud83d"}', "broken JSON: half a surrogate pair: '\\\\ud83d'"),
    ],
    ids=range(9),
)
def test_broken_json_lines_name_the_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, '{"a": 1}\n\n' + line + "\n", "docs.jsonl")
    with pytest.raises(DataError, match=rf"docs\.jsonl:3: {said}"):
        list(read_jsonl(path, required=("a",)))


def test_whole_surrogate_pairs_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a": "\\ud83d\\ude00"}\n')
    assert list(read_jsonl(path)) == [(1, {"a": "😀"})]


def test_broken_json_file_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n "a": 1,\n "b": }\n')
    with pytest.raises(DataError, match=r"file\.txt:3: broken JSON: Expecting value"):
        read_json(path)
    assert read_json(written(tmp_path, BOM + b'{\r\n"a": [1]}\r\n')) == {"a": [1]}


@pytest.mark.parametrize("content", ["[" * 100_000, "1" * 5000, '"\\udc00"'])
def test_json_python_cannot_hold_is_a_data_error(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="broken JSON"):
        read_json(written(tmp_path, content))


def test_missing_column_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "q1\ttext\n\nq2 text without a tab\n")
    with pytest.raises(DataError, match=r":3: expected 2 columns, found 1: 'q2 text"):
        list(read_columns(path, 2))


def test_superfluous_column_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":1: expected 2 columns, found 3"):
        read_topics(written(tmp_path, "q1\ta\tb\n"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("q1\ta\nq1\tb\n", r":2: query id 'q1' occurs twice"),
        ("q1\ta\nq2\t \n", r":2: query 'q2' has no text"),
        ("q1\ta\n\tb\n", r":2: query '' has no id"),
    ],
)
def test_wrong_topics_name_the_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_topics(written(tmp_path, content))


def test_qrels_take_tabs_and_blanks_and_keep_negatives(tmp_path: Path) -> None:
    path = written(tmp_path, "q1 Q0 d1 1\r\nq1\tQ0\td2\t0\nq2   0  d1  -1\n")
    assert read_qrels(path) == [
        Qrel("q1", "d1", 1, "Q0"),
        Qrel("q1", "d2", 0, "Q0"),
        Qrel("q2", "d1", -1, "0"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("q1 0 d1 1\nq1 0 d1\n", r":2: expected 4 columns, found 3"),
        ("q1 0 d1 yes\n", r":1: relevance must be a whole number, found 'yes'"),
        ("q1 0 d1 0.5\n", r":1: relevance must be a whole number, found '0\.5'"),
        ("q1 0 d1 1\nq2 0 d1 1\nq1 0 d1 0\n", r":3: 'd1' is judged twice for query 'q1'"),
    ],
)
def test_wrong_qrels_name_the_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_qrels(written(tmp_path, content))


def test_documents_are_read_again_on_every_pass_and_in_file_order(tmp_path: Path) -> None:
    one = written(tmp_path, '{"docid": "1", "title": "T", "text": "a"}\n', "1.jsonl")
    two = written(
        tmp_path,
        gzip.compress(b'{"docid": "2", "text": "b", "title": null}\n{"docid": "3", "text": ""}\n'),
        "2.jsonl.gz",
    )
    documents = JsonlDocuments([one, two], doc_id="docid")
    expected = [Document("1", "a", "T"), Document("2", "b"), Document("3", "")]
    assert list(documents) == expected
    assert list(documents) == expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"docid": 5, "text": "a"}', "docid must be text, found 5"),
        ('{"docid": "5", "text": null}', "text must be text, found None"),
        ('{"docid": "5", "text": "a", "title": ["T"]}', r"title must be text, found \['T'\]"),
        ('{"docid": "5"}', "field 'text' is missing"),
    ],
)
def test_wrong_documents_name_the_line(tmp_path: Path, row: str, said: str) -> None:
    path = written(tmp_path, '{"docid": "1", "text": "a"}\n' + row + "\n", "docs.jsonl")
    with pytest.raises(DataError, match=rf"docs\.jsonl:2: {said}"):
        list(JsonlDocuments([path], doc_id="docid"))


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    path = written(tmp_path, "one")
    reads: list[tuple[str, str]] = []

    @kept(n_files=4)
    def read(path: Path, tag: str) -> str:
        reads.append((path.name, tag))
        return path.read_text() + tag

    assert [read(path, "!"), read(path, "!"), read(path, "?")] == ["one!", "one!", "one?"]
    assert reads == [("file.txt", "!"), ("file.txt", "?")]
    written(tmp_path, "three")
    assert read(path, "!") == "three!"
    assert len(reads) == 3
