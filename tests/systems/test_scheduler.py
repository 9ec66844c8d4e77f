"""Passes over corpora, the next begun while workers have room: with an executor that is watched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from folders import Folder, Watched, evaluate_folder, make_folder

from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.search.workers.executor import EncodedTexts, Pending, TextBatch, encode
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks import outline
from clir_bench.tasks.source import locate
from clir_bench.types import Encoder

QUERY_SECONDS = 7.0
"""What encoding the queries of a pair is said to take."""


@dataclass
class Eager:
    """An executor with room for some batches, which notes what is handed out and collected."""

    encoder: Encoder
    ahead: int
    family: str = "single"
    log: list[tuple[str, str, str]] = field(default_factory=list)
    n_open: int = 0
    n_most: int = 0

    def has_room(self) -> bool:
        return self.n_open < self.ahead

    def submit(self, batch: TextBatch) -> Pending:
        self.n_open += 1
        self.n_most = max(self.n_most, self.n_open)
        self.log.append(("out", batch.kind, batch.language))
        return Handed(self, batch)


@dataclass
class Handed:
    executor: Eager
    batch: TextBatch
    encoded: EncodedTexts | None = None
    is_discarded: bool = False

    def result(self) -> EncodedTexts:
        assert not self.is_discarded
        if self.encoded is None:
            self.executor.n_open -= 1
            self.executor.log.append(("in", self.batch.kind, self.batch.language))
            seconds = QUERY_SECONDS if self.batch.kind == "queries" else 0.0
            encoded = encode(CheckedEncoder(self.executor.encoder), self.batch)
            self.encoded = replace(encoded, seconds=seconds)
        return self.encoded

    def discard(self) -> None:
        if self.encoded is None and not self.is_discarded:
            self.executor.n_open -= 1
        self.is_discarded = True


@dataclass
class Staff:
    """Stands where `Workers` stands."""

    made: Eager

    def executor(self, n_texts: int) -> Eager:
        return self.made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(outline, "WINDOW_DOCUMENTS", 1)
    return make_folder(tmp_path)


def run(folder: Folder, executor: Eager, output: Path) -> Result:
    staff: Any = Staff(executor)
    return evaluate(
        folder.card,
        EncoderSystem(CheckedEncoder(executor.encoder), "watched", "tests 1", staff),
        output=output,
        source=locate(folder.card, "test"),
        settings=RunSettings(n_resamples=50),
    )


def files(output: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(output.rglob("*.gz"))]


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
def test_looking_ahead_changes_no_byte(folder: Folder, tmp_path: Path, ahead: int) -> None:
    evaluate_folder(folder, tmp_path / "here")
    executor = Eager(Watched(), ahead)
    run(folder, executor, tmp_path / "ahead")
    assert files(tmp_path / "ahead") == files(tmp_path / "here")
    assert executor.n_open == 0, "everything that was handed out was collected"


def test_with_room_the_next_corpus_is_handed_out_before_the_first_is_searched(
    folder: Folder, tmp_path: Path
) -> None:
    executor = Eager(Watched(), 100)
    run(folder, executor, tmp_path / "out")
    first_in = next(place for place, (way, _, _) in enumerate(executor.log) if way == "in")
    handed_out = {(kind, language) for _, kind, language in executor.log[:first_in]}
    assert handed_out == {
        ("queries", "en"),
        ("queries", "fr"),
        ("documents", "sw"),
        ("documents", "de"),
    }


def test_no_more_is_handed_out_than_there_is_room_for(folder: Folder, tmp_path: Path) -> None:
    executor = Eager(Watched(), 3)
    run(folder, executor, tmp_path / "out")
    # The two query sets of a corpus are handed out together, whatever the room.
    assert executor.n_most <= 4


def test_what_is_wrong_with_a_later_corpus_is_an_error_of_its_own_pairs(
    folder: Folder, tmp_path: Path
) -> None:
    watched = Watched(failures={"de": ValueError("no German")})
    result = run(folder, Eager(watched, 100), tmp_path / "out")
    assert {name: pair.status for name, pair in result.pairs.items()} == {
        "en-sw": "done",
        "fr-sw": "done",
        "en-de": "failed",
    }
    assert "no German" in (result.pairs["en-de"].error or "")


def test_queries_that_cannot_be_encoded_fail_every_pair_that_asks_them(
    folder: Folder, tmp_path: Path
) -> None:
    watched = Watched(failures={"en": ValueError("no English")})
    result = run(folder, Eager(watched, 100), tmp_path / "out")
    assert {name: pair.status for name, pair in result.pairs.items()} == {
        "en-sw": "failed",
        "fr-sw": "done",
        "en-de": "failed",
    }


def test_equal_queries_are_encoded_once_and_their_time_is_that_of_every_pair(
    folder: Folder, tmp_path: Path
) -> None:
    watched = Watched()
    result = run(folder, Eager(watched, 100), tmp_path / "out")
    assert watched.called_for().count(("queries", "en")) == 1
    for name in ("en-sw", "en-de"):
        cost = result.pairs[name].cost
        assert cost is not None
        assert cost.encode_seconds == QUERY_SECONDS
