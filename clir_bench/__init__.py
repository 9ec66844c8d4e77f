"""Evaluation harness for cross-lingual information retrieval.

    import clir_bench

    result = clir_bench.evaluate("labse", "miracl", languages=["sw", "te"])
    result.to_frame()

The command line is `clir-bench`. Nothing is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clir_bench.analysis.comparison.stored import compare_results as compare
    from clir_bench.evaluation.simple import evaluate, score_runs
    from clir_bench.evaluation.system import load_system
    from clir_bench.results.views import load_result, load_results
    from clir_bench.tasks.catalog import load_card as load_task

    __version__: str

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "load_result",
    "load_results",
    "load_system",
    "load_task",
    "score_runs",
]

_HOMES = {
    "__version__": ("core.provenance", "VERSION"),
    "compare": ("analysis.comparison.stored", "compare_results"),
    "evaluate": ("evaluation.simple", "evaluate"),
    "load_result": ("results.views", "load_result"),
    "load_results": ("results.views", "load_results"),
    "load_system": ("evaluation.system", "load_system"),
    "load_task": ("tasks.catalog", "load_card"),
    "score_runs": ("evaluation.simple", "score_runs"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _HOMES[name]
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
