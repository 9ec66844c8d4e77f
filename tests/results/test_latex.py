"""LaTeX: every text escaped, as many cells as columns, every brace and environment closed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from folders import evaluate_folder, make_folder

from clir_bench.results.latex import Markup, escape, float_table, tabular
from clir_bench.results.views import EvaluationResult, load_result

HOSTILE = '\\input{/etc/passwd} 100% $x_1^2$ #1 & ~ {a} <b> |c| "d" `e` --\x1b[2J\nf'


def check(text: str) -> None:
    """Check that environments and braces are closed and that every row fills every column."""
    begun = re.findall(r"\\begin\{(\w+)\}", text)
    assert begun[::-1] == re.findall(r"\\end\{(\w+)\}", text)
    bare = re.sub(r"\\[{}\\%&#$_]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    align = re.search(r"\\begin\{tabular\}\{([lcr]+)\}", text)
    assert align is not None
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    for row in rows:
        spanned = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(re.findall(r"(?<!\\)&", row)) + 1 + spanned == len(align[1]), row
        assert not row.startswith(("[", "*"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    root = tmp_path_factory.mktemp("latex")
    evaluate_folder(make_folder(root), root / "results")
    return load_result(root / "results/watched/mine/test.json")


def test_every_special_character_is_escaped_and_nothing_hides() -> None:
    text = escape(HOSTILE)
    assert text == (
        r"\textbackslash{}input\{/etc/passwd\} 100\% \$x\_1\textasciicircum{}2\$ \#1 \& "
        r"\textasciitilde{} \{a\} \textless{}b\textgreater{} \textbar{}c\textbar{} "
        r"\symbol{34}d\symbol{34} \textasciigrave{}e\textasciigrave{} "
        r"-{}-\textbackslash{}u001b[2J f"
    )


def test_a_table_keeps_its_columns_whatever_is_in_its_cells() -> None:
    table = tabular([HOSTILE, "b"], [["[1pt]", HOSTILE], ["*", "x & y"]])
    check(float_table(table, caption=HOSTILE, label="tab:x"))


def test_markup_of_ones_own_is_kept() -> None:
    assert r"\caption{On \textsc{Miracl}}" in float_table("", caption=Markup(r"On \textsc{Miracl}"))


def test_a_results_table_groups_languages_by_tier_and_ends_with_all(one: EvaluationResult) -> None:
    text = one.to_latex(label="tab:mine")
    check(text)
    parts = [r"\emph{low}", "Swahili (sw)", r"\emph{mean}", r"\emph{high}", "German (de)",
             r"\emph{all languages}", r"\emph{gap, high - low}"]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert one.result is not None
    means = one.result.languages["sw"].scores
    row = next(line for line in text.splitlines() if "Swahili" in line)
    numbers = [f"{means[measure].mean:.3f}" for measure in one.result.task.measures]
    assert re.findall(r"\d\.\d+", row) == numbers
    assert r"\label{tab:mine}" in text


def test_a_table_by_pair_has_a_row_per_pair(one: EvaluationResult) -> None:
    text = one.to_latex(by_pair=True, n_digits=4, caption="50% of it")
    check(text)
    assert all(f"\\quad {pair} &" in text for pair in ("en-sw", "fr-sw", "en-de"))
    assert r"\caption{50\% of it}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_pdflatex_accepts_a_table(one: EvaluationResult, tmp_path: Path) -> None:
    table = one.to_latex(caption=HOSTILE)
    page = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{table}"
    (tmp_path / "page.tex").write_text(page + r"\end{document}", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "page.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
