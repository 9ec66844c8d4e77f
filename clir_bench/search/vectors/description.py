"""Reads `entry.json`, the description of stored vectors; does not trust what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clir_bench.core.display import line_of

FILE = "entry.json"
_LARGEST_BYTES = 1 << 20
_MOST_DOCUMENTS = 10**12


class EntryDescription(BaseModel):
    """The documents and encoder of an entry's vectors.

    Attributes:
        corpus: Task, split and document language of its first use.
        key: Everything the vectors depend on, each value as JSON.
        n_shards: Shards of the whole entry; None where `shard_documents` tells.
        shard_documents: Documents per shard, in entries of version 0.1.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    version: Literal[1]
    corpus: str
    key: dict[str, str]
    n_documents: int = Field(ge=0, le=_MOST_DOCUMENTS)
    n_shards: int | None = Field(default=None, ge=0, le=_MOST_DOCUMENTS)
    shard_documents: int = Field(default=_MOST_DOCUMENTS, ge=1, le=_MOST_DOCUMENTS)

    @property
    def n_shards_in_all(self) -> int:
        """Shards that make the entry whole."""
        if self.n_shards is not None:
            return self.n_shards
        return -(-self.n_documents // self.shard_documents)

    def of_encoder(self, name: str) -> str:
        """Return a field of the encoder for people, "" if it has none."""
        try:
            value = json.loads(self.key.get(f"encoder.{name}", '""'))
        except (ValueError, RecursionError):
            return ""
        return line_of(value, 120) if isinstance(value, str) else ""


def read_description(folder: Path) -> EntryDescription | None:
    """Return an entry's description, or None if it has no readable one."""
    try:
        with (folder / FILE).open("rb") as file:
            return EntryDescription.model_validate_json(file.read(_LARGEST_BYTES))
    except (OSError, ValidationError):
        return None
