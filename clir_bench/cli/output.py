"""Prints text: escapes characters that control a terminal, and reports output that fails."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from clir_bench.core.display import visible
from clir_bench.core.guards import reopen
from clir_bench.core.tables import Format, Table, written
from clir_bench.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NARROWEST = 40


def typed_command() -> str:
    """Return the command that the user typed, for the record."""
    return shlex.join(["clir-bench", *sys.argv[1:]])


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text; unseen characters but line ends and tabs are spelled out, as JSON does.

    So are the characters that the stream's encoding lacks.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = visible(str(text), keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown, err=err, nl=nl)


def width() -> int | None:
    """Return the terminal's number of columns, None where standard output is no terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size().columns, _NARROWEST)


def show(tables: Sequence[Table], form: Format) -> None:
    """Print tables, fitted to the terminal."""
    echo(written(tables, form, width()))


class ReaderGoneError(BrokenPipeError):
    """The reader of standard output is gone, as after `| head`."""


class _StandardOutput(io.FileIO):
    """The descriptor of standard output; its errors differ from those of other files."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise ReaderGoneError from None
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written: {error.strerror or error}; what was finished "
                "is stored"
            ) from None


def guard_stdout() -> None:
    """Replace `sys.stdout` with one that has clear errors and escapes what it cannot show.

    Standard streams that the parent process closed discard all output from now on.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            reopen(descriptor)
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115
    raw = _StandardOutput(sys.stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=sys.stdout.isatty(),
    )


def say(line: str) -> None:
    """Write a line to standard error, with control characters escaped."""
    with suppress(OSError, ValueError):  # stderr is closed: only the exit code is left
        echo(line, err=True)


def silence_stdout() -> None:
    """Discard all output that still waits for a stdout that is closed."""
    if sys.stdout is not None:
        reopen(sys.stdout.fileno())
