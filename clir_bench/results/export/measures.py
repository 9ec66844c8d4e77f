"""Translates the names of measures into those of other tools."""

from __future__ import annotations

_FAMILIES = {
    "nDCG": "ndcg_at_",
    "AP": "map_at_",
    "R": "recall_at_",
    "P": "precision_at_",
    "RR": "mrr_at_",
}


def mteb_name(measure: str) -> str:
    """Return mteb's name of a measure, or its own where mteb has none.

    >>> [mteb_name(measure) for measure in ("nDCG@10", "AP@100", "Judged@10")]
    ['ndcg_at_10', 'map_at_100', 'Judged@10']
    """
    family, _, cutoff = measure.partition("@")
    return f"{_FAMILIES[family]}{cutoff}" if family in _FAMILIES and cutoff.isdecimal() else measure
