"""Gives Python users their stored results as objects with data frames, tables and plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from clir_bench.core.files import inside
from clir_bench.errors import ResultError, UsageError
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.frames import pair_frame, query_frame
from clir_bench.results.latex import result_latex, suite_latex
from clir_bench.results.notebook import overview_html, result_html, suite_html
from clir_bench.results.plots import result_figure, results_figure
from clir_bench.results.schema import Result, SuiteResult
from clir_bench.results.store import find_results, read_result, read_scores
from clir_bench.types import LanguagePair

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, repr=False)
class EvaluationResult:
    """One system on one task, or on the tasks of a suite.

    Attributes:
        path: The JSON file; the runs and per-query values of a task are in the folder beside it.
        result: The content of a task's file; None for a suite.
        suite: The content of a suite's file; None for a task.
        parts: The results of a suite's tasks that are stored beside it; none for a task.
        notes: What its making had to say and the file does not hold: queries without an answer,
            measures renamed to the depth of the runs.
    """

    path: Path
    result: Result | None
    suite: SuiteResult | None = None
    parts: tuple[EvaluationResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of a task's runs and per-query values."""
        return self.path.with_suffix("")

    @property
    def tasks(self) -> tuple[EvaluationResult, ...]:
        """This result, or the results of a suite's tasks."""
        return (self,) if self.suite is None else self.parts

    @property
    def failures(self) -> dict[str, str]:
        """The error of each pair that failed, and of each part of a suite."""
        if self.result is not None:
            pairs = self.result.pairs.items()
            return {name: pair.error or "" for name, pair in pairs if pair.status == "failed"}
        parts = self.suite.parts if self.suite is not None else ()
        return {part.task: part.error for part in parts if part.error}

    def query_scores(self) -> dict[LanguagePair, QueryScores]:
        """Return the per-query values of each pair that is done; only for a task.

        Raises:
            DataError: A file of values is missing, broken or another one.
        """
        return {} if self.result is None else read_scores(self.path, self.result)

    def to_frame(self) -> DataFrame:
        """Return a data frame (pandas) with a row per pair, for a suite those of all its parts.

        The columns are facts of the pair, each measure's mean, its 95% interval (`nDCG@10 low`,
        `nDCG@10 high`), counts, and the error of a pair that failed.

        Raises:
            UsageError: pandas is not installed.
        """
        if self.suite is None:
            return pair_frame([({}, self.result)] if self.result else [])
        stored = {(r.task.id, r.task.split): r for one in self.parts if (r := one.result)}
        of_suite: list[tuple[dict[str, str], Result]] = []
        absent = []
        for part in self.suite.parts:
            result = stored.get((part.task, part.split))
            if result is None:
                absent.append(part)
                continue
            pairs = {name: pair for name, pair in result.pairs.items() if name in part.pairs}
            of_suite.append(({}, result.model_copy(update={"pairs": pairs})))
        return pair_frame(of_suite, absent)

    def per_query(self) -> DataFrame:
        """Return a data frame (pandas) with a row per query and measure.

        Raises:
            UsageError: pandas is not installed.
            DataError: A file of values is missing, broken or another one.
        """
        return query_frame(
            [({}, part.result, part.query_scores()) for part in self.tasks if part.result]
        )

    def to_latex(
        self,
        *,
        caption: str | None = None,
        label: str | None = None,
        by_pair: bool = False,
        n_digits: int = 3,
    ) -> str:
        r"""Return a table for a paper: a row per language by tier, a column per measure.

        It needs LaTeX's package booktabs. A suite gives a row per part, and their mean.

        Args:
            caption: In place of one that says what the table shows; escaped, unless it is
                `results.latex.Markup`.
            label: Its name for `\\ref`.
            by_pair: A row per pair in place of a row per language.
            n_digits: Decimals.
        """
        if self.result is not None:
            return result_latex(
                self.result, caption=caption, label=label, by_pair=by_pair, n_digits=n_digits
            )
        if self.suite is not None:
            return suite_latex(self.suite, caption=caption, label=label, n_digits=n_digits)
        return ""

    def plot(self, kind: str = "languages", measure: str | None = None) -> Figure:
        """Return a figure (matplotlib): a bar with its 95% interval per language.

        Args:
            kind: "languages", or "tiers" for the means of these.
            measure: The first of the result when None.

        Raises:
            UsageError: There is no such plot or measure, this is a suite, or matplotlib is not
                installed.
        """
        if self.result is None:
            raise UsageError("a suite has no plot; plot one of its parts: result.parts[0].plot()")
        return result_figure(self.result, kind, measure)

    def _repr_html_(self) -> str:
        if self.suite is not None:
            return suite_html(self.suite)
        return "" if self.result is None else result_html(self.result)

    def __repr__(self) -> str:
        """Name the system and the task."""
        if self.result is not None:
            task = self.result.task
            what = f"{self.result.system.name} on {task.id}, {self.path.stem}"
        elif self.suite is not None:
            what = f"{self.suite.system.name} on {self.suite.suite}, {len(self.suite.parts)} tasks"
        else:
            what = str(self.path)
        return f"<EvaluationResult: {what}>"


class EvaluationResults(Sequence[EvaluationResult]):
    """Several results, in the order of their files."""

    def __init__(self, results: Iterable[EvaluationResult]) -> None:
        self._results = tuple(results)

    @overload
    def __getitem__(self, index: int) -> EvaluationResult: ...
    @overload
    def __getitem__(self, index: slice) -> EvaluationResults: ...
    def __getitem__(self, index: int | slice) -> EvaluationResult | EvaluationResults:
        """Return one result, or several of them."""
        if isinstance(index, slice):
            return EvaluationResults(self._results[index])
        return self._results[index]

    def __len__(self) -> int:
        """Return how many results there are."""
        return len(self._results)

    def to_frame(self) -> DataFrame:
        """Return a data frame (pandas) with a row per pair of every task, the system first.

        Raises:
            UsageError: pandas is not installed.
        """
        return pair_frame([({"system": r.system.name}, r) for r in self._task_results()])

    def per_query(self) -> DataFrame:
        """Return a data frame (pandas) with a row per query and measure, the system first.

        Raises:
            UsageError: pandas is not installed.
            DataError: A file of values is missing, broken or another one.
        """
        return query_frame(
            [
                ({"system": one.result.system.name}, one.result, one.query_scores())
                for one in self._results
                if one.result is not None
            ]
        )

    def plot(self, measure: str | None = None) -> Figure:
        """Return a figure (matplotlib): a heat map of the systems of one task, by language.

        Args:
            measure: The task's first when None.

        Raises:
            UsageError: The results are of several tasks, or matplotlib is not installed.
        """
        return results_figure(self._task_results(), measure)

    def _task_results(self) -> list[Result]:
        return [one.result for one in self._results if one.result is not None]

    def _repr_html_(self) -> str:
        return overview_html(one.result or one.suite for one in self._results)

    def __repr__(self) -> str:
        """List the results."""
        return "\n".join(map(repr, self._results)) or "<no results>"


def load_result(path: str | Path) -> EvaluationResult:
    """Return a stored result.

    A suite's result comes with those of its tasks that are stored in the same folder of results.

    Args:
        path: The JSON file that `evaluate` or `clir-bench run` left.

    Raises:
        ResultError: It is missing, broken, or of another schema version.
    """
    path = Path(path)
    stored = read_result(path)
    if isinstance(stored, Result):
        return EvaluationResult(path, stored)
    folder = path.absolute().parents[2]
    parts = []
    for part in stored.parts:
        file = inside(folder, part.result_file, f"{path}: result_file", error=ResultError)
        if file.is_file() and isinstance(found := read_result(file), Result):
            parts.append(EvaluationResult(file, found))
    return EvaluationResult(path, None, stored, tuple(parts))


def load_results(*paths: str | Path) -> EvaluationResults:
    """Return stored results; a folder stands for all results in it.

    Args:
        paths: Result files, or folders of results.

    Raises:
        ResultError: A file is missing or broken, or a folder has no result.
    """
    return EvaluationResults(map(load_result, find_results(map(Path, paths))))
