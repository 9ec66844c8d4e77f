"""What a plugin raises becomes one error, and what it changes for the process is put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clir_bench.core.display import line_of, shown
from clir_bench.core.guards import guarded, told, undisturbed
from clir_bench.errors import EncoderError, PluginError, UsageError


def guard(error: BaseException) -> None:
    with guarded(lambda: "plugin 'x'", PluginError):
        raise error


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), BaseException(), OSError(5)])
def test_whatever_is_raised_becomes_the_error_asked_for(error: BaseException) -> None:
    with pytest.raises(PluginError, match=f"plugin 'x': {type(error).__name__}"):
        guard(error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), UsageError("x")])
def test_interruptions_lack_of_memory_and_our_own_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)):
        guard(error)


def test_an_error_derived_from_ours_is_a_plugins_error() -> None:
    class TheirError(EncoderError):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(PluginError, match="TheirError: \\(its text cannot be read\\)"):
        guard(TheirError())


def test_texts_are_told_on_one_line_cut_and_escaped() -> None:
    assert told(ValueError("a\x1b[2J\n b\u202e\ud800")) == "ValueError: a\\x1b[2J b\\u202e\\ud800"
    assert len(line_of("x" * 10**7)) == 1003
    assert shown("\x07" * 200).endswith("...")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    assert shown(Unshowable()) == "Unshowable something that cannot be shown"


CHANGES: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
    ("folder", lambda: os.chdir("/"), os.getcwd),
    ("recursion", lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    ("stdout", lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    ("stderr", lambda: setattr(sys, "stderr", None), lambda: sys.stderr),
    ("floating", lambda: np.seterr(all="raise"), np.geterr),
    (
        "interrupts",
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGINT),
    ),
]


@pytest.mark.parametrize(
    ("change", "state"), [rest for _, *rest in CHANGES], ids=[name for name, *_ in CHANGES]
)
def test_what_a_plugin_changes_is_put_back(
    change: Callable[[], object], state: Callable[[], object], tmp_path: Path
) -> None:
    before = state()
    with undisturbed():
        change()
    assert state() == before


def test_the_mask_of_new_files_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "before").touch()
    with undisturbed():
        os.umask(0o777)
    (tmp_path / "after").touch()
    assert (tmp_path / "after").stat().st_mode == (tmp_path / "before").stat().st_mode


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    code = f"import os\nfrom clir_bench.core.guards import guarded\n{code}"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_file_takes_the_place_of_a_closed_standard_output(tmp_path: Path) -> None:
    done = in_a_process(
        "try:\n"
        "    with guarded(lambda: 'x', ValueError): os.close(1); os.close(2)\n"
        "except ValueError as error: said = str(error)\n"
        f"with open({str(tmp_path / 'file')!r}, 'w') as file: file.write(said)\n"
        "os.write(1, b'lost')\n"
    )
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == (
        "x: RuntimeError: it closed standard output and standard error"
    )


def test_a_standard_output_that_was_closed_before_is_no_fault_of_a_plugin(tmp_path: Path) -> None:
    done = in_a_process(
        "os.close(1)\n"
        "with guarded(lambda: 'x', ValueError): pass\n"
        f"with open({str(tmp_path / 'file')!r}, 'w') as file: file.write('kept')\n"
        "os.write(1, b'lost')\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_copy_of_the_process_that_a_plugin_made_does_not_go_on() -> None:
    done = in_a_process(
        "with guarded(lambda: 'x', ValueError): child = os.fork()\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert (done.stdout, done.returncode) == ("1\n", 0)
