"""Write every sample in its official format: `python tools/build_samples.py`.

With a folder as argument the samples are written there, else where the package keeps them. The
same texts give the same bytes; only compressed ones may differ with the zlib at hand. Languages are
named as the cards' `[sample]` tables name them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sample_texts import LANGUAGES, TOPICS, Fact, Texts, read_texts

import clir_bench.tasks.samples
from clir_bench.errors import UsageError
from clir_bench.tasks.adapters.patterns import fill, setting
from clir_bench.tasks.cache import folder_name
from clir_bench.tasks.cards import SAMPLE, TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.types import LanguagePair

_ENGLISH = LANGUAGES[0]
_SHIPPED = Path(clir_bench.tasks.samples.__file__).parent


def build(out: Path) -> None:
    """Write the sample of every task below `out`, one folder per task.

    Raises:
        DataError: The texts break one of their rules.
    """
    texts = read_texts()
    for task, write in _WRITERS.items():
        card = load_card(task)
        if not isinstance(card, TaskCard):
            raise UsageError(f"task {task!r} is a suite; its parts have samples, it has none")
        sample = card.for_sample()
        write(sample, texts, out / folder_name(sample))


def _miracl(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """One passage a sentence; the other sentence of the article is judged not relevant."""
    for language, code in card.languages.items():
        passages, topics, qrels = [], [], []
        for number, fact in enumerate(texts[language].facts, start=1):
            for s, sentence in enumerate(fact.sentences):
                doc_id = f"{100 + number}#{s}"
                passages.append({"docid": doc_id, "title": fact.title, "text": sentence})
                qrels.append(f"{number}\tQ0\t{doc_id}\t{int(s == fact.answer_sentence)}")
            topics.append(f"{number}\t{fact.question}")
        name = f"miracl-v1.0-{code}"
        _write(folder / f"miracl-corpus-v1.0-{code}/docs-0.jsonl.gz", _jsonl(passages))
        _write(folder / f"{name}/topics/topics.{name}-{SAMPLE}.tsv", _lines(topics))
        _write(folder / f"{name}/qrels/qrels.{name}-{SAMPLE}.tsv", _lines(qrels))


def _mmarco(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """One passage a sentence; ids are shared by all languages."""
    for language in card.languages:
        names = _names(card, LanguagePair(language, language))
        facts = texts[language].facts
        sentences = [sentence for fact in facts for sentence in fact.sentences]
        questions = [fact.question for fact in facts]
        _write(folder / names["documents"], _lines(_numbered(sentences, 0)))
        _write(folder / names["queries"], _lines(_numbered(questions, 100)))
    qrels = [
        f"{100 + number}\t0\t{2 * number + fact.answer_sentence}\t1"
        for number, fact in enumerate(texts[_ENGLISH].facts)
    ]
    _write(folder / names["qrels"], _lines(qrels))


def _wikiclir(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """Articles of one topic link to each other, so the others of the topic have grade 1."""
    topic_of = {fact_id: topic for topic, ids in TOPICS.items() for fact_id in ids}
    english = texts[_ENGLISH].facts
    for pair in card.official_pairs():
        suffix = setting(card, f"suffix_{pair.document}", pair.document)
        names = _names(card, pair, suffix=suffix)
        first = 1000 * [*card.languages].index(pair.document)
        facts = texts[pair.document].facts
        articles = [f"{fact.title}\t{fact.passage}" for fact in facts]
        qrels = [
            f"{1 + q}\t{first + d}\t{2 if q == d else 1}"
            for q, asked in enumerate(english)
            for d, article in enumerate(facts)
            if topic_of[asked.id] == topic_of[article.id]
        ]
        _write(folder / names["documents"], _lines(_numbered(articles, first)))
        _write(folder / names["qrels"], _lines(qrels))
    queries = [f"{fact.title}\t{_without_title(fact)}" for fact in english]
    _write(folder / names["queries"], _lines(_numbered(queries, 1)))


def _without_title(fact: Fact) -> str:
    """Return the first sentence in lower case, without the words of the title."""
    title = fact.title.lower().split()
    words = re.findall(r"[\w-]+", fact.sentences[0].lower())
    return " ".join(word for word in words if word not in title)


def _xquad(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    for language, code in card.languages.items():
        _write(folder / f"xquad.{code}.json", _json(_squad(texts[language], sentences=False)))


def _xquad_r(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    for language, code in card.languages.items():
        _write(folder / f"{code}.json", _json(_squad(texts[language], sentences=True)))


def _squad(texts: Texts, *, sentences: bool) -> dict[str, Any]:
    facts = {fact.id: fact for fact in texts.facts}
    articles = [
        {"title": topic, "paragraphs": [_paragraph(facts[i], sentences=sentences) for i in ids]}
        for topic, ids in TOPICS.items()
    ]
    return {"data": articles, "version": "1.1"}


def _paragraph(fact: Fact, *, sentences: bool) -> dict[str, Any]:
    answer = {"answer_start": fact.passage.index(fact.answer), "text": fact.answer}
    question = {"id": fact.id, "question": fact.question, "answers": [answer]}
    paragraph: dict[str, Any] = {"context": fact.passage, "qas": [question]}
    if sentences:
        breaks = [[span["start"], span["end"]] for span in _spans(fact.sentences)]
        paragraph |= {"sentences": [*fact.sentences], "sentence_breaks": breaks}
    return paragraph


def _tatoeba(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """The first sentences and the commands, aligned by line with English."""
    english = card.languages[_ENGLISH]
    for language, code in card.languages.items():
        if language == _ENGLISH:
            continue
        for side, name in ((language, code), (_ENGLISH, english)):
            lines = [fact.sentences[0] for fact in texts[side].facts]
            lines += [command.text for command in texts[side].commands]
            _write(folder / f"v1/tatoeba.{code}-{english}.{name}", _lines(lines))


def _mewsli_x(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """One article a topic and language; the entities' descriptions take turns in language."""
    entities = []
    for number, english in enumerate(texts[_ENGLISH].facts):
        language = LANGUAGES[number % len(LANGUAGES)]
        fact = texts[language].facts[number]
        entities.append(
            {
                "entity_id": f"Q-{english.id}",
                "title": fact.title,
                "description": fact.passage,
                "sentence_spans": _spans(fact.sentences),
                "description_language": language,
                "description_url": f"sample:{language}/{english.id}",
            }
        )
    articles = [
        _article(code, topic, [fact for fact in texts[language].facts if fact.id in ids])
        for language, code in card.languages.items()
        for topic, ids in TOPICS.items()
    ]
    _write(folder / "candidate_set_entities.jsonl", _jsonl(entities))
    _write(folder / f"wikinews_mentions-{card.default_split}.jsonl", _jsonl(articles))


def _article(code: str, topic: str, facts: list[Fact]) -> dict[str, Any]:
    """Return an article made of the facts' first sentences, with a mention in each."""
    sentences = [fact.sentences[0] for fact in facts]
    text, spans = " ".join(sentences), _spans(sentences)
    document_id = f"{code}-{topic.lower()}"
    mentions = []
    for fact, span in zip(facts, spans, strict=True):
        start = text.lower().index(fact.title.lower(), span["start"])
        end = start + len(fact.title)
        mentions.append(
            {
                "example_id": hashlib.sha256(f"{code}-{fact.id}".encode()).hexdigest()[:32],
                "mention_span": {"start": start, "end": end, "text": text[start:end]},
                "entity_id": f"Q-{fact.id}",
            }
        )
    context = {
        "document_title": facts[0].title,
        "document_url": f"sample:{document_id}",
        "document_id": document_id,
        "language": code,
        "text": text,
        "sentence_spans": spans,
    }
    return {"context": context, "mentions": mentions}


def _mtop(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    """The parallel layout; no command has slots."""
    utterances = [
        {
            "id": command.id,
            "mr": {
                "slot_intent": dict.fromkeys(card.languages.values(), f"[IN:{command.intent} ]")
            },
            "question": {
                code: texts[language].commands[number].text
                for language, code in card.languages.items()
            },
        }
        for number, command in enumerate(texts[_ENGLISH].commands)
    ]
    _write(folder / f"{SAMPLE}.json", _json(utterances))


def _afriqa(card: TaskCard, texts: dict[str, Texts], folder: Path) -> None:
    english = texts[_ENGLISH].facts
    for pair in card.official_pairs():
        rows = []
        for number, (asked, answered) in enumerate(
            zip(texts[pair.query].facts, english, strict=True)
        ):
            start = answered.passage.index(answered.answer)
            rows.append(
                {
                    "answer_pivot": {"answer_start": [start], "text": [answered.answer]},
                    "context": answered.passage,
                    "id": str(number),
                    "question_lang": asked.question,
                    "question_translated": answered.question,
                    "title": answered.title,
                    "answer_lang": asked.answer,
                }
            )
        code, target = card.languages[pair.query], card.languages[pair.document]
        name = f"gold_span_passages.afriqa.{code}.{target}.{SAMPLE}.json"
        _write(folder / f"data/gold_passages/{code}/{name}", _jsonl(rows))


_WRITERS = {
    "miracl": _miracl,
    "miracl-mini": _miracl,
    "mmarco": _mmarco,
    "wikiclir": _wikiclir,
    "xquad": _xquad,
    "xquad-r": _xquad_r,
    "tatoeba": _tatoeba,
    "mewsli-x": _mewsli_x,
    "mtop-translation": _mtop,  # mtop-intent reads the same folder
    "afriqa": _afriqa,
}


def _names(card: TaskCard, pair: LanguagePair, **more: str) -> dict[str, str]:
    return {
        key: fill(card, setting(card, key), pair, SAMPLE, **more)
        for key in ("documents", "queries", "qrels")
    }


def _spans(sentences: Iterable[str]) -> list[dict[str, int]]:
    """Return where the sentences are when a space joins them, in characters."""
    spans, start = [], 0
    for sentence in sentences:
        spans.append({"start": start, "end": start + len(sentence)})
        start += len(sentence) + 1
    return spans


def _numbered(texts: Iterable[str], first: int) -> list[str]:
    return [f"{number}\t{text}" for number, text in enumerate(texts, start=first)]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _jsonl(rows: Iterable[Any]) -> str:
    return _lines(json.dumps(row, ensure_ascii=False) for row in rows)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write every task's embedded sample.")
    parser.add_argument("out", nargs="?", type=Path, default=_SHIPPED)
    build(parser.parse_args().out)
