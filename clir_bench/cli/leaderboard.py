"""`clir-bench leaderboard`: makes leaderboards from stored results."""

from __future__ import annotations

from pathlib import Path

import click

from clir_bench.cli.output import echo
from clir_bench.leaderboard.build import build_boards, differences, leftovers, write_files
from clir_bench.leaderboard.data_hashes import FILE_NAME, pin_hashes

_FOLDER = Path("leaderboards")
_boards = click.option(
    "--boards",
    type=click.Path(path_type=Path),
    default=_FOLDER,
    show_default=True,
    help="Folder of the boards' descriptions, <name>.toml, and of data.sha256.",
)


@click.group(
    epilog="""\b
Examples:
  clir-bench leaderboard build
  clir-bench leaderboard build --check
  clir-bench leaderboard pin afriqa"""
)
def command() -> None:
    """Make leaderboards from stored results."""


@command.command(
    epilog="""\b
Examples:
  clir-bench leaderboard build
  clir-bench leaderboard build --check
  clir-bench leaderboard build xquad-r --results results --output /tmp/boards"""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Folder of results. Default: results in the folder of the boards.",
)
@_boards
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="Where to write. Default: --boards."
)
@click.option("--check", is_flag=True, help="Write nothing; fail where files would change.")
@click.pass_context
def build(
    ctx: click.Context,
    /,
    *,
    names: tuple[str, ...],
    results: Path | None,
    boards: Path,
    output: Path | None,
    check: bool,
) -> None:
    """Write NAME.md, NAME.csv and the site, or with --check compare them with what is there.

    Makes all boards unless you name some. The site covers all boards, so it is made only with all
    of them. Results that a board leaves out are named on stderr with the reason.
    """
    built = build_boards(boards, names, results=results, output=output)
    for board in built.boards:
        for section in board.sections:
            for one in section.left_out:
                where = f"{board.id}, {section.id}"
                echo(f"left out of {where}: {one.result_file}: {one.reason}", err=True)
    output, files = built.folder, built.files
    if check:
        if found := differences(output, files):
            for difference in found:
                echo(difference, err=True)
            echo(
                f"{len(found)} of {len(files)} files are not what the results give; run "
                "`clir-bench leaderboard build`, delete pages that no board has, and commit",
                err=True,
            )
            ctx.exit(1)
        echo(f"{len(files)} files are what the results give")
        return
    changed = write_files(output, files)
    for name in changed:
        echo(output / name)
    for name in leftovers(output, files):
        echo(f"no board has this page any more, delete it: {output / name}", err=True)
    echo(f"{len(changed)} of {len(files)} files written, the others are as they were")


@command.command(epilog="Example: clir-bench leaderboard pin xquad tatoeba")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@_boards
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the one task's files.")
def pin(*, tasks: tuple[str, ...], boards: Path, data_dir: Path | None) -> None:
    """Write the hashes of the boards' data, computed from the data itself.

    Needed once for a new board, and when a task's card changes what is loaded. Reads all tasks of
    all boards unless you name some; lines of other tasks stay.
    """
    hashes = pin_hashes(boards, tasks, data_dir=data_dir)
    echo(f"{boards / FILE_NAME}: {len(hashes)} pairs")
