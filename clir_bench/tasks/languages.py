"""Finds languages by any of their codes and names, and sorts them into resource tiers.

`languages.toml` holds the facts and tier schemes with their sources; it is read on first use. Every
language has one canonical code: ISO 639-1 where there is one, else ISO 639-3. Nothing is guessed:
a language without a known class or size has the tier "unknown".
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from clir_bench.core.structured_files import read_toml
from clir_bench.errors import UnknownNameError, UsageError, near_names
from clir_bench.types import POOL, LanguagePair, Tier

PIVOT = "en"
"""The language the others are paired with in most benchmarks."""

_Table: TypeAlias = "Mapping[str, Any]"
TIERS: tuple[Tier, ...] = ("low", "mid", "high", "unknown")
"""The order of tiers in every table and list: the lower-resourced first."""
_TIERS = TIERS[:-1]
_RESOURCES = ("joshi_class", "cc100_gib")
_TABLE_FILE = Path(__file__).with_name("languages.toml")
_SUBTAGS = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z]{4})?(?:-([A-Za-z]{2}|[0-9]{3}))?")
_ALONE = "alone"


@dataclass(frozen=True)
class Language:
    """The facts about one language.

    Attributes:
        code: ISO 639-1 where there is one, else ISO 639-3; `mul` and `simple` are our own use.
        name: English name.
        iso639_3: The macrolanguage ("swa") where benchmarks mean it; the individual language
            they use ("swh") is then among the aliases. Empty where ISO 639-3 has none.
        script: ISO 15924 code of the script benchmarks write the language in.
        family: Top-level family.
        joshi_class: 0 (nothing there) to 5 (rich), Joshi et al. 2020 (arXiv 2004.09095).
        cc100_gib: GiB of text in CC-100, Table 6 of Conneau et al. 2020 (arXiv 1911.02116).
        aliases: Further codes and names that `resolve` accepts.
    """

    code: str
    name: str
    iso639_3: str
    script: str
    family: str
    joshi_class: int | None = None
    cc100_gib: float | None = None
    aliases: tuple[str, ...] = ()

    def spellings(self) -> tuple[str, ...]:
        """Return every text that means this language, the code and the name first."""
        own = (self.code, self.name, self.iso639_3, *self.aliases)
        return tuple(dict.fromkeys(spelling for spelling in own if spelling))


_POOL_LANGUAGE = Language(
    code=POOL,
    name="several languages",
    iso639_3=POOL,
    script="Zyyy",  # undetermined
    family="several families",
    aliases=("multiple languages",),
)


@dataclass(frozen=True)
class TierScheme:
    """A way of sorting languages into resource tiers.

    Attributes:
        name: What `--tiers` and results call it; a user's own has the name its file states.
        note: The basis of the tiers, for people.
        assigned: Canonical code to tier; a language that is absent is "unknown".
    """

    name: str
    note: str
    assigned: Mapping[str, Tier] = field(repr=False, hash=False)

    def tier(self, code: str) -> Tier:
        """Return the tier of a language, "unknown" where the scheme has none for it.

        Args:
            code: Anything `resolve` accepts; `mul` has no tier of its own.

        Raises:
            UnknownNameError: No such language.
        """
        return self.assigned.get(resolve(code).code, "unknown")


@cache
def resolve(text: str) -> Language:
    """Return the language that a code or an English name means; case is ignored.

    Accepted are the canonical code, the codes of ISO 639-2 and 639-3 and others in use, names, and
    a code followed by a script or a region, which are dropped ("arb_Arab", "zh-CN", "pt-br"). A
    region in lower case must be one: "en-sw" is a pair and no language (see languages.toml).

    >>> [resolve(text).code for text in ("swh", "Swahili", "pt-BR", "no", "cmn_Hans", "zh-tw")]
    ['sw', 'sw', 'pt', 'nb', 'zh', 'zh']

    Raises:
        UnknownNameError: Nothing is called that; the nearest names are given.
    """
    spellings = _spellings()
    key = _key(text)
    if key in spellings:
        return spellings[key]
    remedy = "`clir-bench languages` lists codes and names; a new one is a row in languages.toml."
    tag = _SUBTAGS.fullmatch(text.strip().replace("_", "-"))
    if tag and (language := spellings.get(_key(tag[1]))):
        region = tag[2] or ""
        if region.upper() == region or _is_region(region.lower(), language):
            return language
        if region.lower() in spellings:
            remedy = f"That is a pair; a region goes in upper case here, as in es-AR. {remedy}"
    raise UnknownNameError(
        "language",
        text,
        (spelling for language in all_languages() for spelling in language.spellings()),
        remedy,
    )


def pair_readings(name: str) -> list[LanguagePair]:
    """Return the possible meanings of a pair's name, in our codes; `resolve` reads its sides.

    A side may contain dashes, so there may be several ways to split a name. A side may also be `*`
    or `mul`.

    >>> pair_readings("zh-Hant-en")
    [LanguagePair(query='zh', document='en')]
    >>> pair_readings("en-pt-br") == pair_readings("eng-por")
    True

    Raises:
        UsageError: There is no dash.
        UnknownNameError: No division leaves a language on both sides.
    """
    parts = name.split("-")
    if len(parts) < 2 or not all(parts):
        raise UsageError(f"pair {name!r}: write query and document language, as in en-sw")
    found: dict[LanguagePair, None] = {}
    problem: UnknownNameError | None = None
    for n in range(1, len(parts)):
        try:
            found[LanguagePair(_side("-".join(parts[:n])), _side("-".join(parts[n:])))] = None
        except UnknownNameError as error:
            problem = problem or error
    if not found and problem is not None:
        raise problem
    return list(found)


def _side(name: str) -> str:
    return name if name == "*" else resolve(name).code


def _is_region(region: str, language: Language) -> bool:
    """Return whether a lower-case code after a language is a region and not a language."""
    regions: _Table = _table()["regions"]
    return (
        region == language.code
        or region in regions[_ALONE].split()
        or language.code in regions.get(region, "").split()
    )


@cache
def all_languages() -> tuple[Language, ...]:
    """Return every language, sorted by code; `mul`, which is none, is not among them."""
    rows: _Table = _table()["languages"]
    return tuple(
        Language(code=code, **{**row, "aliases": tuple(row.get("aliases", ()))})
        for code, row in sorted(rows.items())
    )


def scheme_names() -> list[str]:
    """Return the names of the tier schemes that come with the package, sorted."""
    return sorted(_table()["schemes"])


def load_scheme(name_or_path: str) -> TierScheme:
    """Return a tier scheme that comes with the package, or the one in a user's TOML file.

    A file states `name`, may state a `note`, and either lists languages under `low`, `mid` and
    `high`, or sorts all of them `by` "joshi_class" or "cc100_gib": "low" below `low_below`,
    "high" from `high_from` on, "mid" between, "unknown" without a value. Lists should name
    English as well: a pair with a side that is in no tier is itself in none.

    Raises:
        UnknownNameError: There is neither such a scheme nor such a file.
        UsageError: The file cannot be read or is wrong; every problem is named.
    """
    if name_or_path in scheme_names():
        table = {"name": name_or_path, **_table()["schemes"][name_or_path]}
        return _parse_scheme(table, where=f"{_TABLE_FILE.name}: schemes.{name_or_path}")
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        raise UnknownNameError(
            "tier scheme",
            name_or_path,
            scheme_names(),
            f"There are {', '.join(scheme_names())}; your own is a path to a .toml file.",
        )
    table = read_toml(path, UsageError)
    if table.get("name") in scheme_names():
        raise UsageError(
            f"{path}: name {table['name']!r} is that of a scheme of clir-bench; choose another, "
            "or results made with the two could not be told apart"
        )
    return _parse_scheme(table, where=str(path))


def pair_tier(pair: LanguagePair, scheme: TierScheme) -> Tier:
    """Return the tier of a pair's lower-resourced side; a `mul` side is ignored.

    The tier is "unknown" if any other side's is.
    """
    tiers = {scheme.tier(side) for side in pair if side != POOL}
    if not tiers or "unknown" in tiers:
        return "unknown"
    return min(tiers, key=_TIERS.index)


def pair_language(pair: LanguagePair, scheme: TierScheme) -> str:
    """Return the language that a pair's score counts for.

    Means are taken over pairs within a language, then over languages within a tier. So each pair
    must count for exactly one language, with the tier of the pair (`pair_tier`). That is the
    lower-resourced side: `en-sw` and `sw-en` both count for Swahili. If both sides have one tier,
    it is the side that is not English, because most pairs have English on one side; between two
    other languages, it is the query's. A language in no tier counts as the lower-resourced one, as
    its pair is in no tier either. A `mul` side is ignored.
    """
    sides = [side for side in dict.fromkeys(pair) if side != POOL] or [POOL]
    order: list[Tier] = ["unknown", *_TIERS]
    ranks = [order.index(scheme.tier(side)) for side in sides]
    lowest = [side for side, rank in zip(sides, ranks, strict=True) if rank == min(ranks)]
    return next((side for side in lowest if side != PIVOT), lowest[0])


@cache
def _table() -> _Table:
    with _TABLE_FILE.open("rb") as file:
        return tomllib.load(file)


@cache
def _spellings() -> dict[str, Language]:
    return {
        _key(spelling): language
        for language in (_POOL_LANGUAGE, *all_languages())
        for spelling in language.spellings()
    }


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip().replace("_", "-")).casefold()


def _parse_scheme(table: _Table, *, where: str) -> TierScheme:
    problems: list[str] = []
    known = ("name", "note", "by", "low_below", "high_from", *_TIERS)
    for name in table:
        if name not in known:
            near = near_names(name, known)
            problems.append(
                f"unknown field {name!r}{f'; did you mean {near[0]!r}?' if near else ''}"
            )
    for name in ("name", "note", "by"):
        if name in table and (not isinstance(table[name], str) or not table[name]):
            problems.append(f"{name}: expected a text, found {table[name]!r}")
    if "name" not in table:
        problems.append("field 'name' is missing")
    lists = [tier for tier in _TIERS if tier in table]
    if ("by" in table) == bool(lists):
        problems.append(
            f"expected either lists of languages ({', '.join(_TIERS)}) or 'by' with 'low_below' "
            f"and 'high_from', found {'both' if lists else 'neither'}"
        )
    assigned = _by_lists(table, problems) if lists else _by_resource(table, problems)
    if problems:
        raise UsageError(f"{where}: wrong tier scheme: {'; '.join(problems)}")
    return TierScheme(name=table["name"], note=table.get("note", ""), assigned=assigned)


def _by_lists(table: _Table, problems: list[str]) -> dict[str, Tier]:
    assigned: dict[str, Tier] = {}
    for name in ("low_below", "high_from"):
        if name in table:
            problems.append(f"{name}: means something only beside 'by'")
    for tier in _TIERS:
        entries = table.get(tier, [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            problems.append(f"{tier}: expected a list of languages, found {entries!r}")
            continue
        for entry in entries:
            try:
                code = resolve(entry).code
            except UnknownNameError as error:
                problems.append(f"{tier}: {error}")
                continue
            if code == POOL:
                problems.append(f"{tier}: {POOL!r} is a pool of languages and has no tier")
            elif assigned.setdefault(code, tier) != tier:
                problems.append(f"{tier}: {entry!r} ({code}) is already in {assigned[code]!r}")
    return assigned


def _by_resource(table: _Table, problems: list[str]) -> dict[str, Tier]:
    by = table.get("by")
    if by is None:
        return {}
    if by not in _RESOURCES:
        problems.append(f"by: expected {' or '.join(map(repr, _RESOURCES))}, found {by!r}")
        return {}
    bounds: list[float] = []
    for name in ("low_below", "high_from"):
        bound = table.get(name)
        if name not in table:
            problems.append(f"field {name!r} is missing beside 'by'")
        elif isinstance(bound, bool) or not isinstance(bound, int | float) or math.isnan(bound):
            problems.append(f"{name}: expected a number, found {bound!r}")
        else:
            bounds.append(bound)
    if len(bounds) < 2:
        return {}
    low_below, high_from = bounds
    if not low_below <= high_from:
        problems.append(f"low_below: {low_below} is above high_from, {high_from}")
    values = {language.code: getattr(language, by) for language in all_languages()}
    return {
        code: "low" if value < low_below else "high" if value >= high_from else "mid"
        for code, value in values.items()
        if value is not None
    }
