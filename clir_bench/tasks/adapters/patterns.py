"""Fills in the patterns for file and data-set names that cards state, for a pair and a split."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from clir_bench.errors import CardError
from clir_bench.tasks.cards import TaskCard
from clir_bench.types import LanguagePair


def setting(card: TaskCard, key: str, default: str | None = None) -> str:
    """Return the text `source.<key>` of a card.

    Raises:
        CardError: It is a list, or missing where there is no default.
    """
    value = card.source.get(key, default)
    if not isinstance(value, str):
        found = "nothing" if value is None else repr(value)
        raise CardError(f"task {card.id!r}: source.{key} must be a text, found {found}")
    return value


def fill(card: TaskCard, pattern: str, pair: LanguagePair, split: str, **more: str) -> str:
    """Fill a card's pattern in.

    `{query}` and `{document}` stand for the source's own codes of the pair's languages,
    `{query_code}` and `{document_code}` for ours, `{split}` for the split; `more` adds others.

    Raises:
        CardError: The pattern names something else, or has a brace without its partner.
    """
    values = {
        "query": card.languages.get(pair.query, pair.query),
        "document": card.languages.get(pair.document, pair.document),
        "query_code": pair.query,
        "document_code": pair.document,
        "split": split,
        **more,
    }
    try:
        return "".join(_filled(pattern, values))
    except (KeyError, ValueError) as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        raise CardError(
            f"task {card.id!r}: the pattern {pattern!r} in source cannot be filled in "
            f"({type(error).__name__}: {error}); it may name {known}"
        ) from None


def _filled(pattern: str, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the pieces of a pattern; braces hold names only, without Python's formats.

    Widths (`{split:>1000000000}`) and attributes would let a card ask for any amount of memory.
    """
    for text, name, width, conversion in string.Formatter().parse(pattern):
        yield text
        if width or conversion:
            raise ValueError(f"{{{name}}} may have nothing after its name")
        if name is not None:
            yield values[name]
