"""Defines a system (an encoder and its workers) and the settings of a run; loads systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from clir_bench.encoders import provider, under_contract
from clir_bench.encoders.contract import CheckedEncoder, CheckedTokenEncoder
from clir_bench.errors import UsageError
from clir_bench.results.system_record import SystemRecord
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.cache_key import identify
from clir_bench.search.vectors.store import AUTO, EmbeddingStore, Keeping
from clir_bench.search.workers.executor import Executor, Here, Loading
from clir_bench.search.workers.plan import Workers
from clir_bench.tasks.measures import WHOLE
from clir_bench.types import Encoder, TokenEncoder


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        measures: Measures in addition to the card's own, by ir-measures name.
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


DEFAULTS = Settings()


@dataclass(frozen=True)
class System:
    """What ranks documents: an encoder, and where it came from.

    Attributes:
        encoder: As `encoders.load_encoder` returns it.
        spec: The name that the user gave for it.
        package: Name and version of the package that provides it.
        workers: Workers that encode beside this process; None for this process alone.
        loading: How other processes load the encoder; None where they cannot.
    """

    encoder: Encoder | TokenEncoder
    spec: str
    package: str = "unknown package"
    workers: Workers | None = None
    loading: Loading | None = None

    def executor(self, n_texts: int) -> Executor:
        """Return the executor for this many texts: this process, unless workers pay off.

        Raises:
            UsageError: Ray is asked for and not installed.
            WorkerError: There is no cluster at the address.
        """
        return Here(self.encoder) if self.workers is None else self.workers.executor(n_texts)

    @property
    def device(self) -> str:
        """Where the model runs in this process, "cpu" for one that does not say."""
        return str(getattr(getattr(self.encoder, "inner", None), "device", "cpu"))

    def store(self, settings: Settings) -> EmbeddingStore:
        """Return the store of this system's document vectors."""
        identity = identify(
            self.encoder.info,
            dim=self.encoder.dim,
            spec=self.spec,
            package=self.package,
            seed=settings.seed,
        )
        return EmbeddingStore(settings.embeddings, identity, self.encoder)

    @property
    def record(self) -> SystemRecord:
        """What results state about the system."""
        return SystemRecord.of(
            self.encoder.info, dim=self.encoder.dim, spec=self.spec, package=self.package
        )


def load_system(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
) -> System:
    """Return a system by its name.

    >>> load_system("hashing").encoder.dim
    2048

    Args:
        name: What `clir-bench run --model` takes: the name of an encoder, `st:` and a Hub id or
            folder, or the path of a model.toml.
        device: A torch device such as "cuda:1"; "auto" takes the best there is.
        dtype: "float32", "bfloat16" or "mixed-bfloat16"; "auto" measures which is fast here.
        batch_size: Texts per forward pass; the encoder's own choice when None.
        batch_tokens: Tokens per forward pass, padding included.
        trust_remote_code: Whether code shipped with the weights may run.
        seed: For encoders that draw random numbers.

    Raises:
        UnknownNameError: No encoder has that name.
        UsageError: An argument is missing, needless or impossible.
        EncoderError: The model cannot be loaded.
    """
    loading = Loading(name, device, dtype, batch_size, batch_tokens, trust_remote_code, seed)
    return System(loading.load(), name, provider(name), loading=loading)


def as_system(encoder: Encoder | TokenEncoder) -> System:
    """Return a user's own encoder as a system, with its output checked.

    Raises:
        PluginError: The object is no encoder; says what it lacks.
    """
    kind = type(encoder)
    if isinstance(encoder, CheckedEncoder | CheckedTokenEncoder):
        return System(encoder, encoder.info.name)
    checked = under_contract(encoder, kind.__name__, kind.__module__)
    return System(checked, kind.__name__, kind.__module__)


@contextmanager
def with_workers(
    system: System,
    number: int | None = None,
    threads: int | None = None,
    address: str | None = None,
) -> Iterator[System]:
    """Let workers encode for a system while the block runs, where that pays off.

    Args:
        system: The system.
        number: Number of workers; as many as the machine's GPUs or cores allow when None.
        threads: Threads of each worker on a processor; an equal share of the cores when None.
        address: Address of a Ray cluster, empty for $RAY_ADDRESS or this machine's; None for
            processes of this machine.

    Raises:
        UsageError: A number is below 1, or Ray is asked for and not installed.
        WorkerError: There is no cluster at the address.
    """
    encoder, loading = system.encoder, system.loading
    if loading is None or not isinstance(encoder, CheckedEncoder | CheckedTokenEncoder):
        if number is not None or address is not None:
            raise UsageError(f"workers load a model by its name; {system.spec} has none")
        yield system
        return
    with Workers(encoder, loading, number, threads, address) as workers:
        yield replace(system, workers=workers)
