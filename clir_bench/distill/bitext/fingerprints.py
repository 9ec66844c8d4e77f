"""Makes 8-byte fingerprints, equal for texts that differ only in punctuation, case or spaces.

The normal form of a text is NFKC, case-folded, and has only letters, marks and digits; marks stay
because they are the vowels of Indic and Thai words. The fingerprint is the BLAKE2b hash of the
normal form, 64 bits. Among n different texts, the chance that any two have the same fingerprint is
about n²/2⁶⁵: 3 in 10⁸ for a million.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

MIN_SENTENCE_BYTES = 24
"""Sentences within a longer text count from this many UTF-8 bytes of their normal form: about five
words of English, eight characters of Chinese or Hindi. Shorter ones ("Yes.", "In 2005.") occur
everywhere and would only cost pairs."""

_SENTENCE_END = re.compile(r"(?<=[.!?؟።…])[\"'”’»)\]]*\s+|(?<=[。！？｡।॥။])|\n+")


class _Kept(dict[int, int | None]):
    """For `str.translate`: drops all but letters, marks and digits; fills itself on use."""

    def __missing__(self, codepoint: int) -> int | None:
        kept = unicodedata.category(chr(codepoint))[0] in "LMN"
        self[codepoint] = codepoint if kept else None
        return self[codepoint]


_KEPT = _Kept()


def normal_form(text: str) -> str:
    """Return a text's normal form; texts with equal normal forms count as the same.

    >>> normal_form("«Don't  Panic!»") == normal_form("dont panic")
    True
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_KEPT) or text.strip()


def fingerprint(text: str) -> int:
    """Return the 64-bit fingerprint of a text's normal form."""
    return _digest(normal_form(text).encode("utf-8", "surrogatepass"))


def exact_fingerprint(text: str) -> int:
    """Return a 64-bit fingerprint of a text without normalisation."""
    return _digest(text.encode("utf-8", "surrogatepass"))


def is_chosen(text: str, share: float) -> bool:
    """Tell whether a text is in a random share of all texts; depends only on its normal form."""
    return (
        share >= 1
        or _digest(b"share" + normal_form(text).encode("utf-8", "surrogatepass")) < share * 2.0**64
    )


def sentence_fingerprints(text: str) -> list[int]:
    """Return the fingerprints of the sentences of a text that has several.

    Sentences end at . ! ? and their counterparts in other scripts, and at line ends. A text of a
    single sentence gives none, as its own fingerprint is enough. Sentences shorter than
    `MIN_SENTENCE_BYTES` are left out.
    """
    pieces = _SENTENCE_END.split(text)
    if len(pieces) < 2:
        return []
    forms = (normal_form(piece).encode("utf-8", "surrogatepass") for piece in pieces if piece)
    return [_digest(form) for form in forms if len(form) >= MIN_SENTENCE_BYTES]


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
