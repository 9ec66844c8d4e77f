"""Turns results into pandas data frames, with a column per measure and all digits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clir_bench.errors import UnknownNameError, UsageError
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import PairCounts, Result, SuitePart
from clir_bench.tasks.languages import Language, resolve
from clir_bench.types import LanguagePair

if TYPE_CHECKING:
    from pandas import DataFrame

_FACTS = (
    "task", "split", "pair", "query_language", "document_language",
    "language", "script", "family", "tier", "status", "official",
)  # fmt: skip
_COUNTS = tuple(PairCounts.model_fields)


def frame(rows: Iterable[Any], columns: Sequence[str] | None = None) -> DataFrame:
    """Return rows as a data frame.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UsageError(
            'data frames need pandas, which is not installed: pip install "clir-bench[notebook]"'
        ) from None
    return pandas.DataFrame(list(rows), columns=None if columns is None else list(columns))


def joined(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames that have any."""
    import pandas

    full = [part for part in frames if len(part)]
    return pandas.concat(full, ignore_index=True) if full else frames[0]


def pair_frame(
    results: Sequence[tuple[Mapping[str, Any], Result]], absent: Iterable[SuitePart] = ()
) -> DataFrame:
    """Return a row per pair of every result.

    Args:
        results: The first columns of a result's rows (`{"system": "labse"}`), and the result.
        absent: Parts of a suite whose results are not stored: their pairs get rows too.

    Raises:
        UsageError: pandas is not installed.
    """
    first = list(dict.fromkeys(name for more, _ in results for name in more))
    measures = dict.fromkeys(name for _, result in results for name in result.task.measures)
    scores = [f"{name}{end}" for name in measures for end in ("", " low", " high")]
    rows = [row for more, result in results for row in _pair_rows(result, more)]
    rows += [
        {
            "task": part.task, "split": part.split, "pair": pair, "official": part.official,
            "status": "failed" if part.error else "not stored", "error": part.error,
        }
        for part in absent
        for pair in part.pairs
    ]  # fmt: skip
    found = frame(rows, [*first, *_FACTS, *scores, *_COUNTS, "error"])
    return found.astype({**dict.fromkeys(scores, "float64"), **dict.fromkeys(_COUNTS, "Int64")})


def _pair_rows(result: Result, more: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    task = result.task
    for name, pair in result.pairs.items():
        sides = LanguagePair.parse(name)
        language = _known(pair.language)
        row = {
            **more, "task": task.id, "split": task.split, "pair": name,
            "query_language": sides.query, "document_language": sides.document,
            "language": pair.language,
            "script": language and language.script, "family": language and language.family,
            "tier": pair.tier, "status": pair.status, "official": pair.official,
            "error": pair.error,
        }  # fmt: skip
        for measure, score in pair.scores.items():
            row[measure] = score.mean
            row[f"{measure} low"], row[f"{measure} high"] = score.interval
        yield row | (pair.counts.model_dump() if pair.counts else {})


def _known(code: str) -> Language | None:
    try:
        return resolve(code)
    except UnknownNameError:
        return None


def query_frame(
    results: Sequence[tuple[Mapping[str, Any], Result, Mapping[LanguagePair, QueryScores]]],
) -> DataFrame:
    """Return a row per query and measure of every result.

    Args:
        results: The first columns of a result's rows, the result, and its per-query values.

    Raises:
        UsageError: pandas is not installed.
    """
    columns = ["task", "split", "pair", "query_id", "measure", "value"]
    parts = [frame([], [*(results[0][0] if results else ()), *columns])]
    for more, result, values in results:
        facts = {**more, "task": result.task.id, "split": result.task.split}
        for pair, scores in values.items():
            part = frame(
                zip(
                    np.repeat(np.array(scores.query_ids, dtype=object), len(scores.measures)),
                    scores.measures * len(scores.query_ids),
                    scores.values.ravel().tolist(),
                    strict=True,
                ),
                columns[3:],
            )
            for place, (name, value) in enumerate({**facts, "pair": str(pair)}.items()):
                part.insert(place, name, value)
            parts.append(part)
    return joined(parts)
