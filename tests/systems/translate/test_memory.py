"""A text is translated once, whoever asks for it, and a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import EncoderError
from clir_bench.systems.translate.memory import Remembered
from clir_bench.systems.translate.translators import Direction
from clir_bench.types import Query

SW_EN = Direction("sw", "en")
PLACE: Any = None


@dataclass
class Upper:
    """Translates to upper case, and fails at a text."""

    name: str = "upper"
    fails_at: str = ""
    asked: list[str] = field(default_factory=list)
    chunk: int = 2
    n_parameters: int | None = None

    @property
    def details(self) -> Mapping[str, str]:
        return {"translator": self.name}

    @property
    def identity(self) -> Mapping[str, str]:
        return self.details

    def check(self, where: str, direction: Direction) -> None:
        pass

    def translate(self, texts: Sequence[str], direction: Direction) -> list[str]:
        if self.fails_at in texts:
            raise EncoderError("failed")
        self.asked += texts
        return ["" if text == "silent" else text.upper() for text in texts]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path))
    return tmp_path / "translations"


def queries(*texts: str) -> list[Query]:
    return [Query(str(number), text) for number, text in enumerate(texts)]


def translate(engine: Upper, *texts: str, direction: Direction = SW_EN) -> list[str]:
    return list(Remembered(engine).translate(queries(*texts), direction, PLACE))


def test_a_text_is_translated_once_per_direction_and_translator() -> None:
    engine = Upper()
    assert translate(engine, "a", "b", "a", " ") == ["A", "B", "A", ""]
    assert translate(engine, "b", "c") == ["B", "C"]
    assert engine.asked == ["a", "b", "c"]
    translate(engine, "a", direction=Direction("sw", "fr"))
    other = Upper("other")
    translate(other, "a")
    assert engine.asked == ["a", "b", "c", "a"]
    assert other.asked == ["a"]


def test_what_was_translated_before_a_failure_is_kept() -> None:
    engine = Upper(fails_at="e")
    with pytest.raises(EncoderError):
        translate(engine, "a", "b", "c", "d", "e")
    engine.fails_at = ""
    engine.asked.clear()
    assert translate(engine, "a", "b", "c", "d", "e") == ["A", "B", "C", "D", "E"]
    assert engine.asked == ["e"]


def test_empty_translations_are_not_kept() -> None:
    engine = Upper()
    assert translate(engine, "silent", "a") == ["", "A"]
    assert translate(engine, "silent", "a") == ["", "A"]
    assert engine.asked == ["silent", "a", "silent"]


@pytest.mark.parametrize("content", [b"", b"not gzip", b"\x1f\x8b\x08"])
def test_a_damaged_file_is_left_out(
    cache: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Upper()
    translate(engine, "a")
    (file,) = cache.rglob("*.gz")
    file.write_bytes(content)
    assert translate(engine, "a") == ["A"]
    assert engine.asked == ["a", "a"]
    assert "translated again" in caplog.text


def test_a_cache_that_cannot_be_written_costs_a_warning(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder would be")
    assert translate(Upper(), "a") == ["A"]
    assert "are not kept" in caplog.text


def test_a_window_is_kept_in_one_file_and_goes_on_after_a_failure(cache: Path) -> None:
    engine = Upper(fails_at="c")
    with pytest.raises(EncoderError):
        Remembered(engine).translate_window(["a", "b", "c"], SW_EN)
    engine.fails_at = ""
    assert Remembered(engine).translate_window(["a", "b", "c"], SW_EN) == ["A", "B", "C"]
    assert engine.asked == ["a", "b", "c"]
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 1
    assert Remembered(engine).translate_window(["a", "b", "c"], SW_EN) == ["A", "B", "C"]
    assert engine.asked == ["a", "b", "c"]
