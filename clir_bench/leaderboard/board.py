"""The content of a leaderboard, before it is written as Markdown, CSV or a site.

A `Board` holds one or more `Section`s. A section is one ranking: one task, some of its language
pairs, one primary measure. Each `BoardRow` is a system whose results are stored here. Each
`Reference` is a system with values published elsewhere; boards show it separately and never rank
it.

Every number is rounded to six decimals when the board is made, so that equal results give equal
bytes on any machine. Every text about a system comes from a submission and must not be trusted; the
code that writes boards escapes it. A board has no date of its own.

Paths are relative to the folder that holds `<board>.md`, with forward slashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clir_bench.metrics.means import Estimate
from clir_bench.results.system_card import Kind, Training
from clir_bench.tasks.languages import TIERS
from clir_bench.types import Tier

Estimates = Mapping[str, Estimate]
"""Measure to its mean and 95% interval."""


@dataclass(frozen=True)
class BoardLanguage:
    """A language of a section.

    Attributes:
        code: As in `languages.toml`.
        script: ISO 15924.
        tier: Under the board's scheme.
        pairs: The section's pairs whose scores count for this language ("sw-en").
    """

    code: str
    name: str
    script: str
    family: str
    tier: Tier
    pairs: tuple[str, ...]


@dataclass(frozen=True)
class PairFacts:
    """The size of a pair's collection, as stated by the task's card; None where not stated."""

    n_documents: int | None
    n_queries: int | None
    n_qrels: int | None


@dataclass(frozen=True)
class TaskFacts:
    """The facts of a task card that boards show.

    Attributes:
        version: Version of the card; results with another are refused.
        measures: The card's own, the primary one first.
        languages: Codes of all languages of the task, sorted.
        parallel_queries: Whether questions are translations of each other and drawn together.
        card_file: Path of the card in the repository ("tasks/xquad.toml").
        legends: Measure to its meaning here, where that depends on the task.
    """

    id: str
    title: str
    description: str
    homepage: str
    license: str
    citation: str
    version: int
    split: str
    measures: tuple[str, ...]
    languages: tuple[str, ...]
    parallel_queries: bool
    card_file: str
    legends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BoardSystem:
    """A system of a board, from its results and its system card. No text of it can be trusted.

    Attributes:
        name: As in its results; `folder` is this name, safe as a path.
        kind: How it searches, by its card ("dense", "late-interaction", "lexical", ...).
        description: By its card, as are `url`, `license`, `contact` and `training`.
        training: Languages, bitext and corpora of its training, and whether they include evaluation
            data ("no", "yes", "unknown").
        n_parameters: None for a system without weights.
        dim: Dimensions of a vector, 0 where there is none.
        max_tokens: None when there is no limit.
        weights_sha256: "" for a system without weights.
        card_file: The system card's path.
    """

    name: str
    folder: str
    kind: Kind
    description: str
    url: str
    license: str
    contact: str
    training: Training
    revision: str
    package: str
    n_parameters: int | None
    dim: int
    max_tokens: int | None
    similarity: str
    dtype: str
    query_prompt: str
    document_prompt: str
    weights_sha256: str
    card_file: str


@dataclass(frozen=True)
class BoardDisparity:
    """How evenly a system serves the section's languages, by the primary measure.

    Attributes:
        gap: Mean of the high tier minus that of the low one; None where a tier has no language.
        ratio: Low tier over high tier, 1 is parity; None likewise, or when the high one is 0.
        worst_language: Code of the language with the lowest mean.
        worst: Its mean.
        spread: Standard deviation of the languages' means (over n); None for a single language.
    """

    gap: Estimate | None
    ratio: Estimate | None
    worst_language: str
    worst: Estimate
    spread: Estimate | None


@dataclass(frozen=True)
class Speed:
    """Speed of the run, where the result states it; `hardware` as recorded ("2 cores, ...")."""

    documents_per_second: float | None
    queries_per_second: float | None
    index_size_bytes: int | None
    hardware: str


@dataclass(frozen=True)
class BoardRow:
    """A system in a section.

    Attributes:
        system: Key into `Board.systems`: the system's folder name.
        group: Rank group, 1 is the best; systems that cannot be told apart share one. None when the
            system lacks pairs of the section: it is not ranked.
        overall: Mean over the section's languages, by measure; empty when `group` is None.
        tiers: Tier to its means; only tiers with every pair.
        languages: Language code to its means; only languages with every pair.
        pairs: Pair to its means.
        missing: Pairs of the section that the system has no score for, sorted.
        disparity: None when `group` is None.
        date: Day the run began, "2026-11-20", UTC.
        result_file: The result, relative to the boards' folder.
        run_files: Pair to its TREC run, relative to the boards' folder.
    """

    system: str
    group: int | None
    overall: Estimates
    tiers: Mapping[Tier, Estimates]
    languages: Mapping[str, Estimates]
    pairs: Mapping[str, Estimates]
    missing: tuple[str, ...]
    disparity: BoardDisparity | None
    speed: Speed
    date: str
    result_file: str
    run_files: Mapping[str, str]


@dataclass(frozen=True)
class Reference:
    """Values published elsewhere for a section's measure; shown apart, never ranked.

    Attributes:
        system: As the source calls it.
        version: Revision of the model and what it was measured with; "" where not stated.
        measure: The published measure; the section's primary one unless `note` says otherwise.
        overall: Mean over the section's languages: the published one, else the mean of the values
            below (see `overall_published`); None where languages are missing.
        tiers: Means of the values below over a tier's languages, where all have a value.
        languages: Language code to the published value.
        source: Who published it, and where.
        url: The source's address.
        note: How the value differs from what is measured here; "" when no difference is known.
    """

    system: str
    version: str
    measure: str
    overall: float | None
    overall_published: bool
    tiers: Mapping[Tier, float]
    languages: Mapping[str, float]
    source: str
    url: str
    note: str


@dataclass(frozen=True)
class LeftOut:
    """A stored result that the section leaves out, and why."""

    result_file: str
    reason: str


@dataclass(frozen=True)
class Section:
    """One ranking of a board.

    Attributes:
        id: Unique within its board, safe as a file name and an anchor.
        about: One paragraph for readers: what is searched, and with which queries.
        measures: ir-measures names, the primary one first; rows have all of them.
        languages: By tier in `TIERS`, then by code.
        pairs: Pair to the size of its collection.
        rows: Ranked systems by primary mean, best first (ties by name), then those with
            `group` None by name.
        absent: Folder names of systems that have rows in other sections only.
    """

    id: str
    title: str
    about: str
    task: TaskFacts
    measures: tuple[str, ...]
    languages: tuple[BoardLanguage, ...]
    pairs: Mapping[str, PairFacts]
    rows: tuple[BoardRow, ...]
    references: tuple[Reference, ...]
    left_out: tuple[LeftOut, ...]
    absent: tuple[str, ...]

    @property
    def primary(self) -> str:
        """The measure systems are ranked by."""
        return self.measures[0]

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers of the section's languages, in `TIERS`."""
        present = {language.tier for language in self.languages}
        return tuple(tier for tier in TIERS if tier in present)

    def codes_of(self, tier: Tier) -> tuple[str, ...]:
        """Return the codes of a tier's languages, in order."""
        return tuple(language.code for language in self.languages if language.tier == tier)


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Attributes:
        id: The name of its files: `<id>.toml`, `<id>.md`, `<id>.csv`.
        scheme: Name of the tier scheme.
        scheme_note: The basis of its tiers.
        systems: Folder name to system, of every row of every section, sorted by folder name.
    """

    id: str
    title: str
    about: str
    scheme: str
    scheme_note: str
    sections: tuple[Section, ...]
    systems: Mapping[str, BoardSystem]
