"""What `import clir_bench` gives Python users is what the command line does."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from folders import Folder, clir, make_folder

import clir_bench
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.errors import PluginError, UnknownNameError, UsageError
from clir_bench.results.schema import Result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def plain(path: Path) -> dict[str, object]:
    """Return a stored result without times, the command and memory."""
    stored = json.loads(path.read_text())
    del stored["environment"]
    for pair in stored["pairs"].values():
        del pair["cost"]
    return stored


def test_import_loads_nothing_but_names() -> None:
    code = "import sys, clir_bench; print(*sorted(n for n in sys.modules if 'clir_bench.' in n))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there_and_no_other() -> None:
    for name in clir_bench.__all__:
        assert getattr(clir_bench, name)
        assert name in dir(clir_bench)
    with pytest.raises(AttributeError, match="evaluat"):
        clir_bench.evaluat  # noqa: B018


def test_evaluate_leaves_the_files_that_the_command_leaves(folder: Folder) -> None:
    there, here = folder.data.parent / "there", folder.data.parent / "here"
    arguments = ["-t", folder.card_path, "-o", there, "-l", "sw,de", "--measures", "P@1"]
    assert clir("run", "-m", "hashing", *arguments) == 0
    result = clir_bench.evaluate(
        "hashing", folder.card_path, languages=["German", "sw"], measures="P@1", output=here
    )
    names = sorted(path.relative_to(there) for path in there.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert result.path == here / "hashing/mine/test.json"
    for name in names:
        if name.suffix == ".gz":
            assert (here / name).read_bytes() == (there / name).read_bytes()
        elif name.suffix == ".json":
            assert plain(here / name) == plain(there / name)


def test_a_result_states_the_call_that_made_it(folder: Folder) -> None:
    output = folder.data.parent / "out"
    result = clir_bench.evaluate("hashing", folder.card_path, output=output, limit=2)
    assert result.result is not None
    card = str(folder.card_path)
    assert result.result.environment.command == (
        f"clir_bench.evaluate('hashing', {card!r}, output={str(output)!r}, limit=2)"
    )
    assert result.path.name == "test-limit2.json"


def test_a_second_call_runs_nothing_again(folder: Folder) -> None:
    output = folder.data.parent / "out"
    first = clir_bench.evaluate("hashing", folder.card_path, output=output)
    before = first.path.stat().st_mtime_ns
    again = clir_bench.evaluate("hashing", folder.card_path, output=output)
    assert again == first
    assert first.path.stat().st_mtime_ns == before


def test_a_pair_that_fails_is_logged_and_named(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    (folder.data / "de/corpus.jsonl").unlink()
    with caplog.at_level(logging.WARNING, "clir_bench"):
        result = clir_bench.evaluate("hashing", folder.card_path, output=folder.data.parent / "out")
    assert list(result.failures) == ["en-de"]
    assert any("failed: en-de: " in record.getMessage() for record in caplog.records)


def test_an_encoder_of_ones_own_is_evaluated_and_a_wrong_one_refused(tmp_path: Path) -> None:
    result = clir_bench.evaluate(HashingEncoder(), "miracl", sample=True, output=tmp_path)
    assert result.result is not None
    assert "evaluate('HashingEncoder', 'miracl'" in result.result.environment.command
    with pytest.raises(PluginError, match="info"):
        clir_bench.evaluate(object(), "miracl", sample=True, output=tmp_path)  # type: ignore[arg-type]


def test_a_loaded_system_runs_as_its_name_does(tmp_path: Path) -> None:
    system = clir_bench.load_system("hashing")
    card = clir_bench.load_task("miracl")
    one = clir_bench.evaluate(system, card, sample=True, output=tmp_path / "one")
    other = clir_bench.evaluate("hashing", "miracl", sample=True, output=tmp_path / "other")
    assert plain(one.path) == plain(other.path)


def test_what_cannot_be_meant_is_refused_with_near_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean limit"):
        clir_bench.evaluate("hashing", "miracl", limt=3)  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="did you mean hashing"):
        clir_bench.evaluate("hasing", "miracl", sample=True, output=tmp_path)
    with pytest.raises(UsageError, match="exclude each other"):
        clir_bench.evaluate("hashing", "miracl", sample=True, split="dev")
    system = clir_bench.load_system("hashing")
    with pytest.raises(UsageError, match="loaded already"):
        clir_bench.evaluate(system, "miracl", sample=True, device="cpu")
    assert not list(tmp_path.iterdir())


def test_a_suite_comes_with_the_results_of_its_tasks(tmp_path: Path) -> None:
    result = clir_bench.evaluate("hashing", "mtop", sample=True, output=tmp_path)
    assert [part.result.task.id for part in result.parts if part.result] == [
        "mtop-translation", "mtop-intent",
    ]  # fmt: skip
    again = clir_bench.load_result(result.path)
    assert again.suite == result.suite
    assert [part.result for part in again.parts] == [part.result for part in result.parts]


def test_stored_results_are_loaded_and_compared(folder: Folder) -> None:
    output = folder.data.parent / "out"
    clir_bench.evaluate("hashing", folder.card_path, output=output / "a")
    clir_bench.evaluate("hashing", folder.card_path, output=output / "b")
    results = clir_bench.load_results(output)
    assert len(results) == 2
    assert isinstance(results[0].result, Result)
    assert len(results[:1]) == 1
    comparison = clir_bench.compare(results)
    assert len(comparison.tasks) == 1
    assert not comparison.refused


def test_score_runs_leaves_the_files_that_the_command_leaves(folder: Folder) -> None:
    run = folder.data.parent / "my.run"
    run.write_text("q1 Q0 d1 1 2 t\nq2 Q0 d2 1 2 t\n")
    there, here = folder.data.parent / "there", folder.data.parent / "here"
    given = ["-t", folder.card_path, "--system", "bm25", "--measures", "P@1"]
    assert clir("score", *given, "-o", there, f"en-sw={run}") == 0
    scored = clir_bench.score_runs(
        "bm25", folder.card_path, {"eng-swa": run}, measures="P@1", output=here
    )
    assert scored.path == here / "bm25/mine/test.json"
    assert scored.failures == {}
    [unanswered, _] = scored.notes
    assert "1 of 3 judged queries have no line" in unanswered
    assert plain(scored.path) == plain(there / "bm25/mine/test.json")
    assert scored.result is not None
    assert scored.result.environment.command == (
        f"clir_bench.score_runs('bm25', {str(folder.card_path)!r}, {{'eng-swa': {str(run)!r}}}, "
        f"measures='P@1', output={str(here)!r})"
    )


def test_score_runs_refuses_what_it_cannot_score(folder: Folder, tmp_path: Path) -> None:
    run = tmp_path / "my.run"
    run.write_text("q1 Q0 d9 1 2 t\n")
    for runs, problem in (
        ([("en-sw", run), ("eng-swa", run)], "en-sw has a run file already"),
        ({"*-sw": run}, "names 2 pairs"),
        ({}, "no run file; give one per pair"),
    ):
        with pytest.raises(UsageError, match=problem):
            clir_bench.score_runs("bm25", folder.card_path, runs, output=tmp_path)
    with pytest.raises(UsageError, match="exclude each other"):
        clir_bench.score_runs("bm25", "miracl", {}, sample=True, split="dev", output=tmp_path)
    with pytest.raises(UsageError, match="'mtop' is a suite"):
        clir_bench.score_runs("bm25", "mtop", {"en-sw": run}, output=tmp_path)
    with pytest.raises(UnknownNameError, match="unknown option 'sede'; did you mean seed"):
        clir_bench.score_runs("bm25", "miracl", {}, sede=3)  # type: ignore[call-arg]
    failed = clir_bench.score_runs("bm25", folder.card_path, {"en-sw": run}, output=tmp_path)
    assert "1 documents are not in the corpus" in failed.failures["en-sw"]
