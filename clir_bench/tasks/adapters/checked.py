"""Checks the types of everything that an adapter returns; an error names the part that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from clir_bench.core.display import shown
from clir_bench.core.guards import passes, told
from clir_bench.core.profiling import staged
from clir_bench.errors import PluginError
from clir_bench.types import LARGEST_GRADE, Collection, Document, Qrel, Query

_Item = TypeVar("_Item", Query, Qrel)


def checked(found: object, where: str) -> Collection:
    """Return a collection with checked queries and judgments; documents are checked when read.

    Args:
        found: What an adapter returned.
        where: Names task, pair and adapter in errors.

    Raises:
        PluginError: It is not a `Collection`, or a part of it has the wrong type.
    """
    if not isinstance(found, Collection):
        raise PluginError(
            f"{where} returned {shown(found)}; expected a clir_bench.types.Collection"
        )
    for name, wanted in (("corpus_id", str), ("skip_same_id", bool)):
        value = getattr(found, name)
        if type(value) is not wanted:
            raise PluginError(
                f"{where}: Collection.{name} must be {wanted.__name__}, found {shown(value)}"
            )
    if (stream := iter(found.documents)) is iter(found.documents):
        raise PluginError(
            f"{where}: Collection.documents is a {type(stream).__name__}, which is read only once; "
            "expected a list, or an object whose __iter__ begins anew"
        )
    return replace(
        found,
        documents=_Watched(found.documents, where),
        queries=_all(Query, found.queries, "queries", _query_problem, where),
        qrels=_all(Qrel, found.qrels, "qrels", _qrel_problem, where),
    )


def _all(
    kind: type[_Item], items: object, name: str, problem_of: Callable[[_Item], str], where: str
) -> Sequence[_Item]:
    """Return the items if each of them is of its kind and types."""
    if not isinstance(items, Sequence) or isinstance(items, str | bytes):
        raise PluginError(f"{where}: Collection.{name} must be a list, found {shown(items)}")
    for item in items:
        if not isinstance(item, kind):
            raise PluginError(f"{where}: expected a {kind.__name__}, found {shown(item)}")
        if problem := problem_of(item):
            raise PluginError(f"{where}: {kind.__name__}.{problem}")
    return items


def _query_problem(query: Query) -> str:
    if _is_id(query.query_id) and isinstance(query.text, str):
        return ""
    return _field_problem(query)


def _qrel_problem(qrel: Qrel) -> str:
    grade = qrel.relevance
    if type(grade) is int and abs(grade) <= LARGEST_GRADE:
        if _is_id(qrel.query_id) and _is_id(qrel.doc_id) and isinstance(qrel.iteration, str):
            return ""
    elif isinstance(grade, int) and type(grade) is not bool:
        return (
            f"relevance must be from {-LARGEST_GRADE:,} to {LARGEST_GRADE:,}, found {shown(grade)}"
        )
    return _field_problem(qrel)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and (value.isascii() or _is_unicode(value))


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _field_problem(item: Document | Query | Qrel) -> str:
    """Say which field of a document, query or judgment is wrong."""
    for name, value in item._asdict().items():
        wanted = int if name == "relevance" else str
        if type(value) is not wanted and not (wanted is str and isinstance(value, str)):
            return f"{name} must be {wanted.__name__}, found {shown(value)}"
        if name.endswith("_id") and not _is_unicode(str(value)):
            return f"{name} {shown(value)} holds half a surrogate pair, which no file can hold"
    return ""


@dataclass(frozen=True)
class _Watched:
    """An adapter's stream of documents: types are checked, and failures name the adapter."""

    documents: Iterable[Document]
    where: str

    def __iter__(self) -> Iterator[Document]:
        stream: Iterator[Document] | None = None
        while True:
            # Only the adapter is guarded: its reader may stop, or raise an error of its own.
            try:
                stream = stream or iter(staged("read", self.documents))
                document = next(stream)
            except StopIteration:
                return
            except BaseException as raised:  # a plugin may raise anything
                if passes(raised):
                    raise
                raise PluginError(f"{self.where} failed: {told(raised)}") from raised
            self._require(document)
            yield document

    def _require(self, document: Document) -> None:
        if isinstance(document, Document):
            doc_id, text, title, language = document
            if (
                isinstance(doc_id, str)
                and isinstance(text, str)
                and isinstance(title, str)
                and isinstance(language, str)
                and (doc_id.isascii() or _is_unicode(doc_id))
            ):
                return
            raise PluginError(f"{self.where}: Document.{_field_problem(document)}")
        raise PluginError(f"{self.where}: expected a Document, found {shown(document)}")
