"""Files of translation tables: round trips, and files that are not what they say."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_bench.errors import DataError, MissingDataError, UnknownNameError, UsageError
from clir_bench.systems.psq import packing
from clir_bench.systems.psq.align import Row
from clir_bench.systems.psq.tables import (
    SHIPPED,
    Header,
    Source,
    directions,
    header_of,
    load_table,
    read_table,
    write_table,
)

ROWS = {
    "mtu": Row(12.0, {"person": 0.75, "man": 0.25}),
    "maji": Row(3.0, {"water": 1.0}),
    "majira": Row(0.5, {"season": 0.5, "water": 0.5}),
}
LARGEST_ERROR = 2**0.25 - 1


def header(**change: object) -> Header:
    made = header_of(
        "swh", "en", [Source(name="tico19", license="CC0-1.0", pairs=3)], {"null": 0.1}
    )
    return made.model_copy(update=change)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_table(tmp_path, header(), ROWS)


def rewritten(path: Path, change: Callable[[dict[str, object], bytes], bytes]) -> Path:
    """Change what a file holds, with a checksum that fits."""
    body = lzma.decompress(path.read_bytes().split(b"\n", 1)[1][32:])
    line, _, data = body.partition(b"\n")
    values = json.loads(line)
    data = change(values, data)
    packed = lzma.compress(json.dumps(values).encode() + b"\n" + data)
    path.write_bytes(b"clir-bench psq 1\n" + hashlib.sha256(packed).digest() + packed)
    return path


def test_table_is_read_as_it_was_written(path: Path) -> None:
    table = load_table("sw", "eng", path.parent)
    assert path.name == "sw-en.psq"
    assert list(table) == sorted(ROWS)
    assert table.header.sources == (Source(name="tico19", license="CC0-1.0", pairs=3),)
    assert table.header.query_language == "sw"
    for term, row in ROWS.items():
        assert set(table[term].terms) == set(row.terms)
        assert sum(table[term].terms.values()) == pytest.approx(1)
        assert table[term].terms == pytest.approx(row.terms, rel=LARGEST_ERROR)
        assert table[term].frequency == pytest.approx(row.frequency, rel=LARGEST_ERROR)


def test_equal_tables_are_equal_bytes(path: Path, tmp_path: Path) -> None:
    other = write_table(tmp_path / "b", header(), dict(reversed(ROWS.items())))
    assert other.read_bytes() == path.read_bytes()


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
        st.builds(
            Row,
            st.floats(0.1, 1e6),
            st.dictionaries(st.text("abcé中", min_size=1, max_size=9), st.just(1.0), min_size=1),
        ),
        max_size=9,
    )
)
def test_any_terms_survive_packing(rows: dict[str, Row]) -> None:
    read = packing.unpack(*packing.pack(rows))
    assert {term: set(row.terms) for term, row in read.items()} == {
        term: set(row.terms) for term, row in rows.items()
    }


def test_dominant_translation_stays_dominant() -> None:
    read = packing.unpack(*packing.pack({"a": Row(1.0, {"x": 0.95, "y": 0.05})}))
    assert read["a"].terms["x"] > 0.9


def test_empty_table_is_read(tmp_path: Path) -> None:
    assert len(read_table(write_table(tmp_path, header(), {}))) == 0


def test_missing_direction_names_the_tables_at_hand(path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no translation table from en .* to sw .* other"):
        load_table("en", "sw", path.parent)
    with pytest.raises(MissingDataError, match=r"from yo .* there are sw-en.*clir-bench align"):
        load_table("yo", "en", path.parent)
    with pytest.raises(UnknownNameError, match="klingonese"):
        load_table("klingonese", "en", path.parent)
    with pytest.raises(UsageError, match="no such folder; `clir-bench align"):
        load_table("sw", "en", path.parent / "nowhere")


def test_renamed_table_is_not_taken_for_another_direction(path: Path) -> None:
    turned = path.rename(path.with_name("en-sw.psq"))
    with pytest.raises(DataError, match=r"en-sw\.psq: holds the direction sw-en; .*sw-en\.psq"):
        load_table("en", "sw", turned.parent)


def test_table_of_another_version_says_so(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"psq 1\n", b"psq 2\n", 1))
    with pytest.raises(DataError, match=r"sw-en\.psq: expected version 1 .* found '2'; make it"):
        read_table(path)


def test_table_of_other_analyzers_says_so(path: Path) -> None:
    write_table(path.parent, header(analysis=0), ROWS)
    with pytest.raises(UsageError, match=r"sw-en\.psq: .*analysis version 0, .*make it again"):
        read_table(path)


def test_table_of_an_unknown_language_says_so(path: Path) -> None:
    write_table(path.parent, header(query_language="xqx"), ROWS)
    with pytest.raises(DataError, match=r"xqx-en\.psq: unknown language 'xqx'"):
        read_table(path.with_name("xqx-en.psq"))


@pytest.mark.parametrize("cut", [0, 5, 17, 40, 60])
def test_truncated_table_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"sw-en\.psq: (no translation table|damaged)"):
        read_table(path)


def test_changed_byte_is_found(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"sw-en\.psq: damaged: .*fetch it again"):
        read_table(path)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("size", [-1, 0, 2**40])
def test_sizes_that_do_not_fit_are_refused(path: Path, place: int, size: int) -> None:
    def change(values: dict[str, object], data: bytes) -> bytes:
        sizes = values["sizes"]
        assert isinstance(sizes, list)
        sizes[place] = size
        return data

    with pytest.raises(DataError, match="sizes in the header do not fit"):
        read_table(rewritten(path, change))


def test_unknown_fields_of_the_header_are_refused(path: Path) -> None:
    def change(values: dict[str, object], data: bytes) -> bytes:
        values["trust_me"] = True
        return data

    with pytest.raises(DataError, match="trust_me"):
        read_table(rewritten(path, change))


def test_no_byte_makes_the_reader_fail_otherwise(path: Path) -> None:
    original = path.read_bytes()
    _, data = packing.pack(ROWS)
    for place in range(len(data)):
        for value in (0, 255):

            def change(
                _: dict[str, object], data: bytes, at: int = place, by: int = value
            ) -> bytes:
                return data[:at] + bytes([by]) + data[at + 1 :]

            path.write_bytes(original)
            try:
                table = read_table(rewritten(path, change))
            except DataError:
                continue
            assert all(0 < share <= 1 for row in table.values() for share in row.terms.values())


@pytest.mark.parametrize(("query", "document"), directions())
def test_shipped_table_is_sound(query: str, document: str) -> None:
    table = load_table(query, document)
    assert len(table) > 1000
    assert table.header.sources
    assert all(source.license and source.pairs for source in table.header.sources)


def test_tables_of_both_directions_ship_for_every_language() -> None:
    shipped = set(directions())
    assert {(document, query) for query, document in shipped} == shipped
    assert len(shipped) > 60
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 20e6
