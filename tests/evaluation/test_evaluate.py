"""One system on one task: what is stored, what counts, what is kept, and what is run again."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from evaluated import EVERYTHING, statuses, stored
from folders import QRELS, Folder, Watched, evaluate_folder, make_folder

from clir_bench.errors import UnknownNameError
from clir_bench.results.store import read_scores
from clir_bench.types import LanguagePair


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results"


def run_lines(path: Path) -> list[list[str]]:
    return [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


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


@pytest.fixture(autouse=True)
def _warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
