"""Tiny translation models of the real classes, with random weights, written to disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny_models import TEXTS

SMALL = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 24,
}


def write_nllb(
    folder: Path, languages: Sequence[str] = ("eng_Latn", "spa_Latn", "swh_Latn")
) -> Path:
    from transformers import NllbTokenizer

    words = sorted({f"▁{word}" for text in TEXTS for word in text.split()})
    characters = sorted({character for word in words for character in word})
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: place for place, token in enumerate([*special, *characters, *words])}
    tokenizer: Any = NllbTokenizer(
        vocab=vocabulary, merges=[], extra_special_tokens=list(languages), model_max_length=24
    )
    return _write_m2m100(folder, tokenizer)


def write_m2m100(folder: Path) -> Path:
    from transformers import M2M100Tokenizer

    pieces = _write_pieces(folder / "spm")
    tokenizer: Any = M2M100Tokenizer(
        str(folder / "spm.vocab.json"), str(pieces), model_max_length=24
    )
    return _write_m2m100(folder, tokenizer)


def _write_m2m100(folder: Path, tokenizer: Any) -> Path:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = M2M100Config(
        vocab_size=len(tokenizer) + 200,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, **SMALL,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def write_marian(folder: Path, source: str, target: str, tokens: Sequence[str] = ()) -> Path:
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    pieces = str(_write_pieces(folder / "spm", tokens))
    tokenizer: Any = MarianTokenizer(
        pieces, pieces, str(folder / "spm.vocab.json"),
        source_lang=source, target_lang=target, model_max_length=24,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    config = MarianConfig(
        vocab_size=len(tokenizer.encoder), pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.pad_token_id, **SMALL,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return folder


def _write_pieces(prefix: Path, tokens: Sequence[str] = ()) -> Path:
    """Train a tiny SentencePiece model, and write the vocabulary that these tokenizers want."""
    import sentencepiece

    prefix.parent.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 3), model_prefix=str(prefix), vocab_size=40,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    learnt = [model.id_to_piece(place) for place in range(model.get_piece_size())]
    special = ["<s>", "<pad>", "</s>", "<unk>", *tokens]
    names = [*special, *(piece for piece in learnt if piece not in special)]
    vocabulary = {name: place for place, name in enumerate(names)}
    Path(f"{prefix}.vocab.json").write_text(json.dumps(vocabulary))
    return Path(f"{prefix}.model")
