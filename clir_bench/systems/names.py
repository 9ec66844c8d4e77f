"""Systems by their names.

A name is that of an encoder (`encoders.load_encoder`), of a system that another package provides
(`core.plugins.SYSTEMS`), or is made of names:

    hybrid:A+B+C                 fuses rankings
    hybrid:A+B+weights=0.7,0.3   options follow the systems
    rerank:MODEL+SYSTEM          ranks the first documents of SYSTEM again
    translate:HOW+SYSTEM         translates queries before SYSTEM gets them
    run:FOLDER                   takes the stored runs of a system's results
    random, oracle               bounds: by chance, and by the judgments

What stands after the `+` of `rerank` and `translate` is one name, whatever it holds, and so is the
folder of `run`. Brackets keep a name together elsewhere: `hybrid:(translate:given+bm25)+optical`.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from clir_bench import encoders
from clir_bench.errors import UsageError
from clir_bench.search.workers.executor import Loading
from clir_bench.systems import rescoring
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

    def whole(self, option: str, *, default: int, least: int) -> int:
        """Return the whole number that an option states.

        Raises:
            UsageError: It is none, or too small or large.
        """
        text = self.options.get(option, str(default))
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        if not is_number or int(text) < least:
            raise self.wrong(
                f"{option}={text}: expected a whole number from {least} to 999,999,999"
            )
        return int(text)

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
    if composition.kind == "rerank":
        rescoring.check_name(composition.operands[0])
    first = 0 if _KINDS[composition.kind].n_leading is None else 1
    for operand in composition.operands[first:]:
        check_name(operand)


def models_of(name: str) -> list[str]:
    """Return the names of the models that a system loads.

    >>> models_of("rerank:labse+hybrid:bm25+run:results/optical")
    ['labse', 'bm25']

    Raises:
        UsageError: The name is not made as it must be.
    """
    composition = parse(name, Loading(name))
    if composition is None:
        return [name]
    first = 0 if _KINDS[composition.kind].n_leading is None else 1
    found = [model for operand in composition.operands[first:] for model in models_of(operand)]
    if composition.kind == "rerank":
        found.insert(0, rescoring.full_name(composition.operands[0]))
    return list(dict.fromkeys(found))


def parse(name: str, loading: Loading, depth: int = 0) -> Composition | None:
    """Return what a name is made of, or None if it is that of one encoder.

    >>> parse("rerank:cross+depth=50+hybrid:bm25+optical", Loading("")).operands
    ('cross', 'hybrid:bm25+optical')

    Raises:
        UsageError: Brackets do not match, a part is missing, or it is too deep.
    """
    kind, colon, rest = name.partition(":")
    known = _KINDS.get(kind)
    if known is None or not (colon or known.is_alone):
        return None
    if depth > _DEEPEST:
        raise UsageError(f"--model {name[:60]}...: more than {_DEEPEST} systems inside each other")
    operands: list[str] = [rest] if known.n_leading == 0 else []
    options: dict[str, str] = {}
    parts = _split(name, rest) if known.n_leading != 0 and colon else []
    while parts:
        if option := _OPTION.fullmatch(parts[0]):
            options[option[1]] = option[2]
        elif operands and known.n_leading == len(operands):
            operands.append("+".join(parts))
            break
        else:
            operands.append(parts[0])
        parts.pop(0)
    operands = [_unbracketed(operand) for operand in operands]
    composition = Composition(name, kind, tuple(operands), options, loading, depth)
    if not all(operands) or not (operands or known.is_alone):
        raise composition.wrong(f"a part of it is empty; write {known.written}")
    if known.is_alone and operands:
        raise composition.wrong(f"{kind} is made of no other systems; write {known.written}")
    return composition


def _load(name: str, loading: Loading, depth: int = 0) -> System:
    composition = parse(name, loading, depth)
    if composition is not None:
        module = importlib.import_module(f"clir_bench.systems.{_KINDS[composition.kind].module}")
        system: System = module.build(composition)
        return system
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


class _Kind(NamedTuple):
    """A kind of names.

    Attributes:
        module: Module of this package; its `build` returns the system of a `Composition`.
        written: How such a name is written.
        n_leading: Operands before the one that is the whole rest of the name; the first operand is
            then no system. None where every `+` ends an operand.
        is_alone: Whether it is made of no operands, and needs no colon.
    """

    module: str
    written: str
    n_leading: int | None = None
    is_alone: bool = False


_KINDS = {
    "hybrid": _Kind("hybrid", "hybrid:A+B"),
    "rerank": _Kind("rerank", "rerank:MODEL+SYSTEM", n_leading=1),
    "translate": _Kind("translate.queries", "translate:HOW+SYSTEM", n_leading=1),
    "translate-documents": _Kind(
        "translate.documents", "translate-documents:HOW+SYSTEM", n_leading=1
    ),
    "run": _Kind("stored_runs", "run:FOLDER", n_leading=0),
    "random": _Kind("bounds", "random", is_alone=True),
    "oracle": _Kind("bounds", "oracle", is_alone=True),
}
