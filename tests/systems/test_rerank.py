"""Ranking again: by CrossEncoders and encoders, with the scores of pairs stored."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import Folder, make_folder, write_jsonl
from tiny_models import WORDS, edit, write_bert, write_cross, write_dense, write_late

from clir_bench.core.progress import Silent
from clir_bench.encoders.st.cross_encoder import PairScorer
from clir_bench.errors import EncoderError, UsageError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.results.store import system_folder
from clir_bench.results.trec_runs import read_run
from clir_bench.search.vectors.pair_scores import PairScores
from clir_bench.search.vectors.store import Keeping
from clir_bench.systems import rerank
from clir_bench.systems.names import load_system
from clir_bench.systems.rerank import RerankSystem
from clir_bench.systems.system import System
from clir_bench.tasks.source import locate
from clir_bench.types import Run

N_DOCUMENTS = 60


@pytest.fixture(scope="session")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cross(tmp_path_factory.mktemp("models") / "cross", 1)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The tiny collection, with Swahili documents and queries of words that tiny models know."""
    made = make_folder(tmp_path)
    random = np.random.default_rng(0)

    def text() -> str:
        return " ".join(random.choice(WORDS[:13], size=int(random.integers(3, 9))))

    documents = [{"_id": f"d{i}", "title": "", "text": text()} for i in range(N_DOCUMENTS)]
    write_jsonl(made.data / "sw" / "corpus.jsonl", documents)
    queries = [{"_id": f"q{i}", "text": text()} for i in range(12)]
    write_jsonl(made.data / "queries.en.jsonl", queries)
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"q{i}\td{(7 * i + j) % N_DOCUMENTS}\t1" for i in range(12) for j in range(3)]
    (made.data / "qrels" / "sw.test.tsv").write_text("\n".join(lines) + "\n")
    made.edit_card('official = ["en-sw", "fr-sw", "en-de"]', 'official = ["en-sw"]')
    made.edit_card('available = ["fr-de"]', "available = []")
    made.edit_card('"*-sw" = [4, 3, 5]', f'"*-sw" = [{N_DOCUMENTS}, 12, 36]')
    made.edit_card('"*-de" = [3, 3, 3]', "")
    made.edit_card('measures = ["nDCG@10", "AP@1000"]', 'measures = ["nDCG@10", "AP", "RR@10"]')
    return made


def run(folder: Folder, system: System | str, output: Path, **settings: Any) -> Result:
    if isinstance(system, str):
        system = load_system(system)
    return evaluate(
        folder.card,
        system,
        output=output,
        source=locate(folder.card, "test"),
        settings=RunSettings(**{"n_resamples": 50, "embeddings": Keeping("off")} | settings),
    )


def ranking(output: Path, name: str) -> Run:
    return read_run(output / system_folder(name) / "mine/test/en-sw.run.gz")


def test_cross_encoders_rank_as_sentence_transformers_has_them_rank(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    system = load_system(f"rerank:{cross}+random")
    result = run(folder, system, tmp_path / "out")
    run(folder, "random", tmp_path / "out")
    base = ranking(tmp_path / "out", "random")
    collection = locate(folder.card, "test")
    from clir_bench.tasks.loading import Loader
    from clir_bench.types import LanguagePair

    loaded = Loader(folder.card, "test", collection).load(LanguagePair("en", "sw"))
    texts = {document.doc_id: document.text for document in loaded.documents}
    queries = {query.query_id: query.text for query in loaded.queries}
    relevant: dict[str, list[str]] = {}
    for qrel in loaded.qrels:
        relevant.setdefault(qrel.query_id, []).append(texts[qrel.doc_id])
    assert len(set(texts.values())) == N_DOCUMENTS, "the evaluator tells documents by their text"
    samples: list[Any] = [
        {
            "query": queries[query_id],
            "positive": relevant[query_id],
            "documents": [texts[doc_id] for doc_id in doc_ids],
        }
        for query_id, doc_ids in zip(base.query_ids, base.doc_ids, strict=True)
    ]
    evaluator = CrossEncoderRerankingEvaluator(
        samples, at_k=10, always_rerank_positives=False, write_csv=False
    )
    expected = evaluator(CrossEncoder(str(cross), device="cpu"))
    scores = {name: score.mean for name, score in result.pairs["en-sw"].scores.items()}
    assert scores["nDCG@10"] == pytest.approx(expected["ndcg@10"], abs=1e-12)
    assert scores["RR@10"] == pytest.approx(expected["mrr@10"], abs=1e-12)
    assert scores["AP"] == pytest.approx(expected["map"], abs=1e-12)
    assert scores["nDCG@10"] != pytest.approx(expected["base_ndcg@10"], abs=0.01)


def test_documents_below_the_depth_keep_their_order_below(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    name = run(folder, f"rerank:{cross}+depth=5+random", tmp_path / "out").system.name
    run(folder, "random", tmp_path / "out")
    assert name == f"rerank:cross@{name.partition('@')[2][:8]}+depth=5+random"
    base, again = ranking(tmp_path / "out", "random"), ranking(tmp_path / "out", name)
    for first, then in zip(base.doc_ids, again.doc_ids, strict=True):
        assert set(first[:5]) == set(then[:5])
        assert first[5:] == then[5:]
    assert base.doc_ids != again.doc_ids


def test_a_result_states_the_base_run_and_both_parts(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    result = run(folder, f"rerank:{cross}+random", tmp_path / "out")
    base = run(folder, "random", tmp_path / "out")
    assert result.pairs["en-sw"].method == f"base run {base.pairs['en-sw'].run_sha256}"
    model, other = result.system.parts
    assert other == base.system
    assert model.similarity == "pairs"
    assert model.weights_sha256 is not None
    stored = run(folder, f"rerank:{cross}+run:{tmp_path / 'out/random'}", tmp_path / "out")
    assert stored.pairs["en-sw"].scores == result.pairs["en-sw"].scores


def test_an_encoder_ranks_as_its_own_search_does(folder: Folder, tmp_path: Path) -> None:
    models = {"dense": write_dense(tmp_path / "dense", 1), "late": write_late(tmp_path / "late", 2)}
    for model in ("hashing", *(f"st:{path}" for path in models.values())):
        alone = run(folder, model, tmp_path / "out")
        name = model.removeprefix("st:")  # a folder needs no st: here
        again = run(folder, f"rerank:{name}+random", tmp_path / "out")
        assert again.system.name == f"rerank:{alone.system.name}+random"
        expected = ranking(tmp_path / "out", alone.system.name)
        found = ranking(tmp_path / "out", again.system.name)
        for one, other in zip(expected.scores, found.scores, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
        assert again.pairs["en-sw"].scores["nDCG@10"] == alone.pairs["en-sw"].scores["nDCG@10"]


class Stopped(BaseException):
    """The process is killed."""


class Counting:
    """A scorer that counts pairs, and stops the process after some calls."""

    def __init__(self, scorer: PairScorer, calls: int = 10**9) -> None:
        self.scorer, self.info, self.calls, self.n_pairs = scorer, scorer.info, calls, 0

    def score(self, pairs: Any) -> Any:
        if not self.calls:
            raise Stopped
        self.calls -= 1
        self.n_pairs += len(pairs)
        return self.scorer.score(pairs)


def counted(system: System, calls: int = 10**9) -> tuple[System, Counting]:
    assert isinstance(system, RerankSystem)
    model: Any = system.model
    counting: Any = Counting(model.scorer, calls)
    return replace(system, model=replace(model, scorer=counting)), counting


def test_a_killed_run_scores_only_what_it_has_not_scored(
    folder: Folder, cross: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerank, "_PAIRS_AT_ONCE", 100)
    system, keep = load_system(f"rerank:{cross}+random"), Keeping("keep", tmp_path / "kept")
    run(folder, system, tmp_path / "whole")
    stopped, before = counted(system, calls=3)
    with pytest.raises(Stopped):
        run(folder, stopped, tmp_path / "out", embeddings=keep)
    (path,) = (tmp_path / "kept/pairs").iterdir()
    with path.open("ab") as file:
        file.write(b"pair\x05\0\0\0 half a chunk")
    resumed, after = counted(system)
    run(folder, resumed, tmp_path / "out", embeddings=keep)
    assert before.n_pairs > 0
    assert before.n_pairs + after.n_pairs == 12 * N_DOCUMENTS
    whole, out = (
        next((tmp_path / name).rglob("en-sw.run.gz")).read_bytes() for name in ("whole", "out")
    )
    assert whole == out
    again, none = counted(load_system(f"rerank:{cross}+depth=20+bm25"))
    run(folder, again, tmp_path / "out", embeddings=keep)
    assert none.n_pairs == 0, "pairs are scored once, whatever system finds them"


def test_small_runs_store_no_scores_unless_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path))
    identity = load_system("hashing").leaves[0].store(Keeping("off"), 0).identity
    keys, scores = np.array([1, 2], np.uint64), np.array([0.5, -1], np.float32)
    for keeping, n_pairs, is_stored in (
        (Keeping("off"), 10**6, False),
        (Keeping(), 999, False),
        (Keeping(), 1000, True),
        (Keeping("keep", tmp_path / "kept"), 1, True),
    ):
        PairScores.of(keeping, "a", identity, n_pairs).add(keys, scores)
        found = PairScores.of(keeping, "a", identity, n_pairs).find(keys)
        assert np.isnan(found).all() != is_stored


def test_scores_of_another_model_are_not_taken(tmp_path: Path) -> None:
    keys, scores = np.array([1], np.uint64), np.array([0.5], np.float32)
    PairScores(tmp_path / "file", b"one").add(keys, scores)
    assert PairScores(tmp_path / "file", b"one").find(keys) == scores
    assert np.isnan(PairScores(tmp_path / "file", b"other").find(keys)).all()


def test_a_model_with_two_labels_is_refused(tmp_path: Path) -> None:
    path = write_cross(tmp_path / "two", 1, n_labels=2)
    with pytest.raises(EncoderError, match=r"gives every pair 2 scores.*expected a reranker"):
        load_system(f"rerank:{path}+hashing")


def test_a_model_that_scores_no_documents_is_refused(tmp_path: Path) -> None:
    write_bert(tmp_path / "words", 1)
    edit(tmp_path / "words" / "config.json", architectures=["BertForMaskedLM"])
    with pytest.raises(EncoderError, match="BertForMaskedLM"):
        load_system(f"rerank:{tmp_path / 'words'}+hashing")
    with pytest.raises(UsageError, match=r"statistics of the whole corpus.*hybrid:bm25\+SYSTEM"):
        load_system("rerank:bm25+hashing")
    with pytest.raises(UsageError, match="no such folder, and no Hub id"):
        load_system("rerank:no/such/folder+hashing")


def test_scores_that_are_not_finite_fail_the_pair(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    system: Any = load_system(f"rerank:{cross}+random")
    with_nan = system.model.scorer._model
    with_nan[0].model.classifier.bias.data.fill_(float("nan"))
    result = run(folder, system, tmp_path / "out")
    assert "scores are not finite" in (result.pairs["en-sw"].error or "")


def test_failures_of_the_base_are_failures_of_the_whole(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    run(folder, "random", tmp_path / "out")
    next((tmp_path / "out").rglob("en-sw.run.gz")).unlink()
    result = run(folder, f"rerank:{cross}+run:{tmp_path / 'out/random'}", tmp_path / "out")
    assert "missing" in (result.pairs["en-sw"].error or "")


def test_tied_scores_are_ranked_by_id_and_unknown_documents_below() -> None:
    first = Run(["q"], [("a", "x", "b", "c", "d")], [np.arange(5, 0, -1, dtype=np.float32)])
    new = np.array([1, np.nan, 1, 2], dtype=np.float32)
    again = rerank.rerank(first, [new])
    assert again.doc_ids == (("c", "b", "a", "x", "d"),)
    scores = again.scores[0]
    assert scores[:3].tolist() == [2, 1, 1]
    assert scores[4] < scores[3] < 1


def test_the_texts_are_those_that_the_task_asks(
    folder: Folder, cross: Path, tmp_path: Path
) -> None:
    """A translation around a reranker reaches the reranker too."""
    from clir_bench.systems.answers import Asked, Task
    from clir_bench.tasks.loading import Loader, prepare
    from clir_bench.types import LanguagePair

    system, _ = counted(load_system(f"rerank:{cross}+random"))
    seen: list[str] = []
    model: Any = system
    score = model.model.scorer.score
    model.model.scorer.score = lambda pairs: (
        seen.extend(query for query, _ in pairs) or score(pairs)
    )
    loader = Loader(folder.card, "test", locate(folder.card, "test"))
    groups = prepare(loader, [LanguagePair("en", "sw")]).groups
    task = Task(
        loader,
        [],
        Silent(),
        10,
        [],
        rewrite=lambda _, queries: Asked(["paka"] * len(queries), "sw"),
    )
    (found,) = system.answers(groups, task)
    assert set(seen) == {"paka"}
    assert not found.failures


def test_the_base_run_is_hashed_as_it_would_be_stored(folder: Folder, tmp_path: Path) -> None:
    result = run(folder, "rerank:hashing+bm25", tmp_path / "out")
    run(folder, "bm25", tmp_path / "out")
    data = next((tmp_path / "out" / "bm25").rglob("en-sw.run.gz")).read_bytes()
    assert hashlib.sha256(data).hexdigest() in result.pairs["en-sw"].method


def test_the_models_of_a_system_are_fetched_ahead_of_time(cross: Path) -> None:
    from clir_bench.evaluation.downloads import fetch_all

    name = f"rerank:{cross}+hybrid:bm25+run:results/none"
    (fetched,) = fetch_all([], [name])
    assert not fetched.error
    assert fetched.outcome.startswith(f"st:{cross}: ")
    assert "; bm25: " in fetched.outcome


def test_pruning_removes_scores_of_pairs_that_are_idle(tmp_path: Path) -> None:
    from clir_bench.search.vectors.maintenance import prune_vectors

    (tmp_path / "pairs").mkdir()
    path = tmp_path / "pairs" / "a-0123.scores"
    PairScores(path, b"one").add(np.array([1], np.uint64), np.array([0.5], np.float32))
    assert prune_vectors(tmp_path, idle_seconds=3600).freed_bytes == 0
    assert path.exists()
    assert prune_vectors(tmp_path, everything=True).freed_bytes == 36
    assert not path.exists()
