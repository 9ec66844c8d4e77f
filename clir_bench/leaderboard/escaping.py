"""Escapes texts from submissions for Markdown, for links and for spreadsheets."""

from __future__ import annotations

import re
from urllib.parse import quote

from clir_bench.core.display import unseen

_SPECIAL = re.compile(r"[\\`*\[\]<>|~$@{}]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|(?<=www)\.|:(?=//)")
_FORMULA = ("=", "+", "-", "@")


def visible(text: str) -> str:
    """Return a text on one line, with characters that hide or reorder others spelled out.

    >>> visible("safe\\u202ecod.exe")
    'safe[U+202E]cod.exe'
    """
    return spelled_out(" ".join(text.split()))


def spelled_out(text: str, keep: str = "") -> str:
    """Return a text with every unseen character spelled out, except those in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"[U+{ord(character):04X}]"
        if character not in keep and unseen(text, position)
        else character
        for position, character in enumerate(text)
    )


def markdown(text: str, longest: int = 200) -> str:
    """Return a text, shortened, that Markdown and HTML show as plain text.

    Addresses and mentions are not turned into links either.

    >>> markdown("<b>*x*</b> a_b | @you")
    '&lt;b&gt;\\\\*x\\\\*&lt;/b&gt; a_b \\\\| \\\\@you'
    """
    shown = visible(text)
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    escaped = _SPECIAL.sub(lambda found: _entity(found[0]), shown.replace("&", "&amp;"))
    # At the start of a line, these would begin a heading, a list or a quotation.
    return re.sub(r"^(?=[#+\-=])|(?<=^\d)(?=[.)])", r"\\", escaped)


def _entity(character: str) -> str:
    return {"<": "&lt;", ">": "&gt;"}.get(character, f"\\{character}")


def target(path: str) -> str:
    """Return a relative path as a link target.

    >>> target("results/a (b)/x.json")
    'results/a%20%28b%29/x.json'
    """
    return quote(path, safe="/._-~+")


def spreadsheet(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula.

    >>> spreadsheet("=1+1")
    "'=1+1"
    """
    shown = visible(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
