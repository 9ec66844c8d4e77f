"""Reads XQuAD as retrieval: from a question to the paragraph it was asked about.

Artetxe, Ruder and Yogatama 2020 (arXiv 1910.11856). Files are `xquad.<language>.json`. They are
parallel, so the n-th paragraph has the same id in every language.
"""

from __future__ import annotations

from clir_bench.errors import DataError
from clir_bench.tasks.adapters.squad import Paragraph, read_paragraphs
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the questions of one language and the paragraphs of another.

    Document ids are "p000", "p001", ... by position in the file; query ids are the file's.

    Raises:
        DataError: A file is not SQuAD JSON, or the two languages differ in paragraphs or in the
            questions of one.
    """
    query_path = source.file(f"xquad.{card.languages[pair.query]}.json")
    document_path = source.file(f"xquad.{card.languages[pair.document]}.json")
    asked, paragraphs = read_paragraphs(query_path), read_paragraphs(document_path)
    ids = _question_ids(asked)
    if difference := _difference(ids, _question_ids(paragraphs)):
        raise DataError(
            f"task {card.id!r}, pair {pair}: {query_path} and {document_path} are not parallel: "
            f"{difference}; take both files from one release"
        )
    return Collection(
        corpus_id=pair.document,
        documents=[
            Document(f"p{number:03}", paragraph.context)
            for number, paragraph in enumerate(paragraphs)
        ],
        queries=[
            Query(question.question_id, question.text)
            for paragraph in asked
            for question in paragraph.questions
        ],
        qrels=[
            Qrel(question_id, f"p{number:03}", 1)
            for number, questions in enumerate(ids)
            for question_id in questions
        ],
    )


def _question_ids(paragraphs: tuple[Paragraph, ...]) -> list[list[str]]:
    return [[question.question_id for question in paragraph.questions] for paragraph in paragraphs]


def _difference(one: list[list[str]], other: list[list[str]]) -> str:
    """Return in words how the questions of two languages differ, "" when they do not."""
    if len(one) != len(other):
        return f"{len(one)} against {len(other)} paragraphs"
    for number, (left, right) in enumerate(zip(one, other, strict=True)):
        if left != right:
            return f"the question ids of paragraph {number} (from 0) differ"
    return ""
