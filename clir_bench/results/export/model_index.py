"""Writes results as the `model-index` of a model card on the Hugging Face Hub.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md describes the fields. There is one
entry per pair, and one for the mean over languages; values are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clir_bench.results.export import yaml
from clir_bench.results.export.measures import mteb_name
from clir_bench.results.schema import Result, Scores

_TASK: Mapping[str, yaml.Value] = {"type": "text-retrieval", "name": "Cross-lingual retrieval"}
_OVERALL = "mean over languages"


def model_index(results: Sequence[Result]) -> str:
    """Return the front matter of a model card with the results of one system.

    Args:
        results: At least one, all of one system.
    """
    entries = [entry for result in results for entry in _entries(result)]
    index = [{"name": results[0].system.name, "results": entries}]
    return f"---\n{yaml.dump({'model-index': index})}---\n"


def _entries(result: Result) -> Iterator[yaml.Value]:
    task = result.task
    for name, pair in result.pairs.items():
        if pair.status == "done":
            yield _entry(result, name, pair.data_sha256, pair.scores)
    if result.overall:
        yield _entry(result, _OVERALL, task.data_sha256, result.overall)
    if result.pool is not None:
        yield _entry(result, f"{_OVERALL}, pool", task.data_sha256, result.pool.overall)


def _entry(result: Result, config: str, revision: str | None, scores: Scores) -> yaml.Value:
    task = result.task
    return {
        "task": _TASK,
        "dataset": {
            "name": f"{task.title} ({config})",
            "type": task.id,
            "config": config,
            "split": task.split,
            "revision": revision,
        },
        "metrics": [
            {"type": mteb_name(measure), "value": scores[measure].mean, "name": measure}
            for measure in task.measures
            if measure in scores
        ],
    }
