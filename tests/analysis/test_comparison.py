"""Paired differences, their tests and intervals, and rank groups, checked by other means."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from comparisons import scores_of
from numpy.typing import NDArray
from scipy import stats

from clir_bench.analysis.comparison.groups import rank_groups
from clir_bench.analysis.comparison.paired import (
    Difference,
    ResamplingSettings,
    WinCounts,
    paired_differences,
)
from clir_bench.analysis.comparison.targets import overall_weights, targets_of
from clir_bench.errors import DataError, UsageError
from clir_bench.metrics import significance
from clir_bench.metrics.means import summarise
from clir_bench.metrics.significance import Block, flip_test, holm
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair

MEASURE = "nDCG@10"
SCHEME = TierScheme("test", "", {"sw": "low", "so": "low", "hi": "mid", "de": "high", "en": "high"})
FAST = ResamplingSettings(n_flips=999, n_resamples=400)


def one_block(values: Any, seed: int = 0) -> list[Block]:
    columns = np.asarray(values, dtype=np.float64)
    if columns.ndim == 1:
        columns = columns[:, None]
    return [Block(np.arange(columns.shape[1]), columns, np.random.default_rng(seed))]


def p_of(values: Any, n_flips: int = 10_000, seed: int = 0) -> float:
    test = flip_test(one_block(values, seed), np.eye(1), n_flips=n_flips)
    return float(test.p_values[0])


def scipy_p(values: Any) -> float:
    """All sign flips, two-sided, by SciPy."""
    done = stats.permutation_test(
        (np.asarray(values),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    return float(done.pvalue)


def differences(
    baseline: Any, system: Any, *, parallel: bool = True, settings: ResamplingSettings = FAST
) -> dict[str, Difference]:
    found = paired_differences(
        scores_of(baseline), scores_of(system), MEASURE,
        scheme=SCHEME, parallel_queries=parallel, settings=settings,
    )  # fmt: skip
    return {f"{d.target.level} {d.target.name}": d for d in found}


def groups(systems: dict[str, Any], **options: Any) -> dict[str, int]:
    scores = {name: scores_of(values) for name, values in systems.items()}
    options = {"scheme": SCHEME, "parallel_queries": True, "n_resamples": 999} | options
    return rank_groups(scores, MEASURE, **options)


# The randomization test


def test_three_differences_of_one_sign_have_two_extreme_flips_of_eight() -> None:
    # The sums of +-1 +-2 +-3 are 6, 0, 2, -4 and their negatives: 6 and -6 are as extreme.
    assert p_of([1, 2, 3]) == 2 / 8


@pytest.mark.parametrize("seed", range(5))
def test_exact_p_value_is_scipys(seed: int) -> None:
    # Integers add up exactly; their tenths do not, and must make the same ties all the same.
    values = np.random.default_rng(seed).integers(-3, 6, size=11)
    assert p_of(values / 10) == pytest.approx(scipy_p(values), abs=1e-12)


def test_drawn_p_value_is_near_the_exact_one() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, size=17)
    exact = scipy_p(values)  # 2^17 flips; the test below draws 4,000
    drawn = p_of(values, n_flips=4_000)
    assert abs(drawn - exact) < 4 * np.sqrt(exact * (1 - exact) / 4_000)


def test_drawn_p_value_counts_the_observed_flip() -> None:
    # Nothing drawn is as extreme as 60 equal differences: (0 + 1) / (999 + 1).
    assert p_of(np.ones(60), n_flips=999) == 1 / 1000


def test_systems_without_a_difference_have_p_value_one() -> None:
    assert p_of(np.zeros(500)) == 1.0


def test_questions_without_a_difference_change_nothing() -> None:
    assert p_of([1, 2, 3, *[0] * 300]) == p_of([1, 2, 3])


def test_sums_that_cancel_but_for_rounding_have_p_value_one() -> None:
    columns = np.random.default_rng(0).normal(size=(300, 1)) @ [[0.1, 0.2, 0.3]]
    test = flip_test(one_block(columns), np.array([[1.0], [1.0], [-1.0]]))
    assert test.p_values.tolist() == [1.0]
    assert test.exact.tolist() == [True]


def test_p_value_is_below_alpha_as_often_as_alpha_says() -> None:
    generator = np.random.default_rng(0)
    columns = generator.standard_t(3, size=(40, 2000))  # 2,000 experiments of 40 questions
    test = flip_test(one_block(columns), np.eye(2000), n_flips=999)
    share = float(np.mean(test.p_values <= 0.05))
    assert 0.035 < share < 0.065  # 0.05 +- 3 standard errors


def test_questions_beyond_one_slab_are_all_used(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(0.1, 1, size=500)
    whole = p_of(values, n_flips=5000)
    monkeypatch.setattr(significance, "_SLAB", 64)
    monkeypatch.setattr(significance, "_CHUNK", 100)
    test = flip_test(one_block(values), np.eye(1), n_flips=5000)
    assert test.observed[0] == pytest.approx(values.sum())
    assert test.p_values[0] == pytest.approx(whole, abs=0.03)


def test_holm_is_as_worked_by_hand() -> None:
    # 4 x 0.01, 3 x 0.02, 2 x 0.03 and 1 x 0.04, the last two raised to the one before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_never_exceeds_one_and_keeps_a_single_test() -> None:
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


# The means that are compared

PAIRS = {"sw-en": 40, "en-sw": 40, "so-en": 25, "hi-en": 30, "de-en": 35, "de-de": 20}


def random_values(seed: int, shift: float = 0.0) -> dict[str, NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    return {name: generator.random(n) + shift for name, n in PAIRS.items()}


def test_weights_give_the_means_that_results_have() -> None:
    scores = scores_of(random_values(1))
    summary = summarise(scores, SCHEME, parallel_queries=True, n_resamples=10)
    targets, weights = targets_of(list(scores), SCHEME)
    means = np.array([pair.means()[MEASURE] for pair in scores.values()]) @ weights
    found = {(t.level, t.name): m for t, m in zip(targets, means.tolist(), strict=True)}
    for name, group in summary.languages.items():
        assert found["language", name] == pytest.approx(group.scores[MEASURE].mean)
    for name, group in summary.tiers.items():
        assert found["tier", name] == pytest.approx(group.scores[MEASURE].mean)
    assert found["overall", "all languages"] == pytest.approx(summary.overall[MEASURE].mean)
    assert found["gap", "high - low"] == pytest.approx(summary.gap[MEASURE].mean)


def test_no_gap_without_a_low_tier() -> None:
    targets, _ = targets_of([LanguagePair("de", "en"), LanguagePair("hi", "en")], SCHEME)
    assert "gap" not in {target.level for target in targets}


def test_overall_weighs_languages_alike_whatever_their_pairs() -> None:
    pairs = [LanguagePair.parse(name) for name in ("sw-en", "en-sw", "so-en")]
    assert overall_weights(pairs, SCHEME).tolist() == [0.25, 0.25, 0.5]


def test_difference_is_of_the_means_and_the_gap_of_the_gaps() -> None:
    baseline, system = random_values(1), random_values(2, shift=0.1)
    found = differences(baseline, system)
    for row in found.values():
        assert row.difference.mean == pytest.approx(row.system - row.baseline)
    high, low = found["tier high"], found["tier low"]
    gap = found["gap high - low"]
    assert gap.system == pytest.approx(high.system - low.system)
    assert gap.difference.mean == pytest.approx(high.difference.mean - low.difference.mean)


# Paired differences


def test_pair_is_as_worked_by_hand() -> None:
    found = differences({"sw-en": [0.0, 0.5, 0.5, 1.0]}, {"sw-en": [0.5, 0.5, 1.0, 0.8]})
    row = found["pair sw-en"]
    # Differences 0.5, 0, 0.5, -0.2: mean 0.2; squared deviations 0.09 + 0.04 + 0.09 + 0.16 = 0.38,
    # variance 0.38 / 3. The 8 sums of +-0.5 +-0.5 +-0.2 are 1.2, 0.8, 0.2, 0.2 and their negatives,
    # of which four are at least as far from zero as the observed 0.8.
    assert row.difference.mean == pytest.approx(0.2)
    assert row.effect_size == pytest.approx(0.2 / (0.38 / 3) ** 0.5)
    assert row.counts == WinCounts(wins=2, ties=1, losses=1)
    assert row.p_value == 4 / 8
    assert row.exact


def test_effect_size_over_pairs_divides_by_the_root_of_their_mean_variance() -> None:
    one, two = np.array([0.1, 0.3]), np.array([0.2, 0.8])  # variances 0.02 and 0.18
    zero = {"sw-en": [0.0, 0.0], "so-en": [0.0, 0.0]}
    found = differences(zero, {"sw-en": one, "so-en": two})
    assert found["tier low"].effect_size == pytest.approx(0.35 / 0.1**0.5)


def test_effect_size_is_none_where_it_cannot_be_estimated() -> None:
    found = differences(
        {"sw-en": [0.1], "so-en": [0.1, 0.2]}, {"sw-en": [0.3], "so-en": [0.2, 0.3]}
    )
    assert found["pair sw-en"].effect_size is None  # one query
    assert found["pair so-en"].effect_size is None  # equal differences


def test_interval_of_a_pair_is_scipys_percentile_interval() -> None:
    generator = np.random.default_rng(5)
    baseline, system = generator.random(80), generator.random(80)
    row = differences(
        {"sw-en": baseline},
        {"sw-en": system},
        settings=ResamplingSettings(n_flips=100, n_resamples=5000),
    )["pair sw-en"]
    theirs = stats.bootstrap(
        (system - baseline,), np.mean, n_resamples=5000, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert row.difference.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert row.difference.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_translations_of_one_question_change_signs_together() -> None:
    values = [0.1, 0.2, 0.3, 0.4]
    zero = [0.0] * 4
    baseline = {"sw-en": zero, "so-en": zero}
    system = {"sw-en": values, "so-en": values}
    together = differences(baseline, system, parallel=True)["overall all languages"]
    apart = differences(baseline, system, parallel=False)["overall all languages"]
    assert together.p_value == 2 / 2**4  # four questions
    assert apart.p_value == 2 / 2**8  # eight


def test_system_equal_to_the_baseline_differs_nowhere() -> None:
    values = random_values(1)
    for row in differences(values, values).values():
        assert (row.p_value, row.difference.mean, row.effect_size) == (1.0, 0.0, None)


def test_gap_of_parallel_questions_is_the_test_of_each_questions_gap() -> None:
    generator = np.random.default_rng(8)
    low, high = generator.random(9), generator.random(9) + 0.3
    zero = [0.0] * 9
    found = differences({"sw-en": zero, "de-en": zero}, {"sw-en": low, "de-en": high})
    assert found["gap high - low"].p_value == pytest.approx(scipy_p(high - low))


def gap_p_values(common: float, gap: float, n: int = 12, times: int = 150) -> NDArray[np.float64]:
    """Return p-values of a gap whose tiers have questions of their own."""
    generator = np.random.default_rng(4)
    names = {"sw-en": -0.2, "so-en": 0.2, "de-de": 0.3 + gap, "en-en": -0.3 + gap}
    zero = {name: [0.0] * n for name in names}
    found = []
    for _ in range(times):
        system = {name: generator.normal(common + by, 0.3, n) for name, by in names.items()}
        ids = {name: [f"{name}{i:02}" for i in range(n)] for name in names}
        rows = paired_differences(
            scores_of(zero, ids=ids), scores_of(system, ids=ids), MEASURE, scheme=SCHEME,
            parallel_queries=False, settings=ResamplingSettings(n_flips=199, n_resamples=100),
        )  # fmt: skip
        found.append(next(row.p_value for row in rows if row.target.level == "gap"))
    return np.array(found)


@pytest.mark.parametrize("common", [0.0, 0.5])
def test_gap_is_not_found_where_a_system_is_better_in_both_tiers_alike(common: float) -> None:
    share = float(np.mean(gap_p_values(common, 0.0) <= 0.05))
    assert share < 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_gap_is_found_whatever_both_tiers_have_in_common() -> None:
    # Each tier's mean has a standard error of 0.3 / sqrt(24), so 0.25 is 2.9 of the difference's.
    with_common, without = gap_p_values(0.5, 0.25), gap_p_values(0.0, 0.25)
    assert np.mean(without <= 0.05) > 0.7
    assert np.mean(with_common <= 0.05) == pytest.approx(np.mean(without <= 0.05), abs=0.02)


def test_result_does_not_depend_on_other_pairs_or_on_the_run() -> None:
    baseline, system = random_values(1), random_values(2)
    whole = differences(baseline, system, parallel=False)
    again = differences(baseline, system, parallel=False)
    alone = differences({"hi-en": baseline["hi-en"]}, {"hi-en": system["hi-en"]}, parallel=False)
    assert whole == again
    assert alone["pair hi-en"] == whole["pair hi-en"]


def test_different_queries_are_refused() -> None:
    with pytest.raises(DataError, match="sw-en: the baseline and the system have values of diff"):
        differences({"sw-en": [0.1, 0.2]}, {"sw-en": [0.1, 0.2, 0.3]})


# Rank groups


def test_systems_that_cannot_be_told_apart_share_a_rank() -> None:
    generator = np.random.default_rng(0)
    base = generator.random(60)
    systems = {
        "good": {"sw-en": base + 0.5},
        "as good": {"sw-en": base + 0.5 + generator.normal(0, 0.2, 60)},
        "poor": {"sw-en": base},
    }
    ranks = groups(systems)
    assert ranks == {"good": 1, "as good": 1, "poor": 2}
    assert list(ranks)[-1] == "poor"


def test_rank_groups_do_not_depend_on_the_order_of_systems() -> None:
    systems = {f"s{n}": random_values(n, shift=n / 20) for n in range(4)}
    found = {
        tuple(groups({name: systems[name] for name in order}).items())
        for order in itertools.permutations(systems)
    }
    assert len(found) == 1


def test_rank_groups_follow_the_order_of_the_means() -> None:
    systems = {f"s{n}": random_values(n, shift=n / 30) for n in range(8)}
    ranks = list(groups(systems).values())
    assert ranks == sorted(ranks)
    assert set(ranks) == set(range(1, max(ranks) + 1))


def test_next_group_is_led_by_the_first_that_is_worse_than_the_leader() -> None:
    # b is worse than a on every question; c, with a lower mean yet, is so erratic that it cannot
    # be told from a, but it stands below b, so it cannot rank above it.
    a = np.full(40, 0.8)
    b = a - 0.02
    c = a - 0.05 + np.tile([0.75, -0.75], 20)
    assert groups({"a": {"sw-en": a}, "b": {"sw-en": b}, "c": {"sw-en": c}}) == {
        "a": 1, "b": 2, "c": 2,
    }  # fmt: skip


def test_identical_systems_share_a_rank_and_one_alone_leads() -> None:
    values = {"sw-en": [0.1, 0.9]}
    assert groups({"a": values, "b": values}) == {"a": 1, "b": 1}
    assert groups({"a": values}) == {"a": 1}


def test_ranking_is_by_the_mean_over_languages_not_over_queries() -> None:
    generator = np.random.default_rng(0)
    many, few = generator.random(200) / 10, generator.random(20) / 10
    systems = {
        "on many": {"sw-en": many + 0.5, "de-en": few},
        "on few": {"sw-en": many, "de-en": few + 0.6},
    }
    assert groups(systems, parallel_queries=False)["on few"] == 1


def test_rank_groups_need_the_same_pairs_and_a_system() -> None:
    with pytest.raises(DataError, match="a and b have values of different pairs: de-en"):
        groups({"a": {"sw-en": [0.1]}, "b": {"sw-en": [0.1], "de-en": [0.2]}})
    with pytest.raises(UsageError, match="no system"):
        groups({})
