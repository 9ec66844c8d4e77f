"""Finds the candidates for exact search of one block on an accelerator, with torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from clir_bench.core.profiling import stage
from clir_bench.search.topk import Rows, Scores
from clir_bench.types import Vectors

if TYPE_CHECKING:
    import torch

_MAX_PRODUCT_BYTES = 256 * 2**20
"""Most memory for scores of a block, 4 bytes per document and query."""


@stage("search")
def nearest(
    queries: Vectors, documents: Vectors | torch.Tensor, n: int, *, device: str
) -> tuple[Scores, Rows]:
    """Return each query's n best documents of a block, which `exact.search_block` scores again.

    Products are true float32: TF32 and any surrounding autocast are switched off.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32; `placed` moves them once for several query sets.
        n: Documents wanted, at most as many as there are; any of several with equal scores.
        device: A torch device, "cuda:0".

    Returns:
        Scores that never increase, and rows, both `(n_queries, n)`; rows are positions in
        `documents`.
    """
    import torch

    all_scores = np.empty((len(queries), n), dtype=np.float32)
    all_rows = np.empty((len(queries), n), dtype=np.int64)
    step = max(1, _MAX_PRODUCT_BYTES // (4 * max(1, len(documents))))
    with torch.inference_mode(), _full_precision(torch.device(device).type):
        columns = placed(documents, device).T
        for first in range(0, len(queries), step):
            scores = placed(queries[first : first + step], device) @ columns
            best, rows = torch.topk(scores, n, dim=1)
            all_scores[first : first + step] = best.cpu().numpy()
            all_rows[first : first + step] = rows.cpu().numpy()
    return all_scores, all_rows


def placed(vectors: Vectors | torch.Tensor, device: str) -> torch.Tensor:
    """Return vectors on a device; those already there stay unchanged."""
    import torch

    if isinstance(vectors, torch.Tensor):
        return vectors.to(device)
    if vectors.flags.writeable:
        return torch.from_numpy(vectors).to(device)
    return torch.tensor(vectors, device=device)  # torch shares no memory that is read-only


@contextmanager
def _full_precision(kind: str) -> Iterator[None]:
    """Keep products of float32 in float32."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(kind, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
