"""Stored vectors: the same bytes with and without, whatever was damaged, killed, full or shared."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import killed_runs
import numpy as np
import pytest
from folders import Folder, clir
from killed_runs import N_DOCUMENTS, SHARD, WINDOW, larger_folder, left

from clir_bench import retrieval
from clir_bench.adapters.source import locate
from clir_bench.embeddings import entry as entries
from clir_bench.embeddings import occupancy, store
from clir_bench.embeddings.identity import Corpus, identify, key_of, key_sha256
from clir_bench.embeddings.occupancy import alone, shared
from clir_bench.embeddings.shards import (
    DamagedShardError,
    ShardWriter,
    data_path,
    read_manifest,
    read_shard,
)
from clir_bench.embeddings.store import Keeping
from clir_bench.encoders.checked import CheckedEncoder, CheckedTokenEncoder
from clir_bench.encoders.hashing import DIM, HashingEncoder
from clir_bench.errors import EncoderError, MissingDataError, OutputError, UsageError
from clir_bench.evaluate import Settings, System, evaluate
from clir_bench.jobs import Job, encode_job
from clir_bench.schema import Result
from clir_bench.types import EncoderInfo, Vectors

N_TEXTS = {"sw": 50 - 7, "de": 15 - 2}
"""Documents with text; every seventh made up has none."""


@dataclass
class Asked:
    """The hashing encoder, one vector a text or a word, which notes what it encodes."""

    late: bool = False
    revision: str = "1"
    fail_after: int | None = None
    texts: list[str] = field(default_factory=list)
    dim: int = DIM

    def __post_init__(self) -> None:
        similarity: Any = "maxsim" if self.late else "cosine"
        weights = self.revision.rjust(64, "0")
        self.info = EncoderInfo("asked", self.revision, weights, similarity=similarity)
        self._inner = HashingEncoder()

    def system(self) -> System:
        encoder = CheckedTokenEncoder(self) if self.late else CheckedEncoder(self)
        return System(encoder, "asked", "tests 1")

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self._inner.encode_queries(texts, language=language)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        self.texts += texts
        if self.fail_after is not None and len(self.texts) > self.fail_after:
            raise RuntimeError("the lights went out")
        return self.encode_queries(texts, language=language)

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        return [self.encode_queries(text.split(), language=language) for text in texts]

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        self.encode_documents(texts, language=language)
        return self.encode_query_tokens(texts, language=language)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(retrieval, "ENCODE_BLOCK", WINDOW)
    monkeypatch.setattr(retrieval, "_SEARCH_BLOCK_DOCUMENTS", 20)
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    return larger_folder(tmp_path)


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


def run(
    folder: Folder,
    encoder: Asked,
    keeping: Keeping | Path,
    output: str = "out",
    **settings: Any,
) -> Result:
    keeping = Keeping("keep", keeping) if isinstance(keeping, Path) else keeping
    return evaluate(
        folder.card,
        encoder.system(),
        output=folder.data.parent / output,
        source=locate(folder.card, "test"),
        settings=Settings(n_resamples=10, embeddings=keeping, **settings),
    )


def bytes_of(folder: Folder, output: str = "out") -> dict[str, bytes]:
    return left(folder.data.parent / output)


@pytest.fixture
def expected(folder: Folder) -> dict[str, bytes]:
    """Run files of an encoder of one vector a text, none of them stored."""
    run(folder, Asked(), Keeping("off"), "plain")
    return bytes_of(folder, "plain")


def swahili(vectors: Path) -> Path:
    """The folder of the Swahili documents' vectors."""
    (found,) = [
        path.parent
        for path in vectors.glob("*/entry.json")
        if json.loads(path.read_text())["corpus"] == "mine test sw"
    ]
    return found


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


def documents(folder: Folder, language: str) -> list[dict[str, str]]:
    lines = (folder.data / language / "corpus.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


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
    window = values.pop("window", 4)
    return key_sha256(key_of(identify(info, **values), corpus, window, 4 * window))


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
        lambda: key(window=5),
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


def test_another_release_of_the_libraries_makes_its_own_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = key()
    monkeypatch.setattr("clir_bench.environment.packages", lambda: {"transformers": "99.0"})
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


# Damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "a flipped bit": lambda data, _: flip(data),
    "truncated": lambda data, _: os.truncate(data, 1000),
    "longer": lambda data, _: data.write_bytes(data.read_bytes() + b"\0" * 4),
    "empty": lambda data, _: os.truncate(data, 0),
    "no vectors": lambda data, _: data.unlink(),
    "a broken manifest": lambda _, manifest: manifest.write_text("{"),
    "a manifest of nothing": lambda _, manifest: manifest.write_text("{}"),
    "another's manifest": lambda _, m: shutil.copy(m.with_name("000000.json"), m),
    "no manifest": lambda _, manifest: manifest.unlink(),
}


# What differs for late interaction is the layout of the data, not of the manifest.
@pytest.mark.parametrize(
    ("late", "damage"),
    [(False, damage) for damage in DAMAGES] + [(True, "a flipped bit"), (True, "truncated")],
)
def test_a_damaged_shard_is_noticed_and_encoded_again_alone(
    folder: Folder, vectors: Path, caplog: pytest.LogCaptureFixture, damage: str, late: bool
) -> None:
    run(folder, Asked(late), vectors, "before")
    (data,) = swahili(vectors).glob("000001-*.f32")
    whole = data.read_bytes()
    DAMAGES[damage](data, data.with_name("000001.json"))
    encoder, third = Asked(late), Asked(late)
    run(folder, encoder, vectors, "after")
    assert bytes_of(folder, "after") == bytes_of(folder, "before")
    expected = [line["text"] for line in documents(folder, "sw")[SHARD : 2 * SHARD]]
    assert encoder.texts == [text for text in expected if text]
    assert ("shard 1 of" in caplog.text) == (damage != "no manifest")
    assert data.read_bytes() == whole
    run(folder, third, vectors, "third")
    assert third.texts == []


def test_a_shard_of_other_documents_is_not_taken(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 0, 2, late=False)
    writer.add(np.ones((2, 2), dtype=np.float32))
    writer.finish(["a", "b"], 2, 0.1, {})
    assert read_shard(tmp_path, 0, ["a", "b"], 2) is not None
    assert read_shard(tmp_path, 1, ["a", "b"], 2) is None
    for ids, n_documents in ((["b", "a"], 2), (["a", "c"], 2), (["a", "b"], 3)):
        with pytest.raises(DamagedShardError, match="other documents"):
            read_shard(tmp_path, 0, ids, n_documents)


def test_a_shard_without_any_text_is_a_shard(tmp_path: Path) -> None:
    for number, late in enumerate((False, True)):
        ShardWriter(tmp_path, number, 3, late=late).finish([], 5, 0.0, {})
        shard = read_shard(tmp_path, number, [], 5)
        assert shard is not None
        assert len(shard.vectors(0, 0)) == 0


# Disks


def refuse(error: int) -> Any:
    def refusing(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return refusing


@pytest.mark.parametrize("call", ["mkstemp", "fsync", "replace"])
def test_a_disk_that_fills_up_ends_storing_and_not_the_run(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
    call: str,
) -> None:
    finish, done = entries.Writing.finish, []

    def second_fails(self: Any, *arguments: Any) -> None:
        with monkeypatch.context() as patch:
            if done:
                target = {"mkstemp": "tempfile.mkstemp", "fsync": "os.fsync"}.get(call)
                patch.setattr(target or "pathlib.Path.replace", refuse(errno.ENOSPC))
            done.append(1)
            finish(self, *arguments)

    monkeypatch.setattr(entries.Writing, "finish", second_fails)
    run(folder, Asked(), vectors)
    assert bytes_of(folder) == expected
    assert caplog.text.count("vectors cannot be stored: No space left on device") == 2  # corpora
    assert {path.name for path in swahili(vectors).glob("??????.json")} == {"000000.json"}
    assert not list(vectors.glob("*/.0*")), "a half-written file is left"
    monkeypatch.undo()


def test_too_little_disk_is_found_out_before_anything_is_encoded(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 400_000))
    encoder = Asked()
    needed = (N_DOCUMENTS["sw"] + N_DOCUMENTS["de"]) * DIM * 4
    assert needed > 500_000
    with pytest.raises(OutputError, match=r"532 kB are needed in .*vectors, which has 400 kB free"):
        run(folder, encoder, vectors)
    assert encoder.texts == []


def test_by_default_too_little_disk_is_said_and_the_run_goes_on(
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    expected: dict[str, bytes],
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 600_000))
    run(folder, Asked(), Keeping())
    assert "vectors are not stored" in caplog.text
    assert "takes at most half" in caplog.text
    assert bytes_of(folder) == expected


def test_late_interaction_stops_storing_when_the_first_shard_tells_it_will_not_fit(
    folder: Folder,
    vectors: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 100_000))
    run(folder, Asked(late=True), vectors)
    assert "missing shards need" in caplog.text
    assert {path.name for path in swahili(vectors).glob("??????.json")} == {"000000.json"}


def test_a_folder_that_cannot_be_written_is_found_out_before_anything_is_encoded(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    encoder = Asked()
    with pytest.raises(OutputError, match=r"file/vectors cannot be written: Not a directory"):
        run(folder, encoder, tmp_path / "file" / "vectors")
    assert encoder.texts == []


def test_a_cache_that_is_only_read_serves_what_it_has(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    run(folder, Asked(), vectors, "before")
    real_open = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if str(path).startswith(str(vectors)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    encoder = Asked()
    run(folder, encoder, vectors)
    assert encoder.texts == []
    assert bytes_of(folder) == expected
    (swahili(vectors) / "000001.json").unlink()
    with pytest.raises(OutputError, match="Read-only file system"):
        run(folder, encoder, vectors, "third")


# Several at once


@dataclass
class WithAnother(Asked):
    """Lets another run of the same do everything while it encodes its second window."""

    other: Callable[[], object] = lambda: None

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        found = super().encode_documents(texts, language=language)
        other, self.other = self.other, lambda: None
        if len(self.texts) > WINDOW:
            other()
        else:
            self.other = other
        return found


@pytest.mark.parametrize("mode", ["keep", "auto"])
def test_two_runs_at_once_on_one_cache_are_safe(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes], mode: Any
) -> None:
    monkeypatch.setattr(store, "AUTO_DOCUMENTS", 0)
    keeping = Keeping(mode, store.embeddings_directory())
    encoder = WithAnother()
    encoder.other = lambda: run(folder, Asked(), keeping, "other")
    run(folder, encoder, keeping)
    assert bytes_of(folder) == bytes_of(folder, "other") == expected
    # The second run has stored all shards but the one in hand meanwhile.
    assert len(encoder.texts) < N_TEXTS["sw"] + N_TEXTS["de"]
    left_over = list(keeping.root.iterdir())
    assert len(left_over) == (2 if mode == "keep" else 0)


def test_whoever_removes_waits_for_nobody_and_takes_nothing_in_use(tmp_path: Path) -> None:
    folder, swept = tmp_path / "entry", []
    with shared(folder, lambda: swept.append(1)):
        with alone(folder) as mine:
            assert not mine
        with shared(folder, lambda: swept.append(2)):
            assert not entries.remove(folder)
    assert swept == [1]
    assert entries.remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_half_written_is_swept_by_the_next(
    folder: Folder, vectors: Path
) -> None:
    run(folder, Asked(), vectors, "before")
    here = swahili(vectors)
    before = {path.name for path in here.iterdir()}
    for name in (".000003.abcd", ".000003.json.abcd", ".entry.json.x", f"000003-{'0' * 16}.f32"):
        (here / name).write_text("half")
    run(folder, Asked(), vectors, "after")
    assert {path.name for path in here.iterdir()} == before


# Jobs


def encode(folder: Folder, encoder: Asked, job: Job, vectors: Path) -> Any:
    return encode_job(
        folder.card,
        encoder.system(),
        job,
        source=locate(folder.card, "test"),
        split="test",
        pairs=folder.card.official_pairs(),
        settings=Settings(embeddings=Keeping("keep", vectors)),
    )


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 20])
def test_jobs_encode_every_shard_once_and_merge_encodes_none(
    folder: Folder, vectors: Path, expected: dict[str, bytes], n_jobs: int
) -> None:
    encoders = [Asked() for _ in range(n_jobs)]
    done = [
        encode(folder, encoder, Job(number, n_jobs), vectors)
        for number, encoder in enumerate(encoders)
    ]
    assert sum(job.n_mine for job in done) == done[0].n_shards == 5 + 2
    assert max(job.n_mine for job in done) - min(job.n_mine for job in done) <= 1
    assert [job.n_encoded for job in done] == [job.n_mine for job in done]
    assert done[-1].n_missing == 0
    texts = [text for encoder in encoders for text in encoder.texts]
    assert len(texts) == N_TEXTS["sw"] + N_TEXTS["de"]
    merging = Asked()
    run(folder, merging, vectors, stored_only=True)
    assert merging.texts == []
    assert bytes_of(folder) == expected


def test_merge_names_what_is_missing_and_what_is_there_instead(
    folder: Folder, vectors: Path
) -> None:
    encode(folder, Asked(), Job(1, 2), vectors)
    with pytest.raises(MissingDataError, match=r"mine test sw: 3 of 5 shards \(0, 2, 4\)"):
        run(folder, Asked(), vectors, stored_only=True)
    other = Asked()
    other.info = replace(other.info, dtype="bfloat16")
    with pytest.raises(MissingDataError, match=r'encoder.dtype: "float32", here "bfloat16"'):
        run(folder, other, vectors, stored_only=True)
    assert other.texts == []


def test_a_job_run_again_encodes_only_what_is_not_there(folder: Folder, vectors: Path) -> None:
    failing = Asked(fail_after=15)
    done = encode(folder, failing, Job(0, 2), vectors)
    assert "the lights went out" in done.failures[0]
    again = Asked()
    assert encode(folder, again, Job(0, 2), vectors).failures == []
    third = Asked()
    assert encode(folder, third, Job(0, 2), vectors).n_encoded == 0
    assert third.texts == []


def test_jobs_are_refused_where_they_could_not_share(folder: Folder, vectors: Path) -> None:
    encoder = Asked()
    encoder.info = replace(encoder.info, weights_sha256=None)
    with pytest.raises(EncoderError, match="jobs cannot share vectors"):
        encode(folder, encoder, Job(0, 2), vectors)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        Job(2, 2)


def test_a_job_whose_disk_is_full_fails(
    folder: Folder, vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", refuse(errno.ENOSPC))
        with pytest.raises(OutputError, match=r"vectors cannot be stored: No space left"):
            encode(folder, Asked(), Job(0, 2), vectors)


# The command line


def test_command_line_divides_merges_lists_checks_and_prunes(
    folder: Folder, vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.data.parent / "out"
    asked = ("-m", "hashing", "-t", folder.card_path, "--embeddings", vectors)
    for number in range(2):
        assert clir("run", *asked, "--num-shards", 2, "--shard-id", number) == 0
    assert not out.exists()
    assert "job 1 of 2: 3 shards encoded, 0 were there or failed; 0 of all 7 are missing" in (
        capsys.readouterr().out
    )
    assert clir("merge", *asked, "-o", out) == 0
    assert clir("run", *asked[:4], "-o", out.with_name("plain"), "--embeddings", "off") == 0
    assert left(out) == left(out.with_name("plain"))
    capsys.readouterr()

    assert clir("cache", "list", "--embeddings", vectors) == 0
    listed = capsys.readouterr().out
    assert "mine test sw" in listed
    assert "5 of 5" in listed
    assert clir("cache", "list", "--json", "--embeddings", vectors) == 0
    assert [json.loads(line)["n_done"] for line in capsys.readouterr().out.splitlines()] == [
        {"mine test sw": 5, "mine test de": 2}[json.loads((p / "entry.json").read_text())["corpus"]]
        for p in sorted(vectors.iterdir())
    ]
    assert clir("cache", "verify", "--embeddings", vectors) == 0
    here = swahili(vectors)
    manifest = read_manifest(here, 2)
    assert manifest is not None
    flip(data_path(here, 2, manifest))
    assert clir("cache", "verify", "--embeddings", vectors) == 1
    assert "shard 2: 000002-" in capsys.readouterr().out
    assert clir("cache", "verify", "--repair", "--embeddings", vectors) == 1
    assert clir("cache", "verify", "--embeddings", vectors) == 0
    assert clir("merge", *asked, "-o", out, "--overwrite") == 1
    assert "4 of 5" in capsys.readouterr().out or not (here / "000002.json").exists()

    assert clir("cache", "prune", "--embeddings", vectors) == 0
    assert clir("cache", "prune", "--model", "another", "--embeddings", vectors) == 0
    assert clir("cache", "prune", "--older-than", 1, "--embeddings", vectors) == 0
    assert len(list(vectors.iterdir())) == 2
    assert clir("cache", "prune", here.name[-8:], "--embeddings", vectors) == 0
    assert len(list(vectors.iterdir())) == 1
    assert clir("cache", "prune", "nothing", "--embeddings", vectors) == 2
    assert clir("cache", "prune", "--all", "--embeddings", vectors) == 0
    assert list(vectors.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--num-shards", 2), "go together"),
        (("--shard-id", 0), "go together"),
        (("--num-shards", 2, "--shard-id", 2), "expected 0 to 1"),
        (("--num-shards", 2, "--shard-id", 0, "--embeddings", "off"), "somewhere to store"),
    ],
)
def test_contradicting_options_are_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], problem: str
) -> None:
    assert clir("run", "-m", "hashing", "-t", folder.card_path, *options) == 2
    assert problem in capsys.readouterr().err


SBATCH = """\
#!/bin/bash
# Stands for Slurm's: runs the tasks of an array, or the one job, at once.
array=$(printf '%s\\n' "$@" | sed -n 's/--array=0-//p')
script=$(printf '%s\\n' "$@" | grep -v '^--' | head -1)
if [ -n "$array" ]; then
    for task in $(seq 0 "$array"); do
        SLURM_ARRAY_TASK_ID=$task bash "$script" encode >&2 || exit 1
    done
else
    bash "$script" merge >&2 || exit 1
fi
echo 4711
"""


@pytest.mark.slow
def test_the_slurm_script_of_the_documentation_runs_as_it_stands(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
    script = tmp_path / "clir-bench.slurm"
    script.write_text(text.partition("```bash\n")[2].partition("```")[0])
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "sbatch").write_text(SBATCH)
    (bin_ / "clir-bench").write_text(f'#!/bin/bash\nexec {sys.executable} -m clir_bench "$@"\n')
    for path in bin_.iterdir():
        path.chmod(0o755)
    environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "JOBS": "2", "MODEL": "hashing"}
    done = subprocess.run(
        ["bash", str(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | environment | {"TASK": str(folder.card_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "job 1 of 2: 1 shards encoded" in done.stderr
    monkeypatch.undo()
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", tmp_path / "plain") == 0
    assert left(tmp_path / "results") == left(tmp_path / "plain")


# Kills


def killed(folder: Path, n_runs: int, seed: int) -> dict[str, int]:
    """Kill and resume runs in processes of their own; see `killed_runs`."""
    done = subprocess.run(
        [sys.executable, killed_runs.__file__, str(folder), str(n_runs), str(seed)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_runs_killed_here_and_there_go_on_and_end_in_the_same_bytes(tmp_path: Path) -> None:
    assert killed(tmp_path, 8, seed=0)["kills"] >= 8


@pytest.mark.slow
def test_runs_killed_at_every_write_and_rename_end_in_the_same_bytes(tmp_path: Path) -> None:
    done = killed(tmp_path, 0, seed=1)
    assert done["kills"] >= done["points"] >= 200


def test_using_an_entry_makes_it_young_again(tmp_path: Path) -> None:
    with occupancy.shared(tmp_path):
        pass
    os.utime(tmp_path / occupancy.LOCK, (1, 1))
    with occupancy.shared(tmp_path):
        pass
    assert (tmp_path / occupancy.LOCK).stat().st_mtime > 1
