"""Gives systems ranks; systems whose difference is not significant share a rank (a rank group).

Systems are sorted by their mean over all languages. The best one leads the first group. Each system
below it is tested against it (`significance.flip_test`, questions paired), with Holm's correction
over these tests. In the order of their means, systems join the leader's group until one is worse
than the leader with a corrected p-value of at most `alpha`. This system leads the next group, all
systems below it are tested against it, and so on.

The members of a group do not differ significantly from its leader, but two members may differ from
each other, and a leader may differ from only some members of the group above. No division into
groups avoids this, because "not significantly different" is not transitive. Groups follow the order
of the means, so no system has a better rank than one with a higher mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clir_bench.analysis.comparison.targets import overall_weights
from clir_bench.errors import DataError, UsageError
from clir_bench.metrics.means import QuestionGroup, question_groups
from clir_bench.metrics.scoring import QueryScores
from clir_bench.metrics.significance import N_FLIPS, Block, flip_test, holm
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair

ALPHA = 0.05

Scores: TypeAlias = Mapping[LanguagePair, QueryScores]
Columns: TypeAlias = "Mapping[LanguagePair, NDArray[np.float64]]"


def rank_groups(
    systems: Mapping[str, Scores],
    measure: str,
    *,
    scheme: TierScheme,
    parallel_queries: bool,
    n_resamples: int = N_FLIPS,
    seed: int = 0,
    alpha: float = ALPHA,
) -> dict[str, int]:
    """Return every system's rank group, the best system first and in group 1.

    The order of `systems` does not matter.

    Args:
        systems: Per-query values by pair (`store.read_scores`) of at least one system; the same
            pairs and queries for all. Pass pools of languages in a call of their own.
        measure: The measure to rank by, higher is better.
        scheme: What decides a pair's language.
        parallel_queries: Whether equal ids in two query languages are the same question.
        n_resamples: Sign vectors drawn per test.
        seed: Seed of the test.
        alpha: Corrected p-values up to this tell systems apart.

    Raises:
        DataError: Two systems have different pairs or queries, or one lacks the measure.
        UsageError: `systems` is empty.
    """
    if not systems:
        raise UsageError("no system to rank")
    values = {name: columns_of(scores, measure) for name, scores in sorted(systems.items())}
    first, reference = next(iter(sorted(systems.items())))
    for name, scores in systems.items():
        check_same_queries(first, reference, name, scores)
    pairs = list(reference)
    weights = dict(zip(pairs, overall_weights(pairs, scheme).tolist(), strict=True))
    means = {
        name: sum(weights[pair] * float(columns[pair].mean()) for pair in pairs)
        for name, columns in values.items()
    }
    order = sorted(values, key=lambda name: (-means[name], name))
    questions = question_groups(reference, parallel_queries)
    ranks: dict[str, int] = {}
    rank = 0
    while order:
        leader, others = order[0], order[1:]
        rank += 1
        ranks[leader] = rank
        if not others:
            break
        blocks = [
            Block(
                np.arange(len(others)),
                _contributions(group, values[leader], [values[name] for name in others], weights),
                group.generator(seed),
            )
            for group in questions
        ]
        test = flip_test(blocks, np.eye(len(others)), n_flips=n_resamples)
        told_apart = [p <= alpha for p in holm(test.p_values.tolist())]
        n_joining = told_apart.index(True) if True in told_apart else len(others)
        ranks.update(dict.fromkeys(others[:n_joining], rank))
        order = others[n_joining:]
    return ranks


def _contributions(
    group: QuestionGroup,
    leader: Columns,
    others: Sequence[Columns],
    weights: Mapping[LanguagePair, float],
) -> NDArray[np.float64]:
    """Return what each question adds to the leader's lead, `(n_questions, n_others)`."""
    found = np.zeros((len(group.keys), len(others)))
    for pair, rows in zip(group.pairs, group.rows.T, strict=True):
        weight = weights[pair] / len(leader[pair])
        for place, other in enumerate(others):
            found[:, place] += weight * (leader[pair][rows] - other[pair][rows])
    return found


def columns_of(scores: Scores, measure: str) -> dict[LanguagePair, NDArray[np.float64]]:
    """Return one measure's values by pair, `(n_queries,)` each.

    Raises:
        DataError: A pair lacks the measure.
    """
    return {pair: found.only([measure]).values[:, 0] for pair, found in scores.items()}


def check_same_queries(name: str, scores: Scores, other_name: str, other: Scores) -> None:
    """Make sure that two systems answered the same queries of the same pairs.

    Raises:
        DataError: They did not; says where.
    """
    if set(scores) != set(other):
        odd = ", ".join(sorted(str(pair) for pair in set(scores) ^ set(other))[:3])
        raise DataError(f"{name} and {other_name} have values of different pairs: {odd}")
    for pair, found in scores.items():
        if found.query_ids != other[pair].query_ids:
            odd_ids = sorted(set(found.query_ids) ^ set(other[pair].query_ids))[:3]
            raise DataError(
                f"{pair}: {name} and {other_name} have values of different queries"
                f"{': ' + ', '.join(map(repr, odd_ids)) if odd_ids else ', or in another order'}; "
                "run both on the same data"
            )
