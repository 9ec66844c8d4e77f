"""Tests whether a FAISS index can do what a run needs, before the first document is encoded.

FAISS can build indexes that cannot grow block by block, that need ids for their documents, or that
do not rank by inner product. It reports such a limit only when the index is used.
"""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np

from clir_bench.errors import UsageError
from clir_bench.search.approximate_index import SUGGESTED, IndexSpec, faiss_said, written

_DOCUMENTS, _QUERIES, _FOUND = 256, 2, 3
"""More than the 100 that FAISS's smallest graphs need, and few enough to be cheap."""
_CELLS = re.compile(r"\bIVF\d+")
_LEARNED_CODES = re.compile(r"PQ|RQ|LSQ|ITQ")


def check_usable(spec: IndexSpec, dim: int) -> None:
    """Refuse an index that FAISS can make but a run cannot use.

    The index is tried on random vectors, with one cell instead of many. Learning codes takes long,
    so for an index that learns codes only its parts are checked.

    Raises:
        UsageError: FAISS makes no such index, it cannot be added to block by block, does not rank
            by inner products, or cannot be searched with its parameters, or stored.
    """
    import faiss

    index, library = spec.empty(dim), cast(Any, faiss)  # whose type stubs lack what follows
    if not library.is_similarity_metric(index.metric_type):
        raise _unusable(spec, "it ranks by distance, but models here compare by inner product")
    if part := _unfit_part(index):
        raise _unusable(spec, f"{part} cannot be filled block by block")
    if not _LEARNED_CODES.search(spec.factory):
        _try_out(spec, dim)


def _try_out(spec: IndexSpec, dim: int) -> None:
    """Train, fill in two blocks, search and write a small one."""
    small = spec._replace(factory=_CELLS.sub("IVF1", spec.factory))
    vectors = np.random.default_rng(0).standard_normal((_DOCUMENTS, dim)).astype(np.float32)
    index = small.empty(dim)
    if not index.is_trained:
        try:
            index.train(vectors)
        except RuntimeError:  # it may only want more documents, which a corpus can have
            return
    try:
        for block in (vectors[: -_FOUND - 1], vectors[-_FOUND - 1 :]):
            index.add(block)
        index.search(vectors[:_QUERIES], _FOUND)
        written(index, lambda data: None)
    except (RuntimeError, AssertionError) as error:
        raise _unusable(spec, faiss_said(error)) from None


def _unfit_part(index: Any) -> str:
    """Return the name of the part of an index that accepts no second block, if any."""
    import faiss

    library: Any = faiss
    unfit = (library.IndexNSG, library.IndexNNDescent, library.IndexIDMap, library.IndexIDMap2)
    while True:
        index = library.downcast_index(index)
        if isinstance(index, unfit):
            return type(index).__name__
        if isinstance(index, library.IndexPreTransform):
            index = index.index
        elif isinstance(index, library.IndexRefine):
            index = index.base_index
        else:
            return ""


def _unusable(spec: IndexSpec, why: str) -> UsageError:
    return UsageError(f"--index {str(spec)!r} cannot be used: {why}; {SUGGESTED}")
