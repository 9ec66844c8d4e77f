"""`clir-bench analyze` shows what lexical systems make of a text."""

from __future__ import annotations

import io
import json

import pytest

from clir_bench.cli import main


def test_terms_stand_beside_their_text_below_what_the_analyzer_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["analyze", "--language", "English", "The cats", "the"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("en: NFKC, case folding, words, Snowball ")
    assert [line.split() for line in out.split("\n")[-3:-1]] == [
        ["The", "cats", "cat"],
        ["the", "-"],
    ]


def test_lines_of_standard_input_are_texts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("北京大学\n\nNLP\n".encode()), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["analyze", "-l", "zh", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["terms"] for line in lines] == [["北京", "京大", "大学"], [], ["nlp"]]


def test_unknown_language_is_an_error_with_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "-l", "Swahilli", "habari"]) == 2
    assert "Swahili" in capsys.readouterr().err
