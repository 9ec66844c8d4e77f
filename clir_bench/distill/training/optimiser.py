"""Updates a student's weights: AdamW for its matrices, Adam by rows for its vocabulary's vectors.

The vocabulary has tens of thousands of vectors; a batch uses a few thousand of them. To update only
these, as torch.optim.SparseAdam does, makes a step of a student without layers several times
faster. The moments of the other rows stay unchanged (lazy Adam).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from clir_bench.distill.recipe import TrainingSettings

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class RowAdam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) on the rows of a table that have gradients.

    Args:
        table: The parameter, `(rows, dim)`.
        rate: Learning rate at scale 1.
        frozen: Rows that stay as they are.

    Attributes:
        state: First and second moments, of the table's shape.
    """

    def __init__(self, table: Tensor, rate: float, frozen: Iterable[int]) -> None:
        self.table, self.rate = table, rate
        self.state = {"first": torch.zeros_like(table), "second": torch.zeros_like(table)}
        self._free = torch.ones(len(table), dtype=torch.bool, device=table.device)
        self._free[list(frozen)] = False

    @torch.no_grad()
    def step(self, number: int, scale: float, shrink: float) -> None:
        """Update the rows.

        Args:
            number: Of the update, from 1, for the bias correction.
            scale: Of the learning rate.
            shrink: Factor for the gradients (clipping).
        """
        gradient = self.table.grad
        if gradient is None:
            return
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            rows, values = gradient.indices()[0], gradient.values()
        else:
            rows = gradient.abs().amax(1).nonzero().squeeze(1)
            values = gradient[rows]
        kept = self._free[rows]
        rows, values = rows[kept], values[kept] * shrink
        first = self.state["first"][rows].lerp_(values, 1 - _BETAS[0])
        second = (
            self.state["second"][rows].mul_(_BETAS[1]).addcmul_(values, values, value=1 - _BETAS[1])
        )
        self.state["first"][rows], self.state["second"][rows] = first, second
        rate = self.rate * scale * (1 - _BETAS[1] ** number) ** 0.5 / (1 - _BETAS[0] ** number)
        self.table[rows] -= rate * first / (second.sqrt_() + _EPSILON)


class Optimiser:
    """AdamW and `RowAdam` with one schedule: a linear rise, then a linear fall to 0.

    Args:
        table: The vocabulary's vectors.
        frozen: Rows of it that stay unchanged.
        others: All other parameters to learn, by name.
        settings: Rates, decay, clipping, steps.
    """

    def __init__(
        self,
        table: Tensor,
        frozen: Iterable[int],
        others: dict[str, nn.Parameter],
        settings: TrainingSettings,
    ) -> None:
        self._settings = settings
        self._rows = RowAdam(table, settings.embedding_learning_rate, frozen)
        self._others = others
        groups = [
            {
                "params": [p for p in others.values() if (p.ndim > 1) == decayed],
                "weight_decay": settings.weight_decay if decayed else 0.0,
            }
            for decayed in (True, False)
        ]
        groups = [group for group in groups if group["params"]]
        self._adam = (
            torch.optim.AdamW(groups, lr=settings.learning_rate, betas=_BETAS) if groups else None
        )

    def scale(self, step: int) -> float:
        """Return the factor of the rates at an update, counted from 0."""
        warm = max(round(self._settings.warmup * self._settings.steps), 1)
        if step < warm:
            return (step + 1) / warm
        return max(self._settings.steps - step, 0) / max(self._settings.steps - warm, 1)

    @torch.no_grad()
    def step(self, step: int) -> float:
        """Update all weights, forget the gradients and return their norm before clipping."""
        gradients = [p.grad for p in self._others.values() if p.grad is not None]
        table = self._rows.table.grad
        if table is not None and table.is_sparse:
            self._rows.table.grad = table.coalesce()
            gradients.append(self._rows.table.grad.values())
        elif table is not None:
            gradients.append(table)
        norm = float(torch.stack([g.float().square().sum() for g in gradients]).sum().sqrt())
        shrink = min(1.0, self._settings.clip / max(norm, 1e-12))
        scale = self.scale(step)
        self._rows.step(step + 1, scale, shrink)
        if self._adam is not None:
            for group in self._adam.param_groups:
                group["lr"] = self._settings.learning_rate * scale
            for parameter in self._others.values():
                if parameter.grad is not None:
                    parameter.grad.mul_(shrink)
            self._adam.step()
            self._adam.zero_grad(set_to_none=True)
        self._rows.table.grad = None
        return norm

    def state(self) -> dict[str, Tensor]:
        """Return everything except the weights, as named tensors."""
        found = {f"rows.{name}": value for name, value in self._rows.state.items()}
        if self._adam is not None:
            for name, parameter in self._others.items():
                for key, value in self._adam.state.get(parameter, {}).items():
                    found[f"adam.{name}.{key}"] = value
        return found

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned.

        Raises:
            KeyError: Something is missing.
        """
        for name, value in self._rows.state.items():
            value.copy_(state[f"rows.{name}"])
        if self._adam is None:
            return
        for name, parameter in self._others.items():
            keys = [key for key in state if key.startswith(f"adam.{name}.")]
            if keys:
                self._adam.state[parameter] = {
                    key.removeprefix(f"adam.{name}."): state[key].clone() for key in keys
                }
