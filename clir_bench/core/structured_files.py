"""Reads TOML and JSON files: any problem is one error that names the file.

Python's own readers raise several kinds of errors for broken files. They also accept values that
cannot be printed: numbers of thousands of digits, and tables nested hundreds deep.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.display import line_of
from clir_bench.errors import ClirBenchError, DataError, near_names

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_DEEPEST = 100
"""Deepest nesting of tables and lists; the package's own files have 4."""
_MOST_PARTS, _MOST_PARTS_IN_ALL = 16, 20_000
"""Parts of one dotted key, and of all dotted keys of a file: 20,000 take half a second to read."""
_LARGEST_TOML_BYTES = 4 * 2**20
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\[^\n])*+"|'[^'\n]*+')"""
_TOKEN = re.compile(
    r""""{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+(?:"{3,5}|\Z)|"""
    r"""'{3}(?:[^']++|'{1,2}(?!'))*+(?:'{3,5}|\Z)|"""
    rf"#[^\n]*+|{_PART}(?P<more>(?:[ \t]*+\.[ \t]*+{_PART})*+)"
    r"""|["'][^\n]*+""",
    re.DOTALL,
)
"""A text of several lines, a comment, a key with what stands behind its first part, or the rest of
a line on which a text does not end. Values pass for keys: 0.5 has two parts."""
_LARGEST_INTEGER = 2**63
"""TOML's integers are below this number and at least its negative."""
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
"""pydantic's words for Python's types, in the words of TOML."""
_FOUND = Repr()
_FOUND.maxstring = _FOUND.maxother = 60

_Model = TypeVar("_Model", bound="BaseModel")


def parse_toml(data: bytes, where: str, error: type[ClirBenchError]) -> dict[str, Any]:
    r"""Return the content of a TOML file; a byte-order mark at its beginning is ignored.

    A dotted key makes a table for each of its parts, and `tomllib` looks through all of them: keys
    of many parts, and very many dotted keys, are refused before they are read.

    Args:
        data: The file's bytes.
        where: Names the file in errors.
        error: What is raised.

    Raises:
        ClirBenchError: As `error`: it is not UTF-8, no TOML, nested more than 100 deep, has a
            key of more than 16 parts or dotted keys of more than 20,000 parts together, or holds a
            number of more than 64 bits.

    >>> from clir_bench.errors import DataError
    >>> parse_toml(b"\xef\xbb\xbfsteps = 10", "recipe.toml", DataError)
    {'steps': 10}
    """
    _require_short_keys(data.decode("utf-8", errors="replace").replace("\r\n", "\n"), where, error)
    values: dict[str, Any] = _parsed(tomllib.loads, data, f"{where}: not valid TOML", error)
    _require_plain(values, f"{where}: not valid TOML", error, largest=_LARGEST_INTEGER)
    return values


def read_toml(path: Path, error: type[ClirBenchError]) -> dict[str, Any]:
    """Return the content of a TOML file that a user names.

    Raises:
        ClirBenchError: As `error`: it cannot be read, is no plain file or larger than 4 MiB, or as
            `parse_toml`.
    """
    try:
        data = read_plain(path, _LARGEST_TOML_BYTES, follow_links=True)
    except DataError as problem:
        raise error(str(problem)) from None
    return parse_toml(data, str(path), error)


def parse_json(data: bytes, where: str, error: type[ClirBenchError]) -> Any:
    """Return the content of a JSON file; a byte-order mark at its beginning is ignored.

    Raises:
        ClirBenchError: As `error`: it is not UTF-8, no JSON, or nested more than 100 deep.
    """
    values = _parsed(json.loads, data, f"{where}: not valid JSON", error)
    _require_plain(values, f"{where}: not valid JSON", error)
    return values


def _require_short_keys(text: str, where: str, error: type[ClirBenchError]) -> None:
    n_parts = 0
    for token in _TOKEN.finditer(text):
        if not token["more"]:
            continue
        own = 1 + sum(1 for _ in islice(re.finditer(_PART, token["more"]), _MOST_PARTS))
        n_parts += own
        if own > _MOST_PARTS or n_parts > _MOST_PARTS_IN_ALL:
            number = text.count("\n", 0, token.start()) + 1
            what = (
                f"a key of more than {_MOST_PARTS} parts"
                if own > _MOST_PARTS
                else f"keys of more than {_MOST_PARTS_IN_ALL:,} parts together"
            )
            raise error(f"{where}:{number}: {what} with dots between them")


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


def validated(model: type[_Model], values: Any, where: str, error: type[ClirBenchError]) -> _Model:
    """Return what a file's values describe.

    Args:
        model: What they must fit.
        values: As `parse_toml` returns them.
        where: Names the file in errors.
        error: What is raised.

    Raises:
        ClirBenchError: As `error`: names every field that is unknown, missing or wrong.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as problem:
        raise error(f"{where}: {'; '.join(field_problems(problem, model))}") from None


def field_problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return pydantic's errors, 20 at most, with the fields' names and terms of the file.

    A model's `meanings`, if it has any, explain the fields that are missing.
    """
    details = error.errors()
    # A list's wrong entries are not counted by pydantic: it then calls the list too short as well.
    inside = {detail["loc"][:-n] for detail in details for n in range(1, len(detail["loc"]))}
    told = [one for one in details if one["type"] != "too_short" or one["loc"] not in inside]
    return [_field_problem(detail, model) for detail in told[:_MOST_PROBLEMS]]


def _field_problem(detail: Any, model: type[BaseModel]) -> str:
    *parents, name = detail["loc"] or ("",)
    place = line_of(".".join(str(part)[:60] for part in detail["loc"]))
    if detail["type"] == "extra_forbidden":
        near = near_names(str(name)[:60], _fields_of(model, parents))
        return f"unknown field {place!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    if detail["type"] == "missing":
        meanings: Mapping[str, str] = getattr(model, "meanings", {})
        meaning = meanings.get(re.sub(r"\d+\.", "", place))
        return f"field {place!r} is missing" + (f" ({meaning})" if meaning else "")
    message = _EXPECTED.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    message = line_of(message.format_map(detail["ctx"]) if "{expected}" in message else message)
    if detail["type"] != "value_error":  # a check of ours names what it found
        message += f", found {_FOUND.repr(detail['input'])}"
    return f"{place}: {message}" if place else message


def _fields_of(model: type[BaseModel], parents: Iterable[str | int]) -> list[str]:
    """Return the names of the fields of the table at `parents`."""
    for parent in parents:
        if field := model.model_fields.get(str(parent)):
            model = next(_models_in(field.annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
