"""What results state about a system that is made of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from clir_bench.core.provenance import VERSION
from clir_bench.results.system_record import SystemRecord
from clir_bench.systems.system import System
from clir_bench.types import EncoderInfo

_REVISION_DIGITS = 12
PACKAGE = f"clir-bench {VERSION}"


class Part(Protocol):
    """A system or a model that a system is made of."""

    @property
    def info(self) -> EncoderInfo:
        """Its description."""
        ...

    @property
    def record(self) -> SystemRecord:
        """What results state about it."""
        ...


def composed_info(
    name: str, parts: Sequence[Part], details: Mapping[str, str], **fields: object
) -> EncoderInfo:
    """Return the description of a system made of parts; any other part gives another revision.

    Args:
        name: Of the system.
        parts: The systems that it is made of.
        details: What else decides its rankings.
        fields: Further fields of `EncoderInfo`.
    """
    identity = [[part.record.fingerprint() for part in parts], sorted(details.items())]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    numbers = [part.info.n_parameters for part in parts]
    languages = {language for part in parts for language in part.info.training_languages}
    known: dict[str, object] = {
        "similarity": "fused",
        "n_parameters": sum(n for n in numbers if n is not None) or None,
        "training_languages": tuple(sorted(languages)),
        "dtype": "/".join(dict.fromkeys(part.info.dtype for part in parts)) or "float32",
        "description": f"{name}, made of {len(parts)} systems",
        "details": dict(details),
    }
    return EncoderInfo(name=name, revision=digest[:_REVISION_DIGITS], **known | fields)  # type: ignore[arg-type]


def record_of(system: System, parts: Sequence[Part]) -> SystemRecord:
    """Return what results state about a system made of parts."""
    own = SystemRecord.of(system.info, dim=0, spec=system.spec, package=PACKAGE)
    return own.model_copy(update={"parts": tuple(part.record for part in parts)})
