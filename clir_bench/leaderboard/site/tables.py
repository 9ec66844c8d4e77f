"""Tables of the site: captions, scopes, and what the script sorts and filters by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clir_bench.leaderboard.site.markup import Attribute, Child, Markup, element, join
from clir_bench.metrics.means import Estimate

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        sort: "number" or "text" where the script may sort by it.
        first: How the script sorts by it at first; by default text ascending, numbers descending.
        sorted: How the rows come, "descending" or "ascending", when they come by this column.
        css: Classes of its header.
        data: Further attributes of its header.
    """

    title: Child
    sort: str = ""
    first: str = ""
    sorted: str = ""
    css: str = ""
    data: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        value: What the script sorts by; None for nothing to sort by, which always comes last.
        head: Whether the cell names its row.
    """

    content: Child
    value: float | int | str | None = None
    css: str = ""
    head: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row; `data` are the attributes the script filters by."""

    cells: Sequence[Cell]
    data: Mapping[str, Attribute] = field(default_factory=dict)


def table(
    columns: Sequence[Column],
    rows: Iterable[TableRow],
    *,
    caption: Child,
    label: str,
    css: str = "",
    box: str = "scroll",
) -> Markup:
    """Return a table in a box of its own that scrolls and that the keyboard can reach.

    Args:
        label: Name of the box for screen readers.
        css: Classes of the table.
        box: Classes of the box.
    """
    head = element("thead", None, element("tr", None, [_header(column) for column in columns]))
    body = element("tbody", None, [_row(row) for row in rows])
    inner = element(
        "table",
        {"class": css or None},
        element("caption", None, element("span", None, caption)),
        head,
        body,
    )
    # A region that scrolls has to take the focus, or a keyboard could not move it.
    attributes: dict[str, Attribute] = {
        "class": box,
        "tabindex": 0,
        "role": "region",
        "aria-label": label,
    }
    empty = element("p", {"class": "empty quiet", "hidden": True}, "Nothing matches the filters.")
    return join([element("div", attributes, inner), empty])


def _header(column: Column) -> Markup:
    first = column.first or ("descending" if column.sort == "number" else "ascending")
    attributes: dict[str, Attribute] = {
        "scope": "col",
        "class": column.css or None,
        "data-sort": column.sort or None,
        "data-first": first if column.sort else None,
        "aria-sort": column.sorted or None,
        **column.data,
    }
    return element("th", attributes, column.title)


def _row(row: TableRow) -> Markup:
    return element("tr", dict(row.data), [_cell(cell) for cell in row.cells])


def _cell(cell: Cell) -> Markup:
    value = number(cell.value) if isinstance(cell.value, float) else cell.value
    attributes: dict[str, Attribute] = {
        "class": cell.css or None,
        "data-value": value,
        "hidden": cell.hidden,
    }
    if cell.head:
        return element("th", {"scope": "row", **attributes}, cell.content)
    return element("td", attributes, cell.content)


def number(value: float) -> str:
    """Return a number for the script, six decimals at most.

    >>> [number(value) for value in (0.5, -0.0, 0.123456)]
    ['0.5', '0', '0.123456']
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def fixed(value: float, n_digits: int = 4) -> str:
    """Return a number with `n_digits` decimals, and zero without a sign."""
    text = f"{value:.{n_digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def estimate_cell(estimate: Estimate | None, *, css: str = "", hidden: bool = False) -> Cell:
    """Return a mean over its interval, a dash for none."""
    classes = f"number {css}".strip()
    if estimate is None:
        return Cell(NONE, None, classes, hidden=hidden)
    low, high = fixed(estimate.low, 3), fixed(estimate.high, 3)
    shown = join(
        [fixed(estimate.mean), " ", element("span", {"class": "interval"}, low, " to ", high)]
    )
    return Cell(shown, estimate.mean, classes, hidden=hidden)


def count_cell(count: float | int | None) -> Cell:
    """Return a whole number with separators, a dash for none."""
    if count is None:
        return Cell(NONE, None, "number")
    return Cell(f"{count:,.0f}", count, "number")
