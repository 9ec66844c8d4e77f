"""Tiny models of the real classes, with random weights, written to disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

WORDS = [
    "query",
    "document",
    "a",
    "the",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "mat",
    "fog",
    "paka",
    "mbwa",
    ",",
    ".",
    ":",
    "[Q]",
    "[D]",
]


TEXTS = ["the cat sat on the mat", "a dog ran", "paka", "mbwa , paka .", "the fog " * 40]


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_bert(folder: Path, seed: int) -> Any:
    """Write a transformers BERT of 2 layers and 32 dimensions with random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"]
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS])}
    BertTokenizer(vocab=vocabulary, model_max_length=24).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    bert = BertModel(config)
    bert.save_pretrained(folder)
    return bert


def write_dense(folder: Path, seed: int, **options: Any) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    write_bert(folder / "bert", seed)
    transformer = Transformer(str(folder / "bert"))
    shutil.rmtree(folder / "bert")
    model = SentenceTransformer(modules=[transformer, Pooling(32, "mean")], device="cpu", **options)
    model.save(str(folder), create_model_card=False)
    return folder


def write_late(folder: Path, seed: int) -> Path:
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    write_bert(folder / "bert", seed)
    transformer = Transformer(str(folder / "bert"), document_length=20)
    shutil.rmtree(folder / "bert")
    projection = Dense(
        32,
        8,
        bias=False,
        activation_function=torch.nn.Identity(),
        module_input_name="token_embeddings",
    )
    mask = MultiVectorMask(skiplist_words=[",", "."])
    model = MultiVectorEncoder(
        modules=[transformer, projection, mask, Normalize(module_input_name="token_embeddings")],
        prompts={"query": "query : ", "document": "document : "},
        device="cpu",
    )
    model.save(str(folder), create_model_card=False)
    return folder


def write_cross(folder: Path, seed: int, n_labels: int = 1) -> Path:
    """Write a CrossEncoder, as transformers saves it, with weights that spread its scores."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    write_bert(folder, seed)
    config = BertConfig.from_pretrained(folder, num_labels=n_labels, initializer_range=0.4)
    torch.manual_seed(seed)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_sparse(folder: Path, seed: int, *, static: bool = False, csr: bool = False) -> Path:
    """Write a SPLADE model, with static weights of query words if asked, or a CSR model."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import (
        SparseAutoEncoder,
        SparseStaticEmbedding,
        SpladePooling,
    )
    from transformers import BertForMaskedLM

    bert = write_bert(folder / "bert", seed)
    if csr:
        transformer = Transformer(str(folder / "bert"))
        head = SparseAutoEncoder(input_dim=32, hidden_dim=64, k=6)
        torch.nn.init.normal_(head.encoder.weight)
        modules = [transformer, Pooling(32, "mean"), head]
    else:
        masked = BertForMaskedLM(bert.config)
        masked.bert.load_state_dict(bert.state_dict(), strict=False)
        torch.nn.init.normal_(masked.cls.predictions.bias)
        masked.save_pretrained(folder / "bert")
        modules = [
            Transformer(str(folder / "bert"), transformer_task="fill-mask"),
            SpladePooling(),
        ]
    if static:
        words = SparseStaticEmbedding(
            modules[0].tokenizer, weight=torch.rand(bert.config.vocab_size) + 0.5
        )
        modules = [Router.for_query_document(query_modules=[words], document_modules=modules)]
    shutil.rmtree(folder / "bert")
    model = SparseEncoder(modules=modules, device="cpu")
    model.save(str(folder), create_model_card=False)
    return folder
