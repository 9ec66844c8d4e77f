"""Draw `measured/*.csv` into docs/figures, and write their tables into the documentation.

python benchmarks/plots.py

Needs matplotlib (`pip install 'clir-bench[plot]'`). The same figures give the same files, to the
byte, with the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from records import Records, read
from tables import DOCUMENTS, MEASURED, ROOT, with_tables

FIGURES = ROOT / "docs" / "figures"
WIDTH = 7.0
"""Inches; with text of 10 points readable at 700 pixels."""
OURS, OTHERS, SECOND, GUIDE = "#0072B2", "#999999", "#D55E00", "#666666"
"""Of Okabe and Ito's palette, which people with any colour vision tell apart."""
STYLE = {
    "svg.hashsalt": "clir-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GUIDE,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def overhead(records: Records) -> Any:
    """Processor seconds and peak memory of everybody, side by side."""
    names = [row["contestant"].replace("clir-bench, ", "clir-bench,\n") for row in records.rows]
    names = [name.replace(" and ir-measures", "\nand ir-measures") for name in names]
    names = [name.replace("-transformers' ", "-\ntransformers' ") for name in names]
    figure, axes = _figure(0.46 * len(names) + 0.9, columns=2)
    colours = [OURS if name.startswith("clir-bench") else OTHERS for name in names]
    for axis, column, title, places in (
        (axes[0], "processor_seconds", "processor seconds", 1),
        (axes[1], "peak_mb", "peak memory, MB", 0),
    ):
        _bars(axis, names, [float(row[column]) for row in records.rows], colours, places)
        axis.set_title(title)
    axes[1].set_yticklabels([])
    return figure


def memory(records: Records) -> Any:
    """Peak memory against documents, a line a depth."""
    figure, (axis,) = _figure(3.3)
    sizes = [int(size) for size in records.different("documents")]
    depths = list(dict.fromkeys((row["queries"], row["top_k"]) for row in records.rows))
    highest = 0.0
    for (queries, top_k), colour, above in zip(depths, (OURS, SECOND), (-1, 1), strict=False):
        rows = records.where(queries=queries, top_k=top_k)
        peaks = [float(row["peak_mb"]) for row in rows]
        highest = max(highest, *peaks)
        axis.plot([int(row["documents"]) for row in rows], peaks, "o-", color=colour)
        for row, peak in zip(rows, peaks, strict=True):
            _note(axis, f"{peak:.0f}", (int(row["documents"]), peak), (0, 11 * above), colour)
        label = f"{queries} queries, k = {top_k}"
        _note(axis, label, (int(rows[-1]["documents"]), peaks[-1]), (8, 0), colour, "left")
    megabytes = [1.6 * highest * step / 40 for step in range(1, 41)]
    copied = [(size * 1e6 / (4 * 128), size) for size in megabytes]  # documents, and their vectors
    axis.plot(*zip(*copied, strict=True), "--", color=GUIDE, linewidth=1)
    axis.set_ylim(0, 1.6 * highest)
    _note(axis, "one copy of the vectors", copied[36], (8, 0), GUIDE, "left")
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axis.minorticks_off()
    axis.set_xlabel("documents of 128 dimensions")
    axis.set_title("peak memory of a search, MB")
    axis.set_xlim(sizes[0] / 1.7, sizes[-1] * 6)
    return figure


def resume(records: Records) -> Any:
    """Seconds lost against when the run was killed, a panel an encoder."""
    encoders = records.different("encoder")
    figure, axes = _figure(3.1, columns=len(encoders))
    for axis, encoder in zip(axes, encoders, strict=True):
        of_encoder = records.where(encoder=encoder)
        for embeddings, colour, side in (("stored", OURS, -1), ("not stored", OTHERS, 1)):
            rows = [row for row in of_encoder if row["embeddings"] == embeddings]
            if not rows:
                continue
            lost = [float(row["seconds_lost"]) for row in rows]
            at = [place + 0.2 * side for place in range(len(rows))]
            axis.bar(at, lost, 0.38, color=colour, label=f"vectors {embeddings}")
            for point in zip(at, lost, strict=True):
                _note(axis, f"{point[1]:.0f}", (point[0], max(0, point[1])), (0, 7), "black")
            axis.set_xticks(range(len(rows)), [f"{row['killed_at_percent']}%" for row in rows])
        whole = float(of_encoder[0]["uninterrupted_seconds"])
        axis.set_title(f"{encoder}\n{whole:.0f} s when never killed", fontsize=10)
        axis.set_ylim(0, 1.15 * max(float(row["seconds_lost"]) for row in of_encoder))
        axis.set_xlabel("of the documents encoded when killed")
        axis.tick_params(axis="x", length=0)
    axes[0].set_ylabel("seconds lost")
    axes[0].legend(frameon=False, loc="upper left")
    return figure


def encoding(records: Records) -> Any:
    """How fast and how faithful each arithmetic is."""
    figure, (axis,) = _figure(3.0)
    for row in records.rows:
        speed, move = float(row["speed"]), float(row["largest_move"])
        colour = OURS if row["way"].startswith("clir-bench") else OTHERS
        axis.plot([speed], [move], "o", color=colour)
        beside = -13 if abs(move - 0.001) < 0.0004 else 0  # clear of the line
        beside = 24 if not move and colour == OTHERS else beside  # and of our own label
        label = row["way"].replace(", ", ",\n")
        _note(axis, label, (speed, move), (9, beside), _readable(colour), "left")
    speeds = [float(row["speed"]) for row in records.rows]
    highest = max(0.001, *(float(row["largest_move"]) for row in records.rows))
    axis.axhline(0.001, color=GUIDE, linewidth=1, linestyle="--")
    _note(axis, "allowed", (min(speeds) - 0.04, 0.001), (0, 7), GUIDE, "left")
    axis.set_xlim(min(speeds) - 0.06, max(speeds) + 0.75 * (max(speeds) - min(speeds)) + 0.1)
    axis.set_ylim(-0.00008, 1.15 * highest)
    axis.set_xlabel("speed against sentence-transformers' best in float32")
    axis.set_title("largest move of nDCG@10")
    return figure


def xquad(records: Records) -> Any:
    """Seconds from start to scores by the clock and of the processor, and how far scores move."""
    figure, axes = _figure(0.62 * len(records.rows) + 0.8, columns=2)
    colours = [OURS if row["way"].startswith("clir-bench") else OTHERS for row in records.rows]
    names = [
        f"{row['way'].replace(' --workers', chr(10) + '--workers')}\n"
        f"nDCG@10 within {float(row['worst_move']):.5f}"
        for row in records.rows
    ]
    for axis, column, title in (
        (axes[0], "wall_seconds", "seconds by the clock"),
        (axes[1], "processor_seconds", "processor seconds"),
    ):
        _bars(axis, names, [float(row[column]) for row in records.rows], colours, 0)
        axis.set_title(title)
    axes[1].set_yticklabels([])
    return figure


def processors(records: Records) -> Any:
    """Rates of matrix products by kind of processor, a panel an arithmetic."""
    figure, axes = _figure(0.62 * len(records.rows) + 0.8, columns=2)
    names = [row["processor"].replace(" (", "\n(") for row in records.rows]
    for axis, dtype in zip(axes, ("float32", "bfloat16"), strict=True):
        rates = [float(row[f"{dtype}_gflops"]) for row in records.rows]
        colours = [OURS if dtype in row["auto"] else OTHERS for row in records.rows]
        _bars(axis, names, rates, colours, 0)
        axis.set_title(f"{dtype}, Gflop/s")
    axes[1].set_yticklabels([])
    return figure


def workers(records: Records) -> Any:
    """How many times as fast as one worker, and the ideal; a panel for what stands after ", "."""
    panels: dict[str, list[str]] = {}
    for executor in records.different("executor"):
        panels.setdefault(executor.partition(", ")[2], []).append(executor)
    figure, axes = _figure(3.2, columns=len(panels))
    for axis, (title, executors) in zip(axes, panels.items(), strict=True):
        numbers = sorted({int(row["workers"]) for row in records.rows})
        most = numbers[-1]
        axis.plot([1, most], [1, most], "--", color=GUIDE, linewidth=1)
        _note(axis, "ideal", (most, most), (8, 0), GUIDE, "left")
        for executor, colour, above in zip(executors, (OURS, SECOND), (7, -7), strict=False):
            rows = records.where(executor=executor)
            alone = float(rows[0]["wall_seconds"])
            speeds = [alone / float(row["wall_seconds"]) for row in rows]
            axis.plot([int(row["workers"]) for row in rows], speeds, "o-", color=colour)
            last = (int(rows[-1]["workers"]), speeds[-1])
            _note(axis, executor.partition(", ")[0], last, (8, above), colour, "left")
        axis.set_xticks(numbers)
        axis.set_xlim(0.8, most * 1.5)
        axis.set_ylim(0, most * 1.05)
        axis.set_xlabel("workers of one thread each")
        axis.set_title(title, fontsize=10)
    axes[0].set_ylabel("times as fast as one")
    return figure


def _figure(height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def _bars(
    axis: Any, names: Sequence[str], values: Sequence[float], colours: Iterable[str], places: int
) -> None:
    """Draw bars from top to bottom, each with its value at its end."""
    rows = range(len(names))
    axis.barh(rows, values, color=list(colours), height=0.62)
    axis.invert_yaxis()
    axis.set_yticks(rows, names)
    axis.tick_params(axis="y", length=0)
    axis.set_xlim(0, 1.2 * max(values))
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    for row, value in zip(rows, values, strict=True):
        _note(axis, f"{value:,.{places}f}", (value, row), (4, 0), "black", "left")


def _readable(colour: str) -> str:
    return GUIDE if colour == OTHERS else colour


def _note(
    axis: Any,
    text: str,
    point: tuple[float, float],
    shift: tuple[float, float],
    colour: str,
    side: str = "center",
) -> None:
    axis.annotate(
        text,
        point,
        shift,
        textcoords="offset points",
        color=colour,
        ha=side,
        va="center",
        annotation_clip=False,
    )


DRAWN: dict[str, Callable[[Records], Any]] = {
    "overhead": overhead,
    "memory": memory,
    "resume": resume,
    "encoding": encoding,
    "xquad": xquad,
    "processors": processors,
    "workers": workers,
}


def draw(measured: Path, figures: Path) -> list[Path]:
    """Draw every file there is, and return the pictures."""
    import matplotlib

    figures.mkdir(exist_ok=True)
    drawn = []
    with matplotlib.rc_context(STYLE):
        for path in sorted(measured.glob("*.csv")):
            figure = DRAWN[path.stem](read(path))
            picture = figures / f"{path.stem}.svg"
            figure.savefig(picture, metadata={"Date": None, "Creator": None})
            drawn.append(picture)
    return drawn


def main() -> None:
    """Draw all figures and write all tables."""
    for path in draw(MEASURED, FIGURES):
        print(path.relative_to(ROOT))
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        path.write_text(with_tables(text), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
