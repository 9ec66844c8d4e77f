"""Runs checks, and reports which passed, failed or were skipped."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from clir_bench.errors import ClirBenchError, ConformanceError, UsageError

Subject = TypeVar("Subject")


class BrokenPromiseError(Exception):
    """Raised by a check: the subject does not do what the check claims."""


class NotApplicableError(Exception):
    """Raised by a check that this subject does not allow, with the reason."""


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One claim about a subject.

    Attributes:
        name: A short name, "batches".
        claim: What holds when it passes.
        remedy: What to do when it does not.
        run: Makes the check and returns a remark, "" for none; raises
            `BrokenPromiseError`, `NotApplicableError`
            or any `ClirBenchError`.
    """

    name: str
    claim: str
    remedy: str
    run: Callable[[Subject], str]

    def __str__(self) -> str:
        return self.name

    def outcome(self, subject: Subject) -> Outcome:
        """Make the check; it raises only errors that are unforeseen or not about the subject.

        Raises:
            UsageError: There is no such subject.
        """
        try:
            remark = self.run(subject)
        except UsageError:
            raise
        except NotApplicableError as reason:
            return Outcome(self.name, self.claim, "skipped", str(reason))
        except (BrokenPromiseError, ClirBenchError) as problem:
            return Outcome(self.name, self.claim, "failed", str(problem), self.remedy)
        return Outcome(self.name, self.claim, "passed", remark)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Attributes:
        detail: Why it failed or was skipped, or a remark.
        remedy: What to do about a failure.
    """

    check: str
    claim: str
    status: Literal["passed", "failed", "skipped"]
    detail: str = ""
    remedy: str = ""

    def lines(self) -> list[str]:
        """Return the outcome as text, with remark and remedy indented below."""
        marks = {"passed": "passed ", "failed": "FAILED ", "skipped": "skipped"}
        found = [f"{marks[self.status]}  {self.check}: {self.claim}"]
        found += [f"         {self.detail}"] if self.detail else []
        found += [f"         remedy: {self.remedy}"] if self.remedy else []
        return found


@dataclass(frozen=True)
class CheckReport:
    """The outcomes of all checks.

    Attributes:
        subject: What was checked, in a few words.
        n_checks: Number of checks; those without an outcome did not run because an earlier one
            failed.
        remarks: Measurements, one line each; no check depends on them.
    """

    subject: str
    outcomes: tuple[Outcome, ...]
    n_checks: int
    remarks: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Return the checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    def text(self) -> str:
        """Return the whole report for people."""
        lines = [self.subject, ""]
        for outcome in self.outcomes:
            lines += outcome.lines()
        lines += ["", *self.remarks] if self.remarks else []
        return "\n".join([*lines, "", self._summary()])

    def require(self) -> CheckReport:
        """Return this report if nothing failed.

        Raises:
            ConformanceError: Names every check that failed, why, and what to do.
        """
        if self.failed:
            lines = [line for outcome in self.failed for line in outcome.lines()]
            raise ConformanceError("\n".join([f"{self.subject}: {self._summary()}", *lines]))
        return self

    def _summary(self) -> str:
        n_of = {
            status: sum(outcome.status == status for outcome in self.outcomes)
            for status in ("passed", "failed", "skipped")
        }
        parts = [f"{n_of['passed']} of {self.n_checks} checks passed"]
        parts += [f"{n_of[name]} {name}" for name in ("failed", "skipped") if n_of[name]]
        waiting = self.n_checks - len(self.outcomes)
        parts += [f"{waiting} not tried"] if waiting else []
        return ", ".join(parts)


@dataclass(frozen=True)
class BoundCheck(Generic[Subject]):
    """A check of one subject, called as one test.

    Attributes:
        check: The check.
        subject: Shared by the checks of one list, so that it is loaded once.
    """

    check: Check[Subject]
    subject: Subject

    def __str__(self) -> str:
        return self.check.name

    def __call__(self) -> None:
        """Make the check.

        Raises:
            ConformanceError: It failed.
            unittest.SkipTest: It cannot be made; pytest shows the reason.
        """
        outcome = self.check.outcome(self.subject)
        if outcome.status == "skipped":
            raise unittest.SkipTest(f"{outcome.check}: {outcome.detail}")
        CheckReport(str(self.subject), (outcome,), 1).require()


def examine(subject: Subject, checks: Sequence[Check[Subject]]) -> tuple[Outcome, ...]:
    """Make all checks in order; when the first fails, the others do not run."""
    first, *others = checks
    outcome = first.outcome(subject)
    if outcome.status == "failed":
        return (outcome,)
    return (outcome, *(check.outcome(subject) for check in others))
