"""Chooses the prompts to put before queries and before documents, among those saved with a model.

sentence-transformers 6 puts the prompt named "query" before queries and the one named "document"
before documents. If neither is saved, it uses an empty prompt and silently ignores prompts with
other names, also `default_prompt_name`. This module also accepts other names that say "query" or
"document" in some form, and reports the prompts that stay unused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_OWN = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""The names sentence-transformers looks for, in its order."""

_WORDS = {
    "query": {"query", "queries", "question", "questions"},
    "document": {"document", "documents", "doc", "docs", "passage", "passages", "corpus"},
}
_RETRIEVAL = {"search", "retrieval", "retrieve", "s2p", "web", "ir", "asymmetric"}
_FILLERS = {"prompt", "instruction", "instruct", "prefix"}

_MOST_SHOWN, _LONGEST_SHOWN = 8, 60


class Prompts(NamedTuple):
    """The prompts to put before texts.

    Attributes:
        query: Before every query.
        document: Before every document.
        unused: A sentence about saved prompts that stay unused, "" if there are none.
    """

    query: str
    document: str
    unused: str = ""


def choose(
    saved: Mapping[str, object],
    default: str | None,
    *,
    query: str | None = None,
    document: str | None = None,
) -> Prompts:
    """Return the prompts to use: the stated ones, or else saved ones whose names say a side.

    Args:
        saved: Name to prompt, as saved with the model.
        default: The model's `default_prompt_name`; decides where several names fit.
        query: Stated for queries; None leaves it to the model.
        document: Stated for documents; None leaves it to the model.

    >>> choose({"retrieval.query": "q: ", "retrieval.passage": "p: "}, None)
    Prompts(query='q: ', document='p: ', unused='')
    >>> choose({"s2s": "similar: "}, None).unused
    "the saved prompts 's2s' ('similar: ') are not used"
    """
    texts = {name: text for name, text in saved.items() if isinstance(text, str) and text}
    stated = {"query": query, "document": document}
    found: dict[str, str] = {}
    names: set[str] = set()
    missing = False
    for side, text in stated.items():
        chosen = None if text is not None else _named(texts, default, side)
        found[side] = text if text is not None else texts[chosen] if chosen is not None else ""
        names |= {chosen} if chosen is not None else set()
        missing |= text is None and chosen is None
    left = {name: text for name, text in texts.items() if name not in names}
    # A side may have no prompt, but a saved prompt may have been meant for it.
    both_known = set(texts.values()) <= set(found.values())
    unused = _told(left, default) if missing and left and not both_known else ""
    return Prompts(found["query"], found["document"], unused)


def _named(texts: Mapping[str, str], default: str | None, side: str) -> str | None:
    """Return the name of the prompt for one side, None if no name or several names say so."""
    if own := next((name for name in _OWN[side] if name in texts), None):
        return own
    fitting = [name for name in texts if side_of(name) == side]
    if default in fitting:
        return default
    return fitting[0] if len({texts[name] for name in fitting}) == 1 else None


def side_of(name: str) -> str | None:
    """Return the side of retrieval that a prompt's name states, None for every other name.

    >>> side_of("web_search_query"), side_of("Retrieval-document"), side_of("s2s_query")
    ('query', 'document', None)
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = {word for word in re.split(r"[\W_]+", spaced.casefold()) if word}
    sides = [side for side, known in _WORDS.items() if words & known]
    if len(sides) != 1 or words - _WORDS[sides[0]] - _RETRIEVAL - _FILLERS:
        return None
    return sides[0]


def _told(left: Mapping[str, str], default: str | None) -> str:
    shown = [f"{_short(name)} ({_short(text)})" for name, text in list(left.items())[:_MOST_SHOWN]]
    more = f" and {len(left) - len(shown)} more" if len(left) > len(shown) else ""
    named = f", default_prompt_name {_short(default)} among them," if default in left else ""
    return f"the saved prompts {', '.join(shown)}{more}{named} are not used"


def _short(text: str | None) -> str:
    """Return a text quoted and cut, on one line and without control characters."""
    whole = text or ""
    return repr(whole if len(whole) <= _LONGEST_SHOWN else f"{whole[: _LONGEST_SHOWN - 3]}...")
