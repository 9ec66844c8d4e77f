"""Describes the bitext of a recipe: files, format, languages and licence.

    [[bitext]]
    name = "tico19"
    format = "tmx"                                  # tmx, lines, tsv, verses or hub
    path = "tico19/all.en-{language}.tmx.zip"       # see `clir_bench.distill.bitext.locations`
    license = "CC0-1.0"
    languages = ["sw", "so", "tl"]                  # if left out: all languages of the files

    [[bitext]]
    name = "ntrex"
    format = "lines"                                # line n translates line n
    path = "ntrex/newstest2019-ref.{language}.txt.gz"
    english = "ntrex/newstest2019-src.eng.txt.gz"
    license = "CC-BY-SA-4.0"

    [[bitext]]
    name = "bible-bbe"
    format = "verses"                               # key<tab>text, matched by key
    path = "bible/{language}.*.tsv.gz"
    english = "bible/en.BBE.tsv.gz"
    license = "public domain"

    [[bitext]]
    name = "opus-100"
    format = "hub"                                  # needs the library `datasets`
    path = "hf:Helsinki-NLP/opus-100/en-{language}" # owner/name, then a configuration
    fields = { english = "translation.en", foreign = "translation.{language}" }
    languages = ["ha"]
    license = "unknown"

A TSV's `fields` are column numbers from 0, or names from its first line; a field "language" gives
each row's language. TMX has the language in every unit; with `{language}` in the path, only units
of that language are taken.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from clir_bench.distill.bitext.locations import LANGUAGE
from clir_bench.distill.bitext.scripts import is_known
from clir_bench.errors import DataError, UnknownNameError
from clir_bench.tasks.languages import resolve

_SCRIPT = re.compile(r"[-_]([A-Z][a-z]{3})(?:[-_]|$)")
FieldName = Literal["english", "foreign", "language"]


class Bitext(NamedTuple):
    """An English text, its translation, and our code of the translation's language."""

    english: str
    foreign: str
    language: str


class BitextSource(BaseModel):
    """One entry `[[bitext]]` of a recipe; the module's docstring shows one of each format.

    Attributes:
        name: Its name in reports.
        format: The format of the files.
        path: Pattern of the files, relative to the recipe's data folder or absolute; for "hub"
            "hf:owner/name[/configuration]".
        english: Pattern of the English file, for "lines" and "verses".
        license: SPDX id or a few words; goes into the checkpoint's card.
        languages: Languages to take, by any name; all when empty. A single one also applies to
            files without a language in their path.
        codes: The source's own code to ours, where the same code means another language here.
        scripts: Our code to the source's ISO 15924 script, where it differs from languages.toml; a
            script in the source's code ("aze-Cyrl") needs no entry.
        fields: For "tsv" and "hub": where "english", "foreign" and "language" are.
        share: Share of the English sentences to keep, chosen only by their words, so every language
            keeps the same ones. Use it for a large source of one kind (a Bible) beside small ones
            that are nearer to the search task.
        split: Of a hub data set.
        revision: Commit or tag of a hub data set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    format: Literal["tmx", "lines", "tsv", "verses", "hub"]
    path: Annotated[str, StringConstraints(min_length=1)]
    english: str = ""
    license: str = Field(validation_alias=AliasChoices("license", "licence"))
    languages: tuple[str, ...] = ()
    codes: dict[str, str] = {}
    scripts: dict[str, str] = {}
    fields: dict[FieldName, int | str] = {}
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    split: str = "train"
    revision: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> BitextSource:
        problems = []
        if (self.format in ("lines", "verses")) != bool(self.english):
            need = "needs" if not self.english else "has no"
            problems.append(f"format {self.format!r} {need} 'english'")
        if self.fields and self.format not in ("tsv", "hub"):
            problems.append(f"format {self.format!r} has no 'fields'")
        if self.fields and not {"english", "foreign"} <= set(self.fields):
            problems.append("fields must name both 'english' and 'foreign'")
        if (self.format == "hub") != self.path.startswith("hf:"):
            problems.append("a path 'hf:owner/name' goes with format 'hub' and with no other")
        says_language = LANGUAGE in self.path or self.format == "tmx" or "language" in self.fields
        if not says_language and len(self.languages) != 1:
            problems.append(
                f"nothing says which language the files are in: write {LANGUAGE} into the path, "
                "or name exactly one in 'languages'"
            )
        if self.format == "hub" and LANGUAGE in self.path and not self.languages:
            problems.append("'languages' must list what {language} in a hub path stands for")
        for code in (*self.languages, *self.codes.values(), *self.scripts):
            try:
                resolve(code)
            except UnknownNameError as error:
                problems.append(str(error))
        problems += [
            f"scripts: {script!r} is none of the ISO 15924 codes that can be checked"
            for script in self.scripts.values()
            if not is_known(script)
        ]
        if problems:
            raise ValueError(f"bitext {self.name!r}: " + "; ".join(problems))
        return self

    def wanted(self) -> frozenset[str]:
        """Return our codes of `languages`; empty when every language is wanted."""
        return frozenset(resolve(self._own(code)).code for code in self.languages)

    def language_of(self, code: str, *, where: str) -> tuple[str, str]:
        """Return `(our code, expected script)` for a code the source writes.

        Raises:
            DataError: The code is not known; `where` names the file and line.
        """
        try:
            language = resolve(self._own(code))
        except UnknownNameError:
            try:  # "en-us": files write regions in upper or lower case
                language = resolve(self._own(re.split("[-_]", code)[0]))
            except UnknownNameError as error:
                raise DataError(
                    f"{where}: {error} State its language in 'codes' of bitext {self.name!r}."
                ) from None
        written = _SCRIPT.search(code)
        script = self.scripts.get(language.code) or (written[1] if written else language.script)
        return language.code, script

    def _own(self, code: str) -> str:
        return self.codes.get(code, code)
