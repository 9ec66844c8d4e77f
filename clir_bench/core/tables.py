"""Writes tables as text, Markdown, CSV, LaTeX or JSON, and fits them to a terminal's width.

Callers build `Table`s of plain values. Each column says how its values are shown and how it can
become narrower. Only this module decides what to leave out and what a file looks like.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from clir_bench.core.display import visible
from clir_bench.core.latex import tabular

Format: TypeAlias = Literal["table", "markdown", "csv", "latex", "json"]
Show: TypeAlias = Callable[[Any], str]
Note: TypeAlias = str | tuple[str, ...]
"""A sentence, or lines below each other."""

_GAP = 2
_NARROWEST = 8
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")
_ITEM = re.compile(r"(- )?(.*)", re.DOTALL)


def plain(value: object) -> str:
    """Return a value as a table shows it: a count with separators, a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@dataclass(frozen=True)
class Fold:
    """A narrower form of a column.

    Attributes:
        order: A table takes its steps with the lowest order first, and those with equal order
            together.
        heading: The heading in this form.
        show: Shows a value in this form.
        lost: What the reader misses, "" for nothing.
    """

    order: int
    heading: str
    show: Show
    lost: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: What stands above it.
        show: Shows a value.
        right: Whether it is aligned to the right.
        drop: Order of the step that leaves it out; None if it always stays.
        folds: Narrower forms, the widest first.
        key: Its name in CSV and JSON; the heading if empty.
    """

    heading: str
    show: Show = plain
    right: bool = False
    drop: int | None = None
    folds: tuple[Fold, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Table:
    """A table with the text above and below it; without columns, that text alone.

    Attributes:
        title: Its heading, "" for none.
        columns: Its columns.
        rows: One value per column; unrounded, for CSV and JSON write them as they are.
        about: Lines below the title.
        notes: What a reader should know, below the rows.
        level: Of the heading in Markdown.
    """

    title: str = ""
    columns: Sequence[Column] = ()
    rows: Sequence[Sequence[Any]] = ()
    about: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    level: int = 2

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as objects, every value in full."""
        keys = [column.key or column.heading for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]


def written(tables: Sequence[Table], form: Format, width: int | None = None) -> str:
    """Return tables as text in one of the formats.

    Args:
        tables: The tables; CSV and JSON have their rows alone.
        form: "table" is for people, who may read it in a terminal.
        width: Cells of the terminal that a "table" fits; None for as wide as it is.
    """
    if form == "csv":
        return csv_text(tables)
    if form == "json":
        return "\n".join(json_line(record) for table in tables for record in table.records())
    if form == "table":
        return _as_text(tables, width)
    write = _as_markdown if form == "markdown" else _as_latex
    return "\n\n".join(filter(None, map(write, tables)))


def json_line(value: object) -> str:
    """Return a value as one line of JSON, its keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def csv_text(tables: Sequence[Table], *, heading: bool = True) -> str:
    """Return tables of the same columns as CSV: one heading, numbers in full, "" for none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if heading:
        writer.writerow([column.key or column.heading for column in tables[0].columns])
    for table in tables:
        writer.writerows([map(_csv_value, row) for row in table.rows])
    return buffer.getvalue().removesuffix("\n")


def _csv_value(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


# As text


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes.

    East Asian wide characters take two; marks that are drawn over the character before them, and
    the later parts of a Hangul syllable, take none (Unicode Standard Annex 11).

    >>> cells("sw"), cells("中文"), cells("e\u0301"), cells("한")
    (2, 4, 1, 2)
    """
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, *, end: bool = True) -> str:
    """Return a text in at most `width` cells; its `end` stays, as two names may begin alike.

    >>> cut("multilingual-e5-base", 12), cut("multilingual-e5-base", 12, end=False)
    ('multi...base', 'multiling...')
    """
    if cells(text) <= width:
        return text
    tail = _last(text, (width - 3) // 2) if end else ""
    return _first(text, width - 3 - cells(tail)) + "..." + tail


def _first(text: str, width: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += _cells_of(character)
        if taken > width:
            return text[:place]
    return text


def _last(text: str, width: int) -> str:
    start, taken = len(text), 0
    while start and (taken := taken + _cells_of(text[start - 1])) <= width:
        start -= 1
    return text[start:]


def folded(text: str, width: int | None, indent: str = "  ") -> str:
    """Return a line broken at spaces so that no part is wider than `width`."""
    if width is None or cells(text) <= width:
        return text
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line.strip() else line + word
        if cells(joined) <= width:
            line = joined
            continue
        if line.strip():
            lines.append(line)
        line = indent + word
        while cells(line) > width:
            head = _first(line, width)
            lines.append(head)
            line = indent + line[len(head) :]
    return "\n".join([*lines, line])


def _as_text(tables: Sequence[Table], width: int | None) -> str:
    lost: dict[str, None] = {}
    blocks = []
    for table in tables:
        head = "\n".join(folded(visible(line), width) for line in (table.title, *table.about))
        blocks.append(head.strip("\n"))
        if table.columns:
            lines, missing = _fitted(table, width)
            lost |= dict.fromkeys(missing)
            blocks.append("\n".join(lines))
        for note in table.notes:
            lines = [folded(visible(line), width) for line in _lines(note)]
            blocks.append("\n".join(lines))
    if lost:
        left_out = (
            f"left out to fit {width} columns: {', '.join(lost)}; all with --format csv or a wider "
            "terminal"
        )
        blocks.append(folded(left_out, width))
    return "\n\n".join(filter(None, blocks))


def _lines(note: Note) -> tuple[str, ...]:
    return (note,) if isinstance(note, str) else note


@dataclass
class _Fitting:
    """A column in one of its forms."""

    column: Column
    values: Sequence[Any]
    form: int = 0
    texts: dict[int, list[str]] = field(default_factory=dict)

    def forms(self) -> list[tuple[int, str, Show, str]]:
        """Return its steps: order, heading, how values are shown, what is lost."""
        of = self.column
        name = of.heading.partition(" [")[0]
        forms = [(0, of.heading, of.show, "")]
        forms += [(fold.order, fold.heading, fold.show, fold.lost) for fold in of.folds]
        return forms if of.drop is None else [*forms, (of.drop, "", str, name)]

    @property
    def dropped(self) -> bool:
        return self.column.drop is not None and self.form == len(self.column.folds) + 1

    def shown(self) -> list[str]:
        """Return the heading and the values in their current form."""
        if self.form not in self.texts:
            _, heading, show, _ = self.forms()[self.form]
            texts = [heading, *map(show, self.values)]
            self.texts[self.form] = [visible(text) for text in texts]
        return self.texts[self.form]

    def width(self) -> int:
        return max(map(cells, self.shown()))

    def shrink(self, width: int) -> None:
        """Cut texts, or a heading above numbers."""
        texts = self.shown()
        first = cut(texts[0], width)
        self.texts[self.form] = [
            first, *(texts[1:] if self.column.right else [cut(text, width) for text in texts[1:]])
        ]  # fmt: skip


def _fitted(table: Table, width: int | None) -> tuple[list[str], list[str]]:
    """Return a table's lines, and what was left out to make them at most `width` wide."""
    by_column = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    fittings = [
        _Fitting(column, values)
        for column, values in zip(table.columns, by_column, strict=True)
    ]  # fmt: skip
    missing: list[str] = []
    if width is not None:
        missing = _fit(fittings, width)
    kept = [fitting for fitting in fittings if not fitting.dropped]
    widths = [fitting.width() for fitting in kept]
    lines = [
        _joined(texts, widths, [fitting.column.right for fitting in kept])
        for texts in zip(*(fitting.shown() for fitting in kept), strict=True)
    ]
    lines.insert(1, (" " * _GAP).join("-" * width for width in widths))
    return lines, missing


def _joined(texts: Iterable[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for text, width, to_right in zip(texts, widths, right, strict=True):
        space = " " * (width - cells(text))
        padded.append(space + text if to_right else text + space)
    return (" " * _GAP).join(padded).rstrip()


def _fit(fittings: Sequence[_Fitting], width: int) -> list[str]:
    """Narrow columns until all of them fit; return what was lost."""

    def excess() -> int:
        kept = [fitting.width() for fitting in fittings if not fitting.dropped]
        return sum(kept) + _GAP * (len(kept) - 1) - width

    steps: dict[int, list[tuple[_Fitting, int]]] = {}
    for fitting in fittings:
        for number, form in enumerate(fitting.forms()):
            if number:
                steps.setdefault(form[0], []).append((fitting, number))
    taken = []
    for _, step in sorted(steps.items()):
        if excess() <= 0:
            break
        taken.append(step)
        _take(step)
    for step in reversed(taken):  # a later step may have made an earlier one needless
        if all(fitting.form == number for fitting, number in step):
            _take(step, back=True)
            if excess() > 0:
                _take(step)
    missing = []
    for fitting in fittings:
        forms = fitting.forms()[1 : fitting.form + 1]
        missing += [lost for *_, lost in (forms[-1:] if fitting.dropped else forms) if lost]
    cut_any = False
    for fitting in sorted(fittings, key=lambda one: -one.width()):
        over = excess()
        if over > 0 and not fitting.dropped:
            fitting.shrink(max(_NARROWEST, fitting.width() - over))
            cut_any = True
    return [*missing, "parts of long names"] if cut_any else missing


def _take(step: Iterable[tuple[_Fitting, int]], *, back: bool = False) -> None:
    for fitting, number in step:
        fitting.form = number - back


# For files


def _as_markdown(table: Table) -> str:
    """Return a table as GitHub's Markdown; names are escaped."""
    blocks = [f"{'#' * table.level} {_markdown(table.title)}" if table.title else ""]
    blocks.append(_markdown_list(table.about))
    if table.columns:
        rows = [
            [column.show(value) for column, value in zip(table.columns, row, strict=True)]
            for row in table.rows
        ]
        marks = ["---:" if column.right else "---" for column in table.columns]
        heading = [column.heading for column in table.columns]
        lines = [[_markdown(text) for text in row] for row in (heading, *rows)]
        lines.insert(1, marks)
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    blocks += [_markdown_list(_lines(note)) for note in table.notes]
    return "\n\n".join(filter(None, blocks))


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", visible(text))


def _markdown_list(lines: Sequence[str]) -> str:
    """Return lines below each other, which in Markdown takes a list; one line is a paragraph."""
    parts = [_ITEM.fullmatch(line) for line in lines]
    mark = "- " if len(lines) > 1 else ""
    return "\n".join(f"{mark}{_markdown(part[2])}" for part in parts if part)


def _as_latex(table: Table) -> str:
    """Return a table for the LaTeX package booktabs; what is no table becomes comments."""
    lines = [table.title, *table.about, *(line for note in table.notes for line in _lines(note))]
    comments = [f"% {visible(line)}" for line in lines if line]
    if not table.columns:
        return "\n".join(comments)
    rows = [
        [column.show(value) for column, value in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    align = "".join("r" if column.right else "l" for column in table.columns)
    return "\n".join(
        [*comments, tabular([column.heading for column in table.columns], rows, align)]
    )
