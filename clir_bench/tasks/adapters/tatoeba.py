"""Reads Tatoeba: from a sentence to its translation into or out of English.

Artetxe and Schwenk 2019 (arXiv 1812.10464). Files are LASER's `v1/tatoeba.<l>-eng.<l>` and
`v1/tatoeba.<l>-eng.eng`, aligned by line; the folder `v1` may be left out.
"""

from __future__ import annotations

from pathlib import Path

from clir_bench.core.text_files import read_lines
from clir_bench.errors import DataError
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

_ENGLISH = "en"


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return one side's sentences as queries, the other side's as documents.

    Ids are "<our code>-<line from 1, four digits>" of the language that is not English, on both
    sides and in both directions, so equal ids are translations of each other.

    Raises:
        DataError: A line is empty, or the two files differ in length.
    """
    language = pair.query if pair.document == _ENGLISH else pair.document
    code = card.languages[language]
    stem = f"tatoeba.{code}-{card.languages[_ENGLISH]}"
    foreign = _file(source, f"{stem}.{code}")
    english = _file(source, f"{stem}.{card.languages[_ENGLISH]}")
    sides = _sentences(foreign), _sentences(english)
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"task {card.id!r}, pair {pair}: {foreign} has {len(sides[0])} lines but {english} "
            f"has {len(sides[1])}; line n of one must translate line n of the other"
        )
    queries, documents = sides if pair.query == language else sides[::-1]
    ids = [f"{language}-{number:04}" for number in range(1, len(queries) + 1)]
    return Collection(
        # The English texts differ for every language, so their corpora must not share an index.
        corpus_id=f"{language}.{pair.document}",
        documents=[Document(*row) for row in zip(ids, documents, strict=True)],
        queries=[Query(*row) for row in zip(ids, queries, strict=True)],
        qrels=[Qrel(sentence_id, sentence_id, 1) for sentence_id in ids],
    )


def _file(source: Source, name: str) -> Path:
    return source.file(f"v1/{name}", name)


def _sentences(path: Path) -> list[str]:
    sentences = []
    for number, line in read_lines(path):
        if not line.strip():
            raise DataError(f"{path}:{number}: expected a sentence, found an empty line")
        sentences.append(line)
    return sentences
