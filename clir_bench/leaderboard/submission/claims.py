"""Reads a submitted result, which cannot be trusted, and checks its fields against the task's card.

Later steps compare it with the runs and the data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clir_bench.core.bounded_files import read_plain
from clir_bench.core.display import printable, shown_path, some_of
from clir_bench.core.safe_text import LONGEST_TEXT, name_problem, text_problem
from clir_bench.core.structured_files import field_problems
from clir_bench.errors import DataError
from clir_bench.leaderboard.submission.layout import PAIR, VALUES
from clir_bench.leaderboard.submission.make import SETTINGS
from clir_bench.leaderboard.submission.plan import KNOWN_MEASURES, Plan, plan_of
from clir_bench.leaderboard.submission.plausibility import impossible
from clir_bench.leaderboard.submission.run_format import SUFFIX
from clir_bench.results.schema import PairResult, Result
from clir_bench.results.store import system_folder
from clir_bench.results.summary import not_for_boards
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import shipped_card
from clir_bench.types import LanguagePair

_RESULT_BYTES, _PAIR_BYTES = 256 * 2**10, 8 * 2**10
"""A result has 2.4 KB for a pair with five measures; twenty measures take 6."""
_LARGEST_INTEGER = 2**63
_LONG_TEXT = 4 * LONGEST_TEXT
_LONG = {"command", "query_prompt", "document_prompt"}
_MOST_MEASURES = 20
_MOST_QUERIES = 200_000
_SHOWN = 5


@dataclass(frozen=True)
class Statement:
    """A submitted result without impossible statements.

    Attributes:
        pairs: Its pairs, in the plan's order.
    """

    path: Path
    result: Result
    card: TaskCard
    plan: Plan
    pairs: tuple[LanguagePair, ...]

    def stated(self, pair: LanguagePair) -> PairResult:
        """Return the statement about a pair."""
        return self.result.pairs[str(pair)]

    def place(self, pair: LanguagePair) -> str:
        """Return the place of that statement, for errors."""
        return f"{shown_path(self.path)}: pair {pair}"

    def run_path(self, pair: LanguagePair) -> Path:
        """Return the file of a pair's run; nothing in the result can redirect it."""
        return self.path.with_suffix("") / f"{pair}{SUFFIX}"

    def values_path(self, pair: LanguagePair) -> Path:
        """Return the file of a pair's per-query values, likewise."""
        return self.path.with_suffix("") / f"{pair}{VALUES}"

    def most_queries(self, pair: LanguagePair) -> int:
        """Return how many queries a pair's files may have: as many as the card states."""
        counts = self.card.counts_of(self.result.task.split, pair)
        return _MOST_QUERIES if counts is None else counts.queries


def largest_result(card: TaskCard) -> int:
    """Return the largest size of a task's result in bytes."""
    return _RESULT_BYTES + _PAIR_BYTES * len(card.available_pairs())


def read_statement(path: Path, largest: int) -> Result:
    """Read a submitted result of at most `largest` bytes.

    Raises:
        DataError: The file is not a plain file, is too large, is broken or too deeply nested JSON,
            repeats a key, has a number or text that is unsafe to show, or breaks the schema.
    """
    data = read_plain(path, largest)
    where = shown_path(path)
    try:
        raw = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:  # broken JSON or UTF-8, or a number too long
        raise DataError(f"{where}: not valid JSON: {printable(str(error), 200)}") from None
    problems = list(_unsafe(raw))
    if problems:
        raise DataError(f"{where}: {some_of(problems)}")
    try:
        return Result.model_validate_json(data, strict=True)
    except ValidationError as error:
        said = [ascii(problem)[1:-1] for problem in field_problems(error, Result)[:_SHOWN]]
        raise DataError(f"{where}: not a result of this schema: {'; '.join(said)}") from None


def check_statement(path: Path, result: Result) -> tuple[Statement | None, list[str]]:
    """Return a result's statement (None where it is unusable), and its problems."""
    problems = list(_about_system(path, result))
    task, submission = result.task, result.submission
    card = shipped_card(task.id)
    if card is None:
        return None, [*problems, f"task {printable(task.id)} is not a task of the benchmark"]
    if (path.parent.name, path.stem) != (task.id, task.split):
        stated = f"{task.id}/{task.split}"
        problems.append(
            f"is a result of {printable(stated)}, so its file must be {printable(stated)}.json"
        )
    if task.split not in card.splits:
        return None, [*problems, f"split {printable(task.split)} is not a split of the task"]
    if (task.version, task.card_sha256) != (card.version, card.sha256()):
        problems.append("made with another version of the task's card; run and submit it again")
    problems += not_for_boards(result)
    if odd := [
        name
        for name, pair in result.pairs.items()
        if pair.status != "done" or pair.unofficial or not pair.official
    ]:
        problems.append(f"pairs that are not done, or not official: {some_of(map(printable, odd))}")
    if submission is None:
        return None, [*problems, "was not made by `clir-bench submit`, which shortens the runs"]
    plan = plan_of(card)
    if (submission.depth, result.settings.top_k) != (plan.depth, plan.depth):
        return None, [
            *problems,
            f"runs must keep {plan.depth} documents per query; submit it again",
        ]
    if odd := [
        name for name, pair in result.pairs.items() if pair.depth is not None or not pair.cut
    ]:
        problems.append(
            "submissions must not state a depth or uncut rankings of pairs: "
            f"{some_of(map(printable, odd))}"
        )
    if result.settings != SETTINGS.model_copy(update={"top_k": plan.depth}):
        problems.append("intervals must be made with seed 0 and 1000 resamples; submit it again")
    if bad := list(_bad_measures(task.measures, plan)):
        return None, [*problems, *bad]
    problems += _about_pairs(result, card, plan)
    problems += impossible(result, card, plan.depth)
    pairs = plan.ordered(card, map(LanguagePair.parse, result.pairs))
    return Statement(path, result, card, plan, pairs), problems


def _about_system(path: Path, result: Result) -> Iterator[str]:
    name, folder = result.system.name, path.absolute().parent.parent.name
    if problem := name_problem(name):
        yield problem
    elif system_folder(name) != folder:
        yield (
            f"is a result of system {printable(name)}; its folder must be {system_folder(name)!a}, "
            f"not {printable(folder)}"
        )


def _bad_measures(measures: tuple[str, ...], plan: Plan) -> Iterator[str]:
    for name in measures[:_MOST_MEASURES]:
        family, _, cutoff = name.partition("@")
        plain = cutoff.isascii() and cutoff.isdecimal() and not cutoff.startswith("0")
        if family not in KNOWN_MEASURES or not plain or len(cutoff) > 3 or int(cutoff) > plan.depth:
            yield (
                f"measure {printable(name)}: expected one of {', '.join(sorted(KNOWN_MEASURES))} "
                f"with a cutoff up to {plan.depth}"
            )
    if len(set(measures)) < len(measures) or len(measures) > _MOST_MEASURES:
        yield f"measures must be different, and at most {_MOST_MEASURES}"
    if missing := [name for name in plan.measures if name not in measures]:
        yield f"lacks measures of the task: {', '.join(missing)}; submit it again"


def _about_pairs(result: Result, card: TaskCard, plan: Plan) -> Iterator[str]:
    available = {str(pair) for pair in card.available_pairs()}
    if strange := [name for name in result.pairs if name not in available]:
        yield f"pairs that the task does not have: {some_of(map(printable, strange))}"
    if missing := [str(pair) for pair in plan.pairs if str(pair) not in result.pairs]:
        named = some_of(missing)
        yield f"partial: pairs that boards show are missing: {named}; run and submit them"
    for name, pair in result.pairs.items():
        if not PAIR.fullmatch(name):
            continue
        split = result.task.split
        if pair.run_file != f"{split}/{name}{SUFFIX}":
            yield f"pair {name}: run_file must be {split}/{name}{SUFFIX}"
        if pair.values_file != f"{split}/{name}{VALUES}":
            yield f"pair {name}: values_file must be {split}/{name}{VALUES}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _unsafe(raw: Any) -> Iterator[str]:
    """Yield what is unsafe to show or compute with, anywhere in a JSON value."""
    stack: list[tuple[str, Any]] = [("", raw)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if problem := text_problem(key, 100):
                    yield f"a key {problem}"
                stack.append((key, inner))
        elif isinstance(value, list):
            stack += [(name, inner) for inner in value]
        elif isinstance(value, str):
            lines = value.replace("\n", " ").replace("\t", " ") if name in _LONG else value
            if problem := text_problem(lines, _LONG_TEXT if name in _LONG else LONGEST_TEXT):
                yield f"{printable(name)} {problem}"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{printable(name)} is not finite"
        elif isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
            yield f"{printable(name)} is too large"
