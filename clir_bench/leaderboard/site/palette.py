"""Computes the colours of the heat map, from cividis, which people with any colour vision can read.

Nunez, Anderton and Renslow 2018 (10.1371/journal.pone.0199239). We take six of its colours and
interpolate linearly. Text is black or white, whichever has more contrast; on any colour one of them
has more than 4.5 to 1 (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

N_STEPS = 20
"""Steps of 0.05 between 0 and 1, the same on every board, so that maps can be compared."""

_CIVIDIS: tuple[Colour, ...] = (
    (0, 32, 77),
    (49, 68, 107),
    (102, 105, 112),
    (149, 143, 120),
    (203, 186, 105),
    (255, 234, 70),
)


def step(value: float) -> int:
    """Return the step of a value, from 0; values outside of 0 to 1 get the outermost step.

    >>> [step(value) for value in (-1.0, 0.0, 0.0499, 0.05, 1.0)]
    [0, 0, 0, 1, 19]
    """
    return min(max(int(value * N_STEPS + 1e-9), 0), N_STEPS - 1)


def background(number: int) -> Colour:
    """Return the colour of a step."""
    place = number / (N_STEPS - 1) * (len(_CIVIDIS) - 1)
    below = min(int(place), len(_CIVIDIS) - 2)
    share = place - below
    first, second = _CIVIDIS[below], _CIVIDIS[below + 1]
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def foreground(number: int) -> Colour:
    """Return black or white, whichever is easier to read on a step's colour."""
    black, white = (0, 0, 0), (255, 255, 255)
    behind = background(number)
    return black if contrast(black, behind) >= contrast(white, behind) else white


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours as WCAG 2.2 defines it, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    shares = [channel / 255 for channel in colour]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rules() -> str:
    """Return the style sheet of the steps."""
    return "".join(
        f".h{number} {{ background-color: {_hex(background(number))}; "
        f"color: {_hex(foreground(number))}; }}\n"
        for number in range(N_STEPS)
    )


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
