"""Makes the key of a corpus' stored vectors; runs share vectors only if their keys are equal.

The key contains everything that decides the vectors. It does not contain the query's prompt, which
does not affect documents. Nor does it contain the batch size, the number of threads and the device,
which change a vector by rounding at most. So a run that ran out of memory can continue with smaller
batches or on another machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass, field
from pathlib import Path

from clir_bench.core import provenance
from clir_bench.core.provenance import PACKAGE
from clir_bench.encoders.statements import UNSTATED_REVISION
from clir_bench.tasks import outline
from clir_bench.tasks.loading import CorpusGroup, Loader
from clir_bench.tasks.outline import NO_OUTLINE, Outline
from clir_bench.types import EncoderInfo

_OWN = "clir-bench"
_LAYOUT_VERSION = 2
"""From 2 on each different text of a window is encoded once."""
_RUNTIME = ("sentence-transformers", "torch", "transformers")


@dataclass(frozen=True)
class Corpus:
    """Documents as they are encoded.

    Attributes:
        sha256: Over ids, titles, texts and languages, in their order.
        language: Of documents that do not state their own.
        document_text: How title and text are joined.
        label: Its name for people; not part of its identity.
        outline: From the reading that computed the sha256; it depends on the documents alone.
    """

    sha256: str
    n_documents: int
    language: str
    document_text: str
    label: str = field(default="", compare=False)
    outline: Outline = field(default=NO_OUTLINE, compare=False)

    @classmethod
    def of(cls, group: CorpusGroup, loader: Loader) -> Corpus:
        """Return the corpus that a group of pairs shares."""
        language, card = group.pairs[0].pair.document, loader.card
        label = f"{card.id} {loader.split} {language}"
        return cls(
            group.corpus_sha256,
            group.n_documents,
            language,
            card.document_text,
            label,
            group.outline,
        )


@dataclass(frozen=True)
class Identity:
    """The facts that identify an encoder, or why there are none.

    Attributes:
        fields: Name to value; empty if nothing identifies it.
        untold: Why its vectors must not be stored, empty when they may.
    """

    fields: dict[str, str | int | None]
    untold: str = ""


def identify(info: EncoderInfo, *, dim: int, spec: str, package: str, seed: int) -> Identity:
    """Return the facts that decide an encoder's document vectors.

    A sha256 identifies weights. An encoder without one is identified by package and version, name,
    revision, argument and seed.

    Args:
        info: The encoder's own description.
        dim: Length of its vectors.
        spec: The text that named it.
        package: Name and version of the package that provides it.
        seed: The seed it was loaded with.
    """
    name, _, version = package.rpartition(" ")
    own = name == _OWN
    fields: dict[str, str | int | None] = {
        "name": info.name,
        "revision": info.revision,
        "weights_sha256": info.weights_sha256,
        "document_prompt": info.document_prompt,
        "max_tokens": info.max_tokens,
        "dtype": info.dtype,
        "dim": dim,
        "similarity": info.similarity,
        "package": package,
    }
    if info.details:
        fields["details"] = json.dumps(dict(info.details), sort_keys=True)
    if info.weights_sha256 is not None or not own:
        versions = provenance.packages()
        fields |= {package: versions.get(package) for package in _RUNTIME}
    if info.revision == UNSTATED_REVISION:
        why = "runs on a server, which may change it; state its revision in a model file"
        return Identity({}, f"model {info.name!r} {why}")
    if own:
        if provenance.git_state()[0] is not None:
            fields["code"] = _code_sha256()
        return Identity(fields)
    untold = _untold(info, name, version, spec)
    return Identity({} if untold else fields | {"spec": spec, "seed": seed}, untold)


def key_of(identity: Identity, corpus: Corpus) -> dict[str, str]:
    """Return everything an entry's vectors depend on, by name, as text.

    Args:
        identity: Of the encoder.
        corpus: The documents. The encoder gets one window of them at a time, so windows decide
            which texts are padded together; several windows are a shard.
    """
    fields: dict[str, object] = {
        f"encoder.{name}": value for name, value in identity.fields.items()
    }
    fields |= {
        "corpus.sha256": corpus.sha256,
        "corpus.language": corpus.language,
        "corpus.document_text": corpus.document_text,
        "layout.version": _LAYOUT_VERSION,
        "layout.window_documents": outline.WINDOW_DOCUMENTS,
        "layout.window_characters": outline.WINDOW_CHARACTERS,
        "layout.shard_windows": outline.SHARD_WINDOWS,
    }
    return {name: json.dumps(value, ensure_ascii=True) for name, value in sorted(fields.items())}


def key_sha256(key: dict[str, str]) -> str:
    """Return the hex sha256 of a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _untold(info: EncoderInfo, name: str, version: str, spec: str) -> str:
    """Say why a third party's encoder cannot be told from its other versions, if it cannot."""
    if info.weights_sha256 is not None:
        return ""
    if not name or not version[:1].isdigit():
        return f"model {info.name!r} states no weights_sha256 and comes from no versioned package"
    if _is_editable(name):
        return (
            f"model {info.name!r} states no weights_sha256, and package {name} is installed in "
            "editable mode: its code may change under one version"
        )
    argument = spec.partition(":")[2]
    if argument and Path(argument).expanduser().exists():
        return (
            f"model {info.name!r} states no weights_sha256, and what lies at {argument} may change"
        )
    return ""


def _is_editable(distribution: str) -> bool:
    try:
        found = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return True  # not installed: nothing confirms its version
    try:
        direct = json.loads(found or "{}")
    except (ValueError, RecursionError):
        return True
    return bool(direct.get("dir_info", {}).get("editable"))


def _code_sha256() -> str:
    """Return the hex sha256 of the encoders' code in a checkout, whose version says little."""
    digest = hashlib.sha256()
    folder = PACKAGE / "encoders"
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()
