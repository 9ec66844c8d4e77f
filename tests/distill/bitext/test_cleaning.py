"""What is dropped of bitext and why, and how lines are brought into step."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import pytest
from bitext_files import ENGLISH, SWAHILI, dropped, lines, read

from clir_bench.distill.bitext.alignment import align
from clir_bench.distill.bitext.cleaning import CleaningRules, clean_text, fault
from clir_bench.distill.bitext.scripts import detect, letters_of, share
from clir_bench.errors import DataError
from clir_bench.tasks.languages import all_languages

RULES = CleaningRules()


# --- cleaning


def test_texts_are_composed_and_single_spaced_and_otherwise_left_alone() -> None:
    assert clean_text("  e\u0301te\u0301\t \u00a0“Ａ”\u200c½ ") == "été “Ａ”\u200c½"


@pytest.mark.parametrize(
    ("english", "foreign", "script", "why"),
    [
        ("The goats have eaten the mat.", "Mbuzi wamekula mkeka.", "Latn", None),
        ("The goats have eaten the mat.", "", "Latn", "empty"),
        (
            "The goats have eaten.",
            "Mbuzi \x95wamekula",
            "Latn",
            "broken_characters",
        ),
        ("a" * 1001, "b" * 1001, "Latn", "too_long"),
        ("a" * 1000, "b" * 1000, "Latn", None),
        ("10:30", "saa nne", "Latn", "no_letters"),
        ("Radio Kisumu", "Radio Kisumu", "Latn", "copy"),
        ("The goats have eaten.", "Козы съели циновку.", "Latn", "wrong_script"),
        ("Козы съели циновку.", "Mbuzi wamekula mkeka.", "Latn", "wrong_script"),
        ("The vaccine Pfizer-BioNTech.", "टीका Pfizer-BioNTech BNT", "Deva", "wrong_script"),
        # (60 + 15) / (15 + 15) = 2.5, and one character more is above it
        ("a" * 15, "b" * 60, "Latn", None),
        ("a" * 15, "b" * 61, "Latn", "length_ratio"),
        # ten Chinese characters stand for 25 of English: (85 + 15) / (25 + 15) = 2.5
        ("a" * 85, "羊" * 10, "Hans", None),
        ("a" * 86, "羊" * 10, "Hans", "length_ratio"),
    ],
)
def test_pair_is_dropped_for_the_first_reason_there_is(
    english: str, foreign: str, script: str, why: str | None
) -> None:
    assert fault(english, foreign, script, RULES) == why


def test_half_a_file_in_the_wrong_script_is_let_pass_and_more_is_not(tmp_path: Path) -> None:
    russian = ("Козы съели.", "Рынок открыт на рассвете.")
    settings: dict[str, Any] = {"format": "lines", "path": "text.sw", "english": "text.en"}
    lines(tmp_path, "text.en", (*ENGLISH, "It rains."))
    lines(tmp_path, "text.sw", (*SWAHILI[:2], *russian))
    assert dropped(read(tmp_path, languages=["sw"], **settings)[1]) == {"wrong_script": 2}
    lines(tmp_path, "text.sw", (SWAHILI[0], *russian, "Идёт дождь."))
    with pytest.raises(DataError, match=r"text\.sw: 3 of 4 .*expected Latn for sw, found Cyrl"):
        read(tmp_path, languages=["sw"], **settings)


def test_swapped_sides_are_told_by_the_english_one(tmp_path: Path) -> None:
    lines(tmp_path, "text.en", ("Козы съели.", "Рынок открыт."))
    lines(tmp_path, "text.sw", SWAHILI[:2])
    with pytest.raises(DataError, match="expected Latn for English, found Cyrl"):
        read(tmp_path, format="lines", path="text.sw", english="text.en", languages=["sw"])


def test_script_in_the_code_is_the_one_expected(tmp_path: Path) -> None:
    lines(tmp_path, "text.en", ["The goats have eaten."])
    lines(tmp_path, "text.aze-Cyrl", ["Кечиләр јејиб."])
    pairs, _ = read(tmp_path, format="lines", path="text.{language}", english="text.en")
    assert [pair.language for pair in pairs] == ["az"]
    lines(tmp_path, "text.az", ["Кечиләр јејиб."])
    settings: dict[str, Any] = {"format": "lines", "path": "text.az", "english": "text.en"}
    with pytest.raises(DataError, match=r"expected Latn for az, found Cyrl.*'scripts'"):
        read(tmp_path, languages=["az"], **settings)
    assert len(read(tmp_path, languages=["az"], scripts={"az": "Cyrl"}, **settings)[0]) == 1


def test_every_language_of_the_project_has_a_script_that_can_be_checked() -> None:
    from clir_bench.distill.bitext.scripts import is_known

    assert [row.code for row in all_languages() if not is_known(row.script)] == []


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ẹ kú àárọ̀", "Latn"),
        ("ᎣᏏᏲ", "unknown"),
        ("የአማርኛ ጽሑፍ", "Ethi"),
        ("ภาษาไทย", "Thai"),
        ("မြန်မာဘာသာ", "Mymr"),
        ("한국어와 漢字", "Kore"),
        ("日本語の文", "Jpan"),
        ("کوردیی ناوەندی", "Arab"),
        ("ქართული", "Geor"),
    ],
)
def test_script_of_a_text_is_found(text: str, script: str) -> None:
    assert detect(letters_of(text)) == script


def test_share_counts_letters_alone() -> None:
    assert share(letters_of("abc 123 где!"), "Latn") == pytest.approx(3 / 6)


# --- alignment


def story(n: int, seed: int) -> list[str]:
    """Return texts of 20 to 220 characters."""
    draw = random.Random(seed)  # noqa: S311
    return ["w" * draw.randint(20, 220) for _ in range(n)]


def test_aligned_texts_keep_their_partners() -> None:
    english = story(400, 1)
    foreign = [text + "x" * (len(text) // 8) for text in english]
    alignment = align(english, foreign, min_correlation=0.4, max_shift=2)
    assert alignment.tolist() == list(range(400))


def test_texts_of_two_stories_are_dropped() -> None:
    alignment = align(story(400, 1), story(400, 2), min_correlation=0.4, max_shift=2)
    assert set(alignment.tolist()) == {-1}


def test_stretch_out_of_step_is_moved_back_and_its_ends_dropped() -> None:
    english = story(400, 1)
    foreign = [*english[:200], "lost", *english[200:399]]  # from 200 on, i belongs to i + 1
    partner = align(english, foreign, min_correlation=0.4, max_shift=2).tolist()
    assert partner[:160] == list(range(160))
    assert partner[240:380] == list(range(241, 381))
    assert all(p in (-1, i if i < 200 else i + 1) for i, p in enumerate(partner))
    only_dropped = align(english, foreign, min_correlation=0.4, max_shift=0)
    assert set(only_dropped[240:].tolist()) == {-1}


def test_texts_of_one_length_or_too_few_are_kept() -> None:
    flat = ["w" * 50] * 100
    assert (align(flat, story(100, 1), min_correlation=0.4, max_shift=2) >= 0).all()
    assert (align(story(39, 1), story(39, 2), min_correlation=0.4, max_shift=2) >= 0).all()


def test_file_out_of_step_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    english = story(200, 1)
    lines(tmp_path, "text.en", english)
    lines(tmp_path, "text.sw", [f"Mwanzo {text}" for text in ["w" * 99, *english[:-1]]])
    with caplog.at_level(logging.WARNING):
        pairs, report = read(tmp_path, format="lines", path="text.{language}", english="text.en")
    assert "out of step" in caplog.text
    assert all(pair.foreign == f"Mwanzo {pair.english}" for pair in pairs)
    assert sum(row["realigned"] for row in report.rows.values()) == len(pairs) >= 140
