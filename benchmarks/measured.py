"""Write the tables of leaderboards/measured.md from stored results.

export CLIR_BENCH_DATA=...
clir-bench run -m hashing -m all-minilm-l6-v2 -t xquad -t xquad-r -t tatoeba -t mtop -t afriqa
clir-bench run -m hashing -t miracl-mini
python benchmarks/measured.py results > leaderboards/measured.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from tabulate import tabulate

from clir_bench.cli.tables import TIER_ORDER, format_score
from clir_bench.results.schema import Group, PoolMeans, Result
from clir_bench.results.store import read_result
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.languages import resolve

TASKS = ("xquad", "xquad-r", "tatoeba", "mtop-translation", "mtop-intent", "afriqa", "miracl-mini")
SYSTEMS = ("hashing", "all-minilm-l6-v2")

HEAD = """\
# Measured

Every number was printed by the commands below on one machine with two CPU cores. Numbers in
brackets are 95% bootstrap intervals. `hashing` is a baseline without weights: it only compares
character n-grams. all-MiniLM-L6-v2 is an English model. Tiers are by Joshi class. Neither system
was made for these languages: the tables show what the tasks measure, not which system is good.

    export CLIR_BENCH_DATA=...
    clir-bench run -m hashing -m all-minilm-l6-v2 -t xquad -t xquad-r -t tatoeba -t mtop -t afriqa
    clir-bench run -m hashing -t miracl-mini
    python benchmarks/measured.py results > leaderboards/measured.md
"""


def main() -> None:
    """Print the file."""
    folder = Path(sys.argv[1])
    print(HEAD)
    for task in TASKS:
        card = load_card(task)
        assert isinstance(card, TaskCard)
        results = [
            result
            for system in SYSTEMS
            if (path := folder / system / task / f"{card.default_split}.json").is_file()
            and isinstance(result := read_result(path), Result)
        ]
        if results:
            print(section(card, results))


def section(card: TaskCard, results: list[Result]) -> str:
    """Return one task's tables: tiers for every measure, languages for the primary one."""
    lines = [f"## {card.title} (`{card.id}`, {card.default_split})", ""]
    if card.unofficial:
        lines += [f"Unofficial: {' '.join(card.unofficial.split())}", ""]
    lines += [tiers(results), "", languages(results), ""]
    if any(result.pool is not None for result in results):
        lines += ["One pool of all languages:", "", tiers(results, pool=True), ""]
        lines += [languages(results, pool=True), ""]
    return "\n".join(lines)


def tiers(results: list[Result], *, pool: bool = False) -> str:
    """Return tier and overall means of every system."""
    measures = results[0].task.measures
    rows = []
    for result in results:
        means = means_of(result, pool)
        for tier in TIER_ORDER:
            if tier in means.tiers.means:
                group = means.tiers.means[tier]
                label = f"{tier} ({len(group.members)})"
                rows.append([result.system.name, label, *cells(group.scores, measures)])
        rows.append([result.system.name, "all", *cells(means.overall, measures)])
        if means.tiers.gap:
            label = "gap, high - low"
            rows.append([result.system.name, label, *cells(means.tiers.gap, measures)])
    return tabulate(rows, ["system", "tier", *measures], tablefmt="github", disable_numparse=True)


def languages(results: list[Result], *, pool: bool = False) -> str:
    """Return the primary measure by language, a column a system."""
    measure = results[0].task.measures[0]
    groups: list[dict[str, Group]] = [means_of(result, pool).languages for result in results]
    rows = []
    for tier in TIER_ORDER:
        for code in sorted(c for c, group in groups[0].items() if group.tier == tier):
            scores = [format_score(g[code].scores[measure]) if code in g else "-" for g in groups]
            rows.append([tier, f"{code} {resolve(code).name}", *scores])
    header = ["tier", measure, *(result.system.name for result in results)]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def means_of(result: Result, pool: bool) -> Result | PoolMeans:
    """Return the means over pairs, or over the pool."""
    if not pool:
        return result
    assert result.pool is not None
    return result.pool


def cells(scores: dict[str, object], measures: tuple[str, ...]) -> list[str]:
    """Return the primary measure with its interval, the others without."""
    return [
        format_score(scores.get(measure), interval=number == 0)  # type: ignore[arg-type]
        for number, measure in enumerate(measures)
    ]


if __name__ == "__main__":
    main()
