"""Holds the texts that the checks give to an encoder; they were written for this purpose."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

SENTENCES = (
    "Heavy rain closed the road to the harbour.",
    "The school gives every child a free lunch.",
    "A goat slept under the baobab tree all afternoon.",
    "Farmers expect a good harvest of maize this year.",
    "The museum shows old maps and ships.",
    "Doctors vaccinated the whole village against measles.",
    "Parliament voted on the new budget last night.",
    "The football match ended without a goal.",
    "She repairs radios and clocks in a small shop.",
    "Volcanic ash covered the island's only airport.",
    "Bees need flowers that bloom before summer.",
    "The choir sang three songs at the wedding.",
)
"""Plain sentences, no two of them about the same thing."""

WORDLESS = ("?!", "...", "\U0001f41d")
"""Punctuation alone, a picture: texts that a run encodes though they have no word."""
INVISIBLE = ("\u200b\ufeff", "\u200f\u200e", "\x00\x07", "\u0301")
"""Characters without a width, controls, an accent alone. Runs never encode white space alone."""

_LONG_WORDS = 20_000


class Script(NamedTuple):
    """Two texts of different meaning in one script."""

    code: str
    language: str
    texts: tuple[str, str]


@cache
def scripts() -> tuple[Script, ...]:
    """Return one entry for each script of `languages.toml`."""
    raw = tomllib.loads(Path(__file__).with_name("scripts.toml").read_text(encoding="utf-8"))
    return tuple(
        Script(code, row["language"], (row["texts"][0], row["texts"][1]))
        for code, row in raw["scripts"].items()
    )


def long_text(n_words: int = _LONG_WORDS, ending: str = "") -> str:
    """Return a text of this many words, about 6 characters each, with an ending."""
    words = " ".join(SENTENCES).split()
    repeated = " ".join(words[number % len(words)] for number in range(n_words))
    return f"{repeated} {ending}" if ending else repeated


def unbroken_text() -> str:
    """Return 100,000 characters without a space, as broken scans and Chinese have them."""
    return "书很大水很冷" * 8_000 + "x" * 52_000
