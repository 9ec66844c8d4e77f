"""Texts to terms, by the rules of each language (the table is `analysis.toml`).

A text is cut at white space. Every piece then becomes terms:

1. Unicode NFKC, the language's character rules (`_FOLDS`), case folding, NFKC once more. Joiners
   and soft hyphens disappear, decimal digits of every script become 0 to 9.
2. Words are the longest runs of letters, combining marks and numbers. An apostrophe ends a word;
   where it is a letter of the language, it disappears.
3. In scripts that do not divide words by spaces, a run becomes its character n-grams; a run that
   is shorter stays as it is.
4. Stop words are left out. Other words are stemmed by Snowball (Porter 2001,
   https://snowballstem.org) or cut, where the table says so.

No step looks across white space, so the terms of a piece are kept and computed once:
`Analyzer.terms` then costs little more than `str.split`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.tasks.languages import resolve

ANALYSIS_VERSION = 1
"""To be raised whenever any text could become other terms; part of every identity."""
LONGEST_WORD = 255
"""Longer words are cut into pieces of this many characters, as Lucene's tokenizer does."""

_TABLE_FILE = Path(__file__).with_name("analysis.toml")
_ASCII_WORDS = re.compile(f"[a-z0-9]{{1,{LONGEST_WORD}}}").findall
_KEPT_PIECES = 1 << 18
_LONGEST_KEPT = 40


def _deleted(characters: Iterable[str]) -> dict[int, str]:
    return {ord(character): "" for character in characters}


def _mapped(old: str, new: str) -> dict[int, str]:
    return dict(zip(map(ord, old), new, strict=True))


_ZEROS = (
    "\u0660\u06f0\u07c0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\u0de6\u0e50\u0ed0"
    "\u0f20\u1040\u1090\u17e0\u1810\u1946\ua620\uabf0"
)
_EVERYWHERE = {
    **{ord(zero) + value: str(value) for zero in _ZEROS for value in range(10)},
    **_deleted("\u00ad\u034f\u200c\u200d\u2060\ufeff" + "".join(map(chr, range(0xFE00, 0xFE10)))),
}
_ARABIC_MARKS = "ـ\u0670" + "".join(map(chr, (*range(0x610, 0x61B), *range(0x64B, 0x660))))
_HEBREW_POINTS = "".join(map(chr, (*range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7)))
_FOLDS: Mapping[str, Mapping[int, str]] = {
    "Arabic marks": _deleted(_ARABIC_MARKS),
    "Persian letters": _mapped("أإٱيىےكۀةە", "اااییی" + "کههه"),
    "Urdu letters": _mapped("أإٱيىكۀةهۂ", "ااایی" + "کہہہہ"),
    "half spaces": {0x200C: " "},
    "Turkic i": _mapped("Iİ", "ıi"),
    "comma below": _mapped("şţŞŢ", "șțȘȚ"),
    "apostrophes": _deleted("'’‘ʼʻʹ`´′"),
    "Hebrew": _deleted("\"'״׳" + _HEBREW_POINTS),
    "middle dot": _deleted("·‧"),
    "stress marks": _deleted("\u0300\u0301"),
    "candrabindu": _mapped("ँঁઁଁఁ", "ंংંଂం"),
}
"""Character rules, by what the table and an analyzer's name call them."""


@dataclass(frozen=True)
class Rules:
    """A row of the table.

    Attributes:
        stemmer: Snowball algorithm, "" for none.
        cut: Characters of a word that are kept, 0 for all.
        grams: Scripts beside `[grams]` of the table in which words become n-grams, and their size.
        fold: Names in `_FOLDS`.
        stop: Words to leave out.
    """

    stemmer: str = ""
    cut: int = 0
    grams: Mapping[str, int] = field(default_factory=dict)
    fold: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()


class Analyzer:
    """Texts to terms by the rules of one language.

    Attributes:
        language: Canonical code; an unknown code stands as it was given.
        name: What the analyzer does, in one line for results and identities.
    """

    def __init__(self, language: str, rules: Rules) -> None:
        """Make an analyzer; `load_analyzer` finds the rules.

        Raises:
            UsageError: PyStemmer lacks the stemmer.
        """
        self.language = language
        self._pieces = _Pieces(language, rules)
        self.name = f"{language}: {_described(rules)}"

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text in order, with repeats; empty where nothing is left of it."""
        return list(chain.from_iterable(map(self._pieces.__getitem__, text.split())))

    def terms_of(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """Return the terms of each text."""
        return map(self.terms, texts)


def load_analyzer(language: str) -> Analyzer:
    """Return the analyzer of a language, the default one where the table has no row for it.

    >>> load_analyzer("en").terms("The cats' café")
    ['cat', 'café']
    >>> load_analyzer("zh").terms("北京大学 NLP")
    ['北京', '京大', '大学', 'nlp']

    Args:
        language: Any code or name; unknown ones get the default rules.

    Raises:
        UsageError: PyStemmer is too old for the language's stemmer.
    """
    try:
        known = resolve(language)
    except UnknownNameError:
        return Analyzer(language, Rules())
    return Analyzer(known.code, rules_of(known.code))


def rules_of(code: str) -> Rules:
    """Return the rules of a canonical code."""
    languages = _table()["languages"]
    row = languages.get(code, {})
    row = {**languages[row["as"]], **row} if "as" in row else row
    fields = {key: value for key, value in row.items() if key != "as"}
    fields["fold"] = tuple(fields.get("fold", ()))
    fields["stop"] = tuple(fields.get("stop", "").split())
    return Rules(**fields)


class _Pieces(dict[str, tuple[str, ...]]):
    """The terms of each piece between white space; short pieces are kept, up to a number."""

    def __init__(self, language: str, rules: Rules) -> None:
        import regex

        super().__init__()
        self._stem = _stemmer(language, rules)
        self._characters = dict(_EVERYWHERE)
        for name in rules.fold:
            self._characters.update(_FOLDS[name])
        self._lower_is_enough = min(self._characters) > 127
        grams = {**rules.grams, **_table()["grams"], **rules.grams}  # its own scripts first
        self._sizes = list(grams.values())
        runs = ["".join(rf"\p{{scx={one}}}" for one in scripts.split()) for scripts in grams]
        word, undivided = r"[\p{L}\p{M}\p{N}]", "".join(runs)
        self._words = regex.compile(f"{word}{{1,{LONGEST_WORD}}}").findall
        self._undivided = regex.compile(f"[{undivided}]").search
        self._runs = regex.compile(
            "".join(f"([[{run}]&&{word}]+)|" for run in runs)
            + f"([{word}--[{undivided}]]{{1,{LONGEST_WORD}}})",
            regex.V1,
        ).finditer
        self._stop = frozenset(self._fold(word) for word in rules.stop)

    def __missing__(self, piece: str) -> tuple[str, ...]:
        text = self._fold(piece)
        if text.isascii():
            terms = self._terms(_ASCII_WORDS(text))
        elif self._undivided(text):
            terms = tuple(chain.from_iterable(map(self._n_grams, self._runs(text))))
        else:
            terms = self._terms(self._words(text))
        if len(piece) <= _LONGEST_KEPT:
            if len(self) >= _KEPT_PIECES:
                self.clear()
            self[piece] = terms
        return terms

    def _fold(self, text: str) -> str:
        if self._lower_is_enough and text.isascii():
            return text.lower()
        text = unicodedata.normalize("NFKC", text).translate(self._characters).casefold()
        return unicodedata.normalize("NFKC", text)

    def _terms(self, words: Iterable[str]) -> tuple[str, ...]:
        return tuple([self._stem(word) for word in words if word not in self._stop])

    def _n_grams(self, run: re.Match[str]) -> Sequence[str]:
        """Return the n-grams of a run in a script that does not divide words, or other terms."""
        text, number = run[0], run.lastindex or 0
        if number > len(self._sizes):
            return self._terms([text])
        n = self._sizes[number - 1]
        return [text[start : start + n] for start in range(max(1, len(text) - n + 1))]


def _stemmer(language: str, rules: Rules) -> Callable[[str], str]:
    if not rules.stemmer:
        return itemgetter(slice(rules.cut)) if rules.cut else str
    import Stemmer

    if rules.stemmer not in Stemmer.algorithms():
        raise UsageError(
            f"language {language!r} needs Snowball's stemmer {rules.stemmer!r}, which PyStemmer "
            f"{Stemmer.version()} lacks; install PyStemmer 3.1 or later"
        )
    stem: Callable[[str], str] = Stemmer.Stemmer(rules.stemmer).stemWord
    return stem


def _described(rules: Rules) -> str:
    """Return what the rules do, in a few words."""
    parts = ["NFKC", "case folding", *rules.fold]
    parts += [f"{n}-grams of {scripts}" for scripts, n in rules.grams.items()]
    parts.append("words")
    if rules.stemmer:
        import Stemmer

        parts.append(f"Snowball {Stemmer.version()} {rules.stemmer}")
    elif rules.cut:
        parts.append(f"first {rules.cut} characters")
    if rules.stop:
        parts.append(f"{len(rules.stop)} stop words")
    return ", ".join(parts)


@cache
def _table() -> Mapping[str, Any]:
    with _TABLE_FILE.open("rb") as file:
        return tomllib.load(file)
