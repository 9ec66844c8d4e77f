"""NLLB, M2M100 and MarianMT: real classes, tiny, with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tiny_models import copy_of, write_dense
from tiny_translators import write_m2m100, write_marian, write_nllb

from clir_bench.errors import EncoderError, UsageError
from clir_bench.search.workers.executor import Loading
from clir_bench.systems.translate.model import TranslationModel, find_model
from clir_bench.systems.translate.translators import Direction

SW_EN = Direction("sw", "en")
TEXTS = ["the cat sat on the mat", "a dog. paka !", "mbwa , paka ."]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_nllb(folder / "nllb")
    return folder


@pytest.fixture(scope="module")
def pieces(models: Path) -> Path:
    pytest.importorskip("sentencepiece")
    write_m2m100(models / "m2m100")
    write_marian(models / "marian", "sw", "en")
    write_marian(models / "to-many", "eng", "mul", [">>spa<<", ">>swa<<"])
    write_marian(models / "from-many", "bnt", "eng")
    return models


def find(folder: Path, beams: int = 1, loading: Loading | None = None) -> TranslationModel:
    return find_model(str(folder), loading or Loading(""), beams)


def test_nllb_is_known_by_its_tokenizer_and_translates_alike_in_any_batch(models: Path) -> None:
    model = find(models / "nllb")
    assert model.family == "nllb"
    together = model.translate(TEXTS, SW_EN)
    assert together == [model.translate([text], SW_EN)[0] for text in TEXTS]
    small = find(models / "nllb", loading=Loading("", batch_size=1))
    assert small.translate(TEXTS, SW_EN) == together
    assert small.identity == model.identity


def test_greedy_nllb_is_what_the_library_generates(models: Path) -> None:
    model = find(models / "nllb")
    model.tokenizer.src_lang = "swh_Latn"
    inputs = model.tokenizer(TEXTS[0], return_tensors="pt")
    english = model.tokenizer.convert_tokens_to_ids("eng_Latn")
    found = model.model.generate(  # type: ignore[operator]
        **inputs, forced_bos_token_id=english, num_beams=1, do_sample=False, max_new_tokens=22
    )
    text = model.tokenizer.decode(found[0], skip_special_tokens=True)
    assert found[0, 1] == english
    assert model.translate(TEXTS[:1], SW_EN) == [" ".join(text.split())]


def test_a_text_is_translated_one_sentence_at_a_time(models: Path) -> None:
    model = find(models / "nllb")
    parts = model.translate(["the cat sat.", "a dog ran"], SW_EN)
    assert model.translate(["the cat sat. a dog ran"], SW_EN) == [" ".join(parts)]
    assert model.translate(["", "  "], SW_EN) == ["", ""]


def test_identity_follows_weights_and_decoding_not_the_folder(models: Path, tmp_path: Path) -> None:
    model = find(models / "nllb")
    moved = find(copy_of(models / "nllb", tmp_path / "elsewhere"))
    assert moved.details["translator weights sha256"] == model.details["translator weights sha256"]
    beams = find(models / "nllb", beams=3)
    assert beams.details["decoding"] == "beam search, 3 beams"
    assert beams.name == f"{model.name}+beams=3"
    assert beams.identity != model.identity
    assert len(beams.translate(TEXTS, SW_EN)) == len(TEXTS)


def test_parameters_are_counted_without_reading_weights(models: Path) -> None:
    model = find(models / "nllb")
    n_parameters = model.n_parameters
    assert "model" not in vars(model)
    assert n_parameters == sum(weight.numel() for weight in model.model.parameters())


def test_m2m100_and_marian_translate_with_their_own_codes(pieces: Path) -> None:
    for name, direction in (
        ("m2m100", SW_EN),
        ("marian", SW_EN),
        ("to-many", Direction("en", "es")),
        ("from-many", SW_EN),
    ):
        model = find(pieces / name)
        model.check("here", direction)
        found = model.translate([*TEXTS, ">>spa<< paka"], direction)
        assert len(found) == 4
        assert all("__en__" not in text for text in found)


def test_the_target_of_a_multilingual_marian_is_asked_for_in_the_text(pieces: Path) -> None:
    model = find(pieces / "to-many")
    encoded, forced = model._prepared([">>swa<< paka"], Direction("en", "es"))
    spanish, swahili = model.tokenizer.convert_tokens_to_ids([">>spa<<", ">>swa<<"])
    assert encoded[0][0] == spanish
    assert swahili not in encoded[0]
    assert forced == {}


@pytest.mark.parametrize(
    ("name", "direction", "says"),
    [
        ("nllb", Direction("fr", "en"), "it has no language fr"),
        ("nllb", Direction("la", "tlh"), "it has no language la and tlh"),
        ("m2m100", Direction("rw", "en"), "it has no language rw"),
        ("marian", Direction("en", "sw"), "it translates from sw"),
        ("marian", Direction("sw", "fr"), "it translates into en"),
        ("to-many", Direction("en", "fr"), "it translates into >>spa<<, >>swa<<"),
        ("from-many", Direction("sw", "fr"), "it translates into eng"),
    ],
)
def test_a_direction_that_a_model_lacks_is_refused(
    pieces: Path, name: str, direction: Direction, says: str
) -> None:
    with pytest.raises(UsageError, match=f"here: model .* does not translate {direction}: {says}"):
        find(pieces / name).check("here", direction)


def test_a_model_that_does_not_translate_is_refused(tmp_path: Path) -> None:
    write_dense(tmp_path / "dense", 1)
    with pytest.raises(EncoderError, match=r"is a bert .* expected a translation model"):
        find(tmp_path / "dense")


def test_pickled_weights_and_missing_models_are_refused_at_once(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickled = copy_of(models / "nllb", tmp_path / "pickled")
    state = torch.nn.Linear(1, 1).state_dict()
    (pickled / "model.safetensors").unlink()
    torch.save(state, pickled / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="is a pickle"):
        find(pickled)
    with pytest.raises(UsageError, match="no such folder, and no Hub id either"):
        find(tmp_path / "none")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="offline"):
        find_model("nobody/no-such-model", Loading(""), 1)


def test_weights_that_do_not_fit_are_an_error_that_names_the_model(
    models: Path, tmp_path: Path
) -> None:
    folder = copy_of(models / "nllb", tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderError, match=r"translation model broken@.* cannot be loaded"):
        find(folder).translate(TEXTS, SW_EN)
    shutil.rmtree(folder)
