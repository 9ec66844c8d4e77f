"""Reads system cards, `<system>/system.toml`: what a system is and what it was trained on.

A result records how a system was run. The card states what a run cannot show: the languages,
bitext and corpora of the training, and whether they include evaluation data.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from clir_bench.core import safe_text
from clir_bench.core.bounded_files import read_plain
from clir_bench.core.display import printable, shown_path
from clir_bench.core.structured_files import parse_toml, validated
from clir_bench.encoders import catalog
from clir_bench.errors import DataError
from clir_bench.results.store import system_folder
from clir_bench.results.system_record import SystemRecord

CARD_FILE = "system.toml"
LARGEST_CARD_BYTES = 64 * 1024
PLACEHOLDER = "FILL IN"
Kind = Literal["dense", "late-interaction", "lexical", "query-translation", "other", "sparse"]
_LANGUAGE = re.compile(r"[a-z]{2,8}")


def _plain(value: str) -> str:
    if PLACEHOLDER in value:
        raise ValueError(f"is still to be filled in: {value}")
    if not value.strip():
        raise ValueError("must not be empty")
    if problem := safe_text.text_problem(value):
        raise ValueError(problem)
    return value


def _name(value: str) -> str:
    if problem := safe_text.name_problem(value):
        raise ValueError(problem)
    return value


def _url(value: str) -> str:
    if problem := safe_text.url_problem(value):
        raise ValueError(problem)
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError(f"expected a language's code, as in 'sw', found {printable(value)}")
    return value


Line = Annotated[str, AfterValidator(_plain)]
_Names = Annotated[tuple[Line, ...], Field(max_length=200)]


class TrainingData(BaseModel):
    """The training data of the system and its base model.

    Attributes:
        languages: Codes of all languages seen; empty only where nothing was trained.
        bitext: Parallel corpora, by name: "OPUS-100 en-sw".
        corpora: All other training data, by name.
        evaluation_data_seen: Whether queries, documents or judgments of the tasks submitted were
            among the training data, in any language: "no", "yes", or "unknown".
        note: Anything else; which data, if some was seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    languages: Annotated[
        tuple[Annotated[str, AfterValidator(_language)], ...], Field(max_length=2000)
    ]
    bitext: _Names
    corpora: _Names
    evaluation_data_seen: Literal["no", "yes", "unknown"]
    note: Annotated[str, AfterValidator(lambda value: value and _plain(value))] = ""

    @model_validator(mode="after")
    def _explained(self) -> TrainingData:
        if self.evaluation_data_seen != "no" and not self.note:
            raise ValueError(
                f"evaluation_data_seen is {self.evaluation_data_seen!r}: say in note which data "
                "was seen, or why it is not known"
            )
        return self


class SystemCard(BaseModel):
    """A submission's description of its system.

    Attributes:
        name: As in the system's results.
        description: One line.
        kind: How it searches.
        url: Where to get it or read about it.
        license: SPDX id where there is one.
        contact: Who answers questions: a name, an address, an account.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, AfterValidator(_name)]
    description: Line
    kind: Kind
    url: Annotated[str, AfterValidator(_url)]
    license: Line
    contact: Line
    training: TrainingData

    @model_validator(mode="after")
    def _trained_on_something(self) -> SystemCard:
        training = self.training
        told = training.languages and (training.bitext or training.corpora)
        if self.kind != "lexical" and not told:
            raise ValueError(
                "training must name its languages and its bitext or corpora; only a system of "
                "kind 'lexical' has none"
            )
        return self


def card_path(folder: Path, name: str) -> Path:
    """Return where the card of the system called `name` is, below a folder of results."""
    return folder / system_folder(name) / CARD_FILE


def read_system_card(path: Path) -> SystemCard:
    """Read and check a system card.

    Raises:
        DataError: It is missing, too large, no TOML, or a field is wrong; every problem is named.
    """
    if not os.path.lexists(path):
        raise DataError(
            f"{shown_path(path)}: no system card; `clir-bench submit` writes one to fill in"
        )
    return parse_system_card(read_plain(path, LARGEST_CARD_BYTES), where=shown_path(path))


def parse_system_card(data: bytes, *, where: str) -> SystemCard:
    """Check the bytes of a system card; `where` names it in errors.

    Raises:
        DataError: As `read_system_card`.
    """
    if len(data) > LARGEST_CARD_BYTES:
        raise DataError(f"{where}: larger than {LARGEST_CARD_BYTES:,} bytes; shorten the card")
    return validated(SystemCard, parse_toml(data, where, DataError), where, DataError)


def template(system: SystemRecord) -> str:
    """Return a card filled from a result's system, with `FILL IN` for the rest."""
    known = catalog.table().get(system.name)
    url = f"https://huggingface.co/{known.hub_id}" if known else f"{PLACEHOLDER}: https://..."
    kind = {"cosine": "dense", "maxsim": "late-interaction", "sparse": "sparse"}.get(
        system.similarity, ""
    )
    kinds = ", ".join(get_args(Kind))
    languages = list(system.training_languages) or [f"{PLACEHOLDER}: codes, as in sw"]
    return f"""\
# What this system is and what it was trained on. Replace every "{PLACEHOLDER}".

name = {_toml(system.name)}
description = {_toml(system.description or f"{PLACEHOLDER}: one line")}
kind = {_toml(kind or PLACEHOLDER)}  # one of: {kinds}
url = {_toml(url)}
license = {_toml(system.license or f"{PLACEHOLDER}: an SPDX id, or proprietary")}
contact = {_toml(f"{PLACEHOLDER}: who answers questions about this submission")}

[training]  # of the base model too
languages = {_toml(languages)}
bitext = {_toml([f"{PLACEHOLDER}: parallel corpora by name, or an empty list"])}
corpora = {_toml([f"{PLACEHOLDER}: all other training data by name, or an empty list"])}
# Whether queries, documents or judgments of these tasks were trained on, in any language:
# "no", "yes" or "unknown"; where it is not "no", say in note what is known.
evaluation_data_seen = {_toml(PLACEHOLDER)}
note = ""
"""


def _toml(value: str | list[str]) -> str:
    # A JSON text or list of texts is a TOML one too, but for DEL and half surrogate pairs.
    shown = json.dumps(value, ensure_ascii=True)
    return re.sub(r"\\ud[89a-f][0-9a-f]{2}(\\ud[c-f][0-9a-f]{2})?", "?", shown).replace("\x7f", "?")
