"""TOML and JSON files: whatever is wrong with one is one error that names the file.

Python's own readers raise four kinds of errors for broken files, and return values that cannot be
printed: numbers of thousands of digits, and tables within tables by the hundred.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from reprlib import Repr
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from clir_bench.core.display import line_of
from clir_bench.errors import ClirBenchError, near_names

_DEEPEST = 100
"""Tables and lists within each other; the package's own files have 4."""
_MOST_PARTS = 16
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_MOST_PARTS}}}")
_LARGEST_INTEGER = 2**63
"""TOML's integers are between this and its negative, this one left out."""
_MOST_PROBLEMS = 20
_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "literal_error": "expected {expected}",
    "model_type": "expected a table",
    "string_type": "expected a text",
    "too_short": "expected at least one entry",
    "tuple_type": "expected a list",
}
"""What pydantic says of Python's types, in the words of TOML."""
_FOUND = Repr()
_FOUND.maxstring = _FOUND.maxother = 60

_Model = TypeVar("_Model", bound=BaseModel)


def parse_toml(data: bytes, where: str, error: type[ClirBenchError]) -> dict[str, Any]:
    r"""Return what a TOML file holds; a byte-order mark at its beginning is passed over.

    A dotted key makes a table for each of its parts, and `tomllib` looks through all of them: keys
    of thousands of parts are refused before they are read.

    Args:
        data: The file's bytes.
        where: Names the file in errors.
        error: What is raised.

    Raises:
        ClirBenchError: As `error`: it is not UTF-8, no TOML, nested more than 100 deep, has a
            key of more than 16 parts, or holds a number of more than 64 bits.

    >>> from clir_bench.errors import DataError
    >>> parse_toml(b"\xef\xbb\xbfsteps = 10", "recipe.toml", DataError)
    {'steps': 10}
    """
    text = data.decode("utf-8", errors="replace")
    if found := _LONG_KEY.search(text):
        number = text.count("\n", 0, found.start()) + 1
        raise error(
            f"{where}:{number}: a key of more than {_MOST_PARTS} parts with dots between them"
        )
    values: dict[str, Any] = _parsed(tomllib.loads, data, f"{where}: not valid TOML", error)
    _require_plain(values, f"{where}: not valid TOML", error, largest=_LARGEST_INTEGER)
    return values


def parse_json(data: bytes, where: str, error: type[ClirBenchError]) -> Any:
    """Return what a JSON file holds; a byte-order mark at its beginning is passed over.

    Raises:
        ClirBenchError: As `error`: it is not UTF-8, no JSON, or nested more than 100 deep.
    """
    values = _parsed(json.loads, data, f"{where}: not valid JSON", error)
    _require_plain(values, f"{where}: not valid JSON", error)
    return values


def _parsed(
    loads: Callable[[str], Any], data: bytes, where: str, error: type[ClirBenchError]
) -> Any:
    try:
        return loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        raise error(
            f"{where}: not UTF-8: byte {data[problem.start]:#04x} at place {problem.start:,}; save "
            "the file as UTF-8"
        ) from None
    except RecursionError:
        raise error(f"{where}: nested more than {_DEEPEST} deep") from None
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as problem:
        raise error(f"{where}: {line_of(str(problem), 300)}") from None
    except ValueError:
        raise error(f"{where}: a number of thousands of digits") from None


def _require_plain(
    values: Any, where: str, error: type[ClirBenchError], largest: int | None = None
) -> None:
    left: list[tuple[str, int, Any]] = [("", 0, values)]
    while left:
        place, depth, value = left.pop()
        if depth > _DEEPEST:
            raise error(f"{where}: {line_of(place, 60)}: nested more than {_DEEPEST} deep")
        if isinstance(value, dict):
            left += [(place or str(key), depth + 1, inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(place, depth + 1, inner) for inner in value]
        elif largest is not None and type(value) is int and not -largest <= value < largest:
            raise error(f"{where}: {line_of(place, 60)}: a whole number of more than 64 bits")


def validated(
    model: type[_Model],
    values: Any,
    where: str,
    error: type[ClirBenchError],
    *,
    meanings: Mapping[str, str] = MappingProxyType({}),
) -> _Model:
    """Return what a file's values describe.

    Args:
        model: What they must fit.
        values: As `parse_toml` returns them.
        where: Names the file in errors.
        error: What is raised.
        meanings: What a field is for, told where it is missing.

    Raises:
        ClirBenchError: As `error`: names every field that is unknown, missing or wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as problem:
        raise error(f"{where}: {'; '.join(field_problems(problem, model, meanings))}") from None


def field_problems(
    error: ValidationError,
    model: type[BaseModel],
    meanings: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return pydantic's errors, 20 at most, in the words of the file that `model` was read from."""
    details = error.errors()
    # A list's wrong entries are not counted by pydantic: it then calls the list too short as well.
    inside = {detail["loc"][:-n] for detail in details for n in range(1, len(detail["loc"]))}
    told = [one for one in details if one["type"] != "too_short" or one["loc"] not in inside]
    return [_field_problem(detail, model, meanings) for detail in told[:_MOST_PROBLEMS]]


def _field_problem(detail: Any, model: type[BaseModel], meanings: Mapping[str, str]) -> str:
    *parents, name = detail["loc"] or ("",)
    place = line_of(".".join(str(part)[:60] for part in detail["loc"]))
    if detail["type"] == "extra_forbidden":
        near = near_names(str(name)[:60], _fields_of(model, parents))
        return f"unknown field {place!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    if detail["type"] == "missing":
        meaning = meanings.get(re.sub(r"\d+\.", "", place))
        return f"field {place!r} is missing" + (f" ({meaning})" if meaning else "")
    message = _EXPECTED.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    message = line_of(message.format_map(detail["ctx"]) if "{expected}" in message else message)
    if detail["type"] != "value_error":  # or a check of ours said it, which names what it found
        message += f", found {_FOUND.repr(detail['input'])}"
    return f"{place}: {message}" if place else message


def _fields_of(model: type[BaseModel], parents: Iterable[str | int]) -> list[str]:
    """Return the names of the fields of the table at `parents`."""
    for parent in parents:
        if field := model.model_fields.get(str(parent)):
            model = next(_models_in(field.annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
