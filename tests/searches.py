"""A corpus encoded and searched in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.search import QuerySet, search
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.entry import Entry
from clir_bench.search.workers.executor import Here
from clir_bench.tasks.outline import outline_of
from clir_bench.types import Document, Encoder, Run, TokenEncoder


def search_corpus(
    encoder: Encoder | TokenEncoder,
    documents: Iterable[Document],
    query_sets: Sequence[QuerySet],
    *,
    k: int,
    language: str,
    document_text: str,
    advance: Callable[[int], None] = lambda _: None,
    entry: Entry | None = None,
) -> tuple[list[Run], PassCost]:
    """Rank a corpus for every query set, encoding it in this process.

    Args:
        encoder: What turns documents into vectors.
        documents: The corpus, read twice; documents without title and text are passed over.
        query_sets: At least one.
        k: Documents a query.
        language: The documents' language where a document does not state its own.
        document_text: How title and text are joined, as on the task's card.
        advance: Called with the number of documents done since the last call.
        entry: Where vectors are stored, already opened; None to store none.

    Returns:
        One `Run` a query set, in their order, and what it cost.
    """
    outline = outline_of(documents, language=language, document_text=document_text)
    corpus = Corpus("", sum(outline.sizes), language, document_text, "documents", outline)
    vectors = DocumentVectors(documents, Here(encoder), corpus, entry=entry)
    return search(vectors, query_sets, k=k, advance=advance)
