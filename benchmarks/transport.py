"""Time batched Sinkhorn against POT's at the same marginal error, side by side in one process.

    python benchmarks/transport.py [--problems 512] [--threads 2] [--repeats 5]

POT's batched solver (`ot.solve_batch`, method log_sinkhorn, float32) runs a fixed number of
iterations; ours then runs until every problem has the marginal error that POT's worst one has.
POT problem by problem (`ot.sinkhorn`, method sinkhorn_log, float64) runs to the same error on a
sample of the problems, and its time is scaled up. The exact solver runs in a loop. Errors are
sums of absolute differences from both marginals, measured on the plans alike for all. The least of
several repeats counts, as a busy machine only adds; ours are repeated more often as they are short.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import ot
import torch
from tabulate import tabulate
from torch import Tensor
from torch.nn import functional

from clir_bench.distill.transport.plans import exact, ipot, sinkhorn, transport_cost

T = TypeVar("T")
Problem = tuple[Tensor, Tensor, Tensor]
SETTINGS = ((0.1, 30), (0.05, 60), (0.05, 500), (0.02, 150), (0.01, 400), (0.005, 500))
"""Epsilon and POT's iterations: what it needs for an error of about 1e-4 (at 0.005 it would be
thousands), and 500 at the default epsilon, where all but the first 90 change nothing."""
N, M, DIM = 32, 40, 64
SAMPLE = 8
"""Problems that POT solves one by one."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=512)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    problem = sentences(options.problems)
    best = transport_cost(exact(*problem).plan, problem[0])
    rows = [row for each in SETTINGS for row in compare(problem, best, *each, options.repeats)]
    rows += [others(problem, best, *each) for each in (("exact", None), ("ipot", 0.5))]
    print(f"{options.problems} problems of {N} by {M}, float32; {machine(options.threads)}\n")
    headers = ["solver", "epsilon", "iterations", "seconds", "worst error", "over exact", "ratio"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def sentences(batch: int) -> Problem:
    """Cosine costs between token vectors and noisy, reordered copies of them; even masses."""
    draw = torch.Generator().manual_seed(0)
    topic = torch.randn(batch, 1, DIM, generator=draw)
    target = topic + torch.randn(batch, M, DIM, generator=draw)
    source = target[:, torch.randperm(M, generator=draw)[:N]]
    source = source + 0.6 * torch.randn(batch, N, DIM, generator=draw)
    cost = 1 - functional.normalize(source, dim=-1) @ functional.normalize(target, dim=-1).mT
    return cost, torch.full((batch, N), 1 / N), torch.full((batch, M), 1 / M)


def compare(
    problem: Problem,
    best: Tensor,
    epsilon: float,
    n_iterations: int,
    repeats: int,
) -> list[list[str]]:
    """Return the rows of the three solvers at one epsilon and one marginal error."""
    cost, source, target = problem

    def pot_batched() -> Tensor:
        plan: Tensor = ot.solve_batch(
            cost, epsilon, source, target, max_iter=n_iterations, tol=0.0, method="log_sinkhorn"
        ).plan
        return plan

    pot_seconds, plan = least(pot_batched, 2)
    reached = marginal_error(plan, source, target)
    tolerance = max(reached, 1e-6)  # below that float32 counts its own rounding
    label = f"{epsilon}"
    figured = figures(pot_seconds, plan, problem, best)
    rows = [["POT batched", label, f"{n_iterations}", *figured, "1"]]

    seconds, plan = one_by_one(problem, epsilon, tolerance)
    sample: Problem = (cost[:SAMPLE], source[:SAMPLE], target[:SAMPLE])
    figured = figures(seconds, plan, sample, best[:SAMPLE])
    rows.append(["POT one by one", label, "to error", *figured, f"{pot_seconds / seconds:.2g}"])

    seconds, solved = least(
        lambda: sinkhorn(*problem, epsilon=epsilon, tolerance=tolerance), repeats
    )
    iterations = f"{int(solved.n_iterations.median())} to {int(solved.n_iterations.max())}"
    figured = figures(seconds, solved.plan, problem, best)
    rows.append(["clir-bench", label, iterations, *figured, f"{pot_seconds / seconds:.0f}"])
    return rows


def one_by_one(problem: Problem, epsilon: float, tolerance: float) -> tuple[float, Tensor]:
    """Return POT's seconds for all problems, judged by a sample, and the plans of the sample."""
    start, plans = time.perf_counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not converged: the error is in the table
        for cost, *marginals in zip(*(x[:SAMPLE].double() for x in problem), strict=True):
            a, b = ((x / x.sum()).numpy() for x in marginals)
            plans.append(
                ot.sinkhorn(
                    a,
                    b,
                    cost.numpy(),
                    epsilon,
                    method="sinkhorn_log",
                    numItermax=2000,
                    # POT stops at a Euclidean norm: at most this share of the sum of N numbers
                    stopThr=tolerance / N**0.5,
                )
            )
    seconds = (time.perf_counter() - start) * len(problem[0]) / SAMPLE
    return seconds, torch.stack([torch.from_numpy(plan) for plan in plans]).float()


def others(problem: Problem, best: Tensor, name: str, beta: float | None) -> list[str]:
    """Return the row of the exact or of the proximal solver."""
    if beta is None:
        seconds, solved = least(lambda: exact(*problem), 3)
        return [
            f"{name} (POT in a loop)",
            "-",
            "-",
            *figures(seconds, solved.plan, problem, best),
            "",
        ]
    seconds, solved = least(lambda: ipot(*problem, beta=beta, n_iterations=200), 3)
    return [f"{name}, beta {beta}", "-", "200", *figures(seconds, solved.plan, problem, best), ""]


def figures(seconds: float, plan: Tensor, problem: Problem, best: Tensor) -> list[str]:
    """Return seconds, the worst marginal error and the mean cost above the exact one."""
    cost, source, target = problem
    above = (transport_cost(plan, cost) - best).mean()
    return [f"{seconds:.3f}", f"{marginal_error(plan, source, target):.1e}", f"{above:.1e}"]


def marginal_error(plan: Tensor, source: Tensor, target: Tensor) -> float:
    rows = (plan.sum(2) - source).abs().sum(1)
    return float((rows + (plan.sum(1) - target).abs().sum(1)).max())


def least(solve: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Return the least of several times in seconds, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = solve()
        times.append(time.perf_counter() - start)
    return min(times), result


def machine(threads: int) -> str:
    """Name what it ran on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{name}, {os.cpu_count()} cores, {threads} threads{busy}; "
        f"torch {torch.__version__}, POT {ot.__version__}"
    )


if __name__ == "__main__":
    main()
