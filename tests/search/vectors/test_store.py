"""Stored vectors: the same bytes with and without, kept as asked, and never mixed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import Folder
from killed_runs import N_DOCUMENTS, SHARD
from stored_vectors import (  # noqa: F401 - fixtures
    N_TEXTS,
    Asked,
    bytes_of,
    documents,
    expected_fixture,
    folder_fixture,
    run,
    swahili,
    vectors_fixture,
)

from clir_bench.encoders.hashing import DIM, HashingEncoder
from clir_bench.search.vectors import store
from clir_bench.search.vectors.cache_key import Corpus, identify, key_of, key_sha256
from clir_bench.search.vectors.shards import read_manifest
from clir_bench.search.vectors.store import Keeping
from clir_bench.tasks import outline
from clir_bench.types import EncoderInfo, Vectors

# The same bytes


@pytest.mark.parametrize("late", [False, True])
def test_run_files_are_the_same_bytes_without_with_new_and_with_stored_vectors(
    folder: Folder, vectors: Path, late: bool
) -> None:
    run(folder, Asked(late), Keeping("off"), "plain")
    first, second = Asked(late), Asked(late)
    run(folder, first, vectors, "first")
    run(folder, second, vectors, "second")
    assert bytes_of(folder, "first") == bytes_of(folder, "second") == bytes_of(folder, "plain")
    assert len(first.texts) == N_TEXTS["sw"] + N_TEXTS["de"]
    assert second.texts == []


def test_encoder_is_given_the_same_windows_whether_vectors_are_stored_or_not(
    folder: Folder, vectors: Path
) -> None:
    plain, storing = Asked(), Asked()
    run(folder, plain, Keeping("off"), "plain")
    run(folder, storing, vectors)
    assert storing.texts == plain.texts


def test_stored_vectors_are_read_by_numpy_alone(folder: Folder, vectors: Path) -> None:
    run(folder, Asked(), vectors)
    (path,) = swahili(vectors).glob("000001-*.f32")
    rows = np.memmap(path, dtype=np.float32, mode="r").reshape(-1, DIM)
    texts = [line["text"] for line in documents(folder, "sw")[SHARD : 2 * SHARD] if line["text"]]
    assert (rows == HashingEncoder().encode_documents(texts, language="sw")).all()


def test_time_of_encoding_is_that_of_the_run_that_encoded(folder: Folder, vectors: Path) -> None:
    first = run(folder, Asked(), vectors, "first").pairs["en-sw"].cost
    shards = [read_manifest(swahili(vectors), number) for number in range(5)]
    second = run(folder, Asked(), vectors, "second").pairs["en-sw"].cost
    assert first is not None
    assert second is not None
    stored = sum(shard.encode_seconds for shard in shards if shard is not None)
    assert 0 < stored <= first.encode_seconds
    assert stored <= second.encode_seconds


# What is kept


def test_by_default_vectors_lie_in_the_cache_until_the_results_are_stored(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 20)
    cache = store.embeddings_directory()
    with pytest.raises(KeyboardInterrupt):
        run(folder, Interrupted(after=25), Keeping())
    assert len(list(cache.glob("asked-*/*.f32"))) == 2
    encoder = Asked()
    run(folder, encoder, Keeping())
    assert len(encoder.texts) == N_TEXTS["sw"] - 2 * SHARD + texts_missing(folder) + N_TEXTS["de"]
    assert bytes_of(folder) == expected
    assert list(cache.iterdir()) == []


def texts_missing(folder: Folder) -> int:
    """Documents without text in the first two Swahili shards."""
    return sum(not line["text"] for line in documents(folder, "sw")[: 2 * SHARD])


@dataclass
class Interrupted(Asked):
    """Ends the run as Control-C does."""

    after: int = 0

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        if len(self.texts) >= self.after:
            raise KeyboardInterrupt
        return super().encode_documents(texts, language=language)


def test_by_default_small_corpora_leave_nothing_on_disk(folder: Folder) -> None:
    assert max(N_DOCUMENTS.values()) < store.AUTO_DOCUMENTS
    run(folder, Asked(), Keeping())
    assert not store.embeddings_directory().exists()


def test_vectors_somebody_asked_for_stay_when_a_default_run_has_used_them(folder: Folder) -> None:
    cache = store.embeddings_directory()
    run(folder, Asked(), cache)
    encoder = Asked()
    run(folder, encoder, Keeping(), "again")
    assert encoder.texts == []
    assert len(list(cache.glob("*/entry.json"))) == 2


def test_off_writes_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 0)
    run(folder, Asked(), Keeping("off"))
    assert not store.embeddings_directory().exists()


# What is never mixed up

INFO = EncoderInfo("m", "r", "0" * 64, document_prompt="passage: ", max_tokens=512)
CORPUS = Corpus("c" * 64, 10, "sw", "{title} {text}")


def key(info: EncoderInfo = INFO, corpus: Corpus = CORPUS, **changed: Any) -> str:
    values: dict[str, Any] = {"dim": 8, "spec": "m", "package": "acme 1", "seed": 0} | changed
    return key_sha256(key_of(identify(info, **values), corpus))


@pytest.mark.parametrize(
    "other",
    [
        lambda: key(replace(INFO, revision="s")),
        lambda: key(replace(INFO, weights_sha256="1" * 64)),
        lambda: key(replace(INFO, document_prompt="passage:")),
        lambda: key(replace(INFO, max_tokens=None)),
        lambda: key(replace(INFO, dtype="bfloat16")),
        lambda: key(replace(INFO, similarity="dot")),
        lambda: key(replace(INFO, name="n")),
        lambda: key(dim=9),
        lambda: key(package="acme 2"),
        lambda: key(spec="m:other"),
        lambda: key(seed=1),
        lambda: key(corpus=replace(CORPUS, sha256="d" * 64)),
        lambda: key(corpus=replace(CORPUS, language="de")),
        lambda: key(corpus=replace(CORPUS, document_text="{text}")),
    ],
)
def test_whatever_decides_vectors_decides_where_they_are(other: Callable[[], str]) -> None:
    assert other() != key()


def test_what_does_not_touch_documents_does_not_encode_them_again() -> None:
    assert key(replace(INFO, query_prompt="query: ", license="MIT")) == key()
    assert key(corpus=replace(CORPUS, label="another task")) == key()
    own = {"package": "clir-bench 0.1.0"}
    assert key(**own, spec="st:here", seed=1) == key(**own, spec="st:there")


@pytest.mark.parametrize("bound", ["WINDOW_DOCUMENTS", "WINDOW_CHARACTERS", "SHARD_WINDOWS"])
def test_other_windows_make_their_own_vectors(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    monkeypatch.setattr(outline, bound, 5)
    assert key() != before


def test_another_release_of_the_libraries_makes_its_own_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = key()
    monkeypatch.setattr("clir_bench.core.provenance.packages", lambda: {"transformers": "99.0"})
    assert key() != before


def test_a_second_revision_never_meets_the_firsts_vectors(folder: Folder, vectors: Path) -> None:
    run(folder, Asked(revision="1"), vectors, "one")
    second = Asked(revision="2")
    run(folder, second, vectors, "two")
    assert len(second.texts) == N_TEXTS["sw"] + N_TEXTS["de"]


def test_changed_documents_never_meet_the_old_vectors(folder: Folder, vectors: Path) -> None:
    run(folder, Asked(), vectors, "before")
    folder.edit("de/corpus.jsonl", "starker Regen", "starker Schnee")
    encoder = Asked()
    run(folder, encoder, vectors, "after")
    assert len(encoder.texts) == N_TEXTS["de"]


@pytest.mark.parametrize(
    ("package", "spec", "reason"),
    [
        ("unknown package", "m", "comes from no versioned package"),
        ("nowhere-installed 1.0", "m", "editable"),
        ("numpy 2.0", "m:{here}", "may change"),
        ("numpy 2.0", "m", ""),
        ("clir-bench 0.1.0", "m", ""),
    ],
)
def test_without_a_weights_hash_only_what_a_version_vouches_for_is_stored(
    tmp_path: Path, package: str, spec: str, reason: str
) -> None:
    info = EncoderInfo("m", "1")
    found = identify(info, dim=1, spec=spec.format(here=tmp_path), package=package, seed=0)
    assert reason in found.untold
    assert bool(found.untold) == bool(reason)
    assert bool(found.fields) != bool(reason)


def test_an_encoder_nobody_can_tell_apart_runs_without_storing_and_says_so(
    folder: Folder,
    vectors: Path,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
) -> None:
    encoder = Asked()
    encoder.info = replace(encoder.info, weights_sha256=None)
    run(folder, encoder, vectors)
    assert "vectors are not stored: model 'asked' states no weights_sha256" in caplog.text
    assert not vectors.exists()
    assert bytes_of(folder) == expected
