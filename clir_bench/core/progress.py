"""What a long command tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What shows a person how far a run is; the command line has a bar."""

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase of `total` documents and queries, None when it is not known."""
        ...

    def advance(self, n: int) -> None:
        """Say that `n` more are done."""
        ...

    def tokens(self, n: int) -> None:
        """Say that `n` more tokens went through the model."""
        ...

    def end(self) -> None:
        """End the phase."""
        ...


class Silent:
    """Progress nobody sees."""

    def begin(self, label: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def tokens(self, n: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""
