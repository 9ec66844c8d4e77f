"""TREC run files: what is written comes back, and what others write is read as trec_eval does."""

from __future__ import annotations

import gzip
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_bench.errors import DataError
from clir_bench.metrics.scoring import score
from clir_bench.results.trec_runs import format_run, from_scores, read_run, strictly_falling
from clir_bench.types import Qrel, Run

SMALL = settings(max_examples=50, deadline=None, derandomize=True)
RUN = from_scores({"q2": {"d1": 0.5, "d2": 2.0}, "q1": {"d9": -1e-7}})


def lines(data: bytes) -> list[str]:
    return gzip.decompress(data).decode().splitlines()


def read_text(folder: Path, text: str | bytes) -> Run:
    path = folder / "run.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_run(path)


def test_ranks_count_from_one_in_every_query() -> None:
    assert lines(format_run(RUN, "hashing")) == [
        "q2 Q0 d2 1 2 hashing",
        "q2 Q0 d1 2 0.5 hashing",
        "q1 Q0 d9 1 -1.00000001e-07 hashing",
    ]


def test_percent_signs_in_names_are_only_letters() -> None:
    run = from_scores({"100%s": {"%d": 1.0, "5%": 0.5}})
    assert lines(format_run(run, "50%.9g")) == [
        "100%s Q0 %d 1 1 50%.9g",
        "100%s Q0 5% 2 0.5 50%.9g",
    ]


def test_same_run_gives_the_same_bytes() -> None:
    assert format_run(RUN, "x") == format_run(RUN, "x")
    assert format_run(RUN, "x")[4:8] == bytes(4), "no time of writing in the header"


@SMALL
@given(
    st.dictionaries(
        st.text("abz09-#%éक", min_size=1, max_size=6),
        st.dictionaries(
            st.text("abz09-#%éक", min_size=1, max_size=6),
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_run_comes_back_in_the_same_order_and_is_written_alike(
    tmp_path_factory: pytest.TempPathFactory, scores: dict[str, dict[str, float]]
) -> None:
    run = from_scores(scores)
    path = tmp_path_factory.mktemp("run") / "en-sw.run.gz"
    path.write_bytes(format_run(run, "tag"))
    back = read_run(path)
    assert (back.query_ids, back.doc_ids) == (run.query_ids, run.doc_ids)
    for one, other in zip(back.scores, run.scores, strict=True):
        assert one.dtype == other.dtype == np.float32
        assert np.isfinite(one).all()
        assert (one[1:] < one[:-1]).all()
        if len(set(other.tolist())) == len(other):
            assert one.tobytes() == other.tobytes()
    assert format_run(back, "tag") == path.read_bytes()


def test_equal_scores_are_set_apart_by_the_smallest_step() -> None:
    half = np.float32(0.5)
    below = np.nextafter(half, np.float32(0))
    twice_below = np.nextafter(below, np.float32(0))
    far = np.float32(0.25)
    scores = np.array([1, half, half, half, far, 0, 0, -1, -1], dtype=np.float32)
    least = np.nextafter(np.float32(0), np.float32(-1))
    minus = np.nextafter(np.float32(-1), np.float32(-2))
    expected = [1, half, below, twice_below, far, 0, least, -1, minus]
    assert strictly_falling(scores).tolist() == np.array(expected, dtype=np.float32).tolist()
    pushed = np.array([half, half, below], dtype=np.float32)  # the third gives way to the second
    assert strictly_falling(pushed).tolist() == [half, below, twice_below]


def test_scores_at_the_end_of_float32_stay_finite() -> None:
    lowest = np.finfo(np.float32).min
    falling = strictly_falling(np.full(3, lowest))
    assert falling[2] == lowest
    assert (falling[1:] < falling[:-1]).all()


def test_every_tool_reads_the_order_of_a_written_run_that_has_ties() -> None:
    tied = {"q": {f"d{number}": 0.5 for number in range(20)} | {"first": 0.75}}
    run = from_scores(tied)
    qrels = [Qrel("q", run.doc_ids[0][rank], 1) for rank in (3, 8, 17)]
    names = ("RR@10", "Judged@10", "nDCG@10", "AP", "Compat(p=0.8)")
    ours = score(run, qrels, names).means()
    text = gzip.decompress(format_run(run, "t")).decode()
    theirs = ir_measures.calc_aggregate(
        map(ir_measures.parse_measure, names), qrels, ir_measures.read_trec_run(text)
    )
    assert {str(measure): value for measure, value in theirs.items()} == pytest.approx(ours)
    assert ours["RR@10"] == 1 / 4


def test_query_without_documents_has_no_line() -> None:
    empty = np.array([], dtype=np.float32)
    run = Run(("q1", "q2"), ((), ("d1",)), (empty, np.array([1], dtype=np.float32)))
    assert lines(format_run(run, "tag")) == ["q2 Q0 d1 1 1 tag"]


@pytest.mark.parametrize(("tag", "written"), [("my model v2", "my_model_v2"), ("", "run")])
def test_tag_stays_one_column(tmp_path: Path, tag: str, written: str) -> None:
    data = format_run(RUN, tag)
    assert {line.split()[5] for line in lines(data)} == {written}
    (tmp_path / "run.gz").write_bytes(data)
    assert read_run(tmp_path / "run.gz").doc_ids == RUN.doc_ids


def test_rank_column_is_ignored_and_order_is_by_score_then_id_descending(tmp_path: Path) -> None:
    run = read_text(
        tmp_path,
        "q1 Q0 a 1 0.5 t\nq1 Q0 b 2 0.5 t\nq2 Q0 z 7 1 t\nq1 Q0 é 3 0.5 t\nq1 Q0 c 4 0.9 t\n",
    )
    assert run.query_ids == ("q1", "q2")
    assert run.doc_ids == (("c", "é", "b", "a"), ("z",))
    assert run.scores[0].tolist() == [np.float32(score) for score in (0.9, 0.5, 0.5, 0.5)]


def test_scores_equal_in_float32_are_a_tie(tmp_path: Path) -> None:
    run = read_text(tmp_path, "q Q0 a 1 1.000000001 t\nq Q0 b 2 1.0 t\n")
    assert run.doc_ids == (("b", "a"),)


def test_crlf_tabs_byte_order_mark_and_blank_lines_are_read(tmp_path: Path) -> None:
    run = read_text(tmp_path, b"\xef\xbb\xbfq1\tQ0\ta\t1\t2.5\tt\r\n\r\nq1  Q0 b 2 1e-3 t\r\n")
    assert (run.query_ids, run.doc_ids) == (("q1",), (("a", "b"),))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("q1 Q0 a 1 2.0 t\nq1 Q0 b 2 1.0\n", ":2: expected 6 columns, found 5"),
        ("q1 Q0 a 1 2.0 my tag\n", ":1: expected 6 columns, found 7"),
        ("q1 Q0 a 1 2.0 t\n\nq1 Q0 b 2 NaN t\n", ":3: score .* found 'NaN'"),
        ("q1 Q0 a 1 inf t\n", ":1: score .* found 'inf'"),
        ("q1 Q0 a 1 1e39 t\n", ":1: score .* found '1e39'"),  # infinite as trec_eval's float
        ("q1 Q0 a 1 high t\n", ":1: score .* found 'high'"),
        ("q1 Q0 a 1 2 t\nq2 Q0 a 1 2 t\nq1 Q0 a 2 1 t\n", ":3: 'a' occurs twice for query 'q1'"),
        ("", "no line; expected `query_id Q0 doc_id rank score tag`"),
        ("\n\r\n", "no line"),
    ],
)
def test_line_that_is_no_run_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"run\.txt(: )?{problem}"):
        read_text(tmp_path, text)


def test_truncated_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    path.write_bytes(format_run(RUN, "t")[:-12])
    with pytest.raises(DataError, match="truncated gzip"):
        read_run(path)
