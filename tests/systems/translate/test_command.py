"""A command reads lines and writes lines; whatever else it does is an error that says so."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest

from clir_bench.errors import EncoderError, UsageError
from clir_bench.systems.translate.command import Command, find_command
from clir_bench.systems.translate.translators import Direction

SW_EN = Direction("sw", "en")


def command(tmp_path: Path, code: str, arguments: str = "", timeout: int = 60) -> Command:
    script = tmp_path / "translate.py"
    script.write_text(f"import sys, time\n{code}\n")
    return find_command(shlex.join([sys.executable, str(script)]) + " " + arguments, timeout)


def test_a_command_gets_a_line_per_text_and_the_languages(tmp_path: Path) -> None:
    code = "for line in sys.stdin: print(*sys.argv[1:], line.strip().upper())"
    found = command(tmp_path, code, "{source}-{target} {source3}:{target3}")
    texts = ["the cat\nsat", "", "mbwa\u2028\tna; $(paka) | 猫"]
    assert found.translate(texts, SW_EN) == [
        "sw-en swa:eng THE CAT SAT",
        "sw-en swa:eng",
        "sw-en swa:eng MBWA NA; $(PAKA) | 猫",
    ]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('one')", "it read 2 lines and wrote 1"),
        ("print('a\\nb\\nc')", "it read 2 lines and wrote 3"),
        ("sys.exit('no model\\x1b[2J for sw')", r"exit code 1: no model\\x1b\[2J for sw"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("sys.stdout.buffer.write(b'\\xff\\n\\n')", "not UTF-8"),
        ("while True: print('x' * 10000)", "it wrote more than .* bytes and was stopped"),
    ],
)
def test_a_command_that_does_it_wrong_is_an_error(tmp_path: Path, code: str, says: str) -> None:
    with pytest.raises(EncoderError, match=says):
        command(tmp_path, code).translate(["paka", "mbwa"], SW_EN)


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(100)",
        "import subprocess; subprocess.run([sys.executable, '-c', 'import time; time.sleep(100)'])",
        "sys.stdin.close(); [print(flush=True) or time.sleep(0.1) for _ in range(1000)]",
    ],
)
def test_a_command_that_hangs_is_stopped_with_its_children(tmp_path: Path, code: str) -> None:
    started = time.monotonic()
    with pytest.raises(EncoderError, match="did not end within 1 seconds and was stopped"):
        command(tmp_path, code, timeout=1).translate(["paka"], SW_EN)
    assert time.monotonic() - started < 20


def test_a_command_that_closes_its_output_and_goes_on_is_stopped(tmp_path: Path) -> None:
    code = "import os; print(); sys.stdout.flush(); os.close(1); os.close(2); time.sleep(100)"
    with pytest.raises(EncoderError, match="goes on; it was stopped"):
        command(tmp_path, code, timeout=1).translate(["paka"], SW_EN)


@pytest.mark.parametrize(
    ("text", "says"),
    [("no-such-program -x", "there is no such program"), ("cat 'a", "No closing quotation")],
)
def test_a_command_that_cannot_run_is_refused_at_once(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_command(text, 60)


def test_a_language_without_an_iso_code_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    found = find_command("cat {source3}", 60)
    with pytest.raises(UsageError, match="here: ISO 639-3 has no code for 'ber'"):
        found.check("here", Direction("ber", "en"))
    find_command("cat {source}", 60).check("here", Direction("ber", "en"))


def test_another_script_or_argument_is_another_translator(tmp_path: Path) -> None:
    one = command(tmp_path, "print(1)")
    other = command(tmp_path, "print(2)")
    third = command(tmp_path, "print(2)", "-x")
    assert len({one.name, other.name, third.name}) == 3
    assert str(tmp_path) not in one.details["translator"]


@pytest.mark.skipif(shutil.which("apertium") is None, reason="needs Debian's apertium-eng-spa")
def test_apertium_translates() -> None:
    found = find_command("apertium -u {source3}-{target3}", 60)
    assert found.translate(["The white house"], Direction("en", "es")) == ["La casa blanca"]
