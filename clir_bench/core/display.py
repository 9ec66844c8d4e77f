"""Makes untrusted texts safe to print: escapes characters that are invisible or reorder others."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

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
"""Letters and marks that are invisible."""
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but the spelling of Persian and of Indian languages, and of emoji, needs them."""
_LAST_LATIN = "\u02ff"
_LONGEST_LINE = 1000
_LONGEST_TEXT, _LONGEST_VALUE = 80, 60


def unseen(text: str, position: int) -> str | None:
    """Name the kind of invisible character at a place in a text, None when it is visible.

    A zero-width joiner counts as visible between letters of a script that joins them. Among Latin
    letters it would only make two names that look equal.

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
    r"""Return a text with every invisible character escaped as in JSON, except those in `keep`.

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
    """Return an untrusted text for an error message: ASCII, quoted, on one line, cut.

    >>> printable("a\\u202eb\\n")
    "'a\\\\u202eb\\\\n'"
    """
    shown = ascii(text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


def line_of(text: str, longest: int = _LONGEST_LINE) -> str:
    r"""Return a text on one line, cut, with what cannot be shown escaped.

    >>> line_of("a\x1b[2Jb\n\ud800")
    'a\\x1b[2Jb \\ud800'
    """
    line = " ".join(text[: 2 * longest].split())
    cut = line[:longest] + ("..." if len(line) > longest or len(text) > 2 * longest else "")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def shown(value: object, longest: int = 80) -> str:
    """Return a value as messages show it: its type unless it is plain, and its beginning.

    >>> shown(1.5), shown("x"), shown(None)
    ('1.5', "'x'", 'None')
    """
    if isinstance(value, str):
        return line_of(ascii(value[:longest]), longest)
    text = text_of(lambda: repr(value), "something that cannot be shown")
    name = type(value).__qualname__
    kind = "" if isinstance(value, int | float | type(None)) else f"{name} "
    return kind + line_of(text, longest)


def text_of(asked: Callable[[], str], otherwise: str) -> str:
    """Return the text that a plugin's own class makes, or a placeholder if it raises."""
    try:
        return asked()
    except BaseException as failure:
        if isinstance(failure, KeyboardInterrupt):
            raise
        return otherwise


def shown_path(path: Path) -> str:
    """Return any path as messages show it."""
    return printable(str(path), 300)[1:-1]


def shortened(text: str) -> str:
    """Return a text as shown in messages: on one line, quoted, cut after 80 characters.

    >>> shortened("one\\n  two")
    "'one two'"
    """
    line = " ".join(text[: 4 * _LONGEST_TEXT].split())
    cut = line[:_LONGEST_TEXT] + ("..." if len(line) > _LONGEST_TEXT else "")
    return repr(cut)


def both_ends(value: object) -> str:
    """Return a value as people read it: text quoted, its control characters escaped, cut.

    The end is kept too, because two long prompts or hashes may begin alike.
    """
    text = str(value) if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST_VALUE:
        text = f"{text[: _LONGEST_VALUE // 2]}...{text[-_LONGEST_VALUE // 2 :]}"
    return repr(text) if isinstance(value, str) else text


def some_of(names: Iterable[str], n_shown: int = 5) -> str:
    """Return the first names, and how many more there are.

    >>> some_of(["en", "fi", "sw"], 2)
    'en, fi and 1 more'
    """
    listed = list(names)
    more = f" and {len(listed) - n_shown:,} more" if len(listed) > n_shown else ""
    return ", ".join(listed[:n_shown]) + more


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
