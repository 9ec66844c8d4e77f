"""Cards made on the spot for `--task irds:DATASET`."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from clir_bench.adapters.irds_errors import failure, import_ir_datasets
from clir_bench.cards import Counts, TaskCard
from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.files import path_problem
from clir_bench.languages import resolve
from clir_bench.pairs import PairRules
from clir_bench.types import POOL, LanguagePair

_SPLIT = "test"
_MAX_ID = 64
# ir_datasets leaves the language of these topics open; their titles are the English originals.
_QUERY_LANGUAGES = {"csl": "en", "hc4": "en", "neuclir": "en"}
_ITS_CODES = {"dt": "nl"}


def card_of(name: str) -> TaskCard:
    """Return a card for one data set of ir_datasets.

    Args:
        name: Its id; `:<query>-<document>` after it names the pair where ir_datasets does not say
            the languages, or says them wrong: "neuclir/1/multi/trec-2023:en-mul".

    Raises:
        UnknownNameError: ir_datasets has no such data set, or a language is unknown.
        UsageError: It has no documents, queries or judgments, or its languages are not known.
        MissingDataError: The list of its files cannot be fetched.
    """
    dataset_id, _, given = name.partition(":")
    if problem := path_problem(dataset_id):
        raise UsageError(f"--task irds:{dataset_id[:80]}: the data set's id {problem}")
    ir_datasets = import_ir_datasets()
    try:
        dataset = ir_datasets.load(dataset_id)
    except KeyError:
        raise UnknownNameError(
            "ir_datasets data set",
            dataset_id,
            ir_datasets.registry,
            f"https://ir-datasets.com lists them; this is ir_datasets {ir_datasets.__version__}.",
        ) from None
    except Exception as error:  # some data sets fetch their file list when opened
        raise failure(dataset_id, error) from error
    _require_parts(ir_datasets, dataset_id, dataset)
    pair = _given_pair(name, given) if given else _pair(dataset_id, dataset)
    counts = _counts(dataset)
    languages = {code: code for code in dict.fromkeys(pair) if code != POOL}
    return TaskCard(
        id=_slug(dataset_id),
        title=f"{dataset_id} (ir_datasets)",
        description=f"The data set {dataset_id} as ir_datasets reads it.",
        homepage=f"https://ir-datasets.com/{dataset_id.partition('/')[0]}.html#{dataset_id}",
        adapter="ir_datasets",
        splits=(_SPLIT,),
        default_split=_SPLIT,
        measures=("nDCG@10", "AP@1000", "R@100"),
        languages=languages,
        pairs=PairRules(official=(str(pair),)),
        parallel_queries=False,
        document_text=_document_text(dataset),
        source={"dataset": dataset_id, **_query_field(dataset)},
        counts={_SPLIT: {str(pair): counts}} if counts else {},
        unofficial=None if counts else f"ir_datasets states no counts to check {dataset_id} by",
        license="see the homepage",
    )


def _require_parts(ir_datasets: Any, dataset_id: str, dataset: Any) -> None:
    lacking = [
        word
        for entity, word in (("docs", "documents"), ("queries", "queries"), ("qrels", "judgments"))
        if not dataset.has(entity)
    ]
    if lacking:
        complete = [
            other
            for other in ir_datasets.registry
            if other.startswith(dataset_id + "/")
            and all(ir_datasets.load(other).has(part) for part in ("docs", "queries", "qrels"))
        ]
        hint = f"; take one of: {', '.join(complete[:8])}" if complete else ""
        raise UsageError(
            f"ir_datasets' {dataset_id!r} has no {' and no '.join(lacking)}, so there is nothing "
            f"to score{hint}"
        )


def _pair(dataset_id: str, dataset: Any) -> LanguagePair:
    query = dataset.queries_lang() or _QUERY_LANGUAGES.get(dataset_id.partition("/")[0])
    document = dataset.docs_lang()
    if query is None or document is None:
        sides = " and ".join(
            side for side, code in (("queries", query), ("documents", document)) if code is None
        )
        raise UsageError(
            f"ir_datasets does not say in which language the {sides} of {dataset_id!r} are; name "
            f"the pair: --task irds:{dataset_id}:{query or 'en'}-{document or POOL} "
            f"({POOL} is a pool of several languages)"
        )
    return LanguagePair(_code(query), _code(document))


def _given_pair(name: str, given: str) -> LanguagePair:
    query, _, document = given.partition("-")
    if not query or not document:
        raise UsageError(f"irds:{name}: expected <query>-<document> after the colon, as in en-fa")
    return LanguagePair(_code(query), document if document == POOL else _code(document))


def _code(code: str) -> str:
    return resolve(_ITS_CODES.get(code, code)).code


def _counts(dataset: Any) -> Counts | None:
    stated = [
        getattr(dataset, f"{entity}_metadata")().get("count")
        for entity in ("docs", "queries", "qrels")
    ]
    return Counts(*stated) if all(isinstance(n, int) for n in stated) else None


def _query_field(dataset: Any) -> dict[str, str]:
    # Recorded in the card, so that a result says what was searched with: the field whose name
    # default_text() gives back when every field holds its own name.
    cls = dataset.queries_cls()
    if not hasattr(cls, "default_text"):
        raise UsageError(
            f"ir_datasets does not say which field of a query is searched with "
            f"({', '.join(cls._fields)}); write a card with source.query_field"
        )
    text = cls(*cls._fields).default_text()
    return {"query_field": text} if text in cls._fields else {}


def _document_text(dataset: Any) -> Any:
    both = {"title", "text"} <= set(dataset.docs_cls()._fields)
    return "{title} {text}" if both else "{text}"


def _slug(dataset_id: str) -> str:
    slug = "irds-" + re.sub(r"[^a-z0-9._-]+", "-", dataset_id.lower())
    if len(slug) > _MAX_ID:
        digest = hashlib.sha256(dataset_id.encode()).hexdigest()[:8]
        slug = f"{slug[: _MAX_ID - 9]}-{digest}"
    return slug
