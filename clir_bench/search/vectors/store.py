"""Decides for which corpora a run stores vectors, in which folder, and for how long."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clir_bench.core.display import line_of
from clir_bench.errors import EncoderError, MissingDataError, OutputError, ResultError, UsageError
from clir_bench.search.vectors.cache_key import Corpus, Identity, key_of
from clir_bench.search.vectors.description import EntryDescription, read_description
from clir_bench.search.vectors.entry import KEPT, Entry, entry_folder, repair_remedy
from clir_bench.search.vectors.removal import remove
from clir_bench.tasks.cache import cache_directory
from clir_bench.types import Encoder, TokenEncoder

logger = logging.getLogger(__name__)

AUTO_DOCUMENTS = 10_000
"""Smaller corpora are stored only if a folder is named: encoding them again is quick."""
AUTO_SHARE = 0.5
"""Share of the free disk that a run may use if no folder is named."""
_SHOWN = 3
_DTYPE = "encoder.dtype"


@dataclass(frozen=True)
class Keeping:
    """Where vectors are kept.

    Attributes:
        mode: "auto": of large corpora, in the cache, until the pairs they were made for are
            stored; "keep": all, for good; "off": none.
        folder: Where; the cache's own folder when None.
    """

    mode: Literal["auto", "keep", "off"] = "auto"
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Keeping:
        """Parse the text of `--embeddings`: auto, off, or a folder.

        >>> Keeping.parse("off").mode, Keeping.parse("vectors").mode
        ('off', 'keep')
        """
        if text in ("auto", "off"):
            return cls("auto" if text == "auto" else "off")
        return cls("keep", Path(text).expanduser())

    @property
    def root(self) -> Path:
        """The folder of all entries."""
        return embeddings_directory() if self.folder is None else self.folder


AUTO = Keeping()


def embeddings_directory() -> Path:
    """Return where vectors are kept when no folder is named."""
    return cache_directory() / "embeddings"


class EmbeddingStore:
    """The stored vectors of one encoder.

    Args:
        keeping: Which vectors are stored, and where.
        identity: Of the encoder.
        encoder: The encoder.
    """

    def __init__(
        self,
        keeping: Keeping,
        identity: Identity,
        encoder: Encoder | TokenEncoder,
    ) -> None:
        self.keeping, self.identity = keeping, identity
        self._model, self._dim = encoder.info.name, encoder.dim
        self._dtype, self._dtype_reason = encoder.info.dtype, encoder.info.dtype_reason
        self._late = isinstance(encoder, TokenEncoder)
        self._stored: set[Corpus] = set()
        self._stored_only = False
        self._disk_share = AUTO_SHARE if keeping.mode == "auto" else 1.0
        self._finished: list[Path] = []

    @property
    def keeps(self) -> bool:
        """Whether stored vectors stay after the run."""
        return self.keeping.mode == "keep"

    def entry(self, corpus: Corpus, *, required: bool = False) -> Entry:
        """Return a corpus' entry, which may be empty."""
        key = key_of(self.identity, corpus)
        folder = entry_folder(self.keeping.root, self._model, key)
        return Entry(
            folder,
            key,
            corpus,
            self._dim,
            self._late,
            required=required,
            stored_only=self._stored_only,
            disk_share=self._disk_share,
        )

    def plan(self, corpora: Sequence[Corpus], *, all_of_them: bool = False) -> None:
        """Decide which corpora are stored, and check now that they can be.

        Args:
            corpora: The corpora that will be encoded.
            all_of_them: Whether small ones are stored too.

        Raises:
            OutputError: Vectors are to be kept, and the folder cannot be written or the disk has
                too little room; nothing has been encoded yet.
            ResultError: No arithmetic was stated, and vectors of these documents are stored in
                another one than `auto` chose here.
        """
        self._stored = set()
        asked = self.keeping.mode == "keep" or all_of_them
        self._disk_share = 1.0 if asked else AUTO_SHARE
        if self.keeping.mode == "off":
            return
        if self.identity.untold:
            if asked:
                logger.warning("vectors are not stored: %s", self.identity.untold)
            return
        chosen = [
            corpus
            for corpus in corpora
            if asked or corpus.n_documents >= AUTO_DOCUMENTS or self.entry(corpus).folder.is_dir()
        ]
        self._check_arithmetic(corpora)
        problem = self._problem([self.entry(corpus) for corpus in chosen], asked)
        if problem and asked:
            raise OutputError(
                f"{problem}; choose another folder with --embeddings, or --embeddings off"
            )
        if problem:
            logger.warning(
                "vectors are not stored, so a killed run starts a corpus again: %s; "
                "--embeddings FOLDER names another place",
                problem,
            )
            return
        self._stored = set(chosen)

    def documents_left(self, corpus: Corpus) -> int:
        """Return how many documents of a planned corpus still have to be encoded."""
        if corpus not in self._stored:
            return corpus.n_documents
        return self.entry(corpus).documents_left()

    @contextmanager
    def opened(self, corpus: Corpus, *, required: bool = False) -> Iterator[Entry | None]:
        """Use a corpus' entry, None when it is not stored.

        Args:
            corpus: One of those planned for.
            required: As in `Entry`.
        """
        if corpus not in self._stored:
            yield None
            return
        entry = self.entry(corpus, required=required)
        with entry.opened(keep=self.keeping.mode == "keep"):
            yield entry

    def finished(self, corpus: Corpus) -> None:
        """Note that the corpus is not needed any more."""
        if self.keeping.mode == "auto" and corpus in self._stored:
            self._finished.append(self.entry(corpus).folder)

    def discard_finished(self) -> None:
        """Remove vectors kept only in case of a kill; call it when the results are on disk."""
        for folder in self._finished:
            if not (folder / KEPT).exists():
                remove(folder)
        self._finished.clear()

    def require(self, corpora: Sequence[Corpus]) -> None:
        """Check that every shard is done; from now on none is encoded.

        Damage that sizes do not show is found when a shard is read.

        Raises:
            UsageError: Nothing is stored at all.
            EncoderError: Nothing distinguishes the encoder from its other versions.
            MissingDataError: Names the corpora with missing or damaged shards, and any vectors made
                in another way.
        """
        if self.keeping.mode == "off":
            raise UsageError("there are no stored vectors to merge with --embeddings off")
        if self.identity.untold:
            raise EncoderError(f"vectors cannot have been stored: {self.identity.untold}")
        self._stored_only = True
        entries = [self.entry(corpus) for corpus in corpora]
        said = []
        if missing := [text for entry in entries if (text := self._missing_of(entry))]:
            said.append(
                f"not encoded yet: {'. '.join(missing)}. Run the jobs that did not end once more "
                "(run --num-shards N --shard-id I), or `clir-bench run` to encode what is missing "
                "here"
            )
        if damaged := [
            f"{entry.corpus.label}: shard {number}: {problem}"
            for entry in entries
            for number, problem in entry.damages().items()
        ]:
            more = f" and {len(damaged) - _SHOWN:,} more" if len(damaged) > _SHOWN else ""
            said.append(
                f"damaged: {'; '.join(damaged[:_SHOWN])}{more}. {repair_remedy(self.keeping.root)}"
            )
        if said:
            raise MissingDataError(f"{self.keeping.root}: {'. '.join(said)}")

    def _check_arithmetic(self, corpora: Sequence[Corpus]) -> None:
        """Refuse to restart a corpus begun in another arithmetic, unless ours was stated."""
        if not self._dtype_reason:
            return
        for corpus in corpora:
            entry = self.entry(corpus)
            others = self._others(entry.key) if entry.missing() else []
            for other in others:
                if _differing(other.key, entry.key) == [_DTYPE]:
                    there, here = other.of_encoder("dtype"), self._dtype
                    raise ResultError(
                        f"{self.keeping.root} holds vectors of {corpus.label} in {there}, and "
                        f"--dtype auto takes {here} here ({self._dtype_reason}): state --dtype "
                        f"{there} to go on with them, or --dtype {here} to encode anew"
                    )

    def _missing_of(self, entry: Entry) -> str:
        """Say which shards of an entry are missing, and which other vectors are there."""
        missing = entry.missing()
        if not missing:
            return ""
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", ..." * (len(missing) > _SHOWN))
        others = "".join(
            f"; vectors of the same documents are there with another {other}"
            for other in self._near_misses(entry.key)[:_SHOWN]
        )
        label = entry.corpus.label
        return f"{label}: {len(missing):,} of {entry.n_shards:,} shards ({shown}){others}"

    def _near_misses(self, wanted: dict[str, str]) -> list[str]:
        """Say how stored vectors of the same documents differ from the wanted ones."""
        found = []
        for other in self._others(wanted):
            differing = _differing(other.key, wanted)
            shown = [
                line_of(f"{name}: {other.key.get(name)}, here {wanted.get(name)}", 300)
                for name in differing
            ]
            remedy = ""
            if differing == [_DTYPE]:
                remedy = f" (state --dtype {other.of_encoder('dtype')} to use them)"
            found.append(" and ".join(shown) + remedy)
        return found

    def _others(self, wanted: dict[str, str]) -> list[EntryDescription]:
        """Return a message about other stored vectors of the same documents."""
        paths = sorted(self.keeping.root.glob("*/entry.json"))
        found = [read_description(path.parent) for path in paths]
        return [
            one
            for one in found
            if one is not None
            and one.key != wanted
            and one.key.get("corpus.sha256") == wanted["corpus.sha256"]
        ]

    def _problem(self, entries: Sequence[Entry], asked: bool) -> str:
        """Say why the entries cannot be stored, if so, and how much they will need."""
        missing = [entry for entry in entries if entry.missing()]
        if not missing:
            return ""
        root = self.keeping.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
            free = shutil.disk_usage(root).free
        except OSError as error:
            return f"{root} cannot be written: {error.strerror or error}"
        needs = [entry.needed_bytes() or 0 for entry in missing]
        # Those that are not kept are removed before the next corpus is encoded.
        need = sum(needs) if asked else max(needs)
        logger.info(
            "vectors of %s documents need %s in %s, where %s are free%s",
            f"{sum(entry.corpus.n_documents for entry in missing):,}",
            size_text(need) if need else "an amount that the first shard will tell",
            root,
            size_text(free),
            "" if asked else "; they are removed when the results are stored",
        )
        room = int(free * self._disk_share)
        if need <= room:
            return ""
        of = "" if asked else "; a run takes at most half of that unless it names a folder"
        return f"{size_text(need)} are needed in {root}, which has {size_text(free)} free{of}"


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def size_text(size_bytes: int) -> str:
    """Return a number of bytes for people.

    >>> size_text(203_000_000)
    '203 MB'
    """
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"
