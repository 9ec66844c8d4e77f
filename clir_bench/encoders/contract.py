"""Checks every vector that an encoder returns, and refuses vectors that no search can use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from clir_bench.core import profiling
from clir_bench.core.display import line_of, shortened
from clir_bench.core.guards import guarded, passes, told
from clir_bench.encoders.memory import shares_memory
from clir_bench.errors import EncoderError
from clir_bench.types import (
    AnyEncoder,
    Encoder,
    EncoderInfo,
    Family,
    LexicalEncoder,
    SparseEncoder,
    SparseRows,
    StructuredQueries,
    TokenEncoder,
    Vectors,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_UNIT_TOLERANCE = 1e-2
"""How far from 1 a row's length may be when the encoder says its rows have unit length."""
_SHORTEST, _LONGEST = 1e-15, 1.2e19
"""The product of two such lengths bounds every sum within an inner product. It is above float32's
smallest normal number over its precision, 9.9e-32, and below its largest, 3.4e38. So no score
becomes infinite, and underflow loses less than rounding."""
_SHOWN_CHARACTERS = 80
_ENOUGH_TEXTS = 8
"""If this many different texts all get one vector, a warning is shown."""


class CheckedEncoder:
    """An `Encoder` that checks every row: finite, of the stated dimension, not zero.

    It accepts float16, float64 and float32 arrays and returns float32 copies, because an encoder
    may use its array again. It refuses everything that is not a numpy array, also torch tensors: a
    conversion here would hide the device and the precision of the encoder's vectors.

    Attributes:
        inner: The encoder as its package made it.
    """

    family: Family = "single"

    def __init__(self, inner: Encoder) -> None:
        self.inner = inner
        self.info = _own(inner.info)
        self.dim: int = inner.dim
        self._told = False

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`, rows in the order of `texts`.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_queries, texts, language, "queries")

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`, rows in the order of `texts`.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_documents, texts, language, "documents")

    def _encode(
        self, method: Callable[..., Any], texts: Sequence[str], language: str, what: str
    ) -> Vectors:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        model = self.info.name
        with _calling(model, texts, language, what) as own_texts:
            found = method(own_texts, language=language)
            rows = _copy(found, f"model {model!r}, {what} in {language!r}")
        if rows.shape != (len(texts), self.dim):
            raise EncoderError(
                f"model {model!r}: {what} in {language!r}: expected an array of shape "
                f"({len(texts)}, {self.dim}), one row per text, found {rows.shape}; the first text "
                f"is {shortened(texts[0])}"
            )
        squared = _require_usable(rows, texts, language, self.info)
        self._warn_of_one_vector(rows, squared, texts)
        return rows

    def _warn_of_one_vector(
        self, rows: Vectors, squared: NDArray[np.float32], texts: Sequence[str]
    ) -> None:
        """Warn once if many different texts all have the same vector."""
        if self._told or len(rows) < _ENOUGH_TEXTS or (squared != squared[0]).any():
            return
        if (rows == rows[0]).all() and len(set(texts)) >= _ENOUGH_TEXTS:
            self._told = True
            logger.warning(
                "model %r gives %d different texts one and the same vector, the first being %s: "
                "such texts cannot be told apart",
                self.info.name,
                len(set(texts)),
                shortened(texts[0]),
            )


class CheckedTokenEncoder:
    """A `TokenEncoder` that returns at least one usable vector for every text.

    Attributes:
        inner: The encoder as its package made it.
    """

    family: Family = "tokens"

    def __init__(self, inner: TokenEncoder) -> None:
        self.inner = inner
        self.info = _own(inner.info)
        self.dim: int = inner.dim

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, each `n_tokens_i` at least 1.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_query_tokens, texts, language, "queries")

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` per text, each `n_tokens_i` at least 1.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_document_tokens, texts, language, "documents")

    def _encode(
        self, method: Callable[..., Any], texts: Sequence[str], language: str, what: str
    ) -> list[Vectors]:
        if not texts:
            return []
        model = self.info.name
        with _calling(model, texts, language, what) as own_texts:
            found = method(own_texts, language=language)
            if not isinstance(found, list | tuple) or len(found) != len(texts):
                size = f" of {len(found)}" if isinstance(found, list | tuple) else ""
                raise EncoderError(
                    f"model {model!r}: {what} in {language!r}: expected a list of {len(texts)} "
                    f"arrays, one per text, found {type(found).__name__}{size}; the first text is "
                    f"{shortened(texts[0])}"
                )
            arrays = [
                _copy(item, f"model {model!r}, text {shortened(text)} in {language!r}")
                for item, text in zip(found, texts, strict=True)
            ]
        for rows, text in zip(arrays, texts, strict=True):
            self._require_tokens(rows, text, language)
        if shares_memory(found, texts):
            raise EncoderError(
                f"model {model!r}: {what} in {language!r}: the arrays of different texts lie in "
                "the same memory, so that one text's vectors take the place of another's; return "
                "an array of its own for each text, rows.copy()"
            )
        return arrays

    def _require_tokens(self, rows: Vectors, text: str, language: str) -> None:
        if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != self.dim:
            raise EncoderError(
                f"model {self.info.name!r}, text {shortened(text)} in {language!r}: expected an "
                f"array of shape (n_tokens, {self.dim}) with at least one token, found {rows.shape}"
            )
        _require_usable(rows, [text] * len(rows), language, self.info)


class CheckedSparseEncoder:
    """A `SparseEncoder` or `LexicalEncoder` that returns one well-formed row for every text.

    A row may be empty: such a text matches nothing.

    Attributes:
        inner: The encoder as its package made it.
    """

    family: Family = "sparse"

    def __init__(self, inner: SparseEncoder | LexicalEncoder) -> None:
        self.inner = inner
        self.info = _own(inner.info)
        self.dim: int = inner.dim

    def encode_query_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text, in the order of `texts`.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        method: Any = getattr(self.inner, "encode_query_terms", None)
        return self._encode(method, texts, language, "queries")

    def encode_document_terms(self, texts: Sequence[str], *, language: str) -> SparseRows:
        """Return one row per text, in the order of `texts`.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_document_terms, texts, language, "documents")

    def structure_queries(
        self, texts: Sequence[str], *, language: str, document_languages: Sequence[str]
    ) -> StructuredQueries:
        """Return the queries of a `LexicalEncoder`, in the order of `texts`.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        inner = cast(LexicalEncoder, self.inner)
        with _calling(self.info.name, texts, language, "queries") as own_texts:
            found = inner.structure_queries(
                own_texts, language=language, document_languages=document_languages
            )
        where = f"model {self.info.name!r}, queries in {language!r}"
        _require_rows(found.queries, len(texts), len(found.concepts), where)
        _require_rows(found.concepts, len(found.concepts), 0, f"{where}, concepts")
        return found

    def _encode(
        self, method: Callable[..., Any], texts: Sequence[str], language: str, what: str
    ) -> SparseRows:
        with _calling(self.info.name, texts, language, what) as own_texts:
            found: SparseRows = method(own_texts, language=language)
        where = f"model {self.info.name!r}, {what} in {language!r}"
        _require_rows(found, len(texts), self.dim, where)
        return found


AnyChecked = CheckedEncoder | CheckedTokenEncoder | CheckedSparseEncoder


def family_of(encoder: AnyEncoder) -> Family:
    """Return what an encoder makes of a text."""
    if isinstance(encoder, TokenEncoder):
        return "tokens"
    return "sparse" if isinstance(encoder, SparseEncoder | LexicalEncoder) else "single"


def _require_rows(found: object, n_rows: int, dim: int, where: str) -> None:
    """Refuse sparse rows that cannot be searched; ids have no bound if `dim` is 0."""
    import numpy as np

    if not isinstance(found, SparseRows):
        raise EncoderError(f"{where}: expected SparseRows, found {type(found).__name__}")
    starts, ids, weights = found.starts, found.ids, found.weights
    kinds = [str(array.dtype) for array in (starts, ids, weights)]
    if kinds != ["int64", "int64", "float32"] or {starts.ndim, ids.ndim, weights.ndim} != {1}:
        raise EncoderError(
            f"{where}: expected flat arrays of int64, int64 and float32 for starts, ids and "
            f"weights, found {', '.join(kinds)}"
        )
    sizes = np.diff(starts)
    if len(starts) != n_rows + 1 or starts[0] or (sizes < 0).any() or starts[-1] != len(ids):
        raise EncoderError(
            f"{where}: expected {n_rows} rows, one per text, with starts from 0 to the number "
            f"of ids, {len(ids)}, found {len(found)}"
        )
    if len(weights) != len(ids) or not np.isfinite(weights).all():
        raise EncoderError(f"{where}: expected one finite weight per id")
    rises = ids[1:] > ids[:-1]
    rises[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(ids))] - 1] = True
    if not rises.all() or (ids < 0).any() or (dim and (ids >= dim).any()):
        below = f" and below {dim}" if dim else ""
        raise EncoderError(f"{where}: ids of terms must rise within a row, from 0{below}")


@contextmanager
def _calling(model: str, texts: Sequence[str], language: str, what: str) -> Iterator[list[str]]:
    """Yield a list of the texts for the encoder; failures inside the block name the texts.

    The list is a copy. An encoder that changes it is refused: its rows are then likely in another
    order than the texts.
    """
    own_texts = list(texts)

    def where() -> str:
        return (
            f"model {model!r} failed on {len(texts)} {what} in {language!r}, the first being "
            f"{shortened(texts[0])}"
        )

    with guarded(where, EncoderError), profiling.stage("encode"):
        try:
            yield own_texts
        except Exception as error:
            if type(error).__name__ == "OutOfMemoryError" and not passes(error):
                raise EncoderError(
                    f"{where()}: the device is out of memory; use a smaller --batch-size "
                    f"({told(error)})"
                ) from error
            raise
    if own_texts != list(texts):
        raise EncoderError(
            f"{where()}: it changed the list of texts that it was given, so that its rows may be "
            "in another order; the encoder must work on a copy, sorted(texts)"
        )


def _copy(found: object, where: str) -> Vectors:
    """Return an array as float32 in its own memory, which the encoder cannot change."""
    import numpy as np

    if not isinstance(found, np.ndarray):
        raise _no_array(found, where)
    if found.dtype not in (np.float16, np.float32, np.float64):
        raise EncoderError(
            f"{where}: expected an array of float32 (or float16, float64), found "
            f"{line_of(str(found.dtype), _SHOWN_CHARACTERS)}"
        )
    with np.errstate(all="ignore"):  # values beyond float32 are refused later
        copy = np.array(found, dtype=np.float32, order="C", copy=True, subok=False)
    if isinstance(found, np.ma.MaskedArray):
        raise _no_array(found, where)
    return copy


def _no_array(found: object, where: str) -> EncoderError:
    name = f"{type(found).__module__}.{type(found).__qualname__}"
    hint = "; return tensor.float().cpu().numpy()" if name.startswith("torch.") else ""
    return EncoderError(f"{where}: expected a numpy array of floats, found {name}{hint}")


def _require_usable(
    rows: Vectors, texts: Sequence[str], language: str, info: EncoderInfo
) -> NDArray[np.float32]:
    """Return the rows' squared lengths, or name the first of `texts` whose row cannot be used."""
    import numpy as np

    # One pass in the good case: a row's squared length is in range and, for cosine, 1.
    with np.errstate(all="ignore"):
        squared: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
        good = (squared >= _SHORTEST**2) & (squared <= _LONGEST**2)
    if not good.all():
        _refuse_unusable(rows, int(np.flatnonzero(~good)[0]), texts, language, info)
    if (
        info.similarity == "cosine"
        and (far := np.abs(np.sqrt(squared) - 1) > _UNIT_TOLERANCE).any()
    ):
        row = int(np.flatnonzero(far)[0])
        raise EncoderError(
            f"model {info.name!r}: text {shortened(texts[row])} in {language!r}: the encoder says "
            "its similarity is cosine, so its rows must have length 1, found "
            f"{float(np.sqrt(squared[row])):.4g}; normalise them, or say similarity 'dot'"
        )
    return squared


def _refuse_unusable(
    rows: Vectors, row: int, texts: Sequence[str], language: str, info: EncoderInfo
) -> None:
    """Raise for a row whose length is out of range, and say why."""
    import numpy as np

    values = rows[row]
    where = f"model {info.name!r}: text {shortened(texts[row])} in {language!r}"
    n_bad = int(np.count_nonzero(~np.isfinite(values)))
    if n_bad:
        raise EncoderError(
            f"{where}: expected {values.size} finite numbers, found {n_bad} that are NaN or "
            "infinite; a smaller precision often is the cause, try --dtype float32"
        )
    if not values.any():
        raise EncoderError(
            f"{where}: the vector is all zeros, which has no direction to search with; the "
            "encoder must give every text, the empty one too, some vector"
        )
    length = float(np.linalg.norm(values.astype(np.float64)))
    raise EncoderError(
        f"{where}: the vector has length {length:.3g}; expected {_SHORTEST:g} to {_LONGEST:g}, "
        "beyond which inner products leave float32's range and all scores become infinite or 0; "
        "the encoder must scale its vectors, all by one factor"
    )


def _own(info: EncoderInfo) -> EncoderInfo:
    """Return an encoder's own description, with tuples that it cannot change later."""
    return replace(info, training_languages=tuple(info.training_languages))
