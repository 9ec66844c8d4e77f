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
    assert kinds.family(from_folder(bert)) == "single"
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
        kinds.family(of_kind(bert, tmp_path / "model", **config))


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
    assert kinds.family(of_kind(bert, tmp_path / "model", **config)) == "single"


def test_a_head_is_found_where_no_architecture_is_named(bert: Path, tmp_path: Path) -> None:
    folder = with_head(bert, tmp_path / "model", "BertForSequenceClassification")
    edit(folder / "config.json", architectures=None)
    with pytest.raises(EncoderError, match=r"names no architecture and has a head \(classifier"):
        kinds.family(from_folder(folder))


def test_a_modules_file_states_the_pooling_of_any_architecture(tmp_path: Path) -> None:
    folder = write_dense(tmp_path / "model", 1)
    edit(folder / "config.json", architectures=["Qwen3ForCausalLM"])
    assert kinds.family(from_folder(folder)) == "single"


def with_module(tmp_path: Path, module: str, model_type: str | None = None) -> Weights:
    """Write a dense model whose last module is said to be another one."""
    folder = write_dense(tmp_path / "model", 1)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = f"sentence_transformers.{module}"
    (folder / "modules.json").write_text(json.dumps(modules))
    edit(folder / "config_sentence_transformers.json", model_type=model_type)
    return from_folder(folder)


def test_a_reranker_is_told_by_its_modules_and_sent_to_rerank(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"LogitScore; a reranker reads .*rerank:MODEL\+SYSTEM"):
        kinds.family(with_module(tmp_path, "cross_encoder.modules.LogitScore"))


def test_a_cross_encoder_is_sent_to_rerank_unless_it_has_several_labels(tmp_path: Path) -> None:
    folder = write_dense(tmp_path / "model", 1)
    edit(folder / "config_sentence_transformers.json", model_type="CrossEncoder")
    with pytest.raises(EncoderError, match=r"is a CrossEncoder; .*rerank:MODEL\+SYSTEM"):
        kinds.family(from_folder(folder))
    edit(folder / "config.json", id2label={"0": "no", "1": "yes"})
    with pytest.raises(EncoderError, match="it has 2 labels, and so no single score") as caught:
        kinds.family(from_folder(folder))
    assert "rerank:" not in str(caught.value)


@pytest.mark.parametrize("name", ["SparseAutoEncoder", "SparseStaticEmbedding"])
def test_a_sparse_model_is_told_by_its_modules(tmp_path: Path, name: str) -> None:
    found = with_module(tmp_path, f"sparse_encoder.modules.{name}")
    assert kinds.family(found) == "sparse"


def test_a_sparse_module_in_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    module = "sparse_encoder.modules.SparseAutoEncoder"
    with pytest.raises(EncoderError, match="saved as a SentenceTransformer and has the module"):
        kinds.family(with_module(tmp_path, module, "SentenceTransformer"))


def test_a_sparse_model_without_its_head_is_refused(tmp_path: Path) -> None:
    found = with_module(tmp_path, "base.modules.Normalize", "SparseEncoder")
    with pytest.raises(EncoderError, match=r"without its head: .*Normalize, and nothing that"):
        kinds.family(found)


def test_a_splade_model_whose_weights_score_no_words_is_refused(tmp_path: Path) -> None:
    found = with_module(tmp_path, "sparse_encoder.modules.SpladePooling", "SparseEncoder")
    with pytest.raises(EncoderError, match=r"without its head: its weights are of a BertModel"):
        kinds.family(found)


def test_a_masked_language_model_is_told_how_to_be_a_splade_model(
    bert: Path, tmp_path: Path
) -> None:
    folder = with_head(bert, tmp_path / "model", "BertForMaskedLM")
    with pytest.raises(EncoderError, match=r"SparseEncoder\('.*'\)\.save_pretrained\('FOLDER'\)"):
        kinds.family(from_folder(folder))


def test_a_transformer_saved_for_another_task_is_refused(tmp_path: Path) -> None:
    folder = write_dense(tmp_path / "model", 1)
    edit(folder / "sentence_bert_config.json", transformer_task="sequence-classification")
    with pytest.raises(EncoderError, match="saved for sequence-classification; a reranker"):
        kinds.family(from_folder(folder))


def test_a_colbert_checkpoint_that_does_not_say_so_is_not_pooled(
    bert: Path, tmp_path: Path
) -> None:
    folder = copy_of(bert, tmp_path / "model")
    (folder / "artifact.metadata").write_text("{}")
    with pytest.raises(EncoderError, match=r"ColBERT checkpoint .*BertModel; expected HF_ColBERT"):
        kinds.family(from_folder(folder))


def test_late_interaction_is_still_told(tmp_path: Path) -> None:
    assert kinds.family(from_folder(write_late(tmp_path / "late", 1))) == "tokens"
