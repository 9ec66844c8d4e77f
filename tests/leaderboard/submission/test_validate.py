"""What CI finds wrong with a submission. All of it is hostile."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submissions import CARD, Submitted, make_submission

from clir_bench.core import bounded_files, plugins
from clir_bench.core.bounded_files import read_gzip, read_plain, read_xz
from clir_bench.errors import DataError, MissingDataError, ResultError
from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.claims import read_statement
from clir_bench.leaderboard.submission.layout import find_systems
from clir_bench.leaderboard.submission.validate import validate
from clir_bench.types import Run

FUZZ = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    return make_submission(tmp_path, monkeypatch)


def test_what_submit_makes_is_valid_by_folder_system_and_result(made: Submitted) -> None:
    for path in (made.root, made.system, made.result):
        report = made.report(path)
        assert report.problems == []
        assert [found.name for found in report.recomputed] == ["test.json"]
        assert report.not_recomputed == {}


def test_the_command_says_so_and_exits_with_zero(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("validate", made.root) == 0
    assert "all scores were recomputed from the runs" in capsys.readouterr().out


def test_without_data_it_says_that_nothing_was_recomputed(made: Submitted) -> None:
    report = validate(made.system, recompute=False)
    assert report.problems == []
    assert report.recomputed == []
    assert report.not_recomputed == {made.result: ""}


def test_without_data_the_exit_code_is_three_unless_that_was_asked_for(
    made: Submitted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.task.edit_card('directory = "data"\n', "")
    # the card says less now than when it was run, but the same
    made.edit(lambda raw: raw["task"].update(card_sha256=made.task.card.sha256()))
    assert clir("validate", made.system) == 3
    assert "SCORES WERE NOT RECOMPUTED" in capsys.readouterr().out
    assert clir("validate", made.system, "--no-recompute") == 0
    assert "SCORES WERE NOT RECOMPUTED" in capsys.readouterr().out


def test_missing_files_are_named_and_the_pairs_that_have_all_theirs_are_recomputed(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.task.data / "sw" / "corpus.jsonl").unlink()
    report = validate(made.system)
    assert report.problems == []
    assert report.recomputed == []
    [missing] = report.not_recomputed.values()
    assert "sw/corpus.jsonl or sw/corpus.jsonl.gz is not in" in missing
    assert "--data-dir" in missing
    assert clir("validate", made.system) == 3
    assert f"test.json: {missing}\n" in capsys.readouterr().out
    made.edit_values(lambda text: text.replace("1.0", "0.5"), "en-de")
    assert "en-de.values.tsv.gz" in made.problems()


def test_missing_files_hide_no_wrong_mean(made: Submitted) -> None:
    for name in ("sw", "de"):
        (made.task.data / name / "corpus.jsonl").unlink()
    made.edit(lambda raw: raw["overall"]["nDCG@10"].update(interval=[0.0, 1.0]))
    assert "overall.nDCG@10.interval" in made.problems()


def test_data_in_a_folder_per_task_is_found(made: Submitted, tmp_path: Path) -> None:
    made.task.data.rename(tmp_path / "mine")
    report = validate(made.system, data_dir=tmp_path)
    assert report.problems == [] and report.recomputed == [made.result]
    with pytest.raises(MissingDataError, match="typo is no folder"):
        validate(made.system, data_dir=tmp_path / "typo")


def test_without_data_means_are_still_those_of_the_values(made: Submitted) -> None:
    made.edit(lambda raw: raw["overall"]["nDCG@10"].update(mean=0.99))
    [problem] = validate(made.system, recompute=False).problems
    assert "overall.nDCG@10.mean is stated as 0.99" in problem.what


def test_without_data_no_more_values_are_resampled_than_there_are_queries(made: Submitted) -> None:
    made.edit_values(lambda text: text + "".join(f"x{n}\t0\t0\t0\n" for n in range(10_000)))
    [problem] = validate(made.system, recompute=False).problems
    assert "pair en-sw: there are values of 10,003 queries" in str(problem)
    made.edit(put("pairs", "en-sw", "counts", "judged_queries", value=10_003))
    assert "pair en-sw: there are values of 10,003 queries" in "".join(
        map(str, validate(made.system, recompute=False).problems)
    )
    made.edit(put("pairs", "en-sw", "counts", "queries", value=10_003))
    report = validate(made.system, recompute=False)
    assert "counts are not those on the task's card" in str(report.problems)


def test_validating_changes_and_leaves_nothing(made: Submitted) -> None:
    def snapshot() -> dict[Path, tuple[int, bytes]]:
        files = [path for path in made.root.parent.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = snapshot()
    made.report()
    assert snapshot() == before


def test_validating_loads_no_encoder(made: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = []
    load = plugins.load

    def watched(group: str, name: str) -> Callable[..., Any]:
        groups.append(group)
        return load(group, name)

    monkeypatch.setattr(plugins, "load", watched)
    assert made.problems() == ""
    assert set(groups) == {plugins.ADAPTERS}


def test_validating_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom clir_bench.cli import main\n"
        f"main(['validate', {str(tmp_path)!r}])\n"
        "print([name for name in ('torch', 'faiss', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def put(*path: str, value: object) -> Callable[[Any], object]:
    def change(raw: Any) -> None:
        for key in path[:-1]:
            raw = raw[key]
        raw[path[-1]] = value

    return change


TAMPERED = {
    "a score": (put("pairs", "en-sw", "scores", "nDCG@10", "mean", value=1.0),
                r"pairs.en-sw.scores.nDCG@10.mean is stated as 1.0, but its files give 0\.\d+"),
    "the last digit": (lambda raw: put("overall", "nDCG@10", "mean",
                       value=float(np.nextafter(raw["overall"]["nDCG@10"]["mean"], 0)))(raw),
                       "overall.nDCG@10.mean is stated as"),
    "an interval": (put("overall", "nDCG@10", "interval", value=[0.8, 0.9]), "overall.*interval"),
    "a tier": (put("pairs", "en-sw", "tier", value="high"), "tier is stated as 'high'"),
    "counts": (put("pairs", "en-sw", "counts", "qrels", value=4), "counts are not those on the"),
    "documents kept": (put("pairs", "en-sw", "counts", "retrieved", value=4), "retrieved is"),
    "the data's hash": (put("pairs", "en-sw", "data_sha256", value="0" * 64),
                        "pair en-sw: was run on other documents, queries or judgments"),
    "the task's title": (put("task", "title", value="Another"), "task.title is stated as"),
    "complete": (put("task", "complete", value=False), "task.complete is stated as False"),
    "a sample": (put("task", "sample", value=True), "the embedded sample"),
    "a limit": (put("task", "limit", value=3), "partial: cut to 3"),
    "an unofficial one": (put("task", "official", value=False), "not official: no pair is"),
    "an unofficial pair": (put("pairs", "en-sw", "official", value=False), "or not official: 'en"),
    "a failed pair": (put("pairs", "en-sw", "status", value="failed"), "that are not done"),
    "no pair": (lambda raw: raw["pairs"].pop("en-sw"), "partial: pairs that boards show are miss"),
    "a stranger's pair": (lambda raw: raw["pairs"].update({"xx-yy": raw["pairs"]["en-sw"]}),
                          "pairs that the task does not have: 'xx-yy'"),
    "a path for a pair": (lambda raw: raw["pairs"].update({"../../x": raw["pairs"]["en-sw"]}),
                          "'../../x' is no language pair, such as 'en-sw'"),
    "a run elsewhere": (put("pairs", "en-sw", "run_file", value="../../../etc/passwd"),
                        "run_file: .*passwd' has '..', which leaves the folder"),
    "values elsewhere": (put("pairs", "en-sw", "values_file", value="/etc/passwd"),
                         "values_file: .*passwd' is an absolute path"),
    "another pair's run": (put("pairs", "en-sw", "run_file", value="test/en-de.run.xz"),
                           "run_file must be test/en-sw.run.xz"),
    "another pair's values": (put("pairs", "en-sw", "values_file", value="test/x.values.tsv.gz"),
                              "values_file must be test/en-sw.values.tsv.gz"),
    "another card": (put("task", "card_sha256", value="0" * 64), "another version of the task's"),
    "another task": (put("task", "id", value="yours"), "'yours' is not a task of the benchmark"),
    "a card's path": (put("task", "id", value="x.toml"), "'x.toml' is not a task"),
    "another split": (put("task", "split", value="dev"), "split 'dev' is not a split of the task"),
    "more resamples": (put("settings", "n_resamples", value=10**9), "intervals must be made with"),
    "a deeper run": (put("submission", "depth", value=1000), "must keep 100 documents"),
    "no submission": (put("submission", value=None), "was not made by `clir-bench submit`"),
    "a Perl measure": (put("task", "measures", value=["ERR@10"]), "measure 'ERR@10': expected one"),
    "a deep measure": (put("task", "measures", value=["AP@1000"]), "with a cutoff up to 100"),
    "code": (put("task", "measures", value=["__import__('os')@1"]), "expected one of AP, Judged"),
    "fewer measures": (put("task", "measures", value=["nDCG@10"]), "measures of the task: AP@100"),
    "HTML for a name": (put("system", "name", value="<script>alert(1)</script>"), "name '<script>"),
    "a path for a name": (put("system", "name", value="../../up"), "must be 1 to 100 ASCII"),
    "another name": (put("system", "name", value="other"), "system 'other'; its folder must be"),
    "a reversed name": (put("system", "name", value="a\u202eb"), "'name' has an invisible or dire"),
    "a terminal escape": (put("system", "revision", value="\x1b[2J"), "'revision' has a control"),
    "a hidden key": (put("system", "\u202e", value=1), "a key has an invisible or direction"),
    "an unknown key": (put("system", "rank", value=1), "unknown field 'system.rank'"),
    "a long text": (put("system", "description", value="x" * 1001), "has 1,001 characters"),
    "a text for a number": (
        put("settings", "seed", value="0"),
        "settings.seed: expected a whole number",
    ),
    "a huge number": (put("system", "n_parameters", value=10**400), "is too large"),
    "no time": (put("environment", "started", value="yesterday"), "'yesterday' is not a time"),
    "another schema": (put("schema_version", value=2), "schema_version"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_result_that_was_tampered_with_is_refused(made: Submitted, what: str) -> None:
    change, match = TAMPERED[what]
    made.edit(change)
    with pytest.raises(AssertionError, match=match):
        assert made.problems() == ""


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 10_000 + "]" * 10_000, "not valid JSON"),
        ('{"a":' * 50_000, "not valid JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999}', "'a' is not finite"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": "\\ud800"}', "half a surrogate pair"),
        ("", "not valid JSON"),
        ("null", "not a result of this schema"),
        ("!!python/object/apply:os.system ['true']", "not valid JSON"),
        (" " * (2**20), "larger than 294,912 bytes"),  # 256 KiB and 8 for each of four pairs
    ],
    ids=lambda value: value[:20],
)
def test_json_that_is_no_result_is_refused(made: Submitted, text: str, match: str) -> None:
    made.result.write_text(text, encoding="utf-8")
    assert match in made.problems()


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x80\x04\x95cposix\nsystem\n", b"PK\x03\x04"])
def test_a_pickle_or_archive_for_a_result_is_refused(made: Submitted, data: bytes) -> None:
    made.result.write_bytes(data)
    assert "not valid JSON" in made.problems()


RUNS = {
    "a document elsewhere": (b"d2", b"d9", "1 documents are not in the corpus: 'd9'"),
    "a query elsewhere": (b"q3 Q0", b"q9 Q0", "1 queries that the task does not have: 'q9'"),
    "a document twice": (b" d1 ", b" d2 ", "'d2' occurs twice for query"),
    "a NaN score": (b" 100 hashing", b" nan hashing", "differs from what `clir-bench submit`"),
    "an infinite score": (b" 100 hashing", b" inf hashing", "differs from what"),
    "a false rank": (b"  1 100 ", b"  2 100 ", "differs from what `clir-bench submit`"),
    "another score": (b"  1 100 ", b"  1 999 ", "differs from what `clir-bench submit`"),
    "another tag": (b" hashing\n", b" h<b>ing\n", "differs from what `clir-bench submit`"),
    "a column less": (b"q1 Q0 ", b"q1 x0 ", "differs from what `clir-bench submit`"),
    "two ids in one": (b"q1 Q0 ", b"q Q 0 ", " line 1: expected `query_id Q0 doc_id rank"),
    "a tab": (b"q1 Q0 ", b"q1\tQ0 ", "expected `query_id Q0 doc_id rank score tag`, with spaces"),
    "no UTF-8": (b" d1 ", b" d\xff ", "differs from what `clir-bench submit`"),
    "one line longer": (b"hashing\nq2", b"hashing \nq2", "expected lines of one length"),
}  # fmt: skip


@pytest.mark.parametrize("what", RUNS)
def test_a_run_that_was_tampered_with_is_refused(made: Submitted, what: str) -> None:
    old, new, match = RUNS[what]
    made.edit_run(old, new)
    problems = made.problems()
    assert "en-sw.run.xz:" in problems
    assert match in problems


def test_another_ranking_gives_other_scores_and_says_whose(made: Submitted) -> None:
    text = lzma.decompress(made.run().read_bytes())
    first, second = text.split()[2], text.split()[8]
    swapped = text.replace(first, b"?" * len(first)).replace(second, first)
    made.replace_run(run_format.compress(swapped.replace(b"?" * len(first), second)))
    problems = made.problems()
    assert "en-sw.values.tsv.gz: " in problems
    assert "but the run and the judgments give" in problems


def test_a_run_of_another_sha256_is_refused(made: Submitted) -> None:
    made.run().write_bytes(made.run("en-de").read_bytes())
    assert "en-sw.run.xz: its sha256 is not the result's run_sha256" in made.problems()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data[:-10], "truncated"),
        (lambda data: data + b"more", "truncated, or followed by something else"),
        (lambda data: data + data, "truncated, or followed by something else"),
        (lambda data: b"no xz file at all", "damaged"),
        (lambda data: b"", "truncated"),
        (lambda data: gzip.compress(lzma.decompress(data)), "damaged"),
        (lambda data: lzma.compress(lzma.decompress(data), format=lzma.FORMAT_ALONE), "damaged"),
    ],
)
def test_a_damaged_run_is_refused(
    made: Submitted, change: Callable[[bytes], bytes], match: str
) -> None:
    made.replace_run(change(made.run().read_bytes()))
    with pytest.raises(AssertionError, match=rf"en-sw\.run\.xz: ({match})"):
        assert made.problems() == ""


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: text.replace("q1\t", "q7\t"), "queries must be the judged ones, sorted"),
        (lambda text: text.replace("nDCG@10", "P@1"), "columns must be the result's measures"),
        (lambda text: text.replace("\t", "\tnan\t", 5), "expected|must be finite"),
        (lambda text: text + text.splitlines()[1] + "\n", "a query occurs twice"),
        (lambda text: "", "no values"),
        (lambda text: "x", "expected a header that begins with query_id"),
    ],
)
def test_values_that_were_tampered_with_are_refused(
    made: Submitted, change: Callable[[str], str], match: str
) -> None:
    made.edit_values(change)
    with pytest.raises(AssertionError, match=rf"en-sw\.values\.tsv\.gz.*: .*({match})"):
        assert made.problems() == ""


@pytest.mark.parametrize("source", ["with data", "without"])
def test_right_values_in_another_file_than_the_one_stated_are_named(
    made: Submitted, source: str
) -> None:
    made.edit(put("pairs", "en-sw", "values_sha256", value="0" * 64))
    report = made.report() if source == "with data" else validate(made.system, recompute=False)
    [problem] = report.problems
    assert "en-sw.values.tsv.gz: its sha256 is not the result's values_sha256" in str(problem)


def test_a_value_that_the_run_does_not_give_is_named(made: Submitted) -> None:
    made.edit_values(lambda text: "\n".join(
        line if not line.startswith("q1") else "q1\t1.0\t1.0\t1.0" for line in text.splitlines()
    ) + "\n")  # fmt: skip
    assert "is stated as 1.0, but the run and the judgments give" in made.problems()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("notes.md", "unexpected file; expected only a task's folder or system.toml here"),
        (".hidden", "unexpected file"),
        ("mine/test.json.bak", "expected only <split>.json and the folder <split> here"),
        ("mine/test/en-sw.run.gz", "expected only <pair>.run.xz and <pair>.values.tsv.gz here"),
        ("mine/test/fr-de.run.xz", "belongs to no pair of the result; remove it"),
        ("mine/test/load.py", "unexpected file"),
        ("mine/test/a\u202eb\x1b[2J<b>.pkl", r"a\u202eb\x1b[2J<b>.pkl: unexpected file"),
    ],
)
def test_files_that_do_not_belong_there_are_named(made: Submitted, name: str, match: str) -> None:
    (made.system / name).write_bytes(b"x")
    assert match in made.problems()


def test_a_folder_beside_no_result_is_named(made: Submitted) -> None:
    (made.system / "mine" / "dev").mkdir()
    assert "dev: unexpected folder" in made.problems()


@pytest.mark.parametrize(
    "name", ["system.toml", "mine/test.json", "mine/test/en-sw.run.xz", "mine"]
)
def test_links_are_not_followed(made: Submitted, tmp_path: Path, name: str) -> None:
    path = made.system / name
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert f"{path.name}: unexpected link" in made.problems()


def test_a_link_for_the_whole_submission_is_not_followed(made: Submitted, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(made.system)
    with pytest.raises(ResultError, match="links are not followed"):
        made.report(link)


def test_a_named_pipe_does_not_hold_it_up(made: Submitted) -> None:
    made.run().unlink()
    os.mkfifo(made.run())
    assert "unexpected special file" in made.problems()


def test_a_missing_run_is_named(made: Submitted) -> None:
    made.run().unlink()
    assert "en-sw.run.xz: cannot be read: No such file or directory" in made.problems()


def test_a_missing_card_says_what_writes_one(made: Submitted) -> None:
    (made.system / "system.toml").unlink()
    assert "system.toml: no system card; `clir-bench submit` writes one" in made.problems()


def test_a_card_of_another_system_is_refused(made: Submitted) -> None:
    text = CARD.replace('"hashing"', '"other"', 1)
    (made.system / "system.toml").write_text(text, encoding="utf-8")
    assert "is a result of system 'hashing', but the card is of 'other'" in made.problems()


def test_a_folder_of_another_name_is_refused(made: Submitted) -> None:
    other = made.root / "better"
    made.system.rename(other)
    assert "its folder must be 'hashing', not 'better'" in made.problems(other)


def test_two_systems_whose_folders_differ_in_case_are_refused(made: Submitted) -> None:
    other = made.root / "Hashing"
    other.mkdir()
    (other / "system.toml").write_text(CARD, encoding="utf-8")
    assert "looks like 'hashing'; rename the system" in made.problems(made.root)


def test_files_beside_the_systems_are_named(made: Submitted) -> None:
    (made.root / "run.sh").write_text("true")
    assert "run.sh: unexpected; expected only folders of systems here" in made.problems(made.root)


def test_all_problems_are_reported_together(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.system / "extra").write_bytes(b"")
    (made.system / "system.toml").write_text('name = "<b>"', encoding="utf-8")
    made.edit(put("pairs", "en-de", "data_sha256", value="0" * 64))
    made.edit_run(b"d2", b"d9")
    assert clir("validate", made.system) == 1
    out = capsys.readouterr().out
    for said in ("extra: unexpected", "system.toml: ", "pair en-de: was run on", "'d9'"):
        assert said in out
    assert out.rstrip().endswith("problems; no leaderboard takes this")


def test_nothing_to_validate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no submission in this folder"):
        validate(tmp_path)


def test_data_that_is_not_official_is_no_judge(made: Submitted) -> None:
    made.task.edit("sw/corpus.jsonl", "Mvua kubwa", "Mvua ndogo")
    assert "pair en-sw: was run on other documents, queries or judgments" in made.problems()


def test_hashes_that_boards_pin_are_compared_also_without_data(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = json.loads(made.result.read_text())["pairs"]
    lines = [f"{pair['data_sha256']}  mine/test/{name}\n" for name, pair in hashes.items()]
    pins = made.root.parent / "data.sha256"
    pins.write_text("".join(lines))
    assert clir("validate", made.system, "--no-recompute") == 0
    pins.write_text("".join(lines).replace(hashes["en-de"]["data_sha256"], "0" * 64))
    assert clir("validate", made.system, "--no-recompute") == 1
    assert "pair en-de: data_sha256 is not that of the official data" in capsys.readouterr().out


def xz_of(block: bytes, n: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    return b"".join([*(packer.compress(block) for _ in range(n)), packer.flush()])


def test_a_bomb_is_left_after_its_bound_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xz"
    path.write_bytes(xz_of(b"\0" * 2**20, 32))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="unpacks to more than 4,194,304 bytes"):
            read_xz(path, 2**20, 4 * 2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_gzip_bomb_is_left_after_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * 2**25))
    with pytest.raises(DataError, match="unpacks to more than 1,048,576 bytes"):
        read_gzip(path, 2**20, 2**20)


def test_values_that_unpack_without_end_are_refused(made: Submitted) -> None:
    made.values().write_bytes(gzip.compress(b"\0" * 2**23))
    assert "en-sw.values.tsv.gz: unpacks to more than 262,144 bytes" in made.problems()


def test_a_file_larger_than_its_bound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**40)  # a terabyte that takes no room
    with pytest.raises(DataError, match="larger than 1,000 bytes"):
        read_plain(path, 1000)


def test_a_stream_that_never_ends_is_left_after_its_bound() -> None:
    n_steps = 0

    def lines(_: bytes, most: int) -> bytes:
        nonlocal n_steps
        n_steps += 1
        return (b"q Q0 d 1 1 t\n" * (most // 13 + 1))[:most]

    with pytest.raises(DataError, match="unpacks to more than 10,000,000 bytes"):
        bounded_files._unpack(Path("run.xz"), b"", lines, lambda: False, 10_000_000)
    assert n_steps < 50


def test_more_lines_than_queries_times_depth_are_refused_before_they_are_split() -> None:
    line = b"q Q0 d 1 1 runs\n"
    assert len(line) == 16
    with pytest.raises(DataError, match="1,000,000 lines; expected at most 300"):
        run_format.parse_compact(line * 10**6, depth=100, n_queries=3, tag="runs", where="here")


def test_xz_that_asks_for_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**20}]
    data = bytearray(lzma.compress(b"x" * 100, filters=filters, check=lzma.CHECK_NONE))
    # The size of the dictionary is in the block's header, which has a checksum of its own.
    import zlib

    header_size = (data[12] + 1) * 4
    header = data[12 : 12 + header_size - 4]
    header[header.index(0x21) + 2] = 37  # 1.5 GiB
    data[12 : 12 + header_size] = header + zlib.crc32(header).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged: Memory usage limit exceeded"):
        read_xz(path, 2**20, 2**20)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes_are_unpacked_or_a_data_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    for packed in (data, lzma.compress(b"abc")[: len(data)] + data, gzip.compress(data)[:-1]):
        path.write_bytes(packed)
        for read in (read_xz, read_gzip):
            try:
                read(path, 1000, 1000)
            except DataError:
                continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@FUZZ
@given(JSON)
def test_any_json_is_a_data_error(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError):
        read_statement(path, 2**20)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        inner = [place for key in value for place in places(value[key], (*path, key))]
    elif isinstance(value, list):
        inner = [place for n, item in enumerate(value) for place in places(item, (*path, n))]
    else:
        inner = []
    return [path, *inner] if path else inner


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_result_changed_anywhere_is_reported_on_and_never_breaks_the_validator(
    made: Submitted, data: st.DataObject
) -> None:
    original = made.result.read_text(encoding="utf-8")
    try:
        raw = json.loads(original)
        place = data.draw(st.sampled_from(places(raw)))
        made.edit(put(*place, value=data.draw(JSON)))
        made.report()
    finally:
        made.result.write_text(original, encoding="utf-8")


@FUZZ
@given(st.integers(0, 10**6), st.sampled_from([0, 9, 10, 13, 32, 48, 49, 113, 255]))
def test_a_run_changed_anywhere_is_refused_or_is_another_run(position: int, byte: int) -> None:
    ids = [tuple(f"d{number}" for number in range(query, query + 4)) for query in range(3)]
    run = run_format.cut(Run(("q1", "q2", "q3"), ids, [np.ones(4, np.float32)] * 3), 5)
    text = bytearray(run_format.format_compact(run, 5, "me"))
    text[position % len(text)] = byte
    try:
        again = run_format.parse_compact(bytes(text), depth=5, n_queries=3, tag="me", where="x")
    except DataError:
        return
    assert run_format.format_compact(again, 5, "me") == bytes(text)


@FUZZ
@given(st.binary(max_size=400))
def test_any_text_is_a_run_or_a_data_error(text: bytes) -> None:
    padded = text + b" " * (-len(text) % 16)
    for candidate in (text, padded, padded[:15] + b"\n"):
        try:
            run_format.parse_compact(candidate, depth=5, n_queries=3, tag="me", where="x")
        except DataError:
            continue


@pytest.mark.realdata
@pytest.mark.slow
def test_a_real_submission_of_a_random_ranking_recomputes(real_data: Path, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text(CARD, encoding="utf-8")
    assert clir("run", "-m", "hashing", "-t", "xquad", "-o", tmp_path / "full") == 0
    result = tmp_path / "full" / "hashing" / "xquad" / "validation.json"
    assert clir("submit", result, "--to", tmp_path / "to", "--card", card) == 0
    assert clir("validate", tmp_path / "to") == 0


def test_a_stray_json_beside_a_card_leaves_the_folder_a_system(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system.toml").touch()
    (tmp_path / "alpha" / "notes.json").touch()
    assert [path.name for path in find_systems(tmp_path)] == ["alpha", "beta"]
