"""Runs the iterations of `plans.sinkhorn`: many problems at once, stable in float32.

Entropic transport is solved by `P = exp((f + g - C) / epsilon)` with one potential per row and one
per column, found by correcting rows and columns in turn (Cuturi 2013; Peyré and Cuturi 2019,
chapter 4). The safe way, a logsumexp over the whole matrix at every half step, is slow. Here the
potentials are held in the kernel `K = exp((f + g - C) / epsilon)`, and only two scalings change, `u
= a / (K v)` and `v = b / (K^T u)`; each is one product of a matrix and a vector. Scalings that have
grown are absorbed into f and g and the kernel is recomputed (Schmitzer 2019, section 3.1), so
nothing overflows, and an entry lost to underflow comes back when it starts to matter. Between
blocks of iterations, the problems of a batch are treated in different ways:

- One that has converged leaves the batch.
- One whose costs spread over more than `SPREAD` epsilon starts at a larger epsilon, which is halved
  whenever it is nearly solved (Schmitzer 2019, section 3.2). A solved stage is a safe start for the
  next: the new kernel is the square of the last plan, and its rows can neither vanish nor overflow,
  as `a_i^2 / m <= sum_j P_ij^2 <= a_i^2`.
- One that has become slow takes a Newton step on both logarithms x = log u, y = log v (Brauer et
  al. 2017). With rows already right, which is one more scaling, eliminating x leaves
  `(diag(c) - P^T diag(a)^-1 P) y = b - c`, `x = -diag(a)^-1 P y`, where c are P's column sums.
  Scaling alone is slow exactly where the plan falls into nearly separate parts, between which mass
  has to move: of 1,000 random problems of up to 12 by 15 tokens at epsilon 0.005 8% kept an
  error above 1e-4 after 2,000 iterations; with Newton steps 400 are enough for all.

Differs from the sources: Newton steps and scaling alternate, and the step is not globalized by a
line search but by adding `DAMPING * diag(c)` to the system and by cutting x and y at `MAX_STEP`;
between absorptions scalings are held within `[1 / LIMIT, LIMIT]`, which bounds how far one block
of iterations can move and not what it converges to.

References:
    Cuturi 2013, "Sinkhorn Distances", NeurIPS, arXiv 1306.0895.
    Peyré and Cuturi 2019, "Computational Optimal Transport", arXiv 1803.00567.
    Schmitzer 2019, "Stabilized Sparse Scaling Algorithms for Entropy Regularized Transport
        Problems", SIAM J. Sci. Comput., arXiv 1610.06519.
    Brauer, Clason, Lorenz, Wirth 2017, "A Sinkhorn-Newton method for entropic optimal transport",
        arXiv 1710.06635.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 10
"""Iterations between two looks at the error."""
SPREAD = 40.0
"""Costs may spread over this many epsilon without annealing: exp(-40) is 4e-18, far from where
float32 ends, 1e-38."""
STAGE_TOLERANCE = 1e-4
"""Marginal error at which epsilon is halved, or the user's where that is larger. Mass left in the
wrong part has the further to go the smaller epsilon is: with 0.01 a tenth of the problems with
costs up to 1000 and epsilon 0.05 do not get there in 1000 iterations."""
LIMIT = 1e15
"""Bound of a scaling between absorptions: the product of two is still finite in float32."""
ABSORB = 1e5
"""Scalings beyond this, or below its inverse, are absorbed into the potentials."""
SLOW = 0.5
"""A problem whose error is still above this share of the last look's takes a Newton step, which
costs as much as some 50 to 100 iterations at 32 by 40 tokens, and more at more."""
DAMPING = 1e-6
"""Keeps the Newton system regular where parts of the plan are separate."""
MAX_STEP = 4.0
"""Bound of a Newton step in logarithms; from about 8 it can leap back and forth."""
TINY = 1e-30
"""Stands for a row sum of zero: the row of a token without mass, or one that has underflowed."""


@dataclass
class Problems:
    """The problems of a batch that are still being solved; every tensor has a row per problem.

    Attributes:
        index: `(n_open,)`, place of each problem in the whole batch.
        cost: `(n_open, n, m)`.
        source: `(n_open, n)`, the masses a; rows sum to 1.
        target: `(n_open, m)`, the masses b.
        f: `(n_open, n, 1)` potentials in units of the cost, -inf where a is zero.
        g: `(n_open, 1, m)` likewise of the columns.
        epsilon: `(n_open,)`, what the kernel was made with.
        kernel: `(n_open, n, m)`.
        transposed: `(n_open, m, n)`, the kernel again, laid out for products by columns.
        u: `(n_open, n)` scalings of the rows.
        v: `(n_open, m)` scalings of the columns.
        n_looks: `(n_open,)`, at this epsilon.
        last_error: `(n_open,)`, at the last look, inf before the first at this epsilon.
    """

    index: Tensor
    cost: Tensor
    source: Tensor
    target: Tensor
    f: Tensor
    g: Tensor
    epsilon: Tensor
    kernel: Tensor
    transposed: Tensor
    u: Tensor
    v: Tensor
    n_looks: Tensor
    last_error: Tensor

    @classmethod
    def start(cls, cost: Tensor, source: Tensor, target: Tensor, epsilon: float) -> Problems:
        """Return all the problems of a batch at the epsilon where annealing starts.

        Args:
            cost: `(batch, n, m)`, float32 or float64, finite everywhere, and nowhere outside the
                range of the costs between tokens with mass.
            source: `(batch, n)`, same dtype, rows sum to 1.
            target: `(batch, m)`, same dtype, rows sum to 1.
            epsilon: Where annealing ends.
        """
        import torch

        low, high = cost.amin((1, 2)), cost.amax((1, 2))
        index = torch.arange(len(cost), device=cost.device)
        problems = cls(
            index=index,
            cost=cost,
            source=source,
            target=target,
            f=low[:, None].where(source > 0, -torch.inf)[:, :, None],
            g=torch.zeros_like(target).masked_fill_(target == 0, -torch.inf)[:, None],
            epsilon=((high - low) / SPREAD).clamp_min(epsilon),
            kernel=cost,
            transposed=cost,
            u=source,
            v=target,
            n_looks=torch.zeros_like(index),
            last_error=torch.full_like(low, torch.inf),
        )
        problems.make_kernel()
        return problems

    def make_kernel(self) -> None:
        """Make the kernel from the potentials, with scalings of one."""
        import torch

        self.kernel = (self.f - self.cost).add_(self.g).div_(self.epsilon[:, None, None]).exp_()
        self.transposed = self.kernel.mT.contiguous()
        self.u, self.v = torch.ones_like(self.source), torch.ones_like(self.target)

    def absorb(self) -> None:
        """Move the scalings into the potentials; the kernel must be recomputed afterwards."""
        self.f = self.f + (self.epsilon[:, None] * self.u.log())[:, :, None]
        self.g = self.g + (self.epsilon[:, None] * self.v.log())[:, None]

    def absorb_large(self) -> None:
        """Absorb all scalings once one of them is out of `[1 / ABSORB, ABSORB]`."""
        if len(self.index):
            (low_u, high_u), (low_v, high_v) = self.u.aminmax(), self.v.aminmax()
            if (high_u.maximum(high_v) > ABSORB) | (low_u.minimum(low_v) < 1 / ABSORB):
                self.absorb()
                self.make_kernel()

    def halve_epsilon(self, chosen: Tensor, smallest: float) -> None:
        """Continue at half the epsilon in the chosen problems, a bool mask `(n_open,)`."""
        self.absorb()
        self.epsilon = (self.epsilon / 2).clamp_min(smallest).where(chosen, self.epsilon)
        self.n_looks = self.n_looks.masked_fill(chosen, 0)
        self.last_error = self.last_error.masked_fill(chosen, float("inf"))
        self.make_kernel()

    def iterate(self, n_iterations: int) -> Tensor:
        """Scale rows, then columns, `n_iterations` times.

        Returns:
            The error `(n_open,)`: absolute differences of the plans' rows from `source`, plus
            those of its columns from `target`.
        """
        columns = self.target
        for _ in range(n_iterations):
            self.u = scaling_to(self.source, _times(self.v, self.transposed))
            weight = _times(self.u, self.kernel)
            self.v = scaling_to(self.target, weight)
            columns = self.v * weight
        rows = self.u * _times(self.v, self.transposed)
        # columns are right except where LIMIT held a scaling back
        return (rows - self.source).abs().sum(1) + (columns - self.target).abs().sum(1)

    def look(self, error: Tensor, chosen: Tensor) -> None:
        """Record the errors, and take a Newton step in the chosen problems that are slow."""
        slow = (chosen & (error > SLOW * self.last_error)).nonzero()[:, 0]
        self.last_error = error
        self.n_looks = self.n_looks + 1
        if len(slow):
            self._newton_step(slow)

    def _newton_step(self, rows: Tensor) -> None:
        """Take a damped Newton step in the problems at `rows`, as the module describes it.

        In float64 where the device has it: what couples nearly separate parts is lost in float32,
        or in TF32 should the user have allowed that for products.
        """
        import torch

        wide = torch.float32 if self.cost.device.type == "mps" else torch.float64
        plan = self.plan(rows).to(wide)
        source, target = self.source[rows].to(wide), self.target[rows].to(wide)
        to_rows = scaling_to(source, plan.sum(2))
        share = plan / plan.sum(2, keepdim=True).clamp_min(TINY)  # each row's sums to 1
        plan = plan * to_rows[:, :, None]
        columns = plan.sum(1)
        system = -(plan.mT @ share)
        system.diagonal(dim1=1, dim2=2).add_(columns * (1 + DAMPING) + (target == 0))
        y = torch.linalg.solve_ex(system, target - columns).result
        y = y.where(y.isfinite(), 0.0)
        x = -(share @ y[:, :, None])[:, :, 0]
        longest = x.abs().amax(1, keepdim=True).maximum(y.abs().amax(1, keepdim=True))
        cut = (MAX_STEP / longest.clamp_min(TINY)).clamp_max(1.0)
        self.u[rows] *= (to_rows * (x * cut).exp()).to(self.u.dtype)
        self.v[rows] *= (y * cut).exp().to(self.v.dtype)

    def plan(self, rows: Tensor) -> Tensor:
        """Return the plans of the problems at `rows`, int64 places among those still open."""
        u, v = self.u.index_select(0, rows), self.v.index_select(0, rows)
        return self.kernel.index_select(0, rows).mul_(u[:, :, None]).mul_(v[:, None])

    def keep(self, chosen: Tensor) -> None:
        """Drop all problems but the chosen ones, a bool mask `(n_open,)`."""
        rows = chosen.nonzero()[:, 0]
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name).index_select(0, rows))


def scaling_to(mass: Tensor, weight: Tensor) -> Tensor:
    """Return `mass / weight` within `[1 / LIMIT, LIMIT]`, also where `weight` is zero."""
    return (mass / weight.clamp_min(TINY)).clamp_(1 / LIMIT, LIMIT)


def _times(vector: Tensor, matrix: Tensor) -> Tensor:
    """Return `vector @ matrix` per problem: `(batch, k)` by `(batch, k, l)` is `(batch, l)`.

    The batched product is the fastest on a CPU with the vector on the left. Accelerators, and
    anyone who has lowered torch's matmul precision, get sums of products instead: TF32 and
    bfloat16 keep three digits, too few for marginals.
    """
    import torch

    if matrix.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest":
        return torch.bmm(vector[:, None], matrix)[:, 0]
    return (vector[:, :, None] * matrix).sum(1)
