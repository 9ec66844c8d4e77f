"""What a system is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from clir_bench.core.progress import Progress
from clir_bench.results.schema import ApproximateSearch
from clir_bench.search.approximate_index import IndexSpec
from clir_bench.search.vectors.cache_key import Corpus
from clir_bench.search.vectors.store import EmbeddingStore, Keeping
from clir_bench.tasks.loading import CorpusGroup, Loader, PreparedPair, corpus_of
from clir_bench.tasks.outline import Text, read_again
from clir_bench.types import Collection, LanguagePair, Query, Run

NOT_KEPT = Keeping("off")


@dataclass(frozen=True)
class PairCost:
    """The cost of one pair's ranking.

    Attributes:
        n_documents: Documents encoded, or read from stored vectors.
        encode_seconds: Time encoding them; all pairs of the corpus share it, as they share what
            follows.
        index_seconds: Time reading documents and gathering vectors.
        store_seconds: Time storing vectors, and reading stored ones.
        index_size_bytes: Bytes of all document vectors.
        query_seconds: Time encoding the queries; pairs with equal queries share it.
        search_seconds: Time searching and merging.
        n_sharing: Pairs that share the corpus.
    """

    n_documents: int = 0
    encode_seconds: float = 0.0
    index_seconds: float = 0.0
    store_seconds: float = 0.0
    index_size_bytes: int = 0
    query_seconds: float = 0.0
    search_seconds: float = 0.0
    n_sharing: int = 1

    def __add__(self, other: PairCost) -> PairCost:
        """Return the cost of both."""
        values = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return PairCost(**values | {"n_sharing": max(self.n_sharing, other.n_sharing)})


@dataclass(frozen=True)
class Answer:
    """The ranking of one pair.

    Attributes:
        collection: The pair's own, with queries as the task has them.
        approximate: What an approximate index missed; None for exact search.
        method: How queries and documents were matched; see `PairResult`.
        beside: Contents of further files that are stored beside the run, by the suffix of their
            names: "translations.jsonl.gz", say.
    """

    prepared: PreparedPair
    collection: Collection
    run: Run
    cost: PairCost
    approximate: ApproximateSearch | None = None
    method: str = ""
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupAnswers:
    """The rankings and failures of the pairs of one corpus."""

    group: CorpusGroup
    corpus: Corpus
    answers: list[Answer] = field(default_factory=list)
    failures: dict[LanguagePair, str] = field(default_factory=dict)


class Asked(NamedTuple):
    """Queries as a system gets them.

    Attributes:
        texts: One per query.
        language: Theirs.
        method: What was done to them, empty for nothing.
        seconds: Time it took.
    """

    texts: Sequence[str]
    language: str
    method: str = ""
    seconds: float = 0.0


class Rewrite(Protocol):
    """Gives queries another form: translates them, say."""

    def __call__(self, prepared: PreparedPair, queries: Sequence[Query]) -> Asked:
        """Return the queries of a pair as they are to be asked.

        Raises:
            ClirBenchError: They cannot be given that form; the pair fails.
        """
        ...


def as_written(prepared: PreparedPair, queries: Sequence[Query]) -> Asked:
    """Return the queries as the task has them."""
    return Asked([query.text for query in queries], prepared.pair.query)


@dataclass(frozen=True)
class Task:
    """What all groups of one run have in common.

    Attributes:
        loader: Loads the collections.
        stores: Of each encoder's document vectors, by the number of the encoder among a system's
            `leaves`; they have planned for all groups.
        progress: Receives the numbers of documents and tokens done.
        top_k: Documents to rank per query.
        n_texts: Texts that each encoder still has to encode, in the order of `stores`.
        index: An approximate index to search, None for exact search.
        rewrite: What is done to queries before they are asked.
        keeping: Where vectors and scores of pairs are kept.
    """

    loader: Loader
    stores: Sequence[EmbeddingStore]
    progress: Progress
    top_k: int
    n_texts: Sequence[int]
    index: IndexSpec | None = None
    rewrite: Rewrite = as_written
    keeping: Keeping = NOT_KEPT

    def of_leaves(self, first: int, n: int) -> Task:
        """Return the task for a part of a system, which has these of its leaves."""
        some = slice(first, first + n)
        return replace(self, stores=self.stores[some], n_texts=self.n_texts[some])


def judged_queries(collection: Collection) -> list[Query]:
    """Return the queries that are searched: those with a judgment."""
    judged = {qrel.query_id for qrel in collection.qrels}
    return [query for query in collection.queries if query.query_id in judged]


def read_texts(group: CorpusGroup, loader: Loader) -> Iterator[list[Text]]:
    """Read the corpus of a group once more, and yield its documents that have a text.

    Raises:
        DataError: They are not those that were checked.
    """
    corpus = Corpus.of(group, loader)
    for window in read_again(
        corpus_of(loader, group.corpus_pairs),
        corpus.outline,
        language=corpus.language,
        document_text=corpus.document_text,
        where=corpus.label,
    ):
        yield [text for text in window if text.text.strip()]


def joined_files(parts: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    """Return the files of several parts; one that another part has otherwise gets a number."""
    files: dict[str, bytes] = {}
    for number, part in enumerate(parts, start=1):
        for name, data in part.items():
            if files.setdefault(name, data) != data:
                files[f"{number}.{name}"] = data
    return files


def failures_of(found: Sequence[GroupAnswers]) -> Mapping[LanguagePair, str]:
    """Return the pairs that failed in any part, each with its first error."""
    failures: dict[LanguagePair, str] = {}
    for part in found:
        for pair, error in part.failures.items():
            failures.setdefault(pair, error)
    return failures
