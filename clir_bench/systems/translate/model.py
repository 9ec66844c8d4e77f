"""Translates by a sequence-to-sequence model of transformers: NLLB, M2M100 or MarianMT.

A text is translated one sentence at a time, for these models were trained on sentences and leave
out later ones. Sentences of like length go together; decoding draws no random numbers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clir_bench.core import provenance
from clir_bench.core.display import some_of
from clir_bench.core.guards import guarded
from clir_bench.encoders import weights
from clir_bench.encoders.contents import read_json
from clir_bench.encoders.quiet import quiet
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError, UnknownNameError, UsageError
from clir_bench.search.workers.executor import Loading
from clir_bench.systems.translate.translators import Direction
from clir_bench.tasks.languages import resolve
from clir_bench.types import POOL

if TYPE_CHECKING:
    import torch

_Family = Literal["nllb", "m2m100", "marian"]
_FAMILIES: dict[tuple[str, str], _Family] = {
    ("m2m_100", "NllbTokenizer"): "nllb",
    ("nllb-moe", "NllbTokenizer"): "nllb",
    ("m2m_100", "M2M100Tokenizer"): "m2m100",
    ("marian", "MarianTokenizer"): "marian",
}
"""By the type of the model and of its tokenizer: NLLB's dense models are of M2M100's type."""
_BATCH = 32
_CHUNK = 256
_LONGEST = 256
"""Tokens of a sentence and of its translation, at most."""
_SENTENCE = re.compile(r"(?<=[.!?।؟።])\s+|(?<=[。！？])\s*")
_UNSPACED = ("ja", "km", "lo", "my", "th", "wuu", "yue", "zh")
_RUNTIME = ("sacremoses", "sentencepiece", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class TranslationModel:
    """A translation model; its weights are read when the first text is to be translated."""

    weights: Weights
    family: _Family
    tokenizer: Any
    device: str
    dtype: Literal["float32", "bfloat16"]
    beams: int
    batch: int = _BATCH
    chunk: int = _CHUNK

    @property
    def name(self) -> str:
        """Stands in the system's name."""
        return f"{self.weights.name}{'' if self.beams == 1 else f'+beams={self.beams}'}"

    @property
    def details(self) -> Mapping[str, str]:
        """What identifies it."""
        return {
            "translator": f"{self.weights.name} at {self.weights.revision} ({self.family})",
            "translator weights sha256": self.weights.sha256,
            "translator dtype": self.dtype,
            "decoding": "greedy" if self.beams == 1 else f"beam search, {self.beams} beams",
        }

    @property
    def identity(self) -> Mapping[str, str]:
        """Everything that decides a translation."""
        versions = {**provenance.packages(), **_versions()}
        return {
            **self.details,
            "longest": str(_LONGEST),
            "sentences": _SENTENCE.pattern,
            **{package: str(versions.get(package)) for package in _RUNTIME},
        }

    @cached_property
    def n_parameters(self) -> int:
        """Number of weights."""
        import torch
        from transformers import AutoConfig, AutoModelForSeq2SeqLM

        with torch.device("meta"), quiet(), self._guarded("cannot be loaded"):
            config = AutoConfig.from_pretrained(self.weights.folder, local_files_only=True)
            model: Any = AutoModelForSeq2SeqLM.from_config(config)  # type: ignore[no-untyped-call]
        return sum(parameter.numel() for parameter in model.parameters())

    @cached_property
    def model(self) -> torch.nn.Module:
        """The model.

        Raises:
            EncoderError: It cannot be loaded.
        """
        import torch
        from transformers import AutoModelForSeq2SeqLM

        with quiet(), self._guarded("cannot be loaded"):
            model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                self.weights.folder,
                dtype=getattr(torch, self.dtype),
                local_files_only=True,
                use_safetensors=True,
            )
            model = model.to(self.device).eval()
        weights.require_unchanged(self.weights)
        return model  # type: ignore[no-any-return]

    def check(self, where: str, direction: Direction) -> None:
        """Refuse a direction that the model lacks.

        Raises:
            UsageError: Says what it has.
        """
        if self.family == "marian":
            problem = self._marian_problem(direction)
        else:
            unknown = [code for code in direction if self._token(code) is None]
            problem = f"it has no language {' and '.join(unknown)}" if unknown else ""
        if problem:
            raise UsageError(
                f"{where}: model {self.weights.name} does not translate {direction}: {problem}"
            )

    def translate(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """Return one translation per text.

        Raises:
            EncoderError: The model failed.
        """
        sentences = [[part for part in _SENTENCE.split(text) if part.strip()] for text in texts]
        flat = [sentence for parts in sentences for sentence in parts]
        with quiet(), self._guarded(f"failed {direction}"):
            found = iter(self._translated(flat, direction) if flat else ())
        space = "" if direction.target in _UNSPACED else " "
        return [space.join(next(found) for _ in parts).strip() for parts in sentences]

    def _translated(self, sentences: Sequence[str], direction: Direction) -> list[str]:
        import torch

        inputs, forced = self._prepared(sentences, direction)
        positions = getattr(self.model.config, "max_position_embeddings", _LONGEST)
        longest = min(_LONGEST, positions) - 2
        model: Any = self.model
        # Not every tokenizer knows that they are special.
        languages = {token for code in _codes(self.family) if (token := self._token(code))}
        order = sorted(range(len(inputs)), key=lambda place: (-len(inputs[place]), place))
        found = [""] * len(inputs)
        for start in range(0, len(order), self.batch):
            places = order[start : start + self.batch]
            batch = self.tokenizer.pad(
                {"input_ids": [inputs[place] for place in places]}, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                output = model.generate(
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    num_beams=self.beams,
                    do_sample=False,
                    max_length=None,
                    max_new_tokens=longest,
                    **forced,
                )
            ids = [[one for one in row if one not in languages] for row in output.tolist()]
            decoded = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
            for place, text in zip(places, decoded, strict=True):
                found[place] = " ".join(text.split())
        return found

    def _prepared(
        self, sentences: Sequence[str], direction: Direction
    ) -> tuple[list[list[int]], dict[str, int]]:
        """Return the ids of each sentence, and what decoding must begin with."""
        forced = {}
        if self.family == "marian":
            token = self._marian_token(direction.target)
            put = f"{token} " if token else ""
            # A text that begins like a token for a language would be read as one.
            sentences = [put + sentence.lstrip(">") for sentence in sentences]
        else:
            self.tokenizer.src_lang = _codes(self.family)[direction.source]
            forced["forced_bos_token_id"] = self._token(direction.target) or 0
        positions = getattr(self.model.config, "max_position_embeddings", _LONGEST)
        encoded = self.tokenizer(
            list(sentences), truncation=True, max_length=min(_LONGEST, positions) - 2
        )
        return encoded["input_ids"], forced

    def _token(self, code: str) -> int | None:
        """Return the id of a language's token, None where the model has none."""
        own = _codes(self.family).get(code)
        if own is None:
            return None
        written = own if self.family == "nllb" else f"__{own}__"
        token = self.tokenizer.convert_tokens_to_ids(written)
        return None if token in (None, self.tokenizer.unk_token_id) else token

    def _marian_problem(self, direction: Direction) -> str:
        has_source, has_target = self._marian_sides()
        tokens = self._marian_tokens()
        if _known(has_source) not in (direction.source, None):
            return f"it translates from {has_source}"
        if tokens and self._marian_token(direction.target) is None:
            return f"it translates into {some_of(sorted(tokens))}"
        if not tokens and _known(has_target) != direction.target:
            return f"it translates into {has_target or 'a language that it does not state'}"
        return ""

    def _marian_sides(self) -> tuple[str, str]:
        """Return the languages that its tokenizer states; "roa" is a group of languages."""
        settings = read_json(self.weights.folder, "tokenizer_config.json")
        return str(settings.get("source_lang") or ""), str(settings.get("target_lang") or "")

    def _marian_tokens(self) -> list[str]:
        """Return the tokens that choose a target language, such as >>spa<<."""
        return list(getattr(self.tokenizer, "supported_language_codes", ()))

    def _marian_token(self, code: str) -> str | None:
        """Return the token that chooses a target language."""
        language = resolve(code)
        tokens = self._marian_tokens()
        names = (language.iso639_3, f"{language.iso639_3}_{language.script}", *language.spellings())
        written = (f">>{name}<<" for name in names)
        return next((token for token in written if token in tokens), None)

    def _guarded(self, what: str) -> Any:
        return guarded(lambda: f"translation model {self.weights.name} {what}", EncoderError)


def find_model(argument: str, loading: Loading, beams: int) -> TranslationModel:
    """Find a model of the Hub or in a folder, with its tokenizer; its weights are not read yet.

    Raises:
        UsageError: It is neither a folder nor a Hub id, or the device or the arithmetic is wrong.
        EncoderError: It is not there, has only pickled weights, or is of another kind.
    """
    from clir_bench.encoders.st import precision
    from clir_bench.encoders.st.loading import resolve_device

    found = weights.resolve(argument)
    kind = str(read_json(found.folder, "config.json").get("model_type"))
    tokens = str(read_json(found.folder, "tokenizer_config.json").get("tokenizer_class"))
    family = _FAMILIES.get((kind, tokens.removesuffix("Fast")))
    if family is None:
        raise EncoderError(
            f"model {found.name!r} is a {kind} with a {tokens}; expected a translation model: "
            "NLLB or M2M100 (m2m_100), or MarianMT (marian)"
        )
    device = resolve_device(loading.device)
    chosen = precision.choose(loading.dtype, device, "tokens").dtype
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if chosen == "bfloat16" else "float32"
    tokenizer = _tokenizer(found, family)
    batch = loading.batch_size or _BATCH
    return TranslationModel(found, family, tokenizer, device, dtype, beams, batch)


def _tokenizer(found: Weights, family: _Family) -> Any:
    if family != "nllb":
        try:
            import sentencepiece  # noqa: F401
        except ImportError:
            raise EncoderError(
                f"model {found.name!r}: its tokenizer needs the package sentencepiece: "
                "pip install 'clir-bench[translate]'"
            ) from None
    from transformers import AutoTokenizer

    with (
        quiet(),
        guarded(lambda: f"translation model {found.name}: its tokenizer failed", EncoderError),
    ):
        return AutoTokenizer.from_pretrained(found.folder, local_files_only=True)


@cache
def _codes(family: _Family) -> Mapping[str, str]:
    """Return a family's codes of languages, by ours."""
    table = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))
    codes: dict[str, str] = table.get(family, {})
    return codes


@cache
def _versions() -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for package in _RUNTIME:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _known(code: str) -> str | None:
    """Return our code of a language, None for a group of languages."""
    try:
        known = resolve(code).code
    except UnknownNameError:
        return None
    return None if known == POOL else known
