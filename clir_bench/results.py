"""What a run leaves: the result's schema, and its files on disk.

`<output>/<system>/<task>/<split>.json` is the result. Beside it, in `<split>/`, every pair has its
TREC run (`en-sw.run.gz`) and its per-query values (`en-sw.values.tsv.gz`).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clir_bench.adapters.files import read_lines
from clir_bench.errors import DataError, OutputError, ResultError
from clir_bench.runs import format_run
from clir_bench.scoring import QueryScores
from clir_bench.types import EncoderInfo, LanguagePair, Run, Tier

SCHEMA_VERSION = 1
"""Raised whenever a reader of older results would misread a newer one."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Score(_Model):
    """A mean, or a difference or ratio of means, with its 95% bootstrap interval."""

    mean: float
    interval: tuple[float, float]


Scores = dict[str, Score]


class PairCounts(_Model):
    """What a pair's mean is over.

    Attributes:
        judged_queries: Queries with at least one judgment: the means are over these.
        empty_documents: Documents without any text: never encoded, never retrieved.
        retrieved: Documents in the run file, over all queries.
    """

    documents: int
    queries: int
    judged_queries: int
    qrels: int
    empty_documents: int = 0
    retrieved: int = 0


class Cost(_Model):
    """What a pair took. The corpus' share is the same for all pairs that share it.

    Attributes:
        pairs_sharing_corpus: Pairs answered by the one pass whose encode and index times these are.
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


class PairResult(_Model):
    """One language pair.

    Attributes:
        language: The language its score belongs to (see `languages.pair_language`).
        status: "done", "failed" (see `error`) or "not run" (of the official pairs).
        official: Whether what was loaded is the benchmark's own data, whole.
        unofficial: Why not, a sentence each.
        data_sha256: Over documents, queries and judgments.
        run_sha256: Of the run file's bytes.
        run_file: TREC run, relative to the result's folder.
        values_file: Per-query values, tab-separated, relative to the result's folder.
    """

    tier: Tier
    language: str
    status: Literal["done", "failed", "not run"]
    error: str | None = None
    official: bool = False
    unofficial: tuple[str, ...] = ()
    counts: PairCounts | None = None
    data_sha256: str | None = None
    scores: Scores = {}
    cost: Cost | None = None
    run_sha256: str | None = None
    run_file: str | None = None
    values_file: str | None = None


class Group(_Model):
    """Mean scores of a language over its pairs, or of a tier over its languages."""

    tier: Tier
    members: tuple[str, ...]
    scores: Scores


class TierSummary(_Model):
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


class SystemRecord(_Model):
    """The encoder, as `types.EncoderInfo` describes it, and how it was asked for."""

    name: str
    spec: str
    package: str
    revision: str
    weights_sha256: str | None
    query_prompt: str
    document_prompt: str
    max_tokens: int | None
    dtype: str
    dim: int
    n_parameters: int | None
    similarity: str
    license: str | None
    training_languages: tuple[str, ...]
    description: str

    @classmethod
    def of(cls, info: EncoderInfo, *, dim: int, spec: str, package: str) -> SystemRecord:
        """Return the record of an encoder asked for as `spec`, provided by `package`."""
        fields = {name: getattr(info, name) for name in EncoderInfo.__dataclass_fields__}
        return cls(spec=spec, package=package, dim=dim, **fields)

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what must be equal for two results to come from one system."""
        return (
            self.name, self.revision, self.weights_sha256, self.query_prompt,
            self.document_prompt, self.max_tokens, self.dtype, self.dim, self.similarity,
        )  # fmt: skip


class TaskRecord(_Model):
    """The task as it was run.

    Attributes:
        official: Every pair run is official; leaderboards take nothing else.
        unofficial: Why not.
        sample: The embedded sample was run.
        limit: `--limit`, which makes the result partial.
        complete: All official pairs of the split are done.
        parallel_queries: Equal query ids in two languages are one question; intervals draw them
            together.
        data_sha256: Over the data hashes of the pairs that are done, in the order of their names.
    """

    id: str
    title: str
    version: int
    card_sha256: str
    split: str
    measures: tuple[str, ...]
    official: bool
    unofficial: tuple[str, ...]
    sample: bool
    limit: int | None
    complete: bool
    parallel_queries: bool = False
    data_sha256: str


class SettingsRecord(_Model):
    """Settings that a score depends on."""

    top_k: int
    seed: int
    n_resamples: int


class Environment(_Model):
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


class PoolMeans(_Model):
    """Means over pooled pairs (`en-mul`) of a task that has others too."""

    languages: dict[str, Group]
    tiers: TierSummary
    overall: Scores


class Result(_Model):
    """One system on one task.

    Attributes:
        languages: Means over each language's pairs.
        pool: A task that has both pairs and a pool of languages never averages over the two:
            `languages`, `tiers` and `overall` are over its pairs then, and these over its pool.
    """

    schema_version: Literal[1] = 1
    system: SystemRecord
    task: TaskRecord
    settings: SettingsRecord
    environment: Environment
    pairs: dict[str, PairResult]
    languages: dict[str, Group]
    tiers: TierSummary
    overall: Scores
    pool: PoolMeans | None = None


class SuitePart(_Model):
    """One line of a suite: a task's overall score by the suite's measure, None if not run."""

    task: str
    split: str
    pairs: tuple[str, ...]
    measure: str
    score: Score | None
    result_file: str
    official: bool
    error: str | None = None


class SuiteResult(_Model):
    """One system on one suite; `mean` is over the parts, None unless all of them have a score."""

    schema_version: Literal[1] = 1
    suite: str
    title: str
    card_sha256: str
    system: SystemRecord
    parts: tuple[SuitePart, ...]
    mean: float | None
    official: bool
    unofficial: tuple[str, ...] = ()
    environment: Environment = Field(repr=False)


def system_folder(name: str) -> str:
    """Return a system's name as a folder name, safe on every file system.

    >>> system_folder("my/model: v2")
    'my_model_v2'
    """
    folder = re.sub(r"[^\w.@+-]+", "_", name, flags=re.ASCII).strip("._")[:120] or "system"
    if name.isascii():
        return folder
    # Two names in another script must not share a folder.
    return f"{folder}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def result_path(output: Path, system: str, task: str, split: str) -> Path:
    """Return where the result of a system on a task's split is stored."""
    return output / system_folder(system) / task / f"{split}.json"


def read_result(path: Path) -> Result | SuiteResult:
    """Read a stored result.

    Raises:
        ResultError: It is missing, broken, or of another schema version.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultError(f"{path}: no such result") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ResultError(f"{path}: not a result: {error}") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise ResultError(
            f"{path}: schema version {version!r}, this clir-bench reads {SCHEMA_VERSION}; "
            "read it with the version that wrote it, or run again"
        )
    try:
        return (SuiteResult if "suite" in raw else Result).model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: {place}: {first['msg']}") from None


def write_result(path: Path, result: Result | SuiteResult) -> None:
    """Store a result as sorted JSON; the old one stays until the new one is whole.

    Raises:
        OutputError: The folder cannot be written or the disk is full.
    """
    text = json.dumps(
        result.model_dump(mode="json"),
        sort_keys=True,
        indent=1,
        ensure_ascii=False,
        allow_nan=False,
    )
    # A file name that is not UTF-8 holds half a surrogate pair, which JSON can escape.
    write_file(path, (text + "\n").encode(errors="backslashreplace"))


def write_run(path: Path, pair: LanguagePair, run: Run, tag: str) -> tuple[str, str]:
    """Store a pair's run; return its name relative to the result's folder, and its sha256."""
    name, data = f"{path.stem}/{pair}.run.gz", format_run(run, tag)
    write_file(path.parent / name, data)
    return name, hashlib.sha256(data).hexdigest()


def write_values(path: Path, pair: LanguagePair, scores: QueryScores) -> str:
    """Store a pair's per-query values; return the file's name relative to the result's folder."""
    name = f"{path.stem}/{pair}.values.tsv.gz"
    write_file(path.parent / name, _format_values(scores))
    return name


def read_values(path: Path) -> QueryScores:
    """Read per-query values back, exactly as they were.

    Raises:
        DataError: The file is not what `write_values` writes.
    """
    header: tuple[str, ...] | None = None
    query_ids: list[str] = []
    rows: list[list[float]] = []
    for number, line in read_lines(path):
        columns = line.split("\t")
        if header is None:
            if columns[0] != "query_id":
                raise DataError(f"{path}:1: expected a header that begins with query_id")
            header = tuple(columns[1:])
            continue
        try:
            values = [float(column) for column in columns[1:]]
        except ValueError:
            raise DataError(f"{path}:{number}: values must be numbers") from None
        if not all(map(math.isfinite, values)):
            raise DataError(f"{path}:{number}: values must be finite numbers")
        if len(values) != len(header):
            raise DataError(f"{path}:{number}: expected {len(header)} values, found {len(values)}")
        query_ids.append(columns[0])
        rows.append(values)
    if header is None or not rows:
        raise DataError(f"{path}: no values")
    return QueryScores(tuple(query_ids), header, np.array(rows))


def read_scores(
    path: Path, result: Result, pairs: Iterable[LanguagePair] | None = None
) -> dict[LanguagePair, QueryScores]:
    """Return per-query values of the pairs of a stored result that are done.

    A values file may hold more measures than the result has, from an earlier run that was asked
    for more; the result's own are returned, in its order.

    Args:
        path: Where `result` was read from.
        result: The result.
        pairs: Only these; all that are done when None.

    Raises:
        DataError: A values file is missing or broken.
    """
    wanted = None if pairs is None else {str(pair) for pair in pairs}
    found = {}
    for name, pair_result in result.pairs.items():
        if pair_result.status == "done" and (wanted is None or name in wanted):
            query, _, document = name.partition("-")
            values = read_values(path.parent / str(pair_result.values_file))
            found[LanguagePair(query, document)] = values.only(result.task.measures)
    return found


def check_writable(path: Path) -> None:
    """Find out now whether `path` could be written later.

    Raises:
        OutputError: Says which path and why.
    """
    with _said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        Path(name).unlink()


def write_file(path: Path, data: bytes) -> None:
    """Write beside, then rename: the file is never half there.

    Raises:
        OutputError: Says which path and why.
    """
    with _said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say of any error of the operating system that it was about `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "choose another folder with --output or make room; what was done before is kept"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _format_values(scores: QueryScores) -> bytes:
    lines = ["\t".join(("query_id", *scores.measures))]
    for query_id, values in zip(scores.query_ids, scores.values.tolist(), strict=True):
        lines.append("\t".join((query_id, *(repr(value) for value in values))))
    return gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=6, mtime=0)
