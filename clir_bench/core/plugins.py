"""Finds entry points by name and imports each only when it is needed.

clir-bench registers its own adapters and encoders in pyproject.toml, in the same way as others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any

from clir_bench.core.guards import guarded
from clir_bench.errors import PluginError, UnknownNameError

ADAPTERS = "clir_bench.adapters"
ENCODERS = "clir_bench.encoders"
_OWN_DISTRIBUTION = "clir-bench"
_UNKNOWN = "unknown package"


@cache
def _entry_points(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    found: dict[str, tuple[EntryPoint, ...]] = {}
    try:
        points = entry_points(group=group)
    except Exception as error:
        raise PluginError(
            f"entry points cannot be read: {type(error).__name__}: {error}. "
            f"Repair or uninstall {_unreadable_package()}."
        ) from error
    for point in points:
        same = found.get(point.name, ())
        if all((point.value, distribution(point)) != (p.value, distribution(p)) for p in same):
            found[point.name] = (*same, point)
    return found


def distribution(point: EntryPoint) -> str:
    """Return the name of the package an entry point comes from, or "unknown package".

    A package whose METADATA is gone has entry points but no name.
    """
    return _name_and_version(point.dist)[0] or _UNKNOWN


def names(group: str) -> list[str]:
    """Return every registered name of `group`, sorted."""
    return sorted(_entry_points(group))


def provider(group: str, name: str) -> str:
    """Return "package version" of the package that registers `name`."""
    point = _single(group, name)
    return f"{distribution(point)} {_name_and_version(point.dist)[1]}".strip()


def load(group: str, name: str) -> Callable[..., Any]:
    """Import and return the callable registered as `name`.

    Raises:
        UnknownNameError: Nothing is registered under that name.
        PluginError: Its module cannot be imported, it is not callable, or two packages claim it.
    """
    point = _single(group, name)
    kind = _kind(group)
    with guarded(
        lambda: (
            f"{kind} {name!r} of package {distribution(point)} cannot be imported ({point.value})"
        ),
        PluginError,
        remedy=". Repair or uninstall that package; every other name still works.",
    ):
        loaded = point.load()
    if not callable(loaded):
        raise PluginError(
            f"{kind} {name!r} of package {distribution(point)} is {type(loaded).__name__}; "
            f"expected a function or class at {point.value}"
        )
    return loaded  # type: ignore[no-any-return]


def _single(group: str, name: str) -> EntryPoint:
    found = _entry_points(group)
    if name not in found:
        raise UnknownNameError(_kind(group), name, found)
    points = found[name]
    if len(points) > 1:
        packages = sorted({distribution(point) for point in points})
        if len(packages) == 1:
            values = " and ".join(point.value for point in points)
            raise PluginError(
                f"{_kind(group)} name {name!r} is registered twice by {packages[0]}: {values}. "
                "Rename one of its entry points or uninstall it."
            )
        others = [package for package in packages if package != _OWN_DISTRIBUTION]
        owner = "a built-in" if _OWN_DISTRIBUTION in packages else packages[0]
        raise PluginError(
            f"{_kind(group)} name {name!r} is registered by {', '.join(packages)}: "
            f"{others[-1] if others else packages[-1]} takes the name of {owner}. "
            "Rename its entry point or uninstall it."
        )
    return points[0]


@cache
def _name_and_version(package: Distribution | None) -> tuple[str, str]:
    """Return both from the package's METADATA, each "" where it is not stated.

    METADATA holds a whole README and takes milliseconds to parse, and every pair asks.
    """
    if package is None:
        return "", ""
    stated = package.metadata
    return stated.get_all("Name", [""])[0], stated.get_all("Version", [""])[0]


def _unreadable_package() -> str:
    for package in distributions():
        try:
            _ = package.entry_points
        except Exception:  # noqa: BLE001 - any error means that this is the one
            return f"package {package.name}, whose entry_points.txt is broken"
    return "the package whose entry_points.txt is broken"


def _kind(group: str) -> str:
    return {ADAPTERS: "adapter", ENCODERS: "model"}.get(group, group)
