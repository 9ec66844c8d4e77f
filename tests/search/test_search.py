"""One pass over a corpus, with encoders whose scores are known, against brute force."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from clir_bench.search import gpu
from clir_bench.search import search as search_module
from clir_bench.search.document_vectors import DocumentVectors
from clir_bench.search.search import QuerySet, encode_queries, search_corpus
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.workers.executor import Here
from clir_bench.tasks import outline
from clir_bench.tasks.outline import document_string, outline_of
from clir_bench.types import Document, Encoder, EncoderInfo, Query, Run, TokenEncoder, Vectors

DIM = 5
INFO = EncoderInfo(name="fake", revision="1", similarity="dot")


def vector(text: str, seed: int = 0) -> Vectors:
    """A small-integer vector of a text, so that scores are exact and ties frequent."""
    generator = np.random.default_rng([seed, *text.encode()])
    return generator.integers(-2, 3, DIM).astype(np.float32)


@dataclass
class Dense:
    """Texts to `vector`; remembers what it was asked to encode and which arrays are still held."""

    info: EncoderInfo = INFO
    dim: int = DIM
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    given: list[weakref.ref[Vectors]] = field(default_factory=list)

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self._encode(texts, language)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self._encode(texts, language)

    def held(self) -> int:
        return sum(reference() is not None for reference in self.given)

    def _encode(self, texts: Sequence[str], language: str) -> Vectors:
        self.asked.append((language, tuple(texts)))
        vectors = np.stack([vector(text) for text in texts])
        self.given.append(weakref.ref(vectors))
        return vectors


@dataclass
class Tokens:
    """One vector a word."""

    info: EncoderInfo = INFO
    dim: int = DIM

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        return [tokens(text) for text in texts]

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        return [tokens(text) for text in texts]


def tokens(text: str) -> Vectors:
    return np.stack([vector(word, seed=1) for word in text.split()])


def dense_score(query: str, document: str) -> float:
    return float(vector(query) @ vector(document))


def late_score(query: str, document: str) -> float:
    return float((tokens(query) @ tokens(document).T).max(axis=1).sum())


def corpus(n: int) -> list[Document]:
    """Documents of one to six words in an order that is not that of their ids."""
    generator = np.random.default_rng(n)
    return [
        Document(
            f"d{number}", " ".join(f"w{w}" for w in generator.integers(20, size=1 + number % 6))
        )
        for number in generator.permutation(n)
    ]


def brute_force(
    queries: Sequence[Query], documents: Sequence[Document], k: int, late: bool = False
) -> list[tuple[str, ...]]:
    score = late_score if late else dense_score
    rankings = []
    for query in queries:
        found = [
            (score(query.text, document.text), document.doc_id)
            for document in documents
            if document.text.strip()
        ]
        rankings.append(tuple(doc_id for _, doc_id in sorted(found, reverse=True)[:k]))
    return rankings


def search(
    encoder: Encoder | TokenEncoder,
    queries: Sequence[Query],
    documents: object,
    *,
    k: int = 10,
    skip_same_id: bool = False,
    document_text: str = "{text}",
) -> Run:
    vectors = encode_queries(encoder, queries, "en")
    query_set = QuerySet([query.query_id for query in queries], vectors, skip_same_id)
    (run,), _ = search_corpus(
        encoder,
        documents,  # type: ignore[arg-type]
        [query_set],
        k=k,
        language="sw",
        document_text=document_text,
    )
    return run


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode 7 documents at a time and search 20."""
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 7)
    monkeypatch.setattr(search_module, "_SEARCH_BLOCK_DOCUMENTS", 20)


QUERIES = [Query(f"q{number}", f"w{number} w{number + 3} w1") for number in range(9)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 10, 25, 1000])
@pytest.mark.parametrize("encoder", [Dense(), Tokens()])
def test_ranking_over_several_blocks_is_brute_force(encoder: Encoder, k: int) -> None:
    documents = corpus(101)
    run = search(encoder, QUERIES, documents, k=k)
    late = isinstance(encoder, Tokens)
    assert run.query_ids == tuple(query.query_id for query in QUERIES)
    assert list(run.doc_ids) == brute_force(QUERIES, documents, k, late)
    texts = {document.doc_id: document.text for document in documents}
    score = late_score if late else dense_score
    for query, ids, scores in zip(QUERIES, run.doc_ids, run.scores, strict=True):
        assert scores.dtype == np.float32
        assert scores.tolist() == [score(query.text, texts[doc_id]) for doc_id in ids]


@pytest.mark.parametrize("encoder", [Dense(), Tokens()])
def test_blocks_are_also_cut_by_their_size_in_bytes(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 3)
    monkeypatch.setattr(search_module, "_SEARCH_BLOCK_BYTES", 100)
    documents = corpus(40)
    expected = brute_force(QUERIES, documents, 10, isinstance(encoder, Tokens))
    assert list(search(encoder, QUERIES, documents).doc_ids) == expected


@pytest.mark.usefixtures("small_blocks")
def test_order_of_the_corpus_changes_nothing() -> None:
    documents = corpus(64)
    one, other = search(Dense(), QUERIES, documents), search(Dense(), QUERIES, documents[::-1])
    assert one.doc_ids == other.doc_ids


@pytest.mark.usefixtures("small_blocks")
def test_one_pass_answers_several_query_sets_each_as_if_alone() -> None:
    documents = corpus(50)
    encoder = Dense()
    parts = [QUERIES[:4], QUERIES[4:5], QUERIES[5:]]
    sets = [
        QuerySet([query.query_id for query in part], encode_queries(encoder, part, "en"))
        for part in parts
    ]
    encoder.asked.clear()
    runs, cost = search_corpus(
        encoder, documents, sets, k=10, language="sw", document_text="{text}"
    )
    assert [list(run.doc_ids) for run in runs] == [
        brute_force(part, documents, 10) for part in parts
    ]
    assert sum(len(texts) for _, texts in encoder.asked) == 50, "each document encoded once"
    assert len(cost.search_seconds) == 3
    assert (cost.n_documents, cost.index_size_bytes) == (50, 50 * DIM * 4)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("encoder", [Dense(), Tokens()])
def test_empty_documents_are_never_encoded_nor_retrieved(encoder: Encoder) -> None:
    documents = corpus(30)
    for place, text in ((0, ""), (9, " \n"), (30, "\u3000")):
        documents.insert(place, Document(f"empty{place}", text))
    if isinstance(encoder, Dense):
        encoder.asked.clear()
    run = search(encoder, QUERIES, documents, k=1000)
    assert list(run.doc_ids) == brute_force(QUERIES, documents, 1000, isinstance(encoder, Tokens))
    assert {len(ids) for ids in run.doc_ids} == {30}
    if isinstance(encoder, Dense):
        assert all(text.strip() for _, texts in encoder.asked for text in texts)


def test_corpus_of_empty_documents_gives_empty_rankings() -> None:
    run = search(Dense(), QUERIES, [Document("d1", ""), Document("d2", " ")])
    assert [len(ids) for ids in run.doc_ids] == [0] * len(QUERIES)
    assert run.query_ids == tuple(query.query_id for query in QUERIES)


@pytest.mark.usefixtures("small_blocks")
def test_skip_same_id_takes_out_exactly_that_document_and_still_ranks_k() -> None:
    documents = corpus(60)
    queries = [Query(document.doc_id, document.text) for document in documents[:20]]
    queries.append(Query("elsewhere", "w1 w2"))
    run = search(Dense(), queries, documents, k=12, skip_same_id=True)
    everything = brute_force(queries, documents, 60)
    for query, ids, ranked, scores in zip(
        queries, run.doc_ids, everything, run.scores, strict=True
    ):
        expected = [doc_id for doc_id in ranked if doc_id != query.query_id][:12]
        assert list(ids) == expected
        assert len(scores) == 12


def test_skip_same_id_of_the_only_document_leaves_an_empty_ranking() -> None:
    run = search(Dense(), [Query("d1", "text")], [Document("d1", "text")], skip_same_id=True)
    assert run.doc_ids == ((),)
    assert run.scores[0].shape == (0,)


def test_same_id_is_kept_unless_it_is_to_be_skipped() -> None:
    run = search(Dense(), [Query("d1", "text")], [Document("d1", "text")])
    assert run.doc_ids == (("d1",),)


@pytest.mark.usefixtures("small_blocks")
def test_documents_of_a_mixed_corpus_are_encoded_with_their_own_language() -> None:
    languages = ["hi", "", "de", "hi", "so"]
    documents = [
        document._replace(language=languages[number % 5], text=f"{number} {document.text}")
        for number, document in enumerate(corpus(33))
    ]
    encoder = Dense()
    run = search(encoder, QUERIES, documents)
    assert list(run.doc_ids) == brute_force(QUERIES, documents, 10)
    own = {document.text: document.language or "sw" for document in documents}
    asked = {text: language for language, texts in encoder.asked[1:] for text in texts}
    assert asked == own


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("at_a_time", "arrays"), [(7, 2), (20, 0)])
def test_corpus_is_read_as_it_is_encoded_and_let_go_after_its_block(
    monkeypatch: pytest.MonkeyPatch, at_a_time: int, arrays: int
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", at_a_time)
    encoder = Dense()
    produced: list[int] = []

    @dataclass
    class Stream:
        n_readings: int = 0

        def __iter__(self) -> Iterator[Document]:
            self.n_readings += 1
            produced.clear()
            for number, document in enumerate(corpus(200)):
                encoded = sum(len(texts) for _, texts in encoder.asked[1:])
                if self.n_readings > 1:
                    assert len(produced) - encoded < at_a_time, "more than a block was read ahead"
                assert encoder.held() <= 1 + arrays, "queries, and a search block that is not full"
                produced.append(1)
                yield document._replace(text=document.text + " " * number)  # no two are equal

    documents = Stream()
    assert len(search(encoder, QUERIES, documents).doc_ids[0]) == 10
    assert len(produced) == 200
    assert documents.n_readings == 2, "to be checked, and to be encoded"


def test_progress_adds_up_to_all_documents_empty_ones_included() -> None:
    documents = [*corpus(10), Document("e", "")]
    advanced: list[int] = []
    encoder = Dense()
    search_corpus(
        encoder,
        documents,
        [QuerySet(["q"], encode_queries(encoder, QUERIES[:1], "en"))],
        k=1,
        language="sw",
        document_text="{text}",
        advance=advanced.append,
    )
    assert sum(advanced) == 11


def test_title_and_text_are_encoded_as_the_card_says() -> None:
    encoder = Dense()
    documents = [Document("d1", "text", "Title"), Document("d2", "only text")]
    search(encoder, QUERIES[:1], documents, document_text="{title}\n{text}")
    assert encoder.asked[1:] == [("sw", ("Title\ntext", "only text"))]


@pytest.mark.parametrize(
    ("document", "template", "expected"),
    [
        (Document("d", "text", "Title"), "{title} {text}", "Title text"),
        (Document("d", "text", "Title"), "{title}\n{text}", "Title\ntext"),
        (Document("d", "text", "Title"), "{text}", "text"),
        (Document("d", "text"), "{title} {text}", "text"),
        (Document("d", "text", " "), "{title} {text}", "text"),
        (Document("d", "", "Title"), "{title} {text}", "Title"),
        (Document("d", "\n", "Title"), "{title} {text}", "Title"),
        (Document("d", "", "Title"), "{text}", ""),
        (Document("d", "", ""), "{title} {text}", ""),
        (Document("d", "{title} {0}", "{text}"), "{title} {text}", "{text} {title} {0}"),
        (Document("d", " kept \n", "Title"), "{title} {text}", "Title  kept \n"),
        (Document("d", "x" * 100_000, "عنوان"), "{title} {text}", "عنوان " + "x" * 100_000),
    ],
)
def test_document_string(document: Document, template: str, expected: str) -> None:
    assert document_string(document, template) == expected


def test_where_the_model_is_on_a_gpu_blocks_are_compared_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 7)
    monkeypatch.setattr(search_module, "_SEARCH_BLOCK_DOCUMENTS", 20)
    there: list[str] = []
    placed, nearest = gpu.placed, gpu.nearest

    def watched_placed(vectors: Vectors, where: str) -> object:
        there.append(where)
        return placed(vectors, "cpu")

    def watched_search(*arguments: Any, device: str) -> object:
        there.append(device)
        return nearest(*arguments, device="cpu")

    monkeypatch.setattr(gpu, "placed", watched_placed)
    monkeypatch.setattr(gpu, "nearest", watched_search)
    documents, queries = corpus(50), [Query(f"q{n}", f"w{n} w3") for n in range(4)]
    outlined = outline_of(documents, language="sw", document_text="{text}")
    vectors = DocumentVectors(
        documents, Here(Dense()), Corpus("", 50, "sw", "{text}", "", outlined)
    )
    query_set = QuerySet([q.query_id for q in queries], encode_queries(Dense(), queries, "en"))
    (run,), _ = search_module.search(vectors, [query_set], k=10, device="cuda:1")
    assert set(there) == {"cuda:1", "cpu"}
    assert there.count("cuda:1") == 6, "three blocks, each placed once and searched once"
    assert list(run.doc_ids) == brute_force(queries, documents, 10)
