"""Reads XQuAD-R (LAReQA): from a question to the sentence that answers it, in one language or all.

Roy et al. 2020 (arXiv 2004.05484). Files are `<language>.json`: XQuAD with the sentences of every
paragraph. The relevant sentence is the one in which the first answer starts.
"""

from __future__ import annotations

from pathlib import Path

from clir_bench.core.text_files import kept
from clir_bench.errors import DataError
from clir_bench.tasks.adapters.squad import Paragraph, Question, read_paragraphs
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import POOL, Collection, Document, LanguagePair, Qrel, Query


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the questions of one language and the sentences of another, or of all.

    Document ids are "<language>.<paragraph>.<sentence>", both counted from 0; in the pool every
    document carries its language, and a question has one relevant sentence per language.

    Raises:
        DataError: A file is not XQuAD-R JSON, an answer starts outside every sentence, or a
            language lacks the answer to a question.
    """
    query_path = source.file(f"{card.languages[pair.query]}.json")
    queries = [
        Query(question.question_id, question.text)
        for paragraph in read_paragraphs(query_path)
        for question in paragraph.questions
    ]
    pooled = pair.document == POOL
    documents: list[Document] = []
    qrels: list[Qrel] = []
    for language in sorted({*card.languages} - {POOL}) if pooled else [pair.document]:
        path = source.file(f"{card.languages[language]}.json")
        documents += _candidates(path, language, tagged=pooled)
        answers = _answers(path, language)
        for query in queries:
            if query.query_id not in answers:
                raise DataError(
                    f"{path}: no question {query.query_id!r}, which {query_path} has; "
                    "take both files from one release"
                )
            qrels.append(Qrel(query.query_id, answers[query.query_id], 1))
    return Collection(pair.document, documents, queries, qrels)


@kept(n_files=32)
def _candidates(path: Path, language: str, *, tagged: bool) -> tuple[Document, ...]:
    paragraphs = read_paragraphs(path)
    for number, paragraph in enumerate(paragraphs):
        if not paragraph.sentences:
            raise DataError(
                f"{path}: paragraph {number} has no sentences; this is a plain XQuAD file, "
                "XQuAD-R's come with 'sentences' and 'sentence_breaks'"
            )
    return tuple(
        Document(f"{language}.{p}.{s}", sentence.text, language=language if tagged else "")
        for p, paragraph in enumerate(paragraphs)
        for s, sentence in enumerate(paragraph.sentences)
    )


@kept(n_files=16)
def _answers(path: Path, language: str) -> dict[str, str]:
    """Return the document id of the answering sentence by question id."""
    return {
        question.question_id: f"{language}.{p}.{_answer_sentence(path, paragraph, question)}"
        for p, paragraph in enumerate(read_paragraphs(path))
        for question in paragraph.questions
    }


def _answer_sentence(path: Path, paragraph: Paragraph, question: Question) -> int:
    for number, sentence in enumerate(paragraph.sentences):
        if sentence.start <= question.answer_start < sentence.end:
            return number
    breaks = [[sentence.start, sentence.end] for sentence in paragraph.sentences]
    raise DataError(
        f"{path}: question {question.question_id!r}: its answer starts at "
        f"{question.answer_start}, inside no sentence; sentence_breaks are {breaks}"
    )
