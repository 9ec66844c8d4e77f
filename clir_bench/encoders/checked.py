"""The gate every encoder's output passes: what cannot be searched with is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from clir_bench import profiling
from clir_bench.errors import ClirBenchError, EncoderError
from clir_bench.types import Encoder, EncoderInfo, TokenEncoder, Vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UNIT_TOLERANCE = 1e-2
"""How far from 1 a row's length may be when the encoder says its rows have unit length."""
_SHOWN_CHARACTERS = 80

_Output = TypeVar("_Output")


class CheckedEncoder:
    """An `Encoder` whose every row is finite, of the promised width and not zero.

    float16, float64 and float32 arrays are accepted and returned as float32. Anything that is not
    a numpy array, torch tensors among them, is refused: a conversion here would hide on which
    device and in which precision the encoder left its vectors.

    Attributes:
        inner: The encoder as its package made it.
    """

    def __init__(self, inner: Encoder) -> None:
        self.inner = inner
        self.info: EncoderInfo = inner.info
        self.dim: int = inner.dim

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
        found = _called(method, texts, language, what, model)
        rows = _array(found, f"model {model!r}, {what} in {language!r}")
        if rows.shape != (len(texts), self.dim):
            raise EncoderError(
                f"model {model!r}: {what} in {language!r}: expected an array of shape "
                f"({len(texts)}, {self.dim}), one row a text, found {rows.shape}; the first text "
                f"is {shortened(texts[0])}"
            )
        return _usable(rows, texts, language, self.info)


class CheckedTokenEncoder:
    """A `TokenEncoder` of whose every text at least one vector comes, all of them usable.

    Attributes:
        inner: The encoder as its package made it.
    """

    def __init__(self, inner: TokenEncoder) -> None:
        self.inner = inner
        self.info: EncoderInfo = inner.info
        self.dim: int = inner.dim

    def encode_query_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` a text, each `n_tokens_i` at least 1.

        Raises:
            EncoderError: The encoder failed or returned something unusable.
        """
        return self._encode(self.inner.encode_query_tokens, texts, language, "queries")

    def encode_document_tokens(self, texts: Sequence[str], *, language: str) -> list[Vectors]:
        """Return one float32 `(n_tokens_i, dim)` a text, each `n_tokens_i` at least 1.

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
        found = _called(method, texts, language, what, model)
        if not isinstance(found, Sequence) or len(found) != len(texts):
            size = f" of {len(found)}" if isinstance(found, Sequence) else ""
            raise EncoderError(
                f"model {model!r}: {what} in {language!r}: expected a list of {len(texts)} arrays, "
                f"one a text, found {type(found).__name__}{size}; the first text is "
                f"{shortened(texts[0])}"
            )
        return [self._tokens(item, text, language) for item, text in zip(found, texts, strict=True)]

    def _tokens(self, found: object, text: str, language: str) -> Vectors:
        where = f"model {self.info.name!r}, text {shortened(text)} in {language!r}"
        rows = _array(found, where)
        if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != self.dim:
            raise EncoderError(
                f"{where}: expected an array of shape (n_tokens, {self.dim}) with at least one "
                f"token, found {rows.shape}"
            )
        return _usable(rows, [text] * len(rows), language, self.info)


def shortened(text: str) -> str:
    """Return a text as shown in messages: on one line, quoted, cut after 80 characters.

    >>> shortened("one\\n  two")
    "'one two'"
    """
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    cut = line[:_SHOWN_CHARACTERS] + ("..." if len(line) > _SHOWN_CHARACTERS else "")
    return repr(cut)


def _called(
    method: Callable[..., _Output], texts: Sequence[str], language: str, what: str, model: str
) -> _Output:
    """Call an encoder's method; whatever it raises becomes an `EncoderError`."""
    try:
        with profiling.stage("encode"):
            return method(texts, language=language)
    except (ClirBenchError, MemoryError):
        raise
    except Exception as error:  # a plugin may raise anything
        where = (
            f"model {model!r} failed on {len(texts)} {what} in {language!r}, the first being "
            f"{shortened(texts[0])}"
        )
        if type(error).__name__ == "OutOfMemoryError":
            raise EncoderError(
                f"{where}: the device is out of memory; use a smaller --batch-size ({error})"
            ) from error
        raise EncoderError(f"{where}: {type(error).__name__}: {error}") from error


def _array(found: object, where: str) -> NDArray[Any]:
    import numpy as np

    if not isinstance(found, np.ndarray):
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        hint = "; return tensor.float().cpu().numpy()" if name.startswith("torch.") else ""
        raise EncoderError(f"{where}: expected a numpy array of floats, found {name}{hint}")
    if found.dtype not in (np.float16, np.float32, np.float64):
        raise EncoderError(
            f"{where}: expected an array of float32 (or float16, float64), found {found.dtype}"
        )
    return found


def _usable(found: NDArray[Any], texts: Sequence[str], language: str, info: EncoderInfo) -> Vectors:
    """Return `found` as float32, or name the first of `texts` whose row cannot be used."""
    import numpy as np

    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, refused below
        rows: NDArray[np.float32] = np.ascontiguousarray(found, dtype=np.float32)
    # One pass in the good case: a row's squared length is finite, positive and, for cosine, 1.
    with np.errstate(over="ignore", invalid="ignore"):
        squared = np.einsum("ij,ij->i", rows, rows)
    good = np.isfinite(squared) & (squared > 0)
    if not good.all():
        _refuse_unusable(rows, np.flatnonzero(~good), texts, language, info)
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
    return rows


def _refuse_unusable(
    rows: Vectors,
    suspects: NDArray[np.intp],
    texts: Sequence[str],
    language: str,
    info: EncoderInfo,
) -> None:
    """Raise for the first of `suspects` that is not merely very long or very short."""
    import numpy as np

    for row in suspects:
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
