"""Finds all files that a model's vectors depend on, also those of other models it refers to.

An adapter (LoRA) names its base model, a module's settings name a tokenizer, and code that comes
with the weights may be in another repository. All of these are loaded, so all of them count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.display import printable
from clir_bench.core.files import path_problem
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, EncoderError

ADAPTER = "adapter_config.json"

_IDENTIFYING = {
    *(".safetensors", ".json", ".txt", ".model", ".spm", ".metadata", ".jinja", ".py"),
    *(".bpe", ".codes", ".dict", ".tiktoken", ".tokenizer", ".vocab"),
}
_NOT_READ = ("onnx", "openvino")
_LARGEST_JSON_BYTES = 512 * 2**20
"""The largest tokenizers have 35 MB."""
_DEEPEST = 4  # models that refer to models that refer to models


class Reference(NamedTuple):
    """A reference from a model's folder to files elsewhere.

    Attributes:
        where: The file and the field that name it.
        target: A folder or a Hub id, as transformers reads it.
        code: Whether only its code is read.
    """

    where: str
    target: str
    code: bool = False


def read_json(folder: Path, name: str) -> Any:
    """Return a JSON file of a model folder, an empty dict when it has none.

    Raises:
        EncoderError: It is not JSON.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        data = read_plain(path, _LARGEST_JSON_BYTES, follow_links=True)
    except DataError as error:
        raise EncoderError(str(error)) from None
    return parse_json(data, str(path), EncoderError)


def module_folders(folder: Path) -> list[Path]:
    """Return the folder and those below it in which modules.json and routers place modules.

    Raises:
        EncoderError: A module's place is no path inside the folder.
    """
    found = [folder]
    modules = read_json(folder, "modules.json")
    if isinstance(modules, list):
        paths = [module.get("path", "") if isinstance(module, dict) else None for module in modules]
        found += [_below(folder, path, folder / "modules.json") for path in paths]
    for place in tuple(found):
        routed = read_json(place, "router_config.json")
        if isinstance(routed, dict):
            file, types = place / "router_config.json", routed.get("types", {})
            if not isinstance(types, dict):
                raise EncoderError(f"{file}: types: expected a table with a module per path")
            found += [_below(place, path, file) for path in types]
    return list(dict.fromkeys(found))


def _below(folder: Path, path: object, file: Path) -> Path:
    """Return the place of a module that `file` names; an empty path stands for `folder`."""
    if path == "":
        return folder
    problem = path_problem(path) if isinstance(path, str) else "is no path"
    if problem:
        raise EncoderError(
            f"{file}: the path of a module, {printable(str(path))}, {problem}; expected a folder "
            f"inside {folder}"
        )
    return folder / str(path)


def files(folder: Path, *, trust: bool = False, every: bool = False) -> Iterator[tuple[str, Path]]:
    """Yield a folder's files that decide vectors, with their relative paths; follow links.

    Weights, configuration, tokenizer and code files decide them. Read-me files, hidden files and
    other backends' exports do not, unless a module is placed among them. Code may read any file, so
    if a folder has code and it is trusted, all files that are not hidden count.

    Args:
        folder: The model's folder.
        trust: Whether code in it may run.
        every: Whether all kinds of files count.
    """
    modules = {place.resolve() for place in module_folders(folder)} - {folder.resolve()}
    found = list(_walk(folder, modules, frozenset()))
    every = every or (trust and any(path.suffix == ".py" for path in found))
    for path in found:
        if every or path.suffix in _IDENTIFYING:
            yield path.relative_to(folder).as_posix(), path


def _walk(folder: Path, modules: set[Path], above: frozenset[Path]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:  # a link to a folder that contains it
        return
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            place = entry.resolve()
            hidden = entry.name.startswith((".", "__")) or (not above and entry.name in _NOT_READ)
            if not hidden or any(place in (module, *module.parents) for module in modules):
                yield from _walk(entry, modules, above | {here})
        elif entry.is_file() and not entry.name.startswith("."):
            yield entry


def references(folder: Path, *, trust: bool = False) -> list[Reference]:
    """Return a model folder's references to files elsewhere that are loaded with it.

    Args:
        folder: The model's folder.
        trust: Whether code that comes with weights may run: it may be in another repository.

    Raises:
        EncoderError: A list of weight files names files outside the folder.
    """
    found: list[Reference] = []
    for place in module_folders(folder):
        inside = place.relative_to(folder)
        base = read_json(place, ADAPTER)
        if isinstance(base, dict) and base.get("base_model_name_or_path"):
            where = (inside / ADAPTER).as_posix()
            target = str(base["base_model_name_or_path"])
            found.append(Reference(f"{where} base_model_name_or_path", target))
        for path in sorted(place.glob("sentence_*config.json")):
            where = (inside / path.name).as_posix()
            found += _paths(read_json(place, path.name), where)
        for path in sorted(place.glob("*.index.json")):
            _check_shards(path, read_json(place, path.name))
        if trust:
            for path in sorted(place.glob("*.json")):
                where = (inside / path.name).as_posix()
                found += _code(read_json(place, path.name), where)
    return list(dict.fromkeys(found))


def _paths(settings: Any, where: str) -> Iterator[Reference]:
    """Yield the fields of a module's settings that name a model or file, nested ones too."""
    if not isinstance(settings, dict):
        return
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{where} {name}")
        elif isinstance(value, str) and value and name.endswith(("_path", "_file")):
            yield Reference(f"{where} {name}", value)


def _code(settings: Any, where: str) -> Iterator[Reference]:
    """Yield the repositories of classes written "owner/name--module.Class"."""
    classes = settings.get("auto_map") if isinstance(settings, dict) else None
    if not isinstance(classes, dict):
        return
    for value in classes.values():
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and "--" in name:
                yield Reference(f"{where} auto_map", name.partition("--")[0], code=True)


def _check_shards(path: Path, index: Any) -> None:
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        return
    for name in dict.fromkeys(map(str, shards.values())):
        plain = path_problem(name) is None and "/" not in name and not name.startswith(".")
        if not plain or Path(name).suffix not in _IDENTIFYING | {".bin"}:
            raise EncoderError(
                f"{path}: weight_map names {name[:80]!r}; expected safetensors files beside it, "
                "so that what is hashed is what is loaded"
            )


def parts(folder: Path, *, trust: bool = False) -> list[tuple[Reference | None, Path]]:
    """Return all folders of a model: its own first, then those it refers to.

    Raises:
        EncoderError: One is not there, or they refer to each other without end.
    """
    found: list[tuple[Reference | None, Path]] = [(None, folder)]
    _collect(folder, trust, found, depth=0)
    return found


def _collect(
    folder: Path, trust: bool, found: list[tuple[Reference | None, Path]], depth: int
) -> None:
    for reference in references(folder, trust=trust):
        if depth == _DEEPEST:
            raise EncoderError(
                f"{folder}: {reference.where} names {reference.target!r}, and models refer to "
                f"further models {_DEEPEST} times over; expected an end"
            )
        place = resolved(folder, reference)
        found.append((reference, place))
        if not reference.code and place.resolve() != folder.resolve():
            _collect(place, trust, found, depth + 1)


def resolved(folder: Path, reference: Reference) -> Path:
    """Return the folder of a model's reference, at the commit in the Hub's cache.

    Raises:
        EncoderError: It cannot be found; the message says how to make one folder of the model.
    """
    from clir_bench.encoders import hub

    with suppress(OSError, RuntimeError, ValueError):  # no name that a folder can have
        place = Path(reference.target).expanduser()
        if not reference.code and place.is_dir():
            return place
    what = f"{folder}: {reference.where} names {reference.target[:200]!r}"
    remedy = (
        "To make one folder of it, load it where both are, merge_and_unload() an adapter, "
        "save_pretrained(FOLDER), and name that folder"
    )
    if not hub.is_hub_id(reference.target):
        raise EncoderError(f"{what}, which is no folder here and no Hub id. {remedy}")
    try:
        return hub.snapshot(reference.target, code=reference.code)
    except EncoderError as error:
        raise EncoderError(f"{what}, which is loaded with it: {error}. {remedy}") from error


def hashed(
    model: list[tuple[Reference | None, Path]], *, trust: bool = False
) -> Iterator[tuple[Reference | None, list[tuple[str, Path]]]]:
    """Yield the files of every folder that `parts` returned, in the order of their names.

    Of a repository used only for code, the other files depend on earlier fetches.
    """
    for reference, place in model:
        found = sorted(files(place, trust=trust))
        if reference is not None and reference.code:
            found = [(name, path) for name, path in found if path.suffix == ".py"]
        yield reference, found


def state(
    model: list[tuple[Reference | None, Path]], *, trust: bool = False
) -> tuple[tuple[str, int, int, int], ...]:
    """Return a cheap state of the files, which changes when a file is replaced."""
    paths = [path for _, found in hashed(model, trust=trust) for _, path in found]
    stats = [(path, path.stat()) for path in paths]
    return tuple((str(path), at.st_size, at.st_mtime_ns, at.st_ino) for path, at in stats)
