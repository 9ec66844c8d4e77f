"""Finds the languages of queries and documents in ir_datasets, and the fields that hold them.

ir_datasets names one language for all queries of a data set. It names none where a record holds a
query in several languages. TREC Mandarin has `title_en` and `title_zh`. NeuCLIR and HC4 have
English titles (`title`), which people (`ht_title`) and machines (`mt_title`) translated into the
documents' language. The pair decides which field becomes the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clir_bench.errors import CardError, UnknownNameError, UsageError
from clir_bench.tasks.languages import resolve
from clir_bench.types import POOL, LanguagePair

ANY = ""
"""Stands for a language that ir_datasets does not state."""
_ORIGINALS = {"csl": "en", "hc4": "en", "neuclir": "en"}
_TRANSLATIONS = ("ht", "mt")
_NO_LANGUAGE = frozenset({"id", *_TRANSLATIONS})  # a number, a way of translating
_TOKEN = re.compile(r"([a-z]{2,3})([0-9]*)")
_ITS_CODES = {"clirmatrix": {"als": "gsw"}, "mmarco": {"dt": "nl"}}
"""Codes that have another meaning in ISO 639, or none; `als` is Wikipedia's Alemannic."""


def default_field(dataset: Any) -> str:
    """Return the field of a query that ir_datasets would search with, "" where it joins several.

    Raises:
        UsageError: It would search with none.
    """
    cls = dataset.queries_cls()
    if not hasattr(cls, "default_text"):
        raise UsageError(
            f"ir_datasets does not say which field of a query is searched with "
            f"({', '.join(cls._fields)}); write a card with source.query_field"
        )
    # Each field holds its own name, so the text returned names the field.
    text = cls(*cls._fields).default_text()
    return text if text in cls._fields else ""


def query_fields(dataset_id: str, dataset: Any) -> dict[str, str]:
    """Return the field with the queries of each language; "" where several are joined.

    The key is `ANY` for queries in a language that ir_datasets does not state.
    """
    fields, default = dataset.queries_cls()._fields, default_field(dataset)
    found: dict[str, str] = {}
    roles = {tuple(default.split("_")), *(role for _, role in _marks(default))}
    for field in (default, *sorted(fields, key=lambda name: "mt" in name.split("_"))):
        for language, role in _marks(field):
            if role in roles or (role[0] in _TRANSLATIONS and role[1:] in roles):
                found.setdefault(language, field)
    if default not in found.values():
        original = dataset.queries_lang() or _ORIGINALS.get(_family(dataset_id))
        found = {_code(dataset_id, original) if original else ANY: default} | found
    documents = document_language(dataset_id, dataset)
    for field in (f"{way}_{default}" for way in _TRANSLATIONS):
        if field in fields and documents != ANY:
            found.setdefault(documents, field)
    return found


def document_language(dataset_id: str, dataset: Any) -> str:
    """Return the language of the documents, `ANY` where ir_datasets does not state it."""
    stated = dataset.docs_lang() if dataset.has("docs") else None
    return _code(dataset_id, stated) if stated else ANY


def query_field(dataset_id: str, dataset: Any, language: str) -> str:
    """Return the field that has the queries in a language.

    Raises:
        CardError: The data set has them in others only.
    """
    found = query_fields(dataset_id, dataset)
    for known, field in found.items():
        if _is_same(known, language):
            return field
    if ANY in found:
        return found[ANY]
    has = ", ".join(f"{code} ({field or 'several fields'})" for code, field in found.items())
    raise CardError(
        f"ir_datasets' {dataset_id!r} has no queries in {language!r}, only in {has}; name a pair "
        "that it has, or the field in a card: source.query_field"
    )


def require_documents(dataset_id: str, dataset: Any, language: str) -> None:
    """Refuse documents in another language than the pair's.

    Raises:
        CardError: ir_datasets states another one.
    """
    stated = document_language(dataset_id, dataset)
    if stated != ANY and not _is_same(stated, language):
        raise CardError(
            f"ir_datasets' {dataset_id!r} has documents in {stated!r}, not in {language!r}; name a "
            "pair that it has, or the field in a card: source.text_field"
        )


def pairs_of(dataset_id: str, dataset: Any) -> list[LanguagePair]:
    """Return the pairs that a data set is known to have, those across languages first.

    Documents in a language that ir_datasets does not state are taken for a pool of several.
    """
    documents = document_language(dataset_id, dataset)
    languages = [code for code in query_fields(dataset_id, dataset) if code != ANY]
    # Queries in several languages are meant for cross-language retrieval.
    across = sorted(languages, key=lambda code: code == documents)
    return [LanguagePair(code, documents or POOL) for code in across]


def has_original(dataset_id: str) -> bool:
    """Return whether queries were written in one language and only translated into others."""
    return _family(dataset_id) in _ORIGINALS


def _family(dataset_id: str) -> str:
    return dataset_id.partition("/")[0]


def _code(dataset_id: str, code: str) -> str:
    return resolve(_ITS_CODES.get(_family(dataset_id), {}).get(code, code)).code


def _is_same(stated: str, asked: str) -> bool:
    # ir_datasets calls Simple English English.
    return stated == asked or {stated, asked} == {"en", "simple"}


def _marks(field: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the languages that a field's name may name, each with the rest of the name.

    >>> list(_marks("description_en1"))
    [('en', ('description', '1'))]
    >>> list(_marks("fa_mt_title"))
    [('fa', ('mt', 'title'))]
    >>> list(_marks("query_id"))
    []
    """
    tokens = field.split("_")
    for place, token in enumerate(tokens):
        match = _TOKEN.fullmatch(token)
        if match is None or match[1] in _NO_LANGUAGE or len(tokens) == 1:
            continue
        try:
            language = resolve(match[1]).code
        except UnknownNameError:
            continue
        number = (match[2],) if match[2] else ()
        yield language, (*tokens[:place], *tokens[place + 1 :], *number)
