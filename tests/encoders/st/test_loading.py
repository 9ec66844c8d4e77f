"""`st:` and `optical:` on tiny models of the real classes, written to disk and read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import COMMIT, TEXTS, copy_of, edit, write_bert, write_dense, write_late

from clir_bench.encoders import load_encoder
from clir_bench.encoders.st import loading
from clir_bench.encoders.weights import fingerprint
from clir_bench.errors import EncoderError, UsageError
from clir_bench.testing import ENCODER_CHECKS, EncoderSubject


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = {"query": "query : ", "passage": "document : "}
    return write_dense(tmp_path_factory.mktemp("models") / "tiny", 1, prompts=prompts)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_late(tmp_path_factory.mktemp("models") / "tiny-late", 2)


def plain(folder: Path, texts: list[str], prompt: str) -> np.ndarray:
    """Mean pooling over the tokens, written out without sentence-transformers."""
    import torch
    from transformers import BertModel, BertTokenizer

    tokenizer, bert = (
        BertTokenizer.from_pretrained(folder),
        BertModel.from_pretrained(folder).eval(),
    )
    rows = []
    for text in texts:
        batch = tokenizer(prompt + text, truncation=True, max_length=24, return_tensors="pt")
        with torch.no_grad():
            rows.append(bert(**batch).last_hidden_state[0].mean(dim=0).numpy())
    return np.stack([row / np.linalg.norm(row) for row in rows])


def test_dense_vectors_are_the_mean_of_the_tokens_behind_each_sides_prompt(dense: Path) -> None:
    encoder = load_encoder(f"st:{dense}", device="cpu", dtype="float32")
    queries = encoder.encode_queries(TEXTS, language="en")
    documents = encoder.encode_documents(TEXTS, language="en")
    assert np.allclose(queries, plain(dense, TEXTS, "query : "), atol=1e-5)
    assert np.allclose(documents, plain(dense, TEXTS, "document : "), atol=1e-5)
    assert not np.allclose(queries, documents, atol=1e-3)


def test_info_says_what_was_loaded(dense: Path) -> None:
    info = load_encoder(f"st:{dense}", device="cpu", dtype="float32").info
    assert (info.query_prompt, info.document_prompt) == ("query : ", "document : ")
    assert (info.max_tokens, info.dtype, info.similarity) == (24, "float32", "cosine")
    assert info.n_parameters is not None
    assert 20_000 < info.n_parameters < 30_000
    assert info.weights_sha256 == fingerprint(dense)
    assert info.name == f"tiny@{info.weights_sha256[:8]}"
    assert info.revision == info.weights_sha256[:12]


def test_batch_size_and_order_do_not_change_a_vector(dense: Path) -> None:
    encoder = load_encoder(f"st:{dense}", device="cpu", dtype="float32", batch_size=2)
    other = load_encoder(f"st:{dense}", device="cpu", dtype="float32", batch_size=64)
    rows = encoder.encode_documents(TEXTS, language="en")
    assert np.allclose(rows, other.encode_documents(TEXTS, language="en"), atol=1e-5)
    assert np.allclose(rows[::-1], encoder.encode_documents(TEXTS[::-1], language="en"), atol=1e-5)
    assert np.array_equal(rows, encoder.encode_documents(TEXTS, language="en"))


def test_texts_are_cut_at_the_recorded_length(dense: Path) -> None:
    encoder = load_encoder(f"st:{dense}", device="cpu", dtype="float32")
    rows = encoder.encode_queries(["cat " * 24, "cat " * 500], language="en")
    assert np.allclose(rows[0], rows[1], atol=1e-5)


def test_loading_and_encoding_print_nothing(
    dense: Path, late: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_encoder(f"st:{dense}", device="cpu").encode_documents(TEXTS, language="en")
    load_encoder(f"st:{late}", device="cpu").encode_document_tokens(TEXTS, language="en")
    assert capfd.readouterr() == ("", "")


def test_bfloat16_is_recorded_and_near_and_returned_as_unit_float32(dense: Path) -> None:
    exact = load_encoder(f"st:{dense}", device="cpu", dtype="float32")
    short = load_encoder(f"st:{dense}", device="cpu", dtype="bfloat16")
    rows = short.encode_queries(TEXTS, language="en")
    assert (exact.info.dtype, short.info.dtype) == ("float32", "bfloat16")
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    cosine = (rows * exact.encode_queries(TEXTS, language="en")).sum(axis=1)
    assert 0.99 < cosine.min() < cosine.max() < 0.9999999


def test_a_dot_product_model_keeps_its_lengths(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "dot")
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    encoder = load_encoder(f"st:{folder}", device="cpu")
    assert encoder.info.similarity == "dot"
    assert not np.allclose(
        np.linalg.norm(encoder.encode_queries(TEXTS, language="en"), axis=1), 1, atol=0.1
    )


def test_a_distance_model_is_refused(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "far")
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="euclidean")
    with pytest.raises(EncoderError, match="euclidean distance; expected cosine or dot"):
        load_encoder(f"st:{folder}", device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_static_model_has_no_limit_and_refuses_a_text_without_tokens(
    dense: Path, tmp_path: Path, dtype: str
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(dense / "tokenizer.json"))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=6)], device="cpu")
    model.save(str(tmp_path / "static"), create_model_card=False)
    encoder = load_encoder(f"st:{tmp_path / 'static'}", device="cpu", dtype=dtype)
    assert (encoder.info.max_tokens, encoder.info.dtype, encoder.dim) == (None, dtype, 6)
    assert encoder.encode_documents(TEXTS, language="en").shape == (len(TEXTS), 6)
    with pytest.raises(EncoderError, match="text '' in 'sw': the vector is all zeros"):
        encoder.encode_documents(["paka", ""], language="sw")
    wordless = {check.name: check for check in ENCODER_CHECKS}["blank-texts"]
    assert wordless.outcome(EncoderSubject(encoder)).status == "passed"


def test_late_interaction_gives_a_unit_vector_a_token_without_skipped_ones(late: Path) -> None:
    encoder = load_encoder(f"st:{late}", device="cpu")
    assert (encoder.info.similarity, encoder.dim) == ("maxsim", 8)
    assert (encoder.info.query_prompt, encoder.info.document_prompt) == ("query : ", "document : ")
    assert encoder.info.max_tokens == 20
    found = encoder.encode_document_tokens(TEXTS, language="sw")
    # [CLS] document : ... [SEP]; "," and "." are skipped in documents; the last text is cut at 20.
    assert [len(tokens) for tokens in found] == [6 + 4, 3 + 4, 1 + 4, 2 + 4, 20]
    assert len(encoder.encode_query_tokens(["mbwa , paka ."], language="sw")[0]) == 4 + 4
    assert all(np.allclose(np.linalg.norm(t, axis=1), 1, atol=1e-5) for t in found)


def test_late_interaction_does_not_depend_on_batch_or_order(late: Path) -> None:
    encoder = load_encoder(f"st:{late}", device="cpu", batch_size=2)
    found = encoder.encode_document_tokens(TEXTS, language="sw")
    again = load_encoder(f"st:{late}", device="cpu").encode_document_tokens(
        TEXTS[::-1], language="sw"
    )
    for one, other in zip(found, again[::-1], strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_stanford_colbert_checkpoint_is_late_interaction(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "colbert"
    write_bert(folder, 3)
    weights = {f"bert.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    linear = torch.randn(16, 32)
    save_file({**weights, "linear.weight": linear}, folder / "model.safetensors", {"format": "pt"})
    edit(folder / "config.json", architectures=["HF_ColBERT"])
    encoder = load_encoder(f"st:{folder}", device="cpu")
    assert (encoder.info.similarity, encoder.dim) == ("maxsim", 16)
    assert encoder.info.query_prompt == "[unused0] "
    # Queries are filled up with [MASK] to 32 tokens, which take part in MaxSim.
    assert len(encoder.encode_query_tokens(["paka"], language="sw")[0]) == 32


def test_optical_reads_either_kind_and_is_named_after_its_hash(dense: Path, late: Path) -> None:
    pooled = load_encoder(f"optical:{dense}", device="cpu")
    assert pooled.info.name == f"optical@{fingerprint(dense)[:8]}"
    assert pooled.encode_queries(["paka"], language="sw").shape == (1, 32)
    tokens = load_encoder(f"optical:{late}", device="cpu")
    assert tokens.info.name == f"optical@{fingerprint(late)[:8]}"
    assert tokens.info.similarity == "maxsim"


def test_two_models_get_two_names_and_a_moved_one_keeps_its_own(
    dense: Path, tmp_path: Path
) -> None:
    moved = copy_of(dense, tmp_path / "elsewhere" / "tiny")
    (moved / "README.md").write_text("words that decide nothing")
    (moved / ".cache").mkdir()
    (moved / ".cache" / "x.json").write_text("{}")
    other = write_dense(tmp_path / "tiny", 7)
    first, same, different = (
        load_encoder(f"st:{folder}", device="cpu").info for folder in (dense, moved, other)
    )
    assert (first.name, first.revision) == (same.name, same.revision)
    assert first.name.startswith("tiny@")
    assert different.name.startswith("tiny@")
    assert different.name != first.name
    assert different.weights_sha256 != first.weights_sha256


@pytest.mark.parametrize("name", ["config_sentence_transformers.json", "tokenizer_config.json"])
def test_settings_that_decide_vectors_are_part_of_the_hash(
    dense: Path, tmp_path: Path, name: str
) -> None:
    changed = copy_of(dense, tmp_path / "changed")
    edit(changed / name, something="else")
    assert fingerprint(changed) != fingerprint(dense)


def test_pickled_weights_are_refused(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"pytorch_model.bin is a pickle.*save_pretrained"):
        load_encoder(f"st:{folder}", device="cpu")


def test_one_pickled_part_is_refused(late: Path, tmp_path: Path) -> None:
    folder = copy_of(late, tmp_path / "partly")
    part = next(folder.glob("1_*")) / "model.safetensors"
    part.rename(part.with_name("pytorch_model.bin"))
    with pytest.raises(EncoderError, match=r"1_Dense/pytorch_model.bin is a pickle"):
        load_encoder(f"st:{folder}", device="cpu")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        EncoderError, match=r"holds no model: expected modules\.json or config\.json"
    ):
        load_encoder(f"optical:{tmp_path}")


def test_damaged_weights_give_one_message(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "damaged")
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(EncoderError, match=r"damaged.* cannot be loaded: SafetensorError"):
        load_encoder(f"st:{folder}", device="cpu")


def test_broken_json_is_named(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "broken")
    (folder / "modules.json").write_text("[{")
    with pytest.raises(EncoderError, match=r"modules\.json: not valid JSON: .*line 1"):
        load_encoder(f"st:{folder}", device="cpu")


def test_code_that_comes_with_weights_does_not_run_unasked(dense: Path, tmp_path: Path) -> None:
    folder = copy_of(dense, tmp_path / "custom")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "pooling_code.Mine"
    (folder / "modules.json").write_text(json.dumps(modules))
    trace = tmp_path / "ran"
    (folder / "pooling_code.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    with pytest.raises(EncoderError, match=r"not run unless you ask for it.*--trust-remote-code"):
        load_encoder(f"st:{folder}", device="cpu")
    assert not trace.exists()


def test_a_device_that_is_not_there_is_refused_rather_than_replaced() -> None:
    import torch

    with pytest.raises(EncoderError, match="is not on this machine"):
        loading.resolve_device(f"cuda:{torch.cuda.device_count()}")
    with pytest.raises(UsageError, match="device 'gpu': expected auto, cpu"):
        loading.resolve_device("gpu")


@pytest.fixture
def offline_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache, and no Hub."""
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_cached_hub_model_is_recorded_by_its_commit(dense: Path, offline_hub: Path) -> None:
    repository = offline_hub / "models--acme--tiny"
    copy_of(dense, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    encoder = load_encoder("st:acme/tiny", device="cpu")
    assert (encoder.info.name, encoder.info.revision) == ("acme/tiny", COMMIT)
    local = load_encoder(f"st:{dense}", device="cpu")
    assert encoder.info.weights_sha256 == local.info.weights_sha256
    assert np.array_equal(
        encoder.encode_queries(TEXTS, language="en"), local.encode_queries(TEXTS, language="en")
    )


@pytest.mark.usefixtures("offline_hub")
def test_offline_and_not_cached_says_what_to_fetch_by_hand() -> None:
    with pytest.raises(EncoderError) as caught:
        load_encoder("st:acme/absent", device="cpu")
    message = str(caught.value)
    assert "not in the local cache and the Hub is switched off" in message
    assert "hf download acme/absent --local-dir FOLDER" in message
    assert "st:FOLDER" in message


# Token limits and positions


def without_limit(dense: Path, folder: Path) -> Path:
    """Copy a model of 64 positions whose own files claim that texts may be far longer."""
    copy_of(dense, folder)
    edit(folder / "sentence_bert_config.json", max_seq_length=100_000)
    return folder


def test_texts_are_cut_where_the_positions_end(dense: Path, tmp_path: Path) -> None:
    encoder = load_encoder(f"st:{without_limit(dense, tmp_path / 'model')}", device="cpu")
    assert encoder.info.max_tokens == 64
    assert encoder.encode_queries(["cat " * 500], language="en").shape == (1, 32)


@pytest.mark.parametrize("stated", [65, 100_000])
def test_a_stated_limit_beyond_the_positions_names_them(
    dense: Path, tmp_path: Path, stated: int
) -> None:
    without_limit(dense, tmp_path / "model")
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nfolder = "model"\nmax_tokens = {stated}\n')
    with pytest.raises(EncoderError, match=rf"max_tokens = {stated:,} .* positions for 64 tokens"):
        load_encoder(str(path), device="cpu")
    path.write_text('name = "mine"\nfolder = "model"\nmax_tokens = 64\n')
    assert load_encoder(str(path), device="cpu").info.max_tokens == 64


def test_the_models_own_limit_is_named_where_it_applies_instead(
    dense: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "mine"\nfolder = "{dense}"\nmax_tokens = 100000\n')
    assert load_encoder(str(path), device="cpu").info.max_tokens == 24
    assert "max_tokens = 100,000 is stated, and the model's own limit of 24 tokens" in caplog.text


def test_roberta_has_two_positions_less_than_its_table(tmp_path: Path) -> None:
    """Its positions begin behind the padding token's id, 1: 514 rows are for 512 tokens."""
    import torch
    from transformers import BertTokenizer, RobertaConfig, RobertaModel

    write_bert(tmp_path / "bert", 1)
    tokenizer = BertTokenizer.from_pretrained(tmp_path / "bert", model_max_length=10**6)
    tokenizer.save_pretrained(tmp_path / "model")
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        max_position_embeddings=34,
        pad_token_id=1,
        **sizes,
    )
    torch.manual_seed(0)
    RobertaModel(config).save_pretrained(tmp_path / "model")
    encoder = load_encoder(f"st:{tmp_path / 'model'}", device="cpu")
    assert encoder.info.max_tokens == 32
    assert encoder.encode_documents(["cat " * 500], language="en").shape == (1, 8)
