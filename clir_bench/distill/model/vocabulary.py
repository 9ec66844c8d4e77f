"""Learns a student's vocabulary of word pieces from the bitext."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clir_bench.distill.recipe import StudentSettings

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_MAX_PIECE = 16
_SHRINK = 0.5  # of the candidate pieces, this share is kept in each round: 0.75 takes twice as long
WORD_START = "▁"
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD_BEGINS = rf"(?<![\p{{L}}\p{{M}}\p{{N}}{WORD_START}])(?=[\p{{L}}\p{{N}}&&[^{_UNSPACED}]])"


def train_tokenizer(texts: Iterable[str], settings: StudentSettings) -> Any:
    """Return a fast tokenizer with a unigram vocabulary (Kudo 2018, arXiv 1804.10959).

    Texts become NFKC and lower case and are cut at white space and punctuation before pieces are
    learned. The beginning of a word is marked, also after a bracket, except in scripts that do not
    separate words.
    """
    from tokenizers import (
        Regex,
        Tokenizer,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(_WORD_BEGINS), WORD_START),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    tokenizer.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=settings.vocabulary,
            special_tokens=list(SPECIAL.values()),
            unk_token=SPECIAL["unk"],
            max_piece_length=_MAX_PIECE,
            shrinking_factor=_SHRINK,
            n_sub_iterations=1,
            show_progress=False,
        ),
    )
    cls, sep = (tokenizer.token_to_id(SPECIAL[name]) for name in ("cls", "sep"))
    single = "[CLS] $A" if settings.layers == 0 else "[CLS] $A [SEP]"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=f"{single} $B", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    fast: Any = PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        model_max_length=settings.max_tokens,
        **{f"{name}_token": token for name, token in SPECIAL.items()},
    )


def sample_texts(texts: Iterable[str], characters: int) -> list[str]:
    """Return the first texts, up to about `characters` in all."""
    chosen: list[str] = []
    for text in texts:
        if characters <= 0:
            break
        chosen.append(text)
        characters -= len(text)
    return chosen
