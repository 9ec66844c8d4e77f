"""Reads MIRACL (Zhang et al. 2023, TACL 11): each language's questions over its own Wikipedia.

ir_datasets fetches the files if the card names data sets in `source.dataset`. Otherwise they come
from a folder with the layout of the Hugging Face Hub; `<l>` is the source's code of the language:

    miracl-corpus-v1.0-<l>/docs-<n>.jsonl.gz                       docid, title, text; n from 0
    miracl-v1.0-<l>/topics/topics.miracl-v1.0-<l>-<split>.tsv      query_id<tab>text
    miracl-v1.0-<l>/qrels/qrels.miracl-v1.0-<l>-<split>.tsv        TREC qrels, negatives included

Unpacked `docs-<n>.jsonl` files are read as well.
"""

from __future__ import annotations

import re
from pathlib import Path

from clir_bench.core.text_files import JsonlDocuments, read_qrels, read_topics
from clir_bench.errors import MissingDataError
from clir_bench.tasks.adapters import irds
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, LanguagePair

_SHARD = re.compile(r"docs-([0-9]+)\.jsonl(?:\.gz)?")


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return one language's questions, passages and judgments.

    Raises:
        MissingDataError: A file of this language is missing, or cannot be fetched.
        DataError: A file is broken.
    """
    if source.origin == "cache" and irds.uses_ir_datasets(card):
        return irds.collection(card, pair, split)
    code = card.languages[pair.document]
    folder, name = f"miracl-v1.0-{code}", f"miracl-v1.0-{code}-{split}.tsv"
    topics = source.file(f"{folder}/topics/topics.{name}")
    qrels = source.file(f"{folder}/qrels/qrels.{name}")
    return Collection(
        corpus_id=code,
        documents=JsonlDocuments(_shards(source, f"miracl-corpus-v1.0-{code}"), doc_id="docid"),
        queries=read_topics(topics),
        qrels=read_qrels(qrels),
    )


def _shards(source: Source, folder: str) -> list[Path]:
    """Return the document files in the order of their numbers: docs-2 before docs-10."""
    present = source.path(folder)
    numbers = {
        int(match[1])
        for path in (present.iterdir() if present.is_dir() else ())
        if (match := _SHARD.fullmatch(path.name))
    }
    if missing := sorted(set(range(max(numbers, default=0))) - numbers):
        raise MissingDataError(
            f"{present}: docs-{missing[0]}.jsonl.gz is missing, though docs-{max(numbers)} is "
            "there; fetch the rest of the corpus"
        )
    return [
        source.file(f"{folder}/docs-{number}.jsonl.gz", f"{folder}/docs-{number}.jsonl")
        for number in sorted(numbers) or [0]
    ]
