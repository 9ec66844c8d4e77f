"""Runs that are interrupted, and runs of the same system at the same time."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from evaluated import statuses, stored
from folders import Folder, Watched, evaluate_folder, make_folder

from clir_bench.errors import DataError, OutputError, ResultError
from clir_bench.evaluation import evaluate
from clir_bench.results import store
from clir_bench.results.store import read_scores
from clir_bench.types import Vectors


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results"


# Interruptions


def test_an_interrupted_run_keeps_finished_pairs_and_goes_on(folder: Folder, output: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate_folder(folder, output, Watched(failures={"de": KeyboardInterrupt()}))
    assert statuses(stored(output)) == {"en-sw": "done", "fr-sw": "done", "en-de": "not run"}
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == [("documents", "de"), ("queries", "en")]
    whole = evaluate_folder(folder, output.with_name("whole"))
    assert result.overall == whole.overall


def test_an_interruption_while_data_is_checked_loses_nothing_done_earlier(
    folder: Folder, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate_folder(folder, output)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("clir_bench.evaluation.evaluate.prepare", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate_folder(folder, output)
    assert stored(output) == first
    with monkeypatch.context() as patch:
        patch.setattr("clir_bench.evaluation.result_builder.read_pair_values", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate_folder(folder, output)
    assert stored(output) == first


def test_pairs_are_stored_while_the_run_goes_on(folder: Folder, output: Path) -> None:
    """A killed process saves nothing any more, so what is on disk before must suffice."""
    seen: list[dict[str, str]] = []

    class Looking(Watched):
        def encode_documents(self, texts: Any, *, language: str) -> Any:
            seen.append(statuses(stored(output)))
            return super().encode_documents(texts, language=language)

    evaluate_folder(folder, output, Looking())
    assert seen == [
        {"en-sw": "not run", "fr-sw": "not run", "en-de": "not run"},
        {"en-sw": "done", "fr-sw": "done", "en-de": "not run"},
    ]


@pytest.mark.parametrize("failing", ["en-de.run.gz", "en-de.values.tsv.gz"])
def test_a_disk_that_fills_up_keeps_finished_pairs_and_counts_no_half_one(
    folder: Folder, output: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_file = store.write_file

    def full(path: Path, data: bytes) -> None:
        if path.name == failing:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
                write_file(path, data)
        write_file(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_file", full)
        with pytest.raises(OutputError, match=rf"{failing}: cannot be written: No space left"):
            evaluate_folder(folder, output)
    result = stored(output)
    assert statuses(result) == {"en-sw": "done", "fr-sw": "done", "en-de": "not run"}
    assert result.pairs["en-de"].scores == {}
    assert list(result.languages) == ["sw"]
    assert not list((output / "watched").rglob(".*")), "a half-written file is left"
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == [("documents", "de"), ("queries", "en")]


def test_an_unwritable_folder_is_found_out_before_anything_is_encoded(
    folder: Folder, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate_folder(folder, output, pairs="en-sw")
    encoder = Watched()
    with monkeypatch.context() as patch:
        error = OSError(errno.EROFS, os.strerror(errno.EROFS))
        patch.setattr("tempfile.mkstemp", _raise(error))
        for where in (output, output.with_name("elsewhere")):
            with pytest.raises(OutputError, match="Read-only file system; choose another folder"):
                evaluate_folder(folder, where, encoder)
    assert encoder.calls == []
    assert stored(output) == first


def _raise(error: BaseException) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise error

    return raising


@pytest.fixture(autouse=True)
def _warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


class WithAnother(Watched):
    """Lets another run of the same system do en-de while it encodes its own documents."""

    started = False

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        if not self.started:
            self.started = True
            evaluate_folder(self.folder, self.output, pairs="en-de")
        return super().encode_documents(texts, language=language)


def test_two_runs_of_different_pairs_at_once_keep_each_others_pairs(
    folder: Folder, output: Path
) -> None:
    encoder = WithAnother()
    encoder.folder, encoder.output = folder, output
    evaluate_folder(folder, output, encoder, pairs="en-sw")
    result = stored(output)
    assert statuses(result) == {"en-sw": "done", "fr-sw": "not run", "en-de": "done"}
    assert result.tiers.means["high"].members == ("de",)


class WithOther(Watched):
    """Does something once, while it encodes its first documents: what it is told."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return super().encode_documents(texts, language=language)


def files_of(output: Path) -> dict[str, bytes]:
    """What a run left, the result itself left out."""
    return {path.name: path.read_bytes() for path in output.rglob("*.gz")}


def test_of_two_different_runs_at_once_the_later_is_refused_and_overwrites_nothing(
    folder: Folder, output: Path
) -> None:
    def other() -> None:
        with pytest.raises(ResultError, match=r"holds a result with another --top-k \(1000\)"):
            evaluate_folder(folder, output, top_k=2)

    encoder = WithOther()
    encoder.meanwhile = other
    evaluate_folder(folder, output, encoder)
    alone = output.with_name("alone")
    evaluate_folder(folder, alone)
    assert files_of(output) == files_of(alone)
    assert stored(output).settings.top_k == 1000


def test_two_different_runs_that_both_found_an_empty_folder_do_not_mix(
    folder: Folder, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first to store keeps the folder, even where the other has opened it before."""
    prepare = evaluate.prepare

    def prepare_after_the_other(*arguments: Any) -> Any:
        monkeypatch.setattr(evaluate, "prepare", prepare)
        evaluate_folder(folder, output, top_k=2)
        return prepare(*arguments)

    monkeypatch.setattr(evaluate, "prepare", prepare_after_the_other)
    with pytest.raises(ResultError, match=r"another --top-k \(2\)"):
        evaluate_folder(folder, output)
    alone = output.with_name("alone")
    evaluate_folder(folder, alone, top_k=2)
    assert files_of(output) == files_of(alone)
    assert stored(output).settings.top_k == 2


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_whose_result_another_overwrites_stops_and_leaves_the_others_files(
    folder: Folder, output: Path, *, overwrite: bool
) -> None:
    encoder = WithOther()
    encoder.meanwhile = lambda: evaluate_folder(folder, output, top_k=2, overwrite=True)
    with pytest.raises(ResultError, match=r"another --top-k \(2\)"):
        evaluate_folder(folder, output, encoder, overwrite=overwrite)
    alone = output.with_name("alone")
    evaluate_folder(folder, alone, top_k=2)
    assert files_of(output) == files_of(alone)


def test_a_suites_or_broken_result_that_appears_meanwhile_is_not_overwritten(
    folder: Folder, output: Path
) -> None:
    path = output / "watched" / "mine" / "test.json"
    encoder = WithOther()
    encoder.meanwhile = lambda: path.write_text("{}")
    with pytest.raises(ResultError, match="schema version None"):
        evaluate_folder(folder, output, encoder)
    assert path.read_text() == "{}"


def test_runs_at_once_that_ask_for_other_measures_keep_each_others_pairs(
    folder: Folder, output: Path
) -> None:
    encoder = WithOther()
    encoder.meanwhile = lambda: evaluate_folder(folder, output, pairs="en-de")
    result = evaluate_folder(folder, output, encoder, pairs="en-sw", measures=("P@1",))
    assert statuses(result) == {"en-sw": "done", "fr-sw": "not run", "en-de": "done"}
    alone = evaluate_folder(folder, output.with_name("alone"), pairs="en-de", measures=("P@1",))
    assert result.pairs["en-de"].scores == alone.pairs["en-de"].scores


@pytest.mark.parametrize("what", ["everything", "runs", "one run"])
def test_a_pair_whose_run_is_removed_during_the_run_is_not_counted_as_done(
    folder: Folder, output: Path, what: str
) -> None:
    files = output / "watched" / "mine" / "test"

    def remove() -> None:
        if what == "everything":
            shutil.rmtree(output)
        elif what == "runs":
            shutil.rmtree(files)
        else:
            (files / "en-sw.run.gz").unlink()

    encoder = WithOther()
    evaluate_folder(folder, output, pairs="en-sw fr-sw")
    encoder.meanwhile = remove
    result = evaluate_folder(folder, output, encoder)
    assert stored(output) == result
    lost = {"en-sw": "failed", "fr-sw": "done" if what == "one run" else "failed"}
    assert statuses(result) == {**lost, "en-de": "done"}
    assert "en-sw.run.gz is missing or damaged" in str(result.pairs["en-sw"].error)
    for pair in result.pairs.values():
        if pair.status == "done":
            assert (files.parent / str(pair.run_file)).is_file()
            assert (files.parent / str(pair.values_file)).is_file()
    again = evaluate_folder(folder, output)
    assert set(statuses(again).values()) == {"done"}


def test_values_removed_during_the_run_are_computed_again(folder: Folder, output: Path) -> None:
    values = output / "watched" / "mine" / "test" / "en-sw.values.tsv.gz"
    first = evaluate_folder(folder, output, pairs="en-sw")
    whole = values.read_bytes()
    encoder = WithOther()
    encoder.meanwhile = values.unlink
    result = evaluate_folder(folder, output, encoder)
    assert result.pairs["en-sw"].scores == first.pairs["en-sw"].scores
    assert values.read_bytes() == whole


@pytest.mark.parametrize("stated", [True, False], ids=["with its sha256", "without"])
def test_values_of_another_pair_do_not_become_a_pairs_score(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture, *, stated: bool
) -> None:
    first = evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test.json"
    if not stated:  # a result from before the sha256 was recorded
        old = {n: p.model_copy(update={"values_sha256": None}) for n, p in first.pairs.items()}
        store.write_result(path, first.model_copy(update={"pairs": old}))
    values = path.parent / "test" / "en-sw.values.tsv.gz"
    whole = values.read_bytes()
    values.write_bytes((path.parent / "test" / "en-de.values.tsv.gz").read_bytes())
    assert first.pairs["en-sw"].scores != first.pairs["en-de"].scores
    with pytest.raises(DataError, match=r"en-sw\.values.*not the values that test\.json states"):
        read_scores(path, stored(output))
    encoder = Watched()
    again = evaluate_folder(folder, output, encoder)
    assert encoder.calls == []
    assert again.pairs["en-sw"].scores == first.pairs["en-sw"].scores
    assert values.read_bytes() == whole
    assert again.pairs["en-sw"].values_sha256 == first.pairs["en-sw"].values_sha256


def test_values_without_a_sha256_are_not_computed_from_other_judgments(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = evaluate_folder(folder, output)
    old = {n: p.model_copy(update={"values_sha256": None}) for n, p in first.pairs.items()}
    path = output / "watched" / "mine" / "test.json"
    store.write_result(path, first.model_copy(update={"pairs": old}))
    folder.edit("qrels/de.test.tsv", "q1\td1\t1", "q1\td2\t1")
    result = evaluate_folder(folder, output, pairs="en-sw")
    assert statuses(result)["en-de"] == "not run"
    assert "en-de: the data changed since it was run; it is left out" in caplog.text


@pytest.mark.parametrize("key", ["run_file", "values_file"])
@pytest.mark.parametrize("name", ["../../../secret.gz", "/etc/passwd"])
def test_files_that_a_result_names_outside_its_folder_are_not_read(
    folder: Folder, output: Path, key: str, name: str
) -> None:
    first = evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test.json"
    pair = first.pairs["en-sw"].model_copy(update={key: name})
    store.write_result(path, first.model_copy(update={"pairs": {**first.pairs, "en-sw": pair}}))
    with pytest.raises(ResultError, match=rf"pairs\.en-sw\.{key}: .* inside the result's folder"):
        evaluate_folder(folder, output)
    again = evaluate_folder(folder, output, overwrite=True)
    assert again.pairs["en-sw"].scores == first.pairs["en-sw"].scores
    assert getattr(again.pairs["en-sw"], key).startswith("test/en-sw.")
