"""Places the systems' names in a plot so that no name covers another name or a mark."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_HEIGHT = 13.0
_GAP = 9.0
_MARK = 7.0


class Box(NamedTuple):
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Return whether two boxes share an area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Return whether the other box is wholly inside."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


def text_width(text: str) -> float:
    """Return the estimated width of a text at 12 px in a sans-serif face, rather too large.

    >>> text_width("ab") < text_width("漢字")
    True
    """
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return 7.0 * (len(text) - wide) + 12.5 * wide


def place_labels(
    centres: Sequence[tuple[float, float]], widths: Sequence[float], room: Box
) -> list[tuple[float, float] | None]:
    """Return where each label starts on its baseline, None where there is no free place.

    Labels are placed in order, each in the first free one of eight places around its mark, so the
    best system gets the best place.
    """
    taken = [Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in centres]
    spots: list[tuple[float, float] | None] = []
    for (x, y), width in zip(centres, widths, strict=True):
        spot = None
        for left, baseline in _places(x, y, width):
            box = Box(left, baseline - _HEIGHT + 3, left + width, baseline + 3)
            if room.holds(box) and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                spot = (left, baseline)
                break
        spots.append(spot)
    return spots


def _places(x: float, y: float, width: float) -> list[tuple[float, float]]:
    right, left, middle = x + _GAP, x - _GAP - width, x - width / 2
    return [
        (right, y - 5), (left, y - 5), (right, y + 13), (left, y + 13),
        (middle, y - 12), (middle, y + 20), (right, y - 18), (left, y - 18),
    ]  # fmt: skip
