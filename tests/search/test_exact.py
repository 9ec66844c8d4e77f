"""Search by blocks against brute force: all scores, sorted by score and id descending."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from clir_bench.errors import EncoderError
from clir_bench.search import exact, maxsim, topk
from clir_bench.search.blocks import VectorBlock
from clir_bench.search.ids import Ids
from clir_bench.search.topk import TopK, best_of_block, first_by_id, id_ranks
from clir_bench.types import Run, Vectors

SMALL = settings(max_examples=50, deadline=None, derandomize=True)


def brute_force(scores: NDArray[np.float32], ids: Sequence[str], k: int) -> list[list[str]]:
    """Return every query's ranking by two stable sorts, ids first."""
    rankings = []
    for of_query in scores.tolist():
        pairs = sorted(zip(ids, of_query, strict=True), reverse=True)
        pairs.sort(key=lambda pair: pair[1], reverse=True)
        rankings.append([doc_id for doc_id, _ in pairs[:k]])
    return rankings


def search_in_blocks(
    queries: Vectors, documents: Vectors, ids: Sequence[str], k: int, cuts: Sequence[int]
) -> Run:
    ranking = TopK(len(queries), k)
    for first, end in zip([0, *cuts], [*cuts, len(ids)], strict=True):
        if first < end:
            block_ids = ids[first:end]
            scores, rows = exact.search_block(queries, documents[first:end], k, id_ranks(block_ids))
            ranking.add(scores, rows, block_ids)
    return ranking.run([f"q{number}" for number in range(len(queries))])


def as_lists(run: Run) -> list[list[str]]:
    return [list(ids) for ids in run.doc_ids]


@st.composite
def problems(draw: st.DrawFn, largest: int) -> tuple[Vectors, Vectors, list[str], int, list[int]]:
    """Integer vectors (so that scores are exact), ids in random order, k, and block ends."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 60))
    queries = generator.integers(-largest, largest + 1, (draw(st.integers(1, 25)), 3))
    documents = generator.integers(-largest, largest + 1, (n, 3))
    ids = [f"d{number}" for number in generator.permutation(n)]
    k = draw(st.integers(1, 80))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=5)))
    return queries.astype(np.float32), documents.astype(np.float32), ids, k, cuts


@SMALL
@given(problems(largest=1000))
def test_blocks_of_any_size_rank_as_brute_force(
    problem: tuple[Vectors, Vectors, list[str], int, list[int]],
) -> None:
    queries, documents, ids, k, cuts = problem
    run = search_in_blocks(queries, documents, ids, k, cuts)
    assert as_lists(run) == brute_force(queries @ documents.T, ids, k)


@SMALL
@given(problems(largest=1))
def test_massive_ties_are_cut_by_descending_id_within_and_across_blocks(
    problem: tuple[Vectors, Vectors, list[str], int, list[int]],
) -> None:
    queries, documents, ids, k, cuts = problem
    scores = queries @ documents.T
    run = search_in_blocks(queries, documents, ids, k, cuts)
    assert as_lists(run) == brute_force(scores, ids, k)
    where = {doc_id: row for row, doc_id in enumerate(ids)}
    for of_query, ranked, values in zip(scores, run.doc_ids, run.scores, strict=True):
        assert values.dtype == np.float32
        assert values.tolist() == [of_query[where[doc_id]] for doc_id in ranked]


@SMALL
@given(problems(largest=2))
def test_order_of_the_corpus_changes_nothing(
    problem: tuple[Vectors, Vectors, list[str], int, list[int]],
) -> None:
    queries, documents, ids, k, cuts = problem
    order = np.random.default_rng(len(ids)).permutation(len(ids))
    shuffled = [ids[row] for row in order]
    one = search_in_blocks(queries, documents, ids, k, cuts)
    other = search_in_blocks(queries, documents[order], shuffled, k, cuts[:1])
    assert as_lists(one) == as_lists(other)


def test_random_floats_rank_as_one_big_search() -> None:
    generator = np.random.default_rng(1)
    queries = generator.standard_normal((30, 16)).astype(np.float32)
    documents = generator.standard_normal((500, 16)).astype(np.float32)
    ids = [f"d{number:03}" for number in range(500)]
    run = search_in_blocks(queries, documents, ids, 50, [7, 8, 300])
    scores = queries.astype(np.float64) @ documents.T.astype(np.float64)
    assert as_lists(run) == brute_force(scores, ids, 50)


def test_fewer_documents_than_k_are_all_ranked() -> None:
    queries = np.array([[1.0]], dtype=np.float32)
    documents = np.array([[1.0], [3.0], [2.0]], dtype=np.float32)
    run = search_in_blocks(queries, documents, ["a", "b", "c"], 1000, [1])
    assert as_lists(run) == [["b", "c", "a"]]


def test_no_document_at_all_gives_empty_rankings() -> None:
    run = TopK(2, 10).run(["q1", "q2"])
    assert run.query_ids == ("q1", "q2")
    assert as_lists(run) == [[], []]
    assert [len(scores) for scores in run.scores] == [0, 0]


def test_ids_are_compared_by_code_point_as_trec_eval_compares_their_utf8() -> None:
    ids = ["Z", "a", "é", "\N{MATHEMATICAL BOLD CAPITAL A}", "ｚ", "10", "9"]
    queries, documents = np.ones((1, 1), np.float32), np.ones((len(ids), 1), np.float32)
    run = search_in_blocks(queries, documents, ids, 4, [3])
    assert as_lists(run)[0] == sorted(ids, key=lambda doc_id: doc_id.encode(), reverse=True)[:4]


def test_block_returns_what_was_added_and_starts_anew() -> None:
    vectors = np.random.default_rng(0).standard_normal((5000, 3)).astype(np.float32)
    block = VectorBlock(max_documents=1500, max_bytes=10**9)
    for first, end in ((0, 1), (1, 700), (700, 1499)):
        block.add(vectors[first:end])
    assert not block.is_full
    block.add(vectors[1499:4999])  # more than there is spare room for
    assert (block.is_full, block.n_documents, block.size_bytes) == (True, 4999, 4999 * 12)
    taken = block.take()
    block.add(vectors[4999:])
    assert np.array_equal(taken, vectors[:4999]), "what was taken is not written to again"
    assert np.array_equal(block.take(), vectors[4999:])
    assert (block.n_documents, block.size_bytes) == (0, 0)


def test_block_is_full_by_bytes_and_keeps_tokens_as_they_are() -> None:
    block = VectorBlock(max_documents=10**6, max_bytes=100)
    first, second = np.ones((5, 4), np.float32), np.zeros((2, 4), np.float32)
    block.add([first])
    assert not block.is_full
    block.add([second])
    assert (block.is_full, block.n_documents, block.size_bytes) == (True, 2, 112)
    taken = block.take()
    assert taken[0] is first
    assert taken[1] is second


def test_ids_of_any_characters_are_kept_exactly() -> None:
    names = ["", "a\0", "\0", "é", "\N{MATHEMATICAL BOLD CAPITAL A}", "\ud800", "d" * 300, "d"]
    ids = Ids()
    ids.append(names[:3])
    ids.append([])
    ids.append(names[3:])
    assert (len(ids), ids.at(np.arange(8))) == (8, names)
    ids.keep(np.array([6, 1, 4]))
    assert (len(ids), ids.at(np.arange(3))) == (3, [names[6], names[1], names[4]])
    ids.keep(np.array([], dtype=np.int64))
    assert (len(ids), ids.at(np.array([], dtype=np.int64))) == (0, [])


def test_ids_kept_depend_on_queries_and_k_and_not_on_the_corpus() -> None:
    ranking = TopK(4, 10)
    for block in range(200):  # always better ones, so that nothing of the last block stays
        scores = np.full((4, 10), block, dtype=np.float32)
        ranking.add(scores, np.arange(40).reshape(4, 10), [f"d{block}-{n}" for n in range(40)])
        assert len(ranking._ids) <= 60
    assert as_lists(ranking.run(list("abcd"))) == [
        sorted((f"d199-{n}" for n in range(first, first + 10)), reverse=True)
        for first in (0, 10, 20, 30)
    ]


def test_queries_merged_a_few_at_a_time_rank_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(7)
    queries = generator.integers(-2, 3, (23, 3)).astype(np.float32)
    documents = generator.integers(-2, 3, (90, 3)).astype(np.float32)
    ids = [f"d{number}" for number in generator.permutation(90)]
    monkeypatch.setattr(topk, "_MERGED_AT_ONCE", 50)
    run = search_in_blocks(queries, documents, ids, 12, [20, 50, 51])
    assert as_lists(run) == brute_force(queries @ documents.T, ids, 12)


def test_negative_zero_and_zero_are_one_score() -> None:
    queries = np.array([[1.0], [-1.0]], dtype=np.float32)
    documents = np.array([[0.0], [-0.0], [0.0]], dtype=np.float32)
    run = search_in_blocks(queries, documents, ["a", "c", "b"], 2, [1])
    assert as_lists(run) == [["c", "b"], ["c", "b"]]


def test_ties_wider_than_the_candidates_are_decided_a_few_queries_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    widest: list[int] = []

    def watched(queries: Vectors, documents: Vectors, rows: topk.Rows) -> Vectors:
        widest.append(rows.size)
        return products(queries, documents, rows)

    products = exact.inner_products
    monkeypatch.setattr(exact, "inner_products", watched)
    monkeypatch.setattr(exact, "_MAX_FULL_BYTES", 12 * 4000 * 5)
    ids = [f"d{number:04}" for number in range(4000)]
    queries, documents = np.ones((23, 2), np.float32), np.zeros((4000, 2), np.float32)
    documents[17] = 1
    run = search_in_blocks(queries, documents, ids, 3, [])
    assert np.array(run.scores).tolist() == [[2.0, 0.0, 0.0]] * 23
    assert as_lists(run) == [["d0017", "d3999", "d3998"]] * 23
    assert widest == [23 * 19, *[5 * 4000] * 4, 3 * 4000], "five queries at a time, three left over"


def equal_vectors(n_queries: int, dim: int) -> tuple[Vectors, Vectors]:
    """Queries, and 3,000 documents of which every third is the same.

    FAISS scores equal ones apart, by where they stand, for many queries of these numbers.
    """
    generator = np.random.default_rng(n_queries)
    queries, documents = (
        generator.standard_normal((n, dim), dtype=np.float32) for n in (n_queries, 3000)
    )
    documents[::3] = documents[0]
    return queries, documents


@pytest.mark.parametrize(("n_queries", "dim"), [(500, 384), (257, 768), (3, 768), (64, 7)])
@pytest.mark.parametrize("k", [10, 1200, 3000])
def test_equal_vectors_score_the_same_wherever_they_stand(n_queries: int, dim: int, k: int) -> None:
    queries, documents = equal_vectors(n_queries, dim)
    ids = [f"d{number:04}" for number in np.random.default_rng(1).permutation(3000)]
    run = search_in_blocks(queries, documents, ids, k, [1, 18, 1043, 2999])
    exactly = queries.astype(np.float64) @ documents.astype(np.float64).T
    same = set(ids[::3])
    for of_query, doc_ids, scores in zip(exactly, run.doc_ids, run.scores, strict=True):
        found = [
            (doc_id, score) for doc_id, score in zip(doc_ids, scores, strict=True) if doc_id in same
        ]
        assert len({float(score) for _, score in found}) <= 1
        expected = sorted(same, reverse=True)[: len(found)]
        assert [doc_id for doc_id, _ in found] == expected
        best = np.sort(of_query)[::-1][:k]
        assert np.allclose(scores, best, atol=1e-3)


def test_equal_documents_of_late_interaction_score_the_same_in_every_block() -> None:
    generator = np.random.default_rng(4)
    queries = [generator.standard_normal((n, 128), dtype=np.float32) for n in (3, 32, 17, 1) * 9]
    documents = [generator.standard_normal((n, 128), dtype=np.float32) for n in range(1, 90)]
    twice = [*documents, *[documents[40].copy() for _ in range(9)]]
    for static in (False, True):
        whole = maxsim.maxsim_scores(queries, twice, static=static)
        alone = maxsim.maxsim_scores(queries, [documents[40]], static=static)
        assert np.array_equal(whole[:, 89:], np.repeat(alone, 9, axis=1))
        assert np.array_equal(whole[:, 40], alone[:, 0])


def test_best_of_block_keeps_the_best_and_cuts_a_tie_by_id() -> None:
    scores = np.array([[5, 1, 1, 1, 9], [2, 2, 2, 2, 2], [1, 2, 3, 4, 5]], dtype=np.float32)
    found, rows = best_of_block(scores, 3, id_ranks(["a", "c", "e", "d", "b"]))
    assert [set(of_query) for of_query in rows.tolist()] == [{4, 0, 2}, {2, 3, 1}, {2, 3, 4}]
    assert np.array_equal(found, np.take_along_axis(scores, rows, axis=1))


def test_id_ranks_count_from_the_highest_id() -> None:
    assert id_ranks(["b", "d", "a", "c"]).tolist() == [2, 0, 3, 1]
    assert first_by_id(np.array([0, 2, 3]), id_ranks(["b", "d", "a", "c"]), 2).tolist() == [3, 0]


def slow_maxsim(query: Vectors, document: Vectors) -> float:
    """The definition, in float64: sum over query tokens of the best inner product."""
    total = 0.0
    for query_token in query.astype(np.float64):
        total += max(float(query_token @ token) for token in document.astype(np.float64))
    return total


def ragged(generator: np.random.Generator, n: int, largest: int) -> list[Vectors]:
    return [
        generator.integers(-largest, largest + 1, (generator.integers(1, 7), 4)).astype(np.float32)
        for _ in range(n)
    ]


@SMALL
@given(
    seed=st.integers(0, 2**32),
    memory=st.sampled_from([1, 15, 500, 5000, 2**28]),
    static=st.booleans(),
)
def test_maxsim_equals_a_double_loop_however_queries_are_grouped(
    seed: int, memory: int, static: bool
) -> None:
    generator = np.random.default_rng(seed)
    queries, documents = ragged(generator, 9, 20), ragged(generator, 13, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maxsim, "_MAX_PRODUCT_BYTES", memory)
        patch.setattr(maxsim, "_QUERY_TOKENS", memory)
        scores = maxsim.maxsim_scores(queries, documents, static=static)
    assert scores.dtype == np.float32
    assert scores.tolist() == [
        [slow_maxsim(query, document) for document in documents] for query in queries
    ]


def test_maxsim_multiplies_repeated_vectors_once_and_scores_the_same() -> None:
    generator = np.random.default_rng(5)
    pieces = generator.standard_normal((6, 4)).astype(np.float32)
    texts = [pieces[generator.integers(0, 6, generator.integers(1, 9))] for _ in range(40)]
    distinct, places = maxsim._distinct(np.concatenate(texts))
    assert len(distinct) == 6
    assert np.array_equal(distinct[places], np.concatenate(texts))
    assert maxsim.are_static(texts)
    assert not maxsim.are_static([pieces])
    scores = maxsim.maxsim_scores(texts[:15], texts[15:], static=True)
    expected = [[slow_maxsim(query, document) for document in texts[15:]] for query in texts[:15]]
    assert np.allclose(scores, expected, rtol=1e-5)


def test_maxsim_of_one_token_texts_is_the_inner_product() -> None:
    generator = np.random.default_rng(3)
    queries = generator.standard_normal((4, 8)).astype(np.float32)
    documents = generator.standard_normal((5, 8)).astype(np.float32)
    scores = maxsim.maxsim_scores(list(queries[:, None]), list(documents[:, None]))
    assert np.allclose(scores, queries @ documents.T, rtol=1e-6)


@SMALL
@given(seed=st.integers(0, 2**32), k=st.integers(1, 12), cut=st.integers(1, 10))
def test_late_interaction_blocks_rank_as_brute_force_with_ties(seed: int, k: int, cut: int) -> None:
    generator = np.random.default_rng(seed)
    queries, documents = ragged(generator, 6, 1), ragged(generator, 11, 1)
    ids = [f"d{number}" for number in generator.permutation(11)]
    ranking = TopK(len(queries), k)
    for block in (slice(0, cut), slice(cut, 11)):
        scores, rows = maxsim.search_block(queries, documents[block], k, id_ranks(ids[block]))
        ranking.add(scores, rows, ids[block])
    expected = np.array([[slow_maxsim(q, d) for d in documents] for q in queries])
    assert as_lists(ranking.run(list("abcdef"))) == brute_force(expected, ids, k)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_score_that_is_not_finite_is_refused(value: float) -> None:
    scores = np.array([[1, value]], dtype=np.float32)
    with pytest.raises(EncoderError, match="1 of 2 scores are not finite"):
        TopK(1, 5).add(scores, np.array([[0, 1]]), ["a", "b"])


def test_maxsim_is_the_same_to_the_last_bit_with_any_number_of_threads() -> None:
    import faiss

    draw = np.random.default_rng(3)
    documents = [draw.normal(size=(n, 24)).astype(np.float32) for n in (1, 7, 30, 4, 12, 9, 5)]
    queries = [draw.normal(size=(n, 24)).astype(np.float32) for n in (3, 1, 8)]
    n_threads, found = faiss.omp_get_max_threads(), []
    try:
        for n in (1, 2, 5, 16):
            faiss.omp_set_num_threads(n)
            found.append(maxsim.maxsim_scores(queries, documents).tobytes())
    finally:
        faiss.omp_set_num_threads(n_threads)
    assert set(found) == {found[0]}
    by_hand = [[(q @ d.T).max(axis=1).sum() for d in documents] for q in queries]
    assert np.allclose(np.frombuffer(found[0], dtype=np.float32).reshape(3, 7), by_hand, rtol=1e-5)
