"""The settings of a run."""

from __future__ import annotations

from dataclasses import dataclass

from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.store import AUTO, Keeping
from clir_bench.tasks.measures import WHOLE


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        measures: Measures beside the card's own, by ir-measures name.
        top_k: Documents to rank per query. The card's measures that look deeper are renamed to this
            depth; those of `measures` are refused.
        tiers: Name of a tier scheme, or a path to one.
        limit: Cut every pair to this many queries and documents; the result is partial.
        seed: Seed of the bootstrap.
        n_resamples: Bootstrap replicates.
        overwrite: Run finished pairs again, and replace a result with other settings.
        command: What the user typed, for the record.
        embeddings: Which documents' vectors to keep on disk, and where.
        stored_only: Encode no documents: all vectors must be stored.
        index: An approximate index to search, None for exact search.
    """

    measures: tuple[str, ...] = ()
    top_k: int = WHOLE
    tiers: str = "joshi"
    limit: int | None = None
    seed: int = 0
    n_resamples: int = 1000
    overwrite: bool = False
    command: str = ""
    embeddings: Keeping = AUTO
    stored_only: bool = False
    index: IndexSpec | None = None


DEFAULTS = RunSettings()
