"""Whatever an encoder returns is either usable or refused with the text that caused it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from clir_bench.encoders.contract import CheckedEncoder, CheckedTokenEncoder
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
    assert "(2, 3), one row per text, found (1, 3)" in refused(rows([1, 0, 0]))


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
    answer = rows([1e19, 0, 0], [0, 1e-15, 0])
    found = CheckedEncoder(Scripted(answer)).encode_queries(TEXTS, language="sw")
    assert found[0, 0] == np.float32(1e19)


@pytest.mark.parametrize("length", [3e19, 1e30, 3e38, 1e-16, 1e-30, 1e-44])
def test_a_row_whose_products_leave_float32_is_refused(length: float) -> None:
    message = refused(rows([1, 0, 0], [0, length, 0]))
    assert f"the vector has length {np.float32(length):.3g}; expected 1e-15 to 1.2e+19" in message
    assert "paka" in message


def test_products_of_all_lengths_that_pass_are_normal_numbers() -> None:
    from clir_bench.encoders import contract

    normal = np.finfo(np.float32)
    assert normal.max > contract._LONGEST**2
    assert normal.tiny / normal.eps < contract._SHORTEST**2


class Reusing:
    """Returns views of one buffer that every call writes into."""

    dim = DIM
    info = EncoderInfo(name="reusing", revision="1", similarity="dot")

    def __init__(self) -> None:
        self.buffer = np.zeros((8, DIM), dtype=np.float32)

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Any:
        self.buffer[: len(texts)] = [[len(text), 1, 0] for text in texts]
        return self.buffer[: len(texts)]

    encode_documents = encode_queries


def test_vectors_stay_what_they_were_when_an_encoder_uses_its_buffer_again() -> None:
    encoder = CheckedEncoder(Reusing())
    first = encoder.encode_queries(["a", "bb"], language="sw")
    encoder.encode_documents(["cccc", "ddddd"], language="sw")
    assert first.tolist() == [[1, 1, 0], [2, 1, 0]]


def test_token_vectors_stay_what_they_were_when_an_encoder_uses_its_buffer_again() -> None:
    buffer = np.ones((4, DIM), dtype=np.float32)
    encoder = CheckedTokenEncoder(Scripted(lambda _: [buffer[:1], buffer[1:]], "maxsim"))
    first = encoder.encode_query_tokens(TEXTS, language="sw")
    buffer[:] = 7
    assert all((array == 1).all() for array in first)


def reused_within_a_call(texts: Sequence[str]) -> list[Any]:
    buffer = np.ones((4, DIM), dtype=np.float32)
    return [buffer[: number + 1] for number in range(len(texts))]


def one_array_for_all(texts: Sequence[str]) -> list[Any]:
    return [np.ones((4, DIM), dtype=np.float32)] * len(texts)


def two_buffers_by_turns(texts: Sequence[str]) -> list[Any]:
    buffers = np.ones((2, 4, DIM), dtype=np.float32)
    return [buffers[number % 2] for number in range(len(texts))]


def one_buffer_after_the_first_text(texts: Sequence[str]) -> list[Any]:
    first, rest = np.ones((2, 4, DIM), dtype=np.float32)
    return [first, *[rest] * (len(texts) - 1)]


def buffers_that_alternate_in_memory(texts: Sequence[str]) -> list[Any]:
    states = np.ones((4, 2, DIM), dtype=np.float32)
    return [states[:, number % 2] for number in range(len(texts))]


def columns_of_one_buffer(texts: Sequence[str]) -> list[Any]:
    states = np.ones((4, DIM + 1, 2), dtype=np.float32)
    return [states[:, :DIM, 0], states[:, :DIM, 1], states[:, 1:, 0], states[:, 1:, 1]]


@pytest.mark.parametrize(
    "answer",
    [
        reused_within_a_call,
        one_array_for_all,
        two_buffers_by_turns,
        one_buffer_after_the_first_text,
        buffers_that_alternate_in_memory,
        columns_of_one_buffer,
    ],
)
def test_a_buffer_that_is_used_again_within_a_call_is_refused(answer: Answer) -> None:
    encoder = CheckedTokenEncoder(Scripted(answer, "maxsim"))
    with pytest.raises(EncoderError, match="arrays of different texts lie in the same memory"):
        encoder.encode_query_tokens(["a", "b", "c", "d"], language="sw")


def test_arrays_that_alternate_in_memory_or_serve_equal_texts_pass() -> None:
    states = np.arange(1, 25, dtype=np.float32).reshape(4, 2, DIM)  # (tokens, texts, dim)
    both = CheckedTokenEncoder(Scripted(lambda _: [states[:, 0], states[:, 1]], "maxsim"))
    assert both.encode_query_tokens(TEXTS, language="sw")[1].tolist() == states[:, 1].tolist()
    flipped = states.T.copy().T[::-1]
    both = CheckedTokenEncoder(Scripted(lambda _: [flipped[:, 0], flipped[:, 1]], "maxsim"))
    assert both.encode_query_tokens(TEXTS, language="sw")[0].tolist() == states[::-1, 0].tolist()
    same = CheckedTokenEncoder(Scripted(one_array_for_all, "maxsim"))
    assert len(same.encode_query_tokens(["a", "a"], language="sw")) == 2


@pytest.mark.parametrize("change", [list.clear, list.sort, list.pop], ids=["clear", "sort", "pop"])
def test_an_encoder_that_changes_the_texts_it_was_given_is_refused(change: Any) -> None:
    texts = ["b", "a"]

    def answer(given: Sequence[str]) -> Any:
        change(given)
        return np.eye(2, DIM, dtype=np.float32)

    with pytest.raises(EncoderError, match="changed the list of texts"):
        CheckedEncoder(Scripted(answer)).encode_queries(texts, language="sw")
    assert texts == ["b", "a"]


def test_a_masked_array_is_refused() -> None:
    masked = np.ma.masked_array(np.eye(2, DIM, dtype=np.float32), mask=np.eye(2, DIM) > 0)
    assert "found numpy.ma.MaskedArray" in refused(lambda _: masked).replace("ma.core", "ma")


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda rows: np.ascontiguousarray(rows[::-1, ::-1])[::-1, ::-1],
        lambda rows: np.repeat(rows, 2, axis=0)[::2],
        lambda rows: rows.view(np.matrix),
    ],
    ids=["fortran", "negative strides", "strided", "matrix"],
)
def test_any_layout_in_memory_gives_the_same_plain_rows(change: Any) -> None:
    good = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
    found = CheckedEncoder(Scripted(lambda _: change(good))).encode_queries(TEXTS, language="sw")
    assert type(found) is np.ndarray
    assert found.flags.c_contiguous
    assert found.tolist() == good.tolist()


def test_bytes_in_the_other_order_are_refused() -> None:
    swapped = np.eye(2, DIM, dtype=np.float32).astype(np.dtype(np.float32).newbyteorder())
    assert "expected an array of float32" in refused(lambda _: swapped)


def test_many_texts_with_one_vector_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = CheckedEncoder(Scripted(lambda texts: np.ones((len(texts), DIM), dtype=np.float32)))
    for _ in range(2):
        encoder.encode_queries([f"text {number}" for number in range(9)], language="sw")
    assert len(caplog.records) == 1
    assert "gives 9 different texts one and the same vector" in caplog.text


def failing(error: BaseException) -> Answer:
    def answer(_: Sequence[str]) -> Any:
        raise error

    return answer


def test_an_exception_of_the_encoder_names_model_language_and_text() -> None:
    message = refused(failing(KeyError("vocab")))
    assert "KeyError: 'vocab'" in message
    assert "2 queries in 'sw', the first being 'habari ya asubuhi'" in message


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Foreign(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("bye"), "SystemExit: bye"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration("x"), "StopIteration: x"),
        (Foreign("x"), "Foreign: x"),
        (MuteError(), "MuteError: (its text cannot be read)"),
        (ValueError("a\x1b[2Jb\n\ud800"), "ValueError: a\\x1b[2Jb \\ud800"),
        (OSError(28, "No space left"), "OSError: [Errno 28] No space left"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_an_encoder_raises_is_told_on_one_line(error: BaseException, said: str) -> None:
    assert refused(failing(error)).endswith(said)


def test_a_text_of_megabytes_is_cut() -> None:
    assert len(refused(failing(ValueError("x" * 10**7)))) < 1300


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
    assert "a list of 2 arrays, one per text, found list of 1" in refused_tokens(tokens(2))


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
