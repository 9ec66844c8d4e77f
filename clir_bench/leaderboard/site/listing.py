"""Prepares a board's sections for the pages of the site, with the choices in the pages' forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clir_bench.leaderboard.board import Board, BoardRow, Section
from clir_bench.tasks.languages import TIERS
from clir_bench.types import Tier

_MANY = 18
"""More languages than this scroll in a box, under their header."""


@dataclass(frozen=True)
class Listing:
    """A section together with its board."""

    board: Board
    section: Section

    @property
    def key(self) -> str:
        """The section's key in the script."""
        return f"{self.board.id}/{self.section.id}"

    @property
    def title(self) -> str:
        """The section's title outside of its board."""
        alone = len(self.board.sections) == 1
        return self.board.title if alone else f"{self.board.title}: {self.section.title}"

    @property
    def address(self) -> str:
        """Where the section is shown, from the site's root."""
        return f"boards/{self.board.id}.html#{self.section.id}"

    @property
    def box(self) -> str:
        """The classes of the box around a table of its languages."""
        return "scroll tall" if len(self.section.languages) > _MANY else "scroll"

    @property
    def leaders(self) -> list[BoardRow]:
        """The systems of the first rank group, which cannot be told apart."""
        return [row for row in self.section.rows if row.group == 1]

    def best_of(self, tier: Tier) -> BoardRow | None:
        """Return the system with the highest mean over a tier; of equal ones, the higher ranked."""
        rows = [row for row in self.section.rows if self.section.primary in row.tiers.get(tier, {})]
        of_tier = {id(row): row.tiers[tier][self.section.primary].mean for row in rows}
        return max(rows, key=lambda row: of_tier[id(row)], default=None)

    def data_of(self, row: BoardRow) -> dict[str, str]:
        """Return the data of a row for the page's script: its filters, and a mean per language."""
        found = {code: of.get(self.section.primary) for code, of in row.languages.items()}
        scores = " ".join(
            f"{code}:{score.mean:.4f}:{score.low:.3f}:{score.high:.3f}"
            for code, score in found.items()
            if score is not None
        )
        system = self.board.systems[row.system]
        return {"data-kind": system.kind, "data-name": system.name, "data-scores": scores}


def listings_of(board: Board) -> list[Listing]:
    """Return a board's sections."""
    return [Listing(board, section) for section in board.sections]


class Choices(NamedTuple):
    """What a form offers: values and their labels."""

    kinds: list[tuple[str, str]]
    tasks: list[tuple[str, str]]
    tiers: list[tuple[str, str]]
    languages: list[tuple[str, str]]


def choices(listings: Sequence[Listing]) -> Choices:
    """Return the choices that some sections offer."""
    sections = [one.section for one in listings]
    kinds = {one.board.systems[row.system].kind for one in listings for row in one.section.rows}
    tiers = {tier for section in sections for tier in section.tiers}
    languages = {one.code: one.name for section in sections for one in section.languages}
    named = sorted(languages.items(), key=lambda item: (item[1].casefold(), item[0]))
    return Choices(
        kinds=[(kind, kind) for kind in sorted(kinds)],
        tasks=[(one.key, one.title) for one in listings],
        tiers=[(tier, tier) for tier in TIERS if tier in tiers],
        languages=[(code, f"{language} ({code})") for code, language in named],
    )
