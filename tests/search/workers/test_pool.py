"""Who gets which batch, and what happens when workers are lost, with workers that are made up."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from clir_bench.errors import EncoderError, WorkerError
from clir_bench.search.workers.executor import EncodedTexts, Pending, TextBatch
from clir_bench.search.workers.pool import IN_HAND, Done, Event, Failed, Lost, Ready, WorkerPool

IDENTITY = {"name": '"fake"', "torch": '"2.0"'}


@dataclass
class Crew:
    """Workers that do what the test says; each encodes a batch when it is waited for.

    Attributes:
        number: Workers there should be.
        identities: What the first, second, ... worker says it loaded; IDENTITY after the last.
        dies_on: Texts of batches that end their worker.
        refuses: Texts of batches that the encoder refuses.
        given: Worker and first text of every batch, in order.
    """

    number: int = 2
    identities: list[dict[str, str] | str] = field(default_factory=list)
    dies_on: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    given: list[tuple[str, str]] = field(default_factory=list)
    hands: dict[str, deque[tuple[int, TextBatch]]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    n_started: int = 0
    dismissed: list[str] = field(default_factory=list)
    is_stopped: bool = False

    def wanted(self) -> int:
        return self.number

    def start(self) -> str:
        name = f"w{self.n_started}"
        said = self.identities[self.n_started] if self.n_started < len(self.identities) else None
        self.n_started += 1
        if isinstance(said, str):
            self.events.append(Failed(name, None, EncoderError(said)))
        else:
            self.hands[name] = deque()
            self.events.append(Ready(name, said or IDENTITY))
        return name

    def give(self, worker: str, number: int, batch: TextBatch) -> None:
        self.given.append((worker, batch.texts[0]))
        self.hands[worker].append((number, batch))

    def wait(self, seconds: float) -> Sequence[Event]:
        assert self.events or any(self.hands.values()) or not seconds, "would wait for ever"
        for name in list(self.hands) if seconds else []:
            if self.hands[name]:
                self._encode(name)
        events, self.events = self.events, []
        return events

    def dismiss(self, worker: str) -> None:
        self.dismissed.append(worker)
        self.hands.pop(worker, None)

    def stop(self) -> None:
        self.is_stopped = True

    def lose(self, worker: str) -> None:
        del self.hands[worker]
        self.events.append(Lost(worker, "the node went away"))

    def _encode(self, name: str) -> None:
        number, batch = self.hands[name].popleft()
        text = batch.texts[0]
        if text in self.dies_on:
            self.lose(name)
        elif text in self.refuses:
            self.events.append(Failed(name, number, EncoderError(f"cannot encode {text}")))
        else:
            vectors = np.full((1, 1), float(text), dtype=np.float32)
            self.events.append(Done(name, number, EncodedTexts(vectors, 0.5, {"tokens": 3})))


def pool(crew: Crew) -> WorkerPool:
    return WorkerPool(crew, IDENTITY, "single")


def submit(to: WorkerPool, *texts: str) -> list[Pending]:
    return [to.submit(TextBatch("documents", [text], "en")) for text in texts]


def values(pending: Sequence[Pending]) -> list[float]:
    found = [one.result().vectors for one in pending]
    return [float(np.asarray(vectors)[0, 0]) for vectors in found]


def test_every_batch_gets_its_own_vectors_whatever_they_are_asked_for_in() -> None:
    handed = submit(pool(Crew(number=3)), *"0123456789")
    assert values(handed[::-1]) == list(map(float, "9876543210"))


def test_batches_are_given_out_in_order_and_no_worker_has_more_than_two() -> None:
    crew = Crew(number=2)
    handed = submit(pool(crew), *"01234567")
    assert [text for _, text in crew.given] == list("01234567")[: len(crew.given)]
    assert max(len(hand) for hand in crew.hands.values()) <= IN_HAND
    values(handed)
    assert [text for _, text in crew.given] == list("01234567")
    assert {worker for worker, _ in crew.given} == {"w0", "w1"}


def test_there_is_room_until_every_worker_has_some_in_hand_and_some_waiting_to_be_read() -> None:
    busy = pool(Crew(number=2))
    assert busy.has_room()
    handed = submit(busy, *"012345")
    assert not busy.has_room()
    handed[0].result()
    assert busy.has_room()


def test_what_a_lost_worker_had_in_hand_is_done_by_others_and_another_is_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crew = Crew(number=2)
    busy = pool(crew)
    handed = submit(busy, *"01234567")
    in_hand = {batch.texts[0] for _, batch in crew.hands["w0"]}
    assert in_hand
    crew.lose("w0")
    with caplog.at_level(logging.WARNING):
        assert values(handed) == list(map(float, "01234567"))
    assert {worker for worker, text in crew.given if text in in_hand} > {"w0"}
    assert crew.n_started == 3
    assert "worker w0 was lost (the node went away)" in caplog.text


def test_a_batch_that_ends_three_workers_is_given_up_and_the_others_are_done() -> None:
    crew = Crew(number=1, dies_on={"3"})
    handed = submit(pool(crew), *"012345")
    assert values(handed[:3] + handed[4:]) == [0, 1, 2, 4, 5]
    with pytest.raises(WorkerError, match=r"3 workers were lost .* 1 documents in 'en'.* '3'"):
        handed[3].result()
    assert crew.n_started == 4


def test_what_the_encoder_refuses_is_an_error_of_that_batch_alone_each_time_it_is_asked() -> None:
    handed = submit(pool(Crew(refuses={"1"})), *"012")
    for _ in range(2):
        with pytest.raises(EncoderError, match="cannot encode 1"):
            handed[1].result()
    assert values([handed[0], handed[2]]) == [0, 2]


def test_vectors_may_be_asked_for_again() -> None:
    (one,) = submit(pool(Crew()), "7")
    assert values([one, one]) == [7, 7]


def test_what_nobody_will_ask_for_makes_room() -> None:
    busy = pool(Crew(number=1))
    handed = submit(busy, *"012")
    assert not busy.has_room()
    handed[1].discard()
    assert busy.has_room()
    assert values([handed[0], handed[2]]) == [0, 2]


def test_a_worker_with_another_model_or_package_is_not_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crew = Crew(number=2, identities=[IDENTITY | {"torch": '"1.0"'}])
    with caplog.at_level(logging.WARNING):
        assert values(submit(pool(crew), *"0123")) == [0, 1, 2, 3]
    assert crew.dismissed == ["w0"]
    assert "w0" not in {worker for worker, _ in crew.given}
    assert 'found torch "1.0", here "2.0"' in caplog.text


def test_where_no_worker_can_load_the_model_the_error_says_why_and_nobody_waits() -> None:
    crew = Crew(number=2, identities=["no such folder"] * 9)
    with pytest.raises(WorkerError, match="no such folder"):
        submit(pool(crew), "0")[0].result()
    assert crew.n_started <= 4, "three fail, one was under way"


def test_workers_that_are_there_go_on_where_others_cannot_be_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crew = Crew(number=2, identities=[IDENTITY, "no memory", "no memory", "no memory"])
    with caplog.at_level(logging.WARNING):
        assert values(submit(pool(crew), *"0123")) == [0, 1, 2, 3]
    assert "going on with those there are" in caplog.text


def test_workers_that_come_later_are_used() -> None:
    crew = Crew(number=1)
    busy = pool(crew)
    handed = submit(busy, *"012")
    crew.number = 3
    values(handed + submit(busy, *"345678345678"))
    assert {worker for worker, _ in crew.given} == {"w0", "w1", "w2"}


def test_closing_ends_the_workers() -> None:
    crew = Crew()
    busy = pool(crew)
    values(submit(busy, "0"))
    busy.close()
    assert crew.is_stopped
