"""Exact inner-product search of one block on an accelerator, by torch's matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from clir_bench.index.topk import Rows, Scores
from clir_bench.profiling import stage
from clir_bench.types import Vectors

if TYPE_CHECKING:
    import torch

_MAX_PRODUCT_BYTES = 256 * 2**20
"""Most memory for scores of a block, 4 bytes a document and query; deciding ties takes 4 times."""


@stage("search")
def search_block(
    queries: Vectors, documents: Vectors | torch.Tensor, k: int, ranks: Rows, *, device: str
) -> tuple[Scores, Rows]:
    """Return each query's best k documents of a block, a tie at the cut decided by id.

    Products are float32's own: neither TF32 nor an autocast around it is let in. They are summed in
    another order than FAISS sums them, so scores differ from `exact.search_block`'s by rounding;
    what is made of them does not.

    Args:
        queries: `(n_queries, dim)` float32.
        documents: `(n_documents, dim)` float32; `placed` moves them once for several query sets.
        k: Documents wanted, at least 1.
        ranks: `topk.id_ranks` of the block's documents.
        device: A torch device, "cuda:0".

    Returns:
        Scores and rows, both `(n_queries, min(k, n_documents))`; rows are positions in `documents`.
    """
    import torch

    n_queries, n_documents = len(queries), len(documents)
    kept = min(k, n_documents)
    all_scores = np.empty((n_queries, kept), dtype=np.float32)
    all_rows = np.empty((n_queries, kept), dtype=np.int64)
    step = max(1, _MAX_PRODUCT_BYTES // (4 * max(1, n_documents)))
    with torch.inference_mode(), _full_precision(torch.device(device).type):
        columns = placed(documents, device).T
        ranks_there: torch.Tensor | None = None
        for first in range(0, n_queries, step):
            # Adding 0 makes of every -0 a 0: some of torch's selections hold them for different.
            scores = placed(queries[first : first + step], device) @ columns + 0.0
            best, rows = torch.topk(scores, min(k + 1, n_documents), dim=1)
            if n_documents > k:
                open_tie = torch.nonzero(best[:, k] == best[:, k - 1])[:, 0]
                best, rows = best[:, :k], rows[:, :k]
                if len(open_tie):
                    if ranks_there is None:
                        ranks_there = torch.tensor(ranks, device=device)
                    _decide(scores, best, rows, open_tie, ranks_there)
            all_scores[first : first + step] = best.cpu().numpy()
            all_rows[first : first + step] = rows.cpu().numpy()
    return all_scores, all_rows


def placed(vectors: Vectors | torch.Tensor, device: str) -> torch.Tensor:
    """Return vectors on a device, those that are there already as they are."""
    import torch

    if isinstance(vectors, torch.Tensor):
        return vectors.to(device)
    if vectors.flags.writeable:
        return torch.from_numpy(vectors).to(device)
    return torch.tensor(vectors, device=device)  # torch shares no memory that is read-only


def _decide(
    scores: torch.Tensor,
    best: torch.Tensor,
    rows: torch.Tensor,
    open_tie: torch.Tensor,
    ranks: torch.Tensor,
) -> None:
    """Replace, in `rows`, the documents that score as the k-th by those that come first by id."""
    import torch

    k = best.shape[1]
    behind = torch.iinfo(ranks.dtype).max
    step = max(1, len(scores) // 4)
    for first in range(0, len(open_tie), step):
        some = open_tie[first : first + step]
        cut = best[some, k - 1 :]
        tied = torch.where(scores[some] == cut, ranks, behind)
        first_by_id = torch.topk(tied, k, dim=1, largest=False).indices
        n_above = (best[some] > cut).sum(dim=1, keepdim=True)
        place = torch.arange(k, device=scores.device) - n_above
        of_tie = torch.gather(first_by_id, 1, place.clamp(min=0))
        rows[some] = torch.where(place < 0, rows[some], of_tie)


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
