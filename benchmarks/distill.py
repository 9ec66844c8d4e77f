"""Measures a training step: pairs per second, and what transport adds.

    python benchmarks/distill.py --batch-size 256 --steps 20
    python benchmarks/distill.py --layers 6 --batch-size 64 --steps 5

Sentences are random: 20 to 48 pieces on either side, as in news and verses, a vocabulary of 32,000
pieces of 384 numbers. Times are of the processor, summed over threads, so that other work on the
machine does not count; pairs per second are by the clock. English sentences through the student are
a quarter of the batch on top, as in a training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from transformers import BertConfig, BertModel

from clir_bench.distill.recipe import LossSettings, TrainingSettings
from clir_bench.distill.training.losses import DistillationLoss, build_parts
from clir_bench.distill.training.optimiser import Optimiser

METHODS = ("kd", "greedy+kd", "ot+kd", "ot+kd+contrastive", "ot+kd+contrastive+late")
PIECES, DIM = 32_000, 384


def student(layers: int) -> Any:
    """Return what `encode` needs of a student of a MiniLM's width."""
    shape = {"hidden_size": DIM, "num_attention_heads": 12, "intermediate_size": 4 * DIM}
    config = BertConfig(vocab_size=PIECES, num_hidden_layers=layers, **shape)
    config.layer_norm_eps = 1.0 if layers == 0 else 1e-12
    bert = BertModel(config, add_pooling_layer=False)
    table = bert.get_input_embeddings()
    table.sparse = True
    if layers == 0:
        bert.requires_grad_(False)
        table.requires_grad_(True)

    def body(features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        known = {name: features[name] for name in ("input_ids", "attention_mask")}
        return {**features, "token_embeddings": bert(**known).last_hidden_state}

    class Student(torch.nn.Module):
        tokenizer = SimpleNamespace(all_special_ids=[0, 1, 2, 3, 4])
        transformers_model = bert

        def __iter__(self) -> Iterator[Any]:
            return iter([body])

    found = Student()
    found.bert, found.table = bert, table
    return found


def batch(size: int, generator: torch.Generator) -> tuple[Any, torch.Tensor]:
    """Return random columns of `size` pairs and their labels."""
    rows = size + size // 4
    lengths = torch.randint(20, 49, (2, rows), generator=generator)
    masks = [torch.arange(int(one.max()))[None] < one[:, None] for one in lengths]
    # pieces are drawn as words are, by Zipf's law
    weights = 1 / torch.arange(5, PIECES).float()
    ids = 5 + torch.multinomial(weights, masks[0].numel(), replacement=True, generator=generator)
    texts = {"input_ids": ids.view_as(masks[0]), "attention_mask": masks[0].long()}
    targets = {
        "token_embeddings": torch.randn(*masks[1].shape, DIM, generator=generator),
        "attention_mask": masks[1],
        "input_ids": torch.zeros(masks[1].shape, dtype=torch.long),
        "sentence_embedding": torch.randn(rows, DIM, generator=generator),
    }
    return (texts, targets), torch.arange(rows)


def measure(step: Callable[[int], None], steps: int) -> tuple[float, float]:
    """Return processor seconds and clock seconds per step."""
    for number in range(2):
        step(number)
    processor, clock = time.process_time(), time.perf_counter()
    for number in range(steps):
        step(number + 2)
    return (time.process_time() - processor) / steps, (time.perf_counter() - clock) / steps


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    batches = [batch(options.batch_size, generator) for _ in range(4)]
    print("method                  CPU s per step   against kd   pairs per second")
    base = 0.0
    for method in options.methods:
        model = student(options.layers)
        parts = build_parts(method.split("+"), LossSettings(), DIM)
        loss = DistillationLoss(model, parts, {})
        table = model.table.weight
        others = {
            name: weight
            for name, weight in model.named_parameters()
            if weight.requires_grad and weight is not table
        }
        optimiser = Optimiser(table, [0], others, TrainingSettings())

        def step(
            number: int, loss: DistillationLoss = loss, optimiser: Optimiser = optimiser
        ) -> None:
            values = loss(*batches[number % len(batches)])
            torch.stack(list(values.values())).sum().backward()
            optimiser.step(number)

        processor, clock = measure(step, options.steps)
        base = base or processor
        print(
            f"{method:24s} {processor:13.3f} {processor / base - 1:+12.0%} "
            f"{options.batch_size / clock:16,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
