"""Defines the fields of stored results (the schema, with a version) and checks them on reading."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from clir_bench.core.display import printable
from clir_bench.core.files import path_problem
from clir_bench.results.system_record import Record, SystemRecord
from clir_bench.tasks.checks import Inspection
from clir_bench.tasks.measures import EVERYTHING
from clir_bench.types import Tier

SCHEMA_VERSION = 1
"""Increased whenever a reader of older results would misread a newer one."""


_PAIR = re.compile(r"[a-z]{2,8}-[a-z]{2,8}")


def _file(name: str) -> str:
    if problem := path_problem(name):
        raise ValueError(f"{printable(name)} {problem}; expected a path inside the result's folder")
    return name


def _part(name: str) -> str:
    problem = path_problem(name)
    if problem or "/" in name or name.startswith("."):
        raise ValueError(f"{printable(name)} {problem or 'is a path, not a name'}")
    return name


def _pair(name: str) -> str:
    if not _PAIR.fullmatch(name):
        raise ValueError(f"{printable(name)} is no language pair, such as 'en-sw'")
    return name


# Results come from strangers too, and readers turn these names into paths.
FileName = Annotated[str, AfterValidator(_file)]
"""Of a file beside a result, relative to the result's folder."""
PathPart = Annotated[str, AfterValidator(_part)]
"""A task or split, which name a folder and a file."""
PairName = Annotated[str, AfterValidator(_pair)]


class Score(Record):
    """A mean, or a difference or ratio of means, with its 95% bootstrap interval."""

    mean: float
    interval: tuple[float, float]


Scores = dict[str, Score]


class PairCounts(Record):
    """The counts behind a pair's mean.

    Attributes:
        judged_queries: Queries with at least one judgment: the means are over these.
        empty_documents: Documents without any text: never encoded, never retrieved.
        retrieved: Documents in the run file for all queries together.
        missing_judged: Judged documents that the corpus lacks: never retrieved.
        empty_relevant: Relevant documents without any text: never retrieved; 0 in results of
            versions that did not count them.
    """

    documents: int
    queries: int
    judged_queries: int
    qrels: int
    empty_documents: int = 0
    retrieved: int = 0
    missing_judged: int = 0
    empty_relevant: int = 0

    @classmethod
    def of(cls, inspection: Inspection, retrieved: int = 0) -> PairCounts:
        """Return a pair's counts for its result; its run has `retrieved` documents."""
        return cls(
            **inspection.counts._asdict(),
            judged_queries=inspection.n_judged_queries,
            empty_documents=inspection.n_empty_documents,
            retrieved=retrieved,
            missing_judged=len(inspection.missing_judged),
            empty_relevant=inspection.n_empty_relevant,
        )


class Cost(Record):
    """A pair's time and memory. Pairs that share a corpus all state the corpus' cost.

    Attributes:
        pairs_sharing_corpus: Pairs of the one pass that took these encode and index times.
        peak_memory_bytes: Highest resident memory of the process so far.
        index_size_bytes: Bytes of all document vectors.
    """

    documents_per_second: float
    queries_per_second: float
    encode_seconds: float
    index_seconds: float
    search_seconds: float
    score_seconds: float
    peak_memory_bytes: int
    index_size_bytes: int
    pairs_sharing_corpus: int


class ApproximateSearch(Record):
    """The loss of an approximate index.

    Attributes:
        index: FAISS's factory string, and after a semicolon the parameters of the search.
        index_size_bytes: Of the index as it is stored.
        sampled_queries: Queries that were searched exactly too.
        recall: By cutoff, the mean share of the first documents of exact rankings it found.
    """

    index: str
    index_size_bytes: int
    sampled_queries: int
    recall: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")], float]


class PairResult(Record):
    """One language pair.

    Attributes:
        language: The language its score belongs to (see `languages.pair_language`).
        status: "done", "failed" (see `error`) or "not run" (of the official pairs).
        official: Whether the loaded data is all of the benchmark's own data.
        unofficial: Why not, one sentence per reason.
        data_sha256: Over documents, queries and judgments.
        run_sha256: Of the run file's bytes.
        run_file: TREC run, relative to the result's folder.
        values_file: Per-query values, tab-separated, relative to the result's folder.
        values_sha256: Of the values file's bytes; None in results from before it was
            recorded, whose values are checked by their means.
        source_run_sha256: In a submission, sha256 of the run file that its run was cut from.
        approximate: How much of exact search an approximate index found; None for exact search.
        depth: Documents of the longest ranking; None if only `settings.top_k` is known.
        cut: Whether rankings end at `depth` because they were cut there; False where they hold
            every document that could be ranked.
        method: How the pair's queries and documents were matched, for systems that match terms or
            translate, and the active dimensions of sparse vectors; else empty.
        files: Further files stored beside the run, such as translations, and their sha256.
        skip_same_id: Whether the document with a query's own id was taken out of its ranking; None
            where it was not recorded yet.
    """

    tier: Tier
    language: str
    status: Literal["done", "failed", "not run"]
    error: str | None = None
    official: bool = False
    unofficial: tuple[str, ...] = ()
    counts: PairCounts | None = None
    data_sha256: str | None = None
    scores: Scores = {}  # noqa: RUF012 (pydantic copies it)
    cost: Cost | None = None
    run_sha256: str | None = None
    run_file: FileName | None = None
    values_file: FileName | None = None
    values_sha256: str | None = None
    source_run_sha256: str | None = None
    approximate: ApproximateSearch | None = None
    depth: int | None = None
    cut: bool = True

    def reach(self, top_k: int) -> int:
        """Return how deep measures may look into the rankings, `EVERYTHING` for any depth.

        Args:
            top_k: The depth where the pair states none.
        """
        depth, counts = top_k if self.depth is None else self.depth, self.counts
        if not self.cut or (counts and depth >= counts.documents - counts.empty_documents):
            return EVERYTHING
        return depth

    skip_same_id: bool | None = None
    method: str = ""
    files: dict[FileName, str] = {}  # noqa: RUF012 (pydantic copies it)


class Group(Record):
    """Mean scores of a language over its pairs, or of a tier over its languages."""

    tier: Tier
    members: tuple[str, ...]
    scores: Scores


class TierSummary(Record):
    """Means by tier under one scheme.

    Attributes:
        gap: High tier minus low tier.
        ratio: Low tier over high tier; 1 is parity.
        worst_language: By measure, the language with the lowest mean.
    """

    scheme: str
    note: str
    means: dict[str, Group]
    gap: Scores
    ratio: Scores
    worst_language: dict[str, str]


class TaskRecord(Record):
    """The task that was run.

    Attributes:
        official: Every pair that was run is official; leaderboards accept nothing else.
        unofficial: Why not.
        sample: The embedded sample was run.
        limit: `--limit`, which makes the result partial.
        complete: All official pairs of the split are done.
        parallel_queries: Equal query ids in two languages are one question; intervals draw them
            together.
        data_sha256: Over the data hashes of the pairs that are done, in the order of their names.
    """

    id: PathPart
    title: str
    version: int
    card_sha256: str
    split: PathPart
    measures: Annotated[tuple[str, ...], Field(min_length=1)]
    official: bool
    unofficial: tuple[str, ...]
    sample: bool
    limit: int | None
    complete: bool
    parallel_queries: bool = False
    data_sha256: str


class SettingsRecord(Record):
    """Settings that a score depends on.

    Attributes:
        top_k: Documents ranked per query; for runs made elsewhere, those of the shallowest.
        index: The approximate index that was searched (see `ApproximateSearch`), None for exact
            search.
    """

    top_k: int
    seed: int
    n_resamples: int
    index: str | None = None


class Environment(Record):
    """Where and how it ran."""

    clir_bench: str
    python: str
    platform: str
    packages: dict[str, str]
    hardware: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    command: str
    started: str
    seconds: float


class PoolMeans(Record):
    """Means over pooled pairs (`en-mul`) of a task that has others too."""

    languages: dict[str, Group]
    tiers: TierSummary
    overall: Scores


class Submission(Record):
    """How `clir-bench submit` cut a result; its scores are those of the cut runs.

    Attributes:
        depth: Documents kept per query, at most.
        source_top_k: `settings.top_k` of the result it was made from.
        source_measures: That result's measures; cutoffs deeper than `depth` were lowered to it.
        clir_bench: Version that cut it.
    """

    depth: int
    source_top_k: int
    source_measures: tuple[str, ...]
    clir_bench: str


class Result(Record):
    """One system on one task.

    Attributes:
        submission: None for a result as `clir-bench run` leaves it.
        environment: Of the run that made the scores, the first one where there are several.
        later_commands: Of later runs that added to the result, in their order; not in the file
            where there are none.
        languages: Means over each language's pairs.
        pool: A task that has both pairs and a pool of languages never averages over the two:
            `languages`, `tiers` and `overall` are over its pairs then, and these over its pool.
    """

    schema_version: Literal[1] = 1
    system: SystemRecord
    task: TaskRecord
    settings: SettingsRecord
    environment: Environment
    pairs: dict[PairName, PairResult]
    languages: dict[str, Group]
    tiers: TierSummary
    overall: Scores
    pool: PoolMeans | None = None
    submission: Submission | None = None
    later_commands: tuple[Environment, ...] = ()

    def reach(self, pairs: Iterable[str]) -> int:
        """Return how deep measures may look into the shallowest rankings of some pairs.

        Args:
            pairs: Names of pairs that are done.
        """
        top_k = self.settings.top_k
        if self.submission is not None:
            top_k = min(top_k, self.submission.depth)
        return min((self.pairs[pair].reach(top_k) for pair in pairs), default=EVERYTHING)


class SuitePart(Record):
    """One line of a suite: a task's overall score by the suite's measure, None if not run."""

    task: PathPart
    split: PathPart
    pairs: tuple[PairName, ...]
    measure: str
    score: Score | None
    result_file: str
    official: bool
    error: str | None = None


class SuiteResult(Record):
    """One system on one suite.

    Attributes:
        mean: Over the parts, None unless all of them have a score.
    """

    schema_version: Literal[1] = 1
    suite: str
    title: str
    card_sha256: str
    system: SystemRecord
    parts: tuple[SuitePart, ...]
    mean: Score | None
    official: bool
    unofficial: tuple[str, ...] = ()
    environment: Environment = Field(repr=False)
