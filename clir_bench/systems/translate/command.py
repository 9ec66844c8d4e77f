"""Translates by a command that reads a text per line and writes its translation, `command:CMD`.

`{source}` and `{target}` in its arguments stand for our language codes, `{source3}` and `{target3}`
for those of ISO 639-3: `command:apertium -u {source3}-{target3}`. No shell runs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from clir_bench.core.display import line_of
from clir_bench.core.files import sha256_of
from clir_bench.core.safe_text import without_folders
from clir_bench.errors import EncoderError, UsageError
from clir_bench.systems.translate.translators import Direction
from clir_bench.tasks.languages import resolve

_CHUNK = 1000
_PLACEHOLDER = re.compile(r"\{(source|target)(3?)\}")
_LARGEST_GROWTH = 20
_ROOM = 2**20
"""What is written may have `_LARGEST_GROWTH` times the bytes read, and these."""
_KEPT_ERRORS = 4096
_LARGEST_HASHED = 64 * 2**20


@dataclass(frozen=True)
class Command:
    """A command that translates lines.

    Attributes:
        arguments: The program and its arguments, with placeholders.
        timeout: Seconds that a thousand lines may take.
    """

    arguments: tuple[str, ...]
    name: str
    details: Mapping[str, str]
    identity: Mapping[str, str]
    timeout: int
    chunk: int = _CHUNK
    n_parameters: int | None = None

    def check(self, where: str, direction: Direction) -> None:
        """Refuse a language that has no code of the kind that the command takes.

        Raises:
            UsageError: Names it.
        """
        for argument in self.arguments:
            for side, iso in _PLACEHOLDER.findall(argument):
                code = getattr(direction, side)
                if iso and not resolve(code).iso639_3:
                    raise UsageError(
                        f"{where}: ISO 639-3 has no code for {code!r}; write {{{side}}}"
                    )

    def translate(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """Return one translation per text.

        Raises:
            EncoderError: The command failed, took too long, or wrote another number of lines.
        """
        lines = [" ".join(text.split()) for text in texts]
        arguments = [_filled(argument, direction) for argument in self.arguments]
        try:
            written = _run(arguments, "".join(f"{line}\n" for line in lines), self.timeout)
            found = written.decode().split("\n")
        except UnicodeDecodeError:
            raise self._wrong(direction, "its output is not UTF-8") from None
        except (OSError, _FailedError) as error:
            raise self._wrong(direction, str(error)) from None
        if not found[-1]:
            found.pop()
        if len(found) != len(lines):
            raise self._wrong(
                direction,
                f"it read {len(lines):,} lines and wrote {len(found):,}; it must write one line "
                "per line",
            )
        return [line.strip() for line in found]

    def _wrong(self, direction: Direction, what: str) -> EncoderError:
        shown = line_of(shlex.join(self.arguments), 120)
        return EncoderError(f"command {shown}, {direction}: {what}")


class _FailedError(Exception):
    """The command failed; the text says how."""


def find_command(text: str, timeout: int) -> Command:
    """Return the command.

    Raises:
        UsageError: It cannot be parsed, or there is no such program.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"command:{line_of(text, 80)}: {error}") from None
    program = shutil.which(arguments[0]) if arguments else None
    if program is None:
        raise UsageError(f"command:{line_of(text, 80)}: there is no such program; install it")
    # Scripts that an argument names count; data that the program reads elsewhere do not.
    files = [Path(program), *(Path(one) for one in arguments[1:] if Path(one).is_file())]
    hashes = [sha256_of(path) for path in files if path.stat().st_size <= _LARGEST_HASHED]
    identity = {"command": shlex.join(arguments), "files": " ".join(hashes)}
    digest = hashlib.sha256(repr(sorted(identity.items())).encode()).hexdigest()
    shown = without_folders(shlex.join(arguments))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(program).name)[:40]
    details = {"translator": f"command {shown}", "command sha256": digest}
    return Command(arguments, f"command:{stem}@{digest[:8]}", details, identity, timeout)


def _filled(argument: str, direction: Direction) -> str:
    def code(found: re.Match[str]) -> str:
        own: str = getattr(direction, found[1])
        return resolve(own).iso639_3 if found[2] else own

    return _PLACEHOLDER.sub(code, argument)


def _run(arguments: Sequence[str], text: str, timeout: int) -> bytes:
    """Return what a command writes for an input; it and its children end with this call."""
    with tempfile.TemporaryFile() as given:
        data = text.encode(errors="replace")
        given.write(data)
        given.seek(0)
        most = _LARGEST_GROWTH * len(data) + _ROOM
        process = subprocess.Popen(
            arguments,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            written, errors = _collected(process, most, timeout)
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise _FailedError("it closed its output and goes on; it was stopped") from None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
    if status:
        last = line_of(errors.decode(errors="replace").strip().rpartition("\n")[2], 200)
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
        raise _FailedError(f"it {how}: {last or 'it wrote no error'}")
    return written


def _collected(process: subprocess.Popen[bytes], most: int, timeout: int) -> tuple[bytes, bytes]:
    """Read both streams to their ends; of the errors only the last bytes are kept."""
    output, errors = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
    found: dict[int, bytearray] = {output.fileno(): bytearray(), errors.fileno(): bytearray()}
    until = time.monotonic() + timeout
    with selectors.DefaultSelector() as waiting:
        for stream in (output, errors):
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, until - time.monotonic()))
            if not ready or time.monotonic() > until:
                raise _FailedError(
                    f"it did not end within {timeout:,} seconds and was stopped; give it longer by "
                    "timeout=SECONDS"
                )
            for key, _ in ready:
                data = os.read(key.fd, 2**16)
                found[key.fd] += data
                if not data:
                    waiting.unregister(key.fileobj)
            del found[errors.fileno()][:-_KEPT_ERRORS]
            if len(found[output.fileno()]) > most:
                raise _FailedError(f"it wrote more than {most:,} bytes and was stopped")
    return bytes(found[output.fileno()]), bytes(found[errors.fileno()])
