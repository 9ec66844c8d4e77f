"""A tiny collection in BEIR's layout, an encoder that is watched, and plugins to install.

Three official pairs over two corpora: `en-sw` and `fr-sw` share the Swahili documents, `en-de` has
the German ones; `fr-de` is there to be asked for. What the texts of a pair share are names, one of
which misleads: the hashing encoder finds most of what is relevant, and not all.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clir_bench.cli import main
from clir_bench.core import plugins
from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.encoders.hashing import DIM, HashingEncoder
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.results.schema import Result
from clir_bench.systems.system import EncoderSystem
from clir_bench.tasks.cards import TaskCard, read_card
from clir_bench.tasks.source import locate
from clir_bench.types import EncoderInfo, LanguagePair, Vectors

CARD = """\
id = "mine"
title = "My collection"
description = "English and French questions over Swahili and German news."
adapter = "folder"
splits = ["test"]
default_split = "test"
measures = ["nDCG@10", "AP@1000"]
parallel_queries = true
license = "CC0-1.0"

[source]
directory = "data"
documents = "{document}/corpus.jsonl"
queries = "queries.{query}.jsonl"
qrels = "qrels/{document}.{split}.tsv"

[languages]
en = "en"
fr = "fr"
de = "de"
sw = "sw"

[pairs]
official = ["en-sw", "fr-sw", "en-de"]
available = ["fr-de"]

[counts.test]
"*-sw" = [4, 3, 5]
"*-de" = [3, 3, 3]
"""

DOCUMENTS = {
    "sw": {
        "d1": "Mvua kubwa ilinyesha bandarini.",
        "d2": "Wanafunzi wa Kitale hupata chakula cha mchana shuleni.",
        "d3": "Mechi ya kandanda ilichezwa katika uwanja wa Mombasa.",
        "d4": "Bei ya mahindi imepanda sokoni Kitale.",
    },
    "de": {
        "d1": "In der Hafenstadt fiel starker Regen.",
        "d2": "In Kitale bekommen Schulkinder ein Mittagessen.",
        "d3": "Fussball im Stadion von Mombasa.",
    },
}
QUERIES = {
    "en": {
        "q1": "heavy rain at Mombasa harbour",
        "q2": "school lunch in Kitale",
        "q3": "football in the stadium of Mombasa",
        "q4": "a question nobody judged",
    },
    "fr": {
        "q1": "forte pluie au port de Mombasa",
        "q2": "repas scolaires de Kitale",
        "q3": "football au stade de Mombasa",
    },
}
QRELS = {
    "sw": {"q1": {"d1": 2, "d4": 0}, "q2": {"d2": 1, "d4": 1}, "q3": {"d3": 1}},
    "de": {"q1": {"d1": 1}, "q2": {"d2": 1}, "q3": {"d3": 1}},
}


@dataclass(frozen=True)
class Folder:
    """A collection on disk.

    Attributes:
        card_path: Its card.
        data: Its files.
    """

    card_path: Path
    data: Path

    @property
    def card(self) -> TaskCard:
        card = read_card(self.card_path)
        assert isinstance(card, TaskCard)
        return card

    def edit_card(self, old: str, new: str) -> None:
        text = self.card_path.read_text(encoding="utf-8")
        assert old in text
        self.card_path.write_text(text.replace(old, new), encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.data / name).read_text(encoding="utf-8")
        assert old in text
        (self.data / name).write_text(text.replace(old, new), encoding="utf-8")


def make_folder(root: Path) -> Folder:
    """Write the collection and its card below `root`."""
    data = root / "data"
    for language, documents in DOCUMENTS.items():
        rows = [{"_id": doc_id, "title": "", "text": t} for doc_id, t in documents.items()]
        write_jsonl(data / language / "corpus.jsonl", rows)
    for language, queries in QUERIES.items():
        rows = [{"_id": query_id, "text": text} for query_id, text in queries.items()]
        write_jsonl(data / f"queries.{language}.jsonl", rows)
    for language, qrels in QRELS.items():
        lines = ["query-id\tcorpus-id\tscore"]
        for query_id, judged in qrels.items():
            lines += [f"{query_id}\t{doc_id}\t{relevance}" for doc_id, relevance in judged.items()]
        path = data / "qrels" / f"{language}.test.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    card = root / "mine.toml"
    card.write_text(CARD, encoding="utf-8")
    return Folder(card, data)


def write_jsonl(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass
class Watched:
    """The hashing encoder under another name, which notes every call and may fail.

    Attributes:
        calls: (queries or documents, language, texts) of every call.
        failures: What is raised for a language.
    """

    name: str = "watched"
    revision: str = "1"
    failures: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    dim: int = DIM

    def __post_init__(self) -> None:
        self.info = EncoderInfo(name=self.name, revision=self.revision)
        self._inner = HashingEncoder()

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self._encode("queries", texts, language)

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        return self._encode("documents", texts, language)

    def _encode(self, what: str, texts: Sequence[str], language: str) -> Vectors:
        self.calls.append((what, language, tuple(texts)))
        if language in self.failures:
            raise self.failures[language]
        return self._inner.encode_queries(texts, language=language)

    def called_for(self) -> list[tuple[str, str]]:
        """What was encoded in which language, sorted."""
        return sorted((what, language) for what, language, _ in self.calls)


def evaluate_folder(
    folder: Folder,
    output: Path,
    encoder: Watched | None = None,
    *,
    pairs: str = "",
    measures: tuple[str, ...] = (),
    top_k: int = 1000,
    limit: int | None = None,
    overwrite: bool = False,
) -> Result:
    """Evaluate on the folder's official pairs, or those named in `pairs`."""
    card = folder.card
    chosen = [LanguagePair(*name.split("-")) for name in pairs.split()] or None
    return evaluate(
        card,
        EncoderSystem(CheckedEncoder(encoder or Watched()), "watched", "tests 1"),
        output=output,
        source=locate(card, "test"),
        pairs=chosen,
        settings=RunSettings(
            measures=measures, top_k=top_k, limit=limit, overwrite=overwrite, n_resamples=50
        ),
    )


PLUGIN = """
from clir_bench.encoders.hashing import DIM, HashingEncoder
from clir_bench.types import EncoderInfo

class Plugin(HashingEncoder):
    def __init__(self):
        super().__init__()
        self.info = EncoderInfo(name="plugin", revision="1")

def load(request):
    return Plugin()
"""
"""What a plugin's code begins with."""


def write_plugin(site: Path, name: str, code: str = "", group: str = plugins.ENCODERS) -> None:
    """Make folder `site` hold package `acme` 3.1, whose entry point `name` is its `load`."""
    metadata = site / "acme-3.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: acme\nVersion: 3.1\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{name} = acme_plugin:load\n")
    (site / "acme_plugin.py").write_text(PLUGIN + textwrap.dedent(code))


def install_plugin(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package in `site` importable; `forget_plugins` must follow."""
    monkeypatch.delitem(sys.modules, "acme_plugin", raising=False)
    monkeypatch.syspath_prepend(str(site))
    plugins._entry_points.cache_clear()


def forget_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo `install_plugin`."""
    monkeypatch.undo()
    sys.modules.pop("acme_plugin", None)
    plugins._entry_points.cache_clear()


def clir(*arguments: object) -> int:
    """Run the command line in this process and return its exit code."""
    return main([str(argument) for argument in arguments])
