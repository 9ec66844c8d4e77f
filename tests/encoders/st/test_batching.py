"""Batches filled to a number of tokens, what they do when memory runs out, and the arithmetic."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import TEXTS, write_dense, write_late

from clir_bench.encoders import load_encoder
from clir_bench.encoders.st import precision, speeds
from clir_bench.encoders.st.batching import TextBatches, TokenBatches
from clir_bench.encoders.st.encoding import batches_for
from clir_bench.encoders.st.speeds import Speeds
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import EncoderRequest, Vectors

MANY = [*TEXTS, "the dog sat on a mat , the cat ran .", "fog " * 9, "cat", "a mat", "mbwa " * 30]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tmp_path_factory.mktemp("models") / "tiny", 1, prompts={"query": "query : "})


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_late(tmp_path_factory.mktemp("models") / "tiny-late", 2)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose bfloat16 products were measured to be fast."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    fast = Speeds(1.0, {"float32": 2.0, "bfloat16": 1.0})
    monkeypatch.setattr(speeds, "here", lambda *_, **__: fast)


def batches_of(budget: int, lengths: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    TokenBatches(budget).run(lengths, lambda rows: found.append(rows.tolist()))
    return found


def out_of_memory_above(tokens: int, lengths: list[int]) -> tuple[Callable[[Any], None], list[int]]:
    """Return a model that has room for so many tokens, padding included, and what it has done."""
    import torch

    done: list[int] = []

    def forward(rows: Any) -> None:
        if len(rows) * max(lengths[row] for row in rows) > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.extend(rows.tolist())

    return forward, done


def test_a_batch_holds_at_most_the_budget_with_padding_and_the_longest_come_first() -> None:
    # 6 + 6 tokens fill a budget of 12; a third text would pad to 18.
    assert batches_of(12, [3, 6, 1, 5]) == [[1, 3], [0, 2]]


def test_every_text_is_in_one_batch_and_only_a_text_longer_than_the_budget_exceeds_it() -> None:
    lengths = np.random.default_rng(0).integers(0, 40, 300).tolist()
    found = batches_of(30, lengths)
    assert sorted(row for rows in found for row in rows) == list(range(300))
    for rows in found:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 30


def test_equal_lengths_keep_their_order_so_that_batches_are_the_same_every_time() -> None:
    assert batches_of(4, [2, 2, 2, 2, 2]) == [[0, 1], [2, 3], [4]]


def test_out_of_memory_halves_the_budget_until_a_batch_fits_and_loses_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lengths = [10] * 50
    forward, done = out_of_memory_above(60, lengths)
    batches = TokenBatches(400)
    with caplog.at_level(logging.WARNING):
        batches.run(lengths, forward)
    assert sorted(done) == list(range(50))
    assert batches.budget == 50  # 400, 200, 100, 50
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "40 texts of up to 10 tokens did not fit into memory",
        "20 texts of up to 10 tokens did not fit into memory",
        "10 texts of up to 10 tokens did not fit into memory",
    ]


def test_a_smaller_budget_is_kept_for_the_next_texts() -> None:
    lengths = [10] * 8
    forward, _ = out_of_memory_above(20, lengths)
    batches = TokenBatches(80)
    batches.run(lengths, forward)
    calls: list[int] = []
    batches.run(lengths, lambda rows: calls.append(len(rows)))
    assert calls == [2, 2, 2, 2]


def test_one_text_that_does_not_fit_is_an_error() -> None:
    import torch

    forward, done = out_of_memory_above(5, [10, 3])
    with pytest.raises(torch.OutOfMemoryError):
        TokenBatches(64).run([10, 3], forward)
    assert done == []


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    def forward(_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        TokenBatches(64).run([1, 1, 1], forward)


def test_fixed_batches_are_halved_too_when_the_processors_memory_runs_out() -> None:
    tried: list[int] = []

    def encode(size: int) -> str:
        tried.append(size)
        if size > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return "done"

    batches = TextBatches(16)
    assert (batches.run(encode), batches.run(encode)) == ("done", "done")
    assert tried == [16, 8, 4, 2, 2]


def test_an_encoder_that_runs_out_of_memory_ends_with_the_same_vectors(
    dense: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    spec = f"st:{dense}"
    expected = load_encoder(spec, device="cpu", dtype="float32", batch_tokens=24)
    encoder = load_encoder(spec, device="cpu", dtype="float32", batch_tokens=192)
    model = encoder.inner._model  # type: ignore[union-attr]
    whole = model[0].forward

    def cramped(features: dict[str, Any], **kwargs: Any) -> Any:
        if features["input_ids"].numel() > 24:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(features, **kwargs)

    monkeypatch.setattr(model[0], "forward", cramped)
    assert np.array_equal(vectors(encoder, MANY), vectors(expected, MANY))


def vectors(encoder: Any, texts: list[str]) -> Vectors:
    found: Vectors = encoder.encode_documents(texts, language="en")
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_token_batches_give_the_vectors_of_fixed_ones_whichever_side_is_padded(
    dense: Path, side: str
) -> None:
    spec = f"st:{dense}"
    fixed = load_encoder(spec, device="cpu", dtype="float32", batch_size=32)
    filled = load_encoder(spec, device="cpu", dtype="float32", batch_tokens=30)
    filled.inner._model.tokenizer.padding_side = side  # type: ignore[union-attr]
    if side == "left":  # BERT counts positions from the first column, so only equal lengths compare
        assert np.allclose(vectors(filled, ["a mat"] * 3), vectors(fixed, ["a mat"] * 3), atol=1e-5)
        return
    assert np.allclose(vectors(filled, MANY), vectors(fixed, MANY), atol=1e-5)
    queries = filled.encode_queries(MANY, language="en")  # type: ignore[union-attr]
    assert np.allclose(queries, fixed.encode_queries(MANY, language="en"), atol=1e-5)  # type: ignore[union-attr]


def test_transformers_of_one_vector_fill_batches_unless_a_number_of_texts_is_asked_for() -> None:
    request = EncoderRequest("st", "x")
    assert batches_for(request, "cpu", "single")[1] is not None
    assert batches_for(request, "cpu", "tokens")[1] is None
    assert batches_for(request, "cpu", "single", has_layers=False)[1] is None
    texts, tokens = batches_for(replace(request, batch_size=7), "cpu", "single")
    assert (texts.size, tokens) == (7, None)


@pytest.mark.parametrize("dtype", ["float32", "mixed-bfloat16"])
def test_the_same_texts_give_the_same_bits(dense: Path, dtype: str) -> None:
    one, two = (load_encoder(f"st:{dense}", device="cpu", dtype=dtype) for _ in range(2))
    assert np.array_equal(vectors(one, MANY), vectors(two, MANY))


@pytest.mark.usefixtures("native")
def test_auto_mixes_on_processors_that_multiply_bfloat16_fast_and_says_so(dense: Path) -> None:
    encoder = load_encoder(f"st:{dense}", device="cpu")
    assert encoder.info.dtype == "mixed-bfloat16"
    exact = load_encoder(f"st:{dense}", device="cpu", dtype="float32")
    near, true = vectors(encoder, MANY), vectors(exact, MANY)
    assert not np.array_equal(near, true)
    assert (near * true).sum(axis=1).min() > 0.9999


def test_auto_is_float32_on_other_processors(dense: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    assert load_encoder(f"st:{dense}", device="cpu").info.dtype == "float32"


@pytest.mark.usefixtures("native")
def test_auto_is_float32_for_late_interaction_on_a_processor(late: Path) -> None:
    assert load_encoder(f"st:{late}", device="cpu").info.dtype == "float32"


def test_only_the_feed_forward_layers_are_bfloat16(dense: Path) -> None:
    import torch

    encoder = load_encoder(f"st:{dense}", device="cpu", dtype="mixed-bfloat16")
    model = encoder.inner._model  # type: ignore[union-attr]
    low = {n for n, p in model.named_parameters() if p.dtype == torch.bfloat16}
    assert {name.partition("layer.")[2] for name in low} == {
        f"{layer}.{block}.dense.{part}"
        for layer in (0, 1)
        for block in ("intermediate", "output")
        for part in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder.layer.3.intermediate.dense", True),
        ("encoder.layer.3.output.dense", True),
        ("encoder.layer.3.attention.output.dense", False),
        ("encoder.layer.3.attention.self.query", False),
        ("pooler.dense", False),
        ("layers.0.mlp.Wi", True),
        ("layers.0.mlp.down_proj", True),
        ("layers.0.self_attn.o_proj", False),
        ("transformer.layer.0.ffn.lin1", True),
        ("encoder.block.0.layer.1.DenseReluDense.wo", True),
    ],
)
def test_feed_forward_layers_are_known_by_their_place(name: str, expected: bool) -> None:
    assert precision._is_feed_forward(name) is expected


def test_a_model_with_nothing_to_mix_is_refused_or_left_in_float32(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tiny_models import write_bert
    from transformers import BertTokenizer

    write_bert(tmp_path / "bert", 1)
    tokenizer: Any = BertTokenizer.from_pretrained(tmp_path / "bert")
    static = StaticEmbedding(tokenizer._tokenizer, embedding_dim=6)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    spec = f"st:{tmp_path / 'static'}"
    with pytest.raises(EncoderError, match="no feed-forward layers"):
        load_encoder(spec, device="cpu", dtype="mixed-bfloat16")
    encoder = load_encoder(spec, device="cpu", batch_tokens=64)
    assert encoder.info.dtype == "float32"
    assert vectors(encoder, MANY).shape == (len(MANY), 6)


def test_batches_of_texts_and_of_tokens_exclude_each_other(dense: Path, late: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        load_encoder(f"st:{dense}", device="cpu", batch_size=2, batch_tokens=64)
    with pytest.raises(UsageError, match="not for late interaction"):
        load_encoder(f"st:{late}", device="cpu", batch_tokens=64)
    with pytest.raises(UsageError, match="batch tokens 0"):
        load_encoder(f"st:{dense}", device="cpu", batch_tokens=0)
