"""Folds what people leave out when they type questions: tone marks, dots below, hooked letters."""

from __future__ import annotations

import unicodedata
from itertools import chain

from clir_bench.encoders.lexical.analysis import Analyzer

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


def query_terms(text: str, analyzer: Analyzer) -> list[str]:
    """Return the terms of a query, or of the queries' side of bitext, folded.

    Stop words are found as they are written, and stems are cut from folded words.
    """
    if analyzer.language not in _FOLDED or text.isascii():
        return analyzer.terms(text)
    pieces = (piece for piece in text.split() if analyzer.terms(piece))
    return list(
        chain.from_iterable(analyzer.terms(fold(piece, analyzer.language)) for piece in pieces)
    )
