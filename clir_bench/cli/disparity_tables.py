"""Makes the tables of `clir-bench disparity`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from clir_bench.analysis.disparity.pool import PoolDisparity, PoolMeasure, Preferences
from clir_bench.analysis.disparity.report import DisparityReport
from clir_bench.analysis.disparity.summary import Disparity, TierMean
from clir_bench.core.display import fixed
from clir_bench.core.tables import Column, Fold, Note, Table, cut
from clir_bench.metrics.means import Estimate
from clir_bench.results.system_record import with_arithmetic
from clir_bench.tasks.languages import resolve

_LONGEST_NAME = 20
_PARTS = {"pairs": "", "pool": ", one pool of all languages (*-mul)"}


def disparity_tables(reports: Sequence[DisparityReport]) -> list[Table]:
    """Return the tables of all reports, with systems of one task side by side."""
    tables: list[Table] = []
    for key in dict.fromkeys((report.task, report.split) for report in reports):
        same = [report for report in reports if (report.task, report.split) == key]
        parts = dict.fromkeys(part for report in same for part in report.parts)
        for part in parts:
            measures = [d.measure for report in same for d in report.parts.get(part, ())]
            for measure in dict.fromkeys(measures):
                title = f"{same[0].title}, {key[1]}{_PARTS[part]}: {measure}"
                tables += _tier_tables(title, same, part, measure)
        for report in same:
            if report.pool is not None:
                tables += _pool_tables(report, report.pool)
        unofficial = (f"{report.system}: not an official result" for report in same
                      if not report.official)  # fmt: skip
        tables.append(Table(notes=tuple(unofficial)))
    return tables


def _tier_tables(
    title: str, reports: Sequence[DisparityReport], part: str, measure: str
) -> list[Table]:
    gaps: list[list[Any]] = []
    spreads: list[list[Any]] = []
    for report in reports:
        of_measure = [d for d in report.parts.get(part, ()) if d.measure == measure]
        gaps += [row for disparity in of_measure for row in _gap_rows(report.system, disparity)]
        # Only where a pair's language depends on the tiers does the spread.
        alike: dict[tuple[Any, ...], list[str]] = {}
        for disparity in of_measure:
            alike.setdefault(_spread_cells(disparity), []).append(disparity.scheme)
        spreads += [[report.system, names, *cells] for cells, names in alike.items()]
    system = _system_column([report.system for report in reports])
    about = tuple(
        f"{report.system} ran in {report.dtype}" for report in reports if report.dtype != "float32"
    )
    return [
        Table(
            title,
            [
                system, Column("tiers"), Column("compared"),
                Column("means", right=True, drop=10),
                _estimate("gap", 120), _estimate("ratio", 20, drop=60),
            ],
            gaps, about=about,
        ),
        Table(
            "",
            [
                system, Column("tiers"),
                Column("languages", right=True, drop=20),
                Column("mean", fixed, right=True),
                Column(
                    "worst language [95%]", _worst, right=True,
                    folds=(Fold(10, "worst language", partial(_worst, interval=False)),),
                ),
                Column("worst in", "{:.0%}".format, right=True, drop=30),
                _estimate("standard deviation", 10, short="SD"), _estimate("range", 10, drop=40),
                _estimate("CV", 10, 3, drop=60), _estimate("Gini", 10, 3, drop=50),
            ],
            spreads,
        ),
    ]  # fmt: skip


def _system_column(names: Sequence[str]) -> Column:
    """Return the column of systems; long names are cut where all stay different."""
    short = {name: cut(name, _LONGEST_NAME) for name in names}
    if len({*short.values()}) < len(short):
        return Column("system")
    fold = Fold(7, "system", lambda name: short[name], "parts of long names")
    return Column("system", folds=(fold,))


def _gap_rows(system: str, disparity: Disparity) -> list[list[Any]]:
    if not disparity.contrasts:
        present = ", ".join(map(_tier, disparity.tiers.values()))
        return [[system, disparity.scheme, f"only {present}", None, None, None]]
    rows: list[list[Any]] = []
    for contrast in disparity.contrasts:
        upper, lower = disparity.tiers[contrast.upper], disparity.tiers[contrast.lower]
        compared = f"{_tier(upper)} - {_tier(lower)}"
        means = f"{upper.score.mean:.4f} - {lower.score.mean:.4f}"
        rows.append([system, disparity.scheme, compared, means, contrast.gap, contrast.ratio])
    return rows


def _tier(mean: TierMean) -> str:
    return f"{mean.tier} ({len(mean.languages)})"


def _spread_cells(disparity: Disparity) -> tuple[Any, ...]:
    worst, spread = disparity.languages[disparity.worst], disparity.spread
    return (
        len(disparity.languages),
        disparity.overall.mean,
        (_name(worst.code), worst.score),
        disparity.worst_share,
        *(
            (spread.standard_deviation, spread.range, spread.variation, spread.gini)
            if spread
            else (None, None, None, None)
        ),
    )


def _worst(worst: tuple[str, Estimate], interval: bool = True) -> str:
    name, score = worst
    return f"{name} {_cell(score, interval=interval)}"


def _pool_tables(report: DisparityReport, pool: PoolDisparity) -> list[Table]:
    system = with_arithmetic(report.system, report.dtype)
    title = (
        f"{system}, language bias on the pool of {pool.n_documents:,} documents, by query language"
    )
    notes: list[Note] = []
    if pool.rank_distance is not None:
        least, most = pool.rank_distance.at_least.overall, pool.rank_distance.at_most.overall
        if most.mean > least.mean:
            notes.append(
                f"MRD over the whole pool is between {least.mean:,.0f} and {most.mean:,.0f}: "
                f"what is ranked below {pool.depth:,} is not known."
            )
    else:
        notes.append("No query has relevant documents in two languages: there is no rank distance.")
    if pool.peer is not None and not pool.peer.informative:
        notes.append(
            f"PEER@{pool.peer_cutoff} says nothing here: no language has two relevant documents "
            "for one query, and then it does not depend on their ranks."
        )
    tables = [_bias_table(title, pool)]
    if pool.preferences is not None:
        tables.append(_preference_table(pool.preferences, pool.top))
    return [*tables, Table(notes=tuple(notes))]


def _bias_table(title: str, pool: PoolDisparity) -> Table:
    distance, preferences, peer = pool.rank_distance, pool.preferences, pool.peer
    columns: list[tuple[PoolMeasure, Column]] = []
    if distance is not None:
        columns += [
            (distance.capped, _estimate(f"MRD@{pool.depth}", 50, 1)),
            (distance.all_found, Column("all found", _mean, right=True, drop=30)),
            (distance.none_found, Column("none found", _mean, right=True, drop=20)),
        ]
    if preferences is not None and preferences.own is not None:
        own = f"own language in first {pool.top}, times pool"
        columns.append((preferences.own, _estimate(own, 40, 2, drop=70, short="own/pool")))
    if preferences is not None:
        name = f"first {pool.top} from pool"
        columns.append((preferences.distance, _estimate(name, 40, 3, drop=60, short="from pool")))
    if peer is not None and peer.informative:
        columns.append((peer.value, _estimate(f"PEER@{pool.peer_cutoff}", 40, 3, drop=80)))
    rows = [
        [
            "mean" if code is None else _name(code),
            *(measure.overall if code is None else measure.languages.get(code)
              for measure, _ in columns),
        ]
        for code in (*pool.query_languages, None)
    ]  # fmt: skip
    return Table(title, [Column("query language"), *(column for _, column in columns)], rows)


def _preference_table(preferences: Preferences, top: int) -> Table:
    rows = [
        [
            _name(code), language.pool_share, language.top_share.mean, language.preference,
            language.elsewhere,
        ]
        for code, language in preferences.languages.items()
    ]  # fmt: skip
    columns = [
        Column("document language"),
        Column("share of pool", "{:.2%}".format, right=True, drop=50),
        Column(f"of first {top}", "{:.2%}".format, right=True, drop=60),
        _estimate("times pool", 120, 2),
        _estimate("queries in other languages", 20, 2, drop=70, short="queries elsewhere"),
    ]
    return Table("", columns, rows)


def _estimate(
    name: str, order: int, n_digits: int = 4, *, drop: int | None = None, short: str = ""
) -> Column:
    """Return a column of estimates.

    Args:
        name: Its heading.
        order: Order of the step that drops the intervals.
        n_digits: Decimals of the value.
        drop: Order of the step that drops the column.
        short: A shorter heading.
    """
    whole: Callable[[Estimate | None], str] = partial(_cell, n_digits=n_digits)
    alone: Callable[[Estimate | None], str] = partial(_cell, n_digits=n_digits, interval=False)
    folds = [Fold(5, f"{short} [95%]", whole)] if short else []
    folds.append(Fold(order, short or name, alone, "intervals"))
    return Column(f"{name} [95%]", whole, right=True, drop=drop, folds=tuple(folds))


def _mean(value: Estimate | None) -> str:
    return _cell(value, n_digits=3, interval=False)


def _cell(value: Estimate | None, *, n_digits: int = 4, interval: bool = True) -> str:
    if value is None:
        return "-"
    text = fixed(value.mean, n_digits)
    n = min(n_digits, 3)
    return f"{text} [{fixed(value.low, n)}, {fixed(value.high, n)}]" if interval else text


def _name(code: str) -> str:
    return f"{code} {resolve(code).name}"
