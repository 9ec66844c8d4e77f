"""What is run, and how: a system and the settings of its runs."""

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
    """How a task is run.

    Attributes:
        measures: Added to the card's own, by ir-measures name.
        top_k: Documents ranked per query. The card's measures that look deeper are called by this
            depth; those of `measures` are refused.
        tiers: Name of a tier scheme, or a path to one.
        limit: Cut every pair to this many queries and documents; the result is partial.
        seed: Seed of the bootstrap.
        n_resamples: Bootstrap replicates.
        overwrite: Run pairs again that are done, and replace a result made otherwise.
        command: What the person typed, for the record.
        embeddings: Which documents' vectors are kept on disk, and where.
        stored_only: Encode no documents: all of them must be stored.
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
        spec: The name that it was asked for by.
        package: Name and version of the package that provides it.
        workers: Who may encode besides this process; None for this process alone.
        loading: How other processes load it; None where they cannot.
    """

    encoder: Encoder | TokenEncoder
    spec: str
    package: str = "unknown package"
    workers: Workers | None = None
    loading: Loading | None = None

    def executor(self, n_texts: int) -> Executor:
        """Return who encodes so many texts: this process, unless workers are worth it.

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
        """Return where the vectors of this system's documents are stored."""
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
        """What results state of it."""
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
        UnknownNameError: There is no encoder of that name.
        UsageError: An argument is missing, needless or impossible.
        EncoderError: The model cannot be loaded.
    """
    loading = Loading(name, device, dtype, batch_size, batch_tokens, trust_remote_code, seed)
    return System(loading.load(), name, provider(name), loading=loading)


def as_system(encoder: Encoder | TokenEncoder) -> System:
    """Return an encoder that a person made as a system, its output checked.

    Raises:
        PluginError: It is no encoder; says what it lacks.
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
    """Let workers encode for a system while the block runs, where the work is worth it.

    Args:
        system: The system.
        number: How many workers, as many as this machine has GPUs or cores for when None.
        threads: Of each worker on a processor; an equal share of the cores when None.
        address: Of a Ray cluster, empty for that of $RAY_ADDRESS or of this machine; None for
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
