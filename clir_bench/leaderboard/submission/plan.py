"""Decides which parts of a task's results are submitted: pairs, depth and measures.

Runs of 1000 documents per query are too large for a repository. A submission keeps the pairs that
boards show, and the number of documents per query (the depth) that the boards' measures need. It
keeps only measures that these documents give exactly: their cutoff is at most the depth. A deeper
cutoff is lowered (AP@1000 becomes AP@100), and a missing one is added (AP becomes AP@100).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clir_bench.tasks.cards import TaskCard, expand_rules
from clir_bench.tasks.measures import JUDGED, parse_measures
from clir_bench.types import LanguagePair

KNOWN_MEASURES = frozenset({"nDCG", "AP", "RR", "R", "P", "Success", "Judged"})
"""The measures of submissions; each has a cutoff and no other parameter."""


@dataclass(frozen=True)
class Plan:
    """What a submission keeps.

    Attributes:
        pairs: Language pairs, in the card's order.
        depth: Documents per query.
        measures: ir-measures names, none deeper than `depth`.
    """

    pairs: tuple[LanguagePair, ...]
    depth: int
    measures: tuple[str, ...]

    def ordered(self, card: TaskCard, pairs: Iterable[LanguagePair]) -> tuple[LanguagePair, ...]:
        """Return a task's pairs in the fixed order in which they are summed up.

        The last digit of a mean depends on it.
        """
        wanted = set(pairs)
        order = dict.fromkeys((*self.pairs, *card.available_pairs()))
        return tuple(pair for pair in order if pair in wanted)


def plan_of(card: TaskCard, measures: Iterable[str] = ()) -> Plan:
    """Return a task's plan; `measures` are added to the usual ones."""
    depth = card.submission.depth
    rules = card.submission.pairs or card.pairs.official
    asked = (*card.measures, *card.submission.measures, *measures, JUDGED)
    cut = (_cut(name, depth) for name in parse_measures(asked))
    return Plan(
        pairs=tuple(expand_rules(card, rules)),
        depth=depth,
        measures=tuple(dict.fromkeys(name for name in cut if name is not None)),
    )


def _cut(name: str, depth: int) -> str | None:
    """Return the measure cut to `depth` documents, None where that is impossible.

    >>> [_cut(name, 100) for name in ("AP@1000", "nDCG@10", "RR", "Bpref")]
    ['AP@100', 'nDCG@10', 'RR@100', None]
    """
    family, _, cutoff = name.partition("@")
    if family not in KNOWN_MEASURES or (cutoff and not cutoff.isdecimal()):
        return None
    return f"{family}@{min(int(cutoff or depth), depth)}"
