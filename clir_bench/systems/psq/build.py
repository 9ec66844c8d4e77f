"""Makes the translation tables of a recipe's bitext and lexicons, both directions per language.

[[bitext]]                    # as in a recipe of `distill`: see `distill.bitext.sources`
name = "ntrex"
...

[[lexicon]]                   # likewise; words and names, which nothing is dropped from
name = "cldr"
format = "tsv"
path = "cldr/{language}.tsv.gz"
license = "Unicode-3.0"

[alignment]                   # see `AlignmentSettings`
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from clir_bench.core.progress import Progress
from clir_bench.core.structured_files import validated
from clir_bench.distill.bitext.cleaning import CleaningRules
from clir_bench.distill.bitext.loading import read_source
from clir_bench.distill.bitext.mixture import BitextCorpus, load_bitext
from clir_bench.distill.bitext.overlap import evaluation_tasks
from clir_bench.distill.bitext.report import BitextReport
from clir_bench.distill.bitext.sources import Bitext, BitextSource
from clir_bench.encoders.lexical.analysis import load_analyzer
from clir_bench.errors import DataError, UnknownNameError, UsageError
from clir_bench.systems.psq.align import AlignmentSettings, Row, TermPair, align
from clir_bench.systems.psq.folding import query_terms
from clir_bench.systems.psq.tables import Header, Source, header_of, write_table
from clir_bench.tasks.languages import PIVOT, resolve

_ENTRIES = CleaningRules(
    max_characters=100, max_length_ratio=100, min_length_correlation=-1, max_shift=0
)
"""Words keep no order, and a short word may have a long translation."""
_ASIDE = re.compile(r"\([^)]*\)|\[[^]]*\]|^#.*")


class TableRecipe(BaseModel):
    """What tables are made of.

    Attributes:
        lexicon_weight: How much an entry of a lexicon counts beside a sentence.
        overlap: Whether to find and drop sentences of the evaluation tasks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bitext: Annotated[tuple[BitextSource, ...], Field(min_length=1)]
    lexicon: tuple[BitextSource, ...] = ()
    lexicon_weight: Annotated[float, Field(gt=0)] = 0.5
    overlap: bool = True
    cleaning: CleaningRules = CleaningRules()
    alignment: AlignmentSettings = AlignmentSettings()


@dataclass(frozen=True)
class MadeTable:
    """A table that was written.

    Attributes:
        path: Its file.
        header: What it says about itself.
        rows: Its rows.
        n_pairs: Pairs of texts and entries that it was made of.
        frequent: Frequent query terms, the most frequent first.
    """

    path: Path
    header: Header
    rows: Mapping[str, Row]
    n_pairs: int
    frequent: Sequence[str]


def check_table_recipe(values: dict[str, Any], where: str) -> TableRecipe:
    """Return the recipe.

    Raises:
        UsageError: Lists all problems of the recipe.
    """
    return validated(TableRecipe, values, where, UsageError)


def build_tables(
    recipe: TableRecipe,
    root: Path,
    output: Path,
    *,
    languages: Sequence[str] = (),
    data_dir: Path | None = None,
    progress: Progress,
) -> Iterator[MadeTable]:
    """Write the tables of every language, from and to English, and yield each.

    Args:
        recipe: What to make them of.
        root: Folder that relative paths start from.
        output: Folder of the tables.
        languages: Those to make tables of; all that the bitext has when empty.
        data_dir: Where the evaluation tasks' data is; `$CLIR_BENCH_DATA` when None.
        progress: Shown to a person.

    Raises:
        UsageError: A language that the bitext has not.
        DataError: As `read_source`, or nothing is left of a language's bitext.
        OutputError: A table cannot be written; those before are kept.
    """
    progress.begin("reading bitext", None)
    corpus = load_bitext(
        recipe.bitext,
        root,
        tasks=evaluation_tasks() if recipe.overlap else (),
        data_dir=data_dir,
        rules=recipe.cleaning,
        validation_share=0,
    )
    lexicon: dict[str, list[tuple[str, Bitext]]] = {}
    for source in recipe.lexicon:
        for entry in read_source(source, root, rules=_ENTRIES, report=BitextReport()):
            lexicon.setdefault(entry.language, []).append((source.name, entry))
    progress.end()
    found = corpus.by_language(corpus.train)
    chosen = [resolve(language).code for language in languages] or sorted(found)
    if not chosen:
        raise DataError("no pair of the bitext passes the rules; see 'cleaning' in the recipe")
    for language in chosen:
        if language not in corpus.languages:
            raise UnknownNameError(
                "language of the bitext", language, corpus.languages,
                f"There are {', '.join(corpus.languages)}.",
            )  # fmt: skip
        if language not in found:
            raise DataError(f"{language}: no pair of its bitext passes the rules; see 'cleaning'")
    for language in chosen:
        texts = [corpus[int(pair)] for pair in found[language]]
        entries = lexicon.get(language, [])
        sources = _sources(recipe, corpus, language, entries)
        words = [_plain(entry) for _, entry in entries]
        for query, document in ((language, PIVOT), (PIVOT, language)):
            pairs = [*_terms(texts, query, document, 1.0)]
            pairs += _terms(words, query, document, recipe.lexicon_weight)
            yield _made(recipe, output, query, document, pairs, sources, progress)


def _made(
    recipe: TableRecipe,
    output: Path,
    query: str,
    document: str,
    pairs: Sequence[TermPair],
    sources: Sequence[Source],
    progress: Progress,
) -> MadeTable:
    settings = recipe.alignment
    progress.begin(f"aligning {query}-{document}", settings.iterations)
    rows = align(pairs, settings, lambda: progress.advance(1))
    rows = {term: row for term, row in rows.items() if not any(letter.isdigit() for letter in term)}
    progress.end()
    header = header_of(query, document, sources, settings.model_dump())
    counted = Counter(term for pair in pairs for term in pair.query)
    frequent = sorted(rows, key=lambda term: (-counted[term], term))
    return MadeTable(write_table(output, header, rows), header, rows, len(pairs), frequent)


def _terms(texts: Sequence[Bitext], query: str, document: str, weight: float) -> Iterator[TermPair]:
    """Yield the terms of both sides; one of the two languages is English."""
    asked, answered = load_analyzer(query), load_analyzer(document)
    for text in texts:
        sides = (text.english, text.foreign) if query == PIVOT else (text.foreign, text.english)
        pair = TermPair(query_terms(sides[0], asked), answered.terms(sides[1]), weight)
        if pair.query and pair.document:
            yield pair


def _plain(entry: Bitext) -> Bitext:
    """Return an entry without what stands in brackets."""
    return Bitext(_ASIDE.sub("", entry.english), _ASIDE.sub("", entry.foreign), entry.language)


def _sources(
    recipe: TableRecipe,
    corpus: BitextCorpus,
    language: str,
    entries: Sequence[tuple[str, Bitext]],
) -> list[Source]:
    rows = corpus.report.to_json()["rows"]
    kept = {row["source"]: row["kept"] for row in rows if row["language"] == language}
    kept.update(Counter(name for name, _ in entries))
    return [
        Source(name=source.name, license=source.license, pairs=kept[source.name])
        for source in (*recipe.bitext, *recipe.lexicon)
        if kept.get(source.name)
    ]
