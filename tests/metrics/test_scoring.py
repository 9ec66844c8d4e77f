"""Scoring against hand-worked values and against trec_eval itself (pytrec_eval)."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_bench.errors import DataError, UnknownNameError, UsageError
from clir_bench.metrics import scoring
from clir_bench.metrics.scoring import QueryScores, score
from clir_bench.results.trec_runs import from_scores
from clir_bench.tasks.measures import JUDGED, parse_measures
from clir_bench.types import Qrel

SMALL = settings(max_examples=50, deadline=None, derandomize=True)
# Our name, trec_eval's parameter and its key in pytrec_eval's answer.
TREC_EVAL = {
    "AP": ("map", "map"),
    "AP@1000": ("map_cut.1000", "map_cut_1000"),
    "nDCG@10": ("ndcg_cut.10", "ndcg_cut_10"),
    "RR": ("recip_rank", "recip_rank"),
    "P@5": ("P.5", "P_5"),
    "R@100": ("recall.100", "recall_100"),
    "Rprec": ("Rprec", "Rprec"),
    "Bpref": ("bpref", "bpref"),
}


def value(
    run: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]], measure: str
) -> dict[str, float]:
    scores = score(from_scores(run), as_qrels(qrels), [measure])
    return dict(zip(scores.query_ids, scores.values[:, 0].tolist(), strict=True))


def as_qrels(qrels: dict[str, dict[str, int]]) -> list[Qrel]:
    return [
        Qrel(query_id, doc_id, relevance)
        for query_id, judged in qrels.items()
        for doc_id, relevance in judged.items()
    ]


@st.composite
def tied_runs(
    draw: st.DrawFn,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """Runs over 40 documents with few distinct scores, partly judged on grades -1 to 3."""
    generator = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311
    steps = generator.choice([2, 5, 1000])
    documents = [f"{generator.choice('abzAé')}{number}" for number in range(40)]
    run, qrels = {}, {}
    for number in range(6):
        retrieved = generator.sample(documents, generator.randint(1, 40))
        run[f"q-{number}"] = {doc_id: generator.randrange(steps) / 7 for doc_id in retrieved}
        judged = generator.sample(documents, generator.randint(1, 20))
        qrels[f"q-{number}"] = {doc_id: generator.randint(-1, 3) for doc_id in judged}
    return run, qrels


@SMALL
@given(tied_runs())
def test_values_are_those_of_trec_eval_given_the_raw_scores(
    problem: tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]],
) -> None:
    import pytrec_eval

    run, qrels = problem
    parameters = {parameter for parameter, _ in TREC_EVAL.values()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, parameters).evaluate(run)
    found = score(from_scores(run), as_qrels(qrels), TREC_EVAL)
    assert found.query_ids == tuple(sorted(qrels))
    for row, query_id in enumerate(found.query_ids):
        for column, measure in enumerate(found.measures):
            reference = expected[query_id][TREC_EVAL[measure][1]]
            assert found.values[row, column] == reference, (query_id, measure)


def test_graded_ndcg_is_the_one_worked_by_hand() -> None:
    # Ranking x (unjudged), a (2), b (1); ideal a, b, c (1). Gain is the grade, discount log2(1+r).
    dcg = 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    found = value({"q": {"x": 3, "a": 2, "b": 1}}, {"q": {"a": 2, "b": 1, "c": 1}}, "nDCG@10")
    assert found["q"] == pytest.approx(dcg / ideal, abs=1e-12)
    assert found["q"] == pytest.approx(0.5627, abs=5e-5)  # (1.2619 + 0.5) / (2 + 0.6309 + 0.5)


def test_ndcg_sees_only_its_cutoff() -> None:
    run = {"q": {f"d{rank:02}": -rank for rank in range(1, 12)}}
    assert value(run, {"q": {"d11": 1}}, "nDCG@10") == {"q": 0.0}
    expected = pytest.approx(1 / math.log2(11))  # rank 10
    assert value(run, {"q": {"d10": 1}}, "nDCG@10")["q"] == expected


def test_average_precision_counts_relevant_documents_that_were_not_retrieved() -> None:
    # Relevant: a at rank 1, b at rank 3, c nowhere. (1/1 + 2/3 + 0) / 3 = 5/9.
    run = {"q": {"a": 9.0, "x": 8.0, "b": 7.0}}
    found = value(run, {"q": {"a": 1, "b": 1, "c": 1, "x": 0}}, "AP@1000")
    assert found["q"] == pytest.approx(5 / 9, abs=1e-12)


def test_reciprocal_rank_is_zero_beyond_its_cutoff() -> None:
    run = {"q": {f"d{rank:02}": -rank for rank in range(1, 15)}}
    assert value(run, {"q": {"d04": 1, "d09": 1}}, "RR@10") == {"q": 0.25}
    assert value(run, {"q": {"d10": 1}}, "RR@10") == {"q": 0.1}
    assert value(run, {"q": {"d11": 1}}, "RR@10") == {"q": 0.0}


@pytest.mark.parametrize("measure", ["nDCG@10", "AP@1000", "RR@10", "R@100", "P@1", JUDGED])
def test_unretrieved_query_scores_zero(measure: str) -> None:
    run = {"q1": {"a": 1.0}, "q3": {}}
    found = value(run, {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}}, measure)
    assert found == {"q1": 1.0, "q2": 0.0, "q3": 0.0}


def test_unretrieved_query_counts_in_the_mean() -> None:
    qrels = as_qrels({"q1": {"a": 1}, "q2": {"a": 1}})
    assert score(from_scores({"q1": {"a": 1.0}}), qrels, ["AP"]).means() == {"AP": 0.5}
    assert score(from_scores({}), qrels, ["AP"]).means() == {"AP": 0.0}


def test_unjudged_query_in_the_run_is_ignored() -> None:
    found = value({"q1": {"a": 1.0}, "q0": {"a": 1.0}, "1": {"b": 1.0}}, {"q1": {"a": 1}}, "AP")
    assert found == {"q1": 1.0}


def test_query_judged_only_non_relevant_counts_zero() -> None:
    found = value({"q1": {"a": 1.0}, "q2": {"a": 1.0}}, {"q1": {"a": 0}, "q2": {"a": 1}}, "AP")
    assert found == {"q1": 0.0, "q2": 1.0}


def test_tied_reciprocal_rank_follows_trec_eval_and_not_the_ms_marco_script() -> None:
    # trec_eval ranks b before a; the script, given these scores, ranks a first and says 1.
    run, qrels = {"q": {"a": 1.0, "b": 1.0}}, {"q": {"a": 1}}
    assert value(run, qrels, "RR@10") == {"q": 0.5}
    assert value(run, qrels, "RR") == {"q": 0.5}


def test_scores_that_differ_only_beyond_float32_are_ties() -> None:
    import pytrec_eval

    run, qrels = {"q": {"a": 1.0 + 1e-9, "b": 1.0}}, {"q": {"a": 1}}
    assert np.float32(1.0 + 1e-9) == np.float32(1.0)
    reference = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)
    assert value(run, qrels, "RR")["q"] == reference["q"]["recip_rank"] == 0.5


def test_judged_at_10_is_the_share_of_the_first_ten_that_anyone_judged() -> None:
    run = {"q": {f"d{rank:02}": -rank for rank in range(1, 21)}}
    judged = {"d01": 1, "d02": 0, "d10": 0, "d11": 1}
    assert value(run, {"q": judged}, JUDGED) == {"q": 0.3}
    assert value({"q": {"d01": 2.0, "x": 1.0}}, {"q": judged}, JUDGED) == {"q": 0.5}


def test_compat_is_perfect_for_an_ideal_ranking_that_misses_a_document() -> None:
    # Both are relevant alike; rank-biased overlap of (a) with the ideal (a, b) at p = 0.5:
    # depths 1 and 2 agree by 1 and 1/2, weighted 1 and 0.5: (1 + 0.25) / 1.5. A tool that put the
    # missing b first in the ideal would agree by 0 and 1/2.
    run, qrels = {"q": {"a": 1.0}}, {"q": {"b": 1, "a": 1}}
    found = value(run, qrels, "Compat(p=0.5,normalize=False)")
    assert found["q"] == pytest.approx(1.25 / 1.5, abs=1e-12)


def test_measures_of_gdeval_work_with_any_query_ids() -> None:
    # ERR with grades to 4: stops at a (grade 1) with (2^1 - 1) / 2^4, at rank 2.
    run = {"5ad1-x": {"b": 2.0, "a": 1.0}, "7": {"b": 1.0}}
    found = value(run, {"5ad1-x": {"a": 1}, "7": {"a": 1}, "amean": {"a": 1}}, "ERR@20")
    assert found == {"5ad1-x": pytest.approx(1 / 32, abs=1e-5), "7": 0.0, "amean": 0.0}


def test_measures_of_several_tools_are_computed_together_and_keep_their_order() -> None:
    names = ["RR@10", "nDCG@10", "Judged@10", "AP@1000", "P@1"]
    found = score(from_scores({"q": {"b": 2, "a": 1}}), [Qrel("q", "a", 1)], [*names, "RR@10"])
    assert found.measures == tuple(names)
    assert found.values.tolist() == [[0.5, pytest.approx(1 / math.log2(3)), 0.5, 0.5, 0.0]]


def test_values_are_the_same_however_many_rankings_the_tools_are_given_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = random.Random(4)  # noqa: S311
    documents = [f"d{number}" for number in range(60)]
    lengths = [0, 1, 15, 40, 3, 0, 22, 40, 8]
    run = from_scores(
        {
            f"q{number}": {
                doc_id: generator.random() for doc_id in generator.sample(documents, length)
            }
            for number, length in enumerate(lengths)
        }
    )
    qrels = [
        Qrel(f"q{number}", doc_id, generator.randint(0, 3))
        for number in range(1, 11)
        for doc_id in generator.sample(documents, 12)
    ]
    measures = ["nDCG@10", "AP", "RR@5", "RR@30", JUDGED, "Judged@3", "Judged", "Compat(p=0.9)"]
    together = score(run, qrels, measures)
    monkeypatch.setattr(scoring, "_BATCH_DOCUMENTS", 20)
    in_parts = score(run, qrels, measures)
    alone = [score(run, qrels, [measure]).values[:, 0] for measure in measures]
    assert in_parts.query_ids == together.query_ids
    assert (in_parts.values == together.values).all()
    assert (np.stack(alone, axis=1) == together.values).all()


def test_no_judgment_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match="no query is judged"):
        score(from_scores({"q": {"a": 1.0}}), [], ["AP"])


def test_tool_that_breaks_down_on_a_run_is_named_as_an_error() -> None:
    # Accuracy of ir-measures 0.4.3 divides by the number of non-relevant documents.
    with pytest.raises(DataError, match="Accuracy: ZeroDivisionError"):
        score(from_scores({"q": {"a": 1.0}}), [Qrel("q", "a", 1)], ["Accuracy"])


def test_unknown_measure_gets_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown measure 'nDGC@10'; did you mean") as error:
        parse_measures(["nDGC@10"])
    assert "ndcg@10" in [name.casefold() for name in error.value.near]


@pytest.mark.parametrize(
    "name", ["", "1+1", "nDCG@", "nDCG@ten", "nDCG@10)", "AP@10@10", "os.system", "nDCG@-1"]
)
def test_text_that_is_no_measure_is_an_error(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown measure"):
        parse_measures([name])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("P", "cutoff is missing"),
        ("nDCG(gamma=2)@10", "gamma"),
        ("P@5.5", "cutoff=5.5"),
        ("nDCG@0", "at least 1"),  # aborts the process inside pytrec_eval
        ("AP(rel=0)@10", "cannot compute it"),
        ("nDCG(gains={1:1.5})@5", "cannot compute it"),
    ],
)
def test_measure_with_a_wrong_parameter_is_refused_before_anything_runs(
    name: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_measures([name])


def test_measure_that_no_installed_tool_computes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ir_measures

    name = "alpha_nDCG@17"  # of pyndeval, which is not among the requirements
    for provider in ir_measures.DefaultPipeline.providers:
        monkeypatch.setattr(provider, "_is_available", provider.NAME == "pytrec_eval")
    with pytest.raises(UsageError, match="no installed tool"):
        parse_measures([name])


def test_measures_are_named_as_ir_measures_names_them() -> None:
    assert list(parse_measures(["MAP@100", "NDCG@10", "AP@100"])) == ["AP@100", "nDCG@10"]


@SMALL
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_means_are_exactly_rounded_whatever_the_order(
    values: list[float], shuffler: random.Random
) -> None:
    from fractions import Fraction

    total = sum(map(Fraction, values), Fraction(0))
    expected = float(total) / len(values)
    ids = tuple(f"q{number}" for number in range(len(values)))
    shuffled = shuffler.sample(values, len(values))
    for column in (values, shuffled):
        scores = QueryScores(ids, ("AP",), np.array(column)[:, None])
        assert scores.means() == {"AP": expected}
