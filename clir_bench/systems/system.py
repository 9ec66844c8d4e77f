"""What a system is, and the system that one encoder is by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from clir_bench.encoders import under_contract
from clir_bench.encoders.contract import (
    CheckedEncoder,
    CheckedSparseEncoder,
    CheckedTokenEncoder,
)
from clir_bench.encoders.instructions import instructed
from clir_bench.errors import UsageError
from clir_bench.results.system_record import SystemRecord
from clir_bench.search.vectors.cache_key import identify
from clir_bench.search.vectors.store import EmbeddingStore, Keeping
from clir_bench.search.workers.executor import Executor, Here, Loading
from clir_bench.search.workers.plan import Workers
from clir_bench.systems.answers import GroupAnswers, Task
from clir_bench.systems.scheduler import Passes
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import CorpusGroup
from clir_bench.types import AnyEncoder, EncoderInfo, LanguagePair

_CHECKED = (CheckedEncoder, CheckedTokenEncoder, CheckedSparseEncoder)


class System(ABC):
    """What ranks documents."""

    spec: str
    """The name that the user gave for it."""

    @property
    @abstractmethod
    def info(self) -> EncoderInfo:
        """Its description."""

    @property
    @abstractmethod
    def record(self) -> SystemRecord:
        """What results state about it."""

    @property
    def leaves(self) -> tuple[EncoderSystem, ...]:
        """The encoders whose document vectors it searches, in a fixed order."""
        return ()

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system with each of its encoders changed."""
        return self

    def for_task(self, card: TaskCard) -> System:
        """Return the system with the task's instruction for encoders that follow instructions."""
        return self.with_leaves(lambda leaf: leaf.for_task(card))

    def check(  # noqa: B027 (most systems run any task)
        self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]
    ) -> None:
        """Refuse a task that it cannot run, before any data is read.

        Raises:
            UsageError: Says why.
        """

    @abstractmethod
    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""


@dataclass(frozen=True)
class EncoderSystem(System):
    """An encoder, and where it came from.

    Attributes:
        encoder: As `encoders.load_encoder` returns it.
        spec: The name that the user gave for it.
        package: Name and version of the package that provides it.
        workers: Workers that encode beside this process; None for this process alone.
        loading: How other processes load the encoder; None where they cannot.
    """

    encoder: AnyEncoder
    spec: str
    package: str = "unknown package"
    workers: Workers | None = None
    loading: Loading | None = None

    @property
    def info(self) -> EncoderInfo:
        """The encoder's own description."""
        return self.encoder.info

    @property
    def record(self) -> SystemRecord:
        """What results state about the system."""
        return SystemRecord.of(
            self.encoder.info, dim=self.encoder.dim, spec=self.spec, package=self.package
        )

    @property
    def leaves(self) -> tuple[EncoderSystem, ...]:
        """This system alone."""
        return (self,)

    def with_leaves(self, change: Callable[[EncoderSystem], EncoderSystem]) -> System:
        """Return the system, changed."""
        return change(self)

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        executor = self.executor(task.n_texts[0])
        yield from Passes(self.encoder, executor, task, self.device).answers(groups)

    def for_task(self, card: TaskCard) -> EncoderSystem:
        """Return the system with the task's instruction, if the encoder follows instructions."""
        if not isinstance(self.encoder, _CHECKED):
            return self
        encoder = instructed(self.encoder, card.instruction)
        if encoder is self.encoder:
            return self
        loading = self.loading
        if loading is not None:
            loading = replace(loading, instruction=encoder.info.instruction)
            if self.workers is not None:
                self.workers.load_instead(encoder, loading)
        return replace(self, encoder=encoder, loading=loading)

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

    def store(self, keeping: Keeping, seed: int) -> EmbeddingStore:
        """Return the store of this encoder's document vectors."""
        identity = identify(
            self.encoder.info,
            dim=self.encoder.dim,
            spec=self.spec,
            package=self.package,
            seed=seed,
        )
        return EmbeddingStore(keeping, identity, self.encoder)


def as_system(encoder: AnyEncoder) -> EncoderSystem:
    """Return a user's own encoder as a system, with its output checked.

    Raises:
        PluginError: The object is no encoder; says what it lacks.
    """
    kind = type(encoder)
    if isinstance(encoder, _CHECKED):
        return EncoderSystem(encoder, encoder.info.name)
    checked = under_contract(encoder, kind.__name__, kind.__module__)
    return EncoderSystem(checked, kind.__name__, kind.__module__)


@contextmanager
def with_workers(
    system: System,
    number: int | None = None,
    threads: int | None = None,
    address: str | None = None,
) -> Iterator[System]:
    """Let workers encode for a system while the block runs, where that pays off.

    Args:
        system: The system; each of its encoders gets workers of its own.
        number: Number of workers; as many as the machine's GPUs or cores allow when None.
        threads: Threads of each worker on a processor; an equal share of the cores when None.
        address: Address of a Ray cluster, empty for $RAY_ADDRESS or this machine's; None for
            processes of this machine.

    Raises:
        UsageError: A number is below 1, or Ray is asked for and not installed.
        WorkerError: There is no cluster at the address.
    """
    with ExitStack() as open_workers:

        def staffed(leaf: EncoderSystem) -> EncoderSystem:
            encoder, loading = leaf.encoder, leaf.loading
            if loading is None or not isinstance(encoder, _CHECKED):
                if number is not None or address is not None:
                    raise UsageError(f"workers load a model by its name; {leaf.spec} has none")
                return leaf
            workers = Workers(encoder, loading, number, threads, address)
            return replace(leaf, workers=open_workers.enter_context(workers))

        if not system.leaves and (number is not None or address is not None):
            raise UsageError(f"{system.spec} has no encoder that workers could load")
        yield system.with_leaves(staffed)
