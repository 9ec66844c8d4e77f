"""Language bias on pools, on rankings worked out by hand and against scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import scipy.stats

from clir_bench.analysis.disparity.pool import LanguagePool, pool_disparity
from clir_bench.analysis.disparity.ranking import (
    Ranking,
    equal_rank_probability,
    language_shares,
    peer,
    rank_distance,
    rankings,
)
from clir_bench.analysis.disparity.report import DisparityReport, as_rows
from clir_bench.cli.disparity_tables import disparity_tables
from clir_bench.core.tables import written
from clir_bench.errors import UsageError
from clir_bench.results.schema import SettingsRecord
from clir_bench.tasks.measures import EVERYTHING
from clir_bench.types import Qrel, Run

SETTINGS = SettingsRecord(top_k=10, seed=0, n_resamples=200)


def ranking(order: str, relevant: str, *, query_id: str = "q") -> Ranking:
    """Return a ranking of documents such as "de1 en1 sw1"; relevance may follow a colon."""
    judged = {}
    for item in relevant.split():
        doc_id, _, level = item.partition(":")
        judged[doc_id] = int(level or 1)
    ids = tuple(order.split())
    ranks = {doc_id: rank for rank, doc_id in enumerate(ids, 1) if doc_id in judged}
    return Ranking(query_id, len(ids), ids, ranks, judged)


def languages_of(*parts: Ranking) -> dict[str, str]:
    """A document's id begins with its language."""
    ids = {doc_id for part in parts for doc_id in (*part.first, *part.relevance)}
    return {doc_id: doc_id[:2] for doc_id in ids}


def distance(
    order: str, relevant: str, *, depth: int = 5, n_documents: int = 20
) -> tuple[int, int, int] | None:
    """Return MRD at a depth, and its least and greatest over the pool."""
    one = ranking(order, relevant)
    found = rank_distance(one, languages_of(one), depth=depth, n_documents=n_documents)
    return None if found is None else (found.capped, found.at_least, found.at_most)


def peer_of(order: str, relevant: str, weights: dict[int, float] | None = None) -> float:
    one = ranking(order, relevant)
    found = peer(one, languages_of(one), weights or {1: 1.0}, cutoff=20)
    assert found is not None
    return found.value


def test_rank_distance_is_greatest_rank_less_least() -> None:
    assert distance("en1 en9 sw1 de9 de1", "en1 sw1 de1") == (4, 4, 4)
    assert distance("en1 sw1 de1 de9 sw9", "en1 sw1 de1") == (2, 2, 2)


def test_what_is_ranked_below_the_depth_counts_as_just_below_it() -> None:
    # en at 2, sw not among 5 of 20: sw is at 6 to 20.
    assert distance("de9 en1 en9 sw9 sw8", "en1 sw1") == (6 - 2, 6 - 2, 20 - 2)
    # Two are missing, so one of them is at 7 or below.
    assert distance("de9 en1 en9 sw9 sw8", "en1 sw1 de1") == (6 - 2, 7 - 2, 20 - 2)
    # A depth less than the ranking's: sw at 4 is below 3.
    assert distance("en1 en9 de9 sw1", "en1 sw1", depth=3) == (4 - 1, 4 - 1, 20 - 1)


def test_finding_nothing_counts_as_the_depth() -> None:
    # Three at 6 to 20, at best next to each other.
    assert distance("de9 en9 en8 sw9 sw8", "en1 sw1 de1") == (5, 2, 20 - 6)
    assert distance("", "en1 sw1") == (5, 1, 19)


def test_rank_distance_needs_two_languages() -> None:
    assert distance("en1 en2 sw1", "en1 en2") is None
    assert distance("en1 en2 sw1", "en1 sw1:0") is None


def test_first_relevant_document_of_a_language_counts() -> None:
    assert distance("en1 sw1 en2 sw2", "en1 en2 sw1 sw2") == (1, 1, 1)


def test_bounds_of_rank_distance_are_reached_by_some_ranking_of_the_pool() -> None:
    pool = ["en1", "en9", "sw1", "sw9", "de1", "de9", "de8"]
    relevant = "en1 sw1 de1"
    for n_ranked in range(len(pool) + 1):
        for start in permutations(pool, n_ranked):
            if list(start) != sorted(start):  # one order of each choice is enough
                continue
            rest = [doc_id for doc_id in pool if doc_id not in start]
            exact = []
            for end in permutations(rest):
                places = [(*start, *end).index(doc_id) for doc_id in relevant.split()]
                exact.append(max(places) - min(places))
            found = distance(" ".join(start), relevant, depth=n_ranked, n_documents=len(pool))
            assert found is not None
            assert found[1:] == (min(exact), max(exact)), start


def test_language_shares_are_of_the_first_ten() -> None:
    one = ranking("en1 en2 sw1 en3 en4 en5 en6 en7 en8 de1 de2 de3", "en1")
    shares = language_shares(one, languages_of(one), ["de", "en", "fr", "sw"], cutoff=10)
    assert shares == [0.1, 0.8, 0.0, 0.1]


def test_language_shares_of_a_short_ranking_are_of_what_it_has() -> None:
    one = ranking("en1 sw1", "en1")
    assert language_shares(one, languages_of(one), ["en", "sw"], cutoff=10) == [0.5, 0.5]
    assert language_shares(ranking("", "en1"), {"en1": "en"}, ["en"], cutoff=10) is None


def test_peer_is_one_where_mean_ranks_are_equal() -> None:
    assert peer_of("en1 sw1 sw2 en2", "en1 en2 sw1 sw2") == pytest.approx(1)


def test_peer_is_the_p_value_of_kruskal_and_wallis() -> None:
    # Deviations from 2.5: en -1.5 -0.5, sw 0.5 1.5. H = 3 (2 * 1 + 2 * 1) / 5 = 2.4.
    expected = math.erfc(math.sqrt(2.4 / 2))
    assert peer_of("en1 en2 sw1 sw2", "en1 en2 sw1 sw2") == pytest.approx(expected)
    # Documents of other relevance between them change no order.
    spread_out = "xx1 en1 xx2 xx3 en2 xx4 xx5 sw1 xx6 sw2"
    assert peer_of(spread_out, "en1 en2 sw1 sw2") == pytest.approx(expected)


def test_relevant_documents_not_found_are_tied_last_however_deep_the_others_are() -> None:
    # Ranks 1 2 3.5 3.5: H = 3 (2 * 1 + 2 * 1) / (2.25 + 0.25 + 1 + 1) = 8 / 3.
    expected = math.erfc(math.sqrt(8 / 3 / 2))
    relevant = "en1 en2 sw1 sw2"
    assert peer_of("en1 en2 xx1", relevant) == pytest.approx(expected)
    # The reference implementation takes rank 5.5 for sw, which would come before these.
    fillers = " ".join(f"xx{n:02}" for n in range(15))
    assert peer_of(f"{fillers} en1 xx98 xx99 en2", relevant) == pytest.approx(expected)


def test_relevant_documents_below_the_cutoff_are_not_found() -> None:
    fillers = " ".join(f"xx{n:02}" for n in range(18))
    relevant = "en1 en2 sw1 sw2"
    deep = peer_of(f"en1 en2 {fillers} sw1 sw2", relevant)
    assert deep == pytest.approx(math.erfc(math.sqrt(8 / 3 / 2)))


def test_peer_is_one_where_nothing_tells_languages_apart() -> None:
    assert peer_of("en1 en2 xx1", "en1 en2") == 1  # one language
    assert peer_of("xx1 xx2", "en1 en2 sw1 sw2") == 1  # all tied


def test_peer_weighs_relevance_levels() -> None:
    order = "en1 en2 sw1 sw2 en3 sw3 sw4 en4"
    relevant = "en1:2 en2:2 sw1:2 sw2:2 en3 en4 sw3 sw4"
    unfair = math.erfc(math.sqrt(1.2))
    assert peer_of(order, relevant, {1: 0.25, 2: 0.75}) == pytest.approx(0.25 + 0.75 * unfair)
    # A level that a query has not takes no weight from the others.
    assert peer_of(order, relevant, {2: 0.5, 3: 0.5}) == pytest.approx(unfair)
    one = ranking(order, relevant)
    assert peer(one, languages_of(one), {3: 1.0}, cutoff=20) is None


def test_peer_of_level_0_is_over_what_is_ranked_and_not_relevant() -> None:
    assert peer_of("en1 en2 sw1 sw2 de1", "de1", {0: 1.0}) == pytest.approx(
        math.erfc(math.sqrt(1.2))
    )


@pytest.mark.parametrize("order", ["en1 sw1 de1 xx1", "de1 xx1 en1 sw1", "xx1 sw1 xx2"])
def test_peer_is_not_informative_with_one_relevant_document_a_language(order: str) -> None:
    one = ranking(order, "en1 sw1 de1")
    found = peer(one, languages_of(one), {1: 1.0}, cutoff=20)
    assert found is not None and not found.informative
    # H is 2, the number of languages less one, in whatever order: exp(-2 / 2).
    assert found.value == pytest.approx(math.exp(-1))


def test_kruskal_wallis_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    for n_groups in range(2, 14):
        for _ in range(20):
            groups = [rng.integers(12, size=rng.integers(1, 9)).tolist() for _ in range(n_groups)]
            if len({value for group in groups for value in group}) > 1:
                expected = scipy.stats.kruskal(*groups).pvalue
                assert equal_rank_probability(groups) == pytest.approx(expected, rel=1e-9)


def pool(parts: dict[str, Sequence[Ranking]], sizes: dict[str, int]) -> LanguagePool:
    languages = languages_of(*(one for some in parts.values() for one in some))
    return LanguagePool(sizes, languages, parts, parallel_queries=True, settings=SETTINGS)


def test_pool_is_the_mean_over_query_languages() -> None:
    relevant = "en1 sw1"
    made = pool(
        {
            "en": [
                ranking("en1 en2 sw1 en3", relevant, query_id="a"),  # 2
                ranking("en1 sw1 en2 en3", relevant, query_id="b"),  # 1
            ],
            "sw": [
                ranking("sw1 sw2 sw3 en1", relevant, query_id="a"),  # 3
                ranking("sw1 sw2 en1 sw3", relevant, query_id="b"),  # 2
                ranking("sw2 sw3 sw4 en3", relevant, query_id="c"),  # none found: 4
            ],
        },
        {"en": 6, "sw": 2},
    )
    found = pool_disparity(made)
    assert (found.depth, found.n_documents) == (4, 8)
    bias = found.rank_distance
    assert bias is not None
    assert bias.capped.languages["en"].mean == pytest.approx(1.5)
    assert bias.capped.languages["sw"].mean == pytest.approx(3)
    assert bias.capped.overall.mean == pytest.approx(2.25)
    assert bias.none_found.languages["sw"].mean == pytest.approx(1 / 3)
    assert bias.all_found.languages["sw"].mean == pytest.approx(2 / 3)
    assert bias.at_least.languages["sw"].mean == pytest.approx((3 + 2 + 1) / 3)
    assert bias.at_most.languages["sw"].mean == pytest.approx((3 + 2 + 3) / 3)


def test_preference_is_the_share_of_the_first_ten_over_that_of_the_pool() -> None:
    made = pool(
        {
            "en": [ranking("en1 en2 sw1 en3", "en1 sw1")],  # en 3/4, sw 1/4
            "sw": [ranking("sw1 sw2 sw3 sw4", "en1 sw1")],  # en 0, sw 1
        },
        {"en": 6, "sw": 2},  # 3/4 and 1/4
    )
    found = pool_disparity(made).preferences
    assert found is not None and found.own is not None
    assert found.shares["en"] == {"en": 0.75, "sw": 0.25}
    assert found.languages["en"].top_share.mean == pytest.approx(3 / 8)
    assert found.languages["en"].preference.mean == pytest.approx((3 / 8) / (3 / 4))
    assert found.languages["sw"].preference.mean == pytest.approx((5 / 8) / (1 / 4))
    elsewhere = found.languages["sw"].elsewhere
    assert elsewhere is not None and elsewhere.mean == pytest.approx(1)
    assert found.own.languages["en"].mean == pytest.approx(1)
    assert found.own.languages["sw"].mean == pytest.approx(4)
    # Total variation: en 0; sw (3/4 + 3/4) / 2.
    assert found.distance.languages["en"].mean == pytest.approx(0)
    assert found.distance.languages["sw"].mean == pytest.approx(3 / 4)


def test_query_language_that_the_pool_has_not_has_no_preference_for_its_own() -> None:
    made = pool({"fr": [ranking("en1 sw1", "en1 sw1")]}, {"en": 1, "sw": 1})
    found = pool_disparity(made).preferences
    assert found is not None and found.own is None
    assert found.distance.overall.mean == 0


def test_measures_that_no_query_has_are_none() -> None:
    made = pool({"en": [ranking("", "en1")]}, {"en": 1})
    found = pool_disparity(made, depth=5)
    assert found.rank_distance is None
    assert found.preferences is None
    assert found.peer is not None and found.peer.informative == 0


def test_peer_of_a_pool_weighs_its_relevance_levels_alike() -> None:
    made = pool(
        {"en": [ranking("en1 en2 sw1 sw2", "en1 en2:2 sw1 sw2:2 de1:0")]}, {"en": 2, "sw": 2}
    )
    found = pool_disparity(made).peer
    assert found is not None
    assert found.weights == {1: 0.5, 2: 0.5}


def test_intervals_are_over_queries() -> None:
    rng = np.random.default_rng(0)
    relevant = "en1 sw1"
    some = []
    for n in range(60):
        order = ["en1", *(f"xx{i}" for i in range(8))]
        order.insert(int(rng.integers(1, 9)), "sw1")
        some.append(ranking(" ".join(order), relevant, query_id=f"{n:02}"))
    bias = pool_disparity(pool({"en": some}, {"en": 1, "sw": 1, "xx": 8})).rank_distance
    assert bias is not None
    value = bias.capped.overall
    values = [one.ranks["sw1"] - 1 for one in some]
    error = float(np.std(values) / math.sqrt(len(values)))
    assert value.mean == pytest.approx(np.mean(values))
    assert value.low == pytest.approx(value.mean - 1.96 * error, abs=0.5 * error)
    assert value.high == pytest.approx(value.mean + 1.96 * error, abs=0.5 * error)


def test_rankings_are_of_judged_queries_in_order() -> None:
    run = Run(
        ("b", "z", "a"),
        (("d1", "d2", "d3"), ("d1",), ("d3",)),
        (np.zeros(3, np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32)),
    )
    qrels = [Qrel("b", "d3", 1), Qrel("a", "d9", 2), Qrel("c", "d1", 1)]
    found = rankings(run, qrels, n_first=2)
    assert found == [
        Ranking("a", 1, ("d3",), {}, {"d9": 2}),
        Ranking("b", 3, ("d1", "d2"), {"d3": 3}, {"d3": 1}),
        Ranking("c", 0, (), {}, {"d1": 1}),
    ]


def test_measures_of_rankings_that_are_cut_are_called_by_the_depth_there_is() -> None:
    some = {
        "en": [ranking("en1 en2 sw1", "en1 sw2", query_id="a")],
        "sw": [ranking("sw1 sw2 en1", "en1 sw2", query_id="a")],
    }
    made = replace(pool(some, {"en": 10, "sw": 10}), reach=3)
    found = pool_disparity(made)
    assert (found.depth, found.top, found.peer_cutoff) == (3, 3, 3)
    with pytest.raises(UsageError, match="--depth 4: rankings hold 3 documents per query"):
        pool_disparity(made, 4)
    assert pool_disparity(replace(made, reach=EVERYTHING), 4).peer_cutoff == 20


def test_the_names_of_shallow_measures_are_printed_and_in_the_csv() -> None:
    made = replace(pool({"en": [ranking("en1 sw1", "en1 en2 sw1")]}, {"en": 4, "sw": 4}), reach=2)
    report = DisparityReport("s", "t", "T", "test", True, {}, pool_disparity(made))
    names = {row.measure for row in as_rows(report)}
    assert names == {"MRD@2", "language preference@2", "PEER@2"}
    text = written(disparity_tables([report]), "table")
    assert "first 2 from pool" in text and "of first 2" in text and "first 10" not in text
