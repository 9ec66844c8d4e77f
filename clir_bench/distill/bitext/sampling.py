"""Orders the training pairs: decides the share of each language, and the position of each pair.

The order depends only on the seed, so a stopped training continues from the number of its step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clir_bench.errors import UsageError
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import Tier

BLOCK = 4096
"""Positions within which every language has its share, to within one pair."""

_OFFSET, _ORDER, _WALK = range(3)  # the purpose of a random stream, beside the seed


@dataclass(frozen=True)
class Mixing:
    """How languages are mixed.

    Attributes:
        temperature: A language with n pairs is drawn in proportion to n^(1/temperature): 1 as the
            data is, larger for more equal shares, infinity for equal ones (Conneau and Lample
            2019, arXiv 1901.07291, use 2 for text; Arivazhagan et al. 2019, arXiv 1907.05019, 5
            for translation).
        shares: Share of all draws per tier, adding up to 1; the temperature then applies within
            each tier, and without shares over all languages.
    """

    temperature: float = 1.0
    shares: Mapping[Tier, float] | None = None


def language_weights(
    counts: Mapping[str, int], mixing: Mixing, scheme: TierScheme | None = None
) -> dict[str, float]:
    """Return each language's share of the draws, adding up to 1.

    >>> weights = language_weights({"sw": 100, "de": 10_000}, Mixing(temperature=2.0))
    >>> {code: round(weight, 3) for code, weight in weights.items()}
    {'sw': 0.091, 'de': 0.909}

    Args:
        counts: Pairs per language; languages without pairs are not in the result.
        mixing: Temperature and shares.
        scheme: The tiers of the shares; needed only with shares.

    Raises:
        UsageError: The temperature is not above 0; shares do not add up to 1, name a tier no
            language is in, or leave a language out.
    """
    counts = {code: n for code, n in counts.items() if n > 0}
    if not counts:
        raise UsageError("no pair of the bitext is left to train on")
    if not mixing.temperature > 0:
        raise UsageError(f"temperature must be above 0, found {mixing.temperature}")
    if not mixing.shares:
        return _tempered(counts, mixing.temperature, 1.0)
    if scheme is None:
        raise UsageError("shares of tiers need a tier scheme")
    tiers: dict[Tier, dict[str, int]] = {}
    for code, n in counts.items():
        tiers.setdefault(scheme.tier(code), {})[code] = n
    problems = _share_problems(mixing.shares, tiers, scheme.name)
    if problems:
        raise UsageError("shares: " + "; ".join(problems))
    weights: dict[str, float] = {}
    for tier, share in mixing.shares.items():
        if share > 0:
            weights |= _tempered(tiers[tier], mixing.temperature, share)
    return {code: weights[code] for code in counts if code in weights}


def _share_problems(
    shares: Mapping[Tier, float], tiers: Mapping[Tier, Mapping[str, int]], scheme: str
) -> list[str]:
    problems = []
    if abs(sum(shares.values()) - 1) > 1e-6:
        problems.append(f"they add up to {sum(shares.values()):g}, expected 1")
    for tier, share in shares.items():
        if not 0 <= share <= 1:
            problems.append(f"{tier} = {share:g} is not a share")
        if share > 0 and tier not in tiers:
            problems.append(f"no language of the bitext is in tier {tier!r} of scheme {scheme!r}")
    for tier, languages in tiers.items():
        if tier not in shares:
            problems.append(
                f"no share for tier {tier!r} of scheme {scheme!r}, the tier of "
                f"{', '.join(sorted(languages))}; 0 leaves them out"
            )
    return problems


def _tempered(counts: Mapping[str, int], temperature: float, share: float) -> dict[str, float]:
    logs = np.log(np.array(list(counts.values()), dtype=np.float64)) / temperature
    powers = np.exp(logs - logs.max())
    return dict(zip(counts, (share * powers / powers.sum()).tolist(), strict=True))


class PairStream:
    """An endless stream of pair indices, by languages' weights, that can start anywhere.

    Positions are drawn in blocks of 4096. In each block, a language has its share to within one
    pair (systematic sampling with a random offset), in random order. A language's pairs come in
    random order, each once before any comes again, and then in another order.

    Args:
        pairs: Language to the indices of its pairs, int64.
        weights: Language to its share of the draws, adding up to 1; of languages in `pairs`.
        seed: Streams with equal seeds are equal.
        position: How many indices were taken before.

    Attributes:
        position: How many indices were taken since the beginning; with the seed, this is the whole
            state.
    """

    def __init__(
        self,
        pairs: Mapping[str, NDArray[np.int64]],
        weights: Mapping[str, float],
        *,
        seed: int,
        position: int = 0,
    ) -> None:
        self._codes = [code for code, weight in weights.items() if weight > 0]
        self._pairs = [np.asarray(pairs[code], dtype=np.int64) for code in self._codes]
        edges = np.cumsum([weights[code] for code in self._codes])
        self._edges = edges / edges[-1]
        self._seed = seed
        self.position = position
        self._block = -1  # the block held, its indices, and draws before it by language
        self._indices: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._drawn = np.zeros(len(self._codes), dtype=np.int64)
        self._walks: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def take(self, n: int) -> NDArray[np.int64]:
        """Return the next `n` indices, shape `(n,)`, and move on."""
        parts = []
        while n > 0:
            block, start = divmod(self.position, BLOCK)
            part = self._block_indices(block)[start : start + n]
            parts.append(part)
            n -= len(part)
            self.position += len(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _block_indices(self, block: int) -> NDArray[np.int64]:
        if block == self._block:
            return self._indices
        if block == self._block + 1:
            self._drawn = self._drawn + (self._counts(self._block, block) if block else 0)
        else:
            self._drawn = self._counts(0, block)
        counts = self._counts(block, block + 1)
        drawn = [
            self._walk(language, int(before), int(count))
            for language, (before, count) in enumerate(zip(self._drawn, counts, strict=True))
        ]
        rng = np.random.default_rng([self._seed, _ORDER, block])
        self._indices = np.concatenate(drawn)[rng.permutation(BLOCK)]
        self._block = block
        return self._indices

    def _counts(self, first: int, stop: int) -> NDArray[np.int64]:
        """Return draws by language in the blocks from `first` to before `stop`."""
        total = np.zeros(len(self._codes), dtype=np.int64)
        for start in range(max(first, 0), stop, BLOCK):
            blocks = range(start, min(start + BLOCK, stop))
            offsets = np.array([self._offset(block) for block in blocks])
            # points (j + offset) / BLOCK, of which those below an edge are counted
            below = np.ceil(BLOCK * self._edges[None, :] - offsets[:, None]).clip(0, BLOCK)
            below[:, -1] = BLOCK
            total += np.diff(below, axis=1, prepend=0).sum(axis=0).astype(np.int64)
        return total

    def _offset(self, block: int) -> float:
        return float(np.random.default_rng([self._seed, _OFFSET, block]).random())

    def _walk(self, language: int, before: int, count: int) -> NDArray[np.int64]:
        pairs = self._pairs[language]
        parts = []
        while count > 0:
            lap, start = divmod(before, len(pairs))
            part = pairs[self._lap(language, lap)[start : start + count]]
            parts.append(part)
            before, count = before + len(part), count - len(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _lap(self, language: int, lap: int) -> NDArray[np.int64]:
        held = self._walks.get(language)
        if held is None or held[0] != lap:
            # by name, so that adding a language does not reshuffle the others
            name = int.from_bytes(self._codes[language].encode(), "little")
            rng = np.random.default_rng([self._seed, _WALK, name, lap])
            held = (lap, rng.permutation(len(self._pairs[language])))
            self._walks[language] = held
        return held[1]
