"""Who takes part in `overhead.py`: the same work by hand, by clir-bench and by its peers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DIM = 128


@dataclass
class Data:
    """Vectors on the unit sphere; each query is near one document, with so much noise that only
    some find it."""

    n_documents: int
    n_queries: int
    k: int
    folder: Path

    def __post_init__(self) -> None:
        generator = np.random.default_rng(0)
        documents = generator.standard_normal((self.n_documents, DIM), dtype=np.float32)
        documents /= np.linalg.norm(documents, axis=1, keepdims=True)
        self.relevant = generator.choice(self.n_documents, self.n_queries, replace=False).tolist()
        noise = generator.standard_normal((self.n_queries, DIM), dtype=np.float32)
        queries = documents[self.relevant] + np.float32(2.7 / DIM**0.5) * noise
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        self.vectors = {"D": documents, "Q": queries}

    def look_up(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of "D 17" or "Q 3" texts, all of one kind."""
        if not texts:
            return np.zeros((0, DIM), dtype=np.float32)
        return self.vectors[texts[0][0]][[int(text[2:]) for text in texts]]

    def documents(self) -> dict[str, str]:
        return {f"d{number}": f"D {number}" for number in range(self.n_documents)}

    def queries(self) -> dict[str, str]:
        return {f"q{number}": f"Q {number}" for number in range(self.n_queries)}

    def qrels(self) -> dict[str, dict[str, int]]:
        return {f"q{number}": {f"d{row}": 1} for number, row in enumerate(self.relevant)}


Work = Callable[[], tuple[float, float]]
"""Encodes, searches and scores; returns mean nDCG@10 and AP@k."""


def by_hand(data: Data) -> Work:
    """What a person would write: FAISS's flat index, dicts, ir-measures."""
    import faiss
    import ir_measures
    from ir_measures import AP, nDCG

    documents, queries, qrels = data.documents(), data.queries(), data.qrels()

    def work() -> tuple[float, float]:
        index = faiss.IndexFlatIP(DIM)
        index.add(data.look_up(list(documents.values())))
        scores, rows = index.search(data.look_up(list(queries.values())), data.k)
        ids = list(documents)
        run = {
            query_id: dict(zip([ids[row] for row in found], values.tolist(), strict=True))
            for query_id, found, values in zip(queries, rows, scores, strict=True)
        }
        means = ir_measures.calc_aggregate([nDCG @ 10, AP @ data.k], qrels, run)
        return means[nDCG @ 10], means[AP @ data.k]

    return work


def _encoder(data: Data) -> Any:
    from clir_bench.encoders.contract import CheckedEncoder
    from clir_bench.types import EncoderInfo

    class LookUp:
        info = EncoderInfo(name="look-up", revision="1")
        dim = DIM

        def encode_queries(self, texts: Sequence[str], *, language: str) -> np.ndarray:
            return data.look_up(texts)

        encode_documents = encode_queries

    return CheckedEncoder(LookUp())


def clir_bench(data: Data) -> Work:
    """The same work as by hand, by clir-bench's own search and scoring."""
    import faiss  # noqa: F401 - loaded before the clock starts, as for the others
    import ir_measures  # noqa: F401

    from clir_bench.metrics.scoring import score
    from clir_bench.search.search import QuerySet, encode_queries, search_corpus
    from clir_bench.tasks.measures import parse_measures
    from clir_bench.types import Document, Qrel, Query

    encoder, documents = _encoder(data), data.documents()
    queries = [Query(*query) for query in data.queries().items()]
    qrels = [Qrel(q, d, relevance) for q, of in data.qrels().items() for d, relevance in of.items()]
    measures = list(parse_measures(["nDCG@10", f"AP@{data.k}"]))

    def work() -> tuple[float, float]:
        vectors = encode_queries(encoder, queries, "en")
        query_set = QuerySet([query.query_id for query in queries], vectors)
        (run,), _ = search_corpus(
            encoder,
            (Document(doc_id, text) for doc_id, text in documents.items()),
            [query_set],
            k=data.k,
            language="en",
            document_text="{title} {text}",
        )
        means = score(run, qrels, measures).means()
        return means[measures[0]], means[measures[1]]

    return work


def _whole_run(data: Data, embeddings: str) -> Work:
    import faiss  # noqa: F401 - as above
    import ir_measures  # noqa: F401

    from clir_bench.evaluation.evaluate import evaluate
    from clir_bench.evaluation.settings import RunSettings
    from clir_bench.search.vectors.store import Keeping
    from clir_bench.systems.system import EncoderSystem
    from clir_bench.tasks.cards import read_card
    from clir_bench.tasks.source import locate

    card, encoder = read_card(data.folder / "overhead.toml"), _encoder(data)
    settings = RunSettings(top_k=data.k, embeddings=Keeping.parse(embeddings))

    def work() -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["CLIR_BENCH_CACHE"] = f"{folder}/cache"
            result = evaluate(
                card,
                EncoderSystem(encoder, "look-up", "clir-bench 0"),
                output=Path(folder) / "results",
                source=locate(card, "test", data.folder),
                settings=settings,
            )
        return result.overall["nDCG@10"].mean, result.overall[f"AP@{data.k}"].mean

    return work


def clir_bench_run(data: Data) -> Work:
    """A whole run: files read and checked twice, run file, values, intervals, result."""
    return _whole_run(data, "off")


def clir_bench_run_stored(data: Data) -> Work:
    """A whole run that stores its vectors on the way."""
    return _whole_run(data, "auto")


def sentence_transformers(data: Data) -> Work:
    """sentence-transformers' InformationRetrievalEvaluator."""
    import torch
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    class Card:
        def set_evaluation_metrics(self, *_: Any, **__: Any) -> None: ...

    class Model:
        similarity_fn_name = "cosine"
        model_card_data = Card()

        def similarity(self, one: Any, other: Any) -> Any:
            return one @ other.T

        def encode(self, texts: Sequence[str], **_: Any) -> Any:
            return torch.from_numpy(data.look_up(texts))

        encode_query = encode_document = encode

    documents, queries = data.documents(), data.queries()
    relevant = {query_id: set(of) for query_id, of in data.qrels().items()}

    def work() -> tuple[float, float]:
        evaluator = InformationRetrievalEvaluator(
            queries, documents, relevant, map_at_k=[data.k], write_csv=False, name="x"
        )
        found: Any = evaluator(Model())  # type: ignore[arg-type]
        return found["x_cosine_ndcg@10"], found[f"x_cosine_map@{data.k}"]

    return work


def beir(data: Data) -> Work:
    """beir's exact dense search and its evaluation."""
    import torch
    from beir.retrieval.evaluation import EvaluateRetrieval
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    class Model:
        def encode_queries(self, texts: list[str], **_: Any) -> Any:
            return torch.from_numpy(data.look_up(texts))

        def encode_corpus(self, corpus: list[dict[str, str]], **_: Any) -> Any:
            return torch.from_numpy(data.look_up([document["text"] for document in corpus]))

    documents = {doc_id: {"title": "", "text": text} for doc_id, text in data.documents().items()}
    queries, qrels = data.queries(), data.qrels()

    def work() -> tuple[float, float]:
        retriever = EvaluateRetrieval(
            DenseRetrievalExactSearch(Model()), k_values=[10, data.k], score_function="cos_sim"
        )
        found = retriever.retrieve(documents, queries)
        ndcg, precision_mean, _, _ = retriever.evaluate(qrels, found, retriever.k_values)
        return ndcg["NDCG@10"], precision_mean[f"MAP@{data.k}"]

    return work


def mteb(data: Data) -> Work:
    """mteb's retrieval task with its exact search."""
    import mteb as library
    import torch
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    class Model:
        mteb_model_meta = ModelMeta.create_empty(
            overwrites={
                "name": "look/up",
                "revision": "1",
                "similarity_fn_name": ScoringFunction.COSINE,
            }
        )

        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return data.look_up([text for batch in inputs for text in batch["text"]])

        def similarity(self, one: Any, other: Any) -> Any:
            return torch.as_tensor(one) @ torch.as_tensor(other).T

        similarity_pairwise = similarity

    documents = [{"id": i, "text": text, "title": ""} for i, text in data.documents().items()]
    queries = [{"id": i, "text": text} for i, text in data.queries().items()]

    class Task(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Overhead",
            description="Overhead",
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            dataset={"path": "look/up", "revision": "1"},
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, **_: Any) -> None:
            part = {
                "corpus": Dataset.from_list(documents),
                "queries": Dataset.from_list(queries),
                "relevant_docs": data.qrels(),
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": part}}
            self.data_loaded = True

    def work() -> tuple[float, float]:
        done = library.evaluate(
            Model(),
            Task(),
            cache=None,
            encode_kwargs={"batch_size": 1024},
            co2_tracker=False,
            show_progress_bar=False,
        )
        scores = done.task_results[0].scores["test"][0]
        return scores["ndcg_at_10"], scores[f"map_at_{data.k}"]

    return work


CONTESTANTS: dict[str, tuple[str, Callable[[Data], Work]]] = {
    "by-hand": ("FAISS Flat and ir-measures by hand", by_hand),
    "clir-bench": ("clir-bench, the same work", clir_bench),
    "run": ("clir-bench, a whole run from files to result", clir_bench_run),
    "run-stored": ("clir-bench, the whole run with vectors stored", clir_bench_run_stored),
    "beir": ("beir", beir),
    "sentence-transformers": ("sentence-transformers' evaluator", sentence_transformers),
    "mteb": ("mteb", mteb),
}
OF_PEERS = ("beir", "mteb")
"""Run in an interpreter of their own."""
