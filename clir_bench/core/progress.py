"""Shows progress bars for long commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress(Protocol):
    """Shows a person how far a run is; see `Bar`."""

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase of `total` documents and queries, None when it is not known."""
        ...

    def advance(self, n: int) -> None:
        """Report that `n` more are done."""
        ...

    def tokens(self, n: int) -> None:
        """Report that `n` more tokens went through the model."""
        ...

    def end(self) -> None:
        """End the phase."""
        ...


class Silent:
    """Progress that shows nothing."""

    def begin(self, label: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def tokens(self, n: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Bar:
    """One progress bar on stderr, off when stderr is no terminal.

    Shows one phase at a time with a rate and the time left.

    Args:
        label: Put before every phase, such as "hashing on xquad".
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: tqdm[Any] | None = None
        self._n_tokens = 0
        self._since = 0.0

    def begin(self, label: str, total: int | None) -> None:
        """Start a phase of `total` documents."""
        from tqdm import tqdm

        self.end()
        self._n_tokens, self._since = 0, time.monotonic()
        self._bar = tqdm(
            desc=f"{self._label}, {label}",
            total=total,
            unit="doc",
            unit_scale=True,
            dynamic_ncols=True,
            leave=False,
            disable=None,
        )

    def advance(self, n: int) -> None:
        """Report that `n` more documents are done."""
        if self._bar is not None:
            self._bar.update(n)

    def tokens(self, n: int) -> None:
        """Report that `n` more tokens went through the model; the bar shows tokens per second."""
        if self._bar is None or not n:
            return
        self._n_tokens += n
        rate = self._n_tokens / max(time.monotonic() - self._since, 1e-9)
        self._bar.set_postfix_str(f"{self._bar.format_sizeof(rate)} tokens/s", refresh=False)

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
