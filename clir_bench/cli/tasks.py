"""`clir-bench tasks`: lists the tasks, or describes one."""

from __future__ import annotations

import textwrap
from functools import partial
from pathlib import Path

import click

from clir_bench.cli import options
from clir_bench.cli.output import echo, show, width
from clir_bench.core.display import some_of
from clir_bench.core.tables import Column, Fold, Format, Table, cut
from clir_bench.results.store import to_json
from clir_bench.tasks.cards import SAMPLE, AnyCard, SuiteCard, TaskCard
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.tasks.languages import resolve

_MANY = 12


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


_COLUMNS = (
    Column("task"),
    Column("title", folds=(Fold(10, "title", partial(cut, width=32, end=False), "long titles"),)),
    Column("languages", _count, right=True),
    Column("pairs", _count, right=True),
    Column("available", _count, right=True, drop=40, key="available_pairs"),
    Column("splits", drop=30),
    Column("measures", folds=(Fold(20, "measure", lambda names: "".join(names[:1]), "measures"),)),
)


@click.command(epilog="Example: clir-bench tasks tatoeba")
@click.argument("name", required=False)
@options.tasks_dir
@options.formats("a card", "a task", "json")
def command(name: str | None, tasks_dir: Path | None, form: Format) -> None:
    """List the tasks, or describe the one called NAME."""
    cards = [load_card(task, tasks_dir) for task in ([name] if name else discover(tasks_dir))]
    if form == "json":
        for card in cards:
            echo(to_json(card))
    elif name and form == "table":
        _describe(cards[0])
    else:
        show([Table(columns=_COLUMNS, rows=[_row(card) for card in cards])], form)


def _row(card: AnyCard) -> list[object]:
    if isinstance(card, SuiteCard):
        parts = ", ".join(part.task for part in card.parts)
        return [card.id, f"{card.title} (suite: {parts})", None, None, None, (), ()]
    pairs = len(card.official_pairs()), len(card.available_pairs())
    return [card.id, card.title, len(card.languages), *pairs, tuple(card.splits), card.measures]


def _describe(card: AnyCard) -> None:
    columns = min(width() or 100, 100)
    echo("\n".join([card.title, "", *_wrapped(card.description, min(columns, 96), ""), ""]))
    facts = [("id", card.id), ("version", str(card.version)), ("homepage", card.homepage)]
    facts += [("license", card.license), ("citation", card.citation)]
    if isinstance(card, SuiteCard):
        facts += [
            ("part", f"{part.task} {', '.join(part.pairs) or 'official pairs'}, {part.measure}")
            for part in card.parts
        ]
    else:
        facts += _task_facts(card)
    for label, value in facts:
        if value:
            echo("\n".join(_wrapped(value, columns, f"{label:<14}")))
    if isinstance(card, TaskCard) and card.counts:
        echo()
        show([_counts(card)], "table")


def _wrapped(text: str, columns: int, label: str) -> list[str]:
    """Return a text as lines, with later lines aligned to its start."""
    return textwrap.wrap(
        " ".join(text.split()), columns, initial_indent=label, subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )  # fmt: skip


def _task_facts(card: TaskCard) -> list[tuple[str, str]]:
    languages = ", ".join(f"{code} {resolve(code).name}" for code in card.languages)
    official, available = card.official_pairs(), card.available_pairs()
    facts = [
        ("measures", ", ".join(card.measures)),
        ("splits", f"{', '.join(card.splits)} (default {card.default_split})"),
        ("languages", languages),
        ("official", some_of([str(pair) for pair in official], 12)),
    ]
    if len(available) > len(official):
        facts.append(("pairs", some_of([str(pair) for pair in available], 12)))
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


def _counts(card: TaskCard) -> Table:
    rows: list[list[object]] = []
    for split in (*card.splits, SAMPLE):
        for pair, counts in list(card.counts.get(split, {}).items())[:_MANY]:
            rows.append([split, pair, *counts])
        left = len(card.counts.get(split, {})) - _MANY
        if left > 0:
            rows.append([split, f"and {left} more", "", "", ""])
    numbers = (Column(name, right=True) for name in ("documents", "queries", "judgments"))
    return Table(columns=[Column("split"), Column("pair"), *numbers], rows=rows)
