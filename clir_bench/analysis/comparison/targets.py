"""Expresses every mean of a task as a weighted sum of the means of its pairs.

A task's means are means of means (see `metrics.means`): over pairs within a language, then over
languages within a tier. So each of them is a weighted sum of the pairs' means, and so is the gap
between tiers. So one resampling of the pairs' means gives all these means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clir_bench.tasks.languages import TIERS, TierScheme, pair_language, pair_tier
from clir_bench.types import LanguagePair, Tier

Level: TypeAlias = Literal["pair", "language", "tier", "overall", "gap"]
LEVELS: tuple[Level, ...] = ("pair", "language", "tier", "overall", "gap")


@dataclass(frozen=True)
class Target:
    """One mean of a task.

    Attributes:
        level: What kind of mean it is; "gap" is high tier minus low tier.
        name: The pair, language or tier; "all languages" and "high - low" for the last two.
        tier: The tier of a pair or language, and a tier itself.
        members: The pairs of a language, the languages of anything above.
    """

    level: Level
    name: str
    tier: Tier | None
    members: tuple[str, ...]


def targets_of(
    pairs: Sequence[LanguagePair], scheme: TierScheme
) -> tuple[list[Target], NDArray[np.float64]]:
    """Return every mean over `pairs`, and its weights.

    Args:
        pairs: The pairs, at least one.
        scheme: What decides a pair's tier and language.

    Returns:
        The targets: pairs, languages, tiers, all languages, and the gap where there are both a low
        and a high tier; and `(n_pairs, n_targets)` weights. Those of a gap sum to 0, the others' to
        1.
    """
    targets: list[Target] = []
    columns: list[NDArray[np.float64]] = []
    identity = np.eye(len(pairs))
    of_language: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        targets.append(Target("pair", str(pair), pair_tier(pair, scheme), (str(pair),)))
        columns.append(identity[row])
        of_language.setdefault(pair_language(pair, scheme), []).append(row)
    of_tier: dict[Tier, list[str]] = {}
    language_weights = {code: identity[rows].mean(axis=0) for code, rows in of_language.items()}
    for code, rows in of_language.items():
        tier = pair_tier(pairs[rows[0]], scheme)
        of_tier.setdefault(tier, []).append(code)
        members = tuple(str(pairs[row]) for row in rows)
        targets.append(Target("language", code, tier, members))
        columns.append(language_weights[code])
    tier_weights = {
        tier: np.mean([language_weights[code] for code in codes], axis=0)
        for tier, codes in of_tier.items()
    }
    for tier in (tier for tier in TIERS if tier in of_tier):
        targets.append(Target("tier", tier, tier, tuple(of_tier[tier])))
        columns.append(tier_weights[tier])
    targets.append(Target("overall", "all languages", None, tuple(of_language)))
    columns.append(np.mean(list(language_weights.values()), axis=0))
    if "low" in of_tier and "high" in of_tier:
        members = (*of_tier["low"], *of_tier["high"])
        targets.append(Target("gap", "high - low", None, members))
        columns.append(tier_weights["high"] - tier_weights["low"])
    return targets, np.array(columns).T


def overall_weights(pairs: Sequence[LanguagePair], scheme: TierScheme) -> NDArray[np.float64]:
    """Return the weights of the mean over all languages, `(n_pairs,)`."""
    targets, weights = targets_of(pairs, scheme)
    column = [target.level for target in targets].index("overall")
    overall: NDArray[np.float64] = weights[:, column]
    return overall
