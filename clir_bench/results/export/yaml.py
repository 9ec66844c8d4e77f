"""YAML that cannot be misread: block style, every text quoted and in ASCII."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*[A-Za-z0-9]")
_PAIR = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")
_HALF = re.compile(r"(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def dump(value: Mapping[str, Value]) -> str:
    """Return a mapping as a YAML document; `None` values are left out.

    >>> print(dump({"tag": "a: b", "libraries": ["x", {"size": 1, "unit": None}]}), end="")
    tag: "a: b"
    libraries:
      - "x"
      - size: 1
    """
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: Mapping[str, Value]) -> Iterator[str]:
    for key, inner in value.items():
        if inner is not None:
            yield from _entry(f"{_key(key)}:", inner)


def _entry(head: str, value: Value) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from (f"  {line}" for line in _mapping(value))
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        yield head
        yield from (f"  {line}" for line in _sequence(value))
    else:
        yield f"{head} {_scalar(value)}"


def _sequence(value: Sequence[Value]) -> Iterator[str]:
    for item in value:
        if isinstance(item, Mapping) and any(inner is not None for inner in item.values()):
            lines = list(_mapping(item))
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])
        else:
            yield from _entry("-", item)


def _scalar(value: Value) -> str:
    # JSON is YAML, but for characters outside the basic plane, which JSON escapes in two halves,
    # DEL, which YAML wants escaped, and floats such as 1e-07, which YAML 1.1 takes for texts.
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    text = json.dumps(value, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")
    text = _PAIR.sub(lambda pair: f"\\U{_joined(pair[1], pair[2]):08x}", text)
    return _HALF.sub(r"\1\\ufffd", text)


def _joined(high: str, low: str) -> int:
    return 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00


def _key(key: str) -> str:
    plain = _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS
    return key if plain else _scalar(key)
