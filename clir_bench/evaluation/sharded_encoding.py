"""Encodes one job's share of a task's documents; after all jobs, `clir-bench merge` searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from clir_bench.core.progress import Progress, Silent
from clir_bench.errors import ClirBenchError, EncoderError, OutputError, UsageError
from clir_bench.evaluation.evaluate import card_for, check_pairs
from clir_bench.evaluation.settings import RunSettings
from clir_bench.search.document_vectors import DocumentVectors
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.entry import Entry
from clir_bench.search.workers.executor import Executor
from clir_bench.systems.system import System
from clir_bench.tasks.adapters import Source
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import Loader, corpus_of, prepare
from clir_bench.types import Document, LanguagePair


@dataclass(frozen=True)
class Job:
    """One of the jobs that share the encoding of a task.

    Attributes:
        number: Number of this job, from 0.
        n_jobs: Number of all jobs.
    """

    number: int
    n_jobs: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.n_jobs:
            raise UsageError(
                f"--shard-id {self.number} of --num-shards {self.n_jobs}: expected 0 to "
                f"{self.n_jobs - 1}"
            )


@dataclass
class JobDone:
    """What a job did.

    Attributes:
        n_mine: Shards of this job.
        n_encoded: Shards of this job that were not stored before.
        n_shards: Shards of all jobs.
        n_missing: Shards of all jobs that are not stored now.
        failures: Corpora that could not be encoded, and why.
    """

    n_mine: int = 0
    n_encoded: int = 0
    n_shards: int = 0
    n_missing: int = 0
    failures: list[str] = field(default_factory=list)


def encode_job(
    card: TaskCard,
    system: System,
    job: Job,
    *,
    source: Source,
    split: str,
    pairs: Sequence[LanguagePair],
    settings: RunSettings,
    progress: Progress | None = None,
) -> JobDone:
    """Store this job's share of the shards of a task's corpora, and score nothing.

    Shards of all corpora are numbered and dealt out in turn. Jobs need no contact with each other.
    A job that runs again encodes only missing shards.

    Raises:
        OutputError: The shards cannot be written; finished ones are kept.
        EncoderError: Nothing tells the encoder's version, so its vectors must not be stored.
    """
    card, progress = card_for(card, split), progress or Silent()
    check_pairs(card, pairs)
    system.check(card, split, pairs)
    stores = [leaf.store(settings.embeddings, settings.seed) for leaf in system.leaves]
    if not stores:
        raise UsageError(f"jobs share the encoding of documents, and {system.spec} encodes none")
    for store in stores:
        if store.identity.untold:
            raise EncoderError(f"jobs cannot share vectors: {store.identity.untold}")
    loader, done = Loader(card, split, source, settings.limit), JobDone()
    try:
        progress.begin("checking data", None)
        preparation = prepare(loader, pairs, progress.advance)
        progress.end()
        done.failures += [f"{pair}: {error}" for pair, error in preparation.failures.items()]
        corpora = [Corpus.of(group, loader) for group in preparation.groups]
        for leaf, store in zip(system.leaves, stores, strict=True):
            store.plan(corpora, all_of_them=True)
            n_left = sum(store.documents_left(corpus) for corpus in corpora) // job.n_jobs
            share = _Share(job, leaf.executor(n_left), done, progress)
            progress.begin(f"encoding by {leaf.info.name}, job {job.number} of {job.n_jobs}", None)
            for corpus, group in zip(corpora, preparation.groups, strict=True):
                with store.opened(corpus, required=True) as entry:
                    if entry is not None:
                        share.encode(entry, corpus_of(loader, group.corpus_pairs))
            progress.end()
    finally:
        progress.end()
    return done


@dataclass(frozen=True)
class _Share:
    """The job's share of all corpora."""

    job: Job
    executor: Executor
    done: JobDone
    progress: Progress

    def encode(self, entry: Entry, documents: Iterable[Document]) -> None:
        """Encode and count the job's shards of one corpus that are not stored yet."""
        job, done = self.job, self.done
        numbers = range((job.number - done.n_shards) % job.n_jobs, entry.n_shards, job.n_jobs)
        done.n_mine += len(numbers)
        done.n_shards += entry.n_shards
        vectors = DocumentVectors(
            documents,
            self.executor,
            entry.corpus,
            entry=entry,
            numbers=numbers,
            tokens=self.progress.tokens,
        )
        try:
            for window in vectors.windows():
                self.progress.advance(window.n_documents)
        except OutputError:
            raise
        except ClirBenchError as error:
            done.failures.append(f"{entry.corpus.label}: {error}")
        else:
            done.n_encoded += vectors.n_encoded_shards
        done.n_missing += len(entry.missing())
