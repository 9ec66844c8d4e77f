"""Searches with any approximate index of FAISS, and measures what it misses.

The user names an index by FAISS's factory string, with search parameters after a semicolon if
needed: `HNSW32`, `SQ8`, `IVF4096,PQ64x8;nprobe=64`. The name does not tell how good an index is. So
we search a sample of the queries exactly too, and measure how much of these rankings it finds.

Unlike exact search, this keeps the index of a whole corpus in memory: 4 bytes per dimension and
document unless the index compresses.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clir_bench.core.files import written_beside
from clir_bench.core.profiling import stage
from clir_bench.errors import DataError, UsageError
from clir_bench.search.exact import inner_products
from clir_bench.search.topk import Rows, Scores, break_ties, require_finite
from clir_bench.types import Run, Vectors

logger = logging.getLogger(__name__)

EXACT = ("exact", "Flat")
"""The name for exact search, which needs no index."""
CUTOFFS = (10, 100, 1000)
"""Depths for measuring recall, besides the depth of the run."""
SAMPLED_QUERIES = 100
"""Queries per pair that are also searched exactly."""
SUGGESTED = "expected exact, or a factory string such as HNSW32, SQfp16 or 'IVF1024,Flat;nprobe=32'"
_TRAINING_DOCUMENTS, _TRAINING_A_CELL = 65_536, 64
_WRITE_BYTES = 1 << 20


class IndexSpec(NamedTuple):
    """The requested index.

    Attributes:
        factory: FAISS's factory string.
        parameters: Search parameters for `faiss.ParameterSpace`, "" for FAISS's own.
    """

    factory: str
    parameters: str

    @classmethod
    def parse(cls, text: str) -> IndexSpec | None:
        """Parse the text of `--index`; None for exact search.

        >>> IndexSpec.parse("IVF64,PQ8;nprobe=8")
        IndexSpec(factory='IVF64,PQ8', parameters='nprobe=8')
        >>> IndexSpec.parse("exact") is None
        True
        """
        factory, _, parameters = (part.strip() for part in text.partition(";"))
        return None if factory in EXACT and not parameters else cls(factory, parameters)

    def __str__(self) -> str:
        return f"{self.factory};{self.parameters}" if self.parameters else self.factory

    def empty(self, dim: int) -> Any:
        """Return an empty index of this kind for vectors of `dim` numbers.

        Raises:
            UsageError: FAISS knows no such index or parameter, or cannot make it for `dim`.
        """
        import faiss

        try:
            index = faiss.index_factory(dim, self.factory, faiss.METRIC_INNER_PRODUCT)
            self.set_parameters(index)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"--index {str(self)!r}: FAISS makes no such index for vectors of {dim} numbers "
                f"({faiss_said(error)}); {SUGGESTED}"
            ) from None
        return index

    def set_parameters(self, index: Any) -> None:
        """Set the parameters of the search."""
        import faiss

        if self.parameters:
            space: Any = faiss.ParameterSpace()
            space.set_index_parameters(index, self.parameters)


class ApproximateIndex:
    """One corpus' index, built block by block.

    Indexes that learn from data learn from the first documents of the corpus. FAISS adds to HNSW
    with several threads at once, so two builds may differ unless there is one thread.

    Args:
        spec: What kind.
        dim: Length of the vectors.
        folder: Where a finished index is stored and looked for; None for nowhere.

    Attributes:
        stored: Whether it was read from the folder; then it accepts no more documents.
        size_bytes: Its stored size, once it is finished.
    """

    def __init__(self, spec: IndexSpec, dim: int, folder: Path | None = None) -> None:
        self.spec = spec
        self._folder = folder
        self._waiting: list[Vectors] = []
        found = None if folder is None else _read(spec, dim, folder)
        self.stored = found is not None
        self._index = spec.empty(dim) if found is None else found
        self.size_bytes = 0
        self._wanted = 0 if self._index.is_trained else _training_documents(self._index)

    @stage("search")
    def add(self, vectors: Vectors) -> None:
        """Add a block's documents, in the order of the corpus.

        Raises:
            DataError: There are too few documents to learn from.
            UsageError: FAISS does not add to it.
        """
        if self._index.is_trained:
            self._fill(np.ascontiguousarray(vectors))
            return
        self._waiting.append(vectors)
        if sum(map(len, self._waiting)) >= self._wanted:
            self._train()

    @stage("search")
    def finish(self, n_documents: int) -> None:
        """Add the waiting documents, and store the index if it has a folder.

        Args:
            n_documents: How many it must hold.

        Raises:
            DataError: There are too few documents to learn from, or it was stored with others.
            UsageError: FAISS does not add to it, or cannot write it.
        """
        if self._waiting:
            self._train()
        if self._index.ntotal != n_documents:
            raise DataError(
                f"{self._folder}: the stored index {self.spec} has {self._index.ntotal:,} "
                f"documents, the corpus {n_documents:,}; remove {_name(self.spec, '.json')}"
            )
        with self._doing("writing it"):
            self.size_bytes = written(self._index, lambda data: None)
        if self._folder is not None and not self.stored:
            try:
                _store(self._index, self.spec, self._folder)
            except (OSError, RuntimeError) as error:  # FAISS converts one into the other
                logger.warning(
                    "%s: the index cannot be stored: %s", self._folder, faiss_said(error)
                )

    @stage("search")
    def search(
        self,
        queries: Vectors,
        k: int,
        ids_of: Callable[[Rows], Sequence[str]],
        names: Sequence[str],
    ) -> Run:
        """Return the rankings of queries called `names`.

        Scores are the index's own; compression changes them. Equal scores: higher id first.

        Args:
            queries: `(n_queries, dim)` float32.
            k: Documents per query; an index may find fewer.
            ids_of: Returns the ids of documents by their places in the corpus, ascending.
            names: The queries' ids.

        Raises:
            UsageError: FAISS does not search it as asked.
            EncoderError: A score is not finite, as when 16 bits are too few for the vectors.
        """
        k = min(k, self._index.ntotal)
        with self._doing("searching"):
            queries = np.ascontiguousarray(queries)
            scores, rows = self._index.search(queries, k)
            if (documents := _vectors_of_graph(self._index)) is not None:
                scores = inner_products(queries, documents, rows)
        require_finite(scores[rows >= 0])
        return _run(scores, rows, ids_of, names)

    def _train(self) -> None:
        vectors = np.concatenate(self._waiting)
        self._waiting.clear()
        try:
            self._index.train(vectors)
        except RuntimeError as error:
            raise DataError(
                f"--index {self.spec}: {len(vectors):,} documents are too few to train it on "
                f"({faiss_said(error)}); choose a smaller index, or exact search"
            ) from None
        self._fill(vectors)

    def _fill(self, vectors: Vectors) -> None:
        with self._doing("adding documents"):
            self._index.add(vectors)

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        """Name the index in any error of FAISS."""
        try:
            yield
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"--index {str(self.spec)!r}: FAISS failed at {what} ({faiss_said(error)}); "
                f"{SUGGESTED}"
            ) from None


class DocIds:
    """The ids of a corpus as text; objects would take five times as much memory."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._ends: list[int] = [0]

    def add(self, ids: Sequence[str]) -> None:
        """Add the ids of the next documents; none of them holds white space."""
        self._blocks.append("\n".join(ids))
        self._ends.append(self._ends[-1] + len(ids))

    def __len__(self) -> int:
        return self._ends[-1]

    def of(self, rows: Rows) -> list[str]:
        """Return the ids of documents by their places, which ascend."""
        found: list[str] = []
        cuts = np.searchsorted(rows, self._ends)
        for number, block in enumerate(self._blocks):
            wanted = rows[cuts[number] : cuts[number + 1]] - self._ends[number]
            if len(wanted):
                ids = block.split("\n")
                found += [ids[row] for row in wanted.tolist()]
        return found


def sample_of(n_queries: int) -> NDArray[np.intp]:
    """Return the places of the queries to search exactly too, spread evenly."""
    return np.unique(np.linspace(0, n_queries - 1, min(n_queries, SAMPLED_QUERIES)).astype(np.intp))


def recalls(found: Run, exact: Run, k: int) -> dict[str, float]:
    """Return, by cutoff, the mean share of the exact rankings' first documents that was found.

    A document that scores as much as one of them but loses the tie does not count.

    Args:
        found: Rankings of at least the queries of `exact`.
        exact: The exact rankings, `k` deep.
        k: The depth; the cutoffs are those of `CUTOFFS` below it, and `k`.
    """
    ranked = dict(zip(found.query_ids, found.doc_ids, strict=True))
    values = {}
    for cutoff in (*(cutoff for cutoff in CUTOFFS if cutoff < k), k):
        shares = [
            len(set(wanted[:cutoff]).intersection(ranked[query_id][:cutoff])) / len(wanted[:cutoff])
            for query_id, wanted in zip(exact.query_ids, exact.doc_ids, strict=True)
            if wanted
        ]
        values[str(cutoff)] = round(float(np.mean(shares)), 6) if shares else 1.0
    return values


def _run(
    scores: Scores, rows: Rows, ids_of: Callable[[Rows], Sequence[str]], names: Sequence[str]
) -> Run:
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, rows = (
        np.take_along_axis(scores, order, axis=1),
        np.take_along_axis(rows, order, axis=1),
    )
    n_found = (rows >= 0).sum(axis=1).tolist()  # FAISS fills up with -1 and the lowest scores
    different, places = np.unique(rows, return_inverse=True)
    places = places.reshape(rows.shape)
    n_missing = int((different < 0).sum())
    ids = np.array([""] * n_missing + list(ids_of(different[n_missing:])), dtype=object)
    break_ties(scores, places, lambda some: ids[some].tolist())
    doc_ids = tuple(
        tuple(ids[of_query[:n]].tolist()) for of_query, n in zip(places, n_found, strict=True)
    )
    kept = tuple(of_query[:n].copy() for of_query, n in zip(scores, n_found, strict=True))
    return Run(tuple(names), doc_ids, kept)


def _vectors_of_graph(index: Any) -> Vectors | None:
    """Return the vectors of an HNSW index that stores them whole, None for other indexes.

    FAISS walks the graph with products of four documents at once or of one, which differ in their
    last bits: equal documents tie only after their scores are computed again.
    """
    import faiss

    index = faiss.downcast_index(index)
    if not isinstance(index, faiss.IndexHNSWFlat):
        return None
    storage: Any = faiss.downcast_index(index.storage)
    found: Vectors = faiss.rev_swig_ptr(storage.get_xb(), storage.ntotal * storage.d)
    return found.reshape(storage.ntotal, storage.d)


def _training_documents(index: Any) -> int:
    """Return from how many of the first documents an index learns."""
    import faiss

    try:
        n_cells = int(faiss.extract_index_ivf(index).nlist)
    except RuntimeError:  # it has no inverted lists
        n_cells = 0
    return max(_TRAINING_DOCUMENTS, _TRAINING_A_CELL * n_cells)


def _name(spec: IndexSpec, suffix: str) -> str:
    return f"index-{hashlib.sha256(spec.factory.encode()).hexdigest()[:16]}{suffix}"


def _store(index: Any, spec: IndexSpec, folder: Path) -> None:
    """Store an index beside its vectors, its description last."""
    import faiss

    digest = hashlib.sha256()
    with _beside(folder / _name(spec, ".faiss")) as file:

        def write(data: bytes) -> None:
            digest.update(data)
            file.write(data)

        written(index, write)
    known = {
        "factory": spec.factory,
        "faiss": faiss.__version__,
        "n_documents": int(index.ntotal),
        "sha256": digest.hexdigest(),
    }
    with _beside(folder / _name(spec, ".json")) as file:
        file.write((json.dumps(known, indent=1, sort_keys=True) + "\n").encode())


def _beside(path: Path) -> AbstractContextManager[IO[bytes]]:
    # With an entry's own prefix, a killed run's file is removed with its other leftovers.
    return written_beside(path, prefix=f".entry.{path.name}.")


def written(index: Any, write: Callable[[bytes], None]) -> int:
    """Write an index piece by piece, and return its size in bytes."""
    import faiss

    size_bytes = 0

    def count(data: bytes) -> int:
        nonlocal size_bytes
        write(data)
        size_bytes += len(data)
        return len(data)

    library: Any = faiss  # whose type stubs lack what follows
    library.write_index(index, library.PyCallbackIOWriter(count, _WRITE_BYTES))
    return size_bytes


def _read(spec: IndexSpec, dim: int, folder: Path) -> Any | None:
    """Return a stored index, None if there is none, it is damaged, or of another FAISS."""
    import faiss

    path = folder / _name(spec, ".faiss")
    try:
        known = json.loads((folder / _name(spec, ".json")).read_text(encoding="utf-8"))
        if known["factory"] != spec.factory or known["faiss"] != faiss.__version__:
            return None
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    index = faiss.read_index(str(path))
    if index.d != dim:
        return None
    spec.set_parameters(index)
    return index


def faiss_said(error: BaseException) -> str:
    """Return a FAISS message without the place in its source code."""
    return str(error).rpartition(":")[2].strip() or type(error).__name__
