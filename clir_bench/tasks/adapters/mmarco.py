"""Reads mMARCO (Bonifacio et al. 2021, arXiv 2108.13897): MS MARCO passages in 14 languages.

All languages share their ids, so queries in any language can search documents in any language.
ir_datasets fetches the files (`[source]` as in `irds`), or they come from a folder with the layout
of the Hub's data set; then `[source]` gives their names as patterns:

    documents    doc_id<tab>text
    queries      query_id<tab>text
    qrels        TREC qrels, one file for all languages

The same file with `.gz` after its name is read as well.
"""

from __future__ import annotations

from clir_bench.core.text_files import TsvDocuments, read_qrels, read_topics
from clir_bench.tasks.adapters import irds
from clir_bench.tasks.adapters.patterns import fill, setting
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, LanguagePair


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return one language's queries with another's (or its own) passages.

    Raises:
        MissingDataError: A file is missing, or cannot be fetched.
        DataError: A file is broken.
    """
    if source.origin == "cache":
        return irds.collection(card, pair, split)
    names = {
        key: fill(card, setting(card, key), pair, split)
        for key in ("documents", "queries", "qrels")
    }
    paths = {key: source.file(name, name + ".gz") for key, name in names.items()}
    return Collection(
        corpus_id=names["documents"],
        documents=TsvDocuments([paths["documents"]]),
        queries=read_topics(paths["queries"]),
        qrels=read_qrels(paths["qrels"]),
    )
