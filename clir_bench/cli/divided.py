"""`clir-bench run --num-shards N --shard-id I`: one job of an array."""

from __future__ import annotations

from pathlib import Path

from clir_bench.cli.output import echo
from clir_bench.cli.progress import Bar
from clir_bench.errors import ClirBenchError, UsageError
from clir_bench.evaluation.evaluate import Settings, System
from clir_bench.evaluation.sharded_encoding import Job, encode_job
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair


def divided_job(num_shards: int | None, shard_id: int | None, embeddings: Keeping) -> Job | None:
    """Return which job this is, None when it is the only one.

    Raises:
        UsageError: The options contradict each other.
    """
    if num_shards is None and shard_id is None:
        return None
    if num_shards is None or shard_id is None:
        raise UsageError("--num-shards and --shard-id go together")
    if embeddings.mode == "off":
        raise UsageError("--num-shards needs somewhere to store vectors: not --embeddings off")
    return Job(shard_id, num_shards)


def run_divided(
    job: Job,
    card: TaskCard,
    pairs: tuple[LanguagePair, ...],
    system: System,
    *,
    data_dir: Path | None,
    split: str,
    settings: Settings,
) -> list[str]:
    """Encode the job's share of a task, print what was done, and return what failed."""
    name = f"{system.encoder.info.name} on {card.id}"
    try:
        done = encode_job(
            card,
            system,
            job,
            source=locate(card, split, data_dir),
            split=split,
            pairs=pairs,
            settings=settings,
            progress=Bar(name),
        )
    except ClirBenchError as error:
        if isinstance(error, UsageError):
            raise
        return [f"{name}: {error}"]
    echo(
        f"{name}, job {job.number} of {job.n_jobs}: {done.n_encoded} shards encoded, "
        f"{done.n_mine - done.n_encoded} were there or failed; {done.n_missing} of all "
        f"{done.n_shards} are missing"
    )
    return [f"{name}, {failure}" for failure in done.failures]
