"""Distillation from end to end: what is written, gone on from, and refused."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_distill as tiny
from safetensors.numpy import load_file

from clir_bench.cli import distill as distill_command
from clir_bench.cli import main
from clir_bench.distill.model.teacher import Teacher
from clir_bench.distill.training import checkpoint, loop
from clir_bench.errors import DataError, EncoderError, OutputError, TrainingError, UsageError


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def bitext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bitext")
    tiny.write_bitext(folder / "tiny.tsv")
    return folder


@pytest.fixture(scope="module")
def finished(teacher: Path, bitext: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished") / "model"
    tiny.run(teacher, bitext, output)
    return output


def _weights(output: Path) -> dict[str, Any]:
    return load_file(output / "model.safetensors")


def test_one_folder_loads_as_late_interaction_and_as_pooled_model(finished: Path) -> None:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

    late = MultiVectorEncoder(str(finished), device="cpu")
    pooled = SentenceTransformer(str(finished), device="cpu")
    query = late.encode_query(["paka anaona mbwa"], convert_to_numpy=True)[0]
    tokens = late.encode_document(["paka anaona mbwa"], convert_to_numpy=True)[0]
    sentence = pooled.encode(["paka anaona mbwa"])[0]
    assert tokens.shape[1] == sentence.shape[0] == 32
    raw = pooled.encode(["paka anaona mbwa"], output_value="token_embeddings")[0].numpy()
    np.testing.assert_allclose(sentence, raw.mean(0), atol=1e-5)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True).clip(1e-9)
    np.testing.assert_allclose(tokens, raw / lengths, atol=1e-5)
    np.testing.assert_allclose(query, raw, atol=1e-5)  # MaxSim weights by these lengths


def test_training_finds_held_back_translations_better_than_it_began(
    teacher: Path, bitext: Path, tmp_path: Path
) -> None:
    steps = {"steps": 60, "checkpoint_every": 60}
    tiny.run(teacher, bitext, tmp_path / "model", training=steps, validation={"every": 2})
    entries = [json.loads(line) for line in (tmp_path / "model/log.jsonl").read_text().splitlines()]
    scores = [entry["pooled.MRR"] for entry in entries if "pooled.MRR" in entry]
    assert any("loss.ot" in entry for entry in entries)
    assert max(scores) > scores[0]


def test_the_card_says_languages_pairs_and_scores(finished: Path) -> None:
    card = json.loads((finished / "optical.json").read_text())
    assert card["pairs"] == {"sw": sum(row["train"] for row in card["bitext"]["rows"])}
    assert card["languages"] == ["en", "sw"]
    assert card["validation"]["maxsim.MRR"] > 0
    assert card["recipe"]["seed"] == 0


@pytest.mark.parametrize(("kind", "name"), [("", "optical@"), ("#pooled", "optical-pooled@")])
def test_a_checkpoint_runs_as_encoder_of_either_kind(finished: Path, kind: str, name: str) -> None:
    from clir_bench.encoders.optical import load
    from clir_bench.types import EncoderRequest

    encoder = load(EncoderRequest("optical", f"{finished}{kind}", device="cpu"))
    assert encoder.info.name.startswith(name)
    assert encoder.info.training_languages == ("en", "sw")
    assert encoder.info.similarity == ("cosine" if kind else "maxsim")


def test_a_killed_training_goes_on_to_the_same_weights(
    teacher: Path,
    bitext: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    update = loop.Training._update

    def killed(self: loop.Training, step: int) -> Any:
        if step == 13:
            raise KeyboardInterrupt
        return update(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_update", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny.run(teacher, bitext, tmp_path / "model")
    assert list(checkpoint.steps(tmp_path / "model/.training")) == [10]
    tiny.run(teacher, bitext, tmp_path / "model")
    whole, resumed = _weights(finished), _weights(tmp_path / "model")
    assert whole.keys() == resumed.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_and_the_next_start_goes_on_from_its_step(
    teacher: Path,
    bitext: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: signal.Signals,
) -> None:
    update = loop.Training._update

    def interrupted(self: loop.Training, step: int) -> Any:
        if step == 6:
            signal.raise_signal(number)
        return update(self, step)

    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    before = signal.signal(number, signal.default_int_handler)
    caplog.set_level("INFO", logger="clir_bench.distill.training")
    try:
        with monkeypatch.context() as patch:
            patch.setattr(loop.Training, "_update", interrupted)
            with pytest.raises(KeyboardInterrupt):
                tiny.run(teacher, bitext, tmp_path / "model")
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert list(checkpoint.steps(tmp_path / "model/.training")) == [7]
    assert "stopped after step 7; the same command continues from there" in caplog.text
    tiny.run(teacher, bitext, tmp_path / "model")
    assert "the training continues from step 7 of 20" in caplog.text
    whole, resumed = _weights(finished), _weights(tmp_path / "model")
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    assert _logged_steps(tmp_path / "model") == list(range(1, 21))


def _logged_steps(output: Path) -> list[int]:
    entries = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [entry["step"] for entry in entries if "loss" in entry]


def test_a_second_signal_stops_at_once() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), loop.signals_held() as heard:
            signal.raise_signal(signal.SIGINT)
            assert heard == [signal.SIGINT]
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second signal had no effect")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_training_killed_before_its_first_checkpoint_logs_no_step_twice(
    teacher: Path, bitext: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = loop.Training._update

    def killed(self: loop.Training, step: int) -> Any:
        if step == 5:
            raise RuntimeError
        return update(self, step)

    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "_update", killed)
        with pytest.raises(RuntimeError):
            tiny.run(teacher, bitext, tmp_path / "model")
    assert _logged_steps(tmp_path / "model") == [1, 2, 3, 4, 5]
    tiny.run(teacher, bitext, tmp_path / "model")
    assert _logged_steps(tmp_path / "model") == list(range(1, 21))


def test_without_a_terminal_lines_say_where_it_is_and_libraries_say_nothing(
    teacher: Path,
    bitext: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "recipe.json"
    values = tiny.recipe_values(teacher)
    monkeypatch.setattr(distill_command, "_EVERY_SECONDS", 0)
    monkeypatch.setattr("clir_bench.distill.recipe.read_recipe", lambda _: values)
    command = ["distill", "--recipe", str(recipe), "--bitext-root", str(bitext)]
    command += ["--cache", str(tmp_path / "cache"), "--device", "cpu"]
    assert main([*command, "--output", str(tmp_path / "model")]) == 0
    lines = capfd.readouterr().err.splitlines()
    training = [line for line in lines if line.startswith("training: step ")]
    assert len(training) == 20
    pattern = r"training: step 1 of 20, loss \d+\.\d{4}, [\d,]+ pairs/s, 0:00:\d\d left"
    assert re.fullmatch(pattern, training[0])
    assert [line for line in lines if line not in training] == [
        line for line in lines if line.startswith("encoding English with the teacher: ")
    ]


def test_a_teachers_limit_beyond_its_positions_is_refused_where_it_is_stated(
    teacher: Path, bitext: Path, tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match=r"max_tokens = 500 is stated, .* positions for 64"):
        Teacher(str(_without_limit(teacher, tmp_path)), max_tokens=500, must_fit=True)


def _without_limit(teacher: Path, folder: Path) -> Path:
    copied = Path(shutil.copytree(teacher, folder / "unlimited"))
    path = copied / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 100_000}))
    return copied


def test_a_student_with_layers_and_dropout_goes_on_to_the_same_weights(
    teacher: Path, bitext: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {
        "method": "ot+adversarial",
        "student": {"layers": 1, "dropout": 0.1},
        "training": {"steps": 6, "checkpoint_every": 3, "accumulation": 2},
    }
    tiny.run(teacher, bitext, tmp_path / "whole", **tables)
    monkeypatch.setattr(loop.Training, "_validate", _stop_at_end)
    with pytest.raises(KeyboardInterrupt):
        tiny.run(teacher, bitext, tmp_path / "killed", **tables)
    monkeypatch.undo()
    newest = max(checkpoint.steps(tmp_path / "killed/.training"))
    assert newest == 3
    tiny.run(teacher, bitext, tmp_path / "killed", **tables)
    whole, resumed = _weights(tmp_path / "whole"), _weights(tmp_path / "killed")
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)


def _stop_at_end(self: loop.Training) -> None:
    raise KeyboardInterrupt


def test_a_loss_that_is_no_number_stops_with_step_and_batch_and_keeps_the_last_weights(
    teacher: Path, bitext: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = loop.Training._forward

    def broken(self: loop.Training, batch: Any) -> Any:
        parts = forward(self, batch)
        return (
            {name: part * float("nan") for name, part in parts.items()}
            if self.step == 11
            else parts
        )

    monkeypatch.setattr(loop.Training, "_forward", broken)
    with pytest.raises(
        TrainingError, match=r"step 12, batch 11: the loss is not a number \(ot nan"
    ):
        tiny.run(teacher, bitext, tmp_path / "model")
    assert list(checkpoint.steps(tmp_path / "model/.training")) == [10]


def test_a_full_disk_keeps_the_last_checkpoint(
    teacher: Path, bitext: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    save, calls = safetensors.torch.save_file, []

    def full(tensors: Any, path: Path) -> None:
        calls.append(path)
        if len(calls) > 2:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(tensors, path)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OutputError, match=r"No space left.*continues from step-00000010"):
        tiny.run(teacher, bitext, tmp_path / "model")
    assert [p.name for p in (tmp_path / "model/.training").glob("*step*")] == ["step-00000010"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weights.safetensors", lambda data: data[:-9], "expected .* bytes, found .*truncated"),
        (
            "optimiser.safetensors",
            lambda data: data[:-1] + bytes([data[-1] ^ 1]),
            "optimiser.safetensors: damaged: its sha256 differs",
        ),
        ("state.json", lambda data: data[:9], "cannot be read"),
        (
            "state.json",
            lambda data: data.replace(b'"version": 1', b'"version": 9'),
            "expected a checkpoint of version 1, found version 9",
        ),
    ],
)
def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(
    teacher: Path, bitext: Path, finished: Path, tmp_path: Path,
    name: str, change: Any, message: str,
) -> None:  # fmt: skip
    output = shutil.copytree(finished, tmp_path / "model")
    (output / "optical.json").unlink()
    path = output / ".training/step-00000020" / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        tiny.run(teacher, bitext, output)
    assert path.is_file()


def test_a_training_is_not_gone_on_with_under_another_recipe(
    teacher: Path, bitext: Path, finished: Path, tmp_path: Path
) -> None:
    output = shutil.copytree(finished, tmp_path / "model")
    with pytest.raises(UsageError, match="already holds a finished model"):
        tiny.run(teacher, bitext, output)
    (output / "optical.json").unlink()
    with pytest.raises(DataError, match="one of another"):
        tiny.run(teacher, bitext, output, seed=5)


def test_a_wider_student_gets_a_projection_that_both_classes_load(
    teacher: Path, bitext: Path, tmp_path: Path
) -> None:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

    wide = tiny.write_teacher(tmp_path, dim=48)
    tiny.run(
        teacher,
        bitext,
        tmp_path / "model",
        student={"model": str(wide)},
        training={"steps": 3, "checkpoint_every": 3},
    )
    late = MultiVectorEncoder(str(tmp_path / "model"), device="cpu")
    pooled = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert late.encode_query(["the cat"], convert_to_numpy=True)[0].shape[1] == 32
    assert pooled.encode(["the cat"]).shape == (1, 32)


def test_a_student_that_is_no_transformer_is_refused(
    teacher: Path, bitext: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    folder = tmp_path / "static"
    folder.mkdir()
    save_file(
        {"embedding.weight": np.zeros((4, 8), dtype=np.float32)}, folder / "model.safetensors"
    )
    with pytest.raises(EncoderError, match="expected a transformer"):
        tiny.run(teacher, bitext, tmp_path / "model", student={"model": str(folder)})


def test_no_text_has_a_vector_without_direction(finished: Path) -> None:
    from clir_bench.encoders.optical import load
    from clir_bench.types import EncoderRequest, TokenEncoder

    encoder = load(EncoderRequest("optical", str(finished), device="cpu"))
    assert isinstance(encoder, TokenEncoder)
    texts = ["", "paka", "unseen ☃"]
    for tokens in encoder.encode_document_tokens(texts, language="sw"):
        assert len(tokens) > 0
        np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1, atol=1e-4)
    for tokens in encoder.encode_query_tokens(texts, language="sw"):
        assert (np.linalg.norm(tokens, axis=1) > 1e-4).all()


def test_half_precision_halves_the_file_and_keeps_the_vectors(
    teacher: Path, bitext: Path, finished: Path, tmp_path: Path
) -> None:
    tiny.run(teacher, bitext, tmp_path / "model", student={"half": True})
    whole, half = _weights(finished), _weights(tmp_path / "model")
    for name, value in half.items():
        assert value.dtype == np.float16
        np.testing.assert_allclose(whole[name], value, atol=2e-3)
