"""Stored vectors of a small collection: an encoder that is watched, and runs over it.

Fixtures are imported by the name of their function: `from stored_vectors import folder_fixture`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from folders import Folder
from killed_runs import WINDOW, larger_folder, left

from clir_bench.encoders.contract import CheckedEncoder, CheckedTokenEncoder
from clir_bench.encoders.hashing import DIM, HashingEncoder
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.evaluation.sharded_encoding import Job, encode_job
from clir_bench.results.schema import Result
from clir_bench.search import search
from clir_bench.search.vectors.store import Keeping
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks import outline
from clir_bench.tasks.source import locate
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

    def system(self) -> EncoderSystem:
        encoder = CheckedTokenEncoder(self) if self.late else CheckedEncoder(self)
        return EncoderSystem(encoder, "asked", "tests 1")

    def choosing(self, dtype: str) -> Asked:
        """Return it as of a machine where `--dtype auto` takes that arithmetic."""
        self.info = replace(self.info, dtype=dtype, dtype_reason="measured: as fast as that")
        return self

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


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", WINDOW)
    monkeypatch.setattr(search, "_SEARCH_BLOCK_DOCUMENTS", 20)
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    return larger_folder(tmp_path)


@pytest.fixture(name="vectors")
def vectors_fixture(tmp_path: Path) -> Path:
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
        settings=RunSettings(n_resamples=10, embeddings=keeping, **settings),
    )


def bytes_of(folder: Folder, output: str = "out") -> dict[str, bytes]:
    return left(folder.data.parent / output)


@pytest.fixture(name="expected")
def expected_fixture(folder: Folder) -> dict[str, bytes]:
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


def documents(folder: Folder, language: str) -> list[dict[str, str]]:
    lines = (folder.data / language / "corpus.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
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
"""What may happen to a shard; called with the paths of its vectors and its manifest."""


def refuse(error: int) -> Any:
    def refusing(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return refusing


def encode(folder: Folder, encoder: Asked, job: Job, vectors: Path) -> Any:
    return encode_job(
        folder.card,
        encoder.system(),
        job,
        source=locate(folder.card, "test"),
        split="test",
        pairs=folder.card.official_pairs(),
        settings=RunSettings(embeddings=Keeping("keep", vectors)),
    )
