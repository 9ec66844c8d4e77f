"""The store of a teacher's vectors: by content, and whole after anything that happens to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clir_bench.distill.model.teacher_vectors import Taught, VectorStore
from clir_bench.errors import DataError, UsageError


def taught(n: int, value: float) -> Taught:
    tokens = np.full((n, 4), value, dtype=np.float16)
    return Taught(tokens, np.arange(n, dtype=np.int32), np.full(4, -value, dtype=np.float16))


def filled(folder: Path) -> VectorStore:
    store = VectorStore(folder, 4)
    store.append(["one", "three"], [taught(1, 1), taught(3, 3)])
    return store


def test_vectors_come_back_by_content_and_padded(tmp_path: Path) -> None:
    filled(tmp_path).close()
    store = VectorStore(tmp_path, 4)
    assert store.missing(["three", "new", "new"]) == ["new"]
    batch = store.batch(store.rows(["three", "one"]))
    assert batch.mask.tolist() == [[True] * 3, [True, False, False]]
    assert batch.tokens[1].tolist() == [[1] * 4, [0] * 4, [0] * 4]
    assert batch.ids.tolist() == [[0, 1, 2], [0, -1, -1]]
    assert batch.sentences[0].tolist() == [-3] * 4


def test_what_a_killed_append_left_is_cut_off(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with (tmp_path / "tokens.f16").open("ab") as file:
        file.write(b"half an append")
    store = VectorStore(tmp_path, 4)
    store.append(["two"], [taught(2, 2)])
    assert store.batch(store.rows(["two"])).tokens.tolist() == [[[2] * 4, [2] * 4]]


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "tokens.f16").write_bytes(b"12")
    with pytest.raises(DataError, match=r"tokens.f16: expected 32 bytes, found 2: truncated"):
        VectorStore(tmp_path, 4)


def test_a_store_of_another_dim_is_refused(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with pytest.raises(DataError, match="with dim 8, found version 1 with dim 4"):
        VectorStore(tmp_path, 8)


def test_two_writers_are_not_let_in(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with pytest.raises(UsageError, match="another process is writing"):
        VectorStore(tmp_path, 4)
    store.close()
