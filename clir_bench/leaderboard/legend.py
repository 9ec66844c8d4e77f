"""Writes the legend below a board, which explains its tables."""

from __future__ import annotations

from clir_bench.analysis.comparison.groups import ALPHA
from clir_bench.leaderboard.board import Board
from clir_bench.metrics.means import N_RESAMPLES

_MEASURES = {
    "nDCG@10": "whether relevant documents are among the first ten, the higher up the better",
    "AP@100": (
        "**MAP**: the mean over questions of average precision. It is over the first 100 documents "
        "because that is what is kept of every run: deep enough that what is found below hardly "
        "counts, small enough to be kept beside the scores, so that every digit here can be "
        "computed again from the run. AP@1000 of the same run is never lower, and is not comparable"
    ),
    "R@100": "the share of the relevant documents that is among the first hundred",
    "P@1": "the share of queries whose first document is relevant",
    "P@10": "the share of the first ten documents that is relevant",
}


def legend(board: Board) -> list[str]:
    """Return paragraphs of Markdown: groups, intervals, tiers, means, measures, the rest."""
    primary = {section.primary for section in board.sections}
    measures = dict.fromkeys(m for section in board.sections for m in section.measures)
    meaning = dict(_MEASURES)
    for section in board.sections:
        meaning |= section.task.legends
    listed = [f"- {name}: {meaning[name]}." for name in measures if name in meaning]
    return [
        "**Group**: systems that cannot be told apart share one, and within a group the order "
        "means nothing. The best system leads group 1; every other one is tested against it "
        "(paired randomization over questions, of the mean over all languages, corrected for the "
        f"number of tests after Holm, {ALPHA:.0%}). The first that is worse leads the next group, "
        f"and so on. Groups are by {_or(sorted(primary))} only.",
        f"**[a, b]** is a 95% bootstrap interval over questions ({N_RESAMPLES:,} resamples), the "
        "translations of one question drawn together. Two intervals may overlap and the systems "
        "still differ, for they answer the same questions; the groups are what was tested.",
        f"**Tiers**, scheme `{board.scheme}`: {' '.join(board.scheme_note.split())} A pair of "
        "languages belongs to the tier of its lower-resourced one.",
        "**Means** are over queries within a pair of languages, then over languages: one with many "
        "queries weighs no more than one with few. A judged query that finds nothing counts 0.",
        "**Gap** is the high tier's mean minus the low tier's: 0 is parity, below 0 the low tier "
        "scores higher. A small gap can also mean that all is bad: read it beside the score.",
        "**Spread** is the standard deviation of the languages' means, whatever their tiers.",
        "**Saw this data**: whether queries, documents or judgments of the task were trained on, "
        "by the system's card. **Documents/s** was measured on each submitter's own machine, which "
        "the result names: a hint at cost, no competition.",
        "**Measures**:\n\n" + "\n".join(listed),
    ]


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
