"""Disparity as text tables."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from clir_bench.analysis.disparity.pool import PoolDisparity, PoolMeasure, Preferences
from clir_bench.analysis.disparity.report import Report
from clir_bench.analysis.disparity.summary import Disparity, TierMean
from clir_bench.metrics.means import Estimate
from clir_bench.tasks.languages import resolve

_PARTS = {"pairs": "", "pool": ", one pool of all languages (*-mul)"}


def disparity_text(reports: Sequence[Report]) -> str:
    """Return the tables of all reports: systems beside each other where the task is the same."""
    blocks: list[str] = []
    for key in dict.fromkeys((report.task, report.split) for report in reports):
        same = [report for report in reports if (report.task, report.split) == key]
        parts = dict.fromkeys(part for report in same for part in report.parts)
        for part in parts:
            measures = [d.measure for report in same for d in report.parts.get(part, ())]
            for measure in dict.fromkeys(measures):
                blocks.append(f"{same[0].title}, {key[1]}{_PARTS[part]}: {measure}")
                blocks += _tier_tables(same, part, measure)
        for report in same:
            if report.pool is not None:
                blocks += _pool_tables(report, report.pool)
        blocks += [
            f"{report.system}: not an official result" for report in same if not report.official
        ]
    return "\n\n".join(blocks)


def _tier_tables(reports: Sequence[Report], part: str, measure: str) -> list[str]:
    gaps: list[list[str]] = []
    spreads: list[list[str]] = []
    for report in reports:
        of_measure = [d for d in report.parts.get(part, ()) if d.measure == measure]
        gaps += [row for disparity in of_measure for row in _gap_rows(report.system, disparity)]
        # Only where a pair's language depends on the tiers does the spread.
        alike: dict[tuple[str, ...], list[str]] = {}
        for disparity in of_measure:
            alike.setdefault(_spread_cells(disparity), []).append(disparity.scheme)
        spreads += [[report.system, ", ".join(names), *cells] for cells, names in alike.items()]
    return [
        _table(gaps, ["system", "tiers", "compared", "means", "gap [95%]", "ratio [95%]"], 3),
        _table(
            spreads,
            ["system", "tiers", "languages", "mean", "worst language [95%]", "worst in",
             "standard deviation", "range", "CV", "Gini"],
            2,
        ),
    ]  # fmt: skip


def _gap_rows(system: str, disparity: Disparity) -> list[list[str]]:
    if not disparity.contrasts:
        present = ", ".join(map(_tier, disparity.tiers.values()))
        return [[system, disparity.scheme, f"only {present}", "-", "-", "-"]]
    rows = []
    for contrast in disparity.contrasts:
        upper, lower = disparity.tiers[contrast.upper], disparity.tiers[contrast.lower]
        rows.append(
            [
                system,
                disparity.scheme,
                f"{_tier(upper)} - {_tier(lower)}",
                f"{upper.score.mean:.4f} - {lower.score.mean:.4f}",
                _cell(contrast.gap),
                _cell(contrast.ratio),
            ]
        )
    return rows


def _tier(mean: TierMean) -> str:
    return f"{mean.tier} ({len(mean.languages)})"


def _spread_cells(disparity: Disparity) -> tuple[str, ...]:
    worst, spread = disparity.languages[disparity.worst], disparity.spread
    return (
        str(len(disparity.languages)),
        f"{disparity.overall.mean:.4f}",
        f"{_name(worst.code)} {_cell(worst.score)}",
        f"{disparity.worst_share:.0%}",
        *(
            (
                _cell(spread.standard_deviation),
                _cell(spread.range),
                _cell(spread.variation, n_digits=3),
                _cell(spread.gini, n_digits=3),
            )
            if spread
            else ("-", "-", "-", "-")
        ),
    )


def _pool_tables(report: Report, pool: PoolDisparity) -> list[str]:
    title = (
        f"{report.system}, language bias on the pool of {pool.n_documents:,} documents, "
        "by query language"
    )
    blocks = [title, _bias_table(pool)]
    if pool.preferences is not None:
        blocks.append(_preference_table(pool.preferences, pool.top))
    if pool.rank_distance is not None:
        least, most = pool.rank_distance.at_least.overall, pool.rank_distance.at_most.overall
        if most.mean > least.mean:
            blocks.append(
                f"MRD over the whole pool is between {least.mean:,.0f} and {most.mean:,.0f}: "
                f"what is ranked below {pool.depth:,} is not known."
            )
    else:
        blocks.append(
            "No query has relevant documents in two languages: there is no rank distance here."
        )
    if pool.peer is not None and not pool.peer.informative:
        blocks.append(
            f"PEER@{pool.peer_cutoff} says nothing here: no language has two relevant documents "
            "for one query, and then it does not depend on their ranks."
        )
    return blocks


def _bias_table(pool: PoolDisparity) -> str:
    distance, preferences, peer = pool.rank_distance, pool.preferences, pool.peer
    columns: list[tuple[str, PoolMeasure, int]] = []
    if distance is not None:
        columns += [
            (f"MRD@{pool.depth} [95%]", distance.capped, 1),
            ("all found", distance.all_found, 3),
            ("none found", distance.none_found, 3),
        ]
    if preferences is not None and preferences.own is not None:
        columns.append((f"own language in first {pool.top}, times pool [95%]", preferences.own, 2))
    if preferences is not None:
        columns.append((f"first {pool.top} from pool [95%]", preferences.distance, 3))
    if peer is not None and peer.informative:
        columns.append((f"PEER@{pool.peer_cutoff} [95%]", peer.value, 3))
    rows = [
        [
            "mean" if code is None else _name(code),
            *(
                _cell(_value(measure, code), n_digits=n_digits, interval="[95%]" in name)
                for name, measure, n_digits in columns
            ),
        ]
        for code in (*pool.query_languages, None)
    ]
    return _table(rows, ["query language", *(name for name, _, _ in columns)], 1)


def _value(measure: PoolMeasure, code: str | None) -> Estimate | None:
    return measure.overall if code is None else measure.languages.get(code)


def _preference_table(preferences: Preferences, top: int) -> str:
    rows = [
        [
            _name(code),
            f"{language.pool_share:.2%}",
            f"{language.top_share.mean:.2%}",
            _cell(language.preference, n_digits=2),
            _cell(language.elsewhere, n_digits=2),
        ]
        for code, language in preferences.languages.items()
    ]
    header = ["document language", "share of pool", f"of first {top}", "times pool [95%]",
              "queries in other languages [95%]"]  # fmt: skip
    return _table(rows, header, 1)


def _cell(value: Estimate | None, *, n_digits: int = 4, interval: bool = True) -> str:
    if value is None:
        return "-"
    text = _fixed(value.mean, n_digits)
    if not interval:
        return text
    n = min(n_digits, 3)
    return f"{text} [{_fixed(value.low, n)}, {_fixed(value.high, n)}]"


def _fixed(number: float, n_digits: int) -> str:
    text = f"{number:,.{n_digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def _name(code: str) -> str:
    return f"{code} {resolve(code).name}"


def _table(rows: list[list[str]], header: list[str], n_left: int) -> str:
    align = ["left"] * n_left + ["right"] * (len(header) - n_left)
    return tabulate(rows, header, disable_numparse=True, colalign=align)
