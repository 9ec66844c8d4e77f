"""Computes boards from their definitions and stored results: means, rank groups, disparity."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from clir_bench.analysis.comparison.groups import rank_groups
from clir_bench.analysis.disparity.summary import check_unmixed, disparity_by
from clir_bench.leaderboard.board import (
    Board,
    BoardDisparity,
    BoardLanguage,
    BoardRow,
    BoardSystem,
    Estimates,
    LeftOut,
    PairFacts,
    Section,
    Speed,
    TaskFacts,
)
from clir_bench.leaderboard.definition import BoardDefinition, SectionDefinition
from clir_bench.leaderboard.entries import AcceptedResult, Submissions, run_file_of
from clir_bench.leaderboard.references import references_of
from clir_bench.metrics.means import Estimate, Summary, summarise
from clir_bench.results.schema import PairResult
from clir_bench.results.system_card import CARD_FILE
from clir_bench.tasks.languages import TIERS, TierScheme, pair_language, pair_tier, resolve
from clir_bench.types import LanguagePair

_N_DIGITS = 6
_FASTEST = 1e9
"""A higher stated speed, in texts per second, must be an error and is not shown."""


def assemble(definition: BoardDefinition, submissions: Submissions, folder: Path) -> Board:
    """Return a board with every submission it accepts.

    Args:
        definition: What the board shows.
        submissions: What there is.
        folder: Where the board will be written; its paths are relative to this.

    Raises:
        DataError: A pair has no official hash.
    """
    found = [submissions.find(section) for section in definition.sections]
    systems = {entry.folder: entry for entries, _ in found for entry in entries}
    sections = [
        _Section(section, definition.scheme, folder).made(
            entries,
            tuple(LeftOut(_relative(r.path, folder), r.reason) for r in refusals),
            tuple(sorted(set(systems) - {entry.folder for entry in entries})),
        )
        for section, (entries, refusals) in zip(definition.sections, found, strict=True)
    ]
    return Board(
        id=definition.id,
        title=definition.title,
        about=definition.about,
        scheme=definition.scheme.name,
        scheme_note=definition.scheme.note,
        sections=tuple(sections),
        systems={name: _system(systems[name], folder) for name in sorted(systems)},
    )


class _Section:
    """Makes one section; holds what all of its rows need."""

    def __init__(self, definition: SectionDefinition, scheme: TierScheme, folder: Path) -> None:
        self.definition, self.scheme, self.folder = definition, scheme, folder
        self.languages = languages_of(definition.chosen_pairs, scheme)
        self.of_tier = {
            tier: {language.code for language in self.languages if language.tier == tier}
            for tier in TIERS
        }

    def made(
        self,
        entries: Sequence[AcceptedResult],
        left_out: tuple[LeftOut, ...],
        absent: tuple[str, ...],
    ) -> Section:
        """Return the section of `entries`."""
        definition, card = self.definition, self.definition.card
        whole = {
            entry.folder: entry.scores
            for entry in entries
            if len(entry.scores) == len(definition.chosen_pairs)
        }
        groups = (
            rank_groups(
                whole,
                definition.measures[0],
                scheme=self.scheme,
                parallel_queries=card.parallel_queries,
            )
            if whole
            else {}
        )
        order = {name: place for place, name in enumerate(groups)}
        ordered = sorted(
            entries, key=lambda entry: (order.get(entry.folder, len(order)), entry.folder)
        )
        sizes = {
            str(p): card.counts_of(definition.chosen_split, p) for p in definition.chosen_pairs
        }
        return Section(
            id=definition.id,
            title=definition.title,
            about=definition.about,
            task=_task(definition),
            measures=definition.measures,
            languages=self.languages,
            pairs={name: PairFacts(*(found or (None,) * 3)) for name, found in sizes.items()},
            rows=tuple(self._row(entry, groups.get(entry.folder)) for entry in ordered),
            references=references_of(definition, self.languages),
            left_out=left_out,
            absent=absent,
        )

    def _row(self, entry: AcceptedResult, group: int | None) -> BoardRow:
        definition = self.definition
        summary = summarise(
            entry.scores, self.scheme, parallel_queries=definition.card.parallel_queries
        )
        there = {str(pair) for pair in entry.scores}
        covered = {language.code for language in self.languages if set(language.pairs) <= there}
        return BoardRow(
            system=entry.folder,
            group=group,
            overall=_rounded(summary.overall) if group else {},
            tiers={
                tier: _rounded(summary.tiers[tier].scores)
                for tier in TIERS
                if self.of_tier[tier] and self.of_tier[tier] <= covered
            },
            languages={
                language.code: _rounded(summary.languages[language.code].scores)
                for language in self.languages
                if language.code in covered
            },
            pairs={str(pair): _rounded(summary.pairs[pair]) for pair in sorted(summary.pairs)},
            missing=tuple(str(p) for p in definition.chosen_pairs if p not in entry.scores),
            disparity=self._disparity(entry, summary) if group else None,
            speed=_speed(entry),
            date=entry.date,
            result_file=_relative(entry.path, self.folder),
            run_files={
                str(pair): _relative(run_file_of(entry, pair), self.folder)
                for pair in sorted(entry.scores)
            },
        )

    def _disparity(self, entry: AcceptedResult, summary: Summary) -> BoardDisparity:
        check_unmixed(entry.scores)
        found = disparity_by(self.definition.measures[0], summary, self.scheme)
        spread = found.spread
        return BoardDisparity(
            gap=None if found.gap is None else _round(found.gap),
            ratio=None if found.ratio is None else _round(found.ratio),
            worst_language=found.worst,
            worst=_round(found.languages[found.worst].score),
            spread=None if spread is None else _round(spread.standard_deviation),
        )


def languages_of(pairs: Sequence[LanguagePair], scheme: TierScheme) -> tuple[BoardLanguage, ...]:
    """Return the languages that pairs count for, by tier and then by code."""
    of_language: dict[str, list[LanguagePair]] = {}
    for pair in pairs:
        of_language.setdefault(pair_language(pair, scheme), []).append(pair)
    found = []
    for code, members in of_language.items():
        known = resolve(code)
        tier = pair_tier(members[0], scheme)
        names = tuple(sorted(map(str, members)))
        found.append(BoardLanguage(code, known.name, known.script, known.family, tier, names))
    return tuple(sorted(found, key=lambda one: (TIERS.index(one.tier), one.code)))


def _task(section: SectionDefinition) -> TaskFacts:
    card = section.card
    return TaskFacts(
        id=card.id,
        title=card.title,
        description=card.description,
        homepage=card.homepage,
        license=card.license,
        citation=card.citation.strip(),
        version=card.version,
        split=section.chosen_split,
        measures=card.measures,
        languages=tuple(sorted(card.languages)),
        parallel_queries=card.parallel_queries,
        card_file=f"tasks/{card.id}.toml",
        legends=card.submission.legends,
    )


def _system(entry: AcceptedResult, folder: Path) -> BoardSystem:
    record, card = entry.result.system, entry.card
    return BoardSystem(
        name=record.name,
        folder=entry.folder,
        kind=card.kind,
        description=card.description,
        url=card.url,
        license=card.license,
        contact=card.contact,
        training=card.training,
        revision=record.revision,
        package=record.package,
        n_parameters=record.n_parameters,
        dim=record.dim,
        max_tokens=record.max_tokens,
        similarity=record.similarity,
        dtype=record.dtype,
        query_prompt=record.query_prompt,
        document_prompt=record.document_prompt,
        weights_sha256=record.weights_sha256 or "",
        card_file=_relative(entry.path.parents[1] / CARD_FILE, folder),
    )


def _speed(entry: AcceptedResult) -> Speed:
    """Return documents and queries per second over all pairs; a shared corpus counts once."""
    known = [entry.result.pairs[str(pair)] for pair in sorted(entry.scores)]
    hardware = entry.result.environment.hardware
    parts = [hardware.get("accelerators"), hardware.get("processor")]
    if cores := hardware.get("cores"):
        parts.append(f"{cores} cores")
    return Speed(
        documents_per_second=_documents_per_second(known),
        queries_per_second=_queries_per_second(known),
        index_size_bytes=max((p.cost.index_size_bytes for p in known if p.cost), default=None),
        hardware=", ".join(part for part in parts if part),
    )


def _documents_per_second(pairs: Sequence[PairResult]) -> float | None:
    # Every pair carries the whole cost of its corpus: a share each adds up to it once.
    shares = [
        (pair.counts.documents, pair.cost.encode_seconds, max(pair.cost.pairs_sharing_corpus, 1))
        for pair in pairs
        if pair.counts and pair.cost
    ]
    seconds = sum(seconds / sharing for _, seconds, sharing in shares)
    n_documents = sum(n / sharing for n, _, sharing in shares)
    return _positive(n_documents, seconds)


def _queries_per_second(pairs: Sequence[PairResult]) -> float | None:
    known = [
        (pair.counts.queries, pair.cost.queries_per_second)
        for pair in pairs
        if pair.counts and pair.cost and pair.cost.queries_per_second > 0
    ]
    return _positive(sum(n for n, _ in known), sum(n / rate for n, rate in known))


def _positive(amount: float, seconds: float) -> float | None:
    rate = amount / seconds if amount > 0 and seconds > 0 else 0.0
    return round(rate, 1) if 0 < rate < _FASTEST else None


def _round(estimate: Estimate) -> Estimate:
    # Adding 0 turns -0.0 into 0.0.
    numbers = (estimate.mean, estimate.low, estimate.high)
    return Estimate(*(round(number, _N_DIGITS) + 0.0 for number in numbers))


def _rounded(estimates: Mapping[str, Estimate]) -> Estimates:
    return {measure: _round(estimate) for measure, estimate in estimates.items()}


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
