"""From what a person typed to tasks, pairs and sources."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.evaluation.evaluate import check_pairs
from clir_bench.tasks.cards import TaskCard, expand_rules
from clir_bench.tasks.languages import PIVOT, TierScheme, pair_readings, pair_tier, resolve
from clir_bench.types import POOL, LanguagePair


def split_list(text: str | None) -> list[str]:
    """Split "sw, te" at commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def split_measures(text: str | None) -> list[str]:
    """Split "R@100, P(judged_only=True,rel=2)@5" at commas outside parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text or "") if part.strip()]


def select_pairs(
    card: TaskCard,
    *,
    pairs: str | None,
    languages: str | None,
    tiers: Sequence[str],
    scheme: TierScheme,
) -> list[LanguagePair]:
    """Return the pairs of a task that a person asked for.

    Args:
        card: The task, as its split is read.
        pairs: "official", "all", or pairs such as "en-sw,*-mul", comma-separated.
        languages: Keep the pairs of these languages: one side is among them, the other too or it
            is English or a pool.
        tiers: Keep the pairs of these tiers.
        scheme: What decides a pair's tier.

    Raises:
        UnknownNameError: A language or pair that the task does not have.
        UsageError: Nothing is left.
    """
    chosen = _named_pairs(card, pairs)
    if languages:
        wanted = {_language_of(card, name) for name in split_list(languages)}
        beside = wanted | {PIVOT, POOL}
        chosen = [
            pair
            for pair in chosen
            if wanted & set(pair) and pair.query in beside and pair.document in beside
        ]
    if tiers:
        chosen = [pair for pair in chosen if pair_tier(pair, scheme) in tiers]
    if not chosen:
        raise UsageError(
            f"task {card.id!r} has no pair of that selection; `clir-bench tasks {card.id}` lists "
            "its pairs, and `--pairs all` selects among more than the official ones"
        )
    return chosen


def _named_pairs(card: TaskCard, pairs: str | None) -> list[LanguagePair]:
    if pairs in (None, "official"):
        return card.official_pairs()
    if pairs == "all":
        return card.available_pairs()
    available = {str(pair) for pair in card.available_pairs()}
    rules = [_rule(name, available) for name in split_list(pairs)]
    named = [rule for rule in rules if "*" not in rule]
    check_pairs(card, [LanguagePair.parse(rule) for rule in named])
    chosen = expand_rules(card, rules)
    return [pair for pair in chosen if str(pair) in available]


def _rule(name: str, available: Collection[str]) -> str:
    """Return the one rule that a pair's name means, among the pairs that a task has."""
    readings = [str(pair) for pair in pair_readings(name)]
    known = [rule for rule in readings if rule in available] or readings
    if len(known) > 1:
        raise UsageError(f"pair {name!r} may mean {' or '.join(known)}; write one of these")
    return known[0]


def _language_of(card: TaskCard, name: str) -> str:
    code = resolve(name).code
    if code not in card.languages:
        raise UnknownNameError(
            "language", name, card.languages,
            f"Task {card.id!r} has: {', '.join(sorted(card.languages))}.",
        )  # fmt: skip
    return code


def one_folder(data_dir: Path | None, n_tasks: int) -> None:
    """Refuse one data folder for several tasks.

    Raises:
        UsageError: A task's own folder was named for more than one task.
    """
    if data_dir is not None and n_tasks > 1:
        raise UsageError(
            "--data-dir names the folder of one task; for several, put their folders side by side "
            "and name the parent in the environment variable CLIR_BENCH_DATA"
        )
