"""`clir-bench disparity`, on the embedded sample."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import lzma
import shutil
from pathlib import Path

import pytest

from clir_bench.analysis.disparity.loading import load_pool
from clir_bench.analysis.disparity.pool import pool_disparity
from clir_bench.analysis.disparity.report import as_record, report_of
from clir_bench.analysis.disparity.stored import measure_disparity
from clir_bench.cli import main
from clir_bench.cli.disparity_tables import disparity_tables
from clir_bench.core.progress import Silent
from clir_bench.core.tables import json_line, written
from clir_bench.errors import DataError, MissingDataError, UsageError
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores, write_result
from clir_bench.tasks.languages import load_scheme


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of `hashing` on some pairs and two pools of XQuAD-R's sample."""
    output = tmp_path_factory.mktemp("results")
    run = ["run", "--model", "hashing", "--task", "xquad-r", "--sample", "--output", str(output)]
    assert main([*run, "--pairs", "en-mul,sw-mul,en-en,sw-sw,hi-hi"]) == 0
    return output / "hashing" / "xquad-r" / "sample.json"


@pytest.fixture
def copied(stored: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(stored.parent, tmp_path / "xquad-r")
    return tmp_path / "xquad-r" / stored.name


def result_at(path: Path) -> Result:
    result = read_result(path)
    assert isinstance(result, Result)
    return result


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    assert main(["disparity", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_measuring_disparity_is_one_call(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (report,) = measure_disparity([stored], tiers=["joshi"])
    assert report.pool is not None
    assert told(capsys, stored, "--tiers", "joshi", "--json") == json_line(as_record(report)) + "\n"
    (less,) = measure_disparity([stored], tiers=["joshi"], measures="nDCG@10", pool=False)
    assert less.pool is None
    assert {one.measure for one in less.parts["pairs"]} == {"nDCG@10"}
    with pytest.raises(UsageError, match="the result has no P@7"):
        measure_disparity([stored], measures="P@7", pool=False)


def test_tables_tell_tiers_languages_and_pool(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, stored, "--tiers", "joshi")
    assert "XQuAD-R (LAReQA), sample: AP@1000" in text
    assert "high (2) - low (1)" in text
    assert "one pool of all languages (*-mul): AP@1000" in text
    assert "language bias on the pool of 330 documents" in text
    assert "MRD@330" in text
    assert "PEER@20 says nothing here" in text
    assert "hashing: not an official result" in text
    assert all(line == line.rstrip() or "  " in line for line in text.splitlines())


def test_schemes_under_which_languages_are_the_same_share_a_line(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, stored, "--no-pool")
    assert "cc100, joshi, optical" in text
    assert "language bias" not in text


def test_own_tier_scheme_is_told_by_its_name(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = tmp_path / "my.toml"
    scheme.write_text('name = "mine"\nlow = ["hi"]\nhigh = ["en", "sw"]\n')
    text = told(capsys, stored, "--no-pool", "--tiers", scheme)
    assert "mine" in text and "high (2) - low (1)" in text


def test_json_is_a_line_a_result_and_agrees_with_the_stored_gap(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, stored, stored, "--json", "--tiers", "joshi", "--no-pool").splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    record = json.loads(lines[0])
    (pairs,), (pool,) = record["parts"]["pairs"], record["parts"]["pool"]
    result = result_at(stored)
    gap = result.tiers.gap["AP@1000"]
    assert pairs["contrasts"][0]["gap"] == {"mean": gap.mean, "interval": list(gap.interval)}
    assert result.pool is not None
    assert pool["overall"]["mean"] == result.pool.overall["AP@1000"].mean
    assert record["pool"] is None and record["official"] is False


def test_csv_holds_every_number_once(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, stored, "--csv", "--measures", "AP@20,nDCG@10", "--tiers", "joshi")
    rows = list(csv.DictReader(text.splitlines()))
    keys = [tuple(row[k] for k in ("part", "measure", "scheme", "statistic", "of")) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {"AP@20", "nDCG@10", "MRD@330", "PEER@20"} <= {row["measure"] for row in rows}
    for row in rows:
        value = float(row["value"])
        if row["low"]:
            assert float(row["low"]) <= float(row["high"])
            if row["statistic"] in ("mean", "gap"):
                assert float(row["low"]) <= value <= float(row["high"])


def test_rank_distance_is_what_the_run_files_say(stored: Path) -> None:
    found = pool_disparity(load_pool(stored, result_at(stored), progress=Silent()))
    assert found.rank_distance is not None and found.preferences is not None
    result = result_at(stored)
    for query in ("en", "sw"):
        ranks: dict[str, list[int]] = {}
        own: list[bool] = []
        qrels = load_pool(stored, result, progress=Silent()).rankings[query]
        relevant = {one.query_id: set(one.relevance) for one in qrels}
        for line in _lines(stored.parent / str(result.pairs[f"{query}-mul"].run_file)):
            query_id, _, doc_id, rank, _, _ = line.split()
            if doc_id in relevant[query_id]:
                ranks.setdefault(query_id, []).append(int(rank))
            if int(rank) <= 10:
                own.append(doc_id.startswith(f"{query}."))
        assert {len(of_query) for of_query in ranks.values()} == {11}
        mean = sum(max(some) - min(some) for some in ranks.values()) / len(ranks)
        assert found.rank_distance.capped.languages[query].mean == pytest.approx(mean)
        assert found.preferences.shares[query][query] == pytest.approx(sum(own) / len(own))
    assert found.rank_distance.all_found.overall.mean == 1
    assert found.rank_distance.at_least == found.rank_distance.at_most


def test_depth_makes_runs_of_different_length_comparable(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, stored, "--depth", "50", "--tiers", "joshi")
    assert "MRD@50" in text
    assert "MRD over the whole pool is between" in text


def test_pool_without_data_says_what_to_get_and_that_the_rest_needs_none(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_at(copied)
    task = result.task.model_copy(update={"split": "validation", "sample": False})
    write_result(copied, result.model_copy(update={"task": task}))
    (tmp_path / "empty").mkdir()
    data = ("--data-dir", str(tmp_path / "empty"))
    message = told(capsys, copied, *data, code=MissingDataError.exit_code)
    assert "needs the languages of its documents" in message
    assert "google-research-datasets/lareqa" in message and "--no-pool" in message
    assert "gap" in told(capsys, copied, *data, "--no-pool")


def test_result_of_a_card_of_ones_own_asks_for_the_folder_of_cards(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = json.loads(copied.read_text())
    raw["task"]["id"] = "my-quad"
    copied.write_text(json.dumps(raw))
    error = told(capsys, copied, code=1)
    assert "task 'my-quad' has no card that comes with clir-bench" in error
    assert "with --tasks-dir. With --no-pool the rest is" in error


def test_other_data_than_was_scored_is_refused(copied: Path) -> None:
    result = result_at(copied)
    pair = result.pairs["en-mul"].model_copy(update={"data_sha256": "0" * 64})
    changed = result.model_copy(update={"pairs": {**result.pairs, "en-mul": pair}})
    with pytest.raises(DataError, match=r"en-mul was scored on other data .*--data-dir"):
        load_pool(copied, changed, progress=Silent())


def test_other_run_file_than_was_scored_is_refused(copied: Path) -> None:
    run_file = copied.parent / "sample" / "en-mul.run.gz"
    run_file.write_bytes(gzip.compress(gzip.decompress(run_file.read_bytes())[:-100]))
    with pytest.raises(DataError, match=r"en-mul.run.gz: not the run that was scored"):
        load_pool(copied, result_at(copied), progress=Silent())
    run_file.unlink()
    with pytest.raises(DataError, match="no such run file"):
        load_pool(copied, result_at(copied), progress=Silent())


def test_runs_of_a_submission_are_read_too(copied: Path) -> None:
    result = result_at(copied)
    plain = load_pool(copied, result, progress=Silent())
    changed = {}
    for name, pair in result.pairs.items():
        if name.endswith("-mul") and pair.status == "done":
            compact = copied.parent / "sample" / f"{name}.run.xz"
            text = "\n".join(_lines(copied.parent / str(pair.run_file))) + "\n"
            compact.write_bytes(lzma.compress(text.encode()))
            update = {
                "run_file": f"sample/{name}.run.xz",
                "run_sha256": hashlib.sha256(compact.read_bytes()).hexdigest(),
            }
            changed[name] = pair.model_copy(update=update)
    submitted = result.model_copy(update={"pairs": {**result.pairs, **changed}})
    assert load_pool(copied, submitted, progress=Silent()) == plain


def test_result_without_pool_needs_no_data(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "--model", "hashing", "--task", "xquad", "--sample", "--output", str(tmp_path)]
    assert main([*run, "--languages", "en,sw"]) == 0
    capsys.readouterr()
    text = told(capsys, tmp_path / "hashing" / "xquad" / "sample.json")
    assert "language bias" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "--csv"), "csv, json are several formats; choose one"),
        (("--tiers", "joshy"), "did you mean joshi"),
        (("--measures", "P@3"), "the result has no P@3; it has AP@1000"),
    ],
)
def test_what_cannot_mean_anything_is_refused(
    stored: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["disparity", str(stored), "--no-pool", *arguments]) != 0
    assert message in capsys.readouterr().err


def test_systems_on_one_task_stand_beside_each_other(stored: Path) -> None:
    result = result_at(stored)
    other = result.model_copy(update={"system": result.system.model_copy(update={"name": "b"})})
    values, joshi = read_scores(stored, result), [load_scheme("joshi")]
    reports = [report_of(one, values, joshi, measures=["AP@1000"]) for one in (result, other)]
    text = written(disparity_tables(reports), "table")
    assert text.count("XQuAD-R (LAReQA), sample: AP@1000") == 1
    assert "\nb " in text and "\nhashing " in text


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()
