"""Alignment against hand-worked numbers."""

from __future__ import annotations

import math

import pytest

from clir_bench.systems.psq.align import AlignmentSettings, Row, TermPair, align

PLAIN = AlignmentSettings(diagonal=0, null=1e-9, threshold=0, mass=1, most=255, per_count=255)
HOUSE = [TermPair(["das", "haus"], ["the", "house"]), TermPair(["das"], ["the"])]


def test_one_iteration_of_model_1_is_the_hand_worked_one() -> None:
    # Before: p(q | d) = 1/2 for all. In pair 1 each German word goes half to each English word.
    # Counts: das-the 1/2 + 1, das-house 1/2, haus-the 1/2, haus-house 1/2. Totals: the 2, house 1.
    # After iteration 1: p(das | the) = 3/4, p(das | house) = 1/2, p(haus | the) = 1/4,
    # p(haus | house) = 1/2.
    # The posterior then: das-the (3/4) / (3/4 + 1/2) = 3/5, plus 1 of pair 2; das-house 2/5;
    # haus-the (1/4) / (1/4 + 1/2) = 1/3; haus-house 2/3.
    rows = align(HOUSE, PLAIN.model_copy(update={"iterations": 1}))
    assert rows["das"].terms == pytest.approx({"the": 1.6 / 2, "house": 0.4 / 2})
    assert rows["haus"].terms == pytest.approx({"the": 1 / 3, "house": 2 / 3})
    assert rows["das"].frequency == pytest.approx(2)
    assert rows["haus"].frequency == pytest.approx(1)


def test_more_iterations_tell_the_words_apart() -> None:
    rows = align(HOUSE, PLAIN.model_copy(update={"iterations": 50}))
    assert rows["das"].terms["the"] > 0.95
    assert rows["haus"].terms["house"] > 0.95


def test_prior_prefers_the_same_place() -> None:
    pair = TermPair(["a", "b"], ["x", "y"])
    assert align([pair], PLAIN)["a"].terms == pytest.approx({"x": 0.5, "y": 0.5})
    # Distances of a: 0 to x, 1/2 to y.
    settings = PLAIN.model_copy(update={"iterations": 1, "diagonal": 4.0})
    first = 1 / (1 + math.exp(-2))
    # After iteration 1, p(a|x) = p(b|y) = first; then the prior is applied once more.
    expected = first**2 / (first**2 + (1 - first) ** 2)
    assert align([pair], settings)["a"].terms["x"] == pytest.approx(expected, abs=1e-5)


def test_null_takes_terms_that_nothing_explains() -> None:
    pairs = [TermPair(["le", "a"], ["x"]), TermPair(["le", "b"], ["y"]), TermPair(["le"], ["z"])]
    few = align(pairs, PLAIN.model_copy(update={"null": 0.01}))["le"].frequency
    many = align(pairs, PLAIN.model_copy(update={"null": 0.6}))["le"].frequency
    assert many < few < 3


def test_weight_counts_like_repetition() -> None:
    twice = align([HOUSE[0], HOUSE[1], HOUSE[1]], PLAIN)
    weighted = align([HOUSE[0], HOUSE[1]._replace(weight=2.0)], PLAIN)
    assert weighted["das"].terms == pytest.approx(twice["das"].terms, abs=1e-6)


def test_equal_input_gives_equal_rows() -> None:
    pairs = [TermPair([f"q{n % 7}", "a", f"q{n % 3}"], ["x", f"d{n % 5}"]) for n in range(50)]
    settings = AlignmentSettings()
    assert align(pairs, settings) == align(list(pairs), settings)
    assert list(align(pairs, settings)) == sorted(align(pairs, settings))


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"threshold": 0.3}, {"v", "w"}),
        ({"mass": 0.5}, {"v", "w"}),
        ({"mass": 0.4}, {"v"}),
        ({"most": 1}, {"v"}),
        ({}, {"v", "w", "x"}),
    ],
)
def test_pruning_keeps_the_most_probable_terms(change: dict[str, float], left: set[str]) -> None:
    # One query term, seen 4 times with v, 3 with w and 2 with x: .44, .33, .22.
    pairs = [TermPair(["q"], [name]) for name in "vvvvwwwxx"]
    row = align(pairs, PLAIN.model_copy(update=change))["q"]
    assert set(row.terms) == left
    assert math.fsum(row.terms.values()) == pytest.approx(1)


def test_rare_terms_keep_fewer_translations() -> None:
    pairs = [TermPair(["q"], list("abcdefghij"))]
    assert len(align(pairs, PLAIN.model_copy(update={"per_count": 2.0}))["q"].terms) == 3


@pytest.mark.parametrize(
    "pairs", [[], [TermPair([], ["x"])], [TermPair(["a"], [])], [TermPair([""], ["x" * 97])]]
)
def test_nothing_to_align_gives_no_rows(pairs: list[TermPair]) -> None:
    assert align(pairs, AlignmentSettings()) == {}


def test_one_pair_aligns() -> None:
    assert align([TermPair(["a"], ["x"])], AlignmentSettings()) == {
        "a": Row(pytest.approx(1, abs=0.1), {"x": 1.0})
    }


def test_every_iteration_is_reported() -> None:
    told: list[int] = []
    align(HOUSE, PLAIN, lambda: told.append(1))
    assert len(told) == PLAIN.iterations
