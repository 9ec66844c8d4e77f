"""Embeds texts by a server that speaks the `/v1/embeddings` protocol, here or elsewhere.

`api:http://localhost:8000/v1#BAAI/bge-m3` names a server and one of its models. A model file states
more:

    name = "my-embedder"
    url = "https://api.example.org/v1"
    model = "embedder-3"
    key_variable = "EXAMPLE_KEY"       # the environment variable that holds the key
    dimensions = 256                   # asked of the server; leave it out for the model's own
    revision = "2026-05"               # what the provider calls this version of the model

The key is read from the environment. It goes into the requests' header and nowhere else: no result,
message or log has it. Only the user can say whether a server still runs the same model, so document
vectors are stored only if `revision` is stated.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from clir_bench.core import profiling
from clir_bench.core.display import line_of
from clir_bench.encoders.described import Described, Line
from clir_bench.encoders.instructions import filled
from clir_bench.encoders.statements import UNSTATED_REVISION
from clir_bench.errors import EncoderError, UsageError
from clir_bench.types import EncoderInfo, EncoderRequest, Vectors

if TYPE_CHECKING:
    from requests import Response

_LOGGER = logging.getLogger(__name__)

KEY_VARIABLE = "CLIR_BENCH_API_KEY"
"""Read where no `key_variable` is stated; a server without keys needs none."""
_LOCAL = ("localhost", "127.0.0.1", "::1")
_TEXTS_PER_REQUEST = 64
_CHARACTERS_PER_REQUEST = 200_000
_CONNECT_SECONDS, _ANSWER_SECONDS = 20, 300
_ATTEMPTS, _LONGEST_WAIT = 8, 600.0
_AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)
_SHOWN = 300


class ApiDescription(Described):
    """The fields of a model file with a server.

    Attributes:
        url: Of the server; `/embeddings` is added unless it ends so.
        model: The server's name of the model.
        key_variable: The environment variable with the key.
        revision: The provider's name of this version of the model; vectors are stored only with it.
        dimensions: Length of the vectors to ask the server for; the model's own where not stated.
        similarity: "cosine", for which vectors are scaled to unit length, or "dot".
        batch_size: Texts per request; `--batch-size` where not stated.
        max_characters: Longer texts are cut; servers differ in what they do with long texts.
        encoding: How vectors are asked for: as base64 of float32, or as numbers.
    """

    url: str
    model: Annotated[Line, Field(min_length=1)]
    key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    revision: Annotated[Line, Field(min_length=1)] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    similarity: Literal["cosine", "dot"] = "cosine"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    max_characters: Annotated[int, Field(ge=1)] | None = None
    encoding: Literal["base64", "float"] = "base64"

    @field_validator("url")
    @classmethod
    def _without_secrets(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            raise ValueError("expected an address such as https://host/v1") from None
        if parts.scheme not in ("http", "https") or not host or not url.isprintable():
            raise ValueError("expected an address such as https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "expected an address without user, password, query and fragment: it is recorded in "
                "results. The key belongs into the variable that key_variable names"
            )
        return url.rstrip("/").removesuffix("/embeddings")


def load(request: EncoderRequest) -> ApiEncoder:
    """Return the model that `request.argument`, URL#MODEL, names.

    Raises:
        UsageError: The argument is no such name, or no key can be sent.
        EncoderError: The server does not answer as expected.
    """
    url, _, model = request.argument.partition("#")
    if not url or not model:
        raise UsageError(
            f"model {request.name!r} needs a server and a model, as in --model "
            f"{request.name}:http://localhost:8000/v1#BAAI/bge-m3"
        )
    try:
        stated = ApiDescription(name="served", url=url, model=model)
    except ValidationError as error:
        why = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
        raise UsageError(f"model {request.name}:URL#{line_of(model, _SHOWN)}: {why}") from None
    return connect(request, stated, f"{model}@api", f"{model}, served by {stated.url}")


def connect(
    request: EncoderRequest, stated: ApiDescription, name: str, description: str
) -> ApiEncoder:
    """Return an encoder that asks the described server; a first request finds the vectors' length.

    Raises:
        UsageError: An arithmetic is asked for, or no key can be sent.
        EncoderError: The server does not answer as expected.
    """
    if request.dtype not in ("auto", "float32"):
        raise UsageError(
            f"model {name!r} runs on a server, which decides its arithmetic; leave --dtype "
            f"{request.dtype} out"
        )
    cut = f"cut after {stated.max_characters} characters" if stated.max_characters else ""
    info = EncoderInfo(
        name=name if stated.dimensions is None else f"{name}@{stated.dimensions}",
        revision=stated.revision or UNSTATED_REVISION,
        query_prompt=stated.query_prompt or "",
        document_prompt=stated.document_prompt or "",
        similarity=stated.similarity,
        license=stated.license,
        training_languages=stated.training_languages,
        description=description,
        details={"served model": stated.model} | ({"texts": cut} if cut else {}),
    )
    size = stated.batch_size or request.batch_size or _TEXTS_PER_REQUEST
    return ApiEncoder(_Server(stated, name), info, size, stated.max_characters)


class ApiEncoder:
    """A model on a server: one vector per text."""

    def __init__(
        self, server: _Server, info: EncoderInfo, batch_size: int, max_characters: int | None = None
    ) -> None:
        self.info = info
        self._server, self._size, self._most = server, batch_size, max_characters
        self.dim = server.stated.dimensions or len(server.vectors(["dimension"])[0])

    def encode_queries(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`; the query prompt is put before every text."""
        return self._encode(texts, filled(self.info.query_prompt))

    def encode_documents(self, texts: Sequence[str], *, language: str) -> Vectors:
        """Return float32 `(len(texts), dim)`; the document prompt is put before every text."""
        return self._encode(texts, self.info.document_prompt)

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        import numpy as np

        found = np.empty((len(texts), self.dim), dtype=np.float32)
        done = 0
        for batch in self._batches([prompt + text[: self._most] for text in texts]):
            for row in self._server.vectors(batch):
                if row.shape != (self.dim,):
                    raise self._server.wrong(
                        f"expected vectors of {self.dim} numbers, found one of {row.size}"
                    )
                found[done] = row
                done += 1
        if self.info.similarity == "cosine":
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            np.divide(found, lengths, out=found, where=lengths > 0)
        return found

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        characters = 0
        for text in texts:
            characters += len(text)
            if batch and (len(batch) == self._size or characters > _CHARACTERS_PER_REQUEST):
                yield batch
                batch, characters = [], len(text)
            batch.append(text)
        if batch:
            yield batch


class _Server:
    """Sends requests, again where the server is busy, and reads the answers."""

    def __init__(
        self, stated: ApiDescription, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.stated, self._name, self._sleep = stated, name, sleep
        self._key = _key(stated, name)
        self._url = f"{stated.url}/embeddings"

    def vectors(self, texts: list[str]) -> list[Any]:
        """Return one float32 array per text, in order.

        Raises:
            EncoderError: The server does not answer, or not as the protocol says.
        """
        asked: dict[str, Any] = {
            "model": self.stated.model,
            "input": texts,
            "encoding_format": self.stated.encoding,
        }
        if self.stated.dimensions is not None:
            asked["dimensions"] = self.stated.dimensions
        try:
            answer = self._answer(asked).json()
        except ValueError as error:
            raise self.wrong("its answer is no JSON") from error
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or len(rows) != len(texts):
            found = f"{len(rows)} vectors" if isinstance(rows, list) else "no list `data`"
            raise self.wrong(f"expected {len(texts)} vectors, one per text, found {found}")
        places = [row.get("index") if isinstance(row, dict) else None for row in rows]
        if sorted(places, key=str) != sorted(range(len(texts)), key=str):
            raise self.wrong(
                f"expected the indexes 0 to {len(texts) - 1}, each once, found "
                f"{line_of(str(places), _SHOWN)}"
            )
        usage = answer.get("usage")
        n_tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        profiling.count("texts", len(texts))
        profiling.count("tokens", n_tokens if type(n_tokens) is int and n_tokens > 0 else 0)
        return [self._vector(row) for row in sorted(rows, key=lambda row: row["index"])]

    def wrong(self, what: str) -> EncoderError:
        """Return an error about the server, without the key."""
        text = f"model {self._name!r}: {self._url}: {what}"
        return EncoderError(text.replace(self._key, "***") if self._key else text)

    def _vector(self, row: dict[str, Any]) -> Any:
        import numpy as np

        stated = row.get("embedding")
        try:
            vector = (
                np.frombuffer(base64.b64decode(stated, validate=True), dtype="<f4")
                if isinstance(stated, str)
                else np.array(stated, dtype=np.float32)
            )
        except (ValueError, TypeError, OverflowError, binascii.Error):
            vector = np.empty(0)
        if vector.ndim != 1 or not vector.size:
            raise self.wrong(
                "expected a vector as a list of numbers or base64 of float32, found "
                f"{line_of(str(stated), 60)}"
            )
        if not np.isfinite(vector).all():
            raise self.wrong("found a vector with numbers that are missing, NaN or infinite")
        return vector

    def _answer(self, asked: dict[str, Any]) -> Response:
        """Return the answer to a request, which is sent again while the server is busy."""
        import requests

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        for attempt in range(1, _ATTEMPTS + 1):
            profiling.count("requests", 1)
            wait = min(60.0, 2.0 ** (attempt - 1))
            try:
                response = requests.post(
                    self._url,
                    json=asked,
                    headers=headers,
                    timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                    allow_redirects=False,
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                what = f"cannot be reached ({line_of(str(error), _SHOWN)}); is the server running?"
            except requests.RequestException as error:
                raise self.wrong(f"the request failed: {line_of(str(error), _SHOWN)}") from None
            else:
                if response.status_code == requests.codes.ok:
                    return response
                what = f"answers {response.status_code}{self._remedy(response)}"
                if response.status_code not in _AGAIN:
                    raise self.wrong(what)
                wait = _stated_wait(response) or wait
            if attempt == _ATTEMPTS or wait > _LONGEST_WAIT:
                break
            _LOGGER.warning("%s; trying again in %.0f s", self.wrong(what), wait)
            self._sleep(wait)
        asks = f"; it asks to wait {wait:,.0f} s" if wait > _LONGEST_WAIT else ""
        raise self.wrong(f"{what}{asks}; given up after {attempt} tries. Run again to go on")

    def _remedy(self, response: Response) -> str:
        """Say what the server says, and what to do."""
        variable = self.stated.key_variable or KEY_VARIABLE
        code = response.status_code
        if code in (401, 403):
            state = "the key in it is refused" if self._key else "it is not set"
            return f": it asks for a key from the environment variable {variable}; {state}"
        if 300 <= code < 400:
            place = line_of(response.headers.get("Location", "another address"), _SHOWN)
            return f", a redirection to {place}; state that address if you trust it"
        text = line_of(
            re.sub(r"\s+", " ", response.content[: 4 * _SHOWN].decode(errors="replace")), _SHOWN
        )
        return f": {text}" + ("; check url and model" if code == 404 else "")


def _key(stated: ApiDescription, name: str) -> str:
    """Return the key from the environment, empty if the server needs none.

    Raises:
        UsageError: A stated variable is not set, or the key would be sent readable for others.
    """
    variable = stated.key_variable or KEY_VARIABLE
    key = os.environ.get(variable, "").strip()
    if stated.key_variable and not key:
        raise UsageError(f"model {name!r}: set the environment variable {variable} to the key")
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"model {name!r}: the key in {variable} has characters no header can have")
    parts = urlsplit(stated.url)
    if key and parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise UsageError(
            f"model {name!r}: {stated.url} is not encrypted, and the key in {variable} would be "
            f"sent to it; use https, or unset {variable} for a server without keys"
        )
    return key


def _stated_wait(response: Response) -> float | None:
    """Return the seconds that the server asks to wait, None where it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
