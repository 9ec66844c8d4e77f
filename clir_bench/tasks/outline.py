"""Divides a corpus into windows of documents, and finds texts that occur more than once.

The result is called the outline of the corpus. A corpus is read twice: to be checked, and to be
encoded. The second reading makes the same windows and compares each with a hash (its mark) from the
first. If documents changed in between, it refuses them and stores no vector of them.

A window is a fixed number of documents, or fewer where they are long. Its bounds depend on the
documents alone, not on who encodes them or whether vectors are stored. This matters because the
texts that are padded together can change a vector's last bits.

Memory: 8 bytes per document while the corpus is checked; then 16 bytes per window and 8 per
repeated text. Keys and marks are Python's own hashes (SipHash, with a new key in each process), so
they are valid within one process only.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clir_bench.errors import DataError
from clir_bench.types import Document

WINDOW_DOCUMENTS = 1024
"""Documents encoded together, and per update of the progress bar."""
WINDOW_CHARACTERS = 2**20
"""A window ends with the text that makes it so long, however few they are: passages never do, and
a tokenizer takes some 60 bytes of memory per character of a window."""
SHARD_WINDOWS = 4
"""Windows that make a shard of stored vectors."""


class Text(NamedTuple):
    """A document as it is encoded.

    Attributes:
        text: Title and text joined; blank when there is nothing to encode.
        language: The language code that the encoder gets.
        key: Equal for equal texts of one language; almost surely different for others.
    """

    doc_id: str
    text: str
    language: str
    key: int


@dataclass(frozen=True)
class Outline:
    """The facts about a corpus after its first reading.

    Attributes:
        sizes: Documents of each window.
        marks: Hash of each window's ids, texts and languages.
        repeated: Keys of the texts that occur more than once, int64, ascending.
    """

    sizes: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()
    repeated: bytes = b""

    @property
    def shard_sizes(self) -> list[int]:
        """Documents of each shard of stored vectors."""
        firsts = range(0, len(self.sizes), SHARD_WINDOWS)
        return [sum(self.sizes[first : first + SHARD_WINDOWS]) for first in firsts]


NO_OUTLINE = Outline()
"""The outline of a corpus that has not been read."""


class _Window:
    """The bounds and the mark of a window that is being read."""

    def __init__(self) -> None:
        self.n_documents = self._n_characters = self.mark = 0

    def add(self, text: Text) -> bool:
        """Add a text; return whether the window ends with it."""
        self.mark = hash((self.mark, text.doc_id, text.key))
        self.n_documents += 1
        self._n_characters += len(text.text)
        return self.n_documents >= WINDOW_DOCUMENTS or self._n_characters >= WINDOW_CHARACTERS


class Outliner:
    """Builds the outline of a corpus while the caller reads it.

    Args:
        language: The documents' language where a document does not state its own.
        document_text: How title and text are joined, as on the task's card.
    """

    def __init__(self, language: str, document_text: str) -> None:
        self._language, self._document_text = language, document_text
        self._sizes: list[int] = []
        self._marks: list[int] = []
        self._keys = array("q")
        self._window = _Window()

    def add(self, document: Document) -> bool:
        """Add the next document; return whether it has a text to encode."""
        text = text_of(document, self._language, self._document_text)
        if self._window.add(text):
            self._close()
        if not text.text.strip():
            return False
        self._keys.append(text.key)
        return True

    def finish(self) -> Outline:
        """Return the outline of all documents; none can be added after."""
        if self._window.n_documents:
            self._close()
        keys = np.frombuffer(self._keys, dtype=np.int64)
        keys.sort()  # in place: 8 bytes per document are enough
        repeated = np.unique(keys[1:][keys[1:] == keys[:-1]])
        return Outline(tuple(self._sizes), tuple(self._marks), repeated.tobytes())

    def _close(self) -> None:
        self._sizes.append(self._window.n_documents)
        self._marks.append(self._window.mark)
        self._window = _Window()


def outline_of(documents: Iterable[Document], *, language: str, document_text: str) -> Outline:
    """Read a corpus once and return its outline; arguments are `Outliner`'s."""
    outliner = Outliner(language, document_text)
    for document in documents:
        outliner.add(document)
    return outliner.finish()


def read_again(
    documents: Iterable[Document],
    outline: Outline,
    *,
    language: str,
    document_text: str,
    where: str,
) -> Iterator[list[Text]]:
    """Yield the windows of a corpus, each compared with the first reading.

    Args:
        documents: The corpus.
        outline: From its first reading with the same language and `document_text`.
        language: As in `Outliner`.
        document_text: As in `Outliner`.
        where: Names the corpus in errors.

    Raises:
        DataError: The documents are not those of the first reading.
    """
    texts: list[Text] = []
    expected = zip(outline.sizes, outline.marks, strict=True)
    window, n_read, n_expected = _Window(), 0, sum(outline.sizes)

    def check() -> None:
        if next(expected, None) != (window.n_documents, window.mark):
            first = n_read - window.n_documents + 1
            raise _changed(where, f"documents {first:,} to {n_read:,} are others now")

    for document in documents:
        text = text_of(document, language, document_text)
        texts.append(text)
        n_read += 1
        if n_read > n_expected:
            raise _changed(where, f"expected {n_expected:,} documents, found more")
        if window.add(text):
            check()
            yield texts
            texts, window = [], _Window()
    if n_read != n_expected:
        raise _changed(where, f"expected {n_expected:,} documents, found {n_read:,}")
    if texts:
        check()
        yield texts


def text_of(document: Document, language: str, document_text: str) -> Text:
    """Return a document as it is encoded; arguments are `Outliner`'s."""
    text, language = document_string(document, document_text), document.language or language
    return Text(document.doc_id, text, language, hash((language, text)))


def document_string(document: Document, template: str) -> str:
    """Join title and text as the card says; an absent part leaves no separator.

    >>> document_string(Document("d", "Nairobi ni jiji.", "Nairobi"), "{title} {text}")
    'Nairobi Nairobi ni jiji.'
    """
    if not document.title.strip() or not document.text.strip():
        text, title = document.text, "" if template == "{text}" else document.title
        return text if text.strip() else title
    return template.format(title=document.title, text=document.text)


def bounded(texts: Sequence[str]) -> list[Sequence[str]]:
    """Split texts, in order, into parts as long as a window may be."""
    batches = []
    first = n_characters = 0
    for end, text in enumerate(texts, start=1):
        n_characters += len(text)
        if n_characters >= WINDOW_CHARACTERS:
            batches.append(texts[first:end])
            first, n_characters = end, 0
    if first < len(texts):
        batches.append(texts[first:])
    return batches


def _changed(where: str, what: str) -> DataError:
    return DataError(
        f"{where}: the documents changed after they were checked: {what}. Nothing of them is used; "
        "leave a task's files alone while it runs, then run it again"
    )
