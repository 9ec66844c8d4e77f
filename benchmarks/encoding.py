"""Encoding speed and faithfulness: clir-bench's arithmetics beside sentence-transformers' encode.

    CLIR_BENCH_DATA=FOLDER python benchmarks/encoding.py speed
    CLIR_BENCH_DATA=FOLDER python benchmarks/encoding.py scores
    python benchmarks/encoding.py products

`products` measures the model's largest layer in every way it could run, as `--dtype auto` does, and
says what that takes: a few seconds tell what kind of processor this is.
`speed` encodes XQuAD paragraphs of four languages, all ways in turn, several times over, and sets
the least time of each beside the least of sentence-transformers' best batch size in float32 and in
bfloat16. With one thread times are processor seconds, which other work on the machine moves less.
`scores` encodes all twelve languages in every arithmetic and prints how far nDCG@10 moves; with
`--languages` several processes can share them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clir_bench.core import provenance as environment
from clir_bench.encoders import load_encoder
from clir_bench.encoders.st import precision, speeds
from clir_bench.encoders.st.rates import matrix_rate, operations
from clir_bench.evaluation.evaluate import RunSettings
from clir_bench.metrics.scoring import score
from clir_bench.search.search import QuerySet, encode_queries, search_corpus
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.measures import parse_measures
from clir_bench.tasks.source import locate
from clir_bench.types import Document, LanguagePair

MODEL = "all-minilm-l6-v2"
DTYPES = ("float32", "mixed-bfloat16", "bfloat16")
BATCH_SIZES = (8, 16, 32, 64, 128)
SPEED_LANGUAGES = ("en", "de", "th", "zh")


@dataclass(frozen=True)
class Way:
    """One way to encode the texts.

    Attributes:
        theirs: Whether it is sentence-transformers' own `encode`.
        dtype: Arithmetic, as results record it.
        setting: What it was told besides.
        run: Encodes texts.
    """

    theirs: bool
    dtype: str
    setting: str
    run: Callable[[Sequence[str]], Any]

    @property
    def matrix_dtype(self) -> str:
        """Of the matrix product whose rate it is compared with: the fastest it uses."""
        return "float32" if self.dtype == "float32" else "bfloat16"


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=("speed", "scores", "products"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--texts", type=int, default=32, help="paragraphs a language")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--languages", nargs="+", help="of `scores`; all twelve if not given")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES[1:], default=DTYPES[1:])
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    print(
        f"{environment.hardware()['processor']}, {arguments.threads} threads, torch "
        f"{torch.__version__}\n"
    )
    if arguments.table == "scores":
        _print_scores(arguments.languages, ("float32", *arguments.dtypes))
    elif arguments.table == "products":
        _print_products(arguments.repeats)
    else:
        clock = time.process_time if arguments.threads == 1 else time.perf_counter
        _print_speed(arguments.texts, arguments.repeats, clock)


def _loader() -> Loader:
    card = load_card("xquad")
    return Loader(card, card.default_split, locate(card, card.default_split))


def _print_speed(n_texts: int, repeats: int, clock: Callable[[], float]) -> None:
    texts = _paragraphs(n_texts)
    ways, model = _ways()
    mask = model.preprocess(texts)["attention_mask"].sum(dim=1)
    n_tokens = int(mask.sum())
    work = operations(model[0], {"tokens": n_tokens, "squared_tokens": int((mask**2).sum())})
    seconds, rates = _measure(ways, texts, repeats, clock)
    best = {
        dtype: min(
            least
            for way, least in zip(ways, seconds, strict=True)
            if way.theirs and way.dtype == dtype
        )
        for dtype in ("float32", "bfloat16")
    }
    print(
        f"{len(texts)} documents, {n_tokens / len(texts):.0f} tokens each; matrix products: "
        + ", ".join(f"{rate / 1e9:.0f} Gflop/s in {dtype}" for dtype, rate in rates.items())
        + "\n\n| encode | dtype | batch | documents/s | tokens/s | share of the matrix rate | "
        "against its best float32 | against its best bfloat16 |\n|---|---|" + 6 * "---:|"
    )
    for way, least in zip(ways, seconds, strict=True):
        share = work / least / rates[way.matrix_dtype]
        print(
            f"| {'sentence-transformers' if way.theirs else '**clir-bench**'} | {way.dtype} "
            f"| {way.setting} | {len(texts) / least:.0f} | {n_tokens / least:.0f} "
            f"| {share:.0%} of {way.matrix_dtype} | {best['float32'] / least:.2f} "
            f"| {best['bfloat16'] / least:.2f} |"
        )


def _paragraphs(n_texts: int) -> list[str]:
    loader = _loader()
    texts: list[str] = []
    for code in SPEED_LANGUAGES:
        documents = list(loader.load(LanguagePair(code, code)).documents)
        step = max(1, len(documents) // n_texts)
        texts += [document.text for document in documents[::step][:n_texts]]
    return texts


def _ways() -> tuple[list[Way], Any]:
    """Return all ways, and the model in float32."""
    encoders: dict[str, Any] = {
        dtype: load_encoder(MODEL, device="cpu", dtype=dtype) for dtype in DTYPES
    }
    models = {dtype: encoders[dtype].inner._model for dtype in ("float32", "bfloat16")}
    ways = [
        Way(True, dtype, f"{size} texts", _theirs(model, size))
        for dtype, model in models.items()
        for size in BATCH_SIZES
    ]
    for dtype in ("float32", "mixed-bfloat16"):
        encoder = encoders[dtype]
        tokens = encoder.inner._tokens
        setting = f"{tokens.budget:,} tokens" if tokens else f"{encoder.inner._texts.size} texts"
        ways.append(Way(False, dtype, setting, _ours(encoder)))
    return ways, models["float32"]


def _theirs(model: Any, size: int) -> Callable[[Sequence[str]], Any]:
    return lambda texts: model.encode(list(texts), batch_size=size, show_progress_bar=False)


def _ours(encoder: Any) -> Callable[[Sequence[str]], Any]:
    return lambda texts: encoder.encode_documents(texts, language="en")


def _measure(
    ways: Sequence[Way], texts: Sequence[str], repeats: int, clock: Callable[[], float]
) -> tuple[list[float], dict[str, float]]:
    """Return the least seconds of every way, all run in turn, and the best rates in between."""
    import torch

    seconds = [float("inf")] * len(ways)
    rates = {"float32": 0.0, "bfloat16": 0.0}
    for way in ways:
        way.run(texts[:8])
    for _ in range(repeats):
        for dtype, before in rates.items():
            rates[dtype] = max(before, matrix_rate(getattr(torch, dtype), "cpu", clock))
        for place, way in enumerate(ways):
            started = clock()
            way.run(texts)
            seconds[place] = min(seconds[place], clock() - started)
    return seconds, rates


def _print_products(repeats: int) -> None:
    """Print the rates of all ways of the largest layer, and of large matrices."""
    import torch

    layer = torch.nn.Linear(384, 1536)  # the model's own; two thirds of its weights mix
    print(f"| product | {' | '.join(map(str, range(1, repeats + 1)))} |")
    print(f"|---|{'---:|' * repeats}")
    ways = speeds.ways_of(layer, with_bfloat16=True)
    measured = [speeds.measure(ways) for _ in range(repeats)]
    work = 2.0 * speeds.ROWS * layer.weight.numel()
    for way in ways:
        cells = [f"{work / one[way] / 1e9:.0f}" for one in measured]
        print(f"| layer, {way}, Gflop/s | {' | '.join(cells)} |")
    native = precision.multiplies_bfloat16()
    for dtype in ("float32", "bfloat16") if native else ("float32",):
        rates = [matrix_rate(getattr(torch, dtype), "cpu") for _ in range(repeats)]
        print(f"| large, {dtype}, Gflop/s | {' | '.join(f'{r / 1e9:.0f}' for r in rates)} |")
    taken = [precision.faster(speeds.Speeds(work, one), 2 / 3).dtype for one in measured]
    print(f"| would take | {' | '.join(taken)} |")
    print(f"\nbfloat16 instructions: {native}")


def _print_scores(languages: Sequence[str] | None, dtypes: Sequence[str]) -> None:
    loader = _loader()
    encoders = {dtype: load_encoder(MODEL, device="cpu", dtype=dtype) for dtype in dtypes}
    print(f"| pair | {' | '.join(dtypes)} |")
    print(f"|---|{'---:|' * len(dtypes)}")
    worst = dict.fromkeys(dtypes, 0.0)
    spent = dict.fromkeys(dtypes, 0.0)
    for pair in loader.card.official_pairs():
        if languages and pair.document not in languages:
            continue
        found = {}
        for dtype, encoder in encoders.items():
            started = time.process_time()
            found[dtype] = _ndcg(encoder, loader, pair)
            spent[dtype] += time.process_time() - started
        exact = found["float32"]
        cells = [f"{exact:.5f}"]
        for dtype in dtypes[1:]:
            cells.append(f"{found[dtype] - exact:+.5f}")
            worst[dtype] = max(worst[dtype], abs(found[dtype] - exact))
        print(f"| {pair} | {' | '.join(cells)} |", flush=True)
    cells = [f"{worst[dtype]:.5f}" for dtype in dtypes[1:]]
    print(f"| largest move | | {' | '.join(cells)} |")
    print(f"| processor seconds | {' | '.join(f'{each:.0f}' for each in spent.values())} |")


def _ndcg(encoder: Any, loader: Loader, pair: LanguagePair) -> float:
    collection = loader.load(pair)
    documents: list[Document] = list(collection.documents)
    vectors = encode_queries(encoder, collection.queries, pair.query)
    runs, _ = search_corpus(
        encoder,
        documents,
        [QuerySet([query.query_id for query in collection.queries], vectors)],
        k=RunSettings().top_k,
        language=pair.document,
        document_text=loader.card.document_text,
    )
    measures = list(parse_measures(["nDCG@10"]))
    return score(runs[0], collection.qrels, measures).means()["nDCG@10"]


if __name__ == "__main__":
    main()
