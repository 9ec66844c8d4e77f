"""Where a model's files come from, and what tells two models apart."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clir_bench.errors import EncoderError, UsageError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_IDENTIFYING = {".safetensors", ".json", ".txt", ".model", ".spm", ".metadata", ".jinja", ".py"}
_NOT_READ = ("onnx", "openvino")
_NOT_FETCHED = [
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.ot", "*.gguf"),
    *("*.onnx", "*.onnx_data", "*.mlmodel", "*.tflite", "onnx/*", "openvino/*", "*/onnx/*"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.pdf", "*.parquet", "*.csv"),
]


@dataclass(frozen=True)
class Weights:
    """A model folder on this machine and its identity.

    Attributes:
        folder: Holds the model in sentence-transformers' or transformers' layout.
        name: The Hub id, or "<folder>@<first 8 hex digits of sha256>" for a local folder.
        revision: The Hub's commit, or the first 12 hex digits of sha256 for a local folder.
        sha256: `fingerprint` of the folder.
    """

    folder: Path
    name: str
    revision: str
    sha256: str


def resolve(argument: str) -> Weights:
    """Return the weights `argument` names: a folder if there is one, else a Hub id.

    Raises:
        UsageError: It is neither a folder nor written like a Hub id.
        EncoderError: As `from_folder` and `from_hub`.
    """
    folder = Path(argument).expanduser()
    if folder.is_dir():
        return from_folder(folder)
    if not is_hub_id(argument):
        raise UsageError(
            f"model {argument!r}: no such folder, and no Hub id either (those are written "
            "owner/name, as in st:intfloat/multilingual-e5-small)"
        )
    return from_hub(argument)


def is_hub_id(text: str) -> bool:
    """Return whether `text` is written as the Hub's ids are, owner/name."""
    return _HUB_ID.fullmatch(text) is not None


def from_folder(folder: Path) -> Weights:
    """Return a local folder, named after what is in it and not after where it lies.

    Raises:
        EncoderError: It is no folder, holds no model, or has only pickled weights.
    """
    if not folder.is_dir():
        raise EncoderError(f"model {str(folder)!r}: no such folder")
    require_safetensors(folder, str(folder))
    sha256 = fingerprint(folder)
    name = f"{folder.resolve().name}@{sha256[:8]}"
    return Weights(folder, name, sha256[:12], sha256)


def from_hub(hub_id: str, revision: str | None = None) -> Weights:
    """Return a Hub model's snapshot at one commit, fetched unless it is in the Hub's own cache.

    Without `revision` the commit is the one the default branch is at (offline: the one last
    fetched), and is what gets recorded. `HF_HOME`, `HF_HUB_OFFLINE` and the rest of the Hub
    library's variables apply, and `SENTENCE_TRANSFORMERS_HOME` as the cache.

    Raises:
        EncoderError: It is not there and cannot be fetched, or has only pickled weights.
    """
    folder = cached(hub_id, revision) if revision else None
    folder = folder or _snapshot(hub_id, revision, local_files_only=False)
    require_safetensors(folder, hub_id)
    commit = folder.name if _COMMIT.fullmatch(folder.name) else revision
    if commit is None:
        raise EncoderError(f"model {hub_id!r}: its commit cannot be told from {folder}")
    return Weights(folder, hub_id, commit, fingerprint(folder))


def cached(hub_id: str, revision: str) -> Path | None:
    """Return the snapshot of `revision` if the Hub's cache has its weights, else None."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _download(hub_id, revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    return folder if any(folder.rglob("*.safetensors")) else None


def _snapshot(hub_id: str, revision: str | None, *, local_files_only: bool) -> Path:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    by_hand = (
        f"fetch {hub_id}{f' at {revision}' if revision else ''} on a machine that has it "
        f"(`hf download {hub_id}{f' --revision {revision}' if revision else ''} "
        "--local-dir FOLDER`) and name the folder instead: st:FOLDER, or SHORT-NAME:FOLDER for a "
        "model of `clir-bench encoders`"
    )
    try:
        return _download(hub_id, revision, local_files_only=local_files_only)
    except LocalEntryNotFoundError as error:
        why = "the Hub is switched off (offline mode)" if _offline() else "the Hub did not answer"
        raise EncoderError(
            f"model {hub_id!r} is not in the local cache and {why}; {by_hand}"
        ) from error
    except GatedRepoError as error:
        raise EncoderError(
            f"model {hub_id!r} is gated: accept its terms on the Hub and log in "
            f"(`hf auth login`), or {by_hand}"
        ) from error
    except RevisionNotFoundError as error:
        raise EncoderError(f"model {hub_id!r} has no revision {revision!r} on the Hub") from error
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"model {hub_id!r} is not on the Hub, or is private and you are not logged in"
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"model {hub_id!r} cannot be fetched: {error}; {by_hand}") from error


def _download(hub_id: str, revision: str | None, *, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            hub_id,
            revision=revision,
            cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
            local_files_only=local_files_only,
            ignore_patterns=_NOT_FETCHED,
        )
    )


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def require_safetensors(folder: Path, name: str) -> None:
    """Check that every weight of the model in `folder` is in a safetensors file.

    Raises:
        EncoderError: There is no model, or a module's weights are pickled, which can run code
            when they are read.
    """
    stored = {path.parent for path in folder.rglob("*.safetensors")}
    pickled = sorted(
        path for path in folder.rglob("pytorch_model*.bin") if path.parent not in stored
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


def fingerprint(folder: Path) -> str:
    """Return the hex sha256 of everything in `folder` that decides what vectors come out.

    Weights, configuration, tokenizer and code files count, with their paths relative to `folder`
    and their lengths, in the order of the paths; where the folder lies, its own name, read-me
    files, hidden files and other backends' exports do not.
    """
    digest = hashlib.sha256()
    for relative, path in sorted(_identifying(folder)):
        digest.update(f"{relative}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _identifying(folder: Path) -> list[tuple[str, Path]]:
    found = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in relative.parts[:-1])
        if hidden or relative.name.startswith(".") or relative.parts[0] in _NOT_READ:
            continue
        if path.suffix in _IDENTIFYING and path.is_file():
            found.append((relative.as_posix(), path))
    return found


def file_sha256(path: Path) -> str:
    """Return the hex sha256 of one file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(folder: Path, name: str) -> Any:
    """Return a JSON file of a model folder, an empty dict when it has none.

    Raises:
        EncoderError: It is not JSON.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: not valid JSON: {error}") from error
