"""Writes YAML that all readers understand alike: block style, every text quoted and in ASCII."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import yaml

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"


class _Quoted(str):
    """A text written in double quotes; keys are quoted only where they must be."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Indents lists under their keys, and writes no text twice as a reference."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def dump(value: Mapping[str, Value]) -> str:
    """Return a mapping as a YAML document; `None` values are left out.

    >>> print(dump({"tag": "a: b", "libraries": ["x", {"size": 1, "unit": None}]}), end="")
    tag: "a: b"
    libraries:
      - "x"
      - size: 1
    """
    text: str = yaml.dump(
        _prepared(value), Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=math.inf
    )
    return text


def _prepared(value: Value) -> Any:
    if isinstance(value, Mapping):
        return {_whole(k): _prepared(inner) for k, inner in value.items() if inner is not None}
    if isinstance(value, str):
        return _Quoted(_whole(value))
    return [_prepared(item) for item in value] if isinstance(value, Sequence) else value


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which YAML cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
