"""Solves optimal transport between the tokens of two sentences, for many pairs at a time.

A problem is a cost matrix C of shape `(n, m)` and two marginals, a of length n and b of length m:
the mass that every source token gives and every target token takes. A plan P is a non-negative
`(n, m)` matrix whose rows sum to a and whose columns sum to b; read as a soft word alignment,
`P[i, j] / a[i]` is how much of source token i is aligned with target token j. Tensors are batches,
`(batch, n, m)`, `(batch, n)` and `(batch, m)`; sentences of different length share a batch because
a token of mass zero (padding, or a special token) takes no part, at any cost.

    exact       P = argmin <P, C>                                    network simplex, from POT
    sinkhorn    P = argmin <P, C> + epsilon * sum P (log P - 1)      Cuturi 2013
    ipot        P_t = argmin <P, C> + beta * KL(P | P_(t-1))         Xie et al. 2018
    greedy      all of a[i] to the nearest target token; ignores b   a baseline without transport

`<P, C>` is the Frobenius inner product, the sum of the entrywise product. All four return a
`TransportPlan` without gradient; `transport_cost` turns it into a loss.

References:
    Cuturi 2013, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS,
        arXiv 1306.0895.
    Peyré and Cuturi 2019, "Computational Optimal Transport", arXiv 1803.00567.
    Xie, Wang, Wang, Zha 2018, "A Fast Proximal Point Method for Computing Exact Wasserstein
        Distance", arXiv 1802.04307.
    Bonneel, van de Panne, Paris, Heidrich 2011, "Displacement interpolation using Lagrangian mass
        transport", ACM TOG 30(6); Flamary et al. 2021, "POT: Python Optimal Transport",
        JMLR 22(78).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from clir_bench.distill.transport.marginals import checked, uniform_marginals, weighted_marginals
from clir_bench.distill.transport.scaling import BLOCK, STAGE_TOLERANCE, Problems, scaling_to
from clir_bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "TransportPlan",
    "exact",
    "greedy_alignment",
    "ipot",
    "sinkhorn",
    "transport_cost",
    "uniform_marginals",
    "weighted_marginals",
]


class TransportPlan(NamedTuple):
    """Solved problems, on the device of the cost, without gradients.

    Attributes:
        plan: `(batch, n, m)`, non-negative, total mass about 1 per problem; rows and columns of
            tokens without mass are exactly zero. float64 for a float64 cost, otherwise float32.
        n_iterations: `(batch,)` int64, scalings of rows and columns, at all epsilons together; 0
            where the method does not iterate.
        marginal_error: `(batch,)`, how far `plan` is from its marginals: the sum of the absolute
            differences over rows, plus the same over columns; 0 is feasible, 4 is the worst.
    """

    plan: Tensor
    n_iterations: Tensor
    marginal_error: Tensor


def sinkhorn(
    cost: Tensor,
    source: Tensor,
    target: Tensor,
    *,
    epsilon: float = 0.05,
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
) -> TransportPlan:
    """Solve entropic optimal transport; the iterations are described in `scaling`.

    Stable in float32 from `epsilon` 1 down to 0.005 for costs in [0, 2], and for any finite cost
    as far as float32 tells `cost / epsilon` apart. `<P, C>` is at most
    `epsilon * log(n * m)` above the exact cost (the entropy of P is at most `log(n * m)`).

    Args:
        cost: `(batch, n, m)`, finite wherever both tokens have mass; anything elsewhere.
        source: `(batch, n)`, rows sum to 1; see `uniform_marginals`.
        target: `(batch, m)`, rows sum to 1.
        epsilon: Weight of the entropy, above 0, in units of the cost.
        max_iterations: Upper bound on the scalings of rows and columns, at least 1: a bound at
            every epsilon, of which there are several only where costs spread over more than
            40 epsilon (`scaling.SPREAD`).
        tolerance: A problem is done when its marginal error is this small; 1e-6 is within reach
            of float32. With 0, all iterations are used.

    Raises:
        UsageError: Shapes, marginals or settings that cannot mean anything.
        DataError: A cost between tokens with mass is not finite.
    """
    import torch

    _require_positive("epsilon", epsilon)
    _require_count("max_iterations", max_iterations)
    if not tolerance >= 0:
        raise UsageError(f"tolerance is {tolerance}: expected 0 or more")
    with _plain_arithmetic(cost):
        cost, source, target = checked(cost, source, target)
        plan = torch.zeros_like(cost)
        n_iterations = torch.zeros(len(cost), dtype=torch.int64, device=cost.device)
        n_rounds = math.ceil(max_iterations / BLOCK)
        block, n_taken = max_iterations // n_rounds, 0
        problems = Problems.start(cost, source, target, epsilon)
        while len(problems.index):
            error = problems.iterate(block)
            n_taken += block
            last_stage = problems.epsilon <= epsilon
            wanted = torch.where(last_stage, tolerance, max(tolerance, STAGE_TOLERANCE))
            ended = (error <= wanted) | (problems.n_looks + 1 >= n_rounds)
            problems.look(error, ~ended)
            done = ended & last_stage
            if done.any():
                rows = done.nonzero()[:, 0]
                solved = problems.index[rows]
                plan.index_copy_(0, solved, problems.plan(rows))
                n_iterations[solved] = n_taken
                problems.keep(~done)
                ended = ended[~done]
            if ended.any():
                problems.halve_epsilon(ended, epsilon)
            else:
                problems.absorb_large()
        return TransportPlan(plan, n_iterations, _marginal_error(plan, source, target))


def ipot(
    cost: Tensor,
    source: Tensor,
    target: Tensor,
    *,
    beta: float = 0.5,
    n_iterations: int = 200,
    inner_iterations: int = 1,
) -> TransportPlan:
    """Approach exact optimal transport by proximal points (Xie et al. 2018, arXiv 1802.04307).

    Each of the `n_iterations` steps solves `argmin <P, C> + beta * KL(P | last P)`, which is to
    scale `last P * exp(-C / beta)` to the marginals. Started from a plan of equal entries, step t
    solved to the end is entropic transport at `epsilon = beta / t`: the cost falls to the exact
    one as t grows, with no small epsilon to choose, and the plan becomes sparse.

    Differs from the paper: the logarithm of P is kept instead of P, so that an entry that was
    next to nothing for a while is not lost, and the first scaling of the rows is a softmax.

    Args:
        cost: `(batch, n, m)`, finite wherever both tokens have mass.
        source: `(batch, n)`, rows sum to 1.
        target: `(batch, m)`, rows sum to 1.
        beta: Weight of the proximal term, above 0, in units of the cost. Smaller is fewer steps,
            each of them harder: below a tenth of the spread of the costs one inner iteration
            leaves large marginal errors, which the result states.
        n_iterations: Proximal steps.
        inner_iterations: Scalings of rows and columns per step; the paper found 1 to be enough, as
            each step starts from the column scaling of the last.

    Raises:
        UsageError: Shapes, marginals or settings that cannot mean anything.
        DataError: A cost between tokens with mass is not finite.
    """
    import torch

    _require_positive("beta", beta)
    _require_count("n_iterations", n_iterations)
    _require_count("inner_iterations", inner_iterations)
    with _plain_arithmetic(cost):
        cost, source, target = checked(cost, source, target)
        rows = source.where(source > 0, 1.0).log()[:, :, None]
        step_cost = cost.masked_fill(target[:, None] == 0, torch.inf)
        step_cost = (step_cost - step_cost.amin(2, keepdim=True)) / beta
        log_plan, columns = torch.zeros_like(cost), torch.zeros_like(target[:, None])
        for _ in range(n_iterations):
            log_plan = (log_plan - step_cost + columns).log_softmax(2) + rows
            kernel = torch.where(source[:, :, None] > 0, log_plan.exp(), 0.0)
            u, v = torch.ones_like(source), scaling_to(target, kernel.sum(1))
            for _ in range(inner_iterations - 1):
                u = scaling_to(source, (kernel * v[:, None]).sum(2))
                v = scaling_to(target, (kernel * u[:, :, None]).sum(1))
            log_plan = log_plan + u.log()[:, :, None] + v.log()[:, None]
            columns = columns + v.log()[:, None]
        plan = u[:, :, None] * kernel * v[:, None]
        counts = torch.full((len(cost),), n_iterations * inner_iterations, device=cost.device)
        return TransportPlan(plan, counts, _marginal_error(plan, source, target))


def exact(cost: Tensor, source: Tensor, target: Tensor) -> TransportPlan:
    """Solve unregularized optimal transport, problem by problem, on the CPU in float64.

    The network simplex of POT (Bonneel et al. 2011), which `pip install clir-bench[transport]`
    brings: an exact vertex of the polytope, at most n + m - 1 positive entries. For evaluation
    and as the yardstick of the other solvers; a GPU waits for it.

    Args:
        cost: `(batch, n, m)`, finite wherever both tokens have mass.
        source: `(batch, n)`, rows sum to 1.
        target: `(batch, m)`, rows sum to 1.

    Raises:
        UsageError: POT is not installed, or shapes or marginals are invalid.
        DataError: A cost between tokens with mass is not finite, or the simplex gave up.
    """
    import torch

    try:
        import ot
    except ImportError as error:
        raise UsageError(
            "exact transport needs the package POT: pip install 'clir-bench[transport]'"
        ) from error
    with _plain_arithmetic(cost):
        cost, source, target = checked(cost, source, target)
        plan = torch.zeros(cost.shape, dtype=torch.float64)
        costs, sources, targets = (x.double().cpu().numpy() for x in (cost, source, target))
        for problem, (c, a, b) in enumerate(zip(costs, sources, targets, strict=True)):
            rows, columns = a.nonzero()[0], b.nonzero()[0]
            a_real, b_real = a[rows] / a[rows].sum(), b[columns] / b[columns].sum()
            c_real = c[rows][:, columns] - c[rows][:, columns].min()
            c_real = c_real / (c_real.max() or 1.0)  # the simplex has absolute tolerances
            solved, log = ot.emd(a_real, b_real, c_real, numItermax=10_000_000, log=True)
            if log["warning"] is not None:
                raise DataError(f"problem {problem} of the batch: {log['warning']}")
            part = plan[problem].index_put_(
                (torch.from_numpy(rows)[:, None], torch.from_numpy(columns)[None]),
                torch.from_numpy(solved),
            )
            plan[problem] = part
        plan = plan.to(cost)
        none = torch.zeros(len(cost), dtype=torch.int64, device=cost.device)
        return TransportPlan(plan, none, _marginal_error(plan, source, target))


def greedy_alignment(cost: Tensor, source: Tensor, target: Tensor) -> TransportPlan:
    """Send all the mass of each source token to its nearest target token, the first of equals.

    The control without transport, in the manner of DR.DECR's token alignment (Li et al. 2021,
    arXiv 2112.08185). Nothing keeps every source token from choosing the same target; how far the
    columns are from `target` is in the result's `marginal_error`.

    Args:
        cost: `(batch, n, m)`, finite wherever both tokens have mass.
        source: `(batch, n)`, rows sum to 1: the mass to send.
        target: `(batch, m)`, rows sum to 1: tokens of mass zero are never chosen.

    Raises:
        UsageError: Shapes or marginals are invalid.
        DataError: A cost between tokens with mass is not finite.
    """
    import torch

    with _plain_arithmetic(cost):
        cost, source, target = checked(cost, source, target)
        reachable = torch.where(target[:, None] > 0, cost, torch.inf)
        nearest = reachable.argmin(2, keepdim=True)
        plan = torch.zeros_like(cost).scatter_(2, nearest, source[:, :, None])
        none = torch.zeros(len(cost), dtype=torch.int64, device=cost.device)
        return TransportPlan(plan, none, _marginal_error(plan, source, target))


def transport_cost(plan: Tensor, cost: Tensor) -> Tensor:
    """Return `<P, C>` of every problem, shape `(batch,)`, with gradient through the cost alone.

    The plan is detached, so the gradient with respect to the cost is the plan itself. That is the
    gradient of the optimal value: by the envelope theorem the derivative of
    `min over P of <P, C> + epsilon * sum P (log P - 1)` with respect to C is its minimizer, since
    the effect of C on P vanishes at a minimum to first order (Peyré and Cuturi 2019, section 9.1).
    The entropy itself is not part of the value returned. Where the plan is zero, any cost counts as
    zero.

    Args:
        plan: `(batch, n, m)`, from any solver of this module.
        cost: `(batch, n, m)`.

    Raises:
        UsageError: The shapes differ.
    """
    import torch

    if plan.shape != cost.shape or cost.ndim != 3:
        raise UsageError(
            f"plan of shape {tuple(plan.shape)} and cost of shape {tuple(cost.shape)}: "
            "expected the same (batch, n, m) for both"
        )
    fixed = plan.detach()
    return (fixed * torch.where(fixed > 0, cost, torch.zeros_like(cost))).sum((1, 2))


def _require_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise UsageError(f"{name} is {value}: expected a number above 0, such as 0.05")


def _require_count(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} is {value}: expected at least 1")


def _marginal_error(plan: Tensor, source: Tensor, target: Tensor) -> Tensor:
    rows = (plan.sum(2) - source).abs().sum(1)
    return rows + (plan.sum(1) - target).abs().sum(1)


@contextmanager
def _plain_arithmetic(like: Tensor) -> Iterator[None]:
    """Record no gradient, and let no autocast round products to half precision."""
    import torch

    with torch.no_grad(), torch.autocast(like.device.type, enabled=False):
        yield
