"""Sparse rows and their exact search: against dense products and full sorting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_bench.search import sparse
from clir_bench.search.repeats import FirstVectors
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.search.vectors.shards import ShardWriter, read_shard
from clir_bench.search.workers.messages import joined, parted
from clir_bench.types import SparseRows

ROWS = st.lists(
    st.dictionaries(
        st.sampled_from([0, 3, 2**16 + 3, 2**40, 2**63 - 1]), st.sampled_from([1, 2, 5])
    ),
    min_size=1,
    max_size=12,
)


def as_dicts(rows: SparseRows) -> list[dict[int, float]]:
    return [
        dict(zip(rows.ids[a:b].tolist(), rows.weights[a:b].tolist(), strict=True))
        for a, b in zip(rows.starts, rows.starts[1:], strict=False)
    ]


@given(ROWS, st.integers(0, 12), st.integers(0, 12))
def test_rows_taken_and_joined_again_are_the_same_rows(
    found: list[dict[int, float]], first: int, last: int
) -> None:
    rows = SparseRows.of(found)
    assert as_dicts(rows) == found
    assert as_dicts(rows[first:last]) == found[first:last]
    places = [len(found) - 1, 0, 0]
    assert as_dicts(rows[places]) == [found[place] for place in places]
    assert as_dicts(SparseRows.concatenated([rows[:first], rows[first:]])) == found


@given(ROWS)
def test_rows_come_through_a_message_as_they_were(found: list[dict[int, float]]) -> None:
    array, lengths = joined(SparseRows.of(found))
    again = parted(array, lengths)
    assert isinstance(again, SparseRows)
    assert as_dicts(again) == found


def test_rows_come_from_a_shard_as_they_were(tmp_path: pytest.TempPathFactory) -> None:
    found = [{1: 1.0, 2**63 - 1: 0.5}, {}, {7: 3.0}]
    rows = SparseRows.of(found)
    writer = ShardWriter(tmp_path, 0, 0, "sparse")  # type: ignore[arg-type]
    writer.add(rows[:1])
    writer.add(rows[1:])
    writer.finish(["a", "b", "c"], 4, 1.5, {})
    shard = read_shard(tmp_path, 0, ["a", "b", "c"], 4)  # type: ignore[arg-type]
    assert shard is not None
    read = shard.vectors(0, 3)
    assert isinstance(read, SparseRows)
    assert as_dicts(read) == found
    some = shard.vectors(1, 3)
    assert isinstance(some, SparseRows)
    assert as_dicts(some) == found[1:]


@given(ROWS, ROWS, st.integers(1, 5))
def test_the_best_are_those_of_a_full_product_and_only_what_matches_is_ranked(
    queries: list[dict[int, float]], documents: list[dict[int, float]], k: int
) -> None:
    ids = [f"d{number % 10}{number}" for number in range(len(documents))]
    ranking = TopK(len(queries), k, partial=True)
    for first in range(0, len(documents), 5):  # blocks
        block = SparseRows.of(documents[first : first + 5])
        names = ids[first : first + 5]
        best = sparse.search_block(SparseRows.of(queries), block, k, id_ranks(names))
        ranking.add(*best, names)
    run = ranking.run([f"q{number}" for number in range(len(queries))])
    for query, found, scores in zip(queries, run.doc_ids, run.scores, strict=True):
        products = {
            doc_id: float(sum(query[term] * document[term] for term in query.keys() & document))
            for doc_id, document in zip(ids, documents, strict=True)
            if query.keys() & document.keys()
        }
        expected = sorted(products, key=lambda doc_id: (products[doc_id], doc_id), reverse=True)[:k]
        assert list(found) == expected
        assert scores.tolist() == [products[doc_id] for doc_id in expected]


def test_few_queries_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [
        SparseRows.of([{int(t): 1.0 for t in rng.integers(0, 9, 4)} for _ in range(30)])
        for _ in range(2)
    ]
    ranks = id_ranks([f"d{number}" for number in range(30)])
    whole = sparse.search_block(*rows, 7, ranks)
    monkeypatch.setattr(sparse, "_MOST_PRODUCTS", 20)
    parts = sparse.search_block(*rows, 7, ranks)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)


def test_a_text_that_occurs_again_keeps_its_first_weights() -> None:
    from clir_bench.tasks.outline import Text

    texts = [Text("a", "same", "sw", 5), Text("b", "other", "sw", 6), Text("c", "same", "sw", 5)]
    firsts = FirstVectors(np.array([5], dtype=np.int64).tobytes())
    rows = SparseRows.of([{1: 1.0}, {2: 1.0, 4: 0.5}, {1: 1.5, 3: 1.0}])
    (unified,) = firsts.unify([rows], firsts.among(texts))
    firsts.close()
    assert as_dicts(unified) == [{1: 1.0}, {2: 1.0, 4: 0.5}, {1: 1.0}]
