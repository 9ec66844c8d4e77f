"""One system on one task: what is stored, what counts, what is kept, and what is run again."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from folders import QRELS, Folder, Watched, evaluate_folder, make_folder

from clir_bench.errors import DataError, OutputError, ResultError, UnknownNameError
from clir_bench.evaluation import evaluate
from clir_bench.results import store
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores
from clir_bench.results.summary import with_tiers
from clir_bench.types import LanguagePair, Vectors

EVERYTHING = [
    ("documents", "de"),
    ("documents", "sw"),
    ("queries", "en"),
    ("queries", "fr"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results"


def stored(output: Path, name: str = "watched/mine/test.json") -> Result:
    found = read_result(output / name)
    assert isinstance(found, Result)
    return found


def run_lines(path: Path) -> list[list[str]]:
    return [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def statuses(result: Result) -> dict[str, str]:
    return {name: pair.status for name, pair in result.pairs.items()}


# What a run leaves


def test_a_run_leaves_the_result_with_every_pairs_status_counts_and_scores(
    folder: Folder, output: Path
) -> None:
    returned = evaluate_folder(folder, output)
    result = stored(output)
    assert result == returned
    assert statuses(result) == {"en-sw": "done", "fr-sw": "done", "en-de": "done"}
    pair = result.pairs["en-sw"]
    assert (pair.tier, pair.language) == ("low", "sw")
    assert pair.counts is not None
    assert (pair.counts.documents, pair.counts.queries, pair.counts.qrels) == (4, 3, 5)
    assert (pair.counts.judged_queries, pair.counts.retrieved) == (3, 12)
    assert set(pair.scores) == {"nDCG@10", "AP@1000", "Judged@10"}
    for score in pair.scores.values():
        assert score.interval[0] <= score.mean <= score.interval[1]
    assert result.task.official
    assert result.task.complete
    assert result.tiers.means["low"].members == ("sw",)
    assert result.languages["sw"].members == ("en-sw", "fr-sw")
    assert result.system.revision == "1"
    assert pair.cost is not None
    assert pair.cost.pairs_sharing_corpus == 2


def test_run_files_have_ranks_from_one_in_strictly_sinking_order(
    folder: Folder, output: Path
) -> None:
    result = evaluate_folder(folder, output)
    for pair in result.pairs.values():
        lines = run_lines(output / "watched" / "mine" / str(pair.run_file))
        assert {(line[1], line[5]) for line in lines} == {("Q0", "watched")}
        for query_id in ("q1", "q2", "q3"):
            ranking = [line for line in lines if line[0] == query_id]
            assert [int(line[3]) for line in ranking] == list(range(1, len(ranking) + 1))
            order = [(float(line[4]), line[2]) for line in ranking]
            assert order == sorted(order, reverse=True)


def test_scores_equal_those_ir_measures_computes_from_the_stored_files(
    folder: Folder, output: Path
) -> None:
    result = evaluate_folder(folder, output)
    assert 0 < result.tiers.means["low"].scores["AP@1000"].mean < 1
    measures = [ir_measures.parse_measure(name) for name in result.task.measures]
    for name, pair in result.pairs.items():
        run: dict[str, dict[str, float]] = {}
        for line in run_lines(output / "watched" / "mine" / str(pair.run_file)):
            run.setdefault(line[0], {})[line[2]] = float(line[4])
        qrels = QRELS[name.split("-")[1]]
        direct = ir_measures.calc_aggregate(measures, qrels, run)
        assert {m: s.mean for m, s in pair.scores.items()} == pytest.approx(
            {str(measure): value for measure, value in direct.items()}, abs=1e-12
        )


def test_per_query_values_are_stored_and_average_to_the_means(folder: Folder, output: Path) -> None:
    result = evaluate_folder(folder, output)
    values = read_scores(output / "watched" / "mine" / "test.json", result)
    assert values[LanguagePair("en", "sw")].query_ids == ("q1", "q2", "q3")
    for pair, scores in values.items():
        assert scores.means() == {m: s.mean for m, s in result.pairs[str(pair)].scores.items()}


def test_language_mean_is_over_pairs_and_overall_mean_over_languages(
    folder: Folder, output: Path
) -> None:
    result = evaluate_folder(folder, output)
    by_pair = {name: pair.scores["nDCG@10"].mean for name, pair in result.pairs.items()}
    swahili = (by_pair["en-sw"] + by_pair["fr-sw"]) / 2
    assert result.languages["sw"].scores["nDCG@10"].mean == pytest.approx(swahili)
    overall = (swahili + by_pair["en-de"]) / 2
    assert result.overall["nDCG@10"].mean == pytest.approx(overall)
    assert result.tiers.gap["nDCG@10"].mean == pytest.approx(by_pair["en-de"] - swahili)


def test_two_runs_leave_the_same_bytes_but_for_time_and_place(
    folder: Folder, tmp_path: Path
) -> None:
    def left(output: Path) -> dict[str, Any]:
        evaluate_folder(folder, output)
        files: dict[str, Any] = {}
        for path in sorted((output / "watched").rglob("*.*")):
            files[str(path.relative_to(output))] = path.read_bytes()
        result = json.loads(files["watched/mine/test.json"])
        del result["environment"]
        for pair in result["pairs"].values():
            del pair["cost"]
        files["watched/mine/test.json"] = result
        return files

    first, second = left(tmp_path / "one"), left(tmp_path / "two")
    assert len(first) == 1 + 2 * 3
    assert first == second


def test_a_shared_corpus_and_equal_queries_are_encoded_once(folder: Folder, output: Path) -> None:
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == EVERYTHING


def test_unjudged_queries_are_not_encoded(folder: Folder, output: Path) -> None:
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    texts = {text for _, _, texts in encoder.calls for text in texts}
    assert "a question nobody judged" not in texts


def test_a_systems_name_with_spaces_leaves_run_files_of_six_columns(
    folder: Folder, output: Path
) -> None:
    evaluate_folder(folder, output, Watched(name="my model, v2"), pairs="en-de")
    lines = run_lines(output / "my_model_v2/mine/test/en-de.run.gz")
    assert {len(line) for line in lines} == {6}
    again = Watched(name="my model, v2")
    result = evaluate_folder(folder, output, again, pairs="en-de", measures=("P@1",))
    assert "P@1" in result.overall
    assert again.calls == []


# Official or not


def test_counts_that_differ_are_said_and_make_the_result_unofficial(
    folder: Folder, output: Path
) -> None:
    folder.edit_card('"*-sw" = [4, 3, 5]', '"*-sw" = [7, 3, 4]')
    result = evaluate_folder(folder, output)
    assert not result.task.official
    assert result.pairs["en-sw"].unofficial == (
        "4 documents where the card states 7 (-3)",
        "5 qrels where the card states 4 (+1)",
    )
    assert result.pairs["en-de"].official
    assert result.task.unofficial == result.pairs["en-sw"].unofficial


def test_a_card_without_counts_is_unofficial(folder: Folder, output: Path) -> None:
    folder.edit_card('"*-de" = [3, 3, 3]', "")
    result = evaluate_folder(folder, output)
    assert result.pairs["en-de"].unofficial == ("the card states no counts to check against",)
    assert not result.task.official


def test_a_card_may_say_itself_that_nothing_of_it_is_official(folder: Folder, output: Path) -> None:
    folder.edit_card('license = "CC0-1.0"', 'license = "CC0-1.0"\nunofficial = "an extract"')
    assert evaluate_folder(folder, output).task.unofficial == ("an extract",)


def test_a_limited_run_is_partial_and_stored_under_its_own_name(
    folder: Folder, output: Path
) -> None:
    whole = evaluate_folder(folder, output)
    result = evaluate_folder(folder, output, limit=2)
    assert stored(output) == whole
    assert stored(output, "watched/mine/test-limit2.json") == result
    assert result.task.limit == 2
    assert not result.task.official
    assert result.pairs["en-sw"].unofficial == ("cut to 2 queries and documents (--limit)",)
    counts = result.pairs["en-sw"].counts
    assert counts is not None
    # The first two documents, and d4, which is judged for the second query.
    assert (counts.documents, counts.queries, counts.qrels) == (3, 2, 4)


def test_pairs_asked_for_leave_the_other_official_ones_not_run(
    folder: Folder, output: Path
) -> None:
    result = evaluate_folder(folder, output, pairs="en-de fr-de")
    assert statuses(result) == {
        "en-sw": "not run",
        "fr-sw": "not run",
        "en-de": "done",
        "fr-de": "done",
    }
    assert result.pairs["en-sw"].scores == {}
    assert sorted(result.languages) == ["de", "fr"]
    assert result.task.official
    assert not result.task.complete


def test_pairs_and_splits_the_task_lacks_are_refused_with_near_names(
    folder: Folder, output: Path
) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown pair 'de-sw'; did you mean .*en-sw"):
        evaluate_folder(folder, output, pairs="en-sw de-sw")
    assert not output.exists()


# One pair failing


def test_a_pair_whose_file_is_missing_fails_alone(folder: Folder, output: Path) -> None:
    (folder.data / "de" / "corpus.jsonl").unlink()
    result = evaluate_folder(folder, output)
    assert statuses(result) == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}
    assert "de/corpus.jsonl" in str(result.pairs["en-de"].error)
    assert result.pairs["en-de"].scores == {}
    assert list(result.languages) == ["sw"]
    assert result.overall == result.languages["sw"].scores
    assert result.tiers.gap == {}
    assert not result.task.complete


@pytest.mark.parametrize(
    ("language", "failed"),
    [("sw", {"en-sw", "fr-sw"}), ("fr", {"fr-sw"}), ("en", {"en-sw", "en-de"})],
)
def test_an_encoder_that_fails_in_one_language_fails_only_its_pairs(
    folder: Folder, output: Path, language: str, failed: set[str]
) -> None:
    encoder = Watched(failures={language: RuntimeError("no such script")})
    result = evaluate_folder(folder, output, encoder)
    assert {name for name, pair in result.pairs.items() if pair.status == "failed"} == failed
    for name in failed:
        assert "RuntimeError: no such script" in str(result.pairs[name].error)
    assert sum(status == "done" for status in statuses(result).values()) == 3 - len(failed)


def test_a_failed_pair_is_tried_again_and_alone(folder: Folder, output: Path) -> None:
    evaluate_folder(folder, output, Watched(failures={"de": RuntimeError("out of luck")}))
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == [("documents", "de"), ("queries", "en")]
    assert set(statuses(result).values()) == {"done"}
    assert result.pairs["en-de"].error is None


# Going on with what is done


def test_a_second_run_encodes_nothing_and_says_the_same(folder: Folder, output: Path) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched()
    second = evaluate_folder(folder, output, encoder)
    assert encoder.calls == []
    assert second.model_copy(update={"environment": first.environment}) == first


def test_changed_data_is_run_again_and_the_rest_is_kept(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_folder(folder, output)
    folder.edit("de/corpus.jsonl", "starker Regen", "starker Schnee")
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == [("documents", "de"), ("queries", "en")]
    assert "en-de: the data changed since it was run; running it again" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "encoded"),
    [
        ("run.gz", [("documents", "de"), ("queries", "en")]),
        ("values.tsv.gz", []),  # they are computed from the run
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_file_of_a_pair_is_made_again(
    folder: Folder,
    output: Path,
    suffix: str,
    encoded: list[tuple[str, str]],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test" / f"en-de.{suffix}"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-10])
    encoder = Watched()
    evaluate_folder(folder, output, encoder)
    assert encoder.called_for() == encoded
    assert path.read_bytes() == whole
    assert f"en-de.{suffix}" in caplog.text


def test_a_damaged_pair_that_is_not_asked_for_is_said_to_be_left_out(
    folder: Folder, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_folder(folder, output)
    (output / "watched" / "mine" / "test" / "en-de.run.gz").unlink()
    result = evaluate_folder(folder, output, pairs="en-sw")
    assert statuses(result)["en-de"] == "not run"
    assert "en-de" in caplog.text
    assert "left out" in caplog.text
    assert "running it again" not in caplog.text


def test_more_measures_are_scored_from_the_stored_runs(folder: Folder, output: Path) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder, measures=("P@1", "RR"))
    assert encoder.calls == []
    for name, pair in result.pairs.items():
        assert list(pair.scores) == ["nDCG@10", "AP@1000", "P@1", "RR", "Judged@10"]
        assert pair.scores["nDCG@10"] == first.pairs[name].scores["nDCG@10"]
    fresh = evaluate_folder(folder, output.with_name("fresh"), measures=("P@1", "RR"))
    assert {n: p.scores for n, p in fresh.pairs.items()} == {
        n: p.scores for n, p in result.pairs.items()
    }


def test_languages_added_later_join_the_earlier_ones(folder: Folder, output: Path) -> None:
    evaluate_folder(folder, output, pairs="en-de")
    encoder = Watched()
    result = evaluate_folder(folder, output, encoder, pairs="en-sw fr-sw")
    assert encoder.called_for() == [("documents", "sw"), ("queries", "en"), ("queries", "fr")]
    assert set(statuses(result).values()) == {"done"}
    together = evaluate_folder(folder, output.with_name("together"))
    assert result.overall == together.overall
    assert result.tiers == together.tiers


def test_pairs_with_other_measures_in_their_files_can_still_be_summed_up(
    folder: Folder, output: Path
) -> None:
    evaluate_folder(folder, output, pairs="en-de", measures=("P@1",))
    result = evaluate_folder(folder, output, pairs="en-sw")
    path = output / "watched" / "mine" / "test.json"
    values = read_scores(path, result)
    assert {scores.measures for scores in values.values()} == {("nDCG@10", "AP@1000", "Judged@10")}
    retold = with_tiers(result, values, "optical")
    assert retold.overall == result.overall


def test_other_tiers_of_a_users_own_task_need_no_card(folder: Folder, output: Path) -> None:
    result = evaluate_folder(folder, output)
    folder.card_path.unlink()
    values = read_scores(output / "watched" / "mine" / "test.json", result)
    assert with_tiers(result, values, "joshi") == result
    retold = with_tiers(result, values, "cc100")
    assert retold.tiers.scheme == "cc100"
    assert retold.pairs["en-sw"].scores == result.pairs["en-sw"].scores


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("system", r"another revision \('1', not '2'\)"),
        ("card", "another version of the task's card"),
        ("top_k", r"another --top-k \(1000\)"),
    ],
)
def test_a_result_made_otherwise_is_not_overwritten_unless_asked(
    folder: Folder, output: Path, change: str, problem: str
) -> None:
    first = evaluate_folder(folder, output)
    encoder = Watched(revision="2" if change == "system" else "1")
    if change == "card":
        folder.edit_card("parallel_queries = true", "parallel_queries = false")
    top_k = 2 if change == "top_k" else 1000
    with pytest.raises(ResultError, match=f"{problem}.*--output.*--overwrite"):
        evaluate_folder(folder, output, encoder, top_k=top_k)
    assert encoder.calls == []
    assert stored(output) == first
    result = evaluate_folder(folder, output, encoder, top_k=top_k, overwrite=True)
    assert encoder.called_for() == EVERYTHING
    assert stored(output) == result != first


def test_a_broken_result_is_not_overwritten_unless_asked(folder: Folder, output: Path) -> None:
    evaluate_folder(folder, output)
    path = output / "watched" / "mine" / "test.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(ResultError, match=r"test\.json: not a result: .*--overwrite"):
        evaluate_folder(folder, output)
    assert set(statuses(evaluate_folder(folder, output, overwrite=True)).values()) == {"done"}


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
