"""Renders boards to the files of the site, with the templates beside this module.

The templates escape all values (autoescape). Before that, `_plain` replaces every invisible
character by its name, and only addresses that `safe_href` accepts become links. No text of a
submission is ever treated as HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from clir_bench.core.display import fixed, some_of
from clir_bench.leaderboard.board import Board, BoardRow, BoardSystem
from clir_bench.leaderboard.escaping import spelled_out
from clir_bench.leaderboard.site import palette
from clir_bench.leaderboard.site.listing import Listing, choices, listings_of
from clir_bench.leaderboard.site.plot import plot
from clir_bench.tasks.languages import TIERS, resolve

_HERE = Path(__file__).parent
# 'self' is every file for a page opened from disk, in browsers that take it so; others need file:.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
_RELATIVE = re.compile(r"(?:\.\./)*(?:[\w@+-][\w.@+-]*/)*(?:[\w@+-][\w.@+-]*)?(?:#[\w.-]*)?", re.A)
_HTTPS = re.compile(r"https://[\w.-]+(?::\d{1,5})?(?:[/?#][\w.~:/?#\[\]@!$&'()*+,;=%-]*)?", re.A)
_LONGEST_ADDRESS = 2000


def render_site(boards: Sequence[Board]) -> dict[str, bytes]:
    """Return the files of the site, by path relative to its root, with forward slashes.

    The site belongs in the folder `site` beside the boards, inside the repository: its links to
    results, runs and task cards start there. Equal boards give equal bytes.
    """
    listings = [one for board in boards for one in listings_of(board)]
    systems: dict[str, tuple[BoardSystem, list[tuple[Listing, BoardRow]]]] = {}
    tasks: dict[str, list[Listing]] = {}
    for one in listings:
        tasks.setdefault(one.section.task.id, []).append(one)
        for row in one.section.rows:
            known = systems.setdefault(row.system, (one.board.systems[row.system], []))
            known[1].append((one, row))
    systems, tasks = dict(sorted(systems.items())), dict(sorted(tasks.items()))
    present = {tier for one in listings for tier in one.section.tiers}
    tiers = [tier for tier in TIERS if tier in present]
    files = {
        "index.html": _page("index.html", "Leaderboards", boards=boards, listings=listings,
                            tiers=tiers),
        "systems.html": _page("systems.html", "Systems", systems=systems),
        "tasks.html": _page("tasks.html", "Tasks", tasks=tasks),
        "site.css": (_asset("site.css") + palette.rules()).encode(),
        "site.js": _asset("site.js").encode(),
    }  # fmt: skip
    for board in boards:
        path = f"boards/{board.id}.html"
        files[path] = _page(path, board.title, "board.html", board=board,
                            listings=listings_of(board))  # fmt: skip
    for folder, (system, entries) in systems.items():
        path = f"systems/{folder}.html"
        files[path] = _page(path, system.name, "system.html", system=system, entries=entries)
    for name, of_task in tasks.items():
        path, task = f"tasks/{name}.html", of_task[0].section.task
        spoken = ", ".join(f"{resolve(code).name} ({code})" for code in task.languages)
        files[path] = _page(
            path, task.title, "task.html",
            task=task,
            listings=of_task,
            languages=f"{len(task.languages)}: {spoken}",
            pairs={p: size for one in of_task for p, size in one.section.pairs.items()},
        )  # fmt: skip
    return dict(sorted(files.items()))


def _page(path: str, title: str, template: str = "", **content: object) -> bytes:
    known = {"path": path, "title": title, "up": "../" * path.count("/"), **content}
    return environment().get_template(template or path).render(known).encode()


def _asset(name: str) -> str:
    # Line ends as committed, even if the checkout changed them.
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Return the environment that renders the templates."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"policy": POLICY, "n_steps": palette.N_STEPS}
    made.filters |= {
        "attributes": attributes,
        "choices": choices,
        "fixed": fixed,
        "number": number,
        "number_of": lambda n, one: f"{n:,} {one}{'' if n == 1 else 's'}",
        "plot": plot,
        "some_of": some_of,
        "step": palette.step,
    }
    made.tests |= {
        "below": lambda path: bool(path) and not path.startswith(("..", "/")),
        "has": lambda values, key: key in values,
        "linkable": lambda address: safe_href(address) is not None,
    }
    return made


def _plain(value: object) -> object:
    """Return a template's value with every unseen character spelled out."""
    return value if isinstance(value, Markup) else spelled_out(str(value), keep="\n\t")


def attributes(values: Mapping[str, object]) -> Markup:
    """Return attributes of an element without those that are None; templates choose the names."""
    shown = {
        name: escape(_plain(number(value) if isinstance(value, float) else value))
        for name, value in values.items()
        if value is not None
    }
    return Markup("".join(f' {name}="{value}"' for name, value in shown.items()))  # noqa: S704  escaped


def number(value: float) -> str:
    """Return a number for the script, six decimals at most.

    >>> [number(value) for value in (0.5, -0.0, 0.123456)]
    ['0.5', '0', '0.123456']
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def safe_href(address: str) -> str | None:
    """Return the address if it may be linked, else None.

    Links may be https addresses without user names, and relative paths of plain names; nothing else
    (no other schemes, `//host`, backslashes, white space, percent-encoded paths).

    >>> [safe_href(a) for a in ("../x/y.json", "https://example.org/a?b#c")]
    ['../x/y.json', 'https://example.org/a?b#c']
    >>> [safe_href(a) for a in ("javascript:alert(1)", "//example.org", "https://a@b.c", "http://x")]
    [None, None, None, None]
    """
    if not address or len(address) > _LONGEST_ADDRESS:
        return None
    if _RELATIVE.fullmatch(address):
        return address
    if not _HTTPS.fullmatch(address):
        return None
    try:
        split = urlsplit(address)
        split.port  # noqa: B018  reading it is what checks it
    except ValueError:
        return None
    return None if "@" in split.netloc else address
