"""Texts from files and strangers, made safe to print: what hides or reorders is spelled out."""

from __future__ import annotations

import unicodedata

_KINDS = {
    "Cc": "a control character",
    "Cf": "an invisible or direction-changing character",
    "Cs": "half a surrogate pair",
    "Co": "a private-use character",
    "Cn": "an unassigned character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that are drawn as nothing."""
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but the spelling of Persian and of Indian languages, and of emoji, needs them."""
_LAST_LATIN = "\u02ff"


def unseen(text: str, position: int) -> str | None:
    """Say what kind of character hides at a place of a text, None when it is seen.

    A zero-width joiner is seen between letters of a script that joins them; among Latin letters it
    would only make two equal names of one.

    >>> unseen("safe\\u202ecod.exe", 4)
    'an invisible or direction-changing character'
    >>> unseen("\\u0645\\u06cc\\u200c\\u062e", 2) is None
    True
    """
    character = text[position]
    if character in _JOINERS and position and text[position - 1] > _LAST_LATIN:
        return None
    if character in _FILLERS:
        return _KINDS["Cf"]
    return _KINDS.get(unicodedata.category(character))


def visible(text: str, keep: str = "") -> str:
    r"""Return a text with every unseen character as JSON escapes it, but for those in `keep`.

    In JSON it is therefore the same text.

    >>> visible("LaBSE\x1b[2J\n", keep="\n")
    'LaBSE\\u001b[2J\n'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in keep or not unseen(text, position) else _escaped(character)
        for position, character in enumerate(text)
    )


def printable(text: str, longest: int = 80) -> str:
    """Return a hostile text as it can be shown in an error: ASCII, quoted, on one line, cut.

    >>> printable("a\\u202eb\\n")
    "'a\\\\u202eb\\\\n'"
    """
    shown = ascii(text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


def fixed(number: float, n_digits: int = 4, *, sign: bool = False) -> str:
    """Return a number with `n_digits` decimals, and zero without a sign.

    >>> fixed(-0.00001), fixed(0.25, 2, sign=True), fixed(1234.5, 1)
    ('0.0000', '+0.25', '1,234.5')
    """
    text = f"{number:{'+' if sign else ''},.{n_digits}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))
