"""`clir-bench tasks`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click
from tabulate import tabulate

from clir_bench.cli import options
from clir_bench.cli.tables import some_of
from clir_bench.results.store import to_json
from clir_bench.tasks.cards import SAMPLE, AnyCard, SuiteCard, TaskCard
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.tasks.languages import resolve

_MANY = 12


@click.command(epilog="Example: clir-bench tasks tatoeba")
@click.argument("name", required=False)
@options.tasks_dir
@click.option("--json", "as_json", is_flag=True, help="Print cards as JSON, one a line.")
def command(name: str | None, tasks_dir: Path | None, as_json: bool) -> None:
    """List the tasks, or describe the one called NAME."""
    cards = [load_card(task, tasks_dir) for task in ([name] if name else discover(tasks_dir))]
    if as_json:
        for card in cards:
            click.echo(to_json(card))
    elif name:
        click.echo(_description(cards[0]))
    else:
        rows = [_row(card) for card in cards]
        click.echo(tabulate(rows, ["task", "title", "languages", "pairs", "splits", "measures"]))


def _row(card: AnyCard) -> list[object]:
    if isinstance(card, SuiteCard):
        parts = ", ".join(part.task for part in card.parts)
        return [card.id, f"{card.title} (suite: {parts})", "", "", "", ""]
    official, available = len(card.official_pairs()), len(card.available_pairs())
    pairs = f"{official}" if official == available else f"{official} of {available}"
    splits = ", ".join(card.splits)
    return [card.id, card.title, len(card.languages), pairs, splits, ", ".join(card.measures)]


def _description(card: AnyCard) -> str:
    lines = [card.title, "", *textwrap.wrap(" ".join(card.description.split()), 96), ""]
    facts = [("id", card.id), ("version", str(card.version)), ("homepage", card.homepage)]
    facts += [("license", card.license), ("citation", card.citation)]
    if isinstance(card, SuiteCard):
        facts += [
            ("part", f"{part.task} {', '.join(part.pairs) or 'official pairs'}, {part.measure}")
            for part in card.parts
        ]
    else:
        facts += _task_facts(card)
    indent = " " * 14
    for label, value in facts:
        if value:
            lines += textwrap.wrap(
                " ".join(value.split()),
                100,
                initial_indent=f"{label:<14}",
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
    if isinstance(card, TaskCard) and card.counts:
        lines += ["", _counts(card)]
    return "\n".join(lines)


def _task_facts(card: TaskCard) -> list[tuple[str, str]]:
    languages = ", ".join(f"{code} {resolve(code).name}" for code in card.languages)
    official, available = card.official_pairs(), card.available_pairs()
    facts = [
        ("measures", ", ".join(card.measures)),
        ("splits", f"{', '.join(card.splits)} (default {card.default_split})"),
        ("languages", languages),
        ("official", some_of([str(pair) for pair in official])),
    ]
    if len(available) > len(official):
        facts.append(("pairs", some_of([str(pair) for pair in available])))
    facts.append(("text", card.document_text))
    if card.skip_same_id:
        facts.append(("own document", "taken out: a document with a query's own id is not ranked"))
    missing = ", ".join(
        f"{split} {name} {n:,}"
        for split, stated in card.missing_judged.items()
        for name, n in stated.items()
    )
    facts.append(("missing", f"{missing} judged documents are not in the corpus" * bool(missing)))
    if card.unofficial:
        facts.append(("not official", card.unofficial))
    if card.download is not None:
        facts.append(("by hand", card.download.by_hand))
    return facts


def _counts(card: TaskCard) -> str:
    rows = []
    for split in (*card.splits, SAMPLE):
        for pair, counts in list(card.counts.get(split, {}).items())[:_MANY]:
            rows.append([split, pair, *(f"{n:,}" for n in counts)])
        left = len(card.counts.get(split, {})) - _MANY
        if left > 0:
            rows.append([split, f"and {left} more", "", "", ""])
    header = ["split", "pair", "documents", "queries", "judgments"]
    return tabulate(rows, header, colalign=("left", "left", "right", "right", "right"),
                    disable_numparse=True)  # fmt: skip
