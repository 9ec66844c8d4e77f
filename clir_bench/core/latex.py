r"""Writes LaTeX tables with booktabs; escapes every text except `Markup`, which is LaTeX already.

pdfLaTeX shows Latin letters only: names in other scripts need LuaLaTeX or XeLaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from clir_bench.core.display import visible

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\symbol{34}",
    "--": "-{}-",
    "''": "'{}'",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_TO_ESCAPE = re.compile("|".join(map(re.escape, sorted(_SPECIAL, key=len, reverse=True))))


class Markup(str):
    """A text that is LaTeX already."""

    __slots__ = ()


def escape(text: str) -> str:
    r"""Return a text escaped and on one line, so that LaTeX prints it; `Markup` unchanged.

    >>> print(escape("R@100_50% of {a}\\b"))
    R@100\_50\% of \{a\}\textbackslash{}b
    """
    if isinstance(text, Markup):
        return text
    line = visible(" ".join(text.split()))
    return _TO_ESCAPE.sub(lambda found: _SPECIAL[found[0]], line)


def tabular(
    header: Sequence[str], rows: Sequence[Sequence[str] | Markup], align: str | None = None
) -> str:
    r"""Return a table.

    >>> print(tabular(["language", "nDCG@10"], [["sw", "0.5"], Markup(r"\midrule")]))
    \begin{tabular}{lr}
    \toprule
    language & nDCG@10 \\
    \midrule
    sw & 0.5 \\
    \midrule
    \bottomrule
    \end{tabular}

    Args:
        header: Names of the columns.
        rows: A cell per column; a line of `Markup` stands between rows.
        align: "l", "c" or "r" per column; the first is left and the others right when None.
    """
    lines = [
        Markup(rf"\begin{{tabular}}{{{align or 'l' + 'r' * (len(header) - 1)}}}"),
        Markup(r"\toprule"), header, Markup(r"\midrule"), *rows,
        Markup(r"\bottomrule"), Markup(r"\end{tabular}"),
    ]  # fmt: skip
    return "\n".join(line if isinstance(line, Markup) else _row(line) for line in lines)


def _row(cells: Sequence[str]) -> str:
    line = " & ".join(map(escape, cells))
    # After a row or a rule, LaTeX reads these two as an argument.
    return f"{'{}' if line.startswith(('[', '*')) else ''}{line} \\\\"
