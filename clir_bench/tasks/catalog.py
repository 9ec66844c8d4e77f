"""Lists the tasks, and finds the card of a task by its name."""

from __future__ import annotations

from pathlib import Path

from clir_bench.errors import CardError, UnknownNameError
from clir_bench.tasks.adapters.irds_cards import card_of
from clir_bench.tasks.cards import AnyCard, TaskCard, read_card


def shipped_directory() -> Path:
    """Return the folder of the cards that come with the package."""
    packaged = Path(__file__).parents[1] / "_tasks"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "tasks"


def discover(extra: str | Path | None = None) -> dict[str, Path]:
    """Return task id to card file: the shipped ones and those in folder `extra`.

    Raises:
        CardError: `extra` is no folder, or holds a card named as a shipped one.
    """
    found = {path.stem: path for path in sorted(shipped_directory().glob("*.toml"))}
    if extra is not None:
        extra = Path(extra)
        if not extra.is_dir():
            raise CardError(f"{extra}: no such folder of task cards (--tasks-dir)")
        for path in sorted(extra.glob("*.toml")):
            if path.stem in found:
                raise CardError(f"{path}: task {path.stem!r} exists already; rename the card")
            found[path.stem] = path
    return found


def load_card(name: str, tasks_dir: str | Path | None = None) -> AnyCard:
    """Return the card called `name`: a task id, a path ending in .toml, or `irds:DATASET`.

    Raises:
        UnknownNameError: No such task; the message tells what is known of well-known names.
        CardError: The card is wrong.
    """
    if name.startswith("irds:"):
        return card_of(name.removeprefix("irds:"))
    if name.endswith(".toml"):
        return read_card(Path(name))
    found = discover(tasks_dir)
    if name not in found:
        raise UnknownNameError(
            "task",
            name,
            found,
            _NOT_DATA.get(name.casefold(), "")
            or "`clir-bench tasks` lists them; your own collection runs with a card: "
            "`--task path/to/card.toml` (see CONTRIBUTING.md).",
        )
    card = read_card(found[name])
    if card.id != found[name].stem:
        raise CardError(f"{found[name]}: id {card.id!r} must be the file's name")
    return card


def shipped_card(name: str) -> TaskCard | None:
    """Return the card of a task that comes with the package, None for any other name."""
    card = load_card(name) if name in discover() else None
    return card if isinstance(card, TaskCard) else None


_NOT_DATA = {
    "slurm": (
        "SLURM is named in the literature on low-resource CLIR, but no data set of that name could "
        "be found to download: no corpus, topics or judgments are published. If you have it, "
        "bring it as your own collection: a folder in BEIR layout (corpus.jsonl, queries.jsonl, "
        "qrels/test.tsv) and a card, `--task path/to/card.toml`."
    ),
    "material": (
        "The IARPA MATERIAL collections (sw, tl, so, ...) are handed out by the LDC and NIST under "
        "licence and cannot be fetched. With a copy, write a card for a folder of JSONL documents, "
        "TREC topics and qrels, and run `--task path/to/card.toml`."
    ),
}
