"""Expands rules such as "en-*" into the language pairs of a task."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from clir_bench.types import POOL, LanguagePair


class PairRules(BaseModel):
    """Rules over a task's languages that name its pairs.

    A rule is "same" (each language to itself), "cross" (every ordered pair of two languages),
    "any" (both), or a pair in which a side may be `*`: "en-*", "*-en", "*-mul", "fon-fr". A `*`
    never stands for the language on the other side.

    Attributes:
        official: The pairs that run by default.
        available: Everything `--pairs` may ask for; the official ones when empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    official: Annotated[tuple[str, ...], Field(min_length=1)]
    available: tuple[str, ...] = ()


def expand(rules: Iterable[str], languages: Collection[str]) -> list[LanguagePair]:
    """Return the pairs that `rules` name (see `PairRules`) among `languages`, each once.

    >>> [str(pair) for pair in expand(["same", "*-en"], ["en", "sw", "te"])]
    ['en-en', 'sw-sw', 'te-te', 'sw-en', 'te-en']

    Raises:
        ValueError: A rule is none, or names a language that is not among `languages`.
    """
    codes = [code for code in languages if code != POOL]
    pairs: dict[LanguagePair, None] = {}
    for rule in rules:
        if rule in ("same", "any"):
            pairs.update(dict.fromkeys(LanguagePair(code, code) for code in codes))
        if rule in ("cross", "any"):
            pairs.update(dict.fromkeys(LanguagePair(q, d) for q in codes for d in codes if q != d))
        if rule in ("same", "cross", "any"):
            continue
        query, _, document = rule.partition("-")
        for q in codes if query == "*" else [query]:
            for d in codes if document == "*" else [document]:
                if q == d and "*" in rule:
                    continue
                if q not in languages or (d not in languages and d != POOL):
                    raise ValueError(
                        f"pair rule {rule!r}: expected 'same', 'cross', 'any' or "
                        f"'<query>-<document>' with '*', {POOL!r} (documents only) or a language "
                        f"of the task: {', '.join(codes)}"
                    )
                pairs[LanguagePair(q, d)] = None
    return list(pairs)


def count_names(pair: LanguagePair) -> tuple[str, str, str]:
    """Return the names under which a card may state a pair's counts, most specific first.

    >>> count_names(LanguagePair("en", "sw"))
    ('en-sw', '*-sw', '*')
    """
    return str(pair), f"*-{pair.document}", "*"
