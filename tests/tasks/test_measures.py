"""Measures by their right names: the depth they look to, what trec_eval calls them."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest

from clir_bench.errors import DataError, UnknownNameError
from clir_bench.metrics.scoring import score
from clir_bench.tasks.measures import (
    EVERYTHING,
    at_depth,
    depth_of,
    looks_at,
    name_here,
    parse_measures,
    too_deep,
)
from clir_bench.types import Qrel, Run


def run_of(*lengths: int) -> Run:
    """Return a run whose queries q0, q1, ... have so many documents d000, d001, ..."""
    return Run(
        tuple(f"q{number}" for number in range(len(lengths))),
        tuple(tuple(f"d{rank:03}" for rank in range(length)) for length in lengths),
        [np.arange(length, 0, -1, dtype=np.float32) for length in lengths],
    )


def reach(*lengths: int, n_documents: int = 10_000, top_k: int | None = None) -> int:
    judged = {f"q{number}" for number in range(len(lengths))}
    return depth_of(run_of(*lengths), judged, n_documents=n_documents, top_k=top_k).reach


@pytest.mark.parametrize(
    ("name", "needs", "at_three"),
    [
        ("nDCG@10", 10, "nDCG@3"),
        ("R@100", 100, "R@3"),
        ("P@10", 10, "P@3"),
        ("P(rel=2)@10", 10, "P(rel=2)@3"),
        ("RR@10", 10, "RR@3"),
        ("Success@5", 5, "Success@3"),
        ("Judged@10", 10, "Judged@3"),
        ("P@1", 1, "P@1"),
        ("nDCG@3", 3, "nDCG@3"),
        ("AP", 1000, "AP@3"),
        ("RR", 1000, "RR@3"),
        ("nDCG", 1000, "nDCG@3"),
        ("Rprec", 1000, None),
        ("Bpref", 1000, None),
        ("infAP", 1000, None),
        ("SetP", 1000, None),
        ("IPrec@0.1", 1000, None),
        # What is judged may begin below the third document.
        ("P(judged_only=True)@2", 1000, None),
        ("NumRel", 0, "NumRel"),
    ],
)
def test_a_measure_is_called_by_the_depth_there_is_or_cannot_be_had(
    name: str, needs: int, at_three: str | None
) -> None:
    assert (looks_at(name), at_depth(name, 3)) == (needs, at_three)
    assert at_depth(name, 1000) == name == at_depth(name, EVERYTHING)


def test_over_a_cut_ranking_the_name_there_is_has_the_value_of_the_whole_ranking() -> None:
    rng = np.random.default_rng(0)
    documents = [f"d{number:02}" for number in range(40)]
    whole = {
        f"q{number}": {d: float(s) for d, s in zip(documents, rng.permutation(40), strict=True)}
        for number in range(6)
    }
    qrels = [Qrel(q, d, int(rng.integers(3))) for q in whole for d in documents]
    ranked = {q: sorted(scores, key=lambda d: -scores[d]) for q, scores in whole.items()}
    cut = Run(
        tuple(ranked),
        tuple(tuple(ids[:3]) for ids in ranked.values()),
        [np.array([3, 2, 1], np.float32)] * 6,
    )
    names = [at_depth(n, 3) for n in ("nDCG@10", "AP@30", "R@20", "P@10", "RR", "Success@5")]
    found = score(cut, qrels, [name for name in names if name]).means()
    for name, value in found.items():
        expected = ir_measures.calc_aggregate([ir_measures.parse_measure(name)], qrels, whole)
        assert value == pytest.approx(next(iter(expected.values()))), name
    # What trec_eval makes of the cut ranking as nDCG@10 is neither nDCG@10 nor nDCG@3.
    wrong = score(cut, qrels, ["nDCG@10"]).means()["nDCG@10"]
    assert wrong != pytest.approx(found["nDCG@3"], abs=0.01)


def test_the_depth_of_a_run_is_the_length_that_most_rankings_share() -> None:
    assert reach(10, 10, 10) == 10
    assert reach(10, 10, 4) == 10
    assert reach(10, 10, 11) == 10
    assert reach(7) == 7


def test_the_depth_is_the_greatest_length_where_none_is_shared_by_most() -> None:
    assert reach(37, 12, 5) == 37
    assert reach(10, 10, 11, 4) == 11
    assert reach(2, 1) == 2


def test_rankings_in_which_nothing_is_held_have_no_depth() -> None:
    for top_k in (None, 10):
        with pytest.raises(DataError, match="rankings of judged queries hold no document: there"):
            reach(0, 0, top_k=top_k)


def own(*lengths: int, queries: int, n_documents: int = 10_000) -> int:
    """Return the reach of a run of which the first queries stand at the end of their ranking."""
    run = run_of(*lengths)
    doc_ids = tuple(
        (*ids[:-1], query_id) if number < queries else ids
        for number, (query_id, ids) in enumerate(zip(run.query_ids, run.doc_ids, strict=True))
    )
    return depth_of(
        Run(run.query_ids, doc_ids, run.scores),
        set(run.query_ids),
        n_documents=n_documents,
        skip_same_id=True,
    ).reach


def test_a_ranking_that_holds_its_own_query_supports_one_document_less() -> None:
    assert own(20, 20, 20, queries=0) == 20
    assert own(20, 20, 20, queries=1) == 19
    assert own(20, 20, 20, queries=3) == 19
    # A ranking longer than the others has one to spare, and a shorter one was not cut.
    assert own(21, 20, 20, queries=1) == 20
    assert own(7, 20, 20, queries=1) == 20
    # Of 60 documents a query that is one of them has 59 to find.
    assert own(60, 60, queries=2, n_documents=59) == EVERYTHING
    assert own(59, 59, queries=2, n_documents=59) == 58


def test_a_ranking_of_the_whole_corpus_has_every_depth() -> None:
    assert reach(60, 60, n_documents=60) == EVERYTHING
    assert reach(59, 59, n_documents=60) == 59


def test_where_the_cut_is_known_shorter_rankings_were_not_cut() -> None:
    assert reach(10, 10, top_k=10) == 10
    assert reach(10, 4, top_k=10) == 10
    assert reach(9, 9, top_k=10) == EVERYTHING


def test_queries_without_judgments_do_not_make_a_run_deeper() -> None:
    run = run_of(10, 10, 1000)
    assert depth_of(run, {"q0", "q1"}, n_documents=10_000).reach == 10


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("map", "AP"),
        ("map_cut_1000", "AP@1000"),
        ("ndcg", "nDCG"),
        ("ndcg_cut_10", "nDCG@10"),
        ("ndcg_cut.10", "nDCG@10"),
        ("P_10", "P@10"),
        ("P.10", "P@10"),
        ("recall_100", "R@100"),
        ("recip_rank", "RR"),
        ("bpref", "Bpref"),
        ("success_5", "Success@5"),
        ("set_recall", "SetR"),
        ("iprec_at_recall_0.10", "IPrec@0.1"),
        ("ndcg_at_10", "nDCG@10"),
        ("mrr_at_10", "RR@10"),
    ],
)
def test_a_name_of_trec_evals_or_mtebs_is_answered_with_the_one_here(name: str, here: str) -> None:
    with pytest.raises(UnknownNameError, match=f"calls {name!r} is {here} here"):
        parse_measures([name])
    parse_measures([here])  # it is a name


@pytest.mark.parametrize("name", ["nonsense", "gm_map", "P_5.5", "map_"])
def test_a_name_of_nobodys_gets_no_hint(name: str) -> None:
    assert name_here(name) is None


def test_what_looks_too_deep_is_said_with_what_can_be_had() -> None:
    assert too_deep(["R@100", "Bpref"], 10) == (
        "R@100 looks at 100 documents per query (R@10 is possible); Bpref is over whole rankings, "
        "of 1,000 documents per query; rankings hold 10"
    )
