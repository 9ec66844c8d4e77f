"""Finds a task's files: in a folder, in the cache, or by a download with a known sha256."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from clir_bench.core.display import some_of
from clir_bench.core.files import inside, sha256_of
from clir_bench.errors import CardError, MissingDataError
from clir_bench.tasks.cache import (
    DATA_VARIABLE,
    by_hand,
    cached_file,
    cached_folder,
    folder_name,
    read_manifest,
)
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.download import fetch

Origin = Literal["sample", "local", "cache"]


@dataclass
class Source:
    """The files of one task.

    Attributes:
        card: The task.
        directory: Folder the files are in or will be fetched to.
        origin: "sample" (embedded), "local" (the user's folder: nothing is ever fetched into it)
            or "cache" (files of the card's manifest are fetched when first asked for; tasks of
            ir_datasets use ir_datasets' own cache instead).
        unofficial: Filled while reading: why the data is not the official data.
        missing: Filled while reading: files that were asked for and are not there.
    """

    card: TaskCard
    directory: Path
    origin: Origin
    unofficial: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _checked: set[Path] = field(default_factory=set)

    def file(self, *alternatives: str) -> Path:
        """Return the local path of the first of `alternatives` that exists, else fetch one.

        A file that the card's manifest lists is compared with its sha256; a difference makes the
        result unofficial (it is the user's own copy) but does not stop the run.

        Raises:
            CardError: A name leaves the folder.
            MissingDataError: None is there and none can be fetched.
        """
        for name in alternatives:
            path = self.path(name)
            if path.is_file():
                self._compare(path, alternatives)
                return path
        manifest = read_manifest(self.card)
        fetchable = [name for name in alternatives if name in manifest]
        if self.origin == "cache" and fetchable and self.card.download is not None:
            url = self.card.download.base_url.rstrip("/") + "/" + fetchable[0]
            path = cached_file(self.card, fetchable[0])
            fetch(url, path, sha256=manifest[fetchable[0]], remedy=by_hand(self.card))
            return path
        wanted = " or ".join(alternatives)
        self.missing.append(wanted)
        raise MissingDataError(self.lacks([wanted]))

    def lacks(self, files: Sequence[str]) -> str:
        """Say that files are missing, and where to get them."""
        are = "is" if len(files) == 1 else "are"
        card = self.card
        fetched = card.download is not None and card.download.base_url
        remedy = f"`clir-bench download {card.id}` fetches them into the cache. " if fetched else ""
        return (
            f"task {card.id!r}: {some_of(files)} {are} not in {self.directory}. "
            f"{remedy}{by_hand(card)}"
        )

    def path(self, name: str) -> Path:
        """Return where a file or folder is, or would be: below the task's folder.

        Raises:
            CardError: The name, which may come from the card, leaves the folder.
        """
        what = f"task {self.card.id!r}: a file that its card names"
        return inside(self.directory, name, what, error=CardError)

    def exists(self, name: str) -> bool:
        """Return whether a file or folder of that name is there now, without fetching."""
        return self.path(name).exists()

    def _compare(self, path: Path, alternatives: tuple[str, ...]) -> None:
        if self.origin == "sample" or path in self._checked:
            return
        self._checked.add(path)
        manifest = read_manifest(self.card)
        expected = {manifest[name] for name in alternatives if name in manifest}
        if expected and sha256_of(path) not in expected:
            self.unofficial.append(f"{path.name} differs from the official file (sha256)")


def locate(card: TaskCard, split: str, data_dir: Path | None = None) -> Source:
    """Decide where a task's files are read from.

    `--data-dir`, else the card's own `source.directory`, else `$CLIR_BENCH_DATA/<task>`, else the
    cache. The sample split is always the embedded one. `<task>` is `folder_name(card)`.

    Raises:
        MissingDataError: `data_dir` or `$CLIR_BENCH_DATA` is no folder.
        CardError: The task has no embedded sample.
    """
    if split == SAMPLE:
        directory = Path(__file__).parent / "samples" / folder_name(card)
        if not directory.is_dir():
            raise CardError(f"task {card.id!r} ships no sample; run it without --sample")
        return Source(card, directory, "sample")
    if data_dir is not None:
        if not data_dir.is_dir():
            raise MissingDataError(f"task {card.id!r}: --data-dir {data_dir} is no folder")
        return Source(card, data_dir, "local")
    own = card.source.get("directory")
    if isinstance(own, str):
        what = f"task {card.id!r}: source.directory"
        directory = inside(card.directory or Path(), own, what, error=CardError)
        if not directory.is_dir():
            raise MissingDataError(f"task {card.id!r}: {directory} (source.directory) is no folder")
        return Source(card, directory, "local")
    shared = os.environ.get(DATA_VARIABLE)
    if shared and not Path(shared).is_dir():
        raise MissingDataError(
            f"task {card.id!r}: ${DATA_VARIABLE} is {shared}, which is no folder; "
            "correct or unset it"
        )
    folder = folder_name(card)
    if shared and (Path(shared) / folder).is_dir():
        return Source(card, Path(shared) / folder, "local")
    return Source(card, cached_folder(card), "cache")


def local_source(card: TaskCard, split: str, data_dir: Path | None = None) -> Source:
    """Return the task's files that are on this machine; reading them fetches nothing.

    Args:
        card: The task.
        split: One of its splits.
        data_dir: Folder of the task's files, or one with such a folder per task; the usual places
            when None.

    Raises:
        MissingDataError: As `locate`, or ir_datasets reads the task, which would fetch.
        CardError: As `locate`.
    """
    if data_dir is not None and (data_dir / folder_name(card)).is_dir():
        data_dir = data_dir / folder_name(card)
    source = locate(card, split, data_dir)
    if card.adapter == "ir_datasets":
        raise MissingDataError(f"task {card.id!r}: ir_datasets reads it, and would fetch its files")
    return replace(source, origin="local")
