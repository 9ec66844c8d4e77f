"""Draw the README's picture from the submitted results into docs/figures.

python benchmarks/front_page.py

Needs matplotlib (`pip install 'clir-bench[plot]'`).
"""

from __future__ import annotations

from pathlib import Path

import clir_bench

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "figures" / "front-page.svg"


def main() -> None:
    """Draw a heat map of all systems on XQuAD, by language and tier."""
    files = sorted((ROOT / "leaderboards" / "results").glob("*/xquad/validation.json"))
    figure = clir_bench.load_results(*files).plot()
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
