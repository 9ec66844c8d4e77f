"""`clir-bench compare`: what it refuses, finds and writes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparisons import changed, store

from clir_bench.analysis.comparison.paired import ResamplingSettings
from clir_bench.analysis.comparison.report import ComparisonSelection, compare
from clir_bench.analysis.comparison.systems import find_systems, put_first
from clir_bench.cli import main
from clir_bench.errors import ResultError, UnknownNameError, UsageError
from clir_bench.tasks.languages import load_scheme

GENERATOR = np.random.default_rng(0)
LOW = GENERATOR.random(40) / 2
VALUES = {"sw-en": LOW, "yo-en": LOW, "de-en": LOW + 0.1}
BETTER = {"sw-en": LOW + 0.2, "yo-en": LOW - 0.1, "de-en": LOW + 0.1 + 0.3 * LOW}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["compare", *map(str, arguments), "--flips", "999", "--resamples", "200"])
    said = capsys.readouterr()
    return code, said.out, said.err


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    return err


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return store(tmp_path / "one", "alpha", VALUES)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"card_sha256": "e" * 64, "version": 2}, "other card: version 1, cccccccccccc, and"),
        ({"sample": True}, "embedded sample"),
        ({"limit": 10}, "partial: cut to 10 queries"),
        ({"measure": "P@1"}, "other measures: beta has no nDCG@10, only P@1"),
    ],
)
def test_results_of_another_kind_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path, task: Any, reason: str
) -> None:
    two = store(tmp_path / "two", "beta", BETTER, **task)
    assert reason in refusal(capsys, one, two)
    assert str(two) in refusal(capsys, one, two)


def test_other_data_are_refused_and_the_pairs_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", BETTER)
    changed(two, sw_en="0" * 64)
    said = refusal(capsys, one, two)
    assert "other data: documents, queries or judgments differ in sw-en;" in said


def test_another_split_or_task_leaves_nothing_to_compare(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", BETTER, split="dev")
    three = store(tmp_path / "three", "gamma", BETTER, id="other")
    said = refusal(capsys, one, two, three)
    assert "no result of alpha and another is of one task and split" in said
    assert "alpha has made-up, test; beta has made-up, dev; gamma has other, test" in said


def test_other_pairs_are_refused_unless_the_common_ones_are_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", {"sw-en": BETTER["sw-en"]}, complete=False)
    said = refusal(capsys, one, two)
    assert "other pairs: de-en, yo-en only in alpha; --common-pairs compares the 1" in said
    code, out, _ = run(capsys, one, two, "--common-pairs")
    assert code == 0
    assert "note: left out: de-en, yo-en" in out
    assert "German" not in out


def test_pairs_that_are_not_asked_for_need_not_be_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", {"sw-en": BETTER["sw-en"]})
    assert run(capsys, one, two, "--pairs", "sw-en")[0] == 0
    assert run(capsys, one, two, "--pairs", "sw")[0] == 2


def test_depth_matters_only_to_measures_that_look_that_deep(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, measure, code in (
        ("shallow", "nDCG@10", 0),
        ("deep", "AP@1000", 1),
        ("all", "AP", 1),
    ):
        one = store(tmp_path / name / "one", "alpha", VALUES, measure=measure)
        two = store(tmp_path / name / "two", "beta", BETTER, measure=measure, top_k=100)
        found, _, said = run(capsys, one, two)
        assert found == code
        assert ("rankings were cut at 1000 and 100" in said) == bool(code)


def test_one_refused_system_does_not_keep_the_others_from_being_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", BETTER)
    three = store(tmp_path / "three", "gamma", BETTER, sample=True)
    code, out, err = run(capsys, one, two, three)
    assert code == 1
    assert "beta against alpha" in out
    assert "gamma against" not in out
    assert "refused: made-up, test, gamma:" in err


def test_verdicts_by_language_tier_and_gap_are_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", BETTER)
    code, out, _ = run(capsys, one, two)
    assert code == 0
    swahili = next(text for text in out.splitlines() if "sw Swahili" in text)
    assert "+0.2000 [+0.200, +0.200]" in swahili
    assert swahili.endswith("better")
    assert next(text for text in out.splitlines() if "yo Yoruba" in text).endswith("worse")
    # The system's gap is mean(1.3 LOW + 0.1) - mean(LOW + 0.05) = 0.05 + 0.3 mean(LOW).
    gap = 0.05 + 0.3 * LOW.mean()
    assert f"gap, high - low: {gap:.4f} is larger than the baseline's 0.1000" in out
    assert "languages: 2 better, 1 worse, 0 not told apart" in out
    assert "3 languages, 2 tiers, 1 mean, 1 gap" in out
    assert "rank groups by the mean over all languages: 1: beta; 2: alpha" in out


def test_files_hold_every_number_and_agree(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "beta", BETTER)
    for name in ("first", "second"):
        files = "--json", tmp_path / f"{name}.json", "--csv", tmp_path / f"{name}.csv"
        assert run(capsys, one, two, *files)[0] == 0
    for suffix in ("json", "csv"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    found = json.loads((tmp_path / "first.json").read_text())
    rows = found["tasks"][0]["differences"]
    assert [row["level"] for row in rows] == (
        ["pair"] * 3 + ["language"] * 3 + ["tier"] * 2 + ["overall", "gap"]
    )
    assert found["tasks"][0]["rank_groups"] == {"beta": 1, "alpha": 2}
    with (tmp_path / "first.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["p_holm"]) for line in lines] == [row["p_holm"] for row in rows]


def test_markdown_escapes_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, one: Path
) -> None:
    two = store(tmp_path / "two", "<b>|beta\x1b[31m\u202e", BETTER)
    _, out, _ = run(capsys, one, two, "--markdown")
    assert r"### \<b\>\|beta\\u001b\[31m\\u202e against alpha" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_family_grows_with_the_systems_compared(tmp_path: Path, one: Path) -> None:
    paths = [one, *(store(tmp_path / name, name, BETTER) for name in ("beta", "gamma", "delta"))]
    comparison = compare(
        find_systems(paths), scheme=load_scheme("joshi"), settings=ResamplingSettings(999, 100)
    )
    sizes = {row.found.target.level: row.n_family for row in comparison.tasks[0].rows}
    assert sizes == {"pair": 9, "language": 9, "tier": 6, "overall": 3, "gap": 3}


def test_too_few_flips_for_the_family_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    codes = ("sw", "yo", "de", "fr", "hi", "te")
    one = store(tmp_path / "one", "alpha", {f"{code}-en": LOW for code in codes})
    two = store(tmp_path / "two", "beta", {f"{code}-en": LOW + 0.1 for code in codes})
    main(["compare", str(one), str(two), "--flips", "100"])
    out = capsys.readouterr().out
    assert "note: 100 flips give no p-value small enough for the largest family; --flips 120" in out


def test_pool_of_languages_is_compared_apart(tmp_path: Path) -> None:
    from clir_bench.results.schema import PoolMeans, Result
    from clir_bench.results.store import read_result, write_result

    paths = []
    for name, values in (("alpha", VALUES), ("beta", BETTER)):
        path = store(tmp_path / name, name, {**values, "sw-mul": values["sw-en"] / 2})
        result = read_result(path)
        assert isinstance(result, Result)
        pool = PoolMeans(languages={}, tiers=result.tiers, overall={})
        write_result(path, result.model_copy(update={"pool": pool}))
        paths.append(path)
    task = compare(
        find_systems(paths), scheme=load_scheme("joshi"), settings=ResamplingSettings(999, 100)
    ).tasks[0]
    pooled = {(r.found.target.level, r.found.target.name) for r in task.rows_of("beta", pool=True)}
    assert ("pair", "sw-mul") in pooled
    assert ("pair", "sw-en") not in pooled
    assert task.pool_ranks == {"beta": 1, "alpha": 2}
    swahili = next(
        row for row in task.rows_of("beta", pool=False)
        if (row.found.target.level, row.found.target.name) == ("language", "sw")
    )  # fmt: skip
    assert swahili.found.target.members == ("sw-en",)


# Which systems there are


def test_folder_of_systems_is_one_system_each(tmp_path: Path) -> None:
    for system in ("alpha", "beta"):
        store(tmp_path, system, VALUES)
        store(tmp_path, system, VALUES, id="other")
    systems = find_systems([tmp_path])
    assert [(system.label, len(system.results)) for system in systems] == [
        ("alpha", 2),
        ("beta", 2),
    ]
    assert [system.label for system in put_first(systems, "beta")] == ["beta", "alpha"]
    with pytest.raises(UnknownNameError, match="did you mean alpha"):
        put_first(systems, "alpa")


def test_systems_of_one_name_are_told_apart_by_revision_then_by_place(tmp_path: Path) -> None:
    store(tmp_path / "a", "alpha", VALUES, revision="1")
    store(tmp_path / "b", "alpha", BETTER, revision="2")
    again = store(tmp_path / "c", "alpha", VALUES, revision="2")
    labels = [system.label for system in find_systems([tmp_path])]
    assert labels[0] == "alpha@1"
    assert labels[2] == f"alpha@2@{again}"
    assert len(set(labels)) == 3


def test_unreadable_file_is_left_out_of_a_folder_and_refused_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path, "alpha", VALUES)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with caplog.at_level("WARNING", logger="clir_bench"):
        assert len(find_systems([tmp_path])) == 1
    with pytest.raises(ResultError, match=r"broken\.json"):
        find_systems([broken])


def test_fewer_than_two_systems_are_no_comparison(tmp_path: Path, one: Path) -> None:
    with pytest.raises(UsageError, match="two or more systems"):
        compare(find_systems([one]), scheme=load_scheme("joshi"), settings=ResamplingSettings())
    with pytest.raises(UsageError, match="given twice"):
        find_systems([one, one])
    with pytest.raises(ResultError, match="no result in this folder"):
        empty = tmp_path / "empty"
        empty.mkdir()
        find_systems([empty])


def test_task_that_none_has_is_named(tmp_path: Path, one: Path) -> None:
    two = store(tmp_path / "two", "beta", BETTER)
    with pytest.raises(ResultError, match="among tatoeba"):
        compare(
            find_systems([one, two]),
            scheme=load_scheme("joshi"),
            settings=ResamplingSettings(),
            selection=ComparisonSelection(tasks=("tatoeba",)),
        )


# Size


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_121_pairs_of_1190_questions_take_little_memory(tmp_path: Path) -> None:
    codes = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
    generator = np.random.default_rng(0)
    for system in ("alpha", "beta"):
        values = {f"{a}-{b}": generator.random(1190) for a in codes for b in codes}
        store(tmp_path, system, values)
    code = (
        "import sys; from clir_bench.cli import main; code = main(sys.argv[1:]); "
        "status = open('/proc/self/status').read(); "  # ru_maxrss would include the parent's
        "print(status.split('VmHWM:')[1].split()[0], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "compare", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stderr.split()[-1]) < 600_000  # KiB
