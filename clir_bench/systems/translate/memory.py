"""Keeps translations by content, so that a text is translated once and a killed run goes on.

Each translator has a folder in the cache, named by a hash of everything that decides its
translations; in it is a folder per direction with gzipped JSON Lines of texts and translations. A
file is written at once and never changes, so several runs may share the folder.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core.bounded_files import read_gzip
from clir_bench.core.files import write_file
from clir_bench.core.structured_files import parse_json
from clir_bench.errors import DataError, OutputError
from clir_bench.systems.translate.translators import Direction, Engine, Place
from clir_bench.tasks.cache import cache_directory
from clir_bench.tasks.cards import TaskCard
from clir_bench.types import LanguagePair, Query

logger = logging.getLogger(__name__)

_LARGEST_FILE = 64 * 2**20
_LARGEST_FOLDER = 512 * 2**20
"""Bytes of packed files that are read of one direction; what is left is translated anew."""
_SUFFIX = ".jsonl.gz"


@dataclass
class Remembered:
    """A translator that keeps what its engine has translated; empty translations are not kept."""

    engine: Engine
    _known: dict[Direction, dict[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Stands in the system's name."""
        return self.engine.name

    @property
    def details(self) -> Mapping[str, str]:
        """What identifies it."""
        return self.engine.details

    @property
    def n_parameters(self) -> int | None:
        """Number of weights, None when there are none."""
        return self.engine.n_parameters

    def check(self, card: TaskCard, pair: LanguagePair, direction: Direction) -> None:
        """Refuse a direction that the engine lacks.

        Raises:
            UsageError: Says what it has.
        """
        self.engine.check(f"task {card.id!r}, pair {pair}", direction)

    def translate(
        self, texts: Sequence[Query], direction: Direction, place: Place
    ) -> Sequence[str]:
        """Return one translation per text, those that are known from the cache.

        Raises:
            EncoderError: The engine failed; what it has translated is kept.
        """
        folder = self.folder(direction)
        if direction not in self._known:
            self._known[direction] = dict(_read_folder(folder))
        asked = [query.text for query in texts]
        return self._completed(asked, direction, self._known[direction], folder)

    def translate_window(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """Return one translation per text of a window of documents, kept in a file of its own.

        Raises:
            EncoderError: The engine failed; what it has translated is kept.
        """
        # Of a window that was not finished, a folder with its name has the parts.
        parts = self.folder(direction) / "documents" / _digest(texts)
        whole = parts.with_suffix(_SUFFIX)
        known = dict(_read_file(whole))
        is_whole = bool(known)
        found = self._completed(texts, direction, known or dict(_read_folder(parts)), parts)
        if not is_whole and _write(whole, dict(zip(texts, found, strict=True))):
            shutil.rmtree(parts, ignore_errors=True)
        return found

    def folder(self, direction: Direction) -> Path:
        """Return where the translations of a direction are kept."""
        identity = json.dumps(dict(self.engine.identity), sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
        return cache_directory() / "translations" / digest / "-".join(direction)

    def _completed(
        self, texts: Sequence[str], direction: Direction, known: dict[str, str], folder: Path
    ) -> list[str]:
        """Translate what is not known yet, and keep it in the folder, chunk by chunk."""
        new = [text for text in dict.fromkeys(texts) if text.strip() and text not in known]
        for start in range(0, len(new), self.engine.chunk):
            chunk = new[start : start + self.engine.chunk]
            found = dict(zip(chunk, self.engine.translate(chunk, direction), strict=True))
            known |= found
            _write(folder / f"{_digest([*found, *found.values()])}{_SUFFIX}", found)
        return [known[text] if text.strip() else "" for text in texts]


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:32]


def _write(path: Path, found: Mapping[str, str]) -> bool:
    """Keep translations that are not empty; a cache that cannot be written costs a warning."""
    rows = [
        json.dumps({"text": text, "translation": translation}, ensure_ascii=False)
        for text, translation in found.items()
        if translation.strip()
    ]
    if not rows:
        return False
    try:
        write_file(path, gzip.compress(("\n".join(rows) + "\n").encode(), mtime=0))
    except OutputError as error:
        logger.warning("translations are not kept, and are made again the next time: %s", error)
        return False
    return True


def _read_folder(folder: Path) -> Iterator[tuple[str, str]]:
    size = 0
    for path in sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else ():
        size += path.lstat().st_size
        if size > _LARGEST_FOLDER:
            logger.warning("%s: more than %s bytes; the rest is not read", folder, _LARGEST_FOLDER)
            return
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts and translations of a file; one that is damaged counts for nothing."""
    if not path.exists():
        return
    rows = []
    try:
        for line in read_gzip(path, _LARGEST_FILE, _LARGEST_FILE).splitlines():
            row = parse_json(line, str(path), DataError)
            text, translation = row["text"], row["translation"]
            if not isinstance(text, str) or not isinstance(translation, str):
                raise TypeError("no texts")
            rows.append((text, translation))
    except (DataError, KeyError, TypeError) as error:
        logger.warning("%s: left out, its texts are translated again: %s", path, error)
        return
    yield from rows
