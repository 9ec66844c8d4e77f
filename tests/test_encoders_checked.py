"""Whatever an encoder returns is either usable or refused with the text that caused it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from clir_bench.encoders.checked import CheckedEncoder, CheckedTokenEncoder
from clir_bench.errors import DataError, EncoderError
from clir_bench.types import Encoder, EncoderInfo, TokenEncoder

DIM = 3
TEXTS = ["habari ya asubuhi", "paka amelala " * 20]
Answer = Callable[[Sequence[str]], Any]


class Scripted:
    """An encoder that answers whatever the test wants, for both protocols."""

    dim = DIM

    def __init__(self, answer: Answer, similarity: Any = "dot") -> None:
        self.info = EncoderInfo(name="scripted", revision="1", similarity=similarity)
        self.n_calls = 0
        self._answer = answer

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Any:
        self.n_calls += 1
        return self._answer(texts)

    encode_documents = encode_query_tokens = encode_document_tokens = encode_queries


def refused(answer: Answer, similarity: str = "dot") -> str:
    encoder = CheckedEncoder(Scripted(answer, similarity))
    messages = []
    for method in (encoder.encode_queries, encoder.encode_documents):
        with pytest.raises(EncoderError) as caught:
            method(TEXTS, language="sw")
        messages.append(str(caught.value))
    assert all("'scripted'" in message and "'sw'" in message for message in messages)
    return messages[0]


def refused_tokens(answer: Answer) -> str:
    with pytest.raises(EncoderError) as caught:
        CheckedTokenEncoder(Scripted(answer, "maxsim")).encode_document_tokens(TEXTS, language="sw")
    message = str(caught.value)
    assert "'scripted'" in message
    assert "'sw'" in message
    return message


def rows(*values: Sequence[float], dtype: Any = np.float32) -> Answer:
    return lambda _: np.array(values, dtype=dtype)


GOOD = rows([1, 0, 0], [0, 1, 0])


def test_good_rows_pass_unchanged() -> None:
    found = CheckedEncoder(Scripted(GOOD)).encode_queries(TEXTS, language="sw")
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_arrays_become_float32(dtype: Any) -> None:
    answer = rows([0.5, 0, 0], [0, 1, 0], dtype=dtype)
    found = CheckedEncoder(Scripted(answer)).encode_documents(TEXTS, language="sw")
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_text(value: float) -> None:
    message = refused(rows([1, 0, 0], [0, value, 0]))
    assert "paka amelala paka" in message
    assert "..." in message
    assert "found 1 that are NaN or infinite" in message


def test_a_float64_too_large_for_float32_is_refused() -> None:
    assert "infinite" in refused(rows([1, 0, 0], [0, 1e300, 0], dtype=np.float64))


def test_a_zero_row_is_refused_with_its_text() -> None:
    message = refused(rows([0, 0, 0], [0, 1, 0]))
    assert "'habari ya asubuhi'" in message
    assert "all zeros" in message


def test_a_missing_row_is_refused() -> None:
    assert "(2, 3), one row a text, found (1, 3)" in refused(rows([1, 0, 0]))


def test_a_wrong_dimension_is_refused() -> None:
    assert "found (2, 2)" in refused(rows([1, 0], [0, 1]))


def test_one_flat_row_is_refused() -> None:
    assert "found (3,)" in refused(lambda _: np.ones(3, dtype=np.float32))


def test_a_list_is_refused() -> None:
    assert "expected a numpy array of floats, found builtins.list" in refused(lambda _: [[1, 0, 0]])


def test_integers_are_refused() -> None:
    assert "found int64" in refused(rows([1, 0, 0], [0, 1, 0], dtype=np.int64))


def test_a_torch_tensor_is_refused_with_how_to_convert_it() -> None:
    import torch

    message = refused(lambda _: torch.eye(2, 3))
    assert "found torch.Tensor; return tensor.float().cpu().numpy()" in message


def test_rows_that_claim_cosine_must_have_length_one() -> None:
    message = refused(rows([1, 0, 0], [0, 2, 0]), "cosine")
    assert "length 1, found 2" in message
    assert "paka" in message


def test_long_rows_are_fine_for_dot() -> None:
    answer = rows([1e30, 0, 0], [0, 1e-30, 0])
    found = CheckedEncoder(Scripted(answer)).encode_queries(TEXTS, language="sw")
    assert found[0, 0] == np.float32(1e30)


def failing(error: BaseException) -> Answer:
    def answer(_: Sequence[str]) -> Any:
        raise error

    return answer


def test_an_exception_of_the_encoder_names_model_language_and_text() -> None:
    message = refused(failing(KeyError("vocab")))
    assert "KeyError: 'vocab'" in message
    assert "2 queries in 'sw', the first being 'habari ya asubuhi'" in message


def test_a_full_device_suggests_a_smaller_batch() -> None:
    import torch

    assert "--batch-size" in refused(failing(torch.OutOfMemoryError("CUDA out of memory")))


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), DataError("broken file")])
def test_errors_that_are_not_the_encoders_pass(error: BaseException) -> None:
    with pytest.raises(type(error)):
        CheckedEncoder(Scripted(failing(error))).encode_queries(TEXTS, language="sw")


def test_no_texts_give_no_rows_without_asking_the_encoder() -> None:
    inner = Scripted(failing(AssertionError()))
    assert CheckedEncoder(inner).encode_queries([], language="sw").shape == (0, DIM)
    assert CheckedTokenEncoder(inner).encode_query_tokens([], language="sw") == []
    assert inner.n_calls == 0


def tokens(*shapes: int) -> Answer:
    return lambda _: [np.ones((n, DIM), dtype=np.float32) for n in shapes]


def test_texts_may_differ_in_their_number_of_tokens() -> None:
    encoder = CheckedTokenEncoder(Scripted(tokens(1, 4), "maxsim"))
    found = encoder.encode_query_tokens(TEXTS, language="sw")
    assert [array.shape for array in found] == [(1, DIM), (4, DIM)]


def test_a_text_without_tokens_is_refused() -> None:
    message = refused_tokens(tokens(2, 0))
    assert "at least one token, found (0, 3)" in message
    assert "paka" in message


def test_a_text_without_an_array_is_refused() -> None:
    assert "a list of 2 arrays, one a text, found list of 1" in refused_tokens(tokens(2))


def test_a_single_vector_for_a_text_is_refused() -> None:
    assert "found (3,)" in refused_tokens(lambda _: list(np.ones((2, DIM), dtype=np.float32)))


def test_a_token_of_the_wrong_dimension_is_refused() -> None:
    assert "found (2, 4)" in refused_tokens(lambda _: [np.ones((2, 4), dtype=np.float32)] * 2)


def test_a_token_that_is_nan_is_refused_with_its_text() -> None:
    message = refused_tokens(lambda _: [np.ones((2, 3)), np.full((2, 3), np.nan)])
    assert "paka" in message
    assert "NaN" in message


def test_checked_encoders_are_encoders() -> None:
    assert isinstance(CheckedEncoder(Scripted(GOOD)), Encoder)
    assert isinstance(CheckedTokenEncoder(Scripted(GOOD)), TokenEncoder)
