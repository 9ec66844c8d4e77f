"""The hand-written texts of the samples, the same in every language, and their checks."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.errors import DataError

LANGUAGES = ("en", "es", "de", "fr", "fi", "hi", "sw", "so", "tl", "mr", "yo")
"""The languages of the samples; English, the first, is what the others are compared with."""

TOPICS = {
    "Rivers": ("nile", "amazon", "danube"),
    "Planets": ("mars", "jupiter", "saturn"),
    "Animals": ("elephant", "giraffe", "camel"),
    "Mountains": ("kilimanjaro", "everest"),
    "Instruments": ("drum", "guitar"),
    "Food": ("rice", "bread"),
}
"""Topic to the ids of its facts, in the order of the text files."""

_FOLDER = Path(__file__).with_name("texts")
_FACT_KEYS = {"id", "title", "sentences", "question", "answer"}
_COMMAND_KEYS = {"id", "intent", "text"}


class Fact(NamedTuple):
    """A short encyclopaedic passage, and a question that one of its two sentences answers.

    The first sentence holds the title, in any case; the answer stands verbatim in one sentence.
    """

    id: str
    title: str
    sentences: tuple[str, str]
    question: str
    answer: str

    @property
    def passage(self) -> str:
        return " ".join(self.sentences)

    @property
    def answer_sentence(self) -> int:
        return 0 if self.answer in self.sentences[0] else 1


class Command(NamedTuple):
    """Something said to a voice assistant, and its intent: "GET_WEATHER"."""

    id: str
    intent: str
    text: str


class Texts(NamedTuple):
    """Everything written in one language."""

    facts: tuple[Fact, ...]
    commands: tuple[Command, ...]


def read_texts(folder: Path = _FOLDER) -> dict[str, Texts]:
    """Return language code to its texts, in the order of `LANGUAGES`.

    Raises:
        DataError: A file breaks a rule of `Fact` or differs from English in its ids, order or
            intents; every problem is named.
    """
    texts: dict[str, Texts] = {}
    problems: list[str] = []
    for language in LANGUAGES:
        path = folder / f"{language}.toml"
        try:
            texts[language] = _parse(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: {error}") from error
        found = [*_problems(texts[language]), *_differences(texts[language], texts["en"])]
        problems += [f"{path}: {problem}" for problem in found]
    if problems:
        raise DataError("; ".join(problems))
    return texts


def _parse(raw: dict[str, Any]) -> Texts:
    for table, keys in (("fact", _FACT_KEYS), ("command", _COMMAND_KEYS)):
        for row in raw.get(table, []):
            if row.keys() != keys:
                raise ValueError(
                    f"{table} {row.get('id')!r}: expected {', '.join(sorted(keys))}, "
                    f"found {', '.join(sorted(row))}"
                )
    for row in raw["fact"]:
        if len(row["sentences"]) != 2:
            raise ValueError(f"fact {row['id']!r}: expected two sentences")
        row["sentences"] = tuple(row["sentences"])
    return Texts(
        tuple(Fact(**row) for row in raw["fact"]),
        tuple(Command(**row) for row in raw["command"]),
    )


def _problems(texts: Texts) -> Iterator[str]:
    for fact in texts.facts:
        # Offsets of the title are looked for in lower case, so no letter may change its length.
        first = fact.sentences[0]
        if fact.title.lower() not in first.lower() or len(first) != len(first.lower()):
            yield f"{fact.id}: the first sentence lacks the title {fact.title!r}"
        if sum(fact.answer in sentence for sentence in fact.sentences) != 1:
            yield f"{fact.id}: the answer {fact.answer!r} must stand in one of the sentences"
    passages = [sentence for fact in texts.facts for sentence in fact.sentences]
    strings = [*passages, *(fact.question for fact in texts.facts)]
    strings += [command.text for command in texts.commands]
    if len({*strings}) != len(strings):
        yield "a text occurs twice"
    for text in [*strings, *(fact.title for fact in texts.facts)]:
        if not text or not unicodedata.is_normalized("NFC", text):
            yield f"{text!r} is empty or not NFC"
        if text != " ".join(text.split()):
            yield f"{text!r} has white space other than single spaces"


def _differences(texts: Texts, english: Texts) -> Iterator[str]:
    ids = [fact.id for fact in texts.facts]
    if ids != [fact_id for topic in TOPICS.values() for fact_id in topic]:
        yield f"the facts are not those of TOPICS, in that order: {ids}"
    labels = [(command.id, command.intent) for command in texts.commands]
    if labels != [(command.id, command.intent) for command in english.commands]:
        yield "the commands' ids and intents are not those of English"
    answered = [fact.answer_sentence for fact in texts.facts]
    if answered != [fact.answer_sentence for fact in english.facts]:
        yield f"questions are answered by sentences {answered}, in English by others"
