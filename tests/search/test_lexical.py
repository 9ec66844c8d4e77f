"""BM25 over a stream: against the formula, term by term."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clir_bench.encoders.lexical.bm25 import BM25, TermIds, count_terms, each_alone
from clir_bench.search import lexical
from clir_bench.search import search as searching
from clir_bench.search.document_vectors import DocumentVectors
from clir_bench.search.lexical import LexicalQuerySet, search_terms
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.workers.executor import Here
from clir_bench.tasks.outline import outline_of
from clir_bench.types import Document, Run, SparseRows, StructuredQueries

WORDS = ["maji", "mto", "ziwa", "samaki", "mvua", "bahari"]
TEXTS = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), min_size=1, max_size=15
)


def ranked(
    texts: list[str], queries: StructuredQueries, k: int = 10, k1: float = 0.9, b: float = 0.4
) -> Run:
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    outline = outline_of(documents, language="sw", document_text="{text}")
    corpus = Corpus("", len(documents), "sw", "{text}", "documents", outline)
    vectors = DocumentVectors(documents, Here(BM25()), corpus)
    ids = [f"q{number}" for number in range(len(queries.queries))]
    (run,), _ = search_terms(vectors, [LexicalQuerySet(ids, queries)], k=k, k1=k1, b=b)
    return run


def by_hand(
    texts: list[str],
    query: dict[str, float],
    meaning: dict[str, dict[str, float]],
    k1: float,
    b: float,
) -> dict[str, float]:
    """Return the score of every document that holds a term; `meaning` is of each query term."""
    counts = [Counter(text.split()) for text in texts]
    mean = sum(count.total() for count in counts) / len(counts)
    scores: dict[str, float] = {}
    for term, weight in query.items():
        df = sum(p * sum(word in count for count in counts) for word, p in meaning[term].items())
        idf = math.log(1 + (len(counts) - df + 0.5) / (df + 0.5))
        for number, count in enumerate(counts):
            tf = sum(p * count[word] for word, p in meaning[term].items())
            if tf:
                norm = k1 * (1 - b + b * count.total() / mean)
                scores[f"d{number}"] = scores.get(f"d{number}", 0.0) + weight * idf * tf / (
                    tf + norm
                )
    return scores


def check(run: Run, number: int, expected: dict[str, float]) -> None:
    found = dict(zip(run.doc_ids[number], run.scores[number].tolist(), strict=True))
    assert found == pytest.approx(expected, rel=1e-6)


@given(
    TEXTS,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5),
    st.sampled_from([0, 0.9, 2.0]),
    st.sampled_from([0.0, 0.4, 1.0]),
)
def test_scores_are_bm25s(texts: list[str], query: list[str], k1: float, b: float) -> None:
    queries = BM25().structure_queries([" ".join(query)], language="sw", document_languages=["sw"])
    run = ranked(texts, queries, k=50, k1=k1, b=b)
    meaning = {word: {word: 1.0} for word in WORDS}
    check(run, 0, by_hand(texts, dict(Counter(query)), meaning, k1, b))


def test_a_concept_has_the_expected_frequencies_of_its_terms() -> None:
    texts = ["maji mto", "mto mto ziwa", "samaki", "ziwa maji samaki mvua"]
    ids = TermIds()
    meaning = {"water": {"maji": 0.7, "mto": 0.2}, "lake": {"ziwa": 1.0}}
    concepts = SparseRows.of(
        [dict(zip(ids.of(list(terms)), terms.values(), strict=True)) for terms in meaning.values()]
    )
    run = ranked(texts, StructuredQueries(SparseRows.of([{0: 2.0, 1: 1.0}]), concepts))
    check(run, 0, by_hand(texts, {"water": 2.0, "lake": 1.0}, meaning, 0.9, 0.4))


def test_blocks_and_the_temporary_file_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(60)]
    asked = [" ".join(rng.choice(WORDS, 3)) for _ in range(5)]
    queries = BM25().structure_queries(asked, language="sw", document_languages=["sw"])
    whole = ranked(texts, queries, k=7)
    monkeypatch.setattr(searching, "_SEARCH_BLOCK_DOCUMENTS", 4)
    monkeypatch.setattr(lexical, "_MEMORY_BYTES", 1)
    parts = ranked(texts, queries, k=7)
    assert whole.doc_ids == parts.doc_ids
    for one, other in zip(whole.scores, parts.scores, strict=True):
        assert np.array_equal(one, other)


def test_a_query_without_terms_ranks_nothing_and_a_corpus_of_equal_documents_ties() -> None:
    queries = BM25().structure_queries(["", "maji"], language="sw", document_languages=["sw"])
    run = ranked(["maji mto"] * 4, queries)
    assert run.doc_ids == ((), ("d3", "d2", "d1", "d0"))
    assert len(set(run.scores[1].tolist())) == 1


def test_counts_do_not_depend_on_the_texts_beside() -> None:
    ids = TermIds()
    texts = [["a", "b", "a"], [], ["c"]]
    together = count_terms(texts, ids)
    assert together.starts.tolist() == [0, 2, 2, 3]
    for number, text in enumerate(texts):
        alone = count_terms([text], TermIds())
        assert np.array_equal(alone.ids, together[number : number + 1].ids)
        assert np.array_equal(alone.weights, together[number : number + 1].weights)


def test_each_term_alone_is_a_concept_of_probability_one() -> None:
    concepts = each_alone(np.array([3, 9], dtype=np.int64))
    assert concepts.starts.tolist() == [0, 1, 2]
    assert concepts.weights.tolist() == [1.0, 1.0]
