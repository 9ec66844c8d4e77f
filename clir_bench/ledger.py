"""What is known of one result while it is being made, and what an earlier run has done already."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clir_bench.adapters.source import sha256_of
from clir_bench.aggregate import Summary, summarise
from clir_bench.cards import SAMPLE, TaskCard, load_card
from clir_bench.errors import ClirBenchError, ResultError
from clir_bench.languages import TierScheme, load_scheme, pair_language, pair_tier
from clir_bench.preparation import Loader, PreparedPair
from clir_bench.results import (
    Cost,
    PairCounts,
    PairResult,
    PoolMeans,
    Result,
    SettingsRecord,
    SystemRecord,
    TaskRecord,
    read_result,
    read_values,
    write_result,
    write_run,
    write_values,
)
from clir_bench.runs import read_run
from clir_bench.scoring import QueryScores, score
from clir_bench.summary import (
    as_groups,
    as_scores,
    environment_record,
    has_pairs_and_pool,
    is_pool,
    tier_summary,
)
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
    _started: float = field(default_factory=time.time)

    def resume(self) -> None:
        """Read what an earlier run left at `path`, if anything.

        Raises:
            ResultError: It was made by another system, card or cut-off, or cannot be read.
        """
        if not self.path.exists():
            return
        earlier = read_result(self.path)
        differences = self._differences(earlier)
        if differences or not isinstance(earlier, Result):
            raise ResultError(
                f"{self.path} holds a result with another {', '.join(differences)}; "
                "write elsewhere with --output, or replace it with --overwrite"
            )
        for name, result in earlier.pairs.items():
            query, _, document = name.partition("-")
            if result.status == "done":
                self._earlier[LanguagePair(query, document)] = result

    def carry_over(self, prepared: Mapping[LanguagePair, PreparedPair], loader: Loader) -> None:
        """Keep the pairs done earlier whose data and files are what they were."""
        for pair, was in self._earlier.items():
            earlier, now = was, prepared.get(pair)
            if now is not None and now.inspection.sha256 != earlier.data_sha256:
                logger.warning("pair %s: the data changed since it was run; running it again", pair)
                continue
            try:
                values = self._earlier_scores(pair, earlier, loader)
            except ClirBenchError as error:
                logger.warning("pair %s: %s; running it again", pair, error)
                continue
            run_file = self.path.parent / str(earlier.run_file)
            if not run_file.is_file() or sha256_of(run_file) != earlier.run_sha256:
                logger.warning("pair %s: %s is damaged; running it again", pair, run_file)
                continue
            if now is not None:
                earlier = earlier.model_copy(
                    update={"unofficial": now.unofficial, "official": not now.unofficial}
                )
            self.pairs[pair], self.scores[pair] = earlier, values

    def done(
        self, prepared: PreparedPair, run: Run, scores: QueryScores, cost: Cost | None
    ) -> None:
        """Record a pair and store its files.

        Raises:
            OutputError: They cannot be written.
        """
        inspection = prepared.inspection
        run_file, run_sha256 = write_run(self.path, prepared.pair, run, self.system.name)
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
            values_file=write_values(self.path, prepared.pair, scores),
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
        result = self._result(unofficial)
        write_result(self.path, result)
        return result

    def retold(self, result: Result) -> Result:
        """Return `result` with its means as this ledger's scheme and scores give them."""
        self.pairs = {
            LanguagePair(*name.split("-", 1)): pair
            for name, pair in result.pairs.items()
            if pair.status != "not run"
        }
        told = self._result(())
        return told.model_copy(update={"task": result.task, "environment": result.environment})

    def _result(self, unofficial: tuple[str, ...]) -> Result:
        pooled = has_pairs_and_pool(self.card)
        main = self._summarise([pair for pair in self.scores if not (pooled and is_pool(pair))])
        pool = self._summarise([pair for pair in self.scores if pooled and is_pool(pair)])
        estimates = {**(main.pairs if main else {}), **(pool.pairs if pool else {})}
        pairs: dict[str, PairResult] = {}
        for pair in dict.fromkeys((*self.card.official_pairs(), *self.requested, *self.pairs)):
            known = self.pairs.get(pair) or self._unscored(pair, "not run")
            if pair in estimates:
                reasons = tuple(dict.fromkeys((*known.unofficial, *unofficial)))
                known = known.model_copy(
                    update={
                        "scores": as_scores(estimates[pair]),
                        "tier": pair_tier(pair, self.scheme),
                        "language": pair_language(pair, self.scheme),
                        "unofficial": reasons,
                        "official": not reasons,
                    }
                )
            pairs[str(pair)] = known
        return Result(
            system=self.system,
            task=self._task_record(pairs),
            settings=self.settings,
            environment=environment_record(self.command, self._started),
            pairs=pairs,
            languages=as_groups(main.languages) if main else {},
            tiers=tier_summary(self.scheme, main),
            overall=as_scores(main.overall) if main else {},
            pool=PoolMeans(
                languages=as_groups(pool.languages),
                tiers=tier_summary(self.scheme, pool),
                overall=as_scores(pool.overall),
            )
            if pool
            else None,
        )

    def _summarise(self, pairs: Sequence[LanguagePair]) -> Summary | None:
        if not pairs:
            return None
        return summarise(
            {pair: self.scores[pair] for pair in pairs},
            self.scheme,
            parallel_queries=self.card.parallel_queries,
            n_resamples=self.settings.n_resamples,
            seed=self.settings.seed,
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
        return found

    def _earlier_scores(
        self, pair: LanguagePair, earlier: PairResult, loader: Loader
    ) -> QueryScores:
        folder = self.path.parent
        values = read_values(folder / str(earlier.values_file))
        if set(self.measures) <= set(values.measures):
            columns = [values.measures.index(measure) for measure in self.measures]
            return QueryScores(values.query_ids, self.measures, values.values[:, columns])
        qrels = loader.load(pair).qrels
        rescored = score(read_run(folder / str(earlier.run_file)), qrels, self.measures)
        write_values(self.path, pair, rescored)
        return rescored


def with_tiers(
    result: Result, scores: Mapping[LanguagePair, QueryScores], scheme_name: str
) -> Result:
    """Return a result under another tier scheme, from its per-query values.

    Args:
        result: As stored.
        scores: Its pairs' per-query values (`results.read_scores`).
        scheme_name: Name of a tier scheme, or a path to one.

    Raises:
        UnknownNameError: There is no such scheme.
        CardError: The task's card is no longer there.
    """
    card = load_card(result.task.id)
    if not isinstance(card, TaskCard):
        raise ResultError(f"{result.task.id!r} is a suite now; it was a task when this was run")
    ledger = Ledger(
        path=Path(),
        system=result.system,
        card=card.for_sample() if result.task.sample else card,
        split=result.task.split,
        measures=result.task.measures,
        scheme=load_scheme(scheme_name),
        settings=result.settings,
        limit=result.task.limit,
        command=result.environment.command,
        requested=tuple(scores),
        scores=dict(scores),
    )
    return ledger.retold(result)
