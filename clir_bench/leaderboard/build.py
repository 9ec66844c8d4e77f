"""Writes all files of all boards, or compares them with the existing files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clir_bench.core.files import write_file
from clir_bench.errors import OutputError
from clir_bench.leaderboard.assembly import assemble
from clir_bench.leaderboard.board import Board
from clir_bench.leaderboard.data_hashes import read_official
from clir_bench.leaderboard.definition import read_definitions
from clir_bench.leaderboard.entries import Submissions
from clir_bench.leaderboard.markdown import board_markdown
from clir_bench.leaderboard.site.render import render_site
from clir_bench.leaderboard.spreadsheet import board_csv

SITE = "site"


@dataclass(frozen=True)
class BuiltBoards:
    """Boards, and the contents of their files.

    Attributes:
        folder: Where the files belong.
        files: Their contents, by path within the folder.
    """

    boards: tuple[Board, ...]
    folder: Path
    files: Mapping[str, bytes]


def build_boards(
    folder: Path,
    names: Sequence[str] = (),
    *,
    results: Path | None = None,
    output: Path | None = None,
) -> BuiltBoards:
    """Return boards made of submitted results; `write_files` and `differences` take their files.

    Args:
        folder: The boards' descriptions, and the hashes of their data.
        names: Only these boards, without the site, which covers all of them.
        results: Folder of submitted results; "results" in `folder` when None.
        output: Where the files belong; `folder` when None.

    Raises:
        UnknownNameError: There is no board of that name.
        DataError: A description or the file of hashes cannot be read.
    """
    results, output = results or folder / "results", output or folder
    definitions = read_definitions(folder, tuple(names))
    submissions = Submissions(results, read_official(folder))
    boards = tuple(assemble(definition, submissions, output) for definition in definitions)
    return BuiltBoards(boards, output, board_files(boards, site=not names))


def board_files(boards: Sequence[Board], *, site: bool) -> dict[str, bytes]:
    """Return the files' contents, by path within the boards' folder.

    Args:
        boards: The boards to write.
        site: Make the site too; it covers all boards, so `boards` must be complete.
    """
    files = {}
    for board in boards:
        files[f"{board.id}.md"] = board_markdown(board)
        files[f"{board.id}.csv"] = board_csv(board)
    if site:
        files |= {f"{SITE}/{name}": content for name, content in render_site(boards).items()}
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write new and changed files; return their names.

    Raises:
        OutputError: The folder cannot be written.
    """
    changed = [name for name, content in files.items() if _content(folder / name) != content]
    for name in changed:
        write_file(folder / name, files[name])
    return changed


def differences(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Say how each file differs from the results; empty when none does."""
    found = []
    for name, content in files.items():
        present = _content(folder / name)
        if present is None:
            found.append(f"{folder / name}: missing")
        elif present != content:
            found.append(f"{folder / name}: {_first_difference(present, content)}")
    return found + [f"{folder / name}: no board has this page" for name in leftovers(folder, files)]


def leftovers(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Return files of the site that belong to no board any more; none when no site was made."""
    if not any(name.startswith(f"{SITE}/") for name in files):
        return []
    present = (path for path in (folder / SITE).rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in present)
    return sorted(name for name in names if name not in files)


def _first_difference(present: bytes, wanted: bytes) -> str:
    pairs = zip(present.splitlines(), wanted.splitlines(), strict=False)
    same = next((number for number, (a, b) in enumerate(pairs, start=1) if a != b), None)
    if same is None:
        return "is longer or shorter than what the results give"
    return f"line {same} is not what the results give"


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from error
