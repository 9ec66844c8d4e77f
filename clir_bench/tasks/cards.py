"""Reads task cards from TOML files and checks them; returns a `TaskCard` or a `SuiteCard`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from clir_bench.core import plugins
from clir_bench.core.files import path_problem
from clir_bench.core.structured_files import read_toml, validated
from clir_bench.errors import CardError, UnknownNameError, UsageError
from clir_bench.tasks.languages import resolve
from clir_bench.tasks.measures import hint
from clir_bench.tasks.pairs import PairRules, count_names, expand
from clir_bench.tasks.required_fields import REQUIRED
from clir_bench.types import LanguagePair

SAMPLE = "sample"
"""The split every task's embedded sample is loaded as."""

TaskId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

SplitName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A split's name is a file's name in results, and stands in the names of data files."""
Instruction = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f{}]{0,300}$")]
_FOLDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


_Count = Annotated[int, Field(strict=True, ge=0)]


class Counts(NamedTuple):
    """How many documents, queries and judgments a pair has."""

    documents: _Count
    queries: _Count
    qrels: _Count


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Download(_Strict):
    """Where to get a task's files.

    Attributes:
        base_url: A file's address is this plus its path in the manifest.
        manifest: A file beside the card in `sha256sum` format, one "<hex>  <path>" per line.
        by_hand: What to fetch and where to put it when the address is dead or there is none.
    """

    base_url: str = ""
    manifest: str = ""
    by_hand: str


class Sample(_Strict):
    """The embedded sample, where it differs from the task."""

    languages: dict[str, str] = {}
    official: tuple[str, ...] = ()


class SubmissionRules(_Strict):
    """What boards use of a result.

    Attributes:
        depth: Documents per query.
        pairs: Rules as in `pairs.official`, in place of the official pairs.
        measures: ir-measures names, shown after those of the task.
        legends: Measure to a board's legend for it, where that is a fact of this task.
    """

    depth: Annotated[int, Field(ge=1, le=1000)] = 100
    pairs: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    legends: dict[str, str] = {}


class TaskCard(_Strict):
    """One task: what is searched, what is relevant, how it is scored.

    Attributes:
        adapter: Name in the entry-point group `clir_bench.adapters`.
        measures: ir-measures names, the primary one first.
        languages: Our language code to the source's own code.
        parallel_queries: Whether equal query ids in two languages are translations of each other;
            intervals resample them together then, and on their own otherwise.
        document_text: How title and text become what is encoded: "{title} {text}" or "{text}".
        source: Settings of the adapter, described in its module.
        skip_same_id: Remove the document with the query's own id from that query's ranking, as
            BEIR does (`ignore_identical_ids`): for queries that are documents of the corpus.
        counts: Split, then pair, to documents, queries and qrels as the source states them. Where
            pairs have the same, "*-sw" stands for every pair into a language and "*" for all.
        missing_judged: Split, then pair as in `counts`, to how many judged documents the source's
            own corpus lacks; none where nothing is stated.
        mteb: mteb's name for the task, if it has the task.
        instruction: One sentence that tells an encoder what to find, for encoders that follow
            instructions; their results record it, so the card's hash does not depend on it.
        unofficial: Why no result of this task is an official one; None when it can be.
        version: Raised whenever a change to card or adapter moves a score.
    """

    meanings: ClassVar[Mapping[str, str]] = REQUIRED

    id: TaskId
    title: str
    description: str
    homepage: str = ""
    adapter: str
    version: int = 1
    splits: tuple[SplitName, ...]
    default_split: str
    measures: Annotated[tuple[str, ...], Field(min_length=1)]
    languages: Annotated[dict[str, str], Field(min_length=1)]
    pairs: PairRules
    parallel_queries: bool
    document_text: Literal["{title} {text}", "{title}\n{text}", "{text}"] = "{text}"
    source: dict[str, str | list[str]] = {}
    skip_same_id: bool = False
    download: Download | None = None
    counts: dict[str, dict[str, Counts]] = {}
    missing_judged: dict[str, dict[str, Annotated[int, Field(strict=True, ge=1)]]] = {}
    sample: Sample = Sample()
    submission: SubmissionRules = SubmissionRules()
    mteb: str = ""
    instruction: Instruction = ""
    unofficial: str | None = None
    license: str
    citation: str = ""
    directory: Path | None = Field(default=None, exclude=True)
    """Folder the card was read from; not part of its hash."""

    @model_validator(mode="after")
    def _consistent(self) -> TaskCard:
        problems = [problem for measure in self.measures for problem in _measure_problems(measure)]
        if self.default_split not in self.splits:
            problems.append(f"default_split {self.default_split!r} is not among splits")
        for code in dict.fromkeys([*self.languages, *self.sample.languages]):
            try:
                if (canonical := resolve(code).code) != code:
                    problems.append(f"language {code!r} must be written {canonical!r}")
            except UnknownNameError as error:
                problems.append(str(error))
        if self.adapter not in (adapters := plugins.names(plugins.ADAPTERS)):
            problems.append(str(UnknownNameError("adapter", self.adapter, adapters)))
        problems += [*self._place_problems(), *self._pair_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _place_problems(self) -> list[str]:
        """Say which names would leave the folders of the card's files."""
        stated = {
            "source.directory": self.source.get("directory"),
            "download.manifest": self.download.manifest if self.download else None,
            **{f"languages.{code}": name for code, name in self.languages.items()},
            **{f"sample.languages.{code}": name for code, name in self.sample.languages.items()},
        }
        problems = [
            f"{place}: {name[:80]!r} {problem}"
            + ("; name a folder elsewhere with --data-dir" if place == "source.directory" else "")
            for place, name in stated.items()
            if isinstance(name, str) and name and (problem := path_problem(name))
        ]
        folder = self.source.get("folder")
        if folder is not None and not (isinstance(folder, str) and _FOLDER.fullmatch(folder)):
            problems.append(
                f"source.folder: {folder!r:.80} is no name of a folder (lower-case letters, "
                "digits, '.', '_' and '-')"
            )
        return problems

    def _pair_problems(self) -> list[str]:
        problems = []
        real = [split for _, split in self._stated() if split != SAMPLE]
        for card, splits in ((self, real), (self.for_sample(), [SAMPLE])):
            where = "pairs" if card is self else "sample"
            try:
                known = {name for pair in card.available_pairs() for name in count_names(pair)}
            except ValueError as error:
                problems.append(f"{where}: {error}")
                continue
            if not card.official_pairs():
                problems.append(f"{where}: the official rules {card.pairs.official} name no pair")
            for (field, split), names in self._stated().items():
                if split not in (*self.splits, SAMPLE):
                    problems.append(f"{field} for split {split!r}, which is not among splits")
                problems += [
                    f"{field}.{split} names {name!r}, which is no pair of the task"
                    for name in names
                    if split in splits and name not in known
                ]
        return list(dict.fromkeys(problems))

    def _stated(self) -> dict[tuple[str, str], list[str]]:
        """Return the pairs for which the card states numbers, by field and split."""
        tables: dict[str, Mapping[str, Mapping[str, object]]] = {
            "counts": self.counts,
            "missing_judged": self.missing_judged,
        }
        return {
            (field, split): list(stated)
            for field, table in tables.items()
            for split, stated in table.items()
        }

    def official_pairs(self) -> list[LanguagePair]:
        """Return the pairs that run by default."""
        return expand(self.pairs.official, self.languages)

    def available_pairs(self) -> list[LanguagePair]:
        """Return every pair the task has, the official ones first."""
        return expand((*self.pairs.official, *self.pairs.available), self.languages)

    def counts_of(self, split: str, pair: LanguagePair) -> Counts | None:
        """Return a pair's counts as the source states them, or None.

        A pair's own line comes first, then "*-<document>", then "*".
        """
        stated = self.counts.get(split, {})
        return next((stated[name] for name in count_names(pair) if name in stated), None)

    def missing_judged_of(self, split: str, pair: LanguagePair) -> int:
        """Return how many judged documents the source's own corpus lacks, as `counts_of` does."""
        stated = self.missing_judged.get(split, {})
        return next((stated[name] for name in count_names(pair) if name in stated), 0)

    def for_sample(self) -> TaskCard:
        """Return the card for reading its embedded sample."""
        if not self.sample.languages and not self.sample.official:
            return self
        languages = self.sample.languages or self.languages
        rules = PairRules(
            official=self.sample.official or self.pairs.official, available=self.pairs.available
        )
        return self.model_copy(update={"languages": languages, "pairs": rules})

    def sha256(self) -> str:
        """Return the hash of all fields a score can depend on; descriptions and samples are not.

        `for_sample` puts the sample's languages and pairs in their place first.
        """
        return _digest(self, without=_NOT_SCORED)


class SuitePart(_Strict):
    """One task inside a suite.

    Attributes:
        pairs: Pair rules as in `PairRules`; the task's official pairs when empty.
        measure: What this part contributes to the suite's line.
    """

    task: TaskId
    pairs: tuple[str, ...] = ()
    split: str = ""
    measure: str

    @model_validator(mode="after")
    def _known_measure(self) -> SuitePart:
        if problems := _measure_problems(self.measure):
            raise ValueError("; ".join(problems))
        return self


class SuiteCard(_Strict):
    """Several tasks reported together: one line per part, and their mean for the suite."""

    meanings: ClassVar[Mapping[str, str]] = REQUIRED

    id: TaskId
    title: str
    description: str
    homepage: str = ""
    version: int = 1
    parts: Annotated[tuple[SuitePart, ...], Field(min_length=1)]
    license: str
    citation: str = ""
    directory: Path | None = Field(default=None, exclude=True)

    def sha256(self) -> str:
        """Return the hash of what a score can depend on."""
        return _digest(self, without=_NOT_SCORED)


AnyCard = TaskCard | SuiteCard


def read_card(path: Path) -> AnyCard:
    """Read and check one card.

    Raises:
        CardError: The file is missing, is not TOML, or a field is unknown, missing, of the wrong
            type or contradicts another; every problem is named.
    """
    try:
        path.stat()
    except FileNotFoundError:
        raise CardError(f"{path}: no such card") from None
    except (OSError, ValueError):  # reading it says what is wrong
        pass
    raw = read_toml(path, CardError)
    return parse_card(raw, where=str(path), directory=path.parent)


def parse_card(raw: Mapping[str, Any], *, where: str, directory: Path | None = None) -> AnyCard:
    """Check a card already parsed from TOML; `where` names it in errors."""
    if "directory" in raw:
        raise CardError(f"{where}: unknown field 'directory' (did you mean source.directory?)")
    values = {**raw, "directory": directory}
    if "parts" in raw:
        return validated(SuiteCard, values, where, CardError)
    return validated(TaskCard, values, where, CardError)


def expand_rules(card: TaskCard, rules: Iterable[str]) -> list[LanguagePair]:
    """Return the pairs that `rules` name (see `PairRules`), within the card's languages.

    Raises:
        UsageError: A rule is none, or names a language the task lacks.
    """
    try:
        return expand(rules, card.languages)
    except ValueError as error:
        raise UsageError(f"task {card.id!r}: {error}") from None


_LATER = frozenset({"skip_same_id", "missing_judged"})
"""Later fields: the hash leaves them out when unset, which keeps older hashes valid."""
_NOT_SCORED = frozenset(
    {
        "title",
        "description",
        "homepage",
        "license",
        "citation",
        "download",
        "sample",
        "submission",
        "mteb",
        "instruction",
    }
)
"""Fields that no score depends on, or that a result records itself."""


def _digest(card: BaseModel, *, without: frozenset[str]) -> str:
    said = card.model_dump(mode="json", exclude=set(without))
    for field in ("counts", "missing_judged"):
        said.get(field, {}).pop(SAMPLE, None)
    for field in _LATER:
        if field in said and not said[field]:
            del said[field]
    canonical = json.dumps(said, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _measure_problems(name: str) -> list[str]:
    import ir_measures

    try:
        measure: Any = ir_measures.parse_measure(name)
        measure.validate_params()
    except (NameError, ValueError, KeyError, AssertionError) as error:
        said = hint(name).removesuffix(" ")
        return [f"{name!r} is no ir-measures name: {said or error}"]
    return []
