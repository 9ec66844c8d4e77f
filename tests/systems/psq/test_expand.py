"""What a query becomes."""

from __future__ import annotations

import pytest

from clir_bench.systems.psq.align import Row
from clir_bench.systems.psq.expand import CUT, SIMILAR, TABLE, Concept, Expander

ROWS = {
    "maji": Row(50.0, {"water": 0.75, "wet": 0.25}),
    "mtumiaji": Row(50.0, {"user": 1.0}),
    "2019": Row(50.0, {"year": 1.0}),
}


def expand(text: str, language: str = "sw") -> list[Concept]:
    return Expander(language, {"en": ROWS}).expand(text)


def only(text: str, language: str = "sw") -> dict[str, float]:
    (concept,) = expand(text, language)
    return dict(concept.terms)


def test_term_becomes_its_translations_and_itself() -> None:
    assert only("Maji") == pytest.approx(
        {"water": TABLE * 0.75, "wet": TABLE * 0.25, "maji": 1 - TABLE}
    )


def test_term_outside_the_table_stands_for_itself_by_the_documents_rules() -> None:
    assert only("Kenyans")["kenyan"] == 1.0  # English stems


def test_affixes_are_cut_off_terms_outside_the_table() -> None:
    terms = only("uNelson", "zu")
    assert terms["unelson"] == 1.0
    assert terms["nelson"] == CUT


def test_short_terms_keep_their_affixes() -> None:
    assert only("Juba") == {"juba": 1.0}


def test_number_stands_for_itself() -> None:
    assert only("2019") == {"2019": 1.0}


def test_other_form_of_a_word_takes_its_translations() -> None:
    terms = only("watumiaji")
    assert terms["user"] == pytest.approx(SIMILAR)
    assert terms["watumiaji"] == pytest.approx(1 - SIMILAR)


def test_repeated_term_weighs_more() -> None:
    assert [concept.weight for concept in expand("maji 7 Maji maji")] == [3.0, 1.0]


@pytest.mark.parametrize("text", ["", "  ", "?!", "na"])
def test_query_without_terms_has_no_concepts(text: str) -> None:
    assert expand(text) == []


def test_tone_marks_and_hooks_make_no_difference() -> None:
    rows = {"olopa": Row(9.0, {"polic": 1.0})}
    for text in ("ọlọ́pàá"[:-1], "olopa", "Ọlọ́pà"):
        (concept,) = Expander("yo", {"en": rows}).expand(text)
        assert concept.terms["polic"] == pytest.approx(TABLE)


def test_pool_is_the_union_of_its_languages() -> None:
    german = {"maji": Row(50.0, {"wasser": 1.0})}
    expander = Expander("sw", {"en": ROWS, "de": german, "sw": None})
    (concept,) = expander.expand("maji")
    assert concept.terms == pytest.approx(
        {"water": TABLE * 0.75, "wet": TABLE * 0.25, "wasser": TABLE, "maji": 1.0}
    )


def test_queries_in_the_documents_language_stand_for_themselves() -> None:
    (concept,) = Expander("en", {"en": None}).expand("Cats")
    assert concept == Concept(1.0, {"cat": 1.0})


def test_probabilities_are_above_0_to_1() -> None:
    for text in ("watumiaji wa majini", "uNelson Mandela", "北京大学", "don't-stop"):
        for language in ("sw", "zu", "zh", "en"):
            for concept in Expander(language, {"en": ROWS, "zh": None}).expand(text):
                assert all(0 < share <= 1 + 1e-9 for share in concept.terms.values())
