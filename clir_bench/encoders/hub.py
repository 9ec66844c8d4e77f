"""Finds models of the Hugging Face Hub by name, in the Hub's own cache or by a download."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.encoders.quiet import quiet
from clir_bench.errors import EncoderError

_ID = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_NAMED = re.compile(rf"({_ID})(?:@([A-Za-z0-9][\w./-]*))?")
_CACHED = re.compile(r"models--([A-Za-z0-9][\w.-]*?)--([A-Za-z0-9][\w.-]*)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_FETCHED = [
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack", "*.ot", "*.gguf"),
    *("*.onnx", "*.onnx_data", "*.mlmodel", "*.tflite", "onnx/*", "openvino/*", "*/onnx/*"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.pdf", "*.parquet", "*.csv"),
]
_PATIENCE_SECONDS = 10


class HubName(NamedTuple):
    """A model of the Hub, `owner/name`, and its branch, tag or commit; None: the default branch."""

    hub_id: str
    revision: str | None = None


def parse_name(text: str) -> HubName | None:
    """Parse `owner/name` or `owner/name@revision`; None for any other text.

    >>> parse_name("intfloat/multilingual-e5-small@v1.0")
    HubName(hub_id='intfloat/multilingual-e5-small', revision='v1.0')
    """
    found = _NAMED.fullmatch(text)
    return HubName(found[1], found[2]) if found and ".." not in (found[2] or "") else None


def is_hub_id(text: str) -> bool:
    """Return whether `text` looks like a Hub id, owner/name."""
    return re.fullmatch(_ID, text) is not None


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit, which never moves; branches and tags do."""
    return _COMMIT.fullmatch(revision) is not None


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
        revision: A commit, branch or tag; the default branch when None. Offline, a branch or tag
            means its commit when it was last fetched.
        code: Whether to fetch only its .py files.

    Raises:
        EncoderError: It is not there and cannot be fetched; the message says what to do.
    """
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    option = f" --revision {revision}" if revision else ""
    by_hand = (
        f"fetch {hub_id}{f' at {revision}' if revision else ''} on a machine that has it: "
        f"`clir-bench download --model st:{hub_id}{f'@{revision}' if revision else ''}` into a "
        "cache that both machines see (HF_HOME), or "
        f"`hf download {hub_id}{option} --local-dir FOLDER`, and name the folder instead: "
        "st:FOLDER, or SHORT-NAME:FOLDER for a model of `clir-bench encoders`"
    )
    away = "the Hub is switched off (offline mode)" if _offline() else _unreachable()
    try:
        return _download(hub_id, revision, local_files_only=bool(away), code=code)
    except LocalEntryNotFoundError as error:
        raise EncoderError(
            f"model {hub_id!r} is not in the local cache and {away or 'the Hub did not answer'}; "
            f"{by_hand}"
        ) from error
    except GatedRepoError as error:
        raise EncoderError(
            f"model {hub_id!r} is gated: accept its terms on the Hub and log in "
            f"(`hf auth login`), or {by_hand}"
        ) from error
    except RevisionNotFoundError as error:
        raise EncoderError(
            f"model {hub_id!r} has no revision {revision!r} on the Hub; expected a branch, a tag "
            "or a commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise EncoderError(
            f"model {hub_id!r} is not on the Hub, or is private and you are not logged in"
        ) from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"model {hub_id!r} cannot be fetched: {error}; {by_hand}") from error


def _download(
    hub_id: str, revision: str | None, *, local_files_only: bool, code: bool = False
) -> Path:
    from huggingface_hub import snapshot_download, utils

    theirs: Any = utils  # annotated because it does not export all of its names
    with quiet():
        if not sys.stderr.isatty():
            theirs.disable_progress_bars()
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


def _unreachable() -> str:
    """Return why the Hub cannot be reached, "" when it answers.

    The Hub's library tries six times over 24 seconds, which is useless without a network.
    """
    import requests
    from huggingface_hub import constants
    from requests.exceptions import SSLError

    try:
        requests.head(constants.ENDPOINT, timeout=_PATIENCE_SECONDS)
    except SSLError:
        return ""  # somebody answers; the Hub's library has certificates of its own
    except (requests.ConnectionError, requests.Timeout):
        return f"the Hub ({constants.ENDPOINT}) did not answer"
    return ""
