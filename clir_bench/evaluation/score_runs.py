"""Scores TREC run files of other software, and stores the result, for `clir-bench score`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from clir_bench.core.files import sha256_of
from clir_bench.core.progress import Progress
from clir_bench.errors import ClirBenchError, DataError, OutputError, ResultError
from clir_bench.evaluation.evaluate import new_builder
from clir_bench.evaluation.records import deeper_than
from clir_bench.evaluation.result_builder import ResultBuilder
from clir_bench.evaluation.system import Settings
from clir_bench.metrics.scoring import score
from clir_bench.results.schema import Result
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import RunFile, run_files
from clir_bench.search.search import without_same_id
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.languages import load_scheme
from clir_bench.tasks.loading import (
    CorpusGroup,
    Loader,
    PreparedPair,
    corpus_of,
    load_again,
    prepare,
)
from clir_bench.tasks.measures import depth_of, too_deep
from clir_bench.tasks.outline import read_again
from clir_bench.tasks.source import Source
from clir_bench.types import EncoderInfo, LanguagePair, Run

_SHOWN = 3


def score_files(
    card: TaskCard,
    files: Mapping[LanguagePair, Path],
    system: str,
    *,
    output: Path,
    source: Source,
    split: str,
    settings: Settings,
    progress: Progress,
) -> tuple[Result, list[str]]:
    """Score TREC runs, one per pair, and store the result under the system's name.

    Args:
        card: The task's card for this split.
        files: The run file of each pair, which may be a pipe.
        system: Name of the system that made the runs; its revision is a hash of the files.
        output: Folder of results.
        source: Where the task's files are.
        split: One of the card's splits or "sample".
        settings: Measures, tiers, seed and whether to overwrite. The runs give the depth.
        progress: Shown to a person while the corpora are read.

    Returns:
        The result, and notes on queries that count 0, and why.

    Raises:
        DataError: A run file is missing.
        ResultError: The stored result has other settings.
        OutputError: The output folder cannot be written.
    """
    load_scheme(settings.tiers)  # a misspelt one is found before any file is read
    missing = [str(path) for path in files.values() if path.is_dir() or not path.exists()]
    if missing:
        raise DataError(f"no such run file: {', '.join(missing)}")
    with run_files(files) as runs:
        info = EncoderInfo(
            name=system,
            revision=_revision(runs),
            similarity="dot",
            description="runs made elsewhere",
        )
        record = SystemRecord.of(info, dim=0, spec="run files", package="elsewhere")
        loader = Loader(card, split, source)
        builder = new_builder(
            loader, record, tuple(runs), output=output, settings=settings, elsewhere=True
        )
        progress.begin("checking data", None)
        preparation = prepare(loader, tuple(runs), progress.advance)
        progress.end()
        for pair, failure in preparation.failures.items():
            builder.failed(pair, str(failure))
        builder.save(tuple(dict.fromkeys(source.unofficial)))  # from here on, others are refused
        notes: list[str] = []
        for group in preparation.groups:
            for prepared, run in _read_group(group, runs, loader, builder.failed):
                try:
                    notes += _score_pair(builder, prepared, run, runs[prepared.pair])
                except (OutputError, ResultError):  # the result cannot be stored
                    raise
                except ClirBenchError as error:
                    builder.failed(prepared.pair, str(error))
        return builder.save(tuple(dict.fromkeys(source.unofficial))), notes


def _score_pair(
    builder: ResultBuilder, prepared: PreparedPair, run: Run, file: RunFile
) -> list[str]:
    """Score a pair's run, record it, and return notes.

    Raises:
        DataError: The data changed after the check, the run is too shallow for a measure that the
            user named, or a measure's tool failed.
    """
    collection = load_again(builder.loader, prepared)
    qrels = collection.qrels
    skip_same_id = collection.skip_same_id
    kept = without_same_id(run) if skip_same_id else run
    depth = depth_of(
        run,
        {qrel.query_id for qrel in qrels},
        n_documents=prepared.inspection.n_rankable - skip_same_id,
        skip_same_id=skip_same_id,
    )
    if lost := builder.lost_at(depth.reach):
        raise DataError(
            f"{file}: {too_deep(lost, depth.reach)}: score a deeper run, or leave them out"
        )
    builder.reach(depth.reach)
    builder.done(prepared, kept, score(kept, qrels, builder.measures), None, depth)
    notes = []
    unanswered = {qrel.query_id for qrel in qrels} - set(run.query_ids)
    if unanswered:
        notes.append(
            f"{prepared.pair}: {len(unanswered):,} of {prepared.inspection.n_judged_queries:,} "
            f"judged queries have no line in {file} and count 0"
        )
    if deeper := deeper_than(builder.loader.card, depth.reach):
        notes.append(
            f"{prepared.pair}: {file} holds {depth.held:,} documents per query, so what looks "
            f"deeper is over as many: {', '.join(deeper)}"
        )
    return notes


def _revision(files: Mapping[LanguagePair, RunFile]) -> str:
    listing = "\n".join(f"{pair} {sha256_of(files[pair].path)}" for pair in sorted(files))
    return hashlib.sha256(listing.encode()).hexdigest()[:12]


def _read_group(
    group: CorpusGroup,
    files: Mapping[LanguagePair, RunFile],
    loader: Loader,
    failed: Callable[[LanguagePair, str], None],
) -> list[tuple[PreparedPair, Run]]:
    """Read the runs of pairs that share a corpus, and check that they rank only its documents."""
    runs: list[tuple[PreparedPair, Run]] = []
    for prepared in group.pairs:
        try:
            runs.append((prepared, files[prepared.pair].read()))
        except ClirBenchError as error:
            failed(prepared.pair, str(error))
    ranked = {doc_id for _, run in runs for doc_ids in run.doc_ids for doc_id in doc_ids}
    try:
        strangers = ranked.difference(_doc_ids(loader, group))
    except ClirBenchError as error:
        for prepared, _ in runs:
            failed(prepared.pair, str(error))
        return []
    kept = []
    for prepared, run in runs:
        odd = sorted(strangers.intersection(doc_id for ids in run.doc_ids for doc_id in ids))
        if odd:
            some = ", ".join(repr(doc_id) for doc_id in odd[:_SHOWN])
            failed(
                prepared.pair,
                f"{files[prepared.pair]}: {len(odd):,} documents are not in the corpus of "
                f"{prepared.pair}: {some}; is it the run of another pair or task?",
            )
        else:
            kept.append((prepared, run))
    return kept


def _doc_ids(loader: Loader, group: CorpusGroup) -> Iterator[str]:
    """Yield the ids of a corpus, which must be what was checked."""
    language, document_text = group.pairs[0].pair.document, loader.card.document_text
    windows = read_again(
        corpus_of(loader, group.corpus_pairs),
        group.outline,
        language=language,
        document_text=document_text,
        where=f"task {loader.card.id!r}, documents of {group.pairs[0].pair}",
    )
    return (text.doc_id for texts in windows for text in texts)
