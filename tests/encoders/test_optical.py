"""The student that ships with the package: `--model optical`."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from folders import clir

from clir_bench.encoders import load_encoder
from clir_bench.encoders.optical import CARD, SHIPPED
from clir_bench.evaluation.evaluate import System, evaluate
from clir_bench.tasks.cards import SAMPLE, TaskCard, expand_rules
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import locate
from clir_bench.types import Encoder, TokenEncoder

OPTICAL_TIERS = {"sw", "so", "tl", "mr", "fi", "de", "fr"}
XQUAD_R = {"ar", "de", "el", "es", "hi", "ru", "th", "tr", "vi", "zh"}
MIRACL = {"ar", "bn", "de", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th"}


def test_checkpoint_is_small_and_holds_no_pickle() -> None:
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 30_000_000
    assert {path.suffix for path in files} <= {".json", ".jsonl", ".md", ".safetensors"}


def test_card_names_the_languages_seen_and_the_bitext_with_its_licences() -> None:
    card = json.loads((SHIPPED / CARD).read_text(encoding="utf-8"))
    assert set(card["languages"]) >= OPTICAL_TIERS | XQUAD_R | MIRACL | {"yo", "zh"}
    text = json.dumps(card)
    assert all(licence in text for licence in ("CC0-1.0", "CC-BY-SA-4.0", "public domain"))


@pytest.mark.parametrize(
    ("spec", "kind"), [("optical:#late", TokenEncoder), ("optical:#pooled", Encoder)]
)
def test_one_checkpoint_serves_as_late_interaction_and_pooled(spec: str, kind: type) -> None:
    encoder = load_encoder(spec, device="cpu")
    assert isinstance(encoder, kind)
    assert encoder.info.name.startswith("optical")
    assert "sw" in encoder.info.training_languages
    assert len(encoder.info.revision) == 12


def test_a_translation_is_nearer_than_another_sentence() -> None:
    encoder = load_encoder("optical:#pooled", device="cpu")
    assert isinstance(encoder, Encoder)
    queries = encoder.encode_queries(["Der Arzt untersucht den Patienten."], language="de")
    documents = encoder.encode_documents(
        ["The doctor examines the patient.", "The train leaves the station."], language="en"
    )
    near, far = (queries @ documents.T)[0]
    assert near > far + 0.1


def test_it_finds_more_across_languages_than_shared_letters_do(tmp_path: Path) -> None:
    card = load_card("xquad-r")
    assert isinstance(card, TaskCard)
    pairs = expand_rules(card.for_sample(), [f"{code}-en" for code in ("de", "hi", "sw", "mr")])
    means = {}
    for spec in ("optical", "hashing"):
        result = evaluate(
            card,
            System(load_encoder(spec, device="cpu"), spec),
            output=tmp_path,
            source=locate(card, SAMPLE),
            split=SAMPLE,
            pairs=pairs,
        )
        scores = [result.pairs[str(pair)].scores["nDCG@10"].mean for pair in pairs]
        means[spec] = float(np.mean(scores))
    assert means["optical"] > means["hashing"] + 0.1


def test_it_runs_by_name_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("it asks for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    command = ("run", "-m", "optical", "-t", "miracl", "--sample", "-l", "sw,so", "-o", tmp_path)
    assert clir(*command) == 0
    assert "sw Swahili" in capsys.readouterr().out
    assert (tmp_path / "optical" / "miracl" / "sample.json").is_file()
