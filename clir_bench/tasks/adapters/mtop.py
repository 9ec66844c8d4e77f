"""Reads MTOP: from an utterance to its translation, or to utterances with the same intent.

Li et al. 2021 (EACL, arXiv 2008.09335). It reads two layouts; both give an utterance the same id in
every language:

- `<split>.json` of XSemPLR (Zhang et al. 2023, arXiv 2306.04085), parallel in all languages: a list
  of `{"id", "question": {language: text}, "mr": {"slot_intent": {language: "[IN:... ]"}}}`;
- the official release, `mtop/<language>/{train,eval,test}.txt` (the folder `mtop` may be left out):
  id, intent, slots, utterance, domain, locale, decoupled form and tokens, separated by tabs. A pair
  has the utterances that both of its languages have.

Card settings: `source.relevance` is "translation" or "intent".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from clir_bench.core.text_files import kept, read_columns, read_json
from clir_bench.errors import CardError, DataError
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.source import Source
from clir_bench.types import Collection, Document, LanguagePair, Qrel, Query

_TSV_NAMES = {"dev": "eval"}
_N_COLUMNS = 8


class Utterance(NamedTuple):
    """An utterance's text, and the outermost intent of its parse, "IN:GET_WEATHER"."""

    text: str
    intent: str


def load(card: TaskCard, pair: LanguagePair, split: str, source: Source) -> Collection:
    """Return the utterances of one language as queries, those of another as documents.

    Ids are the release's. With "intent" the query's own translation is no answer and is taken out
    of its ranking; a query whose intent no other utterance has is not judged.

    Raises:
        CardError: `source.relevance` is neither "translation" nor "intent".
        DataError: A file is in neither layout, an id occurs twice, or a text is empty.
    """
    relevance = card.source.get("relevance")
    if relevance not in ("translation", "intent"):
        raise CardError(
            f"task {card.id!r}: source.relevance must be 'translation' or 'intent', "
            f"found {relevance!r}"
        )
    asked = _utterances(source, split, card.languages[pair.query])
    known = _utterances(source, split, card.languages[pair.document])
    shared = [utterance_id for utterance_id in asked if utterance_id in known]
    qrels: Sequence[Qrel]
    if relevance == "translation":
        qrels = [Qrel(utterance_id, utterance_id, 1) for utterance_id in shared]
    else:
        qrels = _same_intent(
            tuple(shared),
            tuple(asked[utterance_id].intent for utterance_id in shared),
            tuple(known[utterance_id].intent for utterance_id in shared),
        )
    return Collection(
        # With TSVs, the utterances that two languages share depend on both.
        corpus_id=pair.document if len(shared) == len(known) else str(pair),
        documents=[Document(utterance_id, known[utterance_id].text) for utterance_id in shared],
        queries=[Query(utterance_id, asked[utterance_id].text) for utterance_id in shared],
        qrels=qrels,
        skip_same_id=relevance == "intent",
    )


@lru_cache(maxsize=4)
def _same_intent(
    ids: tuple[str, ...], asked: tuple[str, ...], known: tuple[str, ...]
) -> tuple[Qrel, ...]:
    """Return the judgments by intent; they are the same in every pair of parallel languages.

    Args:
        ids: Of the utterances, in every language.
        asked: Their intents in the query language.
        known: Their intents in the document language.
    """
    by_intent: dict[str, list[str]] = defaultdict(list)
    for doc_id, intent in zip(ids, known, strict=True):
        by_intent[intent].append(doc_id)
    return tuple(
        Qrel(query_id, doc_id, 1)
        for query_id, intent in zip(ids, asked, strict=True)
        for doc_id in by_intent.get(intent, ())
        if doc_id != query_id
    )


def _utterances(source: Source, split: str, code: str) -> dict[str, Utterance]:
    """Return id to utterance of one language, in the file's order."""
    parallel, name = f"{split}.json", f"{code}/{_TSV_NAMES.get(split, split)}.txt"
    if not source.exists(parallel):
        for table in (f"mtop/{name}", name):
            if source.exists(table):
                return _read_tsv(source.file(table))
    return _read_json(source.file(parallel), code)


@kept(n_files=16)
def _read_tsv(path: Path) -> dict[str, Utterance]:
    utterances: dict[str, Utterance] = {}
    for number, columns in read_columns(path, _N_COLUMNS):
        utterance_id, intent, text = columns[0], columns[1], columns[3]
        _add(utterances, utterance_id, Utterance(text, intent), f"{path}:{number}")
    return utterances


@kept(n_files=16)
def _read_json(path: Path, code: str) -> dict[str, Utterance]:
    rows = _read_rows(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a list of utterances, found {type(rows).__name__}")
    utterances: dict[str, Utterance] = {}
    for number, row in enumerate(rows):
        where = f"{path}: item {number} (from 0)"
        utterance_id = _string(row, where, "id")
        text = _string(row, where, "question", code)
        parse = _string(row, where, "mr", "slot_intent", code)
        intent = parse.removeprefix("[").partition(" ")[0].rstrip("]")
        _add(utterances, utterance_id, Utterance(text, intent), where)
    return utterances


@kept(n_files=2)
def _read_rows(path: Path) -> Any:
    return read_json(path)


def _add(utterances: dict[str, Utterance], key: str, utterance: Utterance, where: str) -> None:
    if key in utterances:
        raise DataError(f"{where}: id {key!r} occurs twice; ids must be unique in a file")
    if not key.strip() or not utterance.text.strip():
        raise DataError(f"{where}: utterance {key!r} has no {'text' if key.strip() else 'id'}")
    if not utterance.intent.startswith("IN:"):
        raise DataError(
            f"{where}: expected an intent, 'IN:...', found {utterance.intent!r} ({key!r})"
        )
    utterances[key] = utterance


def _string(row: Any, where: str, *keys: str) -> str:
    value = row
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            found = ", ".join(sorted(value)) if isinstance(value, dict) else repr(value)[:40]
            name = ".".join(keys[: depth + 1])
            raise DataError(f"{where}: field {name!r} is missing (found: {found or 'nothing'})")
        value = value[key]
    if not isinstance(value, str):
        raise DataError(f"{where}: {'.'.join(keys)} must be a string, found {value!r}")
    return value
