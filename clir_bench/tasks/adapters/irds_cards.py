"""Makes the task card for `--task irds:DATASET`, from what ir_datasets knows of the data set."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from clir_bench.core.files import path_problem
from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.tasks.adapters.irds import finds_itself
from clir_bench.tasks.adapters.irds_errors import failure, import_ir_datasets
from clir_bench.tasks.adapters.irds_languages import (
    has_original,
    pairs_of,
    query_field,
    require_documents,
)
from clir_bench.tasks.cards import Counts, TaskCard
from clir_bench.tasks.languages import pair_readings
from clir_bench.tasks.measures import parse_measures
from clir_bench.tasks.pairs import PairRules
from clir_bench.types import POOL, LanguagePair

_SPLIT = "test"
_MAX_ID = 64
_DEFAULT_MEASURES = ("nDCG@10", "AP@1000", "R@100")
_TREC_NEUCLIR = ("nDCG@20", "AP@1000", "R@1000")
_MS_MARCO = ("RR@10", "R@1000")
_MEASURES = {
    "csl": _TREC_NEUCLIR,  # Lawrie et al. 2023, Overview of the TREC NeuCLIR Track, 2404.08071
    "hc4": _TREC_NEUCLIR,  # whose topics and grades are the track's: Lawrie et al. 2022, 2201.09992
    "neuclir": _TREC_NEUCLIR,
    "miracl": ("nDCG@10", "R@100"),  # Zhang et al. 2023, 10.1162/tacl_a_00595
    "mmarco": _MS_MARCO,  # Bonifacio et al. 2021, 2108.13897
    "mr-tydi": ("RR@100", "R@100"),  # Zhang et al. 2021, 2108.08787
    "neumarco": _MS_MARCO,
}
"""Measures of benchmarks for which ir_datasets states none, the primary one first."""


def card_of(name: str) -> TaskCard:
    """Return a card for one data set of ir_datasets.

    Args:
        name: Its id; `:<query>-<document>` after it names the pair where ir_datasets does not say
            the languages, or where there are several: "neuclir/1/multi/trec-2023:en-mul",
            "trec-mandarin/trec5:zh-zh". The pair decides which field of a query is searched with.

    Raises:
        UnknownNameError: ir_datasets has no such data set, or a language is unknown.
        UsageError: It has no documents, queries or judgments, its languages are not known, or it
            does not have those of the pair.
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
    usual = _known_pair(dataset_id, dataset)
    pair = _given_pair(name, given, dataset_id, dataset) if given else usual
    if pair is None:
        raise _open_pair(dataset_id, dataset)
    field = query_field(dataset_id, dataset, pair.query)
    measures, uncomputed = _measures(dataset_id, dataset)
    counts = _counts(dataset)
    no_counts = "" if counts else f"ir_datasets states no counts to check {dataset_id} by"
    languages = {code: code for code in dict.fromkeys(pair) if code != POOL}
    return TaskCard(
        id=_slug(dataset_id if pair == usual else f"{dataset_id}-{pair}"),
        title=f"{dataset_id} (ir_datasets)",
        description=f"The data set {dataset_id} as ir_datasets reads it.",
        homepage=f"https://ir-datasets.com/{dataset_id.partition('/')[0]}.html#{dataset_id}",
        adapter="ir_datasets",
        splits=(_SPLIT,),
        default_split=_SPLIT,
        measures=measures,
        languages=languages,
        pairs=PairRules(official=(str(pair),)),
        parallel_queries=False,
        document_text=_document_text(dataset),
        # The field is recorded, so that a result says what was searched with.
        source={"dataset": dataset_id, **({"query_field": field} if field else {})},
        skip_same_id=finds_itself(dataset_id),
        counts={_SPLIT: {str(pair): counts}} if counts else {},
        unofficial="; ".join(filter(None, (no_counts, uncomputed))) or None,
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


def _known_pair(dataset_id: str, dataset: Any) -> LanguagePair | None:
    """Return the pair of a data set if only one is possible, else None."""
    known = pairs_of(dataset_id, dataset)
    is_stated = POOL not in {pair.document for pair in known}
    if is_stated and (len(known) == 1 or has_original(dataset_id)):
        return known[0]
    return None


def _open_pair(dataset_id: str, dataset: Any) -> UsageError:
    """Return the message that asks for a pair."""
    known = pairs_of(dataset_id, dataset)
    documents = dataset.docs_lang()
    names = [str(pair) for pair in known] or [f"en-{documents or POOL}"]
    sides = [
        side
        for side, is_open in (
            ("queries", len(known) != 1 and not has_original(dataset_id)),
            ("documents", documents is None),
        )
        if is_open
    ]
    return UsageError(
        f"ir_datasets does not say in which language the {' and '.join(sides)} of {dataset_id!r} "
        f"are; name the pair: --task irds:{dataset_id}:{' or :'.join(names)} "
        f"({POOL} is a pool of several languages)"
    )


def _given_pair(name: str, given: str, dataset_id: str, dataset: Any) -> LanguagePair:
    """Return the pair that was named.

    Raises:
        UsageError: It is no pair, or may mean several.
        CardError: The data set does not have its languages.
    """
    if "-" not in given.strip("-"):
        raise UsageError(f"irds:{name}: expected <query>-<document> after the colon, as in en-fa")
    readings = pair_readings(given)
    known = [pair for pair in readings if pair in pairs_of(dataset_id, dataset)] or readings
    if len(known) > 1:
        raise UsageError(f"irds:{name}: {given!r} may mean {' or '.join(map(str, known))}")
    pair = known[0]
    if "*" in pair or pair.query == POOL:
        raise UsageError(f"irds:{name}: expected one language of queries and one of documents")
    require_documents(dataset_id, dataset, pair.document)
    return pair


def _measures(dataset_id: str, dataset: Any) -> tuple[tuple[str, ...], str]:
    """Return the measures to report for a data set, and those ir-measures cannot compute.

    They are those that ir_datasets states, else those of its benchmark, else `_DEFAULT_MEASURES`.
    """
    said = dataset.documentation() if hasattr(dataset, "documentation") else {}
    stated = said.get("official_measures", ())
    measures: list[str] = []
    unknown: list[str] = []
    for name in stated:
        try:
            measures += parse_measures([str(name)])
        except UsageError:
            unknown.append(str(name))
    problem = f"ir_datasets states measures that are not computed here: {', '.join(unknown)}"
    family = dataset_id.partition("/")[0]
    chosen = tuple(dict.fromkeys(measures)) or _MEASURES.get(family, _DEFAULT_MEASURES)
    return chosen, problem if unknown else ""


def _counts(dataset: Any) -> Counts | None:
    stated = [
        getattr(dataset, f"{entity}_metadata")().get("count")
        for entity in ("docs", "queries", "qrels")
    ]
    return Counts(*stated) if all(isinstance(n, int) for n in stated) else None


def _document_text(dataset: Any) -> Any:
    both = {"title", "text"} <= set(dataset.docs_cls()._fields)
    return "{title} {text}" if both else "{text}"


def _slug(dataset_id: str) -> str:
    slug = "irds-" + re.sub(r"[^a-z0-9._-]+", "-", dataset_id.lower())
    if len(slug) > _MAX_ID:
        digest = hashlib.sha256(dataset_id.encode()).hexdigest()[:8]
        slug = f"{slug[: _MAX_ID - 9]}-{digest}"
    return slug
