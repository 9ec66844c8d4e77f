"""Encoding speed and faithfulness: clir-bench's arithmetics beside sentence-transformers' encode.

    CLIR_BENCH_DATA=FOLDER python benchmarks/encoding.py speed
    CLIR_BENCH_DATA=FOLDER python benchmarks/encoding.py scores

`speed` encodes XQuAD paragraphs of four languages, all ways in turn, several times over, and
prints the median of the ratios to sentence-transformers' float32 at its best batch size, which is
looked for first; ratios of neighbours, in processor seconds, hold where the machine's speed drifts.
`scores` encodes all twelve languages in every arithmetic and prints how far nDCG@10 moves.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from clir_bench import environment
from clir_bench.adapters.source import locate
from clir_bench.cards import load_card
from clir_bench.encoders import load_encoder
from clir_bench.encoders.rates import matrix_rate, operations
from clir_bench.evaluate import Settings
from clir_bench.preparation import Loader
from clir_bench.retrieval import QuerySet, encode_queries, search_corpus
from clir_bench.scoring import parse_measures, score
from clir_bench.types import Document, LanguagePair

MODEL = "all-minilm-l6-v2"
DTYPES = ("float32", "mixed-bfloat16", "bfloat16")
BATCH_SIZES = (4, 8, 16, 32, 64)
BUDGETS = (512, 1024, 2048, 4096, 8192)
SPEED_LANGUAGES = ("en", "de", "ru", "zh")


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("speed", "scores"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--texts", type=int, default=64, help="paragraphs a language")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(
        f"{environment.hardware()['processor']}, {arguments.threads} threads, torch "
        f"{torch.__version__}\n"
    )
    if arguments.table == "scores":
        _print_scores()
    else:
        _print_speed(arguments.texts, arguments.repeats)


def _loader() -> Loader:
    card = load_card("xquad")
    return Loader(card, card.default_split, locate(card, card.default_split))


def _print_speed(n_texts: int, repeats: int) -> None:
    import torch

    loader = _loader()
    texts: list[str] = []
    for code in SPEED_LANGUAGES:
        documents = list(loader.load(LanguagePair(code, code)).documents)
        texts += [document.text for document in documents[:: max(1, len(documents) // n_texts)]]
    encoders = {dtype: load_encoder(MODEL, device="cpu", dtype=dtype) for dtype in DTYPES}
    models: dict[str, Any] = {
        dtype: encoders[dtype].inner._model  # type: ignore[union-attr]
        for dtype in ("float32", "bfloat16")
    }
    mask = models["float32"].preprocess(texts)["attention_mask"].sum(dim=1)
    counts = {"tokens": int(mask.sum()), "squared_tokens": int((mask**2).sum())}
    work = operations(models["float32"][0], counts)
    print(f"{len(texts)} texts, {counts['tokens'] / len(texts):.0f} tokens a text\n")
    ways: dict[str, Callable[[], Any]] = {}
    for dtype, model in models.items():
        name, size = _best(
            {size: _theirs(model, texts, size) for size in BATCH_SIZES}, f"their {dtype}"
        )
        ways[name] = _theirs(model, texts, size)
    for dtype in DTYPES:
        if dtype != "float32":
            tried = {budget: _ours(dtype, texts, budget) for budget in BUDGETS}
            name, budget = _best(tried, f"our {dtype}, tokens")
            ways[name] = tried[budget]
    seconds = _alternating(ways, repeats)
    rates = {dtype: matrix_rate(dtype, "cpu") for dtype in (torch.float32, torch.bfloat16)}
    print("\n| | speed against the first | texts a second | share of the matrix rate |")
    print("|---|---:|---:|---:|")
    first = next(iter(seconds.values()))
    for name, spent in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(first, spent, strict=True))
        low = "bfloat16" in name
        rate = rates[torch.bfloat16 if low else torch.float32]
        least = min(spent)
        print(
            f"| {name} | {ratio:.2f} | {len(texts) / least:.0f} | {work / least / rate:.0%} of "
            f"{rate / 1e9:.0f} Gflop/s {'bfloat16' if low else 'float32'} |"
        )


def _theirs(model: Any, texts: Sequence[str], size: int) -> Callable[[], Any]:
    return lambda: model.encode(list(texts), batch_size=size, show_progress_bar=False)


def _ours(dtype: str, texts: Sequence[str], budget: int) -> Callable[[], Any]:
    encoder: Any = load_encoder(MODEL, device="cpu", dtype=dtype, batch_tokens=budget)
    return lambda: encoder.encode_documents(texts, language="en")


def _best(tried: dict[int, Callable[[], Any]], name: str) -> tuple[str, int]:
    """Return the setting that took least, and a name that says it."""
    seconds = _alternating({str(size): way for size, way in tried.items()}, 2)
    ordered = sorted(seconds, key=lambda size: min(seconds[size]))
    least = min(seconds[ordered[0]])
    print(
        f"{name}: "
        + ", ".join(f"{size}: {least / min(spent):.2f}" for size, spent in seconds.items())
    )
    return f"{name} {ordered[0]}", int(ordered[0])


def _alternating(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Return the processor seconds of every way, each run once before and then in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.process_time()
            way()
            seconds[name].append(time.process_time() - started)
    return seconds


def _print_scores() -> None:
    loader = _loader()
    encoders = {dtype: load_encoder(MODEL, device="cpu", dtype=dtype) for dtype in DTYPES}
    print(f"| pair | {' | '.join(DTYPES)} |")
    print(f"|---|{'---:|' * len(DTYPES)}")
    worst = dict.fromkeys(DTYPES, 0.0)
    for pair in loader.card.official_pairs():
        found = {dtype: _ndcg(encoder, loader, pair) for dtype, encoder in encoders.items()}
        exact = found["float32"]
        cells = [f"{exact:.5f}"]
        for dtype in DTYPES[1:]:
            cells.append(f"{found[dtype] - exact:+.5f}")
            worst[dtype] = max(worst[dtype], abs(found[dtype] - exact))
        print(f"| {pair} | {' | '.join(cells)} |", flush=True)
    cells = [f"{worst[dtype]:.5f}" for dtype in DTYPES[1:]]
    print(f"| largest move | | {' | '.join(cells)} |")


def _ndcg(encoder: Any, loader: Loader, pair: LanguagePair) -> float:
    collection = loader.load(pair)
    documents: list[Document] = list(collection.documents)
    vectors = encode_queries(encoder, collection.queries, pair.query)
    runs, _ = search_corpus(
        encoder,
        documents,
        [QuerySet([query.query_id for query in collection.queries], vectors)],
        k=Settings().top_k,
        language=pair.document,
        document_text=loader.card.document_text,
    )
    measures = list(parse_measures(["nDCG@10"]))
    return score(runs[0], collection.qrels, measures).means()["nDCG@10"]


if __name__ == "__main__":
    main()
