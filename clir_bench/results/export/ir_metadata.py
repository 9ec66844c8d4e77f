"""Writes a run with an ir_metadata header (schema 0.1, https://www.ir-metadata.org).

The header is YAML between the lines `ir_metadata.start` and `ir_metadata.end`, ordered by the
PRIMAD model: platform, research goal, implementation, method, actor, data (Breuer, Keller and
Schaer 2022, SIGIR, doi:10.1145/3477495.3531738). Every line of it begins with "# ", because the
reference software, repro_eval, expects this. Tools that do not know ir_metadata cannot read the
file.
"""

from __future__ import annotations

from collections.abc import Mapping

from clir_bench.results.export import yaml
from clir_bench.results.schema import Result
from clir_bench.results.system_card import SystemCard
from clir_bench.types import LanguagePair


def header(result: Result, pair: LanguagePair, tag: str, card: SystemCard | None) -> str:
    """Return the header of a pair's run, ending in a newline.

    Args:
        result: The result that the run belongs to.
        pair: The run's pair.
        tag: The run's last column.
        card: The system's card, for who made it and what it was trained on.
    """
    lines = [
        "ir_metadata.start",
        *yaml.dump(_metadata(result, pair, tag, card)).splitlines(),
        "ir_metadata.end",
    ]
    return "".join(f"# {line}\n" for line in lines)


def _metadata(
    result: Result, pair: LanguagePair, tag: str, card: SystemCard | None
) -> Mapping[str, yaml.Value]:
    environment, system, task = result.environment, result.system, result.task
    hardware = environment.hardware
    return {
        "schema-version": 0.1,
        "run-version": 1.0,
        "tag": tag,
        "platform": {
            "hardware": {
                "cpu": {
                    "model": hardware.get("processor"),
                    "number of cores": hardware.get("cores"),
                },
                "gpu": {"architecture": hardware["accelerators"]}
                if "accelerators" in hardware
                else None,
                "ram": f"{hardware['memory_GiB']} GiB" if "memory_GiB" in hardware else None,
            },
            "operating system": {"kernel": environment.platform},
            "software": {
                "libraries": {
                    "python": [
                        f"{name}=={version}"
                        for name, version in sorted(environment.packages.items())
                    ]
                },
                "retrieval toolkit": [f"clir-bench=={environment.clir_bench}"],
            },
        },
        "research goal": {"evaluation": {"reported measures": list(task.measures)}},
        "implementation": {
            "executable": {"cmd": environment.command},
            "source": {"lang": ["python"], "commit": environment.git_commit},
        },
        "method": {
            "automatic": True,
            "score ties": "by document id, descending",
            "retrieval": [
                {
                    "name": system.name,
                    "method": f"{card.kind if card else system.similarity} ({system.similarity})",
                    "revision": system.revision,
                    "query prompt": system.query_prompt or None,
                    "document prompt": system.document_prompt or None,
                    "max tokens": system.max_tokens,
                }
            ],
        },
        "actor": None if card is None else {"name": card.contact, "role": "experimenter"},
        "data": {
            "test collection": {
                "name": f"{task.title}, {task.split}, {pair}",
                "source": f"clir-bench task {task.id}, version {task.version}",
                "sha256": result.pairs[str(pair)].data_sha256,
            },
            "training data": _training(card),
        },
    }


def _training(card: SystemCard | None) -> list[yaml.Value] | None:
    if card is None:
        return None
    return [{"name": name} for name in (*card.training.bitext, *card.training.corpora)] or None
