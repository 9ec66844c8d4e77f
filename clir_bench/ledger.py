"""What is known of one result while it is being made, and what an earlier run has done already."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clir_bench.adapters.source import sha256_of
from clir_bench.cards import SAMPLE, TaskCard
from clir_bench.errors import ClirBenchError, ResultError
from clir_bench.languages import TierScheme, pair_language, pair_tier
from clir_bench.preparation import Loader, PreparedPair
from clir_bench.results import (
    locked,
    read_result,
    read_values,
    system_folder,
    write_result,
    write_run,
    write_values,
)
from clir_bench.runs import read_run
from clir_bench.schema import (
    ApproximateSearch,
    Cost,
    PairCounts,
    PairResult,
    Result,
    SettingsRecord,
    SystemRecord,
    TaskRecord,
)
from clir_bench.scoring import QueryScores, score
from clir_bench.summary import environment_record, has_pairs_and_pool, means_of
from clir_bench.types import LanguagePair, Run

logger = logging.getLogger(__name__)


@dataclass
class Ledger:
    """One result in the making.

    Attributes:
        path: Where it is stored.
        pairs: What is known of each pair.
        scores: Per-query values of the pairs that are done.
        requested: The pairs this run was asked for.
    """

    path: Path
    system: SystemRecord
    card: TaskCard
    split: str
    measures: tuple[str, ...]
    scheme: TierScheme
    settings: SettingsRecord
    limit: int | None
    command: str
    requested: tuple[LanguagePair, ...]
    pairs: dict[LanguagePair, PairResult] = field(default_factory=dict)
    scores: dict[LanguagePair, QueryScores] = field(default_factory=dict)
    _earlier: dict[LanguagePair, PairResult] = field(default_factory=dict)
    _seen: dict[LanguagePair, str | None] = field(default_factory=dict)
    _started: float = field(default_factory=time.time)

    def look(self) -> None:
        """Note which pairs are stored at `path` now; those that come later are another process'."""
        stored = self._stored()
        self._seen = {pair: result.run_sha256 for pair, result in stored.items()}

    def resume(self) -> None:
        """Read what an earlier run left at `path`, if anything.

        Raises:
            ResultError: It was made by another system, card or cut-off, or cannot be read.
        """
        if not self.path.exists():
            return
        try:
            earlier = read_result(self.path)
        except ResultError as error:
            raise ResultError(f"{error} (--overwrite replaces it)") from error
        differences = self._differences(earlier)
        if differences or not isinstance(earlier, Result):
            raise ResultError(
                f"{self.path} holds a result with another {', '.join(differences)}; "
                "write elsewhere with --output, or replace it with --overwrite"
            )
        for name, result in earlier.pairs.items():
            if result.status == "done":
                self._earlier[LanguagePair.parse(name)] = result

    def carry_over(self, prepared: Mapping[LanguagePair, PreparedPair], loader: Loader) -> None:
        """Keep the pairs done earlier whose data and files are what they were."""
        for pair, was in self._earlier.items():
            earlier, now = was, prepared.get(pair)
            fate = "running it again"
            if pair not in self.requested:
                fate = "it is left out of the result, as it was not asked for this time"
            if now is not None and now.inspection.sha256 != earlier.data_sha256:
                logger.warning("pair %s: the data changed since it was run; %s", pair, fate)
                continue
            run_file = self.path.parent / str(earlier.run_file)
            if not run_file.is_file() or sha256_of(run_file) != earlier.run_sha256:
                logger.warning("pair %s: %s is missing or damaged; %s", pair, run_file, fate)
                continue
            try:
                values = self._earlier_scores(pair, earlier, loader)
            except ClirBenchError as error:
                logger.warning("pair %s: %s; %s", pair, error, fate)
                continue
            if now is not None:
                earlier = earlier.model_copy(
                    update={"unofficial": now.unofficial, "official": not now.unofficial}
                )
            self.pairs[pair], self.scores[pair] = earlier, values

    def done(
        self,
        prepared: PreparedPair,
        run: Run,
        scores: QueryScores,
        cost: Cost | None,
        approximate: ApproximateSearch | None = None,
    ) -> None:
        """Record a pair and store its files.

        Raises:
            OutputError: They cannot be written.
        """
        inspection = prepared.inspection
        # Both files first: a pair of which one could not be written is not done.
        tag = system_folder(self.system.name)
        run_file, run_sha256 = write_run(self.path, prepared.pair, run, tag)
        values_file = write_values(self.path, prepared.pair, scores)
        self.scores[prepared.pair] = scores
        self.pairs[prepared.pair] = PairResult(
            tier=pair_tier(prepared.pair, self.scheme),
            language=pair_language(prepared.pair, self.scheme),
            status="done",
            official=not prepared.unofficial,
            unofficial=prepared.unofficial,
            counts=PairCounts(
                **inspection.counts._asdict(),
                judged_queries=inspection.n_judged_queries,
                empty_documents=inspection.n_empty_documents,
                retrieved=sum(len(ids) for ids in run.doc_ids),
            ),
            data_sha256=inspection.sha256,
            cost=cost,
            run_file=run_file,
            run_sha256=run_sha256,
            values_file=values_file,
            approximate=approximate,
        )

    def failed(self, pair: LanguagePair, error: str) -> None:
        """Record a pair that could not be run; one done earlier is kept."""
        logger.info("pair %s failed: %s", pair, error)
        if pair not in self.pairs:
            self.pairs[pair] = self._unscored(pair, "failed", error)

    def save(self, unofficial: tuple[str, ...] = ()) -> Result:
        """Store and return the result as it stands.

        Args:
            unofficial: Why the files that were read are not the official ones.

        Raises:
            OutputError: It cannot be written.
        """
        with locked(self.path):
            self._adopt()
            result = self._result(unofficial)
            write_result(self.path, result)
            self.look()
        return result

    def _adopt(self) -> None:
        """Take over pairs that another process has stored since this one last looked.

        Jobs that run some languages each, of one system and task, write one result.
        """
        for pair, theirs in self._stored().items():
            if pair in self.scores or self._seen.get(pair) == theirs.run_sha256:
                continue
            try:
                values = read_values(self.path.parent / str(theirs.values_file))
                self.scores[pair] = values.only(self.measures)
            except ClirBenchError as error:
                logger.warning("pair %s, stored by another process, is left out: %s", pair, error)
            else:
                self.pairs[pair] = theirs

    def _stored(self) -> dict[LanguagePair, PairResult]:
        """Return the pairs that are done in a stored result of the same kind, if there is one."""
        try:
            stored = read_result(self.path)
        except ResultError:
            return {}
        if not isinstance(stored, Result) or self._differences(stored):
            return {}
        return {
            LanguagePair.parse(name): result
            for name, result in stored.pairs.items()
            if result.status == "done"
        }

    def _result(self, unofficial: tuple[str, ...]) -> Result:
        if self.settings.index is not None:
            inexact = f"searched by the approximate index {self.settings.index}, not exactly"
            unofficial = (*unofficial, inexact)
        pairs: dict[str, PairResult] = {}
        for pair in dict.fromkeys((*self.card.official_pairs(), *self.requested, *self.pairs)):
            known = self.pairs.get(pair) or self._unscored(pair, "not run")
            if known.status == "done":
                reasons = tuple(dict.fromkeys((*known.unofficial, *unofficial)))
                update = {"unofficial": reasons, "official": not reasons}
                known = known.model_copy(update=update)
            pairs[str(pair)] = known
        means = means_of(
            self.scores,
            self.scheme,
            pooled=has_pairs_and_pool(self.card),
            parallel_queries=self.card.parallel_queries,
            settings=self.settings,
        )
        return Result(
            system=self.system,
            task=self._task_record(pairs),
            settings=self.settings,
            environment=environment_record(self.command, self._started),
            pairs=means.told(pairs),
            languages=means.languages,
            tiers=means.tiers,
            overall=means.overall,
            pool=means.pool,
        )

    def _task_record(self, pairs: Mapping[str, PairResult]) -> TaskRecord:
        done = {name: pair for name, pair in pairs.items() if pair.status == "done"}
        reasons = dict.fromkeys(reason for pair in done.values() for reason in pair.unofficial)
        official_pairs = [str(pair) for pair in self.card.official_pairs()]
        hashes = "\n".join(f"{name} {done[name].data_sha256}" for name in sorted(done))
        return TaskRecord(
            id=self.card.id,
            title=self.card.title,
            version=self.card.version,
            card_sha256=self.card.sha256(),
            split=self.split,
            measures=self.measures,
            parallel_queries=self.card.parallel_queries,
            official=bool(done) and not reasons,
            unofficial=tuple(reasons),
            sample=self.split == SAMPLE,
            limit=self.limit,
            complete=all(name in done for name in official_pairs),
            data_sha256=hashlib.sha256(hashes.encode()).hexdigest(),
        )

    def _unscored(
        self, pair: LanguagePair, status: Literal["failed", "not run"], error: str | None = None
    ) -> PairResult:
        return PairResult(
            tier=pair_tier(pair, self.scheme),
            language=pair_language(pair, self.scheme),
            status=status,
            error=error,
        )

    def _differences(self, earlier: object) -> list[str]:
        if not isinstance(earlier, Result):
            return ["kind of result (a suite's)"]
        found = []
        if earlier.system.fingerprint() != self.system.fingerprint():
            found.append(f"system ({earlier.system.name} {earlier.system.revision})")
        if earlier.task.card_sha256 != self.card.sha256():
            found.append("version of the task's card")
        if earlier.settings.top_k != self.settings.top_k:
            found.append(f"--top-k ({earlier.settings.top_k})")
        if earlier.settings.index != self.settings.index:
            found.append(f"--index ({earlier.settings.index or 'exact'})")
        return found

    def _earlier_scores(
        self, pair: LanguagePair, earlier: PairResult, loader: Loader
    ) -> QueryScores:
        folder = self.path.parent
        values = read_values(folder / str(earlier.values_file))
        if set(self.measures) <= set(values.measures):
            return values.only(self.measures)
        qrels = loader.load(pair).qrels
        rescored = score(read_run(folder / str(earlier.run_file)), qrels, self.measures)
        write_values(self.path, pair, rescored)
        return rescored
