"""Reads the definition of a board, `leaderboards/<name>.toml`.

    title = "XQuAD"
    about = "Questions to the Wikipedia paragraph that answers them, within one language."
    tiers = "joshi"

    [[sections]]
    id = "monolingual"
    title = "Within one language"
    about = "..."
    task = "xquad"
    pairs = ["same"]
    measures = ["nDCG@10", "AP@100", "R@100"]

A section is one ranking: pairs of one task and split, and the measures to show. The first measure
ranks. Either all pairs have a pool of languages as documents (`*-mul`), or none has.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.structured_files import parse_toml, validated
from clir_bench.errors import ClirBenchError, DataError, UnknownNameError, UsageError
from clir_bench.tasks.cards import SuiteCard, TaskCard, TaskId, expand_rules
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import TierScheme, load_scheme
from clir_bench.tasks.measures import at_depth, looks_at, parse_measures
from clir_bench.types import POOL, LanguagePair

_LARGEST_BYTES = 2**20
_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SectionDefinition(_Strict):
    """One ranking.

    Attributes:
        id: Unique within the board.
        about: A paragraph for readers.
        split: The task's default one when empty.
        pairs: Pair rules as on task cards: "same", "*-en", "*-mul".
        measures: ir-measures names; the first one ranks.
    """

    id: TaskId
    title: _Text
    about: _Text
    task: TaskId
    split: str = ""
    pairs: Annotated[tuple[str, ...], Field(min_length=1)]
    measures: Annotated[tuple[str, ...], Field(min_length=1)]

    @cached_property
    def card(self) -> TaskCard:
        """The task's card; `read_definition` has made sure that there is one."""
        card = load_card(self.task)
        if isinstance(card, SuiteCard):
            raise UsageError(f"task {self.task!r} is a suite; a section shows one of its parts")
        return card

    @cached_property
    def chosen_split(self) -> str:
        """The split that is shown."""
        return self.split or self.card.default_split

    @cached_property
    def chosen_pairs(self) -> tuple[LanguagePair, ...]:
        """The pairs that are shown, sorted by name."""
        return tuple(sorted(expand_rules(self.card, self.pairs), key=str))


class BoardDefinition(_Strict):
    """A board, as its file describes it.

    Attributes:
        id: The file's name without its suffix.
        tiers: Name of a tier scheme.
    """

    id: TaskId
    title: _Text
    about: _Text
    tiers: str = "joshi"
    sections: Annotated[tuple[SectionDefinition, ...], Field(min_length=1)]

    @cached_property
    def scheme(self) -> TierScheme:
        """The tier scheme."""
        return load_scheme(self.tiers)


def read_definition(path: Path) -> BoardDefinition:
    """Read and check one board's file.

    Raises:
        UsageError: The file is missing or no TOML, a field is unknown, missing or of the wrong
            type, or a task, split, pair, measure or tier scheme does not exist; names every
            problem.
    """
    try:
        raw = parse_toml(read_plain(path, _LARGEST_BYTES), str(path), DataError)
    except DataError as error:
        raise UsageError(str(error)) from None
    if "id" in raw:
        raise UsageError(f"{path}: a board has no field 'id'; its id is the file's name")
    definition = validated(BoardDefinition, {**raw, "id": path.stem}, str(path), UsageError)
    if problems := _problems(definition):
        raise UsageError(f"{path}: {'; '.join(problems)}")
    return definition


def read_definitions(folder: Path, names: tuple[str, ...] = ()) -> list[BoardDefinition]:
    """Return the named boards of a folder, or all, sorted by id.

    Raises:
        UnknownNameError: No board has that name.
        UsageError: There are no boards, or one is wrong.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if not files:
        raise UsageError(f"{folder}: no board here; expected a file <name>.toml per board")
    for name in names:
        if name not in files:
            raise UnknownNameError("board", name, files, f"{folder} has {', '.join(files)}.")
    return [read_definition(path) for name, path in files.items() if not names or name in names]


def _problems(definition: BoardDefinition) -> list[str]:
    problems = []
    try:
        _ = definition.scheme
    except ClirBenchError as error:
        problems.append(f"tiers: {error}")
    ids = [section.id for section in definition.sections]
    problems += [
        f"two sections have the id {name!r}" for name in {i for i in ids if ids.count(i) > 1}
    ]
    for section in definition.sections:
        problems += [f"section {section.id!r}: {problem}" for problem in _section_problems(section)]
    return problems


def _section_problems(section: SectionDefinition) -> list[str]:
    try:
        card, pairs = section.card, section.chosen_pairs
        canonical = tuple(parse_measures(section.measures))
    except ClirBenchError as error:
        return [str(error)]
    problems = []
    if canonical != section.measures:
        problems.append(f"measures must be written {', '.join(canonical)}, each once")
    depth = card.submission.depth
    problems += [
        f"{name} looks deeper than the {depth} documents per query that submissions of "
        f"{card.id!r} keep{f'; write {lower}' if (lower := at_depth(name, depth)) else ''}"
        for name in canonical
        if looks_at(name) > depth
    ]
    if section.chosen_split not in card.splits:
        problems.append(
            f"task {card.id!r} has no split {section.split!r}: {', '.join(card.splits)}"
        )
    known = set(card.available_pairs())
    if strange := [str(pair) for pair in pairs if pair not in known]:
        problems.append(f"task {card.id!r} has no pair {', '.join(strange)}")
    if len({pair.document == POOL for pair in pairs}) != 1:
        problems.append(f"expected pairs, either all with a pool (*-{POOL}) or all without")
    if card.unofficial:
        problems.append(f"task {card.id!r} has no official results: {card.unofficial}")
    return problems
