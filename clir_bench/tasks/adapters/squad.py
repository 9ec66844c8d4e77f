"""Reads paragraphs and questions from JSON in SQuAD's format; checks them once for all pairs.

Source of the format: Rajpurkar et al. 2016 (arXiv 1606.05250); XQuAD-R's `sentences` and
`sentence_breaks` are those of Roy et al. 2020 (arXiv 2004.05484).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.core.text_files import kept, read_json
from clir_bench.errors import DataError


class Question(NamedTuple):
    """One question; `answer_start` is the first answer's offset in the context, in characters."""

    question_id: str
    text: str
    answer_start: int


class Sentence(NamedTuple):
    """One sentence and the half-open span `[start, end)` it covers in the context."""

    text: str
    start: int
    end: int


class Paragraph(NamedTuple):
    """One paragraph; `sentences` is empty in plain SQuAD files."""

    context: str
    questions: tuple[Question, ...]
    sentences: tuple[Sentence, ...]


@kept(n_files=16)
def read_paragraphs(path: Path) -> tuple[Paragraph, ...]:
    """Return every paragraph of the file, in its order.

    Raises:
        DataError: The JSON is broken, a field is missing or of the wrong type, a text is empty, or
            a question id occurs twice; the article, paragraph and question are named.
    """
    paragraphs: list[Paragraph] = []
    seen: dict[str, str] = {}
    root = read_json(path)
    for a, article in enumerate(_field(path, "top level", root, "data", list)):
        for p, raw in enumerate(_field(path, f"data[{a}]", article, "paragraphs", list)):
            where = f"data[{a}].paragraphs[{p}]"
            questions = _questions(path, where, raw)
            for question in questions:
                if question.question_id in seen:
                    raise DataError(
                        f"{path}: {where}: question id {question.question_id!r} occurs twice, "
                        f"first in {seen[question.question_id]}; ids must be unique in a file"
                    )
                seen[question.question_id] = where
            context = _text(path, where, raw, "context")
            paragraphs.append(Paragraph(context, questions, _sentences(path, where, raw)))
    return tuple(paragraphs)


def _questions(path: Path, where: str, raw: Any) -> tuple[Question, ...]:
    questions = []
    for q, item in enumerate(_field(path, where, raw, "qas", list)):
        place = f"{where}.qas[{q}]"
        answers = _field(path, place, item, "answers", list)
        if not answers:
            raise DataError(f"{path}: {place}: expected at least one answer, found none")
        start = _field(path, f"{place}.answers[0]", answers[0], "answer_start", int)
        text = _text(path, place, item, "question")
        questions.append(Question(_text(path, place, item, "id"), text, start))
    return tuple(questions)


def _sentences(path: Path, where: str, raw: Any) -> tuple[Sentence, ...]:
    if "sentences" not in raw and "sentence_breaks" not in raw:
        return ()
    texts = _field(path, where, raw, "sentences", list)
    breaks = _field(path, where, raw, "sentence_breaks", list)
    if len(texts) != len(breaks):
        raise DataError(
            f"{path}: {where}: {len(texts)} sentences but {len(breaks)} sentence_breaks; "
            "expected one break per sentence"
        )
    sentences = []
    for s, (text, span) in enumerate(zip(texts, breaks, strict=True)):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{path}: {where}.sentences[{s}]: expected text, found {text!r}")
        if not (isinstance(span, list) and len(span) == 2 and all(type(n) is int for n in span)):
            raise DataError(
                f"{path}: {where}.sentence_breaks[{s}]: expected [start, end], found {span!r}"
            )
        sentences.append(Sentence(text, span[0], span[1]))
    return tuple(sentences)


def _field(path: Path, where: str, value: Any, key: str, kind: type) -> Any:
    if not isinstance(value, dict) or key not in value:
        found = ", ".join(sorted(value)) if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{path}: {where}: field {key!r} is missing (found: {found or 'nothing'})")
    if type(value[key]) is not kind:
        raise DataError(
            f"{path}: {where}.{key}: expected {kind.__name__}, found {str(value[key])[:40]!r}"
        )
    return value[key]


def _text(path: Path, where: str, value: Any, key: str) -> str:
    text: str = _field(path, where, value, key, str)
    if not text.strip():
        raise DataError(f"{path}: {where}.{key}: expected text, found nothing")
    return text
