"""Finds a model's files, and computes the hash that tells two models apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.encoders import contents, hub
from clir_bench.errors import EncoderError, UsageError


@dataclass(frozen=True)
class Weights:
    """A model folder on this machine and its identity.

    Attributes:
        folder: Holds the model in sentence-transformers' or transformers' layout.
        name: The Hub id, or "<folder>@<first 8 hex digits of sha256>" for a local folder.
        revision: The Hub's commit, or the first 12 hex digits of sha256 for a local folder.
        sha256: `fingerprint` of the folder.
        trust: Whether code that comes with the weights may run.
        state: State of all hashed files at that time (see `contents.state`).
    """

    folder: Path
    name: str
    revision: str
    sha256: str
    trust: bool = False
    state: tuple[object, ...] = field(default=(), compare=False, repr=False)


def resolve(argument: str, *, trust: bool = False) -> Weights:
    """Return the weights `argument` names: a folder if there is one, else a model of the Hub.

    Raises:
        UsageError: It is neither a folder nor written like a Hub id, owner/name[@revision].
        EncoderError: As `from_folder` and `from_hub`.
    """
    folder = Path(argument).expanduser()
    if folder.is_dir():
        return from_folder(folder, trust=trust)
    named = hub.parse_name(argument)
    if named is None:
        raise UsageError(
            f"model {argument!r}: no such folder, and no Hub id either (those are written "
            "owner/name, as in st:intfloat/multilingual-e5-small, or owner/name@revision with a "
            "branch, a tag or a commit)"
        )
    return from_hub(*named, trust=trust)


def from_folder(folder: Path, *, trust: bool = False) -> Weights:
    """Return a local folder's weights, named after their content, not their place.

    Args:
        folder: The model's folder.
        trust: Whether code that comes with the weights may run.

    Raises:
        EncoderError: It is no folder, holds no model, has only pickled weights, or refers to a
            model that cannot be found.
    """
    if not folder.is_dir():
        raise EncoderError(f"model {str(folder)!r}: no such folder")
    require_safetensors(folder, str(folder))
    sha256, state = _hashed(folder, trust)
    name = f"{folder.resolve().name}@{sha256[:8]}"
    return Weights(folder, name, sha256[:12], sha256, trust, state)


def from_hub(hub_id: str, revision: str | None = None, *, trust: bool = False) -> Weights:
    """Return a Hub model's snapshot at one commit, fetched unless it is in the Hub's own cache.

    `revision` is a commit, a branch or a tag; None means the default branch. Its commit (offline:
    the one when it was last fetched) is recorded. `HF_HOME`, `HF_HUB_OFFLINE` and the Hub library's
    other variables apply, and `SENTENCE_TRANSFORMERS_HOME` as the cache.

    Raises:
        EncoderError: It is not there and cannot be fetched, has only pickled weights, or refers to
            a model that cannot be found.
    """
    folder = hub.cached(hub_id, revision) if revision and hub.is_commit(revision) else None
    folder = folder or hub.snapshot(hub_id, revision)
    require_safetensors(folder, hub_id)
    if not hub.is_commit(folder.name):
        raise EncoderError(f"model {hub_id!r}: its commit cannot be told from {folder}")
    sha256, state = _hashed(folder, trust)
    return Weights(folder, hub_id, folder.name, sha256, trust, state)


def _hashed(folder: Path, trust: bool) -> tuple[str, tuple[object, ...]]:
    """Return the fingerprint of a model, and the state of its files before they were read."""
    model = contents.parts(folder, trust=trust)
    state = contents.state(model, trust=trust)
    return _sha256_of(model, trust), state


def require_safetensors(folder: Path, name: str) -> None:
    """Check that every weight of the model in `folder` is in a safetensors file.

    Raises:
        EncoderError: There is no model, or a module's weights are pickled, which can run code
            when they are read.
    """
    paths = list(contents.files(folder, every=True))
    stored = {path.parent for _, path in paths if path.suffix == ".safetensors"}
    pickled = sorted(
        path for _, path in paths if path.match("pytorch_model*.bin") and path.parent not in stored
    )
    if pickled:
        raise EncoderError(
            f"model {name!r}: {pickled[0].relative_to(folder)} is a pickle, which can run code "
            "when it is read, and no .safetensors file lies beside it. Load the model once where "
            "you trust it, write it with save_pretrained(FOLDER), and name that folder"
        )
    if not stored:
        has_config = (folder / "config.json").is_file() or (folder / "modules.json").is_file()
        raise EncoderError(
            f"model {name!r}: "
            + (
                "no .safetensors weights; pickled weights (.bin, .pt) are not read, because they "
                "can run code. Load the model once where you trust it, write it with "
                "save_pretrained(FOLDER), and name that folder"
                if has_config
                else f"{folder} holds no model: expected modules.json or config.json and "
                "*.safetensors"
            )
        )


def fingerprint(folder: Path, *, trust: bool = False) -> str:
    """Return the hex sha256 of everything that decides the vectors of the model in `folder`.

    Weights, configuration, tokenizer and code files count, with their paths relative to `folder`
    and their lengths, in the order of the paths. The folder's name and place, read-me files, hidden
    files and other backends' exports do not. Then follow the same hashes of the models that it
    refers to, such as an adapter's base model (see `contents`).

    Args:
        folder: The model's folder.
        trust: Whether code that comes with the weights may run, and counts wherever it lies.

    Raises:
        EncoderError: A model that it refers to cannot be found.
    """
    return _sha256_of(contents.parts(folder, trust=trust), trust)


def _sha256_of(model: list[tuple[contents.FileReference | None, Path]], trust: bool) -> str:
    digest = hashlib.sha256()
    for reference, found in contents.hashed(model, trust=trust):
        # A model in one folder has the hash of that folder's files alone.
        own = digest if reference is None else hashlib.sha256()
        for relative, path in found:
            own.update(f"{relative}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    own.update(block)
        if reference is not None:
            digest.update(f"{reference.where}\0{own.hexdigest()}\0".encode())
    return digest.hexdigest()


def require_unchanged(found: Weights) -> None:
    """Check, after loading a model, that its files are still those that were hashed.

    Raises:
        EncoderError: They changed in the meantime.
    """
    if not found.state:
        return
    model = contents.parts(found.folder, trust=found.trust)
    if contents.state(model, trust=found.trust) != found.state:
        raise EncoderError(
            f"model {found.name!r}: its files changed while it was loaded; run again when nothing "
            f"writes to {', '.join(str(place) for _, place in model)}"
        )
