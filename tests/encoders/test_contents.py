"""A model's identity covers all that is loaded: its folder, and what that refers to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import COMMIT, TEXTS, copy_of, edit, write_bert, write_dense, write_late

from clir_bench.encoders import load_encoder, weights
from clir_bench.encoders.weights import fingerprint, from_folder
from clir_bench.errors import EncoderError


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tmp_path_factory.mktemp("contents") / "tiny", 1)


def write_adapter(folder: Path, base: str, **config: Any) -> Path:
    """Write what tells an adapter: its settings, and weights that nothing here reads."""
    folder.mkdir(parents=True)
    settings = {"base_model_name_or_path": base, "peft_type": "LORA", **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    return folder


def flip(path: Path) -> None:
    """Change the last byte of a file."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


def test_the_hash_of_one_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "a.safetensors").write_bytes(b"abc")
    (tmp_path / "README.md").write_bytes(b"words")
    expected = hashlib.sha256(b"a.safetensors\x003\x00abc" + b"config.json\x002\x00{}")
    assert fingerprint(tmp_path) == expected.hexdigest()


@pytest.mark.parametrize("changed", ["model.safetensors", "config.json", "tokenizer.json"])
def test_another_base_model_makes_another_adapter(
    dense: Path, tmp_path: Path, changed: str
) -> None:
    base = copy_of(dense, tmp_path / "base")
    adapter = write_adapter(tmp_path / "lora", str(base))
    before = from_folder(adapter)
    flip(base / changed) if changed == "model.safetensors" else edit(base / changed, x=1)
    after = from_folder(adapter)
    assert (before.name, before.sha256) != (after.name, after.sha256)


def test_an_adapter_on_an_adapter_follows_the_base_of_the_base(dense: Path, tmp_path: Path) -> None:
    base = copy_of(dense, tmp_path / "base")
    first = write_adapter(tmp_path / "first", str(base))
    second = write_adapter(tmp_path / "second", str(first))
    before = fingerprint(second)
    flip(base / "model.safetensors")
    assert fingerprint(second) != before


def test_an_adapter_in_a_module_folder_is_followed_too(dense: Path, tmp_path: Path) -> None:
    base = copy_of(dense, tmp_path / "base")
    model = copy_of(dense, tmp_path / "model")
    write_adapter(model / "0_Transformer", str(base))
    edit_modules(model, path="0_Transformer")
    before = fingerprint(model)
    flip(base / "model.safetensors")
    assert fingerprint(model) != before


def edit_modules(model: Path, **changes: Any) -> None:
    modules = json.loads((model / "modules.json").read_text())
    modules[0] |= changes
    (model / "modules.json").write_text(json.dumps(modules))


def test_a_base_on_the_hub_counts_at_the_commit_that_the_cache_has(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--acme--base"
    (repository / "refs").mkdir(parents=True)
    found = []
    for seed, commit in enumerate([COMMIT, COMMIT[::-1]]):
        folder = copy_of(dense, repository / "snapshots" / commit)
        if seed:
            flip(folder / "model.safetensors")
        (repository / "refs" / "main").write_text(commit)
        adapter = tmp_path / "lora"
        found.append(fingerprint(adapter if seed else write_adapter(adapter, "acme/base")))
    assert found[0] != found[1]


@pytest.mark.parametrize("base", ["/nowhere/base", "acme/absent"])
def test_a_base_that_cannot_be_had_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    adapter = write_adapter(tmp_path / "lora", base)
    expected = rf"adapter_config\.json base_model_name_or_path names '{base}'.*merge_and_unload"
    with pytest.raises(EncoderError, match=expected):
        load_encoder(f"st:{adapter}", device="cpu")


def test_models_that_refer_to_each_other_are_refused(tmp_path: Path) -> None:
    for here, there in (("a", "b"), ("b", "a")):
        write_adapter(tmp_path / here, str(tmp_path / there))
    with pytest.raises(EncoderError, match="expected an end"):
        fingerprint(tmp_path / "a")


@pytest.mark.parametrize("task", ["SEQ_CLS", "CAUSAL_LM"])
def test_an_adapter_for_another_task_is_not_pooled(dense: Path, tmp_path: Path, task: str) -> None:
    adapter = write_adapter(tmp_path / "lora", str(dense), task_type=task)
    with pytest.raises(EncoderError, match=f"is an adapter for the task {task}"):
        load_encoder(f"st:{adapter}", device="cpu")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own
def test_a_lora_model_is_another_on_another_base(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="needs the package peft")
    from transformers import AutoTokenizer

    base, adapter = tmp_path / "base", tmp_path / "lora"
    tuned = peft.LoraConfig(task_type="FEATURE_EXTRACTION", r=2, target_modules=["query"])
    peft.get_peft_model(write_bert(base, 1), tuned).save_pretrained(adapter)
    edit(adapter / "adapter_config.json", base_model_name_or_path=str(base))
    AutoTokenizer.from_pretrained(base).save_pretrained(adapter)
    first = load_encoder(f"st:{adapter}", device="cpu")
    rows = first.encode_documents(TEXTS, language="en")
    write_bert(base, 2)
    second = load_encoder(f"st:{adapter}", device="cpu")
    assert not np.allclose(rows, second.encode_documents(TEXTS, language="en"), atol=1e-2)
    assert first.info.name != second.info.name
    assert first.info.weights_sha256 != second.info.weights_sha256


def test_a_tokenizer_elsewhere_counts(dense: Path, tmp_path: Path) -> None:
    tokenizer = copy_of(dense, tmp_path / "tokenizer")
    model = copy_of(dense, tmp_path / "model")
    edit(model / "sentence_bert_config.json", tokenizer_name_or_path=str(tokenizer))
    before = fingerprint(model)
    edit(tokenizer / "tokenizer_config.json", do_lower_case=False)
    assert fingerprint(model) != before


def test_a_linked_folder_counts_with_what_is_in_it(tmp_path: Path) -> None:
    model = write_late(tmp_path / "late", 1)
    part = next(model.glob("1_*"))
    plain = fingerprint(model)
    shutil.move(part, tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    assert fingerprint(model) == plain
    flip(tmp_path / "elsewhere" / "model.safetensors")
    assert fingerprint(model) != plain
    (part / "up").symlink_to(model)  # a circle has an end
    assert len(fingerprint(model)) == 64


@pytest.mark.parametrize("place", [".hidden", "__hidden", "onnx"])
def test_a_module_counts_wherever_it_is_placed(dense: Path, tmp_path: Path, place: str) -> None:
    model = copy_of(dense, tmp_path / "model")
    modules = json.loads((model / "modules.json").read_text())
    (model / modules[1]["path"]).rename(model / place)
    modules[1]["path"] = place
    (model / "modules.json").write_text(json.dumps(modules))
    before = fingerprint(model)
    edit(model / place / "config.json", pooling_mode="cls")
    assert fingerprint(model) != before


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("modules.json", [1, 2]),
        ("modules.json", [None]),
        ("modules.json", [{"path": 3}]),
        ("modules.json", [{"path": "a\0b"}]),
        ("modules.json", [{"path": "/etc"}]),
        ("modules.json", [{"path": "a" * 5000}]),
        ("modules.json", [{"path": "../a"}]),
        ("router_config.json", {"types": None}),
        ("router_config.json", {"types": ["a"]}),
        ("router_config.json", {"types": {"/etc": "Dense"}}),
    ],
)
def test_a_module_that_is_placed_nowhere_is_one_error_that_names_the_file(
    dense: Path, tmp_path: Path, file: str, value: object
) -> None:
    model = copy_of(dense, tmp_path / "model")
    (model / file).write_text(json.dumps(value))
    with pytest.raises(EncoderError, match=file.replace(".", r"\.")) as caught:
        from_folder(model)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("target", ["a" * 5000, "a\0b", "~nobody-at-all/x"])
def test_a_base_that_no_folder_can_be_is_one_error(
    dense: Path, tmp_path: Path, target: str
) -> None:
    adapter = write_adapter(tmp_path / "adapter", target)
    with pytest.raises(EncoderError, match=r"adapter_config\.json base_model_name_or_path names"):
        from_folder(adapter)


@pytest.mark.parametrize("name", ["../other.safetensors", "/x/y.safetensors", ".x.safetensors"])
def test_weights_beside_the_folder_are_refused(dense: Path, tmp_path: Path, name: str) -> None:
    model = copy_of(dense, tmp_path / "model")
    index = {"metadata": {}, "weight_map": {"a": name}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(
        EncoderError, match=r"weight_map names .* expected safetensors files beside"
    ):
        load_encoder(f"st:{model}", device="cpu")


def test_code_in_another_repository_counts_where_it_is_trusted(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--acme--code"
    code = repository / "snapshots" / COMMIT / "modeling.py"
    code.parent.mkdir(parents=True)
    code.write_text("class Model: ...\n")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    model = copy_of(dense, tmp_path / "model")
    edit(model / "config.json", auto_map={"AutoModel": "acme/code--modeling.Model"})
    untrusted, trusted = fingerprint(model), fingerprint(model, trust=True)
    assert untrusted != trusted
    code.write_text("class Model: pass\n")
    assert fingerprint(model) == untrusted
    assert fingerprint(model, trust=True) != trusted


def test_files_that_trusted_code_may_read_count(dense: Path, tmp_path: Path) -> None:
    model = copy_of(dense, tmp_path / "model")
    (model / "table.npy").write_bytes(b"1")
    (model / "own.py").write_text("")
    untrusted, trusted = fingerprint(model), fingerprint(model, trust=True)
    (model / "table.npy").write_bytes(b"2")
    assert fingerprint(model) == untrusted
    assert fingerprint(model, trust=True) != trusted


def test_weights_that_change_while_they_are_loaded_are_refused(dense: Path, tmp_path: Path) -> None:
    model = copy_of(dense, tmp_path / "model")
    found = from_folder(model)
    weights.require_unchanged(found)
    flip(model / "model.safetensors")
    with pytest.raises(EncoderError, match="its files changed while it was loaded"):
        weights.require_unchanged(found)
