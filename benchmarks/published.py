"""Compare scores measured here with scores published elsewhere, pair by pair.

    CLIR_BENCH_DATA=FOLDER python benchmarks/published.py [--task xquad] [--output results]

Published values are read from `tests/data/published/<model>.csv`, whose last column says where
each is from. Pairs that a result under `--output` already has are not run again. The tables are
Markdown; the exit code is 1 if an nDCG@10 differs by more than 0.002 or a pair has no score.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from clir_bench.core import plugins as registry
from clir_bench.core.progress import Bar
from clir_bench.encoders import load_encoder
from clir_bench.errors import ClirBenchError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.store import read_scores, result_path
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair, Query

PUBLISHED = Path(__file__).parents[1] / "tests" / "data" / "published"
MEASURE = "nDCG@10"
TOLERANCE = 0.002


class Published(NamedTuple):
    """One row of a file of published values."""

    task: str
    pair: LanguagePair
    measure: str
    value: float
    source: str


class Comparison(NamedTuple):
    """A published mean and the same measured here.

    Attributes:
        ours: Mean over all judged queries, None where the pair failed.
        once: Mean with queries of equal text counted once, as mteb does; None likewise.
        n_repeated: Queries that `once` leaves out.
    """

    published: Published
    ours: float | None
    once: float | None
    n_repeated: int

    @property
    def difference(self) -> float:
        """Ours minus the published value; infinite where the pair failed."""
        return float("inf") if self.ours is None else self.ours - self.published.value


def read_published(path: Path) -> list[Published]:
    """Read published values: columns task, pair, measure, value, source."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Published(
                row["task"],
                LanguagePair(*row["pair"].split("-")),
                row["measure"],
                float(row["value"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]


def distinct(queries: Iterable[Query]) -> set[str]:
    """Return the ids that stay when queries of equal text, outer spaces aside, are one.

    The last of them stays, as in mteb's XQuADRetrieval.

    >>> sorted(distinct([Query("1", "Who?"), Query("2", "When?"), Query("3", "Who? ")]))
    ['2', '3']
    """
    return set({query.text.strip(): query.query_id for query in queries}.values())


def mean(scores: QueryScores, measure: str, query_ids: set[str] | None = None) -> float:
    """Return a measure's mean over all queries, or over some of them."""
    column = scores.measures.index(measure)
    values = [
        float(row[column])
        for query_id, row in zip(scores.query_ids, scores.values, strict=True)
        if query_ids is None or query_id in query_ids
    ]
    return sum(values) / len(values)


def compare(
    card: TaskCard, system: EncoderSystem, rows: Sequence[Published], *, output: Path
) -> list[Comparison]:
    """Run the pairs that `rows` name, unless `output` has them, and compare every row."""
    pairs = list(dict.fromkeys(row.pair for row in rows))
    source = locate(card, card.default_split)
    name = system.encoder.info.name
    result = evaluate(
        card,
        system,
        output=output,
        source=source,
        pairs=pairs,
        progress=Bar(f"{name} on {card.id}"),
    )
    path = result_path(output, name, card.id, card.default_split)
    scores = read_scores(path, result, pairs)
    loader = Loader(card, card.default_split, source)
    kept = {pair: distinct(loader.load(pair).queries) for pair in scores}
    found = []
    for row in rows:
        if row.pair not in scores:
            found.append(Comparison(row, None, None, 0))
            continue
        values, ids = scores[row.pair], kept[row.pair]
        ours, once = mean(values, row.measure), mean(values, row.measure, ids)
        found.append(Comparison(row, ours, once, len(values.query_ids) - len(ids)))
    return found


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons of one task and measure as a Markdown table and a summary line."""
    first = comparisons[0].published
    with_once = any(comparison.n_repeated for comparison in comparisons)
    header = ["pair", "published", "ours", "difference"]
    header += ["repeated queries", "ours, each once", "difference"] if with_once else []
    lines = [f"{first.task}, {first.measure} ({first.source})", "", _row(header)]
    lines.append(_row(["---", *["---:"] * (len(header) - 1)]))
    for comparison in comparisons:
        published = comparison.published
        cells = [str(published.pair), f"{published.value:.5f}"]
        if comparison.ours is None or comparison.once is None:
            lines.append(_row([*cells, "failed", *[""] * (len(header) - 3)]))
            continue
        cells += [f"{comparison.ours:.5f}", _signed(comparison.difference)]
        if with_once:
            once = comparison.once - published.value
            cells += [str(comparison.n_repeated), f"{comparison.once:.5f}", _signed(once)]
        lines.append(_row(cells))
    worst = max(comparisons, key=lambda comparison: abs(comparison.difference))
    summary = f"worst difference {_signed(worst.difference)} ({worst.published.pair}); " + _equal(
        [comparison.difference for comparison in comparisons]
    )
    if with_once:
        once_off = [c.once - c.published.value for c in comparisons if c.once is not None]
        furthest = max(once_off, key=abs, default=0.0)
        summary += f". With each query once: worst {_signed(furthest)}; {_equal(once_off)}"
    return "\n".join([*lines, "", summary, ""])


def main() -> int:
    """Print one table a task and measure; return the exit code."""
    arguments = _arguments()
    rows = read_published(PUBLISHED / f"{arguments.model}.csv")
    try:
        encoder = load_encoder(arguments.model, device=arguments.device, dtype="float32")
        package = registry.provider(registry.ENCODERS, arguments.model)
        system = EncoderSystem(encoder, arguments.model, package)
        worst = 0.0
        for task in arguments.tasks or list(dict.fromkeys(row.task for row in rows)):
            card = load_card(task)
            if not isinstance(card, TaskCard):
                sys.exit(f"{task} is a suite; name one of its parts")
            of_task = [row for row in rows if row.task == task]
            if not of_task:
                sys.exit(f"no published value of {arguments.model} on {task} is at hand")
            comparisons = compare(card, system, of_task, output=arguments.output)
            for measure in dict.fromkeys(row.measure for row in of_task):
                chosen = [c for c in comparisons if c.published.measure == measure]
                print(table(chosen))
                failed = any(c.ours is None for c in chosen)
                if measure == MEASURE or failed:
                    worst = max(worst, *(abs(c.difference) for c in chosen))
    except ClirBenchError as error:
        sys.exit(f"error: {error}")
    return int(worst > TOLERANCE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="all-minilm-l6-v2", help="encoder by its short name")
    parser.add_argument(
        "--task", dest="tasks", action="append", help="only this task; may be given several times"
    )
    parser.add_argument("--output", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def _signed(difference: float) -> str:
    return f"{round(difference, 5) + 0.0:+.5f}"


def _equal(differences: Sequence[float]) -> str:
    equal = sum(abs(difference) < 0.00001 for difference in differences)
    return f"{equal} of {len(differences)} equal to five decimals"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
