"""Reads values published elsewhere from `references.toml`, each with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from clir_bench.leaderboard.board import BoardLanguage, PublishedValues
from clir_bench.leaderboard.definition import SectionDefinition
from clir_bench.tasks.cards import TaskId, expand_rules
from clir_bench.tasks.languages import TIERS

_FILE = Path(__file__).with_name("references.toml")
_N_DIGITS = 6
_Value = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Publication(_Strict):
    """The publisher of values."""

    title: str
    url: str


class Published(_Strict):
    """One system's values of one measure.

    Attributes:
        system: As the source calls it.
        version: Revision of the model and how it was measured, where the source says so.
        pairs: Which section it belongs to: the one that shows just these pairs (rules as on task
            cards).
        measure: "AP" is over the whole ranking.
        source: Key into the sources.
        note: How the values differ from those measured here.
        overall: A mean over languages that the source itself states.
        values: By pair; some may be missing.
    """

    system: str
    version: str = ""
    task: TaskId
    split: str
    pairs: tuple[str, ...]
    measure: str
    source: str
    note: str = ""
    overall: _Value | None = None
    values: dict[str, _Value] = {}


class References(_Strict):
    """The whole file."""

    sources: dict[str, Publication]
    references: tuple[Published, ...]

    @model_validator(mode="after")
    def _known_sources(self) -> References:
        if unknown := {one.source for one in self.references} - set(self.sources):
            raise ValueError(f"no such source: {', '.join(sorted(unknown))}")
        return self


@cache
def read_references() -> References:
    """Return everything that `references.toml` says."""
    with _FILE.open("rb") as file:
        return References.model_validate(tomllib.load(file))


def references_of(
    section: SectionDefinition, languages: Sequence[BoardLanguage]
) -> tuple[PublishedValues, ...]:
    """Return the values published for a section, highest mean first, those without one last."""
    known = read_references()
    found = [
        _reference(one, known.sources[one.source], languages)
        for one in known.references
        if (one.task, one.split) == (section.task, section.chosen_split)
        and set(expand_rules(section.card, one.pairs)) == set(section.chosen_pairs)
    ]
    return tuple(sorted(found, key=lambda one: (-(one.overall or 0.0), one.system, one.source)))


def _reference(
    published: Published, source: Publication, languages: Sequence[BoardLanguage]
) -> PublishedValues:
    means = {
        language.code: fmean(published.values[pair] for pair in language.pairs)
        for language in languages
        if all(pair in published.values for pair in language.pairs)
    }
    tiers = {
        tier: _mean_of(means, [one.code for one in languages if one.tier == tier]) for tier in TIERS
    }
    stated = published.overall
    mean = _mean_of(means, [one.code for one in languages]) if stated is None else stated
    return PublishedValues(
        system=published.system,
        version=published.version,
        measure=published.measure,
        overall=mean,
        overall_published=stated is not None,
        tiers={tier: value for tier, value in tiers.items() if value is not None},
        languages={code: round(value, _N_DIGITS) for code, value in means.items()},
        source=source.title,
        url=source.url,
        note=published.note,
    )


def _mean_of(means: Mapping[str, float], codes: Collection[str]) -> float | None:
    """Return the mean over languages, None unless all are there."""
    if not codes or not set(codes) <= set(means):
        return None
    return round(fmean(means[code] for code in codes), _N_DIGITS)
