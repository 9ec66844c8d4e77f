"""Model repositories in the Hub's own cache, fetched where they are not there yet."""

from __future__ import annotations

import os
import re
from pathlib import Path

from clir_bench.errors import EncoderError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CACHED = re.compile(r"models--([A-Za-z0-9][\w.-]*?)--([A-Za-z0-9][\w.-]*)")
_NOT_FETCHED = [
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.ot", "*.gguf"),
    *("*.onnx", "*.onnx_data", "*.mlmodel", "*.tflite", "onnx/*", "openvino/*", "*/onnx/*"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.pdf", "*.parquet", "*.csv"),
]


def is_hub_id(text: str) -> bool:
    """Return whether `text` is written as the Hub's ids are, owner/name."""
    return _HUB_ID.fullmatch(text) is not None


def id_of(folder: Path) -> str | None:
    """Return the Hub id of a folder that lies in a Hub cache, None for every other folder.

    >>> id_of(Path("hub/models--intfloat--multilingual-e5-small/snapshots/0123"))
    'intfloat/multilingual-e5-small'
    """
    snapshots = folder.absolute().parent
    found = _CACHED.fullmatch(snapshots.parent.name) if snapshots.name == "snapshots" else None
    return "/".join(found.groups()) if found is not None else None


def cached(hub_id: str, revision: str) -> Path | None:
    """Return the snapshot of `revision` if the Hub's cache has its weights, else None."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _download(hub_id, revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return None
    return folder if any(folder.rglob("*.safetensors")) else None


def snapshot(hub_id: str, revision: str | None = None, *, code: bool = False) -> Path:
    """Return a repository's snapshot at a commit, fetched unless the cache has it.

    Args:
        hub_id: The repository.
        revision: The commit; where the default branch is when None.
        code: Whether its .py files are all that is wanted.

    Raises:
        EncoderError: It is not there and cannot be fetched; the message says what to do.
    """
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
        return _download(hub_id, revision, local_files_only=False, code=code)
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


def _download(
    hub_id: str, revision: str | None, *, local_files_only: bool, code: bool = False
) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            hub_id,
            revision=revision,
            cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
            local_files_only=local_files_only,
            ignore_patterns=_NOT_FETCHED,
            allow_patterns=["*.py"] if code else None,
        )
    )


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
