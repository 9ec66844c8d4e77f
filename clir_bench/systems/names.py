"""Systems by their names.

A name is that of an encoder (`encoders.load_encoder`), of a system that another package provides
(`core.plugins.SYSTEMS`), or is made of names:

    hybrid:A+B+C                 fuses rankings
    hybrid:A+B+weights=0.7,0.3   options follow the systems
    rerank:MODEL+SYSTEM          ranks the first documents of SYSTEM again
    translate:HOW+SYSTEM         translates queries before SYSTEM gets them

What stands after the `+` of `rerank` and `translate` is one name, whatever it holds. Brackets keep
a name together elsewhere: `hybrid:(translate:given+bm25)+optical`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from clir_bench import encoders
from clir_bench.errors import UsageError
from clir_bench.search.workers.executor import Loading
from clir_bench.systems.system import EncoderSystem, System

_OPTION = re.compile(r"([a-z_]+)=(.*)", re.DOTALL)
_DEEPEST = 8


@dataclass(frozen=True)
class Composition:
    """A name of a system that is made of others.

    Attributes:
        spec: The whole name.
        kind: The word before the colon.
        operands: The names that it is made of, in order, without their brackets.
        options: By name.
        loading: How the encoders among them are loaded; its `spec` says nothing.
        depth: How many compositions it stands in.
    """

    spec: str
    kind: str
    operands: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    loading: Loading = field(default_factory=lambda: Loading(""))
    depth: int = 0

    def system(self, operand: str) -> System:
        """Load one of the operands.

        Raises:
            ClirBenchError: As `load_system`.
        """
        return _load(operand, self.loading, self.depth + 1)

    def wrong(self, what: str) -> UsageError:
        """Return an error about the name."""
        return UsageError(f"--model {self.spec}: {what}")

    def known_options(self, *names: str) -> None:
        """Refuse options that the kind does not have.

        Raises:
            UsageError: Names the first of them.
        """
        for name in self.options:
            if name not in names:
                has = f"it has {' and '.join(names)}" if names else "it has none"
                raise self.wrong(f"{self.kind} has no option {name!r}; {has}")


def load_system(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    seed: int = 0,
) -> System:
    """Return a system by its name.

    >>> load_system("hashing").record.dim
    2048

    Args:
        name: What `clir-bench run --model` takes: the name of an encoder, `st:` and a Hub id or
            folder, the path of a model.toml, or a name made of names, such as `hybrid:A+B`.
        device: A torch device such as "cuda:1"; "auto" takes the best there is.
        dtype: "float32", "bfloat16" or "mixed-bfloat16"; "auto" measures which is fast here.
        batch_size: Texts per forward pass; the encoder's own choice when None.
        batch_tokens: Tokens per forward pass, padding included.
        trust_remote_code: Whether code shipped with the weights may run.
        seed: For systems that draw random numbers.

    Raises:
        UnknownNameError: No system has that name.
        UsageError: An argument is missing, needless or impossible.
        EncoderError: The model cannot be loaded.
    """
    return _load(
        name, Loading("", device, dtype, batch_size, batch_tokens, trust_remote_code, seed)
    )


def check_name(name: str) -> None:
    """Refuse a misspelt system before another one has run for hours.

    Raises:
        UnknownNameError: No system has that name.
        UsageError: The name is not made as it must be, or a model's own file is missing or wrong.
    """
    composition = parse(name, Loading(name))
    if composition is None:
        encoders.check_name(name)
        return
    first = 1 if composition.kind in _LEADING else 0
    for operand in composition.operands[first:]:
        check_name(operand)


def parse(name: str, loading: Loading, depth: int = 0) -> Composition | None:
    """Return what a name is made of, or None if it is that of one encoder.

    >>> parse("rerank:cross+depth=50+hybrid:bm25+optical", Loading("")).operands
    ('cross', 'hybrid:bm25+optical')

    Raises:
        UsageError: Brackets do not match, a part is missing, or it is too deep.
    """
    kind, colon, rest = name.partition(":")
    if not colon or kind not in _KINDS:
        return None
    if depth > _DEEPEST:
        raise UsageError(f"--model {name[:60]}...: more than {_DEEPEST} systems inside each other")
    parts = _split(name, rest)
    operands: list[str] = []
    options: dict[str, str] = {}
    while parts:
        if option := _OPTION.fullmatch(parts[0]):
            options[option[1]] = option[2]
        elif kind in _LEADING and operands:
            operands.append("+".join(parts))
            break
        else:
            operands.append(parts[0])
        parts.pop(0)
    operands = [_unbracketed(operand) for operand in operands]
    composition = Composition(name, kind, tuple(operands), options, loading, depth)
    if not all(operands) or not operands:
        raise composition.wrong(f"a part of it is empty; write {_WRITTEN[kind]}")
    return composition


def _load(name: str, loading: Loading, depth: int = 0) -> System:
    composition = parse(name, loading, depth)
    if composition is not None:
        return _builder(composition.kind)(composition)
    own = Loading(**vars(loading) | {"spec": name})
    return EncoderSystem(own.load(), name, encoders.provider(name), loading=own)


def _split(name: str, rest: str) -> list[str]:
    """Return the parts between the `+` that no brackets enclose."""
    parts, depth = [""], 0
    for character in rest:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "+" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise UsageError(f"--model {name}: its brackets do not match")
    return parts


def _unbracketed(operand: str) -> str:
    """Return an operand without the brackets around all of it."""
    if not operand.startswith("(") or not operand.endswith(")"):
        return operand
    depth = 0
    for place, character in enumerate(operand):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth and place < len(operand) - 1:
            return operand
    return operand[1:-1]


_WRITTEN = {
    "hybrid": "hybrid:A+B",
    "translate": "translate:HOW+SYSTEM",
    "translate-documents": "translate-documents:HOW+SYSTEM",
}
"""How the name of each kind is written."""
_KINDS = tuple(_WRITTEN)
_LEADING = ("rerank", "translate", "translate-documents")
"""Kinds whose last operand is the whole rest of the name."""


def _builder(kind: str) -> Callable[[Composition], System]:
    """Return what builds the systems of a kind; only its module is imported."""
    if kind == "hybrid":
        from clir_bench.systems.hybrid import build

        return build
    if kind == "translate":
        from clir_bench.systems.translate.queries import build as build_translate

        return build_translate
    if kind == "translate-documents":
        from clir_bench.systems.translate.documents import build as build_translate_documents

        return build_translate_documents
    raise AssertionError(kind)
