"""What a run leaves on disk: exact, whole or not at all, and refused when it is not readable."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_bench.core import files
from clir_bench.errors import DataError, OutputError, ResultError
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import (
    SCHEMA_VERSION,
    Environment,
    PairCounts,
    PairResult,
    Result,
    Score,
    SettingsRecord,
    SuiteResult,
    TaskRecord,
    TierSummary,
)
from clir_bench.results.store import (
    check_writable,
    parse_values,
    read_pair_values,
    read_result,
    read_scores,
    result_path,
    system_folder,
    write_result,
    write_run,
    write_values,
)
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import from_scores, is_stored_run, read_run
from clir_bench.types import EncoderInfo, LanguagePair

SMALL = settings(max_examples=50, deadline=None, derandomize=True)
PAIR = LanguagePair("en", "sw")
INFO = EncoderInfo(name="hashing", revision="1")
SYSTEM = SystemRecord.of(INFO, dim=8, spec="hashing", package="clir-bench 0")
SURROUNDINGS = Environment(
    clir_bench="0",
    python="3.11",
    platform="Linux",
    packages={"numpy": "2"},
    hardware={},
    git_commit=None,
    git_dirty=None,
    command="clir-bench run",
    started="2026-01-01T00:00:00+00:00",
    seconds=1.5,
)
VALUES = QueryScores(("q1", "q2"), ("AP", "nDCG@10"), np.array([[1 / 3, 0.1], [0.0, 1.0]]))


def result(**changed: Any) -> Result:
    pair = PairResult(
        tier="low",
        language="sw",
        status="done",
        counts=PairCounts(documents=3, queries=2, judged_queries=2, qrels=4),
        scores={"AP": Score(mean=1 / 6, interval=(0.1, 1e-17))},
        values_file="dev/en-sw.values.tsv.gz",
    )
    fields: dict[str, Any] = {
        "system": SYSTEM,
        "task": TaskRecord(
            id="mine",
            title="Título, 標題, عنوان",
            version=1,
            card_sha256="0",
            split="dev",
            measures=("AP",),
            official=False,
            unofficial=("a reason",),
            sample=False,
            limit=None,
            complete=True,
            data_sha256="1",
        ),
        "settings": SettingsRecord(top_k=1000, seed=0, n_resamples=1000),
        "environment": SURROUNDINGS,
        "pairs": {"en-sw": pair, "en-so": PairResult(tier="low", language="so", status="not run")},
        "languages": {},
        "tiers": TierSummary(
            scheme="joshi", note="", means={}, gap={}, ratio={}, worst_language={}
        ),
        "overall": {"AP": Score(mean=1 / 3, interval=(0.1, 0.5))},
    }
    return Result(**{**fields, **changed})


def changed_on_disk(path: Path, **changes: Any) -> Path:
    write_result(path, result())
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_result_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "dev.json"
    write_result(path, result())
    assert read_result(path) == result()


def test_suite_result_comes_back_as_it_was(tmp_path: Path) -> None:
    suite = SuiteResult(
        suite="xtreme-r",
        title="XTREME-R",
        card_sha256="0",
        system=SYSTEM,
        parts=(),
        mean=None,
        official=False,
        environment=SURROUNDINGS,
    )
    write_result(tmp_path / "suite.json", suite)
    assert read_result(tmp_path / "suite.json") == suite


def test_json_is_sorted_readable_and_ends_in_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    write_result(path, result())
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "標題" in text
    raw = json.loads(text)
    assert raw["schema_version"] == SCHEMA_VERSION == 1
    assert text == json.dumps(raw, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def test_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_result(tmp_path / name, result())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@SMALL
@given(mean=st.floats(allow_nan=False, allow_infinity=False))
def test_means_round_trip_exactly(tmp_path_factory: pytest.TempPathFactory, mean: float) -> None:
    path = tmp_path_factory.mktemp("result") / "dev.json"
    stored = result(overall={"AP": Score(mean=mean, interval=(mean, mean))})
    write_result(path, stored)
    found = read_result(path)
    assert isinstance(found, Result)
    assert repr(found.overall["AP"].mean) == repr(mean)


def test_command_with_a_file_name_that_is_not_utf8_is_kept(tmp_path: Path) -> None:
    command = os.fsdecode(b"clir-bench run --data-dir caf\xe9")
    stored = result(environment=SURROUNDINGS.model_copy(update={"command": command}))
    write_result(tmp_path / "dev.json", stored)
    assert read_result(tmp_path / "dev.json") == stored


@pytest.mark.parametrize("mean", [float("nan"), float("inf")])
def test_nan_and_infinity_are_no_scores(tmp_path: Path, mean: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        Score(mean=mean, interval=(0, 1))
    path = tmp_path / "dev.json"
    write_result(path, result())
    forced = result(overall={"AP": Score.model_construct(mean=mean, interval=(0.0, 1.0))})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(path, forced)
    assert read_result(path) == result()


@pytest.mark.parametrize("version", [None, 0, 2, "1", [1]])
def test_another_schema_version_is_refused(tmp_path: Path, version: object) -> None:
    path = changed_on_disk(tmp_path / "dev.json", schema_version=version)
    with pytest.raises(ResultError, match=r"dev\.json: schema version .* reads 1; read it with"):
        read_result(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "not a result"),
        (b'{"schema_version": 1', "not a result"),
        (b"\xff\xfe{}", "not a result"),
        (b"[" * 100_000, "not a result"),
        (b"[]", "schema version None"),
        (b'"text"', "schema version None"),
        (b'{"schema_version": 1}', "field 'system' is missing"),
    ],
)
def test_file_that_is_no_result_is_named(tmp_path: Path, text: bytes, problem: str) -> None:
    path = tmp_path / "dev.json"
    path.write_bytes(text)
    with pytest.raises(ResultError, match=rf"dev\.json: {problem}"):
        read_result(path)


def test_missing_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"dev\.json: no such result"):
        read_result(tmp_path / "dev.json")
    with pytest.raises(ResultError, match=r"not a result: .*found folder"):
        read_result(tmp_path)


def test_a_result_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "out/demo/mine/dev.json"
    write_result(path, result())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_result(path) == result()


def test_a_pipe_is_no_result_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dev.json")
    with pytest.raises(ResultError, match=r"dev\.json: not a result: expected a plain file"):
        read_result(tmp_path / "dev.json")


def test_nothing_is_written_through_a_link_out_of_the_output_folder(tmp_path: Path) -> None:
    path = tmp_path / "out/demo/mine/dev.json"
    path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (path.parent / "dev").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"a link leads out of .*out, and nothing is written"):
        write_result(path, result())
    with pytest.raises(OutputError, match=r"a link leads out of .*out, and nothing is written"):
        write_values(path, LanguagePair("en", "sw"), QueryScores(("q",), ("RR",), np.ones((1, 1))))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_output_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    write_result(tmp_path / "out/demo/mine/dev.json", result())
    assert (tmp_path / "elsewhere/demo/mine/dev.json").is_file()


def test_a_file_larger_than_a_pairs_can_be_is_not_read(tmp_path: Path) -> None:
    path, pair = tmp_path / "out/demo/mine/dev.json", LanguagePair("en", "sw")
    run = from_scores({"q": {"d": 1.0}})
    run_file, run_sha256 = write_run(path, pair, run, "demo")
    scores = QueryScores(("q",), ("RR",), np.ones((1, 1)))
    values_file, values_sha256 = write_values(path, pair, scores)
    counts = PairCounts(documents=1, queries=1, judged_queries=1, qrels=1, retrieved=1)
    stored = PairResult(
        tier="low", language="sw", status="done", official=True, counts=counts,
        run_file=run_file, run_sha256=run_sha256,
        values_file=values_file, values_sha256=values_sha256,
    )  # fmt: skip
    file = path.parent / run_file
    assert is_stored_run(file, stored)
    for name in (run_file, values_file):
        os.truncate(path.parent / name, 2 * 2**40)
    started = time.monotonic()
    assert not is_stored_run(file, stored)
    assert not is_stored_run(file, stored.model_copy(update={"counts": None}))
    with pytest.raises(DataError, match=r"values\.tsv\.gz: larger than"):
        read_pair_values(path, pair, stored)
    assert time.monotonic() - started < 2


def test_unknown_field_and_wrong_type_name_their_place(tmp_path: Path) -> None:
    path = changed_on_disk(tmp_path / "dev.json", surprise=1)
    with pytest.raises(ResultError, match=r"dev\.json: unknown field 'surprise\'"):
        read_result(path)
    path = changed_on_disk(tmp_path / "dev.json", overall={"AP": {"mean": "high"}})
    with pytest.raises(ResultError, match=r"dev\.json: overall\.AP\.mean: "):
        read_result(path)


def test_nan_in_a_stored_result_is_refused(tmp_path: Path) -> None:
    overall = {"AP": {"mean": float("nan"), "interval": [0, 1]}}
    path = changed_on_disk(tmp_path / "dev.json", overall=overall)
    with pytest.raises(ResultError, match=r"overall\.AP\.mean: Input should be a finite number"):
        read_result(path)


def failing(number: int) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("target", "name", "number"),
    [
        (Path, "replace", errno.EIO),
        (os, "fsync", errno.ENOSPC),
        (files.tempfile, "mkstemp", errno.EROFS),
    ],
)
def test_failed_write_keeps_the_old_result_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: object, name: str, number: int
) -> None:
    path = tmp_path / "dev.json"
    write_result(path, result())
    before = path.read_bytes()
    monkeypatch.setattr(target, name, failing(number))
    with pytest.raises(OutputError, match=rf"dev\.json: cannot be written: {os.strerror(number)}"):
        write_result(path, result(overall={}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_in_the_middle_of_a_write_keeps_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dev.json"
    write_result(path, result())
    before = path.read_bytes()

    class Full:
        """A file with room for ten bytes."""

        def __init__(self, handle: int, _mode: str) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self.handle)

        def write(self, data: bytes) -> None:
            os.write(self.handle, data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fdopen", Full)
    with pytest.raises(OutputError, match=r"No space left on device; .*what was done before"):
        write_result(path, result(overall={}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_leaves_nothing_beside_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dev.json"
    write_result(path, result())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_result(path, result(overall={}))
    assert read_result(path) == result()
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    # A file where the folder should be: root, whom continuous integration often runs as, may write
    # into read-only folders.
    (tmp_path / "results").write_text("a file")
    with pytest.raises(OutputError, match=r"--output"):
        write_result(tmp_path / "results" / "hashing" / "dev.json", result())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_read_only_folder_is_an_output_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            write_result(tmp_path / "dev.json", result())
    finally:
        tmp_path.chmod(0o700)


def test_files_are_as_readable_as_any_other_new_file(tmp_path: Path) -> None:
    write_result(tmp_path / "dev.json", result())
    (tmp_path / "plain").touch()
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 1


@SMALL
@given(st.lists(st.tuples(*[st.floats(-1e12, 1e12)] * 2), min_size=1, max_size=9))
def test_per_query_values_round_trip_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float]]
) -> None:
    ids = tuple(f"q#{number}é" for number in range(len(rows)))
    scores = QueryScores(ids, ("AP@1000", "nDCG@10"), np.array(rows))
    path = tmp_path_factory.mktemp("values") / "dev.json"
    name, _ = write_values(path, PAIR, scores)
    back = parse_values(gzip.decompress((path.parent / name).read_bytes()), path)
    assert (back.query_ids, back.measures) == (scores.query_ids, scores.measures)
    assert back.values.tobytes() == scores.values.tobytes()


def test_values_are_stored_beside_the_result_and_read_with_it(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    name, sha256 = write_values(path, PAIR, VALUES)
    assert name == "dev/en-sw.values.tsv.gz"
    assert sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    with gzip.open(tmp_path / "dev/en-sw.values.tsv.gz", "rt") as file:
        assert file.read().splitlines()[:2] == ["query_id\tAP\tnDCG@10", f"q1\t{1 / 3!r}\t0.1"]
    found = read_scores(path, result())
    assert list(found) == [PAIR], "pairs not run have none"
    assert found[PAIR].measures == ("AP",)
    assert found[PAIR].values.tolist() == [[1 / 3], [0.0]]
    assert read_scores(path, result(), pairs=[LanguagePair("en", "de")]) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no values"),
        ("query_id\tAP\n", "no values"),
        ("q1\t0.5\n", ":1: expected a header"),
        ("query_id\tAP\nq1\t0.5\nq2\thigh\n", ":3: values must be numbers"),
        ("query_id\tAP\nq1\tnan\n", ":2: values must be finite numbers"),
        ("query_id\tAP\nq1\t1.7e308\n", ":2: values must be finite numbers of at most 1e.12"),
        ("query_id\tAP\tRR\nq1\t0.5\n", ":2: expected 2 values, found 1"),
        # As many cells as they should be, in the wrong lines.
        ("query_id\tAP\tRR\nq1\t0.5\nq2\t1\t1\t1\n", ":2: expected 2 values, found 1"),
        ("query_id\tAP\nq1\t1\n\nq2\t1\n", ":3: expected 1 values, found 0"),
        ("query_id\tAP\nq1\t1\nq2\t-inf\n", ":3: values must be finite numbers"),
        ("query_id\tAP\nq1\t1\n\udcff\t1\n", ":3: not UTF-8"),
    ],
)
def test_values_file_that_is_none_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "values.tsv.gz"
    data = text.encode(errors="surrogateescape")
    with pytest.raises(DataError, match=rf"values\.tsv\.gz(: )?{problem}"):
        parse_values(data, path)


@pytest.mark.parametrize("text", ["{}", "\ufeff{}", "{}\n"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_values_are_read_whatever_ends_their_lines(
    tmp_path: Path, text: str, line_end: str
) -> None:
    path = tmp_path / "values.tsv.gz"
    lines = ["query_id\tAP\tRR", "q\u2028 1\t0.1\t1", "q2\t-0.0\t1e-300"]
    data = text.format("\n".join(lines)).replace("\n", line_end).encode()
    found = parse_values(data, path)
    assert found.query_ids == ("q\u2028 1", "q2")
    assert found.measures == ("AP", "RR")
    expected = np.array([[0.1, 1.0], [-0.0, 1e-300]])
    assert found.values.tobytes() == expected.tobytes()
    assert found.values.flags.c_contiguous, "the order decides the last bits of sums"


@pytest.fixture
def half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What runs leave that are killed before each of the three kinds of files is renamed."""
    path = tmp_path / "system" / "task" / "dev.json"
    run = from_scores({"q1": {"d1": 0.1}})

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        for write in (
            lambda: write_result(path, result()),
            lambda: write_run(path, PAIR, run, "tag"),
            lambda: write_values(path, PAIR, VALUES),
        ):
            with pytest.raises(Killed):
                write()
    found = [path for path in tmp_path.rglob(".*") if path.is_file()]
    assert len(found) == 3
    return found


def test_next_run_removes_what_killed_ones_left_half_written(
    tmp_path: Path, half_written: list[Path]
) -> None:
    path = tmp_path / "system" / "task" / "dev.json"
    write_result(path, result())
    write_values(path, PAIR, VALUES)
    names = (".test.json.abcd1234.clir-bench", ".dev.json.mine", ".dev.json.original")
    others = [path.with_name(name) for name in names]
    for other in others:
        other.write_text("not of this result")
    for old in [*half_written, *others]:
        os.utime(old, (1, 1))
    whole = {other for other in tmp_path.rglob("*") if other not in half_written}
    check_writable(path)
    assert {*tmp_path.rglob("*")} == whole


def test_what_another_run_is_writing_now_stays(tmp_path: Path, half_written: list[Path]) -> None:
    check_writable(tmp_path / "system" / "task" / "dev.json")
    assert all(path.exists() for path in half_written)


def test_run_is_stored_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    run = from_scores({"q1": {"d1": 0.1, "d2": 0.3}})
    name, sha256 = write_run(tmp_path / "dev.json", PAIR, run, "my model")
    assert name == "dev/en-sw.run.gz"
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256
    assert read_run(tmp_path / name).doc_ids == run.doc_ids


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "../../etc", "a\\b", "a\0b\n", "~", "-", " x ", "日本", "CON:", "é"],
)
def test_system_folder_is_one_plain_folder(name: str) -> None:
    folder = system_folder(name)
    assert folder
    assert Path(folder).name == folder
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-")
    assert not folder.startswith(".")
    assert not folder.endswith(".")


def test_result_path_keeps_names_that_are_plain_already(tmp_path: Path) -> None:
    path = result_path(tmp_path, "intfloat/multilingual-e5-small@1.0", "miracl", "dev")
    assert path == tmp_path / "intfloat_multilingual-e5-small@1.0" / "miracl" / "dev.json"


def test_every_field_of_an_encoder_is_recorded() -> None:
    for name in EncoderInfo.__dataclass_fields__:
        assert getattr(SYSTEM, name) == getattr(INFO, name)


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "2"},
        {"weights_sha256": "0"},
        {"query_prompt": "query: "},
        {"dtype": "bfloat16"},
    ],
)
def test_fingerprint_differs_with_anything_that_moves_a_score(changed: dict[str, str]) -> None:
    assert SYSTEM.model_copy(update=changed).fingerprint() != SYSTEM.fingerprint()
    assert SYSTEM.model_copy(update={"spec": "st:x"}).fingerprint() == SYSTEM.fingerprint()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"dtype": "bfloat16"}, ["dtype ('float32', not 'bfloat16')"]),
        ({"max_tokens": 64}, ["max_tokens (None, not 64)"]),
        ({"query_prompt": "a\n\x1b[2J"}, [r"query_prompt ('', not 'a\n\x1b[2J')"]),
        ({"spec": "st:x", "package": "other 2", "license": "MIT"}, []),
        (
            {"dtype": "bfloat16", "similarity": "dot"},
            ["dtype ('float32', not 'bfloat16')", "similarity ('cosine', not 'dot')"],
        ),
    ],
)
def test_what_differs_between_two_systems_is_named_with_both_values(
    changed: dict[str, object], expected: list[str]
) -> None:
    assert SYSTEM.differences(SYSTEM.model_copy(update=changed)) == expected


def test_every_field_that_tells_two_systems_apart_is_named() -> None:
    changed: dict[str, object] = {
        "name": "other", "revision": "2", "weights_sha256": "0" * 64, "query_prompt": "q",
        "document_prompt": "d", "max_tokens": 1, "dtype": "x", "dim": 1, "similarity": "dot",
    }  # fmt: skip
    other = SYSTEM.model_copy(update=changed)
    assert [text.partition(" ")[0] for text in SYSTEM.differences(other)] == list(changed)


def test_a_revision_that_follows_from_the_weights_is_not_named_beside_them() -> None:
    one, two = (
        SYSTEM.model_copy(update={"weights_sha256": digit * 64, "revision": digit * 12})
        for digit in "ab"
    )
    [difference] = one.differences(two)
    assert difference.startswith("weights_sha256 (")
    assert len(difference) < 160


def test_names_in_other_scripts_do_not_share_a_folder() -> None:
    assert system_folder("日本") != system_folder("中文")


def test_a_result_with_a_number_of_thousands_of_digits_is_a_result_error(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_text('{"schema_version": ' + "1" * 5000 + "}", encoding="utf-8")
    with pytest.raises(ResultError, match="not a result"):
        read_result(path)


@pytest.mark.parametrize(("task", "split"), [("../x", "test"), ("/x", "test"), ("mine", "../../x")])
def test_a_result_is_stored_nowhere_else(tmp_path: Path, task: str, split: str) -> None:
    with pytest.raises(ResultError, match="state a path inside"):
        result_path(tmp_path, "hashing", task, split)
