"""Whatever is wrong with a TOML or JSON file is one error that names it, wherever it is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import Folder, clir, make_folder

from clir_bench.core.structured_files import parse_json, parse_toml
from clir_bench.distill.training.checkpoint import read as read_checkpoint
from clir_bench.distill.training.journal import Journal
from clir_bench.encoders.contents import read_json
from clir_bench.errors import DataError, EncoderError

BOM = b"\xef\xbb\xbf"
BROKEN = {
    "decimal": (b"9" * 5000, "a number of thousands of digits"),
    "deep": (b"[" * 400 + b"]" * 400, "nested more than 100 deep"),
    "deeper": (b"[" * 50_000 + b"]" * 50_000, "nested more than 100 deep"),
    "latin-1": (b'"caf\xe9"', "not UTF-8: byte 0xe9"),
    "unclosed": (b'"', "nterminated string"),
}
HEX = {"hexadecimal": (b"0x" + b"f" * 20_000, "x: a whole number of more than 64 bits")}


@pytest.mark.parametrize(("value", "said"), (BROKEN | HEX).values(), ids=BROKEN | HEX)
def test_a_broken_toml_file_is_one_error_that_says_why(value: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_toml(b"x = " + value, "file.toml", DataError)
    assert str(caught.value).startswith("file.toml: not valid TOML: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(("value", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_json_file_is_one_error_that_says_why(value: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_json(value, "file.json", DataError)
    assert str(caught.value).startswith("file.json: not valid JSON: ")
    assert said in str(caught.value)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert parse_toml(BOM + b"x = -9223372036854775808", "", DataError) == {"x": -(2**63)}
    assert parse_json(BOM + b'{"x": 1e30}', "", DataError) == {"x": 1e30}


def test_a_file_of_another_encoding_is_told_how_to_save_it() -> None:
    with pytest.raises(DataError, match="not UTF-8: byte 0xff at place 0; save the file as UTF-8"):
        parse_toml("x = 1".encode("utf-16"), "file.toml", DataError)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def card(folder: Folder, data: bytes) -> list[object]:
    folder.card_path.write_bytes(folder.card_path.read_bytes() + data)
    return ["run", "-m", "hashing", "-t", folder.card_path, "-o", folder.data / "out"]


def model(folder: Folder, data: bytes) -> list[object]:
    path = folder.data / "model.toml"
    path.write_bytes(data)
    return ["run", "-m", path, "-t", folder.card_path, "-o", folder.data / "out"]


def tiers(folder: Folder, data: bytes) -> list[object]:
    path = folder.data / "tiers.toml"
    path.write_bytes(data)
    return ["run", "-m", "hashing", "-t", folder.card_path, "--tiers", path]


def recipe(folder: Folder, data: bytes) -> list[object]:
    path = folder.data / "recipe.toml"
    path.write_bytes(data)
    return ["distill", "--recipe", path, "-o", folder.data / "model"]


@pytest.mark.parametrize("value", [value for value, _ in (BROKEN | HEX).values()], ids=BROKEN | HEX)
@pytest.mark.parametrize("read", [card, model, tiers, recipe])
def test_every_toml_file_of_a_user_that_is_broken_ends_in_one_line(
    read: Callable[[Folder, bytes], list[object]],
    value: bytes,
    folder: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert clir(*read(folder, b"\nx = " + value + b"\n")) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "not valid TOML" in said


@pytest.mark.parametrize("read", [card, model, tiers, recipe])
@pytest.mark.parametrize("made", ["endless", "pipe", "large"])
def test_a_toml_file_without_end_is_refused_at_once(
    read: Callable[[Folder, bytes], list[object]],
    made: str,
    folder: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = read(folder, b"")
    files = {word for word in arguments if isinstance(word, Path) and word.suffix == ".toml"}
    [path] = files if read is card else files - {folder.card_path}
    path.unlink()
    if made == "endless":
        path.symlink_to("/dev/zero")
    elif made == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 2**40)
    assert clir(*arguments) == 2
    said = capsys.readouterr().err
    assert str(path) in said and said.count("\n") == 1
    assert ("larger than" if made == "large" else "expected a plain file, found") in said


@pytest.mark.parametrize("value", [value for value, _ in BROKEN.values()], ids=BROKEN)
def test_every_json_file_of_a_model_that_is_broken_is_named(value: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(value)
    with pytest.raises(EncoderError, match=r"config\.json: not valid JSON"):
        read_json(tmp_path, "config.json")
    (tmp_path / "state.json").write_bytes(value)
    with pytest.raises(DataError, match=r"state\.json.*not valid JSON.*delete"):
        read_checkpoint(tmp_path, "recipe")


GOOD = b'{"step": 50, "loss": 0.5}\n'


@pytest.mark.parametrize(
    "line",
    [
        *(value for value, _ in BROKEN.values()),
        b"null",
        b"[1]",
        b'{"loss": 1}',
        b'{"step": "50"}',
        b'{"step": null}',
        b"\xff\xfe",
    ],
)
def test_a_broken_line_of_a_training_log_is_named(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(GOOD + line + b"\n" + GOOD)
    with pytest.raises(DataError, match=r"log\.jsonl:2: .*remove the line"):
        Journal(path).cut(100)
    assert path.read_bytes() == GOOD + line + b"\n" + GOOD


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(GOOD + b'{"step": 1')
    Journal(path).cut(100)
    assert path.read_bytes() == GOOD
