"""Loads the rankings of a stored result over a pool, and the languages of the ranked documents.

A run file has only document ids; languages and judgments come from the task's data. Data and run
files must be those that were scored: their hashes are compared with the hashes in the result.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clir_bench.analysis.disparity.pool import KEPT, LanguagePool
from clir_bench.analysis.disparity.ranking import Ranking, rankings
from clir_bench.core.progress import Progress
from clir_bench.errors import DataError, MissingDataError, UnknownNameError, UsageError
from clir_bench.evaluation.evaluate import card_for
from clir_bench.results.schema import Result
from clir_bench.results.store import result_file
from clir_bench.results.summary import is_pool
from clir_bench.results.trec_runs import is_stored_run, read_run
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader, corpus_of, prepare
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair


def pool_pairs(result: Result) -> list[LanguagePair]:
    """Return the pairs of a result with a pool of languages that are done."""
    pairs = ((LanguagePair.parse(name), pair) for name, pair in result.pairs.items())
    return sorted(pair for pair, stored in pairs if is_pool(pair) and stored.status == "done")


def load_pool(
    path: Path,
    result: Result,
    *,
    data_dir: Path | None = None,
    tasks_dir: Path | None = None,
    progress: Progress,
) -> LanguagePool:
    """Read the run files of a result's pool, its judgments and its documents' languages.

    Args:
        path: Where `result` was read from; run files lie beside it.
        result: Has at least one pooled pair that is done.
        data_dir: Folder of the task's files; where `locate` finds them when None.
        tasks_dir: Folder with cards of the user's own.
        progress: Shown to a person while files are read.

    Raises:
        UsageError: The result has no pooled pair.
        MissingDataError: The task's data is not there.
        DataError: The data or a run file is not what was scored, or documents carry no language.
    """
    pairs = pool_pairs(result)
    if not pairs:
        raise UsageError(f"{path}: no pair with a pool of languages, such as en-mul, is done")
    loader = _loader(result, data_dir, tasks_dir)
    corpus_id = _check_data(loader, result, pairs, path, progress)
    progress.begin("reading run files", len(pairs))
    found: dict[str, list[Ranking]] = {}
    for pair in pairs:
        run_file = _run_file(path, result, pair)
        found[pair.query] = rankings(read_run(run_file), loader.load(pair).qrels, KEPT)
        progress.advance(1)
    progress.end()
    wanted = {
        doc_id
        for some in found.values()
        for ranking in some
        for doc_id in (*ranking.first, *ranking.relevance)
    }
    sizes, languages = _languages(loader, pairs, wanted, f"{path}: pool {corpus_id!r}")
    if strangers := sorted(wanted - languages.keys()):
        raise DataError(
            f"{path}: its run files name {len(strangers):,} documents that the pool has not, "
            f"{strangers[0]!r} for one; they are the runs of other data"
        )
    return LanguagePool(
        sizes,
        languages,
        found,
        result.task.parallel_queries,
        result.settings,
        result.reach(map(str, pairs)),
    )


def _loader(result: Result, data_dir: Path | None, tasks_dir: Path | None) -> Loader:
    task = result.task
    try:
        card = load_card(task.id, tasks_dir)
    except UnknownNameError as error:
        raise MissingDataError(
            f"task {task.id!r} has no card "
            + (f"in {tasks_dir}" if tasks_dir else "that comes with clir-bench")
            + "; name the folder of your own cards with --tasks-dir."
        ) from error
    if not isinstance(card, TaskCard):
        raise UsageError(f"{task.id!r} is a suite; its parts have results of their own")
    card = card_for(card, task.split)
    return Loader(card, task.split, locate(card, task.split, data_dir), task.limit)


def _check_data(
    loader: Loader, result: Result, pairs: list[LanguagePair], path: Path, progress: Progress
) -> str:
    """Make sure that all pairs rank one pool, the one that was scored, and return its id."""
    loader.load(pairs[0])  # missing data is an error of its own, not a failure of a pair
    progress.begin("checking data", None)
    preparation = prepare(loader, pairs, progress.advance)
    progress.end()
    if preparation.failures:
        pair, error = next(iter(preparation.failures.items()))
        raise DataError(
            f"{path}: the documents of pair {pair} are needed for their languages and cannot be "
            f"read: {error}"
        )
    if len(preparation.groups) > 1:
        names = ", ".join(group.corpus_id for group in preparation.groups)
        raise DataError(
            f"{path}: task {result.task.id!r} has several pools ({names}); language bias is "
            "measured on one"
        )
    (group,) = preparation.groups
    for prepared in group.pairs:
        scored = result.pairs[str(prepared.pair)].data_sha256
        if prepared.inspection.sha256 != scored:
            raise DataError(
                f"{path}: pair {prepared.pair} was scored on other data (sha256 {scored}) than "
                f"what is read here (sha256 {prepared.inspection.sha256}); name the folder with "
                "the same data with --data-dir"
            )
    return group.corpus_id


def _run_file(path: Path, result: Result, pair: LanguagePair) -> Path:
    stored = result.pairs[str(pair)]
    run_file = result_file(path, stored.run_file, f"run_file of {pair}")
    if not run_file.is_file():
        raise DataError(
            f"{run_file}: no such run file; language bias is measured on it, so keep it "
            f"beside {path.name}"
        )
    if not is_stored_run(run_file, stored):
        raise DataError(f"{run_file}: not the run that was scored: its sha256 is another")
    return run_file


def _languages(
    loader: Loader, pairs: list[LanguagePair], wanted: set[str], where: str
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the number of documents by language, and the language of those wanted."""
    sizes: Counter[str] = Counter()
    languages: dict[str, str] = {}
    for document in corpus_of(loader, pairs):
        if not document.language:
            raise DataError(
                f"{where}: document {document.doc_id!r} carries no language, so its pool cannot "
                "be measured; the adapter must set Document.language"
            )
        sizes[document.language] += 1
        if document.doc_id in wanted:
            languages[document.doc_id] = document.language
    return dict(sorted(sizes.items())), languages
