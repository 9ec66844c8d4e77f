"""`clir-bench run` as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, clir, forget_plugins, install_plugin, make_folder, write_plugin

from clir_bench.results.schema import Result
from clir_bench.results.store import read_result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A model `plugin` of package acme, which fails on German."""
    code = """
    def encode_documents(self, texts, *, language):
        if language == "de":
            raise RuntimeError("no German here")
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """
    write_plugin(tmp_path / "site", "plugin", code)
    install_plugin(tmp_path / "site", monkeypatch)
    yield
    forget_plugins(monkeypatch)


def run(folder: Folder, *arguments: object, model: str = "hashing") -> int:
    return clir(
        "run", "-m", model, "-t", folder.card_path, "-o", folder.card_path.parent / "out",
        *arguments,
    )  # fmt: skip


def stored(folder: Folder, name: str = "hashing/mine/test.json") -> Result:
    found = read_result(folder.card_path.parent / "out" / name)
    assert isinstance(found, Result)
    return found


def done(result: Result) -> set[str]:
    return {name for name, pair in result.pairs.items() if pair.status == "done"}


def second_card(folder: Folder) -> Path:
    """Another task over the same files."""
    path = folder.card_path.with_name("second.toml")
    path.write_text(folder.card_path.read_text().replace('id = "mine"', 'id = "second"'))
    return path


# What it prints and stores


def test_the_embedded_sample_runs_with_nothing_at_hand_and_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLIR_BENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert clir("run", "--model", "hashing", "--task", "miracl", "--sample") == 0
    out = capsys.readouterr().out
    assert "hashing on miracl: embedded sample, made for trying out; not data of MIRACL v1.0" in out
    result = read_result(tmp_path / "results/hashing/miracl/sample.json")
    assert isinstance(result, Result)
    assert result.task.sample
    assert not result.task.official
    assert "the embedded sample, not the benchmark" in result.task.unofficial
    assert result.task.complete
    assert len(result.languages) >= 8


def test_the_table_groups_languages_by_tier_and_names_the_files(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "hashing on My collection, test"
    assert lines[2].split()[:5] == ["tier", "language", "pairs", "queries", "nDCG@10"]
    assert lines[4].split()[:5] == ["low", "sw", "Swahili", "2", "pairs"]
    assert lines[5].split()[:4] == ["high", "de", "German", "en-de"]
    rows = [" ".join(line.split()[:3]) for line in lines]
    for row in ("all languages", "gap, high -", "ratio, low /", "worst language"):
        assert any(found.startswith(row) for found in rows), row
    output = folder.card_path.parent / "out/hashing/mine"
    assert f"result: {output}/test.json" in lines
    assert f"runs and per-query values: {output}/test/" in lines


def test_json_is_one_result_a_line_and_nothing_else(
    folder: Folder, plugin: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "-t", second_card(folder), "-m", "plugin", "--json") == 1
    captured = capsys.readouterr()
    results = [Result.model_validate(json.loads(line)) for line in captured.out.splitlines()]
    assert [(result.system.name, result.task.id) for result in results] == [
        ("hashing", "mine"), ("hashing", "second"), ("plugin", "mine"), ("plugin", "second"),
    ]  # fmt: skip
    assert [len(done(result)) for result in results] == [3, 3, 2, 2]
    assert results[2] == stored(folder, "plugin/mine/test.json")


def test_a_failing_pair_is_said_and_ends_the_command_with_one(
    folder: Folder, plugin: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, model="plugin") == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("failed: plugin on mine, en-de: model 'plugin' failed on 3 doc")
    assert "RuntimeError: no German here" in captured.err
    assert "plugin on My collection, test (not all official pairs)" in captured.out
    assert stored(folder, "plugin/mine/test.json").pairs["en-de"].status == "failed"


def test_many_failing_pairs_are_summed_up(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.data.glob("*/corpus.jsonl"):
        path.unlink()
    assert run(folder, "--pairs", "all") == 1
    captured = capsys.readouterr()
    assert "nDCG" not in captured.out
    lines = captured.err.splitlines()
    assert len(lines) == 4
    assert lines[3] == (
        "failed: hashing on mine, 1 more: fr-de (errors are in the result)"
    )  # fmt: skip


def test_why_a_result_is_not_official_is_printed(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit_card('"*-de" = [3, 3, 3]', '"*-de" = [3000, 3, 3]')
    assert run(folder) == 0
    out = capsys.readouterr().out
    assert out.startswith("hashing on My collection, test (NOT OFFICIAL)\n")
    assert "Not official:\n- 3 documents where the card states 3,000 (-2,997)\n" in out


def test_what_was_asked_for_is_recorded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["clir-bench", "run", "--model", "it's"])
    assert run(folder, "--seed", 7, "--top-k", 2, "--batch-size", 2, "--measures", "P@1,RR@2") == 0
    result = stored(folder)
    assert (result.settings.seed, result.settings.top_k) == (7, 2)
    assert result.task.measures == ("nDCG@2", "AP@2", "P@1", "RR@2", "Judged@2")
    assert result.environment.command == """clir-bench run --model 'it'"'"'s'"""
    assert result.environment.packages["ir-measures"]
    assert result.system.spec == "hashing"
    assert result.system.package.startswith("clir-bench ")
    counts = result.pairs["en-sw"].counts
    assert counts is not None
    assert counts.retrieved == 6


# Choosing


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"en-sw", "fr-sw", "en-de"}),
        (["--languages", "sw"], {"en-sw"}),
        (["--languages", "swa"], {"en-sw"}),
        (["--languages", "swh"], {"en-sw"}),
        (["--languages", "Swahili"], {"en-sw"}),
        (["--languages", "sw, French"], {"en-sw", "fr-sw"}),
        (["--pairs", "eng-swa,fr-de"], {"en-sw", "fr-de"}),
        (["--pairs", "*-de"], {"en-de", "fr-de"}),
        (["--pairs", "en-us-sw-ke,FRE-sw_TZ"], {"en-sw", "fr-sw"}),
        (["--pairs", "en_US-de-de"], {"en-de"}),
        (["--languages", "sw-ke,ger"], {"en-sw", "en-de"}),
        (["--pairs", "all"], {"en-sw", "fr-sw", "en-de", "fr-de"}),
        (["--pairs", "all", "--languages", "de,fr"], {"en-de", "fr-de"}),
        (["--tier", "low"], {"en-sw", "fr-sw"}),
        (["--tier", "high"], {"en-de"}),
        (["--tier", "low,high"], {"en-sw", "fr-sw", "en-de"}),
        (["--tier", "low", "--tiers", "TOML"], {"en-de"}),
        (["--tier", "unknown", "--tiers", "TOML"], {"fr-sw"}),
    ],
)
def test_pairs_are_chosen_by_language_pair_and_tier(
    folder: Folder, arguments: list[str], expected: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    scheme = folder.card_path.with_name("tiers.toml")
    scheme.write_text('name = "mine"\nlow = ["German"]\nhigh = ["sw", "en"]\n')
    chosen = [str(scheme) if argument == "TOML" else argument for argument in arguments]
    assert run(folder, *chosen, "--json") == 0
    assert done(Result.model_validate_json(capsys.readouterr().out)) == expected


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-m", "hasing"], "unknown model 'hasing'; did you mean hashing?"),
        (["-t", "mircal"], "unknown task 'mircal'; did you mean miracl"),
        (["-t", "slurm"], "no data set of that name could be found"),
        (["-t", "no/card.toml"], "no/card.toml: no such card"),
        (["--languages", "Swahilli"], "unknown language 'Swahilli'; did you mean Swahili"),
        (["--languages", "yo"], "unknown language 'yo'. Task 'mine' has: de, en, fr, sw."),
        (["--pairs", "en-yo"], "unknown pair 'en-yo'; did you mean"),
        (["--pairs", "sw-en"], "unknown pair 'sw-en'"),
        (["--pairs", "ca-es-es"], "unknown pair 'ca-es'"),
        (["--languages", "en-sw"], "That is a pair; a region goes in upper case here"),
        (["--pairs", "en"], "pair 'en': write query and document language, as in en-sw"),
        (["--pairs", "en-swahilli"], "unknown language 'swahilli'; did you mean Swahili"),
        (["--split", "tset"], "unknown split 'tset'; did you mean test? Task 'mine' has: test."),
        (["--measures", "P5"], "unknown measure 'P5'"),
        (["--tier", "lwo"], "unknown tier 'lwo'; did you mean low?"),
        (["--tiers", "jushi"], "unknown tier scheme 'jushi'; did you mean joshi?"),
        (["--tier", "mid"], "task 'mine' has no pair of that selection"),
        (["--sample", "--split", "test"], "--sample and --split exclude each other"),
        (["--sample"], "task 'mine' ships no sample"),
        (["-t", "xquad", "--data-dir", "."], "--data-dir names the folder of one task"),
        (
            ["-t", "xquad", "--tasks-dir", "nowhere"],
            "nowhere: no such folder of task cards",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_runs(
    folder: Folder, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert problem in captured.err
    assert captured.out == ""
    assert not (folder.card_path.parent / "out").exists()


def test_the_data_may_lie_elsewhere(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = folder.data.rename(tmp_path / "elsewhere")
    assert run(folder) == 1
    assert "source.directory) is no folder" in capsys.readouterr().err
    assert run(folder, "--data-dir", elsewhere) == 0
    assert len(done(stored(folder))) == 3
    assert run(folder, "--data-dir", tmp_path / "nowhere", "--overwrite") == 1
    assert "nowhere is no folder" in capsys.readouterr().err
    assert len(done(stored(folder))) == 3


# Several models and tasks


def test_a_model_that_cannot_be_loaded_does_not_stop_the_others(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = f"st:{folder.data}"
    assert run(folder, "-m", "hashing", model=missing) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"failed: model {missing}: ")
    assert len(done(stored(folder))) == 3


def test_a_task_without_data_does_not_stop_the_others(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    second = second_card(folder)
    second.write_text(second.read_text().replace('directory = "data"', 'directory = "gone"'))
    output = folder.card_path.parent / "out"
    assert clir("run", "-m", "hashing", "-t", second, "-t", folder.card_path, "-o", output) == 1
    assert len(done(stored(folder))) == 3
    assert capsys.readouterr().err.startswith("failed: hashing on second: ")


# Doing it again


def test_an_option_given_twice_counts_twice(folder: Folder) -> None:
    assert run(folder, "-p", "en-sw", "-p", "en-de", "--measures", "P@5", "--measures", "RR") == 0
    assert done(stored(folder)) == {"en-sw", "en-de"}
    assert {"P@5", "RR"} <= set(stored(folder).task.measures)


def test_measures_may_have_several_parameters(folder: Folder) -> None:
    graded = "P(judged_only=True,rel=2)@5"
    assert run(folder, "--measures", f"P@5,{graded}, RR") == 0
    assert set(stored(folder).task.measures) >= {"P@5", graded, "RR"}


def test_a_second_run_prints_the_same_and_a_third_with_more_measures_adds_them(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    first = capsys.readouterr().out
    assert run(folder) == 0
    assert capsys.readouterr().out == first
    assert run(folder, "--measures", "P@5") == 0
    assert "P@5" in capsys.readouterr().out


def test_a_result_made_otherwise_ends_the_command_with_one_unless_overwritten(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    capsys.readouterr()
    assert run(folder, "--top-k", 5) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"failed: hashing on mine: {folder.card_path.parent}/out/hashing/mine/test.json holds a "
        "result with another --top-k (1000); write elsewhere with --output, or replace it with "
        "--overwrite\n"
    )
    assert run(folder, "--top-k", 5, "--overwrite") == 0
    assert stored(folder).settings.top_k == 5


def test_a_limited_run_is_said_to_be_partial(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--limit", 1) == 0
    out = capsys.readouterr().out
    assert out.startswith("hashing on My collection, test (partial, --limit 1)\n")
    assert "out/hashing/mine/test-limit1.json\n" in out
    assert not stored(folder, "hashing/mine/test-limit1.json").task.official


# As a process


def process(folder: Folder, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    site = folder.card_path.parent / "site"
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "clir_bench", "run", "-o", str(folder.card_path.parent / "out")]
        + [str(argument) for argument in arguments],
        env={**os.environ, "PYTHONPATH": path, **options.pop("env", {})},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["ctrl-c", "sigterm"],
)
def test_a_signal_ends_a_run_and_keeps_what_was_done(
    number: int, code: int, said: str, folder: Folder, tmp_path: Path
) -> None:
    plugin = """
    import pathlib, time
    def encode_documents(self, texts, *, language):
        if language == "de":
            pathlib.Path(r"MARKER").touch()
            time.sleep(60)
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """.replace("MARKER", str(tmp_path / "sleeping"))
    write_plugin(tmp_path / "site", "slow", plugin)
    # A job started in the background of a script has the signal ignored, and so would its child.
    child = process(
        folder, "-m", "slow", "-t", folder.card_path, stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    for _ in range(600):
        if (tmp_path / "sleeping").exists() or child.poll() is not None:
            break
        time.sleep(0.05)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert out == ""
    assert err.strip() == f"{said}; everything that was finished is kept"
    assert done(stored(folder, "plugin/mine/test.json")) == {"en-sw", "fr-sw"}


def test_a_reader_that_goes_away_stops_no_task(folder: Folder) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        child = process(
            folder, "-m", "hashing", "-t", folder.card_path, "-t", second_card(folder), stdout=write
        )
        _, err = child.communicate(timeout=60)
    finally:
        os.close(write)
    assert (child.returncode, err) == (0, "")
    assert len(done(stored(folder))) == 3
    assert len(done(stored(folder, "hashing/second/test.json"))) == 3
