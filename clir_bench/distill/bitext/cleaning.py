"""Cleans the texts of a bitext, and decides which pairs to drop.

Texts become Unicode NFC, and runs of white space become one space. NFC changes nothing that a
reader sees, but gives equal sentences equal bytes. Nothing else changes: no lower case, no NFKC, no
straightened quotes.

The checks are fast and simple: they find a file in the wrong script, but not a file in another
language of the same script (Swahili instead of Hausa).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from clir_bench.distill.bitext import scripts

SMOOTHING = 15
"""Characters added to both lengths before they are compared, so that short texts may differ."""

# C0 controls (UTF-16 read as UTF-8), C1 controls (a Latin-1 file decoded wrongly), U+FFFD.
# Line ends and tabs among them are white space by then.
_BROKEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd\ufffe\uffff]")


class CleaningRules(BaseModel):
    """The limits beyond which a pair is dropped.

    Attributes:
        max_characters: Longer texts, on either side.
        max_length_ratio: The longer text (smoothed, and corrected for the script, see
            `scripts.expected_length`) is more than this many times the shorter one.
        min_script_share: Less than this share of a text's letters is in its language's script.
        min_length_correlation: Correlation of the two sides' logarithmic lengths over 40 pairs in
            the file's order, below which they are taken for misaligned; -1 turns it off.
        max_shift: Misaligned stretches are tried with one side moved by up to this many lines, and
            moved if that aligns them; 0 turns it off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_characters: Annotated[int, Field(gt=0)] = 1000
    max_length_ratio: Annotated[float, Field(gt=1)] = 2.5
    min_script_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_length_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.4
    max_shift: Annotated[int, Field(ge=0, le=10)] = 2


def clean_text(text: str) -> str:
    """Return the text in NFC, stripped, with runs of white space as one space.

    >>> clean_text(" cafe\\u0301 \\u00a0 noir\\n")
    'café noir'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def fault(english: str, foreign: str, script: str, rules: CleaningRules) -> str | None:  # noqa: PLR0911
    """Return why a cleaned pair is dropped, one of `report.DROPPED`, or None when it is kept.

    Args:
        english: The English text, as `clean_text` gives it.
        foreign: The other text, likewise.
        script: ISO 15924 script of the other language.
        rules: The limits.
    """
    if not english or not foreign:
        return "empty"
    if _BROKEN.search(english) or _BROKEN.search(foreign):
        return "broken_characters"
    if max(len(english), len(foreign)) > rules.max_characters:
        return "too_long"
    english_letters, foreign_letters = scripts.letters_of(english), scripts.letters_of(foreign)
    if not english_letters or not foreign_letters:
        return "no_letters"
    if english == foreign:
        return "copy"
    if (
        scripts.share(foreign_letters, script) < rules.min_script_share
        or scripts.share(english_letters, "Latn") < rules.min_script_share
    ):
        return "wrong_script"
    ratio = (len(foreign) / scripts.expected_length(script) + SMOOTHING) / (
        len(english) + SMOOTHING
    )
    if max(ratio, 1 / ratio) > rules.max_length_ratio:
        return "length_ratio"
    return None
