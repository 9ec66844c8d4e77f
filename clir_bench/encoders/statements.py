"""Checks the description that an encoder gives of itself (`EncoderInfo`) when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeGuard

from clir_bench.core.display import shown
from clir_bench.types import EncoderInfo

_PLACEHOLDERS = {"main", "master", "latest", "head", "unknown", "none", "local", "no_revision"}
UNSTATED_REVISION = "not stated"
"""The revision of a model on a server, where the user does not state one."""
SIMILARITIES = ("cosine", "dot", "maxsim", "sparse", "bm25")
_LONGEST_NAME, _LARGEST_NUMBER = 300, 2**63 - 1


def info_problems(info: EncoderInfo) -> list[str]:
    """Say which fields of `info` break the promises of `types.EncoderInfo`.

    >>> info_problems(EncoderInfo(name="mine", revision="1", query_prompt=None))
    ['info.query_prompt must be a text, found None']
    """
    problems = [
        f"info.{field} must be {expected}, found {shown(value)}"
        for field, (is_right, expected) in _RULES.items()
        if not is_right(value := getattr(info, field))
    ]
    if isinstance(info.revision, str) and info.revision.casefold() in _PLACEHOLDERS:
        problems.append(
            f"info.revision is the placeholder {info.revision!r}; expected a commit, a version or "
            "a hash, which names one set of weights for good"
        )
    return problems


def dim_problems(dim: object, similarity: str = "cosine") -> list[str]:
    """Say what is wrong with the stated length of an encoder's vectors, if anything.

    Term counts may have any ids: their `dim` is 0.
    """
    if type(dim) is int and (dim >= 1 or (dim == 0 and similarity == "bm25")):
        return []
    return [f"dim must be a positive integer, found {shown(dim)}"]


def is_text(value: object) -> TypeGuard[str]:
    """Return whether it is a text that can be stored: not half of a surrogate pair."""
    return isinstance(value, str) and (value.isascii() or not re.search("[\ud800-\udfff]", value))


def _is_line(value: object) -> bool:
    return is_text(value) and value.isprintable()


def _is_name(value: object) -> bool:
    return _is_line(value) and 0 < len(str(value).strip()) <= len(str(value)) <= _LONGEST_NAME


def _is_number(value: object) -> bool:
    return value is None or (type(value) is int and 1 <= value <= _LARGEST_NUMBER)


def _is_sha256(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)))


def _are_lines(value: object) -> bool:
    return (
        isinstance(value, dict) and all(map(_is_name, value)) and all(map(_is_line, value.values()))
    )


def _are_languages(value: object) -> bool:
    return isinstance(value, tuple | list) and all(map(_is_name, value))


_NAME = f"a non-empty string on one line, of at most {_LONGEST_NAME} characters"
_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": (_is_name, _NAME),
    "revision": (_is_name, _NAME),
    "weights_sha256": (_is_sha256, "a sha256 in hex or None"),
    "query_prompt": (is_text, "a text"),
    "document_prompt": (is_text, "a text"),
    "max_tokens": (_is_number, "a positive integer or None"),
    "dtype": (_is_name, 'the name of a type, as "float32"'),
    "n_parameters": (lambda value: value == 0 or _is_number(value), "a whole number or None"),
    "similarity": (
        lambda value: isinstance(value, str) and value in SIMILARITIES,
        ", ".join(map(repr, SIMILARITIES[:-1])) + f" or {SIMILARITIES[-1]!r}",
    ),
    "license": (lambda value: value is None or _is_name(value), "an SPDX id or None"),
    "training_languages": (_are_languages, "a tuple of language codes"),
    "description": (_is_line, "a text on one line"),
    "instruction": (_is_line, "a text on one line"),
    "details": (_are_lines, "a dictionary of texts, each on one line"),
}
"""The check of each field, and the words for it in messages."""
