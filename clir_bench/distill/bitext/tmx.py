"""Streams translation memories (TMX 1.4b), safely for files from any source.

We use Expat directly. An attack by entity expansion ("billion laughs") needs declarations in the
file itself, so a DOCTYPE with an internal subset is refused before its content is read. `<!DOCTYPE
tmx SYSTEM "tmx14.dtd">`, which is common in TMX, declares nothing itself and is accepted: external
files are never fetched. A unit of more than a million characters is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.parsers import expat

from clir_bench.distill.bitext.locations import Place, open_bytes
from clir_bench.errors import DataError

_READ_BYTES = 1 << 16
_MAX_UNIT = 1_000_000
_NATIVE_CODE = frozenset({"bpt", "ept", "it", "ph", "ut"})  # markup of the document, not its text


class Variant(NamedTuple):
    """One language's side of a unit: the code as `xml:lang` gives it, and the text."""

    language: str
    text: str


def units_of(place: Place) -> Iterator[tuple[int, list[Variant]]]:
    """Yield `(line number, variants)` of every unit, in the file's order.

    Inline codes (bpt, ept, it, ph, ut) are removed with their content; `hi` is only markup, and its
    text stays.

    Raises:
        DataError: The file cannot be read, is no TMX, is broken or truncated, declares entities,
            or a variant states no language.
    """
    handlers = _Handlers(place)
    try:
        with open_bytes(place, suffix=".tmx") as file:
            while data := file.read(_READ_BYTES):
                handlers.parser.Parse(data, False)
                yield from handlers.take()
        handlers.parser.Parse(b"", True)
        yield from handlers.take()
    except expat.ExpatError as error:
        raise DataError(
            f"{place}:{error.lineno}: broken or truncated XML, or text in another encoding than "
            f"it states: {expat.ErrorString(error.code)} (column {error.offset + 1})"
        ) from None
    except (LookupError, ValueError) as error:  # Python knows no such encoding
        raise DataError(f"{place}: XML in an encoding that cannot be read: {error}") from None


class _Handlers:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.SkippedEntityHandler = self._skipped
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._done: list[tuple[int, list[Variant]]] = []
        self._line = 0
        self._depth = 0
        self._variants: list[Variant] = []
        self._language = ""
        self._pieces: list[str] = []
        self._n_characters = 0
        self._in_segment = False
        self._in_code = 0

    def take(self) -> list[tuple[int, list[Variant]]]:
        done, self._done = self._done, []
        return done

    def _problem(self, what: str) -> DataError:
        return DataError(f"{self.place}:{self.parser.CurrentLineNumber}: {what}")

    def _doctype(
        self, _name: str, _system: str | None, _public: str | None, internal: bool
    ) -> None:
        if internal:
            raise self._problem(
                "refused: the DOCTYPE declares things in the file itself, by which a small file "
                "can grow without bound; remove everything between '[' and ']' of the DOCTYPE"
            )

    def _skipped(self, name: str, _is_parameter: bool) -> None:
        raise self._problem(f"&{name}; is not declared; write the character itself")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._depth += 1
        if self._depth == 1 and name != "tmx":
            raise self._problem(f"expected a TMX file (<tmx>), found <{name}>")
        if self._in_segment:
            self._in_code += self._in_code > 0 or name in _NATIVE_CODE
        elif name == "tu":
            self._line, self._variants = self.parser.CurrentLineNumber, []
            self._n_characters = 0
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang", "")
            if not self._language:
                raise self._problem("<tuv> states no xml:lang")
        elif name == "seg":
            self._in_segment, self._pieces = True, []

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        self._depth -= 1
        if self._in_code:
            self._in_code -= 1
        elif name == "seg" and self._in_segment:
            self._in_segment = False
            self._variants.append(Variant(self._language, "".join(self._pieces)))
        elif name == "tu":
            self._done.append((self._line, self._variants))

    def _text(self, data: str) -> None:
        if self._in_segment and not self._in_code:
            self._n_characters += len(data)
            if self._n_characters > _MAX_UNIT:
                raise self._problem(f"a unit of more than {_MAX_UNIT:,} characters")
            self._pieces.append(data)
