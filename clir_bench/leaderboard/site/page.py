"""What all pages share: head, navigation, foot."""

from __future__ import annotations

from typing import NamedTuple

from clir_bench.leaderboard.site.markup import Attribute, Child, Markup, element, join, safe_href

# 'self' is every file for a page opened from disk, in browsers that take it so; others need file:.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
TO_FILES = "../"
"""From the site's root to the folder of the boards and results."""

TO_REPOSITORY = "../../"
"""From the site's root to the repository's."""

_SECTIONS = (("index.html", "Boards"), ("systems.html", "Systems"), ("tasks.html", "Tasks"))


class Place(NamedTuple):
    """Where a page is: the way from it up to the site's root, "" or "../"."""

    up: str

    def link(self, path: str, text: Child, **attributes: Attribute) -> Markup:
        """Return a link to a page of the site, or the text alone where it cannot be one."""
        return link(self.up + path, text, **attributes)

    def file(self, path: str, text: Child) -> Markup:
        """Return a link to a file beside the boards: a result, a run."""
        return link(self.up + TO_FILES + path if _goes_down(path) else "", text)

    def source(self, path: str, text: Child) -> Markup:
        """Return a link to a file of the repository."""
        return link(self.up + TO_REPOSITORY + path if _goes_down(path) else "", text)


def _goes_down(path: str) -> bool:
    return bool(path) and not path.startswith(("..", "/"))


def link(address: str, text: Child, **attributes: Attribute) -> Markup:
    """Return a link, or the text alone where the address is not safe."""
    if safe_href(address) is None:
        return join([text])
    outside = "noopener noreferrer external" if address.startswith("https:") else None
    return element("a", {"href": address, "rel": outside, **attributes}, text)


def name(text: str) -> Markup:
    """Return a name from elsewhere, kept from changing the direction of what is around it."""
    return element("bdi", None, text)


def page(path: str, title: str, *content: Child) -> bytes:
    """Return a whole page.

    Args:
        path: Of the page in the site, with forward slashes.
        title: Plain text.
    """
    place = place_of(path)
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", None, title, " – clir-bench"),
        element("link", {"rel": "stylesheet", "href": f"{place.up}site.css"}),
        element("script", {"src": f"{place.up}site.js"}),
    )
    body = element(
        "body",
        None,
        element("a", {"class": "skip", "href": "#content"}, "Skip to the content"),
        _top(path, place),
        element("main", {"id": "content", "tabindex": -1}, *content),
        _foot(),
        element("p", {"id": "said", "class": "unseen", "role": "status"}),
    )
    whole = f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n"
    # One row a line keeps what a rebuilt board changes readable in a diff.
    for end in ("</tr>", "</section>", "</head>", "</header>", "</p>", "</dd>", "</li>", "</g>"):
        whole = whole.replace(end, end + "\n")
    return whole.encode()


def place_of(path: str) -> Place:
    """Return where a page is.

    >>> place_of("systems/hashing.html").up
    '../'
    """
    return Place("../" * path.count("/"))


def _top(path: str, place: Place) -> Markup:
    items = [
        element("li", None, place.link(target, text, **_current(target, path)))
        for target, text in _SECTIONS
    ]
    toggle = element(
        "button",
        {"type": "button", "id": "theme", "aria-pressed": "false", "hidden": True},
        "Dark theme",
    )
    return element(
        "header",
        {"class": "top"},
        place.link("index.html", "clir-bench leaderboards", **{"class": "name"}),
        element("nav", {"aria-label": "Site"}, element("ul", None, items)),
        toggle,
    )


def _current(target: str, path: str) -> dict[str, Attribute]:
    return {"aria-current": "page"} if target == path else {}


def _foot() -> Markup:
    return element(
        "footer",
        {"class": "foot"},
        element(
            "p",
            None,
            "Scores are means over queries, then pairs, then languages; the figures under them are "
            "95% bootstrap intervals. Every score can be computed again from the run it links to. "
            "These pages load nothing from elsewhere.",
        ),
    )
