"""Tables of translations: tab-separated or JSON Lines, by query id or by text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from clir_bench.errors import DataError, UsageError
from clir_bench.systems.translate.table import Table, read_table
from clir_bench.systems.translate.translators import Direction, Place
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair, Query

PAIR, SW_EN = LanguagePair("sw", "en"), Direction("sw", "en")
QUERIES = [Query("q1", "paka"), Query("q2", "mbwa")]
CARD = load_card("xquad")


def table(tmp_path: Path, text: str | bytes) -> Table:
    path = tmp_path / "table"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(str(path))


def translated(found: Table) -> list[str]:
    place = Place(Loader(CARD, "sample", locate(CARD, "sample")), PAIR)
    return list(found.translate(QUERIES, SW_EN, place))


@pytest.mark.parametrize(
    "text",
    [
        "query_id\ttranslation\nq1\tcat\nq2\tdog\nq3\tcow\n",
        "\ufefftext\ttranslation\r\npaka\tcat\r\nmbwa\tdog\r\n",
        "source\ttarget\ttext\ttranslation\nswa\teng\tpaka\tcat\nsw\ten\tmbwa\tdog\nsw\tde\tmbwa\tHund",
        '{"query_id": "q1", "translation": "cat"}\n\n{"query_id": "q2", "translation": "dog"}\n',
    ],
)
def test_a_table_is_read_by_id_or_text_with_or_without_languages(tmp_path: Path, text: str) -> None:
    assert translated(table(tmp_path, text)) == ["cat", "dog"]
    assert translated(table(tmp_path, gzip.compress(text.encode(), mtime=0))) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("query_id\nq1\n", ":1: expected the columns translation and query_id or text"),
        ("query_id\ttranslation\tmore\nq1\ta\tb\n", ":1: expected the columns"),
        ("query_id\ttranslation\nq1\n", ":2: expected 2 columns, found 1"),
        ("query_id\ttranslation\nq1\ta\nq1\tb\n", ":3: 'q1' has another translation further up"),
        ("query_id\tsource\ttranslation\nq1\tklingonish\ta\n", ":2: source: unknown language"),
        ('{"query_id": "q1", "translation": 3}', ":1: expected an object of texts"),
        ('{"query_id": "q1", "translation": "a"}\n{"text": "q1", "translation": "b"}', ":2: exp"),
        ('{"query_id": "q1", "translation": ', ":1: not valid JSON"),
        ("query_id\ttranslation\n", "no translations"),
        (b"query_id\ttranslation\nq1\t\xff\n", ":2: not UTF-8"),
        (gzip.compress(b"query_id", mtime=0)[:-9], "damaged|truncated"),
        ("", "expected the columns"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        table(tmp_path, text)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_table(str(tmp_path / "none.tsv"))


def test_queries_that_a_table_lacks_are_counted_and_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 2 queries of sw-en have no translation .*: q2"):
        translated(table(tmp_path, "query_id\ttranslation\nq1\tcat\n"))


def test_a_table_of_other_queries_with_the_same_ids_is_refused(tmp_path: Path) -> None:
    rows = [{"query_id": "q1", "text": "paka", "translation": "cat"}]
    rows += [{"query_id": "q2", "text": "farasi", "translation": "horse"}]
    with pytest.raises(DataError, match=r"1 of 2 queries of sw-en have another text .*: q2"):
        translated(table(tmp_path, "\n".join(map(json.dumps, rows))))


def test_a_direction_that_a_table_lacks_is_refused_before_data_are_read(tmp_path: Path) -> None:
    found = table(tmp_path, "source\ttarget\tquery_id\ttranslation\nde\ten\tq1\tcat\n")
    with pytest.raises(UsageError, match=r"no translations from sw to en; it has de-en"):
        found.check(CARD, PAIR, SW_EN)


def test_another_content_is_another_system(tmp_path: Path) -> None:
    one = table(tmp_path, "query_id\ttranslation\nq1\tcat\n")
    other = table(tmp_path, "query_id\ttranslation\nq1\tdog\n")
    assert one.name != other.name
    assert one.details != other.details
