"""Imports ir_datasets, keeps it offline on request, and turns its errors into clir-bench's own."""

from __future__ import annotations

import gzip
import os
from typing import Any

from clir_bench.errors import DataError, MissingDataError
from clir_bench.tasks.cache import by_hand
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.download import offline, reason

_SMALL_FILE_BYTES = 5_000_000  # ir_datasets takes larger files from its folder `downloads`, too


class OfflineError(OSError):
    """ir_datasets wanted to fetch `url`, which an environment variable forbids."""

    def __init__(self, variable: str, url: str) -> None:
        super().__init__(f"{variable} is set, so {url} was not fetched")
        self.url = url


def import_ir_datasets() -> Any:
    """Import ir_datasets, which makes its folder if needed, and keep it offline if asked to.

    Raises:
        MissingDataError: Its folder cannot be made.
    """
    try:
        import ir_datasets
    except OSError as error:
        raise MissingDataError(
            f"ir_datasets cannot use its folder {_home()}: {error}; "
            "set IR_DATASETS_HOME to a folder that can be written"
        ) from None
    if not hasattr(ir_datasets.lazy_libs.requests, "online"):
        ir_datasets.lazy_libs.requests = _Requests(ir_datasets.lazy_libs.requests)
    return ir_datasets


class _Requests:
    # Replaces the requests library, which ir_datasets asks for each time it fetches.
    def __init__(self, online: Any) -> None:
        self.online = online

    def __call__(self) -> Any:
        variable = offline()
        return _Refusal(self.online(), variable) if variable else self.online()


class _Refusal:
    def __init__(self, requests: Any, variable: str) -> None:
        self.exceptions, self.variable = requests.exceptions, variable

    def get(self, url: str, **_: object) -> Any:
        raise OfflineError(self.variable, url)


def failure(dataset_id: str, error: Exception, card: TaskCard | None = None) -> DataError:
    """Return what to raise when ir_datasets failed to open a data set or give its records."""
    where = f"ir_datasets' {dataset_id!r}"
    if card is not None:
        where = f"task {card.id!r}: {where}"
    causes = _causes(error)
    text = "; ".join(reason(cause) for cause in causes)
    fetching = all(
        isinstance(cause, OSError) and not isinstance(cause, gzip.BadGzipFile) for cause in causes
    )
    if not fetching:
        return DataError(
            f"{where} cannot be read: {type(error).__name__}: {text}. Remove its files under "
            f"{_home()} and fetch them again"
        )
    local = f" Or: {by_hand(card)}" if card and card.download else ""
    return MissingDataError(
        f"{where} could not be fetched: {text}. {_place(dataset_id, error)}{local}"
    )


def _causes(error: Exception) -> list[Exception]:
    # "All download sources failed" carries a list of (mirror, error).
    if len(error.args) == 2 and isinstance(error.args[1], list) and error.args[1]:
        return [cause for _, cause in error.args[1]]
    return [error]


def _place(dataset_id: str, error: Exception) -> str:
    """Say which file to fetch by hand and where ir_datasets looks for it."""
    for cause in _causes(error):
        url = getattr(cause, "url", "") or getattr(getattr(cause, "request", None), "url", "")
        if url and (path := _path_of(url)):
            return f"Fetch {url} by hand and put it at {path} (the folder is IR_DATASETS_HOME)."
    name = dataset_id.partition("/")[0]
    return (
        f"https://ir-datasets.com/{name}.html says where it comes from; "
        f"its files belong in {_home()} (the folder is IR_DATASETS_HOME)."
    )


def _path_of(url: str) -> str:
    known = import_ir_datasets().util.DownloadConfig.contents()
    for name, files in known.items():
        for file in files.values() if isinstance(files, dict) else ():
            if isinstance(file, dict) and file.get("url") == url:
                if "cache_path" in file:
                    return f"{_home()}/{name}/{file['cache_path']}"
                if file.get("expected_md5") and file.get("size_hint", 0) >= _SMALL_FILE_BYTES:
                    return f"{_home()}/downloads/{file['expected_md5']}"
    return ""


def _home() -> str:
    return os.environ.get("IR_DATASETS_HOME", "~/.ir_datasets")
