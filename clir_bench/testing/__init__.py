"""Checks encoders and adapters of other packages: do they do what clir-bench expects of them?

In your own tests, each check becomes one test:

    import pytest
    from clir_bench.testing import encoder_checks

    @pytest.mark.parametrize("check", encoder_checks("my-encoder"), ids=str)
    def test_encoder(check):
        check()

`check_encoder("my-encoder")` runs all checks at once; `clir-bench check-encoder my-encoder` prints
them as a report. For a task there are `adapter_checks` and `check_adapter`.

>>> from clir_bench.encoders.hashing import HashingEncoder
>>> report = check_encoder(HashingEncoder())
>>> [outcome.check for outcome in report.outcomes if outcome.status == "skipped"]
['processes', 'network', 'silence']
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clir_bench.errors import ConformanceError
from clir_bench.tasks.cards import TaskCard
from clir_bench.testing.adapter_checks import ADAPTER_CHECKS
from clir_bench.testing.encoder_checks import ENCODER_CHECKS, measured
from clir_bench.testing.report import BoundCheck, Check, CheckReport, Outcome, examine
from clir_bench.testing.subject import EncoderSubject, LoadOptions
from clir_bench.testing.tasks import TaskSubject
from clir_bench.types import Encoder, LanguagePair, TokenEncoder

__all__ = [
    "ADAPTER_CHECKS", "ENCODER_CHECKS", "BoundCheck", "Check", "ConformanceError", "EncoderSubject",
    "LoadOptions", "Outcome", "Report", "TaskSubject", "adapter_checks", "check_adapter",
    "check_encoder", "encoder_checks", "examine_adapter", "examine_encoder",
]  # fmt: skip

_DEFAULTS = LoadOptions()


def encoder_checks(
    encoder: str | Encoder | TokenEncoder, options: LoadOptions = _DEFAULTS
) -> list[BoundCheck[EncoderSubject]]:
    """Return every check of an encoder, to be called as a test each.

    Nothing is loaded before the first is called, and then once for all of them.

    Args:
        encoder: What `--model` takes, or an encoder that is loaded already.
        options: How a named one is loaded.
    """
    subject = EncoderSubject(encoder, options)
    return [BoundCheck(check, subject) for check in ENCODER_CHECKS]


def check_encoder(
    encoder: str | Encoder | TokenEncoder, options: LoadOptions = _DEFAULTS
) -> CheckReport:
    """Make every check of an encoder and return the report.

    Raises:
        ConformanceError: Names every check that failed, why, and what to do.
    """
    return examine_encoder(encoder, options).require()


def examine_encoder(
    encoder: str | Encoder | TokenEncoder, options: LoadOptions = _DEFAULTS
) -> CheckReport:
    """Make every check of an encoder and return the report, whatever it says."""
    subject = EncoderSubject(encoder, options)
    outcomes = examine(subject, ENCODER_CHECKS)
    loaded = outcomes[0].status == "passed"
    if not loaded:
        return CheckReport(str(subject), outcomes, len(ENCODER_CHECKS))
    return CheckReport(subject.title, outcomes, len(ENCODER_CHECKS), measured(subject))


def adapter_checks(
    task: str | Path | TaskCard,
    *,
    split: str | None = None,
    pairs: Sequence[LanguagePair] | None = None,
    data_dir: Path | None = None,
) -> list[BoundCheck[TaskSubject]]:
    """Return every check of a task's adapter, to be called as a test each.

    Args:
        task: What `--task` takes, or a card.
        split: One of its splits, or "sample"; the card's default when None.
        pairs: Some of the card's pairs; the official ones when None.
        data_dir: Where the task's files are, as `--data-dir`.
    """
    subject = TaskSubject(task, split=split, pairs=pairs, data_dir=data_dir)
    return [BoundCheck(check, subject) for check in ADAPTER_CHECKS]


def check_adapter(
    task: str | Path | TaskCard,
    *,
    split: str | None = None,
    pairs: Sequence[LanguagePair] | None = None,
    data_dir: Path | None = None,
) -> CheckReport:
    """Make every check of a task's adapter and return the report.

    Raises:
        ConformanceError: Names every check that failed, why, and what to do.
    """
    return examine_adapter(task, split=split, pairs=pairs, data_dir=data_dir).require()


def examine_adapter(
    task: str | Path | TaskCard,
    *,
    split: str | None = None,
    pairs: Sequence[LanguagePair] | None = None,
    data_dir: Path | None = None,
) -> CheckReport:
    """Make every check of a task's adapter and return the report, whatever it says."""
    subject = TaskSubject(task, split=split, pairs=pairs, data_dir=data_dir)
    return CheckReport(str(subject), examine(subject, ADAPTER_CHECKS), len(ADAPTER_CHECKS))
