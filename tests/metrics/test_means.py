"""Means worked by hand, and intervals against scipy's bootstrap and properties of resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from clir_bench.metrics.means import Estimate, Summary, mean_of_tasks, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair, Tier

TIERS: dict[str, Tier] = {"sw": "low", "so": "low", "hi": "mid", "de": "high", "en": "high"}
SCHEME = TierScheme("test", "for tests", TIERS)


def values(column: Sequence[float], ids: Sequence[str] | None = None) -> QueryScores:
    names = tuple(ids or (f"q{number:03}" for number in range(len(column))))
    return QueryScores(names, ("AP",), np.array(column, dtype=np.float64)[:, None])


def summary(scores: Mapping[str, QueryScores], parallel: bool = True, **settings: int) -> Summary:
    pairs = {LanguagePair(*name.split("-")): of_pair for name, of_pair in scores.items()}
    return summarise(pairs, SCHEME, parallel_queries=parallel, **settings)


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def random_values(n: int, seed: int) -> QueryScores:
    return values(np.random.default_rng(seed).beta(0.5, 0.5, n).tolist())


BY_HAND = {
    "en-sw": values([1.0, 0.0, 0.5, 0.5]),  # 0.5
    "sw-en": values([0.1]),  # 0.1, so sw: 0.3, though its five queries pooled give 0.42
    "en-so": values([0.7, 0.7]),  # so: 0.7
    "en-de": values([0.8]),  # de: 0.8
    "en-en": values([1.0, 0.9]),  # en: 0.95
    "en-hi": values([0.2]),  # hi: 0.2
}


def test_means_go_from_pairs_to_languages_to_tiers_to_all() -> None:
    found = summary(BY_HAND)
    assert {str(pair): scores["AP"].mean for pair, scores in found.pairs.items()} == pytest.approx(
        {"en-sw": 0.5, "sw-en": 0.1, "en-so": 0.7, "en-de": 0.8, "en-en": 0.95, "en-hi": 0.2}
    )
    means = {language: group.scores["AP"].mean for language, group in found.languages.items()}
    assert means == pytest.approx({"sw": 0.3, "so": 0.7, "de": 0.8, "en": 0.95, "hi": 0.2})
    tiers = {tier: group.scores["AP"].mean for tier, group in found.tiers.items()}
    assert tiers == pytest.approx({"low": 0.5, "mid": 0.2, "high": 0.875})
    assert found.overall["AP"].mean == pytest.approx((0.3 + 0.7 + 0.8 + 0.95 + 0.2) / 5)


def test_members_of_languages_and_tiers_are_named() -> None:
    found = summary(BY_HAND)
    assert found.languages["sw"].members == ("en-sw", "sw-en")
    assert found.languages["sw"].tier == "low"
    assert found.tiers["low"].members == ("sw", "so")
    assert found.tiers["high"].tier == "high"


def test_gap_is_high_minus_low_and_ratio_is_low_over_high() -> None:
    found = summary(BY_HAND)
    assert found.gap["AP"].mean == pytest.approx(0.875 - 0.5)
    assert found.ratio["AP"].mean == pytest.approx(0.5 / 0.875)
    assert found.worst == {"AP": "hi"}


def test_language_with_many_queries_weighs_no_more_than_one_with_few() -> None:
    found = summary({"en-sw": values([1.0]), "en-so": values([0.0] * 99)})
    assert found.tiers["low"].scores["AP"].mean == 0.5
    assert found.overall["AP"].mean == 0.5


def test_unknown_tier_is_no_part_of_low_and_high_but_of_the_overall_score() -> None:
    found = summary({"en-sw": values([0.2]), "en-de": values([0.8]), "en-fj": values([0.5])})
    assert found.languages["fj"].tier == "unknown"
    assert found.tiers["low"].members == ("sw",)
    assert found.tiers["unknown"].members == ("fj",)
    assert found.gap["AP"].mean == pytest.approx(0.6)
    assert found.overall["AP"].mean == pytest.approx(0.5)


def test_pool_of_languages_counts_for_its_query_language() -> None:
    found = summary({"sw-mul": values([0.4]), "de-mul": values([0.6])})
    assert set(found.languages) == {"sw", "de"}
    assert found.languages["sw"].tier == "low"
    assert found.gap["AP"].mean == pytest.approx(0.2)


def test_worst_of_equal_languages_is_the_first_by_code() -> None:
    assert summary({"en-sw": values([0.1]), "en-so": values([0.1])}).worst == {"AP": "so"}


def test_gap_and_ratio_are_empty_without_both_tiers() -> None:
    found = summary({"en-sw": values([0.5]), "en-hi": values([0.5])})
    assert (found.gap, found.ratio) == ({}, {})


def test_ratio_to_a_high_tier_of_zero_is_left_out() -> None:
    found = summary({"en-sw": values([0.5, 0.5]), "en-de": values([0.0, 0.0])})
    assert found.ratio == {}
    assert found.gap["AP"].mean == -0.5


def test_every_measure_is_summed_up_on_its_own() -> None:
    columns = np.array([[1.0, 0.2], [0.0, 0.4]])
    of_pair = QueryScores(("a", "b"), ("AP", "RR@10"), columns)
    found = summary({"en-sw": of_pair, "en-de": QueryScores(("a", "b"), of_pair.measures, columns)})
    assert found.overall["AP"].mean == 0.5
    assert found.overall["RR@10"].mean == pytest.approx(0.3)
    assert set(found.worst) == {"AP", "RR@10"}


@pytest.mark.parametrize("n", [20, 300])
def test_interval_of_a_pair_is_the_percentile_bootstrap_of_scipy(n: int) -> None:
    from scipy.stats import bootstrap

    of_pair = random_values(n, seed=n)
    column = of_pair.values[:, 0]
    reference = bootstrap(
        (column,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    found = summary({"en-sw": of_pair}, n_resamples=20_000).pairs[LanguagePair("en", "sw")]["AP"]
    assert found.mean == pytest.approx(column.mean())
    tolerance = 0.03 * (reference.high - reference.low)
    assert found.low == pytest.approx(reference.low, abs=tolerance)
    assert found.high == pytest.approx(reference.high, abs=tolerance)


def test_interval_of_a_language_treats_pairs_of_other_questions_as_independent() -> None:
    # Two independent means of standard error s each: their mean's is s / sqrt(2).
    one, other = random_values(400, 1), random_values(400, 2)
    found = summary({"en-sw": one, "sw-en": other}, parallel=False, n_resamples=4000)
    errors = [scores.values.std() / np.sqrt(400) for scores in (one, other)]
    expected = 2 * 1.96 * np.hypot(*errors) / 2
    assert width(found.languages["sw"].scores["AP"]) == pytest.approx(expected, rel=0.05)


def test_parallel_questions_are_resampled_together() -> None:
    low = random_values(200, 3)
    high = values((low.values[:, 0] + 0.25).tolist())
    together = summary({"sw-sw": low, "de-de": high}, parallel=True)
    apart = summary({"sw-sw": low, "de-de": high}, parallel=False)
    assert together.gap["AP"].mean == pytest.approx(0.25)
    assert width(together.gap["AP"]) == pytest.approx(0, abs=1e-12)
    assert width(apart.gap["AP"]) > 0.1


def test_one_query_language_is_resampled_together_even_where_languages_are_not_parallel() -> None:
    low = random_values(200, 3)
    high = values((low.values[:, 0] + 0.25).tolist())
    found = summary({"en-sw": low, "en-de": high}, parallel=False)
    assert width(found.gap["AP"]) == pytest.approx(0, abs=1e-12)


def test_interval_of_a_pair_does_not_depend_on_the_other_pairs() -> None:
    sw, de, other = random_values(50, 1), random_values(50, 2), random_values(7, 3)
    other = QueryScores(tuple(f"x{n}" for n in range(7)), other.measures, other.values)
    pair = LanguagePair("en", "sw")
    alone = summary({"en-sw": sw}).pairs[pair]
    assert summary({"en-de": de, "en-sw": sw}).pairs[pair] == alone
    assert summary({"en-sw": sw, "en-so": other}).pairs[pair] == alone


def test_ids_that_only_some_pairs_have_keep_every_pair_at_its_number_of_queries() -> None:
    # A constant pair's replicates are its constant only if each draws as many values as it has.
    shared = [f"q{number}" for number in range(10)]
    found = summary(
        {
            "en-sw": values([1.0] * 10, shared),
            "en-de": values([1.0] * 25, [*shared, *(f"r{number}" for number in range(15))]),
        }
    )
    for scores in found.pairs.values():
        assert scores["AP"] == Estimate(1.0, 1.0, 1.0)


def test_constant_values_have_an_interval_of_no_width() -> None:
    found = summary({"en-sw": values([0.3] * 40), "en-de": values([0.7] * 40)})
    for estimate in (found.overall["AP"], found.gap["AP"], found.ratio["AP"]):
        assert width(estimate) == pytest.approx(0, abs=1e-12)


def test_interval_holds_its_mean() -> None:
    found = summary({"en-sw": random_values(60, 1), "en-de": random_values(60, 2)})
    for estimate in (found.overall["AP"], found.gap["AP"], found.ratio["AP"]):
        assert estimate.low < estimate.mean < estimate.high


def test_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    scores = {"en-sw": random_values(60, 1), "en-de": random_values(60, 2)}
    assert summary(scores, seed=1) == summary(scores, seed=1)
    assert summary(scores, seed=1).gap != summary(scores, seed=2).gap


def test_order_of_pairs_changes_no_number() -> None:
    backwards = summary(dict(reversed(BY_HAND.items())))
    found = summary(BY_HAND)
    assert backwards.pairs == found.pairs
    assert backwards.worst == found.worst
    assert backwards.overall["AP"].mean == pytest.approx(found.overall["AP"].mean, abs=1e-15)


def test_mean_of_tasks_weighs_tasks_alike_and_is_as_sure_as_they_are() -> None:
    first = summary({"en-sw": random_values(400, 1), "en-de": random_values(400, 2)})
    second = summary({"en-so": random_values(50, 3)})
    both = mean_of_tasks([(first, "AP"), (second, "AP")])
    assert both.mean == pytest.approx((first.overall["AP"].mean + second.overall["AP"].mean) / 2)
    # The variances of independent means add up: half the width of both in the root of squares.
    widths = [width(found.overall["AP"]) for found in (first, second)]
    assert width(both) == pytest.approx(float(np.hypot(*widths)) / 2, rel=0.1)
    assert mean_of_tasks([(second, "AP")]) == second.overall["AP"]
