"""Takes the rankings that a system has stored: `run:FOLDER`, as `clir-bench run` writes a folder.

So stored runs can be fused and ranked again without their system, also runs of other tools that
`clir-bench score` has scored. A run is used only for the data that it was made on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clir_bench.core.display import some_of
from clir_bench.errors import ClirBenchError, DataError, UsageError
from clir_bench.results.schema import PairResult, Result
from clir_bench.results.store import find_results, read_result, result_file
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import is_stored_run, read_run
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.systems.answers import Answer, GroupAnswers, PairCost, Task, judged_queries
from clir_bench.systems.composition import composed_info, record_of
from clir_bench.systems.names import Composition
from clir_bench.systems.system import System
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.loading import CorpusGroup, PreparedPair, load_again
from clir_bench.types import EncoderInfo, LanguagePair, Run


@dataclass(frozen=True)
class RunSystem(System):
    """The stored runs of one system.

    Attributes:
        spec: The name that the user gave for it.
        folder: The folder of results.
        results: The results in it, each with its path.
    """

    spec: str
    folder: Path
    results: tuple[tuple[Path, Result], ...]

    @cached_property
    def info(self) -> EncoderInfo:
        """Its description."""
        record = self.results[0][1].system
        return composed_info(
            f"run:{record.name}",
            [_Stored(record)],
            {"top_k": ", ".join(sorted({str(one.settings.top_k) for _, one in self.results}))},
            description=f"stored runs of {record.name}",
        )

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        return record_of(self, [_Stored(self.results[0][1].system)])

    def check(self, card: TaskCard, split: str, pairs: Sequence[LanguagePair]) -> None:
        """Refuse a task of which nothing is stored.

        Raises:
            UsageError: Names the tasks that are stored.
        """
        tasks = dict.fromkeys(result.task.id for _, result in self.results)
        if card.id not in tasks:
            raise UsageError(
                f"--model {self.spec}: the folder has no run of task {card.id!r}, only of "
                f"{some_of(list(tasks))}; run {self.results[0][1].system.name!r} on it first"
            )

    def answers(self, groups: Sequence[CorpusGroup], task: Task) -> Iterator[GroupAnswers]:
        """Yield each group's answers, in order; a pair that fails does not stop the others."""
        for group in groups:
            found = GroupAnswers(group, Corpus.of(group, task.loader))
            for prepared in group.pairs:
                try:
                    found.answers.append(self._answer(prepared, task))
                except ClirBenchError as error:
                    found.failures[prepared.pair] = str(error)
            task.progress.advance(group.n_documents)
            yield found

    def _answer(self, prepared: PreparedPair, task: Task) -> Answer:
        path, stored = self._stored(prepared, task)
        file = result_file(path, stored.run_file, f"run_file of {prepared.pair}")
        if not is_stored_run(file, stored):
            raise DataError(
                f"{file}: missing, or not the run that {path.name} states: its sha256 is another; "
                "run the pair again"
            )
        run = read_run(file)
        collection = load_again(task.loader, prepared)
        places = {query_id: place for place, query_id in enumerate(run.query_ids)}
        ids = [query.query_id for query in judged_queries(collection)]
        doc_ids, scores = [], []
        for query_id in ids:
            # A query for which nothing was found has no line.
            place = places.get(query_id)
            doc_ids.append(() if place is None else run.doc_ids[place][: task.top_k])
            none = run.scores[0][:0]
            scores.append(none if place is None else run.scores[place][: task.top_k])
        method = f"stored run {stored.run_sha256}"
        method = f"{stored.method}; {method}" if stored.method else method
        return Answer(prepared, collection, Run(ids, doc_ids, scores), PairCost(), None, method)

    def _stored(self, prepared: PreparedPair, task: Task) -> tuple[Path, PairResult]:
        """Return the stored pair that was made on the same data, and its result's path."""
        name, problem = str(prepared.pair), "it has no run of the pair"
        for path, result in self.results:
            stored = result.pairs.get(name)
            if result.task.id != task.loader.card.id or stored is None or stored.status != "done":
                continue
            if stored.data_sha256 != prepared.inspection.sha256:
                problem = (
                    f"the run in {path} was made on other documents, queries or judgments (split "
                    f"{result.task.split!r}); run the system again on these"
                )
            elif stored.approximate is not None:
                problem = (
                    f"the run in {path} was found by the approximate index "
                    f"{result.settings.index}; run the system again without --index"
                )
            else:
                return path, stored
        raise DataError(f"--model {self.spec}: {problem}")


@dataclass(frozen=True)
class _Stored:
    """The system that made stored runs, as a part of another system."""

    record: SystemRecord

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        known = self.record.model_dump(include=set(EncoderInfo.__dataclass_fields__))
        return EncoderInfo(**known)


def build(composition: Composition) -> System:
    """Return the system of a name such as `run:results/hashing`.

    Raises:
        UsageError: There is no such folder, or it has results of several systems, or none.
        ResultError: A result in it cannot be read.
    """
    folder = Path(composition.operands[0]).expanduser()
    if not folder.exists():
        raise composition.wrong(
            f"no such folder: {folder}; name a system's folder of results, as run:results/hashing"
        )
    read = [(path, read_result(path)) for path in find_results([folder])]
    results = tuple((path, result) for path, result in read if isinstance(result, Result))
    if not results:
        raise composition.wrong(f"{folder} has no result of a task, only of suites")
    first = results[0][1].system
    for path, result in results[1:]:
        if differences := first.differences(result.system):
            raise composition.wrong(
                f"{folder} has results of several systems: {path} is of another "
                f"{some_of(differences)}; name the folder of one, as run:{results[0][0].parents[1]}"
            )
    return RunSystem(composition.spec, folder, results)
