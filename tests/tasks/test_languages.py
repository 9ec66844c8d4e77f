"""Languages by any name, and the tiers of languages and pairs."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.tasks.languages import (
    Language,
    TierScheme,
    all_languages,
    load_scheme,
    pair_language,
    pair_readings,
    pair_tier,
    resolve,
    scheme_names,
)
from clir_bench.types import LanguagePair

MIRACL = "ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh"
MMARCO = "ar de en es fr hi id it ja nl pt ru vi zh"
WIKICLIR = "ar ca cs de en fi fr it ja ko nl nn no pl pt ro ru simple es sw sv tl tr uk vi zh"
XQUAD = "ar de el en es hi ro ru th tr vi zh"
MEWSLI_X_MENTIONS = "ar de en es fa ja pl ro ta tr uk"
MEWSLI_X_ENTITIES = (
    "af ar az bg bn de el en es et eu fa fi fr gu he hi ht hu id it ja jv ka kk ko lt ml mr ms "
    "my nl pa pl pt qu ro ru sw ta te th tl tr uk ur vi wo yo zh"
)
MTOP = "de en es fr hi th"
AFRIQA = "bem fon hau ibo kin swa twi wol yor zul eng fra"
CIRAL = "ha so sw yo"
TATOEBA = (
    "afr amh ang ara arq arz ast awa aze bel ben ber bos bre bul cat cbk ceb ces cha cmn cor csb "
    "cym dan deu dsb dtp ell epo est eus fao fin fra fry gla gle glg gsw heb hin hrv hsb hun hye "
    "ido ile ina ind isl ita jav jpn kab kat kaz khm kor kur kzj lat lfn lit lvs mal mar max mhr "
    "mkd mon nds nld nno nob nov oci orv pam pes pms pol por ron rus slk slv spa sqi srp swe swg "
    "swh tam tat tel tgl tha tuk tur tzl uig ukr urd uzb vie war wuu xho yid yue zsm"
)
TICO_19 = (
    "ar bn ckb din es-LA fa fr fuv ha hi id km kr ku lg ln mr ms my ne nus om prs ps pt-BR ru rw "
    "so sw ta ti ti_ER ti_ET tl ur zh zu am"
)
NTREX_128 = (
    "afr amh arb aze-Latn bak bel bem ben bod bos bul cat ces ckb-Arab cym dan deu div dzo ell "
    "eng-GB eng-IN eng-US est eus ewe fao fas fij fil fin fra fra-CA fuc gle glg guj gsw-BE "
    "gsw-ZH hau heb hmn hrv hun hye ibo ind isl ita jpn kan kat kaz khm kin kir kmr kor lao lav "
    "lit ltz mal mar mey mkd mlg mlt mon mri msa mya nde nep nld nno nob nso nya orm pan pol por "
    "por-BR prs pus ron rus shi sin slk slv smo sna-Latn snd-Arab som spa spa-MX sqi srp-Cyrl "
    "srp-Latn ssw swa swe tah tam tat tel tgk-Cyrl tha tir ton tsn tuk tur uig ukr urd uzb ven "
    "vie wol xho yor yue zho-CN zho-TW zul"
)
SOURCES = {
    "miracl": MIRACL,
    "mmarco": MMARCO,
    "wikiclir": WIKICLIR,
    "xquad": XQUAD,
    "mewsli-x mentions": MEWSLI_X_MENTIONS,
    "mewsli-x entities": MEWSLI_X_ENTITIES,
    "mtop": MTOP,
    "afriqa": AFRIQA,
    "ciral": CIRAL,
    "tatoeba": TATOEBA,
    "tico-19": TICO_19,
    "ntrex-128": NTREX_128,
}

JOSHI = load_scheme("joshi")
CC100 = load_scheme("cc100")
OPTICAL = load_scheme("optical")


def pair(text: str) -> LanguagePair:
    return LanguagePair(*text.split("-"))


@pytest.mark.parametrize("source", SOURCES)
def test_every_language_of_every_task_and_bitext_resolves(source: str) -> None:
    for code in SOURCES[source].split():
        assert isinstance(resolve(code), Language)


@pytest.mark.parametrize(("source", "expected"), [("tatoeba", 112), ("mewsli-x entities", 50)])
def test_codes_of_one_source_mean_different_languages(source: str, expected: int) -> None:
    assert len({resolve(code).code for code in SOURCES[source].split()}) == expected


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("sw", "sw swa swh Swahili SWAHILI Kiswahili swh_Latn"),
        ("tl", "tl tgl fil Filipino Tagalog fil_Latn"),
        ("zh", "zh zho cmn Chinese zh-CN zh-TW zho_Hans zh-Hant-TW zho-CN chi zh-cn zh_tw zh-hk"),
        ("en", "en-US en-us en_GB en-in en-ca eng-gb EN-US"),
        ("de", "de ger deu de-at de-ch de-de"),
        ("fr", "fr fre fra fr-ca fr_FR"),
        ("id", "id in ind id-ID"),
        ("yi", "yi ji yid"),
        ("sr", "sr scc srp sr-Latn sr-latn-rs sr_Cyrl_RS"),
        ("ko", "ko-kr ko_KR"),
        ("fa", "fa fas pes Persian Farsi pes_Arab"),
        ("nb", "nb no nob nor Norwegian Bokmål"),
        ("he", "he heb iw Hebrew iw-il"),
        ("ms", "ms msa zsm Malay"),
        ("lv", "lv lav lvs"),
        ("et", "et est ekk"),
        ("ku", "ku kur kmr Kurmanji"),
        ("ckb", "ckb Sorani ckb-Arab"),
        ("ig", "ig ibo Igbo"),
        ("tw", "tw twi Twi"),
        ("ti", "ti tir ti_ER ti_ET"),
        ("pt", "pt por pt-BR por-BR pt-br pt_br PT-BR pt-pt"),
        ("es", "es spa es-LA spa-MX es-419"),
        ("ny", "ny nya Chichewa Nyanja"),
        ("ber", "ber Berber"),
        ("simple", "simple SIMPLE"),
    ],
)
def test_all_spellings_of_a_language_mean_it(code: str, texts: str) -> None:
    for text in texts.split():
        assert resolve(text).code == code


def test_spaces_around_and_decomposed_accents_do_not_matter() -> None:
    assert resolve(" Swahili\n").code == "sw"
    assert resolve("Norwegian Bokma\u030al").code == "nb"


def test_resolving_a_canonical_code_returns_it() -> None:
    assert [resolve(language.code).code for language in all_languages()] == [
        language.code for language in all_languages()
    ]


def test_no_spelling_means_two_languages() -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for language in (*all_languages(), resolve("mul")):
        for spelling in language.spellings():
            owners[spelling.casefold()].add(language.code)
            assert resolve(spelling) == language
    assert {text: codes for text, codes in owners.items() if len(codes) > 1} == {}


def test_unknown_language_is_answered_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown language 'Swahilli'.*Swahili") as caught:
        resolve("Swahilli")
    assert "Swahili" in caught.value.near
    assert caught.value.exit_code == 2


# ISO 639-2 has two codes for these languages, for bibliographies and for terms.
BIBLIOGRAPHIC = (
    "alb/sqi arm/hye baq/eus bur/mya chi/zho cze/ces dut/nld fre/fra geo/kat ger/deu gre/ell "
    "ice/isl mac/mkd mao/mri may/msa per/fas rum/ron slo/slk tib/bod wel/cym"
)


@pytest.mark.parametrize("codes", BIBLIOGRAPHIC.split())
def test_both_codes_of_iso_639_2_mean_the_language(codes: str) -> None:
    bibliographic, terminologic = codes.split("/")
    assert resolve(bibliographic) == resolve(terminologic)


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("en-sw", "en-sw"),
        ("pt-br", "pt-br"),  # Portuguese to Breton: a pair's name is a pair
        ("zh-Hant-en", "zh-en"),
        ("en-zh-hant-tw", "en-zh"),
        ("pt-br-en", "pt-en"),
        ("en-us-pt-BR", "en-pt"),
        ("eng_Latn-swh_Latn", "en-sw"),
        ("zh-cn-zh-tw", "zh-zh"),
        ("en-mul", "en-mul"),
        ("*-zh-cn", "*-zh"),
        ("de-de-de", "de-de"),
        ("fr-CA-ES", "fr-ca fr-es"),  # French to Spanish Catalan, Canadian French to Spanish
    ],
)
def test_a_pairs_name_is_read_in_every_way_that_leaves_two_languages(name: str, pairs: str) -> None:
    assert sorted(map(str, pair_readings(name))) == pairs.split()


@pytest.mark.parametrize("name", ["en", "", "-en", "en-", "en--sw", "en-klingonese", "xx-yy-zz"])
def test_what_names_no_pair_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        pair_readings(name)


@pytest.mark.parametrize(
    "text",
    ["", "xx", "en-sw", "pt-br-x", "sw-", "-sw", "Swahili-Latn", "es-ar", "en-uk", "zh-Hant-en"],
)
def test_what_names_no_language_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError):
        resolve(text)


def test_a_pool_resolves_but_is_no_language() -> None:
    assert resolve("MUL").code == "mul"
    assert resolve("mul") not in all_languages()
    assert JOSHI.tier("mul") == "unknown"


@pytest.mark.parametrize("language", all_languages(), ids=lambda language: language.code)
def test_every_row_is_well_formed(language: Language) -> None:
    assert language.code == language.code.lower()
    assert len(language.iso639_3) == 3 or language.code in ("ber", "simple")
    assert language.name and language.family
    assert len(language.script) == 4 and language.script.istitle()
    assert language.joshi_class in (None, 0, 1, 2, 3, 4, 5)
    assert language.cc100_gib is None or 0 < language.cc100_gib < 301
    assert isinstance(language.aliases, tuple)


def test_importing_reads_no_file_and_no_heavy_module() -> None:
    code = (
        "import sys, clir_bench.tasks.languages as l; "
        "assert not l._table.cache_info().currsize; "
        "assert not {'numpy', 'torch', 'pandas', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("scheme", "tiers"),
    [
        (JOSHI, "sw=low so=low yo=low te=low mr=low tl=mid bn=mid id=mid th=mid de=high fi=high"),
        (JOSHI, "en=high zh=high ber=low arq=unknown bem=unknown simple=unknown tzl=unknown"),
        (CC100, "sw=low ur=low te=low so=low et=mid cs=mid bn=mid hi=high zh=high de=high"),
        (CC100, "yo=unknown ig=unknown nn=unknown nb=high simple=unknown"),
        (OPTICAL, "sw=low so=low tl=low mr=low fi=high de=high fr=high en=high es=unknown"),
    ],
)
def test_tiers_are_those_of_the_published_tables(scheme: TierScheme, tiers: str) -> None:
    for entry in tiers.split():
        code, tier = entry.split("=")
        assert (code, scheme.tier(code)) == (code, tier)


def test_a_tier_is_asked_for_by_any_spelling() -> None:
    assert JOSHI.tier("swh") == JOSHI.tier("Swahili") == "low"
    with pytest.raises(UnknownNameError):
        JOSHI.tier("xx")


def test_shipped_schemes_say_what_they_rest_on() -> None:
    assert scheme_names() == ["cc100", "joshi", "optical"]
    assert "2004.09095" in JOSHI.note
    assert "1911.02116" in CC100.note
    assert "could not be checked" in OPTICAL.note


@pytest.mark.parametrize(
    ("scheme", "name", "tier", "language"),
    [
        (JOSHI, "en-sw", "low", "sw"),  # the lower-resourced side, whichever it is
        (JOSHI, "sw-en", "low", "sw"),
        (JOSHI, "de-th", "mid", "th"),
        (JOSHI, "tl-sw", "low", "sw"),
        (JOSHI, "sw-sw", "low", "sw"),
        (JOSHI, "en-en", "high", "en"),
        (JOSHI, "en-de", "high", "de"),  # one tier: not the pivot
        (JOSHI, "de-en", "high", "de"),
        (JOSHI, "hi-de", "high", "hi"),  # one tier, no English: the query's
        (JOSHI, "de-hi", "high", "de"),
        (JOSHI, "en-mul", "high", "en"),  # a pool is ignored
        (JOSHI, "sw-mul", "low", "sw"),
        (JOSHI, "mul-mul", "unknown", "mul"),
        (JOSHI, "en-arq", "unknown", "arq"),  # an unknown side takes the pair with it
        (JOSHI, "bem-sw", "unknown", "bem"),
        (JOSHI, "sw-bem", "unknown", "bem"),
        (JOSHI, "arq-tzl", "unknown", "arq"),
        (JOSHI, "arq-mul", "unknown", "arq"),
        (OPTICAL, "en-so", "low", "so"),
        (OPTICAL, "en-fi", "high", "fi"),
        (OPTICAL, "en-es", "unknown", "es"),
    ],
)
def test_a_pair_counts_for_its_lower_resourced_side(
    scheme: TierScheme, name: str, tier: str, language: str
) -> None:
    assert pair_tier(pair(name), scheme) == tier
    assert pair_language(pair(name), scheme) == language


@pytest.mark.parametrize("scheme", [JOSHI, CC100, OPTICAL], ids=lambda scheme: scheme.name)
def test_a_pair_and_the_language_it_counts_for_share_a_tier(scheme: TierScheme) -> None:
    codes = [*(resolve(code).code for code in TATOEBA.split()), "en", "mul"]
    for query in codes:
        for document in ("en", "sw", "th", "bem", "mul", query):
            one = LanguagePair(query, document)
            assert scheme.tier(pair_language(one, scheme)) == pair_tier(one, scheme)


def test_both_directions_count_for_one_language_when_english_is_a_side() -> None:
    for language in all_languages():
        there = pair_language(LanguagePair("en", language.code), JOSHI)
        assert there == pair_language(LanguagePair(language.code, "en"), JOSHI)


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_a_users_lists_become_a_scheme(user_file: Path) -> None:
    user_file.write_text(
        'name = "mine"\nnote = "ours"\nlow = ["swh", "Somali"]\nhigh = ["en"]\n', encoding="utf-8"
    )
    scheme = load_scheme(str(user_file))
    assert (scheme.name, scheme.note) == ("mine", "ours")
    assert [scheme.tier(code) for code in ("sw", "so", "en", "de")] == [
        "low",
        "low",
        "high",
        "unknown",
    ]


def test_a_users_bounds_are_low_below_and_high_from(user_file: Path) -> None:
    user_file.write_text(
        'name = "gib"\nby = "cc100_gib"\nlow_below = 1.6\nhigh_from = 66.6\n', encoding="utf-8"
    )
    scheme = load_scheme(str(user_file))
    # so 0.4, sw 1.6, fi 54.3, de 66.6 GiB; yo is not in the table
    assert [scheme.tier(code) for code in ("so", "sw", "fi", "de", "yo")] == [
        "low",
        "mid",
        "mid",
        "high",
        "unknown",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('low = ["sw"]', "field 'name' is missing"),
        ('name = ""\nlow = ["sw"]', "name: expected a text, found ''"),
        ('name = "m"\nnote = 3\nlow = ["sw"]', "note: expected a text, found 3"),
        ('name = "m"', "found neither"),
        ('name = "m"\nby = "joshi_class"\nlow = ["sw"]', "found both"),
        ('name = "m"\nlow = "sw"', "low: expected a list of languages, found 'sw'"),
        ('name = "m"\nmid = [1]', r"mid: expected a list of languages, found \[1\]"),
        ('name = "m"\nlow = ["Swahilli"]', "low: unknown language 'Swahilli'.*Swahili"),
        ('name = "m"\nlow = ["sw"]\nhigh = ["swh"]', r"high: 'swh' \(sw\) is already in 'low'"),
        ('name = "m"\nlow = ["mul"]', "low: 'mul' is a pool"),
        ('name = "m"\nlow = ["sw"]\nlow_below = 2', "low_below: means something only beside 'by'"),
        ('name = "m"\nby = "class"', "by: expected 'joshi_class' or 'cc100_gib', found 'class'"),
        ('name = "m"\nby = "joshi_class"\nlow_below = 2', "field 'high_from' is missing"),
        ('name = "m"\nby = "joshi_class"\nlow_below = true\nhigh_from = 4', "low_below: expected"),
        ('name = "m"\nby = "joshi_class"\nlow_below = nan\nhigh_from = 4', "low_below: expected"),
        ('name = "m"\nby = "joshi_class"\nlow_below = 5\nhigh_from = 4', "5 is above high_from, 4"),
        ('name = "m"\nhihg = ["en"]\nlow = ["sw"]', "unknown field 'hihg'; did you mean 'high'"),
        ('name = "joshi"\nlow = ["sw"]', "name 'joshi' is that of a scheme of clir-bench"),
        ('name = ["joshi"]\nlow = ["sw"]', r"name: expected a text, found \['joshi'\]"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_wrong_scheme_file_is_refused_by_file_and_field(
    user_file: Path, text: str, message: str
) -> None:
    user_file.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        load_scheme(str(user_file))
    assert str(caught.value).startswith(str(user_file))


def test_all_problems_of_a_scheme_file_are_reported_together(user_file: Path) -> None:
    user_file.write_text('low = ["xx", "mul"]\nextra = 1\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"extra.*'name' is missing.*'xx'.*'mul'"):
        load_scheme(str(user_file))


def test_bytes_that_are_no_text_are_refused_as_toml(user_file: Path) -> None:
    user_file.write_bytes(b'name = "\xff"\n')
    with pytest.raises(UsageError, match="not valid TOML"):
        load_scheme(str(user_file))


def test_unknown_scheme_and_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown tier scheme 'josi'; did you mean joshi"):
        load_scheme("josi")
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read: No such file"):
        load_scheme(str(tmp_path / "none.toml"))
    with pytest.raises(UnknownNameError, match="unknown tier scheme"):
        load_scheme(str(tmp_path))


def _facts(real_data: Path, name: str) -> list[dict[str, str]]:
    path = real_data.parent / "facts" / name
    if not path.is_file():
        pytest.skip(f"needs the table {name} in a folder 'facts' beside the data")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _names(language: Language) -> set[str]:
    return {text.casefold() for text in language.spellings() if len(text) > 3 or text.istitle()}


@pytest.mark.realdata
def test_joshi_classes_are_those_listed_under_the_languages_names(real_data: Path) -> None:
    classes: dict[str, list[int]] = defaultdict(list)
    for row in _facts(real_data, "joshi_classes.csv"):
        classes[row["name"].casefold()].append(int(row["joshi_class"]))
    for language in all_languages():
        listed = [value for name in _names(language) for value in classes.get(name, [])]
        expected = None if language.code == "simple" else max(listed, default=None)
        assert (language.code, language.joshi_class) == (language.code, expected)


@pytest.mark.realdata
def test_cc100_sizes_are_those_of_table_6(real_data: Path) -> None:
    sizes: dict[str, list[float]] = defaultdict(list)
    for row in _facts(real_data, "cc100_xlmr_table6.csv"):
        if row["ISO code"] == "-":
            continue
        language = resolve(row["ISO code"])
        assert row["Language"].split(" (Simp")[0].split(" (Trad")[0].casefold() in _names(language)
        sizes[language.code].append(float(row["Size (GiB)"]))
    expected = {code: values[0] for code, values in sizes.items()}
    assert {code for code, values in sizes.items() if len(values) > 1} == {"zh", "my"}
    expected["zh"] = pytest.approx(sum(sizes["zh"]))
    for language in all_languages():
        assert language.cc100_gib == expected.get(language.code), language.code


@pytest.mark.realdata
def test_the_table_of_resources_agrees(real_data: Path) -> None:
    for row in _facts(real_data, "language_resources.csv"):
        language = resolve(row["lang"])
        assert row["name"] in _names(language)
        assert language.joshi_class == int(row["joshi_class"])
        sizes = [float(size) for size in row["cc100_GiB"].split("+") if size]
        assert language.cc100_gib == (pytest.approx(sum(sizes)) if sizes else None)


@pytest.mark.realdata
def test_every_data_file_named_after_a_language_resolves(real_data: Path) -> None:
    tatoeba = {path.suffix[1:] for path in (real_data / "tatoeba" / "v1").glob("*-eng.*")}
    assert tatoeba - {"eng"} == set(TATOEBA.split())
    bitext = real_data / "bitext"
    codes = [path.name[len("all.en-") :].split(".")[0] for path in bitext.glob("tico19/*.zip")]
    codes += [path.name.split(".")[1] for path in bitext.glob("ntrex/*.txt.gz")]
    codes += [path.name.split(".")[0] for path in bitext.glob("bible/*.tsv.gz")]
    assert len(codes) > 90
    for code in codes:
        assert isinstance(resolve(code), Language)


@pytest.mark.realdata
def test_scripts_are_those_most_of_tatoeba_is_written_in(real_data: Path) -> None:
    import unicodedata

    unicode_names = {
        "Arab": "ARABIC", "Armn": "ARMENIAN", "Beng": "BENGALI", "Cyrl": "CYRILLIC",
        "Deva": "DEVANAGARI", "Ethi": "ETHIOPIC", "Geor": "GEORGIAN", "Grek": "GREEK",
        "Hans": "CJK", "Hant": "CJK", "Hebr": "HEBREW", "Jpan": "HIRAGANA", "Khmr": "KHMER",
        "Kore": "HANGUL", "Latn": "LATIN", "Mlym": "MALAYALAM", "Taml": "TAMIL",
        "Telu": "TELUGU", "Thai": "THAI",
    }  # fmt: skip
    for code in TATOEBA.split():
        path = real_data / "tatoeba" / "v1" / f"tatoeba.{code}-eng.{code}"
        letters = [letter for letter in path.read_text(encoding="utf-8")[:5000] if letter.isalpha()]
        found = Counter(unicodedata.name(letter).split()[0] for letter in letters)
        script = resolve(code).script
        assert (code, found.most_common(1)[0][0]) == (code, unicode_names[script])
