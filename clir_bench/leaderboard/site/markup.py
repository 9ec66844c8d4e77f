"""HTML that is escaped unless it was made here.

A page is built from elements whose children and attributes are plain text until `element` makes
markup of them, so there is no place where escaping can be forgotten. Everything that comes from a
submission passes through `visible`, and every address through `safe_href`.

This is used rather than Jinja2: a template engine is one more declared dependency, escapes only
where it is switched on, leaves invisible characters and `javascript:` addresses to the author, and
its templates are outside the reach of mypy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import urlsplit

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;"}
)
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_ADDRESSES = frozenset({"href", "src"})
_RELATIVE = re.compile(r"(?:\.\./)*(?:[\w@+-][\w.@+-]*/)*(?:[\w@+-][\w.@+-]*)?(?:#[\w.-]*)?", re.A)
_HTTPS = re.compile(r"https://[\w.-]+(?::\d{1,5})?(?:[/?#][\w.~:/?#\[\]@!$&'()*+,;=%-]*)?", re.A)
_MAX_ADDRESS = 2000
_JOINERS = frozenset("\u200c\u200d")
"""Zero-width joiners: invisible, but the spelling of Persian, Sinhala and others needs them."""


class Markup(str):
    """Text that is HTML already. Only this module makes it."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
Attribute: TypeAlias = "str | int | bool | None"


def visible(text: str) -> str:
    """Return a text with nothing in it that hides, reorders or breaks what stands around it.

    Control characters, line and paragraph separators, direction overrides and other invisible
    characters, private and unassigned code points and halves of surrogate pairs are spelled out.

    >>> visible("abc\\u202egnp.exe")
    'abc[U+202E]gnp.exe'
    """
    return "".join(
        character if _is_plain(character) else f"[U+{ord(character):04X}]" for character in text
    )


def _is_plain(character: str) -> bool:
    if character in "\n\t" or character in _JOINERS:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def escape(text: str) -> Markup:
    """Return a text as HTML that shows it, in an element or in a quoted attribute."""
    return Markup(visible(text).translate(_ESCAPES))


def element(tag: str, attributes: dict[str, Attribute] | None = None, *children: Child) -> Markup:
    """Return an element around its children.

    Args:
        tag: Name of the element, one of ours.
        attributes: Written in the order given; None and False leave one out, True writes it empty.
            An address that `safe_href` refuses is left out.
        children: Text, which is escaped, markup, which is not, or iterables of both.

    >>> element("a", {"href": "javascript:alert(1)", "class": "x"}, "<b>")
    '<a class="x">&lt;b&gt;</a>'
    """
    parts = [f"<{_checked(tag)}"]
    for name, value in (attributes or {}).items():
        written = safe_href(str(value)) if name in _ADDRESSES and value is not None else value
        if written is None or written is False:
            continue
        shown = "" if written is True else escape(str(written))
        parts.append(f' {_checked(name)}="{shown}"')
    parts.append(">")
    if tag in _VOID:
        return Markup("".join(parts))
    parts += [join(children), f"</{tag}>"]
    return Markup("".join(parts))


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Return children one after the other, text escaped."""
    return Markup(escape(between).join(_flat(children)))


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif isinstance(child, int):
            yield str(child)
        else:
            yield from _flat(child)


def _checked(name: str) -> str:
    # Ours, never a submission's: a slip here is a bug and no bad input.
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element or attribute")
    return name


def safe_href(address: str) -> str | None:
    """Return an address that may be linked, or None.

    Allowed are https addresses without user names, and relative paths of plain names; everything
    else (other schemes, `//host`, backslashes, white space, percent-encoded paths) is not.

    >>> [safe_href(a) for a in ("../x/y.json", "https://example.org/a?b#c")]
    ['../x/y.json', 'https://example.org/a?b#c']
    >>> [safe_href(a) for a in ("javascript:alert(1)", "//example.org", "https://a@b.c", "http://x")]
    [None, None, None, None]
    """
    if not address or len(address) > _MAX_ADDRESS:
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
