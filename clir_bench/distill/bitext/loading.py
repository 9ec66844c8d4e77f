"""Reads a source of bitext: yields cleaned and checked pairs, and counts those it drops.

`sources` describes what a recipe can state, `cleaning` when a pair is dropped, and `alignment` how
misaligned files are found.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from clir_bench.distill.bitext.alignment import BLOCK, align
from clir_bench.distill.bitext.cleaning import CleaningRules, clean_text, fault
from clir_bench.distill.bitext.fingerprints import is_chosen
from clir_bench.distill.bitext.formats import Raw, open_files
from clir_bench.distill.bitext.report import READ, REALIGNED, BitextReport
from clir_bench.distill.bitext.scripts import detect, letters_of, share
from clir_bench.distill.bitext.sources import Bitext, BitextSource
from clir_bench.errors import DataError, MissingDataError

_log = logging.getLogger(__name__)
_N_SAMPLED = 200  # texts in the wrong script that an error's "found" is drawn from


def read_source(
    source: BitextSource,
    root: Path,
    *,
    rules: CleaningRules | None = None,
    report: BitextReport | None = None,
) -> Iterator[Bitext]:
    """Yield the pairs of a source that pass the rules, file by file in the order of the paths.

    Pairs stream. Errors of a whole file (unequal lengths, wrong script) appear only at its end, so
    train nothing before everything is read. Memory holds 20,000 pairs at a time, and the English
    side of a verses file.

    Args:
        source: What to read.
        root: Folder that relative paths start from.
        rules: When a pair is dropped; the defaults when None.
        report: Where reads and drops are counted, by source and language.

    Raises:
        MissingDataError: No file matches, or a requested language is missing everywhere.
        DataError: A file is damaged, not UTF-8, its sides are of unequal length, or more than half
            of it is in the wrong script or consists of broken characters.
        UsageError: A hub data set without the library `datasets`.
    """
    rules = rules or CleaningRules()
    report = report if report is not None else BitextReport()
    report.licenses[source.name] = source.license
    found: set[str] = set()
    for where, pairs in open_files(source, root):
        file = _File(source, rules, report, where)
        for block in _batched(pairs, BLOCK):
            yield from file.clean(block)
        file.finish()
        found |= set(file.counts)
    missing = source.wanted() - found
    if missing or not found:
        raise MissingDataError(
            f"bitext {source.name!r}: no pair of {', '.join(sorted(missing)) or 'any language'} in "
            f"{root / source.path}; there are {', '.join(sorted(found)) or 'none at all'}"
        )


class _File:
    """Cleans the pairs of one file, block by block."""

    def __init__(
        self, source: BitextSource, rules: CleaningRules, report: BitextReport, where: str
    ) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._source, self._rules, self._report, self._where = source, rules, report, where
        self._strangers: dict[str, list[tuple[str, str, str]]] = {}

    def clean(self, block: Sequence[Raw]) -> Iterator[Bitext]:
        """Yield the kept pairs of a block, language by language."""
        by_language: dict[tuple[str, str], list[Raw]] = {}
        for raw in block:
            by_language.setdefault((raw.language, raw.script), []).append(raw)
        for (language, script), pairs in by_language.items():
            counts = self.counts.setdefault(language, Counter())
            before = counts.copy()
            yield from self._clean(pairs, language, script, counts)
            for what, n in (counts - before).items():
                self._report.count(self._source.name, language, what, n)

    def _clean(
        self, pairs: Sequence[Raw], language: str, script: str, counts: Counter[str]
    ) -> Iterator[Bitext]:
        counts[READ] += len(pairs)
        whole = [
            (clean_text(raw.english), clean_text(raw.foreign))
            for raw in pairs
            if raw.english is not None and raw.foreign is not None
        ]
        counts["one_side_only"] += len(pairs) - len(whole)
        foreign = [text for _, text in whole]
        keyed = self._source.format == "verses"  # matched by key, they cannot get out of step
        partners = align(
            [text for text, _ in whole],
            foreign,
            min_correlation=-1 if keyed else self._rules.min_length_correlation,
            max_shift=self._rules.max_shift,
        )
        moved = (partners != np.arange(len(whole))) & (partners >= 0)
        counts[REALIGNED] += int(moved.sum())
        for (english, _), partner in zip(whole, partners.tolist(), strict=True):
            if partner < 0:
                counts["misaligned"] += 1
                continue
            pair = Bitext(english, foreign[partner], language)
            why = fault(pair.english, pair.foreign, script, self._rules)
            if why is None and not is_chosen(pair.english, self._source.share):
                why = "not_chosen"
            if why is None:
                yield pair
                continue
            counts[why] += 1
            if why == "wrong_script":
                self._remember(pair, script)

    def _remember(self, pair: Bitext, script: str) -> None:
        sample = self._strangers.setdefault(pair.language, [])
        if len(sample) < _N_SAMPLED:
            side, letters = pair.language, letters_of(pair.foreign)
            if share(letters, script) >= self._rules.min_script_share:
                side, letters, script = "English", letters_of(pair.english), "Latn"
            sample.append((side, script, detect(letters)))

    def finish(self) -> None:
        """Check the file as a whole.

        Raises:
            DataError: More than half of a language's pairs are in the wrong script, or broken.
        """
        for language, counts in self.counts.items():
            if 2 * counts["wrong_script"] > counts[READ]:
                tally = Counter(self._strangers[language])
                (side, expected, seen), _ = tally.most_common(1)[0]
                raise DataError(
                    f"{self._where}: {counts['wrong_script']:,} of {counts[READ]:,} pairs are in "
                    f"the wrong script: expected {expected} for {side}, found {seen}; is "
                    "it another language's file, or are the sides swapped? If the source does "
                    "write it so, state it in its 'scripts'"
                )
            if 2 * counts["broken_characters"] > counts[READ]:
                raise DataError(
                    f"{self._where}: {counts['broken_characters']:,} of {counts[READ]:,} pairs of "
                    f"{language} hold control or replacement characters; the file was decoded with "
                    "a wrong encoding, convert the original to UTF-8"
                )
            if counts["misaligned"] or counts[REALIGNED]:
                _log.warning(
                    "%s: in %s, the sides of %d pairs are out of step (their lengths do not "
                    "correlate) and were dropped; %d more were moved into step",
                    self._where,
                    language,
                    counts["misaligned"],
                    counts[REALIGNED],
                )


def _batched(pairs: Iterator[Raw], size: int) -> Iterator[list[Raw]]:
    while block := list(itertools.islice(pairs, size)):
        yield block
