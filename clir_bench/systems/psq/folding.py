"""Folds what people leave out when they type questions: tone marks, dots below, hooked letters."""

from __future__ import annotations

import unicodedata

_FOLDED = ("ha", "ig", "yo")
_HOOKS = str.maketrans("ƁɓƊɗƘƙƳƴ", "BbDdKkYy")


def fold(text: str, language: str) -> str:
    """Return a query's text as tables hold it; unchanged in languages that always write marks.

    >>> fold("Ọ̀ṣun", "yo"), fold("ƙasa", "ha"), fold("tiếng", "vi")
    ('Osun', 'kasa', 'tiếng')
    """
    if language not in _FOLDED or text.isascii():
        return text
    letters = unicodedata.normalize("NFD", text.translate(_HOOKS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
