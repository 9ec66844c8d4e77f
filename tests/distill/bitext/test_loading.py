"""Bitext: every format it comes in, what is dropped and why, and what bad files are told."""

from __future__ import annotations

import gzip
import json
import logging
import random
import sys
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clir_bench.distill.bitext.alignment import align
from clir_bench.distill.bitext.cleaning import CleaningRules, clean_text, fault
from clir_bench.distill.bitext.loading import Bitext, BitextSource, read_source
from clir_bench.distill.bitext.report import DROPPED, READ, BitextReport
from clir_bench.distill.bitext.scripts import detect, letters_of, share
from clir_bench.distill.recipe import check_recipe
from clir_bench.errors import DataError, MissingDataError, UsageError
from clir_bench.tasks.languages import all_languages

DATA = Path(__file__).parents[2] / "data" / "bitext"
RULES = CleaningRules()

SWAHILI = ("Mbuzi wamekula mkeka.", "Soko hufunguliwa alfajiri.", "Taa inawaka bado.")
ENGLISH = ("The goats have eaten the mat.", "The market opens at dawn.", "The lamp still burns.")


def kept(report: BitextReport, name: str, language: str) -> int:
    rows = report.to_json()["rows"]
    return sum(row["kept"] for row in rows if (row["source"], row["language"]) == (name, language))


def source(**settings: Any) -> BitextSource:
    return BitextSource.model_validate({"name": "test", "license": "CC0-1.0", **settings})


def read(root: Path, **settings: Any) -> tuple[list[Bitext], BitextReport]:
    report = BitextReport()
    return list(read_source(source(**settings), root, report=report)), report


def dropped(report: BitextReport) -> dict[str, int]:
    counts = sum(report.rows.values(), Counter[str]())
    return {reason: counts[reason] for reason in DROPPED if counts[reason]}


def lines(folder: Path, name: str, texts: Any, encoding: str = "utf-8") -> None:
    data = "".join(f"{text}\n" for text in texts).encode(encoding)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def tmx(*units: str, doctype: str = "", encoding: str = "UTF-8") -> str:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>'
    return f"{declaration}{doctype}<tmx><body>{''.join(units)}</body></tmx>"


def unit(english: str, foreign: str, code: str = "sw") -> str:
    return (
        f'<tu><tuv xml:lang="en"><seg>{english}</seg></tuv>'
        f'<tuv xml:lang="{code}"><seg>{foreign}</seg></tuv></tu>'
    )


# --- TMX


def test_tmx_gives_every_language_of_a_unit() -> None:
    pairs, report = read(DATA, format="tmx", path="memory.tmx")
    english = "The well is deep & cold."
    assert pairs == [
        Bitext(english, "Kisima ni kirefu na baridi.", "sw"),
        Bitext("The goats have eaten the mat.", "Mbuzi wamekula mkeka.", "sw"),
        Bitext(english, "कुआँ गहरा और ठंडा है।", "hi"),
    ]
    assert dropped(report) == {"one_side_only": 1}
    assert report.rows["test", "sw"][READ] == 3


def test_tmx_gives_only_languages_asked_for() -> None:
    pairs, _ = read(DATA, format="tmx", path="memory.tmx", languages=["Hindi"])
    assert {pair.language for pair in pairs} == {"hi"}


@pytest.mark.parametrize("packing", ["gz", "zip"])
def test_packed_tmx_is_read_as_the_plain_file(tmp_path: Path, packing: str) -> None:
    data = (DATA / "memory.tmx").read_bytes()
    path = tmp_path / f"memory.sw.tmx.{packing}"
    if packing == "gz":
        path.write_bytes(gzip.compress(data))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("memory.tmx", data)
            archive.writestr("README", "not bitext")
    pairs, _ = read(tmp_path, format="tmx", path=f"*.{{language}}.tmx.{packing}")
    assert [pair.language for pair in pairs] == ["sw", "sw"]


def test_tmx_in_another_stated_encoding_is_read(tmp_path: Path) -> None:
    text = tmx(unit("The café is closed.", "Le café est fermé.", "fr"), encoding="iso-8859-1")
    (tmp_path / "a.tmx").write_bytes(text.encode("latin-1"))
    pairs, _ = read(tmp_path, format="tmx", path="a.tmx")
    assert pairs == [Bitext("The café is closed.", "Le café est fermé.", "fr")]


BOMB = '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
PARAMETER = '<!DOCTYPE tmx [<!ENTITY % p SYSTEM "http://example.org/x.dtd"> %p;]>'


@pytest.mark.parametrize("doctype", [BOMB, OUTSIDE, PARAMETER])
def test_tmx_that_declares_entities_is_refused(tmp_path: Path, doctype: str) -> None:
    (tmp_path / "a.tmx").write_text(tmx(unit("&b;", "x"), doctype=doctype), encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.tmx:1: refused: the DOCTYPE declares"):
        read(tmp_path, format="tmx", path="a.tmx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tmx(unit("One.", "Moja."))[:-20], r"a\.tmx:1: broken or truncated XML"),
        ("", "no element found"),
        ("<html><body/></html>", "expected a TMX file"),
        (tmx("<tu><tuv><seg>One.</seg></tuv></tu>"), "states no xml:lang"),
        (tmx(unit("One.", "Moja.", "qqq")), r"a\.tmx:1: unknown language 'qqq'.*'codes'"),
        (
            tmx(unit("&mdash;", "x"), doctype='<!DOCTYPE tmx SYSTEM "tmx14.dtd">'),
            "&mdash; is not declared",
        ),
        (tmx(unit("x" * 1_000_001, "y")), "more than 1,000,000 characters"),
    ],
)
def test_broken_tmx_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.tmx").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read(tmp_path, format="tmx", path="a.tmx")


def test_tmx_that_is_not_what_it_says_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tmx").write_bytes(tmx(unit("One.", "Été.", "fr")).encode("latin-1"))
    with pytest.raises(DataError, match="another encoding"):
        read(tmp_path, format="tmx", path="a.tmx")
    (tmp_path / "a.tmx.zip").write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(DataError, match="damaged or truncated archive"):
        read(tmp_path, format="tmx", path="a.tmx.zip")


# --- two files, columns, verses


def test_aligned_lines_lose_what_teaches_nothing() -> None:
    pairs, report = read(
        DATA, format="lines", path="lines/text.{language}", english="lines/text.en"
    )
    assert pairs == [
        Bitext("The market opens at dawn.", "Soko hufunguliwa alfajiri.", "sw"),
        Bitext("She counts the eggs twice.", "Anahesabu mayai mara mbili.", "sw"),
    ]
    assert dropped(report) == {"empty": 1, "no_letters": 1, "copy": 1}
    assert kept(report, "test", "sw") == 2


def test_files_of_unequal_length_are_named_with_both_counts(tmp_path: Path) -> None:
    lines(tmp_path, "text.en", ENGLISH)
    lines(tmp_path, "text.sw.gz", SWAHILI[:2])
    with pytest.raises(DataError, match=r"text\.sw\.gz: 2 lines, but .*text\.en has 3"):
        read(tmp_path, format="lines", path="text.{language}.gz", english="text.en")


def test_aligned_files_inside_one_archive_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "en-sw.zip", "w") as archive:
        archive.writestr("Set.en-sw.en", "\n".join(ENGLISH))
        archive.writestr("Set.en-sw.sw", "\n".join(SWAHILI))
    pairs, _ = read(
        tmp_path,
        format="lines",
        path="en-{language}.zip!*.{language}",
        english="en-{language}.zip!*.en",
    )
    assert [pair.foreign for pair in pairs] == list(SWAHILI)
    with pytest.raises(DataError, match=r"found 2 among Set\.en-sw\.en.*archive\.zip!member"):
        read(tmp_path, format="lines", path="en-{language}.zip", english="en-{language}.zip!*.en")


@pytest.mark.parametrize("name", ["text.sw", "text.sw.zip"])
def test_wrong_encoding_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    lines(tmp_path, "text.en", ENGLISH)
    data = "Moja\nÉtoile\nTatu\n".encode("latin-1")
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("x.txt", data)
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r":2: not UTF-8"):
        read(tmp_path, format="lines", path=name, english="text.en", languages=["sw"])


def test_file_of_broken_characters_is_an_error(tmp_path: Path) -> None:
    lines(tmp_path, "text.en", ENGLISH)
    lines(tmp_path, "text.sw", ("Mb\ufffdzi", "S\x00o\x00k\x00o", SWAHILI[2]))
    with pytest.raises(DataError, match="2 of 3 pairs of sw hold control or replacement"):
        read(tmp_path, format="lines", path="text.sw", english="text.en", languages=["sw"])


def test_columns_are_named_by_number_or_by_header(tmp_path: Path) -> None:
    rows = [f"{n}\t{e}\t{f}" for n, (e, f) in enumerate(zip(ENGLISH, SWAHILI, strict=True))]
    lines(tmp_path, "plain.tsv", rows)
    lines(tmp_path, "headed.tsv.gz", ["id\ten\tsw", *rows])
    expected = [Bitext(e, f, "sw") for e, f in zip(ENGLISH, SWAHILI, strict=True)]
    common: dict[str, Any] = {"format": "tsv", "languages": ["sw"]}
    by_number = {"english": 1, "foreign": 2}
    by_name = {"english": "en", "foreign": "sw"}
    assert read(tmp_path, path="plain.tsv", fields=by_number, **common)[0] == expected
    assert read(tmp_path, path="headed.tsv.gz", fields=by_name, **common)[0] == expected
    with pytest.raises(DataError, match=r"plain\.tsv:1: expected 2 columns.*found 3"):
        read(tmp_path, path="plain.tsv", **common)
    with pytest.raises(DataError, match=r"plain\.tsv:1: no column 'en'.*the file has 3"):
        read(tmp_path, path="plain.tsv", fields=by_name, **common)


def test_column_may_say_the_language(tmp_path: Path) -> None:
    lines(tmp_path, "a.tsv", ["en\txx\tl", "One day.\tSiku moja.\tswh", "One day.\tUn jour.\tfra"])
    fields = {"english": "en", "foreign": "xx", "language": "l"}
    pairs, _ = read(tmp_path, format="tsv", path="a.tsv", fields=fields)
    assert [pair.language for pair in pairs] == ["sw", "fr"]


def test_ragged_columns_are_named_with_their_line(tmp_path: Path) -> None:
    lines(tmp_path, "a.tsv", ["One.\tMoja.", "Two."])
    with pytest.raises(DataError, match=r"a\.tsv:2: expected 2 tab-separated columns"):
        read(tmp_path, format="tsv", path="a.tsv", languages=["sw"])


def test_verses_are_matched_by_key() -> None:
    pairs, report = read(
        DATA, format="verses", path="verses/{language}.*.tsv", english="verses/en.own.tsv"
    )
    assert pairs == [
        Bitext("The old lamp was still burning.", "Taa ya zamani ilikuwa bado inawaka.", "sw"),
        Bitext(
            "The boats came home before the rain.", "Mashua zilirudi nyumbani kabla ya mvua.", "sw"
        ),
    ]
    assert dropped(report) == {"one_side_only": 2}


def test_verse_that_occurs_twice_is_an_error(tmp_path: Path) -> None:
    lines(tmp_path, "en.tsv", ["Ruth 1:1\tOne.", "Ruth 1:2\tTwo."])
    lines(tmp_path, "sw.tsv", ["Ruth 1:1\tMoja.", "Ruth 1:1\tMbili."])
    with pytest.raises(DataError, match=r"sw\.tsv:2: 'Ruth 1:1' occurs already in line 1"):
        read(tmp_path, format="verses", path="{language}.tsv", english="en.tsv")


# --- hub


def hub(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load_dataset(name: str, configuration: str | None, **options: Any) -> Any:
        calls.append((name, configuration, options["split"], options["revision"]))
        return rows

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_hub_rows_are_read_by_dotted_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, [{"translation": {"en": ENGLISH[0], "sw": SWAHILI[0]}}])
    pairs, _ = read(
        Path(),
        format="hub",
        path="hf:owner/set/en-{language}",
        languages=["sw"],
        fields={"english": "translation.en", "foreign": "translation.{language}"},
        revision="abc",
    )
    assert pairs == [Bitext(ENGLISH[0], SWAHILI[0], "sw")]
    assert calls == [("owner/set", "en-sw", "train", "abc")]


def test_hub_row_without_the_field_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"en": "One."}])
    with pytest.raises(DataError, match=r"row 1: no field 'english' \(found: en\)"):
        read(Path(), format="hub", path="hf:owner/set", languages=["sw"])


def test_hub_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match="pip install datasets"):
        read(Path(), format="hub", path="hf:owner/set", languages=["sw"])


def test_local_folder_is_read_by_the_library_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="the library datasets is not installed")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    rows = [{"english": ENGLISH[0], "foreign": SWAHILI[0]}]
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set", "train.jsonl", [json.dumps(row) for row in rows])
    pairs, _ = read(tmp_path, format="hub", path=f"hf:{tmp_path / 'set'}", languages=["sw"])
    assert pairs == [Bitext(ENGLISH[0], SWAHILI[0], "sw")]


# --- what a recipe says


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "lines", "path": "a.{language}"}, "needs 'english'"),
        ({"format": "tmx", "path": "a.tmx", "english": "b"}, "has no 'english'"),
        ({"format": "tsv", "path": "a.tsv"}, "nothing says which language"),
        ({"format": "tsv", "path": "a.tsv", "languages": ["klingonese"]}, "unknown language"),
        ({"format": "tmx", "path": "hf:a/b"}, "goes with format 'hub'"),
        ({"format": "hub", "path": "hf:a/{language}"}, "'languages' must list"),
        ({"format": "tmx", "path": "a", "scripts": {"sw": "Latin"}}, "none of the ISO 15924"),
        ({"format": "tmx", "path": "a", "fields": {"english": 0}}, "has no 'fields'"),
        ({"format": "tmx", "path": "a", "licens": "x"}, "licens"),
    ],
)
def test_source_that_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    table = {"name": "test", "license": "CC0-1.0", **settings}
    with pytest.raises(UsageError, match=rf"recipe\.toml: .*bitext\.0.*{message}"):
        check_recipe({"bitext": [table]}, "recipe.toml")


def test_language_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no pair of de in .*there are hi, sw"):
        read(DATA, format="tmx", path="memory.tmx", languages=["de", "sw", "hi"])
    with pytest.raises(MissingDataError, match="no file matches"):
        read(tmp_path, format="tmx", path="*.tmx")


def test_codes_of_a_source_may_mean_something_else(tmp_path: Path) -> None:
    lines(tmp_path, "text.en", ENGLISH)
    lines(tmp_path, "text.kiswa", SWAHILI)
    lines(tmp_path, "text.ksw", SWAHILI)
    pairs, _ = read(
        tmp_path, format="lines", path="text.{language}", english="text.en", codes={"ksw": "sw"}
    )
    assert {pair.language for pair in pairs} == {"sw"}


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


# --- the real thing

TICO = {"format": "tmx", "path": "bitext/tico19/all.en-{language}.tmx.zip"}
NTREX = {
    "format": "lines",
    "path": "bitext/ntrex/newstest2019-ref.{language}.txt.gz",
    "english": "bitext/ntrex/newstest2019-src.eng.txt.gz",
}


@pytest.mark.realdata
def test_tico19_has_3071_units_in_each_of_its_languages(real_data: Path) -> None:
    few = ["sw", "tl", "es", "zh", "ckb"]
    _, report = read(real_data, **TICO, languages=few)
    assert {code: row[READ] for (_, code), row in report.rows.items()} == dict.fromkeys(few, 3071)
    assert kept(report, "test", "sw") == 3070  # one unit is longer than 1000 characters


@pytest.mark.realdata
def test_tico19_somali_is_out_of_step_by_a_line_and_is_moved_back(real_data: Path) -> None:
    pairs, report = read(real_data, **TICO, languages=["so"])
    row = report.rows["test", "so"]
    assert (row[READ], row["misaligned"], row["realigned"]) == (3071, 80, 1691)
    partner = {pair.english: pair.foreign for pair in pairs}
    english = "If you want to work, we support you."
    assert partner[english] == "Hadii aad doonayso inaad shaqayso, waanu ku caawin doonaa."


@pytest.mark.realdata
def test_ntrex_has_1997_lines_in_every_language_and_all_are_in_step(real_data: Path) -> None:
    _, report = read(real_data, **NTREX)
    assert len(report.rows) == 45
    assert {row[READ] for row in report.rows.values()} == {1997}
    assert sum(row["misaligned"] for row in report.rows.values()) == 0


@pytest.mark.realdata
def test_swahili_verses_are_the_new_testament(real_data: Path) -> None:
    pairs, report = read(
        real_data,
        format="verses",
        path="bitext/bible/{language}.*.tsv.gz",
        english="bitext/bible/en.BBE.tsv.gz",
        languages=["sw"],
    )
    assert len(pairs) == 7832
    assert dropped(report) == {"one_side_only": 23265, "length_ratio": 5}


def test_a_share_of_a_source_is_the_same_english_sentences_in_every_language(
    tmp_path: Path,
) -> None:
    english = [f"Sentence number {n} speaks of the weather." for n in range(400)]
    lines(tmp_path, "en.txt", english)
    for code in ("sw", "so"):
        lines(
            tmp_path, f"{code}.txt", [f"Sentensi ya {n} {code} inahusu hewa." for n in range(400)]
        )
    kept, report = read(
        tmp_path, format="lines", path="{language}.txt", english="en.txt", share=0.25,
        languages=["sw", "so"],
    )  # fmt: skip
    of = {code: {pair.english for pair in kept if pair.language == code} for code in ("sw", "so")}
    assert of["sw"] == of["so"]
    assert 70 < len(of["sw"]) < 130  # 100 expected, standard deviation 8.7
    assert dropped(report) == {"not_chosen": 800 - len(kept)}
