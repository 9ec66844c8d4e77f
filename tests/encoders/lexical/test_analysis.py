"""Texts become the terms that the rules of their language say."""

from __future__ import annotations

import hashlib
import sys
from types import SimpleNamespace

import pytest

from clir_bench.encoders.lexical import analysis
from clir_bench.encoders.lexical.analysis import LONGEST_WORD, load_analyzer
from clir_bench.errors import UsageError
from clir_bench.tasks.languages import all_languages

CODES = [language.code for language in all_languages()]
SAMPLE = (
    "The Kings' cats didn't run, 25 years ago. Straße ﬁnden Äpfel; ΟΔΟΣ οδός; İstanbul'da ILIK; "
    "l'école qu'il; الْمَدْرَسَةُ إلى مـــدرسة؛ می‌خواهم كتاب ١٢٣ लड़कियों की किताबें हिँदी २५; "
    "বাংলাদেশের মানুষ; పుస్తకాలు; ประเทศไทย; 東京タワーの高さ ＮＨＫ; 北京大学; 서울특별시의 인구; "
    "ភាសាខ្មែរ; မြန်မာစာ; ພາສາລາວ; м'яч; у́дар; școala şcoala; col·legi; צה״ל שָׁלוֹם; ሠላም ሰላም; "
    "Việt Nam; thủ đô; ọba wọ́n; ɗan'uwa; książki; hôtels; ısı"
)


def terms(language: str, text: str) -> list[str]:
    return load_analyzer(language).terms(text)


# Characters


def test_compatibility_forms_and_case_make_no_difference() -> None:
    assert terms("ja", "ＮＨＫ") == terms("ja", "nhk") == ["nhk"]
    assert terms("en", "ﬁnd FIND find") == ["find"] * 3
    assert terms("hu", "Cafe\u0301") == terms("hu", "café")


def test_german_sharp_s_is_ss() -> None:
    assert terms("de", "Straße") == terms("de", "STRASSE") == terms("de", "strasse")


def test_greek_final_sigma_and_accents_make_no_difference() -> None:
    assert terms("el", "ΔΡΟΜΟΣ") == terms("el", "δρόμος") == terms("el", "δρομοσ")


def test_turkish_keeps_its_two_i_apart() -> None:
    assert terms("tr", "ILIK") == terms("tr", "ılık") != terms("tr", "ilik")
    assert terms("tr", "İLİK") == terms("tr", "ilik") == terms("tr", "I\u0307LI\u0307K")
    assert terms("az", "QIZIL") == ["qızıl"]
    assert terms("en", "TITLE") == terms("en", "title")


def test_vietnamese_keeps_tones_however_they_are_encoded() -> None:
    assert terms("vi", "thủ") == ["thủ"] == terms("vi", "thu\u0309")
    assert terms("vi", "thu") == ["thu"]


def test_arabic_vowel_marks_and_tatweel_make_no_difference() -> None:
    assert terms("ar", "كِتَاب") == terms("ar", "كتاب") == terms("ar", "كـــتاب")
    assert terms("ar", "ﻛﺘﺎﺏ") == terms("ar", "كتاب")
    assert terms("ar", "أحمد") == terms("ar", "احمد")


def test_persian_reads_arabic_letters_and_divides_at_the_half_space() -> None:
    assert terms("fa", "كتاب") == terms("fa", "کتاب")
    assert terms("fa", "علي") == terms("fa", "علی")
    assert terms("fa", "کتاب\u200cها") == terms("fa", "کتاب")


def test_urdu_reads_arabic_letters() -> None:
    assert terms("ur", "كتاب") == terms("ur", "کتاب") == ["کتاب"]


def test_joiners_of_indic_scripts_do_not_divide() -> None:
    assert terms("mr", "क्\u200dष") == terms("mr", "क्ष")
    assert terms("ml", "നന്\u200dമ") == terms("ml", "നന്മ")


def test_candrabindu_is_written_either_way() -> None:
    assert terms("hi", "गाँव") == terms("hi", "गांव")


def test_digits_of_every_script_are_one() -> None:
    assert terms("hi", "२५") == terms("ar", "٢٥") == terms("fa", "۲۵") == ["25"]


def test_stress_marks_of_cyrillic_words_make_no_difference() -> None:
    assert terms("ru", "Наполео́н") == terms("ru", "Наполеон")
    assert terms("uk", "Украї́на") == terms("uk", "Україна")
    assert terms("ru", "зайка") != terms("ru", "заика")


def test_romanian_cedilla_is_a_comma() -> None:
    assert terms("ro", "şcoală ţară") == terms("ro", "școală țară")


def test_hebrew_points_and_gershayim_make_no_difference() -> None:
    assert terms("he", "שָׁלוֹם") == terms("he", "שלום")
    assert terms("he", 'צה"ל') == terms("he", "צה״ל") == ["צהל"]


def test_soft_hyphen_and_catalan_dot_do_not_divide() -> None:
    assert terms("en", "infor\u00admation") == terms("en", "information")
    assert terms("ca", "col·legi") == terms("ca", "coŀlegi") == terms("ca", "collegi")


# Words


@pytest.mark.parametrize(
    ("language", "word"),
    [("bn", "কী"), ("te", "తెలు"), ("mr", "मुंबई"), ("ta", "தமிழ்"), ("si", "සිංහල"), ("or", "ଓଡ଼ିଆ")],
)
def test_vowel_marks_do_not_divide_words(language: str, word: str) -> None:
    without_stops = analysis.Analyzer(language, analysis.Rules())
    assert len(without_stops.terms(word)) == 1


def test_apostrophe_divides_where_it_is_no_letter() -> None:
    assert terms("fr", "l'école qu’elle") == terms("fr", "école")
    assert terms("tr", "Ankara'nın")[0] == terms("tr", "Ankara")[0]
    assert terms("uk", "м'яч") == terms("uk", "м’яч") == ["мяч"]


def test_stemmed_words_meet() -> None:
    assert terms("en", "universities") == terms("en", "university")
    assert terms("de", "Häuser") == terms("de", "Hauses")
    assert terms("ru", "книгами") == terms("ru", "книга")
    assert terms("hi", "लड़कियों") == terms("hi", "लड़की")
    assert terms("fi", "taloissa") == terms("fi", "talo")


def test_relatives_share_a_stemmer() -> None:
    assert terms("nn", "bøker") == terms("nb", "bøker")
    assert terms("arz", "كتاب") == terms("ar", "كتاب")
    assert load_analyzer("arz").name.replace("arz", "ar", 1) == load_analyzer("ar").name


def test_stop_words_are_left_out_however_they_are_written() -> None:
    assert terms("en", "THE the ｔｈｅ") == []
    assert terms("ar", "إلى الى") == []
    assert terms("el", "ΤΟΥ του") == []


def test_words_without_a_stemmer_are_cut_where_the_table_says_so() -> None:
    assert terms("te", "హైదరాబాదులో") == terms("te", "హైదరాబాదు")
    assert terms("tr", "kitaplar") == terms("tr", "kitap")
    assert terms("uk", "книгами") == terms("uk", "книгам") == ["книга"]
    assert terms("sw", "alisoma") == ["alisoma"]


def test_scripts_without_spaces_become_n_grams_in_every_language() -> None:
    assert terms("zh", "北京大学") == ["北京", "京大", "大学"]
    assert terms("ja", "東京タワー") == ["東京", "京タ", "タワ", "ワー"]
    assert terms("th", "ไทย") == ["ไทย"]
    assert terms("en", "Beijing (北京大学)") == ["beij", "北京", "京大", "大学"]


def test_latin_words_inside_a_script_without_spaces_stay_whole() -> None:
    assert terms("zh", "使用Python语言3次") == ["使用", "python", "语言", "3", "次"]
    assert terms("th", "ใช้Python") == ["ใช้", "python"]


def test_korean_words_become_bigrams() -> None:
    assert terms("ko", "서울에서 BTS") == ["서울", "울에", "에서", "bts"]
    assert terms("en", "서울에서") == ["서울에서"]


# What is not text


@pytest.mark.parametrize("text", ["", " \n\t", "!?… — “”", "\x00", "\u200d", "🙂"])
def test_text_without_words_has_no_terms(text: str) -> None:
    for language in ("en", "zh", "fa", "xx"):
        assert terms(language, text) == []


def test_text_of_stop_words_alone_has_no_terms() -> None:
    assert terms("en", "What is it?") == []


def test_one_character_is_a_term() -> None:
    assert terms("zh", "水") == ["水"]
    assert terms("de", "X") == ["x"]


def test_huge_word_is_cut_into_pieces() -> None:
    found = analysis.Analyzer("qq", analysis.Rules()).terms("a" * 1_000_000)
    assert {len(term) for term in found[:-1]} == {LONGEST_WORD}
    assert sum(map(len, found)) == 1_000_000


def test_lone_surrogates_divide_words() -> None:
    assert terms("de", "Bau\ud800haus \udfff") == terms("de", "Bau haus")


# Analyzers


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_an_analyzer(code: str) -> None:
    analyzer = load_analyzer(code)
    assert analyzer.name.startswith(f"{code}: NFKC, ")
    assert analyzer.terms("Wikipedia 2024")


def test_code_that_nobody_knows_has_the_default() -> None:
    analyzer = load_analyzer("xx-unknown")
    assert analyzer.name == "xx-unknown: NFKC, case folding, words"
    assert analyzer.terms("The Cats") == ["the", "cats"]


def test_any_name_of_a_language_loads_the_same_analyzer() -> None:
    assert load_analyzer("eng").name == load_analyzer("English").name == load_analyzer("en").name


def test_old_stemmer_library_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(algorithms=lambda: ["english"], version=lambda: "2.2.0")
    monkeypatch.setitem(sys.modules, "Stemmer", old)
    with pytest.raises(UsageError, match=r"'pl'.*'polish'.*2\.2\.0.*PyStemmer 3\.1"):
        load_analyzer("pl")


def test_order_and_repeats_are_kept() -> None:
    assert terms("en", "dog cat dog") == ["dog", "cat", "dog"]


def test_many_texts_have_the_terms_of_each() -> None:
    analyzer = load_analyzer("en")
    texts = ["dogs bark", "", "the", "cats"]
    assert list(analyzer.terms_of(texts)) == [["dog", "bark"], [], [], ["cat"]]


def test_what_is_kept_changes_no_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [SAMPLE, SAMPLE.upper(), SAMPLE[::-1]]
    expected = [load_analyzer("en").terms(text) for text in texts]
    monkeypatch.setattr(analysis, "_KEPT_PIECES", 3)
    small = load_analyzer("en")
    assert [small.terms(text) for text in texts] == expected
    assert len(small._pieces) <= 3


def test_terms_are_those_of_this_version() -> None:
    """Another digest means other terms: raise `ANALYSIS_VERSION`, then change it here."""
    import Stemmer

    if Stemmer.version() != "3.1.0":
        pytest.skip(f"pinned with PyStemmer 3.1.0, found {Stemmer.version()}")
    digest = hashlib.sha256()
    for code in [*CODES, "xx-unknown"]:
        analyzer = load_analyzer(code)
        stops = " ".join(analysis.rules_of(code).stop)
        digest.update("\n".join([analyzer.name, stops, *analyzer.terms(SAMPLE), ""]).encode())
    assert (analysis.ANALYSIS_VERSION, digest.hexdigest()[:16]) == (1, "05ae71a29ea01da1")
