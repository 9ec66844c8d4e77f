"""Encoders that follow instructions: a task's sentence is put in the prompt, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from folders import CARD, clir, make_folder
from tiny_models import write_dense

from clir_bench.encoders import load_encoder, under_contract
from clir_bench.encoders.catalog import table
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.encoders.instructions import GENERAL, PLACE, instructed
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, to_json
from clir_bench.search.workers.executor import Loading, identity_of
from clir_bench.systems.hybrid import HybridSystem
from clir_bench.systems.rerank import RerankSystem
from clir_bench.systems.rescoring import VectorModel
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.cards import TaskCard, read_card
from clir_bench.tasks.catalog import discover, shipped_card
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair, Vectors

TEMPLATE = "Instruct: {instruction}\nQuery: "
FIND = "Given a question, find the news that answer it."


class Follower(HashingEncoder):
    """An encoder that notes the queries as it reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, name="follower", query_prompt=TEMPLATE)
        self.read: list[str] = []

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        self.read += [self.info.query_prompt + text for text in texts]
        return super().encode_queries(texts, language=language)


def card_with(folder: Path, instruction: str) -> TaskCard:
    path = make_folder(folder).card_path
    path.write_text(CARD.replace("license", f'instruction = "{instruction}"\nlicense', 1))
    card = read_card(path)
    assert isinstance(card, TaskCard)
    return card


def run(encoder: Any, card: TaskCard, output: Path, *pairs: str) -> Result:
    system = EncoderSystem(under_contract(encoder, "follower", "mine 1"), "follower", "mine 1")
    return evaluate(
        card,
        system,
        output=output,
        source=locate(card, "test"),
        pairs=[LanguagePair.parse(pair) for pair in pairs],
    )


def test_the_tasks_instruction_stands_before_every_query_and_in_the_result(tmp_path: Path) -> None:
    encoder = Follower()
    result = run(encoder, card_with(tmp_path, FIND), tmp_path / "out", "en-sw")
    prompt = f"Instruct: {FIND}\nQuery: "
    assert encoder.read and all(text.startswith(prompt) for text in encoder.read)
    assert (result.system.query_prompt, result.system.instruction) == (prompt, FIND)
    assert encoder.info.query_prompt == TEMPLATE


def test_a_task_without_an_instruction_gets_the_general_one(tmp_path: Path) -> None:
    result = run(Follower(), card_with(tmp_path, ""), tmp_path / "out", "en-sw")
    assert result.system.query_prompt == f"Instruct: {GENERAL}\nQuery: "


def test_pairs_with_different_instructions_are_not_mixed_in_one_result(tmp_path: Path) -> None:
    first, second = card_with(tmp_path / "1", FIND), card_with(tmp_path / "2", "Find it.")
    assert first.sha256() == second.sha256()
    run(Follower(), first, tmp_path / "out", "en-sw")
    with pytest.raises(Exception, match="another query_prompt"):
        run(Follower(), second, tmp_path / "out", "en-de")
    plain = HashingEncoder()
    run(plain, first, tmp_path / "plain", "en-sw")
    result = run(plain, second, tmp_path / "plain", "en-de")
    assert all(result.pairs[pair].status == "done" for pair in ("en-sw", "en-de"))


def test_one_system_is_the_same_on_tasks_with_different_instructions(tmp_path: Path) -> None:
    cards = card_with(tmp_path / "1", FIND), card_with(tmp_path / "2", "Find it.")
    one, other = (run(Follower(), card, tmp_path / str(i), "en-sw").system
                  for i, card in enumerate(cards))  # fmt: skip
    assert one.fingerprint() == other.fingerprint()
    assert one.differences(other)[0].startswith("query_prompt")
    assert one.on_any_task().differences(other.on_any_task()) == []


def test_every_part_of_a_system_gets_the_instruction(tmp_path: Path) -> None:
    follower = under_contract(Follower(), "hashing", "mine 1")
    plain = EncoderSystem(under_contract(HashingEncoder(), "hashing", "mine 1"), "hashing")
    again = RerankSystem("rerank:x", VectorModel(follower, "hashing"), plain)
    system = HybridSystem("hybrid:x", (again, plain))
    one, other = (
        system.for_task(card_with(tmp_path / text, f"{text}.")).record for text in ("a", "b")
    )
    assert one.parts[0].parts[0].query_prompt == "Instruct: a.\nQuery: "
    assert one.parts[1].query_prompt == ""
    assert one.revision == other.revision == system.record.revision
    assert any("query_prompt" in difference for difference in one.differences(other))
    keys = [again.for_task(card_with(tmp_path / text, text)).model.identity for text in "ab"]  # type: ignore[attr-defined]
    assert keys[0] != keys[1] or keys[0].untold


def test_a_result_says_nothing_of_instructions_where_there_are_none(tmp_path: Path) -> None:
    result = run(HashingEncoder(), card_with(tmp_path, FIND), tmp_path / "out", "en-sw")
    assert "instruction" not in to_json(result)


def test_a_model_file_says_where_the_instruction_goes(tmp_path: Path) -> None:
    write_dense(tmp_path / "weights", 1)
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\nfolder = "weights"\n'
        'query_prompt = "the {instruction} : "\ndocument_prompt = ""\n'
    )
    card = card_with(tmp_path / "task", "paka").directory
    assert card is not None
    out = tmp_path / "out"
    task = card / "mine.toml"
    assert clir("run", "--task", task, "--model", file, "--pairs", "en-sw", "--output", out) == 0
    (path,) = out.rglob("test.json")
    result = read_result(path)
    assert isinstance(result, Result)
    assert result.system.query_prompt == "the paka : "
    encoder: Any = load_encoder(str(file), device="cpu")
    filled: Any = instructed(encoder, "paka")
    plain = encoder.encode_documents(["the paka : cat"], language="en")
    assert filled.encode_queries(["cat"], language="en") == pytest.approx(plain, abs=1e-6)


def test_workers_load_a_model_with_the_same_instruction(tmp_path: Path) -> None:
    write_dense(tmp_path / "weights", 1)
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nfolder = "weights"\nquery_prompt = "{instruction} : "\n')
    here = instructed(load_encoder(str(file), device="cpu"), FIND)
    assert identity_of(Loading(str(file), "cpu", instruction=FIND).load()) == identity_of(here)


def test_every_packaged_task_has_one_sentence_of_instruction() -> None:
    cards = [card for name in discover() if (card := shipped_card(name)) is not None]
    assert len(cards) > 10
    for card in cards:
        assert card.instruction.startswith("Given ") and card.instruction.count(".") == 1, card.id


@pytest.mark.parametrize("family", ["e5-large-instruct", "qwen3-embedding"])
def test_the_table_says_where_instructions_go(family: str) -> None:
    prompts = [facts.query_prompt or "" for name, facts in table().items() if family in name]
    assert prompts and all(PLACE in prompt for prompt in prompts)


@pytest.mark.parametrize("instruction", ["two\\nlines", "{query}", "x" * 301])
def test_an_instruction_that_is_no_plain_line_is_refused(tmp_path: Path, instruction: str) -> None:
    with pytest.raises(Exception, match="instruction"):
        card_with(tmp_path, instruction)
