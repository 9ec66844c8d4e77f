"""Optimal transport, held to POT's exact and entropic solvers and to formulas written out here."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from clir_bench.distill.transport.plans import (
    TransportPlan,
    exact,
    greedy_alignment,
    ipot,
    sinkhorn,
    transport_cost,
    uniform_marginals,
    weighted_marginals,
)
from clir_bench.errors import DataError, UsageError

Problem = tuple[Tensor, Tensor, Tensor]
FLOAT32 = 1e-6
"""Rounding of sums of up to 80 float32 numbers of total 1."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small operations on several threads wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ragged(
    batch: int, n: int, m: int, *, seed: int, spread: float = 0.0, scale: float = 2.0
) -> Problem:
    """Costs in [0, scale] between 1 to n and 1 to m tokens; masses lognormal with this spread."""
    draw = torch.Generator().manual_seed(seed)
    source_mask = torch.arange(n) < torch.randint(1, n + 1, (batch, 1), generator=draw)
    target_mask = torch.arange(m) < torch.randint(1, m + 1, (batch, 1), generator=draw)
    source = (spread * torch.randn(batch, n, generator=draw)).exp()
    target = (spread * torch.randn(batch, m, generator=draw)).exp()
    cost = torch.rand(batch, n, m, generator=draw) * scale
    return cost, weighted_marginals(source, source_mask), weighted_marginals(target, target_mask)


def even(cost: Tensor) -> Problem:
    """Every token of equal mass."""
    batch, n, m = cost.shape
    return cost, torch.full((batch, n), 1 / n), torch.full((batch, m), 1 / m)


def marginal_error(plan: Tensor, source: Tensor, target: Tensor) -> float:
    rows = (plan.double().sum(2) - source.double()).abs().sum(1)
    columns = (plan.double().sum(1) - target.double()).abs().sum(1)
    return float((rows + columns).max())


def log_domain(problem: Problem, epsilon: float, n_iterations: int) -> Tensor:
    """The textbook iteration in float64: Peyré and Cuturi 2019, equations 4.43 and 4.44."""
    cost, source, target = (x.double() for x in problem)
    f, g = torch.zeros_like(source), torch.zeros_like(target)
    for _ in range(n_iterations):
        f = epsilon * (source.log() - ((g[:, None] - cost) / epsilon).logsumexp(2))
        g = epsilon * (target.log() - ((f[:, :, None] - cost) / epsilon).logsumexp(1))
    return ((f[:, :, None] + g[:, None] - cost) / epsilon).exp()


def entropy(plan: Tensor) -> Tensor:
    return -torch.special.xlogy(plan, plan).sum((1, 2))


@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.005])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_sinkhorn_solves_500_ragged_problems_within_the_entropic_bound(
    epsilon: float, spread: float
) -> None:
    problem = ragged(500, 10, 12, seed=1, spread=spread)
    cost, source, target = problem
    solved = sinkhorn(*problem, epsilon=epsilon)
    best = transport_cost(exact(*problem).plan.double(), cost.double())
    gap = transport_cost(solved.plan.double(), cost.double()) - best
    assert marginal_error(solved.plan, source, target) <= 1e-4 + FLOAT32
    # a plan off by 1e-4 in mass can be cheaper than the best by that times the largest cost, 2
    assert gap.min() >= -2e-4
    n_cells = (source > 0).sum(1) * (target > 0).sum(1)
    assert (gap <= epsilon * n_cells.log() + 2e-4).all()
    assert (solved.plan >= 0).all()


def test_sinkhorn_agrees_with_a_float64_logsumexp_down_to_epsilon_0005() -> None:
    problem = even(torch.rand(24, 8, 11, generator=torch.Generator().manual_seed(2)) * 2)
    for epsilon, n_iterations in ((1.0, 20), (0.05, 500), (0.005, 8000)):
        reference = log_domain(problem, epsilon, n_iterations)
        solved = sinkhorn(*problem, epsilon=epsilon, tolerance=1e-6)
        settled = (reference.sum(2) - problem[1]).abs().sum(1) < 1e-6
        assert settled.sum() >= 20
        off = (solved.plan - reference).abs().sum((1, 2))[settled]
        assert off.max() < 1e-3, epsilon
        assert off.median() < 5e-5, epsilon


@pytest.mark.parametrize("epsilon", [1.0, 0.05, 0.02])
def test_sinkhorn_agrees_with_pot_problem_by_problem(epsilon: float) -> None:
    cost, source, target = ragged(12, 9, 7, seed=3, spread=0.5)
    plans = sinkhorn(cost, source, target, epsilon=epsilon, tolerance=1e-6).plan
    for c, a, b, plan in zip(cost, source, target, plans, strict=True):
        n, m = int((a > 0).sum()), int((b > 0).sum())
        # the masked sides, in float64 and summing to 1 again
        a64, b64 = a[:n].double().numpy(), b[:m].double().numpy()
        a64, b64 = a64 / a64.sum(), b64 / b64.sum()
        reference = ot.sinkhorn(
            a64,
            b64,
            c[:n, :m].double().numpy(),
            epsilon,
            method="sinkhorn_log",
            numItermax=20_000,
            stopThr=1e-9,
            warn=False,
        )
        assert np.abs(plan[:n, :m].numpy() - reference).sum() < 2e-4


def test_sinkhorn_agrees_with_pot_batched() -> None:
    problem = even(torch.rand(6, 9, 7, generator=torch.Generator().manual_seed(4)))
    reference = ot.solve_batch(
        problem[0].double(),
        0.1,
        problem[1].double(),
        problem[2].double(),
        max_iter=2000,
        tol=1e-9,
        method="log_sinkhorn",
    ).plan
    torch.testing.assert_close(
        sinkhorn(*problem, epsilon=0.1, tolerance=1e-6).plan.double(), reference, atol=1e-6, rtol=0
    )


def test_sinkhorn_in_float64_reaches_float64() -> None:
    problem = even(torch.rand(8, 6, 9, generator=torch.Generator().manual_seed(5)).double())
    problem = (problem[0], *(x.double() / x.double().sum(1, keepdim=True) for x in problem[1:]))
    solved = sinkhorn(*problem, epsilon=0.05, tolerance=1e-12)
    assert solved.plan.dtype == torch.float64
    assert solved.marginal_error.max() < 2e-12
    reference = log_domain(problem, 0.05, 3000)
    torch.testing.assert_close(solved.plan, reference, atol=1e-10, rtol=0)


@pytest.mark.parametrize("epsilon", [0.05, 0.005])
def test_a_transposed_problem_has_the_transposed_plan(epsilon: float) -> None:
    cost, source, target = ragged(100, 8, 12, seed=6)
    plan = sinkhorn(cost, source, target, epsilon=epsilon, tolerance=1e-6).plan
    other = sinkhorn(cost.mT, target, source, epsilon=epsilon, tolerance=1e-6).plan
    assert (plan - other.mT).abs().sum((1, 2)).quantile(0.95) < 1e-4
    torch.testing.assert_close(transport_cost(plan, cost), transport_cost(other.mT, cost))


@pytest.mark.parametrize("solve", [sinkhorn, ipot, exact, greedy_alignment])
def test_padding_changes_nothing_whatever_its_costs(solve) -> None:
    cost, source, target = ragged(40, 6, 8, seed=7, spread=0.5)
    poison = torch.tensor([math.nan, math.inf, -math.inf, 1e30]).repeat(40)
    padded = torch.full((40, 9, 13), math.nan)
    padded.view(-1)[: len(poison)] = poison
    padded[:, 1:7, 2:10] = cost
    padded_source = torch.nn.functional.pad(source, (1, 2))
    padded_target = torch.nn.functional.pad(target, (2, 3))
    plan = solve(padded, padded_source, padded_target).plan
    torch.testing.assert_close(
        plan[:, 1:7, 2:10], solve(cost, source, target).plan, atol=1e-6, rtol=1e-3
    )
    assert (plan[padded_source == 0] == 0).all()
    assert (plan.mT[padded_target == 0] == 0).all()


@pytest.mark.parametrize("solve", [sinkhorn, ipot, exact, greedy_alignment])
def test_a_plan_does_not_depend_on_the_rest_of_the_batch(solve) -> None:
    cost, source, target = ragged(60, 8, 9, seed=8)
    cost[30:] *= 50  # needs annealing, and many more iterations
    together = solve(cost, source, target).plan
    apart = solve(cost[5:9], source[5:9], target[5:9]).plan
    torch.testing.assert_close(together[5:9], apart, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("solve", [sinkhorn, ipot, exact, greedy_alignment])
def test_reordered_tokens_reorder_the_plan(solve) -> None:
    cost, source, target = ragged(40, 7, 9, seed=9, spread=0.5)
    draw = torch.Generator().manual_seed(0)
    rows, columns = torch.randperm(7, generator=draw), torch.randperm(9, generator=draw)
    plan = solve(cost, source, target).plan
    other = solve(cost[:, rows][:, :, columns], source[:, rows], target[:, columns]).plan
    torch.testing.assert_close(other, plan[:, rows][:, :, columns], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("solve", [sinkhorn, ipot, exact])
def test_one_token_against_many_takes_the_other_marginal(solve) -> None:
    cost, source, target = ragged(20, 1, 6, seed=10, spread=1.0)
    torch.testing.assert_close(solve(cost, source, target).plan[:, 0], target, atol=1e-6, rtol=1e-4)
    turned = solve(cost.mT, target, source).plan
    torch.testing.assert_close(turned[:, :, 0], target, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("solve", [sinkhorn, ipot])
@pytest.mark.parametrize("value", [0.0, 0.7, -3.0, 1e3])
def test_equal_costs_give_the_independent_coupling(solve, value: float) -> None:
    _, source, target = ragged(20, 5, 6, seed=11, spread=1.0)
    plan = solve(torch.full((20, 5, 6), value), source, target).plan
    torch.testing.assert_close(plan, source[:, :, None] * target[:, None], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("solve", [sinkhorn, ipot])
def test_identical_rows_share_alike(solve) -> None:
    cost = torch.rand(10, 1, 7, generator=torch.Generator().manual_seed(12)).repeat(1, 4, 1)
    plan = solve(*even(cost)).plan
    torch.testing.assert_close(plan, torch.full((10, 4, 7), 1 / 28), atol=1e-6, rtol=1e-4)


def test_two_by_two_is_the_closed_form() -> None:
    # P = [[p, q], [q, p]] with p + q = 1/2 and p / q = exp((C12 - C11) / epsilon)
    cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    for epsilon in (1.0, 0.25, 0.005):
        p = 0.5 / (1 + math.exp(-1 / epsilon))
        plan = sinkhorn(*even(cost), epsilon=epsilon).plan
        assert plan[0, 0, 0].item() == pytest.approx(p, rel=1e-5)
        assert plan[0, 0, 1].item() == pytest.approx(0.5 - p, abs=1e-6)


@pytest.mark.parametrize("scale", [1e3, 1e-6])
@pytest.mark.parametrize("shift", [0.0, -500.0])
def test_costs_of_any_size_and_sign_are_solved(scale: float, shift: float) -> None:
    cost, source, target = ragged(60, 8, 9, seed=13, spread=1.0, scale=scale)
    problem = (cost + shift, source, target)
    for epsilon in (0.05, 0.005):
        solved = sinkhorn(*problem, epsilon=epsilon)
        assert marginal_error(solved.plan, source, target) <= 1e-4 + FLOAT32
        best = transport_cost(exact(*problem).plan.double(), problem[0].double())
        gap = transport_cost(solved.plan.double(), problem[0].double()) - best
        largest = problem[0].abs().max()
        assert (gap.abs() <= epsilon * math.log(72) + 2e-4 * largest).all()


def test_masses_over_eight_orders_of_magnitude_are_met() -> None:
    cost, source, target = ragged(100, 8, 9, seed=14, spread=4.0)
    solved = sinkhorn(cost, source, target, epsilon=0.005)
    assert source[source > 0].min() < 1e-7
    assert marginal_error(solved.plan, source, target) <= 1e-4 + FLOAT32


def test_the_reported_error_and_iterations_are_those_of_the_plan() -> None:
    cost, source, target = ragged(50, 9, 12, seed=15)
    for max_iterations in (1, 12, 25):
        solved = sinkhorn(
            cost, source, target, epsilon=0.05, max_iterations=max_iterations, tolerance=0.0
        )
        assert (solved.n_iterations <= max_iterations).all()
        assert solved.n_iterations.max() >= 0.9 * max_iterations
        own = marginal_error(solved.plan, source, target)
        assert float(solved.marginal_error.max()) == pytest.approx(own, abs=FLOAT32)


def test_the_gradient_with_respect_to_the_cost_is_the_plan() -> None:
    cost, source, target = ragged(20, 5, 6, seed=16)
    cost.requires_grad_()
    solved = sinkhorn(cost, source, target, epsilon=0.05)
    assert not any(part.requires_grad for part in solved)
    (gradient,) = torch.autograd.grad(transport_cost(solved.plan, cost).sum(), cost)
    assert torch.equal(gradient, solved.plan)


def test_no_gradient_reaches_the_plan() -> None:
    plan = torch.full((1, 2, 2), 0.25, requires_grad=True)
    cost = torch.rand(1, 2, 2, requires_grad=True)
    transport_cost(plan, cost).sum().backward()
    assert plan.grad is None
    assert torch.equal(cost.grad, plan.detach())


def test_the_plan_is_the_derivative_of_the_entropic_value() -> None:
    # the envelope theorem, by central differences of min <P, C> - epsilon * (entropy(P) + 1)
    problem = even(torch.rand(1, 4, 5, generator=torch.Generator().manual_seed(17)).double())
    cost, source, target = problem[0], *(x.double() for x in problem[1:])
    source, target = source / source.sum(), target / target.sum()

    def value(cost: Tensor) -> Tensor:
        plan = sinkhorn(cost, source, target, epsilon=0.1, tolerance=1e-13).plan
        return transport_cost(plan, cost) - 0.1 * (entropy(plan) + 1)

    step = 1e-5
    shifts = step * torch.eye(20, dtype=torch.float64).view(20, 1, 4, 5)
    slopes = torch.stack([(value(cost + s) - value(cost - s)) / (2 * step) for s in shifts])
    plan = sinkhorn(cost, source, target, epsilon=0.1, tolerance=1e-13).plan
    torch.testing.assert_close(slopes.view(1, 4, 5), plan, atol=1e-8, rtol=1e-6)


def test_a_cost_that_is_no_number_outside_the_plan_does_not_spoil_the_loss() -> None:
    plan = torch.tensor([[[1.0, 0.0]]])
    cost = torch.tensor([[[0.5, math.nan]]], requires_grad=True)
    loss = transport_cost(plan, cost)
    loss.sum().backward()
    assert loss.item() == 0.5
    assert cost.grad.tolist() == [[[1.0, 0.0]]]


def test_proximal_points_reach_the_exact_cost_of_small_problems() -> None:
    problem = ragged(100, 6, 7, seed=18)
    solved = ipot(*problem, beta=0.5, n_iterations=1000, inner_iterations=5)
    best = transport_cost(exact(*problem).plan, problem[0])
    gap = transport_cost(solved.plan, problem[0]) - best
    assert marginal_error(solved.plan, *problem[1:]) < 1e-3
    assert gap.min() > -1e-3
    assert gap.max() < 2e-3
    assert gap.mean().abs() < 1e-4


def test_a_proximal_step_solved_to_the_end_is_entropic_transport_at_beta_over_t() -> None:
    problem = even(torch.rand(10, 5, 6, generator=torch.Generator().manual_seed(19)))
    for n_iterations in (1, 3, 10):
        steps = ipot(*problem, beta=0.5, n_iterations=n_iterations, inner_iterations=200)
        direct = sinkhorn(*problem, epsilon=0.5 / n_iterations, tolerance=1e-7)
        torch.testing.assert_close(steps.plan, direct.plan, atol=1e-5, rtol=0)


def test_proximal_points_with_padding_are_no_independent_coupling() -> None:
    # what POT 0.9.7's batched proximal solver returns, or NaN with padding (POT issue 842)
    cost = torch.tensor([[[0.0, 1.0, 9.0], [1.0, 0.0, 9.0], [9.0, 9.0, 9.0]]])
    half = torch.tensor([[0.5, 0.5, 0.0]])
    plan = ipot(cost, half, half, beta=0.5, n_iterations=20).plan
    torch.testing.assert_close(plan[0], torch.diag(half[0]), atol=1e-6, rtol=0)


def test_exact_agrees_with_linear_programming() -> None:
    cost, source, target = ragged(10, 5, 6, seed=20, spread=0.5)
    costs = transport_cost(exact(cost, source, target).plan.double(), cost.double())
    for c, a, b, found in zip(cost.double(), source, target, costs, strict=True):
        rows = np.kron(np.eye(5), np.ones(6))
        columns = np.kron(np.ones(5), np.eye(6))
        reference = linprog(
            c.numpy().ravel(),
            A_eq=np.vstack([rows, columns[:-1]]),  # the last one follows from the others
            b_eq=np.concatenate([a.double().numpy(), b.double().numpy()[:-1]]),
        )
        assert float(found) == pytest.approx(reference.fun, abs=1e-6)


def test_exact_without_pot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(UsageError, match=r"pip install 'clir-bench\[transport\]'"):
        exact(*ragged(1, 2, 2, seed=0))


def test_greedy_alignment_sends_each_token_to_its_nearest() -> None:
    cost = torch.tensor([[[0.3, 0.1, -9.0], [0.2, 0.2, -9.0], [0.0, 0.5, -9.0]]])
    source = torch.tensor([[0.5, 0.3, 0.2]])
    solved = greedy_alignment(cost, source, torch.tensor([[0.5, 0.5, 0.0]]))
    expected = [[0.0, 0.5, 0.0], [0.3, 0.0, 0.0], [0.2, 0.0, 0.0]]
    torch.testing.assert_close(solved.plan[0], torch.tensor(expected))
    # columns get 0.5 and 0.5: as the target wants
    assert solved.marginal_error.item() == pytest.approx(0.0, abs=1e-6)
    solved = greedy_alignment(cost, source, torch.tensor([[1.0, 0.0, 0.0]]))
    assert solved.plan[0].sum(0).tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_uniform_marginals_leave_padding_without_mass() -> None:
    mask = torch.tensor([[0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 0, 0]])
    expected = [[0, 0.25, 0.25, 0.25, 0.25, 0], [0, 1, 0, 0, 0, 0]]
    assert uniform_marginals(mask).tolist() == expected
    assert uniform_marginals(mask.bool()).tolist() == expected


def test_weighted_marginals_are_in_proportion_and_ignore_masked_weights() -> None:
    weights = torch.tensor([[1.0, 3.0, math.nan], [0.0, 1e-38, -1.0]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    assert weighted_marginals(weights, mask).tolist() == [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]


def test_half_precision_costs_and_marginals_are_solved_in_float32() -> None:
    cost, source, target = ragged(20, 9, 30, seed=22)
    for dtype in (torch.bfloat16, torch.float16):
        low = (cost.to(dtype), source.to(dtype), target.to(dtype))
        solved = sinkhorn(*low)
        assert solved.plan.dtype == torch.float32
        assert solved.marginal_error.max() <= 1e-4 + FLOAT32


def test_autocast_and_low_matmul_precision_change_nothing() -> None:
    problem = ragged(50, 20, 24, seed=23)
    plain = sinkhorn(*problem, epsilon=0.01, tolerance=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = sinkhorn(*problem, epsilon=0.01, tolerance=1e-5)
    torch.testing.assert_close(cast.plan, plain.plan, rtol=0, atol=0)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        low = sinkhorn(*problem, epsilon=0.01, tolerance=1e-5)
    finally:
        torch.set_float32_matmul_precision(before)
    assert low.marginal_error.max() <= 1e-5 + FLOAT32
    torch.testing.assert_close(low.plan, plain.plan, rtol=0, atol=1e-4)


def test_inputs_are_left_as_they_are() -> None:
    problem = ragged(10, 5, 6, seed=24)
    copies = [x.clone() for x in problem]
    for solve in (sinkhorn, ipot, exact, greedy_alignment):
        solve(*problem)
    assert all(torch.equal(x, y) for x, y in zip(problem, copies, strict=True))


def test_an_empty_batch_has_an_empty_plan() -> None:
    problem = (torch.zeros(0, 3, 4), torch.zeros(0, 3), torch.zeros(0, 4))
    for solve in (sinkhorn, ipot, exact, greedy_alignment):
        solved = solve(*problem)
        assert isinstance(solved, TransportPlan)
        assert solved.plan.shape == (0, 3, 4)
        assert solved.marginal_error.shape == (0,)


def test_a_sentence_without_real_tokens_is_refused_by_its_number() -> None:
    mask = torch.tensor([[True, True], [False, False]])
    with pytest.raises(UsageError, match=r"problem 1 of the batch.*every token is masked"):
        uniform_marginals(mask)
    cost = torch.zeros(2, 2, 2)
    full = torch.full((2, 2), 0.5)
    with pytest.raises(UsageError, match=r"problem 1 of the batch.*target has no mass"):
        sinkhorn(cost, full, full * mask)
    with pytest.raises(UsageError, match=r"problem 1 of the batch.*source has no mass"):
        ipot(cost, full * mask, full)


@pytest.mark.parametrize(
    ("marginal", "said"),
    [
        (torch.tensor([[1.5, -0.5]]), "must be >= 0 and sum to 1"),
        (torch.tensor([[1.0, 1.0]]), "must be >= 0 and sum to 1"),
        (torch.tensor([[math.nan, 1.0]]), "must be >= 0 and sum to 1"),
        (torch.tensor([[0.5, 0.25, 0.25]]), r"expected \(batch, n, m\)"),
    ],
)
def test_marginals_that_are_none_are_refused(marginal: Tensor, said: str) -> None:
    half = torch.tensor([[0.5, 0.5]])
    with pytest.raises(UsageError, match=said):
        sinkhorn(torch.zeros(1, 2, 2), marginal, half)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("solve", [sinkhorn, ipot, exact, greedy_alignment])
def test_a_cost_that_is_no_number_between_real_tokens_is_refused(solve, value: float) -> None:
    cost = torch.zeros(3, 2, 2)
    cost[2, 0, 1] = value
    with pytest.raises(DataError, match=r"problem 2 of the batch.*not finite"):
        solve(*even(cost))


@pytest.mark.parametrize(
    ("solve", "settings", "said"),
    [
        (sinkhorn, {"epsilon": 0.0}, "epsilon is 0.0"),
        (sinkhorn, {"epsilon": math.nan}, "epsilon is nan"),
        (sinkhorn, {"max_iterations": 0}, "max_iterations is 0"),
        (sinkhorn, {"tolerance": -1.0}, "tolerance is -1.0"),
        (ipot, {"beta": -1.0}, "beta is -1.0"),
        (ipot, {"n_iterations": 0}, "n_iterations is 0"),
        (ipot, {"inner_iterations": 0}, "inner_iterations is 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(solve, settings, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        solve(*ragged(1, 2, 2, seed=0), **settings)


def test_weights_and_plans_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match=r"weights of shape \(1, 2\) and mask of shape \(1, 3\)"):
        weighted_marginals(torch.ones(1, 2), torch.ones(1, 3))
    with pytest.raises(UsageError, match="weight is negative"):
        weighted_marginals(torch.tensor([[1.0, -1.0]]), torch.ones(1, 2))
    with pytest.raises(UsageError, match=r"plan of shape \(1, 2, 2\)"):
        transport_cost(torch.zeros(1, 2, 2), torch.zeros(1, 2, 3))


@pytest.mark.gpu
def test_sinkhorn_on_an_accelerator_gives_the_plans_of_the_cpu() -> None:
    device = torch.accelerator.current_accelerator()
    if device is None:
        pytest.skip("needs an accelerator that torch knows")
    problem = ragged(100, 20, 24, seed=25)
    for epsilon in (1.0, 0.05, 0.005):
        there = sinkhorn(*(x.to(device) for x in problem), epsilon=epsilon, tolerance=1e-5)
        here = sinkhorn(*problem, epsilon=epsilon, tolerance=1e-5)
        assert there.plan.device.type == device.type
        assert there.marginal_error.max() <= 1e-5 + FLOAT32
        torch.testing.assert_close(there.plan.cpu(), here.plan, atol=1e-4, rtol=0)
