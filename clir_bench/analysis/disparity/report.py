"""Makes the disparity report of one stored result: for each tier scheme, and for its pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from clir_bench.analysis.disparity.pool import PoolDisparity, PoolMeasure
from clir_bench.analysis.disparity.summary import Disparity, apart, disparity_of
from clir_bench.errors import UsageError
from clir_bench.metrics.means import Estimate
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.tasks.languages import TierScheme
from clir_bench.types import LanguagePair


@dataclass(frozen=True)
class DisparityReport:
    """The disparity of one result.

    Attributes:
        parts: "pairs" and "pool" (queries of each language to a pool of several), as far as the
            result has them, to one disparity per tier scheme and measure.
        pool: Language bias over the pool, None without a pool or when not asked for.
        dtype: The arithmetic that ran.
    """

    system: str
    task: str
    title: str
    split: str
    official: bool
    parts: Mapping[str, Sequence[Disparity]]
    pool: PoolDisparity | None
    dtype: str = "float32"


class DisparityRow(NamedTuple):
    """One number of a report, as a line of its CSV.

    Attributes:
        part: "pairs" or "pool".
        measure: The measure, such as "AP@1000" or "MRD@1000".
        scheme: Tier scheme, "" where the number does not depend on it.
        statistic: "mean", "gap", "ratio", "worst language", ...
        of: The language or the tiers of the number, "all" for all languages.
        low: Lower end of the 95% interval, None where there is none.
        high: Upper end.
    """

    system: str
    task: str
    split: str
    part: str
    measure: str
    scheme: str
    statistic: str
    of: str
    value: float
    low: float | None
    high: float | None


def report_of(
    result: Result,
    scores: Mapping[LanguagePair, QueryScores],
    schemes: Sequence[TierScheme],
    *,
    measures: Sequence[str],
) -> DisparityReport:
    """Return the report of a result, without its pool (see `pool.pool_disparity`).

    Args:
        result: As stored.
        scores: Per-query values of its done pairs for all its measures: drawing for one measure
            alone can differ from the result in the last digit.
        schemes: Tier schemes to report.
        measures: Those of the result's measures to report, by their canonical names.

    Raises:
        UsageError: No pair is done, or the result lacks one of the measures.
    """
    if missing := [measure for measure in measures if measure not in result.task.measures]:
        raise UsageError(
            f"{result.system.name} on {result.task.id}: the result has no {', '.join(missing)}; "
            f"it has {', '.join(result.task.measures)}"
        )
    parts = apart(scores) or {"pairs": {}}
    return DisparityReport(
        system=result.system.name,
        task=result.task.id,
        title=result.task.title,
        split=result.task.split,
        official=result.task.official,
        parts={
            part: [
                disparity
                for scheme in schemes
                for measure, disparity in disparity_of(result, some, scheme).items()
                if measure in measures
            ]
            for part, some in parts.items()
        },
        pool=None,
        dtype=result.system.dtype,
    )


def as_record(value: object) -> Any:
    """Return a report, or any part of it, as JSON values; an estimate becomes a `schema.Score`."""
    if isinstance(value, Estimate):
        return {"mean": value.mean, "interval": [value.low, value.high]}
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value) if field.repr)
        return {name: as_record(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): as_record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_record(item) for item in value]
    return value


def as_rows(report: DisparityReport) -> list[DisparityRow]:
    """Return every number of a report as a row."""
    rows = [
        _row(report, (part, disparity.measure, disparity.scheme), number)
        for part, disparities in report.parts.items()
        for disparity in disparities
        for number in _tier_numbers(disparity)
    ]
    if report.pool is not None:
        rows += [
            _row(report, ("pool", measure, ""), number)
            for measure, number in _pool_numbers(report.pool)
        ]
    return rows


_Number = tuple[str, str, Estimate | float]
"""A statistic, what it is of, and its value."""


def _row(report: DisparityReport, key: tuple[str, str, str], number: _Number) -> DisparityRow:
    statistic, of, value = number
    numbers: tuple[float, float | None, float | None] = (
        (value.mean, value.low, value.high) if isinstance(value, Estimate) else (value, None, None)
    )
    return DisparityRow(report.system, report.task, report.split, *key, statistic, of, *numbers)


def _tier_numbers(disparity: Disparity) -> Iterator[_Number]:
    yield "mean", "all", disparity.overall
    for tier, tier_mean in disparity.tiers.items():
        yield "tier mean", tier, tier_mean.score
    for code, language in disparity.languages.items():
        yield "language mean", code, language.score
    for contrast in disparity.contrasts:
        yield "gap", f"{contrast.upper} - {contrast.lower}", contrast.gap
        if contrast.ratio is not None:
            yield "ratio", f"{contrast.lower} / {contrast.upper}", contrast.ratio
    yield "worst language", disparity.worst, disparity.languages[disparity.worst].score
    yield "share of replicates with that worst language", disparity.worst, disparity.worst_share
    if disparity.spread is not None:
        for name, value in (
            ("standard deviation", disparity.spread.standard_deviation),
            ("range", disparity.spread.range),
            ("coefficient of variation", disparity.spread.variation),
            ("Gini coefficient", disparity.spread.gini),
        ):
            if value is not None:
                yield name, "all", value


def _pool_numbers(pool: PoolDisparity) -> Iterator[tuple[str, _Number]]:
    if (distance := pool.rank_distance) is not None:
        name = f"MRD@{pool.depth}"
        for statistic, measure in (
            ("mean", distance.capped),
            ("least over the whole pool", distance.at_least),
            ("most over the whole pool", distance.at_most),
            ("share of queries with every language found", distance.all_found),
            ("share of queries with none found", distance.none_found),
        ):
            for number in _by_language(statistic, measure):
                yield name, number
    if (preferences := pool.preferences) is not None:
        name = f"language preference@{pool.top}"
        for number in _by_language("distance from the pool's shares", preferences.distance):
            yield name, number
        if preferences.own is not None:
            for number in _by_language("preference for the query's language", preferences.own):
                yield name, number
        for code, language in preferences.languages.items():
            yield name, ("share of the pool", code, language.pool_share)
            yield name, (f"share of the first {_word(pool.top)}", code, language.top_share)
            yield name, ("preference", code, language.preference)
            if language.elsewhere is not None:
                yield name, ("preference, queries in other languages", code, language.elsewhere)
    if pool.peer is not None:
        name = f"PEER@{pool.peer_cutoff}"
        yield name, ("share of informative queries", "all", pool.peer.informative)
        for number in _by_language("mean", pool.peer.value):
            yield name, number


def _word(number: int) -> str:
    return "ten" if number == 10 else str(number)


def _by_language(statistic: str, measure: PoolMeasure) -> Iterator[_Number]:
    yield statistic, "all", measure.overall
    for code, value in measure.languages.items():
        yield statistic, code, value
