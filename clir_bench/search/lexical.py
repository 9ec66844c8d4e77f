"""BM25 over a corpus that streams through once, for queries that are known before it.

Documents are rows of term counts. The first reading keeps what the queries can match, in memory up
to a bound and then in a temporary file, and sums up the statistics of the corpus: how many
documents hold each term, and how long documents are on average. Then scores are computed from what
was kept. So memory depends on the queries and k, not on the corpus, and stored shards of counts are
enough to search again.

The score of a document is the sum, over the query's terms, of

    count in query * ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 (1 - b + b length / mean))

as Lucene computes it (Robertson and Zaragoza 2009; Kamphuis et al. 2020, Which BM25 Do You Mean?).
A concept of a structured query has the expected tf and df of its terms.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.profiling import stage
from clir_bench.errors import OutputError
from clir_bench.search.document_vectors import DocumentVectors, PassCost
from clir_bench.search.search import vector_blocks, without_same_id
from clir_bench.search.sparse import among, best_matches
from clir_bench.search.topk import TopK, id_ranks
from clir_bench.types import Integers, Run, SparseRows, StructuredQueries

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MEMORY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class LexicalQuerySet:
    """Queries of one pair.

    Attributes:
        skip_same_id: As in `Collection`.
    """

    query_ids: Sequence[str]
    queries: StructuredQueries
    skip_same_id: bool = False


def search_terms(
    documents: DocumentVectors,
    query_sets: Sequence[LexicalQuerySet],
    *,
    k: int,
    k1: float,
    b: float,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[Run], PassCost]:
    """Rank a corpus for every query set; documents without any of a query's terms are not ranked.

    Args:
        documents: The corpus' counts of terms.
        query_sets: At least one.
        k: Documents per query.
        k1: As in `types.LexicalEncoder`.
        b: As in `types.LexicalEncoder`.
        advance: Called with the number of documents done since the last call.

    Returns:
        One `Run` per query set, in order, and the cost.

    Raises:
        OutputError: The temporary file cannot be written.
    """
    cost = documents.cost
    cost.search_seconds = [0.0] * len(query_sets)
    concepts = _Concepts([query_set.queries for query_set in query_sets])
    rankings = [TopK(len(s.query_ids), k + s.skip_same_id, partial=True) for s in query_sets]
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as file:
        kept = _Matches(file, concepts.n)
        statistics = _Statistics(concepts)
        for ids, counts in vector_blocks(documents, advance):
            started = time.perf_counter()
            kept.add(ids, *statistics.add(counts))
            cost.index_seconds += time.perf_counter() - started
        idf, mean_length = statistics.idf(), statistics.mean_length
        for ids, tf, lengths in kept.blocks():
            ranks = id_ranks(ids)
            by_concept = _weights(tf, lengths, idf, mean_length, k1, b).T.tocsr()
            for number, (of_set, ranking) in enumerate(zip(concepts.sets, rankings, strict=True)):
                started = time.perf_counter()
                with stage("search"):
                    best = best_matches(of_set, by_concept, ranking.k, ranks)
                ranking.add(*best, ids)
                cost.search_seconds[number] += time.perf_counter() - started
    runs = [ranking.run(s.query_ids) for s, ranking in zip(query_sets, rankings, strict=True)]
    return [
        without_same_id(run, k) if s.skip_same_id else run
        for s, run in zip(query_sets, runs, strict=True)
    ], cost


class _Concepts:
    """The concepts of all query sets side by side.

    Attributes:
        terms: Ids of all document terms that a concept stands for, ascending.
        probabilities: Of each term in each concept, CSR `(n_terms, n)`.
        sets: Per query set, how often each concept is in each query, CSR `(n_queries, n)`.
        n: Number of concepts.
    """

    def __init__(self, sets: Sequence[StructuredQueries]) -> None:
        from scipy.sparse import csr_array

        concepts = SparseRows.concatenated([one.concepts for one in sets])
        self.n = len(concepts)
        self.terms: Integers = np.unique(concepts.ids)
        self.probabilities: csr_array = among(concepts, self.terms).T.tocsr()
        self.sets: list[csr_array] = []
        first = 0
        for one in sets:
            rows = one.queries
            data = (rows.weights.astype(np.float64), rows.ids + first, rows.starts)
            self.sets.append(csr_array(data, shape=(len(rows), self.n)))
            first += len(one.concepts)


class _Statistics:
    """What BM25 needs to know of a corpus, summed up block by block."""

    def __init__(self, concepts: _Concepts) -> None:
        self._concepts = concepts
        self._df = np.zeros(len(concepts.terms), dtype=np.int64)
        self._n_documents = 0
        self._n_terms = 0.0

    def add(self, counts: SparseRows) -> tuple[Integers, csr_array, NDArray[np.float32]]:
        """Add a block, and return what queries can match.

        Returns:
            Positions of the documents that hold a concept; the concepts' expected frequencies in
            them, CSR `(n, n_concepts)`; the number of terms of each, repeats included.
        """
        known = among(counts, self._concepts.terms)
        self._df += np.bincount(known.indices, minlength=len(self._df))
        ends = np.concatenate([[0.0], counts.weights.cumsum(dtype=np.float64)])[counts.starts]
        self._n_documents += len(counts)
        self._n_terms += ends[-1]
        tf = (known @ self._concepts.probabilities).tocsr()
        matched = np.flatnonzero(np.diff(tf.indptr))
        return matched, tf[matched], np.diff(ends)[matched].astype(np.float32)

    def idf(self) -> NDArray[np.float64]:
        """Return the weight of each concept."""
        df = self._concepts.probabilities.T @ self._df.astype(np.float64)
        idf: NDArray[np.float64] = np.log1p((self._n_documents - df + 0.5) / (df + 0.5))
        return idf

    @property
    def mean_length(self) -> float:
        """Mean number of terms per document."""
        return self._n_terms / max(1, self._n_documents)


class _Matches:
    """Documents that queries can match, kept in a file."""

    def __init__(self, file: IO[bytes], n_concepts: int) -> None:
        self._file, self._n_concepts = file, n_concepts

    def add(
        self,
        ids: Sequence[str],
        matched: Integers,
        tf: csr_array,
        lengths: NDArray[np.float32],
    ) -> None:
        """Keep some documents of a block; arguments are `_Statistics.add`'s.

        Raises:
            OutputError: The file cannot be written.
        """
        if not len(matched):
            return
        names = "\n".join([ids[place] for place in matched.tolist()])
        text = names.encode("utf-8", "surrogatepass")
        parts = (
            np.array([len(matched), len(tf.data), len(text)], dtype=np.int64),
            tf.indptr.astype(np.int64),
            tf.indices.astype(np.int32),
            tf.data.astype(np.float32),
            lengths,
        )
        try:
            for part in parts:
                self._file.write(part.tobytes())
            self._file.write(text)
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: what the queries match cannot be kept there: "
                f"{error.strerror or error}; make room, or name another folder with TMPDIR"
            ) from error

    def blocks(self) -> Iterator[tuple[list[str], csr_array, NDArray[np.float32]]]:
        """Yield ids, expected frequencies and lengths of the kept documents, by block."""
        from scipy.sparse import csr_array

        self._file.seek(0)
        while head := self._file.read(24):
            n, n_values, n_bytes = np.frombuffer(head, dtype=np.int64).tolist()
            starts = self._read(np.int64, n + 1)
            places, values = self._read(np.int32, n_values), self._read(np.float32, n_values)
            lengths = self._read(np.float32, n)
            ids = self._file.read(n_bytes).decode("utf-8", "surrogatepass").split("\n")
            data = (values.astype(np.float64), places, starts)
            yield ids, csr_array(data, shape=(n, self._n_concepts)), lengths

    def _read(self, dtype: Any, n: int) -> NDArray[Any]:
        return np.frombuffer(self._file.read(n * np.dtype(dtype).itemsize), dtype=dtype)


def _weights(
    tf: csr_array,
    lengths: NDArray[np.float32],
    idf: NDArray[np.float64],
    mean_length: float,
    k1: float,
    b: float,
) -> csr_array:
    """Return each document's weight of each concept, of the shape of `tf`."""
    relative = lengths.astype(np.float64) / mean_length if mean_length else np.zeros(len(lengths))
    norm = np.repeat(k1 * (1 - b + b * relative), np.diff(tf.indptr))
    weights = tf.copy()
    weights.data = idf[tf.indices] * tf.data / (tf.data + norm)
    return weights
