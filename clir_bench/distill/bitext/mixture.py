"""Holds a recipe's bitext in memory, without duplicates and without sentences of benchmarks.

A part of it is held back for validation.

    corpus = load_bitext(sources, root, tasks=evaluation_tasks())
    stream = corpus.stream(Mixing(temperature=2.0), seed=0)
    english, foreign, language = corpus[stream.take(1)[0]]

Texts are kept as one block of UTF-8, each English text once for all its translations. A pair takes
14 more bytes (offset, language, number of its English text). During loading, a pair takes 8 more
bytes for the fingerprint of its other side, and 16 to 32 while duplicates are searched.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clir_bench.distill.bitext.cleaning import CleaningRules
from clir_bench.distill.bitext.fingerprints import (
    exact_fingerprint,
    fingerprint,
    sentence_fingerprints,
)
from clir_bench.distill.bitext.loading import read_source
from clir_bench.distill.bitext.overlap import Found, contains, find_overlap
from clir_bench.distill.bitext.report import TRAIN, VALIDATION, BitextReport
from clir_bench.distill.bitext.sampling import Mixing, PairStream, language_weights
from clir_bench.distill.bitext.sources import Bitext, BitextSource
from clir_bench.errors import UsageError
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import TierScheme

_Indices = NDArray[np.int64]
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd: 2^64 / golden ratio, which spreads the bits (Knuth)
_SPLIT_SALT = np.uint64(0xD1B54A32D192ED03)


class Texts:
    """Many texts in one block of UTF-8, each by its number."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q", [0])

    def append(self, text: str) -> int:
        """Add a text and return its number."""
        self._data += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._data))
        return len(self._ends) - 2

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(number)
        start, end = self._ends[number], self._ends[number + 1]
        return self._data[start:end].decode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class BitextCorpus:
    """Bitext ready for training.

    Attributes:
        languages: Our codes, sorted; `language_ids` are places in it.
        language_ids: Language of every pair read, uint16.
        english_ids: Number of every pair's English text, uint32: equal numbers are equal texts, so
            a teacher's vectors of one serve all of its translations.
        train: Indices of the pairs to train on, ascending.
        validation: Indices of the pairs held back, ascending.
        report: What was read and dropped.
    """

    languages: tuple[str, ...]
    language_ids: NDArray[np.uint16]
    english_ids: NDArray[np.uint32]
    train: _Indices
    validation: _Indices
    report: BitextReport
    _english: Texts = field(repr=False)
    _foreign: Texts = field(repr=False)

    def __getitem__(self, index: int) -> Bitext:
        language = self.languages[self.language_ids[index]]
        return Bitext(
            self._english[int(self.english_ids[index])], self._foreign[int(index)], language
        )

    @property
    def n_english(self) -> int:
        """Number of different English texts, those of dropped pairs included."""
        return len(self._english)

    def english_text(self, english_id: int) -> str:
        """Return an English text by its number in `english_ids`."""
        return self._english[int(english_id)]

    def by_language(self, indices: _Indices) -> dict[str, _Indices]:
        """Return `indices` grouped by language, without empty languages."""
        languages = self.language_ids[indices]
        groups = {code: indices[languages == number] for number, code in enumerate(self.languages)}
        return {code: group for code, group in groups.items() if len(group)}

    def stream(
        self, mixing: Mixing, *, seed: int, scheme: TierScheme | None = None, position: int = 0
    ) -> PairStream:
        """Return the endless stream of training indices; see `PairStream`.

        Raises:
            UsageError: These languages cannot give the requested `mixing`.
        """
        pairs = self.by_language(self.train)
        weights = language_weights(self.counts(), mixing, scheme)
        return PairStream(pairs, weights, seed=seed, position=position)

    def counts(self) -> dict[str, int]:
        """Return the number of training pairs per language."""
        return {code: len(group) for code, group in self.by_language(self.train).items()}


@dataclass
class _Loaded:
    """Pairs during reading, with the fingerprints of their sides."""

    english: Texts = field(default_factory=Texts)
    foreign: Texts = field(default_factory=Texts)
    english_ids: array[int] = field(default_factory=lambda: array("I"))
    groups: array[int] = field(default_factory=lambda: array("H"))
    english_prints: array[int] = field(default_factory=lambda: array("Q"))  # one per English text
    foreign_prints: array[int] = field(default_factory=lambda: array("Q"))  # one per pair
    english_sentences: tuple[array[int], array[int]] = field(
        default_factory=lambda: (array("Q"), array("I"))
    )
    foreign_sentences: tuple[array[int], array[int]] = field(
        default_factory=lambda: (array("Q"), array("I"))
    )
    _known: dict[int, int] = field(default_factory=dict)

    def add(self, pair: Bitext, group: int) -> None:
        exact = exact_fingerprint(pair.english)
        number = self._known.get(exact)
        if number is None:
            number = self._known[exact] = self.english.append(pair.english)
            self.english_prints.append(fingerprint(pair.english))
            _extend(self.english_sentences, pair.english, number)
        self.english_ids.append(number)
        self.groups.append(group)
        self.foreign_prints.append(fingerprint(pair.foreign))
        _extend(self.foreign_sentences, pair.foreign, self.foreign.append(pair.foreign))


def load_bitext(
    sources: Sequence[BitextSource],
    root: Path,
    *,
    tasks: Sequence[TaskCard] = (),
    data_dir: Path | None = None,
    rules: CleaningRules | None = None,
    validation_share: float = 0.01,
    advance: Callable[[str], None] = lambda _: None,
) -> BitextCorpus:
    """Read, clean, deduplicate, compare with benchmarks and split a recipe's bitext.

    A pair is dropped as a duplicate where an earlier pair of its language has the same normal form
    on both sides, and as overlap where either side, or a sentence of it, stands in one of `tasks`.
    Only the English text's normal form decides which pairs are held back. So a sentence is in
    training or in validation together with all of its translations, in every run and beside any
    other data. A training pair whose foreign text was held back with another English text (another
    Bible's, say) is dropped as its twin.

    Args:
        sources: The recipe's bitext, in its order; the first of equal pairs stays.
        root: Folder that relative paths start from.
        tasks: The tasks to compare with (`overlap.evaluation_tasks` for all).
        data_dir: Where the tasks' data is; `$CLIR_BENCH_DATA` or the cache when None.
        rules: The limits beyond which a pair is dropped.
        validation_share: Share of English texts held back, 0 to below 1.
        advance: Called with the name of each source or task before it is read.

    Raises:
        UsageError: There is no source, two sources have one name, or the share is out of range.
        DataError: As `read_source`.
    """
    _check(sources, validation_share)
    report, loaded = BitextReport(), _Loaded()
    groups: dict[tuple[str, str], int] = {}
    for source in sources:
        advance(source.name)
        for pair in read_source(source, root, rules=rules, report=report):
            loaded.add(pair, groups.setdefault((source.name, pair.language), len(groups)))
    pairs = _Pairs(loaded, groups, report)
    pairs.drop("duplicate", pairs.duplicates())
    if tasks:
        found = find_overlap(pairs.all_prints(), tasks, data_dir=data_dir, advance=advance)
        pairs.drop_overlap(found)
    held_back = pairs.held_back(validation_share)
    twins = ~held_back & contains(
        np.unique(pairs.foreign_keys[pairs.kept & held_back]), pairs.foreign_keys
    )
    pairs.drop("twin", twins)
    train, validation = pairs.kept & ~held_back, pairs.kept & held_back
    pairs.count(TRAIN, train)
    pairs.count(VALIDATION, validation)
    return BitextCorpus(
        pairs.languages,
        pairs.language_ids,
        pairs.english_ids,
        np.flatnonzero(train),
        np.flatnonzero(validation),
        report,
        loaded.english,
        loaded.foreign,
    )


class _Pairs:
    """All pairs read, as arrays, and which of them are kept."""

    def __init__(
        self, loaded: _Loaded, groups: Mapping[tuple[str, str], int], report: BitextReport
    ) -> None:
        self._loaded, self._report = loaded, report
        self._names = list(groups)
        self.languages = tuple(sorted({language for _, language in groups}))
        self.english_ids = np.array(loaded.english_ids, dtype=np.uint32)
        self._groups = np.array(loaded.groups, dtype=np.uint16)
        of_group = [self.languages.index(language) for _, language in groups]
        self.language_ids = np.array(of_group, dtype=np.uint16)[self._groups]
        self.english_prints = np.array(loaded.english_prints, dtype=np.uint64)
        self.foreign_prints = np.array(loaded.foreign_prints, dtype=np.uint64)
        self.foreign_keys = self.foreign_prints ^ ((self.language_ids + np.uint64(1)) * _MIX)
        self.kept = np.ones(len(self.english_ids), dtype=bool)

    def count(self, what: str, which: NDArray[np.bool_]) -> None:
        """Add the number of pairs in `which` to the report, by source and language."""
        numbers = np.bincount(self._groups[which], minlength=len(self._names))
        for (source, language), n in zip(self._names, numbers.tolist(), strict=True):
            if n:
                self._report.count(source, language, what, n)

    def drop(self, reason: str, which: NDArray[np.bool_]) -> None:
        """Drop the pairs in `which` that are still kept, and count them."""
        self.count(reason, which & self.kept)
        self.kept &= ~which

    def duplicates(self) -> NDArray[np.bool_]:
        """Return which pairs repeat an earlier pair of their language."""
        keys = self.english_prints[self.english_ids] * _MIX ^ self.foreign_keys
        _, first = np.unique(keys, return_index=True)
        repeated = np.ones(len(keys), dtype=bool)
        repeated[first] = False
        return repeated

    def held_back(self, share: float) -> NDArray[np.bool_]:
        """Return which pairs' English texts are chosen for validation, by fingerprint only."""
        chosen = (self.english_prints ^ _SPLIT_SALT) * _MIX >> np.uint64(11)
        return np.asarray(chosen / 2.0**53 < share)[self.english_ids]

    def all_prints(self) -> NDArray[np.uint64]:
        """Return every fingerprint that a benchmark may share, sorted and unique."""
        sentences = (self._loaded.english_sentences[0], self._loaded.foreign_sentences[0])
        return np.unique(
            np.concatenate(
                [self.english_prints, self.foreign_prints]
                + [np.array(prints, dtype=np.uint64) for prints in sentences]
            )
        )

    def drop_overlap(self, found: Sequence[Found]) -> None:
        """Drop the pairs that share a fingerprint with a task, and count them for each task."""
        overlap, dropped = [], np.zeros(len(self.kept), dtype=bool)
        for task in found:
            hit = self._hit_by(task.fingerprints) & self.kept
            overlap.append(replace(task.overlap, pairs=int(hit.sum())))
            dropped |= hit
        self.drop("overlap", dropped)
        self._report.overlap = tuple(overlap)

    def _hit_by(self, prints: NDArray[np.uint64]) -> NDArray[np.bool_]:
        english = contains(prints, self.english_prints)
        foreign = contains(prints, self.foreign_prints)
        for hit, sentences in (
            (english, self._loaded.english_sentences),
            (foreign, self._loaded.foreign_sentences),
        ):
            values, owners = (np.array(sentences[0], dtype=np.uint64), np.array(sentences[1]))
            hit[owners[contains(prints, values)].astype(np.int64)] = True
        return english[self.english_ids] | foreign


def _extend(sentences: tuple[array[int], array[int]], text: str, owner: int) -> None:
    for value in sentence_fingerprints(text):
        sentences[0].append(value)
        sentences[1].append(owner)


def _check(sources: Sequence[BitextSource], validation_share: float) -> None:
    names = [source.name for source in sources]
    if not names:
        raise UsageError("no bitext: a recipe needs at least one [[bitext]]")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two bitext sources have one name: {', '.join(twice)}; rename one")
    if not 0 <= validation_share < 1:
        raise UsageError(
            f"validation_share must be at least 0 and below 1, found {validation_share}"
        )
