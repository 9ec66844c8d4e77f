"""The table of languages holds codes that the model families have, each for the right language."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import clir_bench.systems.translate as package
from clir_bench.tasks.languages import all_languages, resolve

TABLE = tomllib.loads(Path(package.__file__).with_name("languages.toml").read_text())


def test_every_code_is_one_of_its_family() -> None:
    m2m100 = pytest.importorskip("transformers.models.m2m_100.tokenization_m2m_100")
    nllb = pytest.importorskip("transformers.models.nllb.tokenization_nllb")
    assert set(TABLE["nllb"].values()) <= set(nllb.FAIRSEQ_LANGUAGE_CODES)
    assert set(TABLE["m2m100"].values()) == set(m2m100.FAIRSEQ_LANGUAGE_CODES["m2m100"])


def test_every_language_is_one_of_ours() -> None:
    codes = {language.code for language in all_languages()}
    for family in ("nllb", "m2m100"):
        assert set(TABLE[family]) <= codes


def test_languages_named_otherwise_are_individual_languages_of_ours() -> None:
    otherwise = {
        code: written
        for code, written in TABLE["nllb"].items()
        if written != f"{resolve(code).iso639_3}_{resolve(code).script}"
    }
    assert otherwise == {
        "ar": "arb_Arab", "ay": "ayr_Latn", "az": "azj_Latn", "din": "dik_Latn", "fa": "pes_Arab",
        "ff": "fuv_Latn", "ko": "kor_Hang", "kr": "knc_Latn", "ku": "kmr_Latn", "lv": "lvs_Latn",
        "mg": "plt_Latn", "mn": "khk_Cyrl", "ms": "zsm_Latn", "ne": "npi_Deva", "om": "gaz_Latn",
        "or": "ory_Orya", "ps": "pbt_Arab", "qu": "quy_Latn", "simple": "eng_Latn",
        "sq": "als_Latn", "sr": "srp_Cyrl", "sw": "swh_Latn", "uz": "uzn_Latn", "yi": "ydd_Hebr",
    }  # fmt: skip
