"""The leaderboards as a static site: plain files that need no server and load nothing elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clir_bench.leaderboard.board import Board
from clir_bench.leaderboard.site import palette
from clir_bench.leaderboard.site.board_page import board_page, board_path
from clir_bench.leaderboard.site.overview import overview_page
from clir_bench.leaderboard.site.system_page import system_page, systems_of, systems_page
from clir_bench.leaderboard.site.task_page import task_page, tasks_of, tasks_page

_ASSETS = Path(__file__).with_name("assets")


def render_site(boards: Sequence[Board]) -> dict[str, bytes]:
    """Return the files of the site: path relative to its root, with forward slashes, to content.

    The site belongs in the folder `site` beside the boards, in a folder of the repository: that is
    where its links to results, runs and task cards lead from. Equal boards give equal bytes.
    """
    systems, tasks = systems_of(boards), tasks_of(boards)
    files = {
        "index.html": overview_page(boards),
        "systems.html": systems_page(systems),
        "tasks.html": tasks_page(tasks),
        "site.css": (_asset("site.css") + palette.rules()).encode(),
        "site.js": _asset("site.js").encode(),
    }
    files |= {board_path(board): board_page(board) for board in boards}
    files |= {
        f"systems/{folder}.html": system_page(folder, system, entries)
        for folder, (system, entries) in systems.items()
    }
    files |= {f"tasks/{key}.html": task_page(task, of) for key, (task, of) in tasks.items()}
    return dict(sorted(files.items()))


def _asset(name: str) -> str:
    # Line ends as they were committed, whatever the checkout made of them.
    return (_ASSETS / name).read_text(encoding="utf-8")
