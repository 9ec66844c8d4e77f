"""Reads and checks recipes; a recipe is a TOML file with everything that a training depends on.

    method = "ot+kd"
    seed = 0

    [teacher]
    model = "all-minilm-l6-v2"

    [student]
    layers = 0                    # built from the teacher; or: model = "owner/name"

    [[bitext]]                    # see `clir_bench.distill.bitext.sources`
    name = "tico19"
    ...

No default comes from the OPTICAL paper: we did not have its solver, ε, iterations and pair counts.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from clir_bench.core.structured_files import read_toml, validated
from clir_bench.distill.bitext.cleaning import CleaningRules
from clir_bench.distill.bitext.sources import BitextSource
from clir_bench.errors import MissingDataError, UsageError
from clir_bench.types import Tier

PARTS = ("ot", "kd", "contrastive", "late", "greedy", "adversarial")
"""What a method can be made of, joined by +."""

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherSettings(_Part):
    """The teacher to learn from.

    Attributes:
        model: A short name of `clir-bench encoders`, a Hub id, or a folder.
        layer: Layer of the token vectors: -1 the last, -2 the last but one, ...
        max_tokens: Longer sentences are cut.
    """

    model: str = "all-minilm-l6-v2"
    layer: Annotated[int, Field(lt=0)] = -1
    max_tokens: Count = 128


class StudentSettings(_Part):
    """The student that learns.

    Attributes:
        model: A transformer by short name, Hub id or folder; "" builds one from the teacher.
        layers: Layers of a built student; 0 is one vector per piece, without context.
        vocabulary: Pieces of a built student's vocabulary.
        characters: Most characters of text per language from which the vocabulary is learned;
            English has four times as many.
        dropout: Of a built student.
        max_tokens: Longer texts are cut.
        half: Whether the finished weights are stored in float16.
    """

    model: str = ""
    layers: Annotated[int, Field(ge=0)] = 0
    vocabulary: Annotated[int, Field(ge=100)] = 32_000
    characters: Count = 200_000
    dropout: Share = 0.0
    max_tokens: Annotated[int, Field(ge=8)] = 256
    half: bool = True


class MixingSettings(_Part):
    """How languages are mixed; see `clir_bench.distill.bitext.sampling.Mixing`.

    Attributes:
        temperature: 1 as the data is, larger for more equal shares.
        shares: Share of all pairs per tier; no shares when empty.
        scheme: The tier scheme of the shares.
    """

    temperature: Positive = 2.0
    shares: dict[Tier, float] = {}
    scheme: str = "optical"


class LossSettings(_Part):
    """The loss to minimise; see `clir_bench.distill.training.losses`.

    Attributes:
        weights: Weight of each part of the method; 1 by default.
        epsilon: Entropic regularisation of transport, in units of the cost (0 to 2).
        iterations: Of Sinkhorn, at most.
        tolerance: Marginal error at which Sinkhorn stops, 0 to 4.
        marginals: Mass of tokens: "uniform", or "idf" (more mass for tokens in fewer sentences).
        sentence: How `kd` compares sentence vectors.
        temperature: Of `contrastive`: similarities are divided by it.
        late_temperature: Likewise of `late`.
        late_group: Number of pairs among which `late` looks for the right one.
        late_english: Who encodes the English sentences that `late` searches: "teacher", or
            "student" for a student of both sides; `english_share` must be 1 then.
        adversary_hidden: Width of the language discriminator's hidden layer.
    """

    weights: dict[str, Positive] = {}
    epsilon: Positive = 0.05
    iterations: Count = 20
    tolerance: Annotated[float, Field(ge=0)] = 0.01
    marginals: Literal["uniform", "idf"] = "uniform"
    sentence: Literal["cosine", "mse"] = "cosine"
    temperature: Positive = 0.05
    late_temperature: Positive = 0.05
    late_group: Annotated[int, Field(ge=2)] = 32
    late_english: Literal["teacher", "student"] = "teacher"
    adversary_hidden: Count = 128


class TrainingSettings(_Part):
    """How to minimise the loss.

    Attributes:
        steps: Updates of the weights.
        batch_size: Pairs per forward pass.
        accumulation: Forward passes per update.
        english_share: English sentences added as their own translations, as a share of the batch's
            pairs; 0 trains a student for queries only, with documents encoded by the teacher.
        learning_rate: Of all weights but embeddings.
        embedding_learning_rate: Of the vocabulary's vectors.
        warmup: Share of the steps in which rates grow from 0; they then fall to 0, linearly.
        weight_decay: Of matrices other than embeddings.
        clip: Largest norm of an update's gradient.
        precision: Arithmetic of the forward pass.
        bucket: Batches among which pairs are sorted by length.
        checkpoint_every: Steps between two checkpoints.
    """

    steps: Count = 2000
    batch_size: Annotated[int, Field(ge=2)] = 256
    accumulation: Count = 1
    english_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    learning_rate: Positive = 5e-4
    embedding_learning_rate: Positive = 5e-3
    warmup: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive = 5.0
    precision: Literal["float32", "bfloat16"] = "float32"
    bucket: Count = 16
    checkpoint_every: Count = 500


class ValidationSettings(_Part):
    """How to validate during training.

    Attributes:
        share: Share of the English sentences, held back with all their translations.
        every: Steps between two validations.
        queries: Pairs to validate on, spread over languages.
        patience: Training stops after this many validations without a better score; 0 never stops.
    """

    share: Share = 0.01
    every: Count = 500
    queries: Count = 600
    patience: Annotated[int, Field(ge=0)] = 0


class Recipe(_Part):
    """Everything a training depends on.

    Attributes:
        method: Parts of the loss joined by +: ot, kd, contrastive, late, greedy, adversarial.
        seed: Seed of everything random.
        overlap: Whether to find and drop sentences of the evaluation tasks.
    """

    method: str = "ot+kd"
    seed: Annotated[int, Field(ge=0)] = 0
    overlap: bool = True
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    bitext: Annotated[tuple[BitextSource, ...], Field(min_length=1)]
    mixing: MixingSettings = MixingSettings()
    cleaning: CleaningRules = CleaningRules()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    validation: ValidationSettings = ValidationSettings()

    @field_validator("method")
    @classmethod
    def _known_parts(cls, method: str) -> str:
        parts = method.split("+")
        unknown = [part for part in parts if part not in PARTS]
        if unknown or len(set(parts)) != len(parts):
            raise ValueError(f"expected some of {', '.join(PARTS)}, each once, joined by +")
        return method

    @model_validator(mode="after")
    def _weights_are_of_parts(self) -> Recipe:
        stray = set(self.loss.weights) - set(self.parts)
        if stray:
            raise ValueError(
                f"loss.weights names {', '.join(sorted(stray))}, which method {self.method!r} "
                "does not have"
            )
        return self

    @model_validator(mode="after")
    def _late_has_its_english(self) -> Recipe:
        own = "late" in self.parts and self.loss.late_english == "student"
        if own and self.training.english_share < 1:
            raise ValueError(
                "loss.late_english = 'student' needs every English sentence through the student: "
                f"training.english_share = 1, not {self.training.english_share:g}"
            )
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the method's parts, in the order they are written."""
        return tuple(self.method.split("+"))

    def fingerprint(self) -> str:
        """Return 16 hex digits of everything that decides the resulting weights."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


def read_recipe(path: Path) -> dict[str, Any]:
    """Return a recipe file's values, unchecked.

    Raises:
        MissingDataError: The file does not exist.
        UsageError: It cannot be read or is no TOML.
    """
    if not os.path.lexists(path):
        raise MissingDataError(f"{path}: cannot be read: no such file")
    return read_toml(path, UsageError)


def check_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Return the recipe.

    Raises:
        UsageError: Lists all problems of the recipe.
    """
    return validated(Recipe, values, where, UsageError)
