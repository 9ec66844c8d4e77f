"""Candidates found by torch, on the CPU here, against FAISS's and brute force."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clir_bench.search import exact, gpu
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.types import Run, Vectors


def integers(seed: int, n: int, largest: int) -> Vectors:
    """Vectors whose products float32 holds exactly."""
    generator = np.random.default_rng(seed)
    return generator.integers(-largest, largest + 1, (n, 4)).astype(np.float32)


def check_against_faiss(
    queries: Vectors, documents: Vectors, k: int, ids: Sequence[str], where: str = "cpu"
) -> None:
    """Expect FAISS's scores and documents in the same order."""
    found, expected = ranked(queries, documents, k, ids, where), ranked(queries, documents, k, ids)
    assert found.doc_ids == expected.doc_ids
    assert [scores.dtype for scores in found.scores] == [np.float32] * len(queries)
    assert np.array_equal(found.scores, expected.scores)


def searched(
    queries: Vectors, documents: Vectors, k: int, ids: Sequence[str], where: str = "cpu"
) -> tuple[Vectors, object]:
    nearest = partial(gpu.nearest, queries, gpu.placed(documents, where), device=where)
    return exact.search_block(queries, documents, k, id_ranks(ids), nearest)


def ranked(
    queries: Vectors, documents: Vectors, k: int, ids: Sequence[str], where: str | None = None
) -> Run:
    """Rank one block, by FAISS when no device is named."""
    ranking = TopK(len(queries), k)
    if where is None:
        found = exact.search_block(queries, documents, k, id_ranks(ids))
    else:
        found = searched(queries, documents, k, ids, where)
    ranking.add(*found, ids)
    return ranking.run([str(number) for number in range(len(queries))])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    n_queries=st.integers(1, 12),
    n=st.integers(1, 60),
    k=st.integers(1, 70),
    largest=st.sampled_from([0, 1, 2, 1000]),
    memory=st.sampled_from([1, 1000, 2**28]),
)
def test_torch_finds_what_faiss_finds_with_and_without_ties_and_in_any_memory(
    seed: int, n_queries: int, n: int, k: int, largest: int, memory: int
) -> None:
    ids = [f"d{number}" for number in np.random.default_rng(seed).permutation(n)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "_MAX_PRODUCT_BYTES", memory)
        check_against_faiss(
            integers(seed, n_queries, largest), integers(seed + 1, n, largest), k, ids
        )


def test_tie_at_the_cut_is_decided_by_the_highest_id() -> None:
    queries = np.ones((3, 1), dtype=np.float32)
    documents = np.array([[1], [2], [1], [1], [0]], dtype=np.float32)
    found = ranked(queries, documents, 3, ["b", "a", "e", "c", "z"], "cpu")
    assert np.array(found.scores).tolist() == [[2, 1, 1]] * 3
    assert found.doc_ids == (("a", "e", "c"),) * 3


def test_negative_zero_ties_with_zero() -> None:
    queries = np.array([[1.0], [-1.0]], dtype=np.float32)
    documents = np.array([[0.0], [-0.0], [0.0]], dtype=np.float32)
    found = ranked(queries, documents, 1, "acb", "cpu")
    assert found.doc_ids == (("c",), ("c",))
    assert not np.signbit(found.scores).any()


def test_blocks_merge_to_the_ranking_of_all() -> None:
    queries, documents = integers(1, 9, 2), integers(2, 200, 2)
    ids = [f"d{number}" for number in np.random.default_rng(3).permutation(200)]
    ranking = TopK(9, 30)
    for block in (slice(0, 20), slice(20, 130), slice(130, 200)):
        ranking.add(*searched(queries, documents[block], 30, ids[block]), ids[block])
    found = ranking.run([str(number) for number in range(9)])
    for of_found, of_query in zip(found.doc_ids, queries @ documents.T, strict=True):
        pairs = sorted(zip(of_query.tolist(), ids, strict=True), reverse=True)
        assert list(of_found) == [doc_id for _, doc_id in pairs[:30]]


def test_documents_moved_before_and_read_only_ones_are_searched_alike() -> None:
    queries, documents = integers(4, 3, 9), integers(5, 40, 9)
    first = gpu.nearest(queries, documents, 5, device="cpu")
    moved = gpu.placed(documents, "cpu")
    documents.flags.writeable = False
    for other in (moved, documents):
        again = gpu.nearest(queries, other, 5, device="cpu")
        assert np.array_equal(again[0], first[0])
        assert np.array_equal(again[1], first[1])


def test_precision_asked_for_elsewhere_neither_holds_here_nor_is_lost() -> None:
    before = torch.get_float32_matmul_precision()
    generator = np.random.default_rng(6)
    queries, documents = generator.random((2, 8, 64), dtype=np.float32)
    plain, _ = gpu.nearest(queries, documents, 8, device="cpu")
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low, _ = gpu.nearest(queries, documents, 8, device="cpu")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.array_equal(plain, low)


@pytest.mark.gpu
@pytest.mark.parametrize("largest", [0, 1, 1000])
def test_a_gpu_finds_what_faiss_finds(largest: int) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    ids = [f"d{number}" for number in np.random.default_rng(0).permutation(20_000)]
    for k in (1, 10, 1000, 30_000):
        check_against_faiss(integers(1, 300, largest), integers(2, 20_000, largest), k, ids, "cuda")
