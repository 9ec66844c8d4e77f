"""What all files that describe a model state: its name, its prompts, and facts for people."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from clir_bench.core import plugins
from clir_bench.errors import UnknownNameError
from clir_bench.tasks.languages import resolve

Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
_LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class Described(BaseModel):
    """The fields of every model file.

    Attributes:
        name: The system's name; it must not be a registered encoder's.
        query_prompt: Put before every query; the model's own where not stated.
        document_prompt: Put before every document; the model's own where not stated.
        license: SPDX id of the weights' license.
        training_languages: Codes of the languages seen in training.
        description: One line for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    query_prompt: str | None = None
    document_prompt: str | None = None
    license: Line | None = None
    training_languages: Annotated[tuple[_LanguageCode, ...], Field(strict=False)] = ()
    description: Line = ""

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in plugins.names(plugins.ENCODERS):
            raise ValueError(
                f"{name!r} is a registered encoder (`clir-bench encoders`); choose another name"
            )
        return name

    @field_validator("training_languages")
    @classmethod
    def _canonical(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            try:
                canonical = resolve(code).code
            except UnknownNameError:  # a model may know languages that no task has
                continue
            if canonical != code:
                raise ValueError(f"language {code!r} must be written {canonical!r}")
        return codes
