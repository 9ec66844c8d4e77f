"""Writes a result as mteb stores it: the JSON of a `TaskResult` (mteb/results/task_result.py).

The format is that of mteb 2: `task_name`, `dataset_revision`, `mteb_version`, `evaluation_time`,
`kg_co2_emissions`, `date` (seconds since 1970), and `scores`: for each split a list with one object
per subset, holding `main_score`, `hf_subset`, `languages` and any other scores, all in [0, 1].

`mteb_version` is null, because mteb did not run it; `dataset_revision` is the hash of the data that
was loaded here. So mteb reads the file but does not merge it with results on its own copy of the
data.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from clir_bench.results.export.measures import mteb_name
from clir_bench.results.schema import Result
from clir_bench.tasks.catalog import shipped_card
from clir_bench.tasks.languages import resolve
from clir_bench.types import POOL, LanguagePair


def task_result(result: Result) -> dict[str, Any]:
    """Return a result as the JSON object of mteb's `TaskResult`."""
    done = {name: pair for name, pair in result.pairs.items() if pair.status == "done"}
    started = datetime.datetime.fromisoformat(result.environment.started)
    corpus_languages = _languages_of_pool(result)
    return {
        "dataset_revision": f"clir-bench-data-{result.task.data_sha256}",
        "task_name": _name_at_mteb(result.task.id) or f"clir-bench/{result.task.id}",
        "mteb_version": None,
        "scores": {
            result.task.split: [
                {
                    **{
                        mteb_name(measure): pair.scores[measure].mean
                        for measure in result.task.measures
                    },
                    "main_score": pair.scores[result.task.measures[0]].mean,
                    "hf_subset": _subset(LanguagePair.parse(name)),
                    "languages": _languages(LanguagePair.parse(name), corpus_languages),
                }
                for name, pair in done.items()
            ]
        },
        "evaluation_time": result.environment.seconds,
        "kg_co2_emissions": None,
        "date": started.timestamp(),
    }


def is_known_to_mteb(task: str) -> bool:
    """Return whether mteb has the task."""
    return bool(_name_at_mteb(task))


def _name_at_mteb(task: str) -> str:
    card = shipped_card(task)
    return card.mteb if card else ""


def _subset(pair: LanguagePair) -> str:
    return pair.query if pair.query == pair.document else str(pair)


def _languages(pair: LanguagePair, pool: Iterable[str]) -> list[str]:
    codes = [pair.query, *(pool if pair.document == POOL else [pair.document])]
    return list(dict.fromkeys(_language_and_script(code) for code in codes))


def _language_and_script(code: str) -> str:
    language = resolve(code)
    return f"{language.iso639_3}-{language.script}"


def _languages_of_pool(result: Result) -> list[str]:
    if card := shipped_card(result.task.id):
        return sorted(card.languages)
    return sorted({LanguagePair.parse(name).query for name in result.pairs})
