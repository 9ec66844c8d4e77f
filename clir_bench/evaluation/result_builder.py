"""Builds one result pair by pair, and keeps the pairs that an earlier run has finished."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.errors import ClirBenchError, DataError, ResultError
from clir_bench.evaluation.history import History
from clir_bench.evaluation.records import (
    FileState,
    Hashes,
    differences,
    hashes_of,
    state_of,
    task_record,
    too_shallow,
    unscored,
)
from clir_bench.metrics.scoring import QueryScores, score
from clir_bench.results.schema import (
    ApproximateSearch,
    Cost,
    PairCounts,
    PairResult,
    Result,
    SettingsRecord,
)
from clir_bench.results.store import (
    locked,
    read_pair_values,
    read_result,
    result_file,
    system_folder,
    write_result,
    write_run,
    write_values,
)
from clir_bench.results.summary import has_pairs_and_pool, means_of
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import is_stored_run, read_run
from clir_bench.tasks.languages import TierScheme, pair_language, pair_tier
from clir_bench.tasks.loading import Loader, PreparedPair, load_again, prepare
from clir_bench.tasks.measures import EVERYTHING, Depth, at_depth, looks_at, parse_measures
from clir_bench.types import LanguagePair, Run

logger = logging.getLogger(__name__)


@dataclass
class ResultBuilder:
    """A result that is being built.

    Attributes:
        path: Where the result is stored.
        pairs: The record of each pair.
        scores: Per-query values of the pairs that are done.
        requested: The pairs this run was asked for.
        measures: Measures to report, by names that the rankings' depth supports (see `reach`).
        asked: Those of `measures` that the user named: their names never change.
        elsewhere: The runs were made elsewhere, so `settings.top_k` is their depth.
    """

    path: Path
    system: SystemRecord
    loader: Loader
    measures: tuple[str, ...]
    scheme: TierScheme
    settings: SettingsRecord
    command: str
    requested: tuple[LanguagePair, ...]
    overwrite: bool = False
    asked: tuple[str, ...] = ()
    elsewhere: bool = False
    pairs: dict[LanguagePair, PairResult] = field(default_factory=dict)
    scores: dict[LanguagePair, QueryScores] = field(default_factory=dict)
    _earlier: dict[LanguagePair, PairResult] = field(default_factory=dict)
    _seen: dict[LanguagePair, Hashes] = field(default_factory=dict)
    _files: dict[LanguagePair, list[FileState]] = field(default_factory=dict)
    _checked: dict[LanguagePair, PreparedPair] = field(default_factory=dict)
    _written: FileState = None
    _claimed: bool = False
    _history: History = field(init=False)
    _depth: int = EVERYTHING
    _named: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self._named, self._history = self.measures, History(self.command)

    def lost_at(self, depth: int) -> list[str]:
        """Return the measures that rule out rankings of this depth.

        These are the measures that the user named and that look deeper; and all of the task's
        measures where rankings of this depth support none of them under any name.
        """
        own = parse_measures(self.loader.card.measures)
        names = self.asked if any(at_depth(name, depth) for name in own) else (*own, *self.asked)
        return [name for name in dict.fromkeys(names) if looks_at(name) > depth]

    def reach(self, depth: int) -> None:
        """Name measures by the depth of the rankings; later calls can only lower it."""
        self._depth = min(self._depth, depth)
        named = (at_depth(name, self._depth) for name in self._named)
        self.measures = tuple(dict.fromkeys(name for name in named if name is not None))

    def open(self) -> None:
        """Read an earlier run's result at `path`, unless it is to be overwritten.

        Pairs that are stored after this come from another process.

        Raises:
            ResultError: The result has another system, card or cut-off, or cannot be read.
        """
        stored = self._stored()
        self._seen = {pair: hashes_of(known) for pair, known in stored.items()}
        self._earlier = {} if self.overwrite else stored

    def carry_over(self, prepared: Mapping[LanguagePair, PreparedPair]) -> None:
        """Keep the pairs done earlier if their data and files have not changed."""
        self._checked |= prepared
        for pair, earlier in self._earlier.items():
            now = prepared.get(pair)
            fate = "running it again"
            if pair not in self.requested:
                fate = "it is left out of the result, as it was not asked for this time"
            if now is not None and now.inspection.sha256 != earlier.data_sha256:
                logger.warning("pair %s: the data changed since it was run; %s", pair, fate)
                continue
            try:
                self._take(pair, earlier)
            except ClirBenchError as error:
                logger.warning("pair %s: %s; %s", pair, error, fate)
                continue
            if now is not None:
                known = self.pairs[pair]
                self.pairs[pair] = known.model_copy(
                    update={
                        "unofficial": now.unofficial,
                        "official": not now.unofficial,
                        "counts": PairCounts.of(
                            now.inspection, known.counts.retrieved if known.counts else 0
                        ),
                        "skip_same_id": now.inspection.skip_same_id,
                    }
                )

    def done(
        self,
        prepared: PreparedPair,
        run: Run,
        scores: QueryScores,
        cost: Cost | None,
        depth: Depth,
        approximate: ApproximateSearch | None = None,
    ) -> None:
        """Record a pair and store its files, unless another process has just stored the pair.

        Raises:
            ResultError: Another process has stored a result that was made otherwise.
            OutputError: They cannot be written.
        """
        inspection = prepared.inspection
        self._checked[prepared.pair] = prepared
        tag = system_folder(self.system.name)
        with locked(self.path):
            self._adopt()
            if prepared.pair in self.scores:
                return
            # Both files first: a pair without one of its files is not done.
            run_file, run_sha256 = write_run(self.path, prepared.pair, run, tag)
            values_file, values_sha256 = write_values(self.path, prepared.pair, scores)
        self.scores[prepared.pair] = scores
        self.pairs[prepared.pair] = PairResult(
            tier=pair_tier(prepared.pair, self.scheme),
            language=pair_language(prepared.pair, self.scheme),
            status="done",
            official=not prepared.unofficial,
            unofficial=prepared.unofficial,
            counts=PairCounts.of(
                prepared.inspection, retrieved=sum(len(ids) for ids in run.doc_ids)
            ),
            skip_same_id=inspection.skip_same_id,
            data_sha256=inspection.sha256,
            cost=cost,
            run_file=run_file,
            run_sha256=run_sha256,
            values_file=values_file,
            values_sha256=values_sha256,
            approximate=approximate,
            depth=depth.held,
            cut=depth.cut,
        )
        self._files[prepared.pair] = self._states(prepared.pair)

    def failed(self, pair: LanguagePair, error: str) -> None:
        """Record a pair that failed; a pair done earlier is kept."""
        logger.info("pair %s failed: %s", pair, error)
        if pair not in self.pairs:
            self.pairs[pair] = unscored(pair, self.scheme, "failed", error)

    def save(self, unofficial: tuple[str, ...] = ()) -> Result:
        """Store and return the current result.

        The first call claims `path`: from then on, runs with other settings are refused, even those
        started earlier.

        Args:
            unofficial: Why the files read are not the official ones.

        Raises:
            ResultError: Another process has stored a result that was made otherwise.
            OutputError: It cannot be written.
        """
        with locked(self.path):
            self._adopt()
            self._mend()
            self._level()
            known = self._history.stored
            result = self._history.completed(self._result(unofficial))
            if result is not known:
                write_result(self.path, result)
            self._written, self._claimed = state_of(self.path), True
        self._seen = {pair: hashes_of(self.pairs[pair]) for pair in self.scores}
        return result

    def _adopt(self) -> None:
        """Take over pairs that another process has stored since this one last looked.

        Jobs that run some languages each, of one system and task, write one result.
        """
        if self._written is not None and state_of(self.path) == self._written:
            return
        for pair, theirs in self._stored().items():
            mine = pair in self.scores and self._states(pair) == self._files[pair]
            if mine or self._seen.get(pair) == hashes_of(theirs):
                continue
            try:
                self._take(pair, theirs)
            except ClirBenchError as error:
                logger.warning("pair %s, stored by another process, is left out: %s", pair, error)

    def _mend(self) -> None:
        """Check the files of done pairs; pairs without their run no longer count as done."""
        for pair in [pair for pair in self.scores if self._states(pair) != self._files[pair]]:
            try:
                self._take(pair, self.pairs[pair])
            except ClirBenchError as error:
                del self.scores[pair], self.pairs[pair]
                self.failed(pair, f"{error}: it was there when the pair was done; run it again")

    def _level(self) -> None:
        """Give all pairs the same measures, named by the depth that all their rankings have."""
        done = {pair: self.pairs[pair] for pair in self.scores}
        for known in done.values():
            self.reach(known.reach(self.settings.top_k))
        for pair, known in done.items():
            values = self.scores[pair]
            try:
                if set(self.measures) <= set(values.measures):
                    self.scores[pair] = values.only(self.measures)
                else:
                    self._take(pair, known)
            except ClirBenchError as error:
                logger.warning("pair %s is left out of the result: %s", pair, error)
                del self.pairs[pair], self.scores[pair]
        held = [known.depth for known in done.values() if known.depth is not None]
        if self.elsewhere and held:
            cut = [known.depth for known in done.values() if known.depth is not None and known.cut]
            top_k = min(cut) if cut else max(held)
            self.settings = self.settings.model_copy(update={"top_k": top_k})

    def _stored(self) -> dict[LanguagePair, PairResult]:
        """Return the pairs that are done in the stored result; none when there is no result.

        Raises:
            ResultError: The result has other settings or cannot be read, and must not be
                overwritten.
        """
        self._history.stored = None
        if not self.path.exists():
            return {}
        may_replace = self.overwrite and not self._claimed
        try:
            stored = read_result(self.path)
        except ResultError as error:
            if may_replace:
                return {}
            raise ResultError(f"{error} (--overwrite replaces it)") from error
        any_depth = self.elsewhere
        found = differences(stored, self.system, self.loader, self.settings, any_depth=any_depth)
        if found or not isinstance(stored, Result):
            if may_replace:
                return {}
            remedy = self.system.how_to_go_on(stored.system) if isinstance(stored, Result) else ""
            raise ResultError(
                f"{self.path} holds a result with another {', '.join(found)}; "
                f"{remedy}write elsewhere with --output, or replace it with --overwrite"
            )
        if not may_replace:
            self._history.stored = stored
        return {
            LanguagePair.parse(name): result
            for name, result in stored.pairs.items()
            if result.status == "done"
        }

    def _result(self, unofficial: tuple[str, ...]) -> Result:
        if self.settings.index is not None:
            inexact = f"searched by the approximate index {self.settings.index}, not exactly"
            unofficial = (*unofficial, inexact)
        unofficial = (*unofficial, *too_shallow(self.loader.card, self._depth))
        pairs: dict[str, PairResult] = {}
        for pair in dict.fromkeys(
            (*self.loader.card.official_pairs(), *self.requested, *self.pairs)
        ):
            known = self.pairs.get(pair) or unscored(pair, self.scheme, "not run")
            if known.status == "done":
                reasons = tuple(dict.fromkeys((*known.unofficial, *unofficial)))
                update = {"unofficial": reasons, "official": not reasons}
                known = known.model_copy(update=update)
            pairs[str(pair)] = known
        means = means_of(
            self.scores,
            self.scheme,
            pooled=has_pairs_and_pool(self.loader.card),
            parallel_queries=self.loader.card.parallel_queries,
            settings=self.settings,
        )
        return Result(
            system=self.system,
            task=task_record(self.loader, self.measures, pairs),
            settings=self.settings,
            environment=self._history.now(),
            pairs=means.told(pairs),
            languages=means.languages,
            tiers=means.tiers,
            overall=means.overall,
            pool=means.pool,
        )

    def _take(self, pair: LanguagePair, stored: PairResult) -> None:
        """Count a stored pair as done if its run has not changed.

        Its values are computed again where the measures need more, or where no sha256 shows that
        the file of values is unchanged; runs always had a sha256.

        Raises:
            ClirBenchError: The run has changed, or its values cannot be computed.
        """
        run_file = result_file(self.path, stored.run_file, f"run_file of {pair}")
        if not is_stored_run(run_file, stored):
            raise DataError(f"{run_file} is missing or damaged")
        values = self._values(pair, stored)
        if values is None:
            qrels = load_again(self.loader, self._checked_pair(pair, stored)).qrels
            values = score(read_run(run_file), qrels, self.measures)
            values_file, values_sha256 = write_values(self.path, pair, values)
            update = {"values_file": values_file, "values_sha256": values_sha256}
            stored = stored.model_copy(update=update)
        self.pairs[pair], self.scores[pair] = stored, values
        self._files[pair] = self._states(pair)

    def _values(self, pair: LanguagePair, stored: PairResult) -> QueryScores | None:
        """Return a stored pair's values, None where they must be computed again."""
        if stored.values_sha256 is None:
            return None
        try:
            values = read_pair_values(self.path, pair, stored)
        except DataError as error:
            logger.warning("pair %s: %s; computing them from its run", pair, error)
            return None
        known = set(self.measures) <= set(values.measures)
        return values.only(self.measures) if known else None

    def _checked_pair(self, pair: LanguagePair, stored: PairResult) -> PreparedPair:
        """Return the checked pair if its data are those of the stored pair."""
        known = self._checked.get(pair)
        if known is None or known.inspection.sha256 != stored.data_sha256:
            prepared = prepare(self.loader, [pair])
            if pair in prepared.failures:
                raise DataError(str(prepared.failures[pair]))
            known = prepared.groups[0].pairs[0]
        if known.inspection.sha256 != stored.data_sha256:
            raise DataError("the data changed since it was run")
        return known

    def _states(self, pair: LanguagePair) -> list[FileState]:
        """Return states that show changes of a pair's files without reading them."""
        known = self.pairs[pair]
        names = (known.run_file, known.values_file)
        return [state_of(result_file(self.path, name, f"a file of {pair}")) for name in names]
