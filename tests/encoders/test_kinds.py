"""Models that turn no text into a vector are refused by what their files say, with the remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tiny_models import TEXTS, copy_of, edit, write_bert, write_dense, write_late

from clir_bench.encoders import kinds, load_encoder
from clir_bench.encoders.weights import Weights, from_folder
from clir_bench.errors import EncoderError

NO_POOLING = "no modules.json says how its token vectors become one vector per text"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers BertModel without modules.json."""
    folder = tmp_path_factory.mktemp("kinds") / "bert"
    write_bert(folder, 1)
    return folder


def with_head(bert: Path, folder: Path, kind: str, **options: Any) -> Path:
    """Write the same BERT with another head on top."""
    import transformers

    copy_of(bert, folder)
    config = transformers.BertConfig.from_pretrained(bert, **options)
    getattr(transformers, kind)(config).save_pretrained(folder)
    return folder


def of_kind(bert: Path, folder: Path, **config: Any) -> Weights:
    """Copy a BERT whose config says it is something else."""
    edit(copy_of(bert, folder) / "config.json", **config)
    return from_folder(folder)


@pytest.mark.parametrize(
    "kind",
    [
        "BertForSequenceClassification",
        "BertForMaskedLM",
        "BertForTokenClassification",
        "BertForQuestionAnswering",
        "BertForPreTraining",
    ],
)
def test_a_head_without_a_pooling_is_refused_with_the_remedy(
    bert: Path, tmp_path: Path, kind: str
) -> None:
    folder = with_head(bert, tmp_path / "model", kind)
    with pytest.raises(EncoderError) as caught:
        load_encoder(f"st:{folder}", device="cpu")
    message = str(caught.value)
    assert f"is a {kind}" in message
    assert "save_pretrained('FOLDER')" in message
    reranker = "SequenceClassification" in kind
    assert ("no vectors to search with" if reranker else NO_POOLING) in message


def test_the_remedy_makes_a_model_that_loads_with_the_pooling_it_states(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_head(bert, tmp_path / "model", "BertForMaskedLM")
    with pytest.raises(EncoderError) as caught:
        load_encoder(f"st:{folder}", device="cpu")
    code = re.search(r"that folder: (from .*save_pretrained\('FOLDER'\))", str(caught.value))
    assert code is not None
    monkeypatch.chdir(tmp_path)
    exec(code[1], {})  # noqa: S102
    assert load_encoder("st:FOLDER", device="cpu").encode_queries(TEXTS, language="en").any()


def test_a_bare_encoder_still_loads(bert: Path) -> None:
    assert not kinds.is_late_interaction(from_folder(bert))
    assert load_encoder(f"st:{bert}", device="cpu").dim == 32


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "is a LlamaForCausalLM"),
        ({"model_type": "llama", "architectures": ["LlamaModel"]}, "LlamaModel, which reads"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "is a GPT2LMHeadModel"),
        ({"model_type": "gpt2", "architectures": ["GPT2Model"]}, "GPT2Model, which reads from"),
        ({"architectures": ["BertModel"], "is_decoder": True}, "BertModel, which reads from"),
        ({"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"]}, "MT5For"),
        ({"architectures": ["ViTForImageClassification"]}, "is a ViTForImageClassification"),
        ({"architectures": ["MarianMTModel"]}, "is a MarianMTModel"),
        ({"architectures": ["OwnReranker"]}, "is a OwnReranker; a reranker reads"),
        ({"architectures": ["XLMRobertaForColBERT"]}, "is a XLMRobertaForColBERT"),
    ],
)
def test_what_generates_scores_or_sees_is_refused(
    bert: Path, tmp_path: Path, config: dict[str, Any], what: str
) -> None:
    with pytest.raises(EncoderError, match=re.escape(what)):
        kinds.is_late_interaction(of_kind(bert, tmp_path / "model", **config))


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]},
        {"model_type": "t5", "architectures": ["T5EncoderModel"]},
        {"model_type": "new", "architectures": ["NewModel"]},
        {"model_type": "llama", "architectures": ["LlamaBidirectionalModel"]},
        {"model_type": "llama", "architectures": ["LlamaModel"], "is_causal": False},
        {"model_type": "gemma3_text", "architectures": ["Gemma3TextModel"],
         "use_bidirectional_attention": True},
        {"architectures": ["Contriever"]},
        {"architectures": ["OwnForTextEmbedding"]},
        {"architectures": None},
    ],
)  # fmt: skip
def test_encoders_of_every_make_are_left_alone(
    bert: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    assert not kinds.is_late_interaction(of_kind(bert, tmp_path / "model", **config))


def test_a_head_is_found_where_no_architecture_is_named(bert: Path, tmp_path: Path) -> None:
    folder = with_head(bert, tmp_path / "model", "BertForSequenceClassification")
    edit(folder / "config.json", architectures=None)
    with pytest.raises(EncoderError, match=r"names no architecture and has a head \(classifier"):
        kinds.is_late_interaction(from_folder(folder))


def test_a_modules_file_states_the_pooling_of_any_architecture(tmp_path: Path) -> None:
    folder = write_dense(tmp_path / "model", 1)
    edit(folder / "config.json", architectures=["Qwen3ForCausalLM"])
    assert not kinds.is_late_interaction(from_folder(folder))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ("sentence_transformers.sparse_encoder.modules.SpladePooling", "SpladePooling"),
        ("sentence_transformers.sparse_encoder.modules.SparseAutoEncoder", "SparseAutoEncoder"),
        ("sentence_transformers.cross_encoder.modules.LogitScore", "LogitScore"),
    ],
)
def test_modules_of_sparse_models_and_rerankers_tell_them(
    tmp_path: Path, changed: str, what: str
) -> None:
    folder = write_dense(tmp_path / "model", 1)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = changed
    (folder / "modules.json").write_text(json.dumps(modules))
    edit(folder / "config_sentence_transformers.json", model_type=None)
    with pytest.raises(EncoderError, match=f"module {re.escape(changed)}; clir-bench runs"):
        kinds.is_late_interaction(from_folder(folder))


def test_a_transformer_saved_for_another_task_is_refused(tmp_path: Path) -> None:
    folder = write_dense(tmp_path / "model", 1)
    edit(folder / "sentence_bert_config.json", transformer_task="sequence-classification")
    with pytest.raises(EncoderError, match="saved for sequence-classification; a reranker"):
        kinds.is_late_interaction(from_folder(folder))


def test_a_colbert_checkpoint_that_does_not_say_so_is_not_pooled(
    bert: Path, tmp_path: Path
) -> None:
    folder = copy_of(bert, tmp_path / "model")
    (folder / "artifact.metadata").write_text("{}")
    with pytest.raises(EncoderError, match=r"ColBERT checkpoint .*BertModel; expected HF_ColBERT"):
        kinds.is_late_interaction(from_folder(folder))


def test_late_interaction_is_still_told(tmp_path: Path) -> None:
    assert kinds.is_late_interaction(from_folder(write_late(tmp_path / "late", 1)))
