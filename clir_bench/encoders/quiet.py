"""Silences the output of the model libraries, but not clir-bench's own warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_LOGGERS = ("sentence_transformers", "huggingface_hub")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars, warnings and log lines of the model libraries within the block.

    sentence-transformers' line on unused prompts is silenced too: `prompts` reports them.
    """
    from transformers.utils import logging as transformers_logging

    theirs: Any = transformers_logging  # annotated because its functions carry no types
    with warnings.catch_warnings(), ExitStack() as restored:
        warnings.simplefilter("ignore")
        for logger in map(logging.getLogger, _LOGGERS):
            restored.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        restored.callback(theirs.set_verbosity, theirs.get_verbosity())
        theirs.set_verbosity_error()
        if theirs.is_progress_bar_enabled():
            restored.callback(theirs.enable_progress_bar)
            theirs.disable_progress_bar()
        yield
