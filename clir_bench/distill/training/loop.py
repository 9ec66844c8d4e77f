"""Runs the training loop of a student: steps, validations and checkpoints.

This is a plain loop; it does not use the trainer of transformers, for two reasons. That trainer
pickles its optimiser, schedule and random states; here a checkpoint is safe to load (safetensors).
And it updates all vectors of a vocabulary in every step; here only the used ones are updated, which
saves most of the work for a student without layers. Losses and students follow the interfaces of
sentence-transformers, so its trainers can train them too.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clir_bench.distill.model.students import Encoded, encode, is_static, vocabulary_of
from clir_bench.distill.training import checkpoint, validation
from clir_bench.distill.training.batches import Batch, Batches
from clir_bench.distill.training.journal import Journal
from clir_bench.distill.training.losses import DistillationLoss
from clir_bench.distill.training.optimiser import Optimiser
from clir_bench.errors import TrainingError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import MultiVectorEncoder

    from clir_bench.distill.recipe import Recipe

_LOGGER = logging.getLogger(__name__)
_LOG_EVERY = 50
WATCHED = ("maxsim.MRR", "pooled.MRR")
"""Their mean decides which weights are best."""


@dataclass
class Training:
    """A running training.

    Attributes:
        recipe: The recipe of the training.
        loss: The student within its loss.
        batches: Batches by number.
        folder: Where checkpoints are.
        journal: Where losses and scores are written.
        advance: Called after every step with a line for people: step, loss, speed.
    """

    recipe: Recipe
    loss: DistillationLoss
    batches: Batches
    folder: Path
    journal: Journal
    advance: Callable[[str], None] = lambda _: None
    step: int = 0
    best: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.model
        self.optimiser = Optimiser(
            vocabulary_of(model).weight,
            _frozen_rows(model),
            learned(self.loss),
            self.recipe.training,
        )
        self._chosen = validation.choose(
            self.batches.corpus, self.recipe.validation.queries, self.recipe.seed
        )
        self._stale = 0
        self._since = (0, time.perf_counter())
        self._validated: int | None = None

    @property
    def model(self) -> MultiVectorEncoder:
        """Return the student."""
        return self.loss.model

    def resume(self) -> bool:
        """Continue from the newest checkpoint, or start; return whether there was a checkpoint.

        Raises:
            DataError: It is truncated, or of another version or recipe.
        """
        found = checkpoint.steps(self.folder)
        if found:
            self._load(found[max(found)])
            steps = self.recipe.training.steps
            _LOGGER.info(
                "the training continues from step %s of %s", f"{self.step:,}", f"{steps:,}"
            )
        self.journal.cut(self.step)
        return bool(found)

    def run(self) -> None:
        """Train to the end, or until validation has not improved for `patience` validations.

        After a first Ctrl-C or SIGTERM, it finishes the step and writes a checkpoint.

        Raises:
            KeyboardInterrupt: After that checkpoint; or another error, if the signal's handler
                raises one.
            TrainingError: A loss is not a number, or the device's memory is full.
            OutputError: A checkpoint cannot be written.
        """
        settings = self.recipe.training
        self.loss.train()
        first, began = self.step, time.perf_counter()
        with signals_held() as heard:
            while self.step < settings.steps and not self._exhausted() and not heard:
                parts, norm = self._update(self.step)
                self.step += 1
                total = math.fsum(parts.values())
                rate = self._pairs(first) / max(time.perf_counter() - began, 1e-9)
                self.advance(
                    f"step {self.step:,} of {settings.steps:,}, loss {total:.4f}, "
                    f"{rate:,.0f} pairs/s"
                )
                last = self.step == settings.steps
                if self.step % _LOG_EVERY == 0 or last:
                    self._note(parts, total, norm)
                if self.step % self.recipe.validation.every == 0 or last:
                    self._validate()
                due = self.step % settings.checkpoint_every == 0
                if due or last or heard or self._exhausted():
                    self._save()
            if heard:
                _LOGGER.info(
                    "stopped after step %s; the same command continues from there", f"{self.step:,}"
                )
        if not self.best:
            self._validate()

    def take_best(self) -> None:
        """Put the weights of the best validation into the student."""
        found = checkpoint.steps(self.folder)
        step = self.best.get("step")
        if step in found and step != self.step:
            self._load(found[step])

    def scores(self) -> dict[str, float]:
        """Return the student's scores on held-back bitext; empty without any."""
        if not len(self._chosen):
            return {}
        self.loss.eval()
        try:
            found = validation.retrieve(
                self.batches.corpus, self._chosen, self._foreign, self._english
            )
        finally:
            self.loss.train()
        return found

    def _update(self, step: int) -> tuple[dict[str, float], float]:
        import torch

        settings = self.recipe.training
        sums: dict[str, float] = {}
        for turn in range(settings.accumulation):
            number = step * settings.accumulation + turn
            batch = self.batches(number)
            torch.manual_seed((self.recipe.seed << 32) + number)  # dropout
            try:
                parts = self._forward(batch)
                total = torch.stack(list(parts.values())).sum()
                self._require_number(total, parts, batch, number)
                (total / settings.accumulation).backward()  # type: ignore[no-untyped-call]
            except torch.OutOfMemoryError as error:
                raise TrainingError(
                    f"step {step + 1}: out of memory on {self.batches.device} with batch_size "
                    f"{settings.batch_size}; use a smaller one and a larger accumulation. "
                    f"{self._kept()} ({error})"
                ) from error
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / settings.accumulation
        norm = self.optimiser.step(step)
        return sums, norm

    def _forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        import torch

        if self.recipe.training.precision == "float32":
            return self.loss(batch.features, batch.labels)  # type: ignore[no-any-return]
        with torch.autocast(self.batches.device.type, dtype=torch.bfloat16):
            return self.loss(batch.features, batch.labels)  # type: ignore[no-any-return]

    def _require_number(
        self, total: torch.Tensor, parts: dict[str, torch.Tensor], batch: Batch, number: int
    ) -> None:
        if math.isfinite(float(total.detach())):
            return
        values = ", ".join(f"{name} {float(value.detach()):g}" for name, value in parts.items())
        pair = self.batches.corpus[int(batch.pairs[0])]
        raise TrainingError(
            f"step {self.step + 1}, batch {number}: the loss is not a number ({values}). The "
            f"batch's first pair of {len(batch.pairs)} is {pair.language}: {pair.english[:60]!r} | "
            f"{pair.foreign[:60]!r}. Lower the learning rates. {self._kept()}"
        )

    def _kept(self) -> str:
        found = checkpoint.steps(self.folder)
        if not found:
            return "There is no checkpoint yet"
        return f"The last good weights are kept in {found[max(found)]}"

    def _pairs(self, since: int) -> int:
        """Return the number of pairs trained on up to a step."""
        settings = self.recipe.training
        return (self.step - since) * settings.accumulation * settings.batch_size

    def _note(self, parts: dict[str, float], total: float, norm: float) -> None:
        now, pairs = time.perf_counter(), self._pairs(self._since[0])
        seconds = max(now - self._since[1], 1e-9)
        self._since = (self.step, now)
        self.journal.write(
            {
                "step": self.step,
                "loss": round(total, 6),
                **{f"loss.{name}": round(value, 6) for name, value in parts.items()},
                "gradient_norm": round(norm, 6),
                "rate_scale": round(self.optimiser.scale(self.step - 1), 6),
                "pairs_per_second": round(pairs / seconds, 1),
            }
        )

    def _validate(self) -> None:
        if self._validated == self.step:
            return
        self._validated = self.step
        began = time.perf_counter()
        scores = self.scores()
        if scores:
            self.journal.write({"step": self.step, **scores})
        watched = math.fsum(scores.get(name, 0.0) for name in WATCHED) / len(WATCHED)
        if not self.best or watched > self.best["score"] or not scores:
            self.best = {"step": self.step, "score": watched, "scores": scores}
            self._stale = 0
            if self.step % self.recipe.training.checkpoint_every:
                self._save()
        else:
            self._stale += 1
        self._since = (self._since[0], self._since[1] + time.perf_counter() - began)

    def _exhausted(self) -> bool:
        patience = self.recipe.validation.patience
        return bool(patience) and self._stale >= patience

    def _save(self) -> None:
        state = {
            "recipe": self.recipe.fingerprint(),
            "best": self.best,
            "stale": self._stale,
        }
        keep = {self.best["step"]} if self.best else set()
        checkpoint.write(
            self.folder,
            checkpoint.Checkpoint(
                self.step, dict(trained(self.loss)), self.optimiser.state(), state
            ),
            keep,
        )

    def _load(self, path: Path) -> None:
        import torch

        found = checkpoint.read(path, self.recipe.fingerprint())
        with torch.no_grad():
            for name, parameter in trained(self.loss).items():
                parameter.copy_(found.weights[name])
        self.optimiser.load(dict(found.optimiser))
        self.step = found.step
        self.best, self._stale = dict(found.state["best"]), int(found.state["stale"])
        self._since = (self.step, time.perf_counter())

    def _foreign(self, pairs: Sequence[int]) -> Encoded:
        corpus = self.batches.corpus
        return encode(
            self.model, self.batches.tokenise([corpus[int(pair)].foreign for pair in pairs])
        )

    def _english(self, numbers: Sequence[int]) -> Encoded:
        if not self.recipe.training.english_share:
            return self.batches.targets(numbers)
        corpus = self.batches.corpus
        return encode(
            self.model, self.batches.tokenise([corpus.english_text(int(n)) for n in numbers])
        )


@contextmanager
def signals_held() -> Iterator[list[int]]:
    """Hold back the first Ctrl-C or SIGTERM until the block ends.

    A second signal takes effect at once. Ignored signals stay ignored. Outside the main thread,
    nothing is held back.
    """
    heard: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _: object) -> None:
        heard.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                before[number] = handler
                signal.signal(number, note)
    try:
        yield heard
    finally:
        restore()
    if heard:
        signal.raise_signal(heard[0])


def prepare(model: MultiVectorEncoder) -> None:
    """Mark which weights of a student are learned, and its vocabulary as learned by rows."""
    table = vocabulary_of(model)
    if is_static(model):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        table.weight.requires_grad_(True)
        if len(list(model)) > 3:
            model[1].requires_grad_(True)
    table.sparse = True
    pooler = getattr(model.transformers_model, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)


def trained(loss: DistillationLoss) -> dict[str, torch.nn.Parameter]:
    """Return all learned parameters, by name."""
    return {name: p for name, p in loss.named_parameters() if p.requires_grad}


def learned(loss: DistillationLoss) -> dict[str, torch.nn.Parameter]:
    """Return all learned parameters except the vocabulary's vectors, by name."""
    table = vocabulary_of(loss.model).weight
    return {name: p for name, p in trained(loss).items() if p is not table}


def _frozen_rows(model: MultiVectorEncoder) -> list[int]:
    tokenizer = model.tokenizer
    rows = [tokenizer.pad_token_id]
    if is_static(model):
        rows += [tokenizer.cls_token_id]
    return [row for row in rows if row is not None]
