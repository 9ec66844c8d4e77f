"""Gap, ratio, worst language and spread over languages, on values whose arithmetic is here."""

from __future__ import annotations

import json
import math
import statistics

import numpy as np
import pytest

from clir_bench.analysis.disparity.report import as_record
from clir_bench.analysis.disparity.summary import Disparity, apart, disparities
from clir_bench.errors import UsageError
from clir_bench.metrics.means import Estimate, summarise
from clir_bench.metrics.scoring import QueryScores
from clir_bench.tasks.languages import TierScheme, load_scheme
from clir_bench.types import LanguagePair

SCHEME = TierScheme("mine", "", {"sw": "low", "so": "low", "hi": "mid", "de": "high", "fr": "high"})


def scores(values: dict[str, list[float]]) -> dict[LanguagePair, QueryScores]:
    """Return monolingual pairs' values of one measure, of the same queries."""
    return {
        LanguagePair(code, code): QueryScores(
            tuple(f"q{n}" for n in range(len(column))), ("AP",), np.array(column)[:, None]
        )
        for code, column in values.items()
    }


def disparity(values: dict[str, list[float]], scheme: TierScheme = SCHEME) -> Disparity:
    return disparities(scores(values), scheme, parallel_queries=True, n_resamples=200)["AP"]


FIVE = {
    "sw": [0.1, 0.3],  # 0.2
    "so": [0.4, 0.4],  # 0.4
    "hi": [0.5, 0.7],  # 0.6
    "de": [0.8, 1.0],  # 0.9
    "fr": [0.6, 0.8],  # 0.7
}


def test_every_two_tiers_are_compared_the_widest_apart_first() -> None:
    found = disparity(FIVE)
    gaps = {(c.upper, c.lower): c.gap.mean for c in found.contrasts}
    assert list(gaps) == [("high", "low"), ("mid", "low"), ("high", "mid")]
    assert gaps["high", "low"] == pytest.approx(0.8 - 0.3)
    assert gaps["mid", "low"] == pytest.approx(0.6 - 0.3)
    assert gaps["high", "mid"] == pytest.approx(0.8 - 0.6)
    ratios = [c.ratio.mean for c in found.contrasts if c.ratio]
    assert ratios == pytest.approx([0.3 / 0.8, 0.3 / 0.6, 0.6 / 0.8])


def test_gap_and_ratio_are_those_that_results_have() -> None:
    rng = np.random.default_rng(0)
    values = scores({code: rng.random(40).tolist() for code in FIVE})
    found = disparities(values, SCHEME, parallel_queries=True, seed=3)["AP"]
    summary = summarise(values, SCHEME, parallel_queries=True, seed=3)
    assert found.gap == summary.gap["AP"]
    assert found.ratio == summary.ratio["AP"]
    assert found.worst == summary.worst["AP"]
    assert found.overall == summary.overall["AP"]


def test_tasks_without_low_resource_languages_have_a_gap_between_the_tiers_they_have() -> None:
    found = disparity({"hi": [0.5, 0.7], "de": [0.8, 1.0]})
    assert found.gap is None and found.ratio is None
    contrast = found.contrast("high", "mid")
    assert contrast is not None and contrast.gap.mean == pytest.approx(0.3)
    assert found.contrast("high", "low") is None


def test_languages_in_no_tier_count_for_the_spread_alone() -> None:
    found = disparity({"de": [0.8, 1.0], "en": [0.1, 0.1]})
    assert found.contrasts == ()
    assert found.tiers["unknown"].languages == ("en",)
    assert found.worst == "en"


def test_spread_is_as_statistics_computes_it() -> None:
    means = [0.2, 0.4, 0.6, 0.9, 0.7]
    spread = disparity(FIVE).spread
    assert spread is not None and spread.variation is not None
    assert spread.standard_deviation.mean == pytest.approx(statistics.pstdev(means))
    assert spread.range.mean == pytest.approx(0.7)
    assert spread.variation.mean == pytest.approx(statistics.pstdev(means) / 0.56)


def test_gini_is_half_the_relative_mean_difference() -> None:
    means = [0.2, 0.4, 0.6, 0.9, 0.7]
    by_definition = sum(abs(a - b) for a in means for b in means) / (2 * 25 * 0.56)
    spread = disparity(FIVE).spread
    assert spread is not None and spread.gini is not None
    assert spread.gini.mean == pytest.approx(by_definition)
    # One language has everything, four nothing: (n - 1) / n.
    alone = disparity({**{code: [0.0, 0.0] for code in FIVE}, "de": [1.0, 1.0]}).spread
    assert alone is not None and alone.gini is not None
    assert alone.gini.mean == pytest.approx(4 / 5)


def test_equal_languages_have_no_spread() -> None:
    spread = disparity({code: [0.1, 0.5, 0.9] for code in FIVE}).spread
    assert spread is not None
    for value in (spread.standard_deviation, spread.range, spread.variation, spread.gini):
        assert value is not None
        assert (value.mean, value.low, value.high) == pytest.approx((0, 0, 0))


def test_spread_that_chance_makes_has_0_in_its_interval() -> None:
    rng = np.random.default_rng(0)
    values = {code: rng.random(30).tolist() for code in FIVE}
    spread = disparities(scores(values), SCHEME, parallel_queries=False)["AP"].spread
    assert spread is not None and spread.gini is not None
    for value in (spread.standard_deviation, spread.range, spread.gini):
        assert value.mean > 0 and value.low == 0


def test_interval_of_the_spread_covers_the_true_one_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    true_means = np.array([0.45, 0.5, 0.55, 0.5, 0.5])
    covered = 0
    for seed in range(40):
        noise = rng.normal(0, 0.3, size=(60, 5))
        values = dict(zip(FIVE, (true_means + noise).T.tolist(), strict=True))
        found = disparities(
            scores(values), SCHEME, parallel_queries=False, n_resamples=200, seed=seed
        )["AP"].spread
        assert found is not None
        interval = found.standard_deviation
        covered += interval.low <= float(true_means.std()) <= interval.high
    assert covered >= 36  # percentiles of the replicates' own spread cover it 29 times


def test_what_cannot_be_divided_by_is_left_out() -> None:
    found = disparity({"sw": [0.0, 0.0], "de": [0.0, 0.0]})
    (contrast,) = found.contrasts
    assert contrast.gap == Estimate(0, 0, 0) and contrast.ratio is None
    assert found.spread is not None
    assert found.spread.variation is None and found.spread.gini is None


def test_one_language_has_no_spread() -> None:
    assert disparity({"sw": [0.1, 0.3]}).spread is None


def test_worst_share_says_how_sure_the_worst_language_is() -> None:
    # hi is always above sw; so is worse than sw when q0, where it has 0, is drawn twice: 1/4.
    found = disparity({"sw": [0.2, 0.2], "so": [0.0, 0.5], "hi": [0.9, 0.9]})
    assert found.worst == "sw"
    assert found.worst_share == pytest.approx(3 / 4, abs=0.1)
    assert disparity({"sw": [0.1, 0.1], "de": [0.9, 0.8]}).worst_share == 1


def test_interval_of_a_gap_knows_that_the_questions_are_the_same() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(50)
    values = scores({"sw": (hard / 2).tolist(), "de": (hard / 2 + 0.2).tolist()})
    together = disparities(values, SCHEME, parallel_queries=True)["AP"].gap
    apart_ = disparities(values, SCHEME, parallel_queries=False)["AP"].gap
    assert together is not None and apart_ is not None
    assert together.high - together.low == pytest.approx(0, abs=1e-9)
    assert apart_.high - apart_.low > 0.05


def test_languages_and_tiers_come_lower_resourced_first_whatever_the_order_of_pairs() -> None:
    for values in (FIVE, dict(reversed(FIVE.items()))):
        found = disparity(values)
        assert list(found.languages) == ["so", "sw", "hi", "de", "fr"]
        assert list(found.tiers) == ["low", "mid", "high"]
        assert found.tiers["high"].languages == ("de", "fr")


def test_pool_and_pairs_are_never_averaged() -> None:
    values = scores({"sw": [0.1, 0.3]})
    values |= {LanguagePair("sw", "mul"): values[LanguagePair("sw", "sw")]}
    with pytest.raises(UsageError, match=r"en-mul.*never averaged"):
        disparities(values, SCHEME, parallel_queries=True)
    parts = apart(values)
    assert {part: list(map(str, some)) for part, some in parts.items()} == {
        "pairs": ["sw-sw"],
        "pool": ["sw-mul"],
    }


def test_no_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="no pair"):
        disparities({}, SCHEME, parallel_queries=True)


def test_record_is_json_without_replicates() -> None:
    record = as_record(disparity(FIVE, load_scheme("joshi")))
    text = json.dumps(record, allow_nan=False)
    assert "replicates" not in text
    assert set(record["overall"]) == {"mean", "interval"}
    assert math.isclose(record["languages"]["de"]["score"]["mean"], 0.9)
