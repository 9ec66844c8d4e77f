"""Models on a server: requests, answers that are wrong, retries, keys; all against a loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import clir, make_folder

from clir_bench.core import profiling
from clir_bench.encoders import api, load_encoder
from clir_bench.encoders.contract import CheckedEncoder
from clir_bench.encoders.hashing import HashingEncoder
from clir_bench.errors import EncoderError, UsageError
from clir_bench.results.store import read_result
from clir_bench.search.vectors.cache_key import identify

KEY = "sk-very-secret"
WORDS = HashingEncoder()
Change = Callable[[dict[str, Any]], Any]


class Server:
    """A server on this machine; what it answers can be changed.

    Attributes:
        asked: Bodies of the requests so far, and their headers.
        replies: Status, headers and body of the next answers; after them come embeddings.
        change: Changes the answer before it is sent.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.replies: list[tuple[int, dict[str, str], str]] = []
        self.change: Change = lambda answer: answer
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((body, dict(self.headers)))
                status, headers, text = 200, {}, ""
                if self.path != "/v1/embeddings":
                    status, text = 404, "no such page"
                elif server.replies:
                    status, headers, text = server.replies.pop(0)
                else:
                    text = json.dumps(server.change(answer_to(body)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """Return three times the hashing encoder's vectors, in reverse order, with their indexes."""
    rows = 3 * WORDS.encode_queries(body["input"], language="en")
    rows = rows[:, : body.get("dimensions", 2048)]
    data: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        packed = base64.b64encode(row.astype("<f4").tobytes()).decode()
        whole = packed if body["encoding_format"] == "base64" else row.tolist()
        data.insert(0, {"index": index, "embedding": whole})
    return {"data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5 * len(rows)}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv(api.KEY_VARIABLE, raising=False)
    monkeypatch.setattr(api, "_ATTEMPTS", 3)
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(api._Server.__init__, "__defaults__", (found.append,))
    return found


def served(server: Server, **options: Any) -> CheckedEncoder:
    encoder = load_encoder(f"api:{server.url}#bge", **options)
    assert isinstance(encoder, CheckedEncoder)
    return encoder


def described(server: Server, folder: Path, *lines: str) -> str:
    path = folder / "served.toml"
    stated = ['name = "served"', f'url = "{server.url}"', 'model = "bge"', *lines]
    path.write_text("\n".join(stated) + "\n", encoding="utf-8")
    return str(path)


def failure(server: Server) -> str:
    with pytest.raises(EncoderError) as caught:
        served(server).encode_queries(["one", "two"], language="en")
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_vectors_come_in_the_order_of_the_texts_and_have_unit_length(
    server: Server, tmp_path: Path, encoding: str
) -> None:
    spec = described(server, tmp_path, f'encoding = "{encoding}"', "batch_size = 2")
    encoder = load_encoder(spec)
    texts = ["rain", "lunch", "a goat", "the choir", "bees"]
    rows = encoder.encode_queries(texts, language="en")  # type: ignore[union-attr]
    assert np.allclose(rows, WORDS.encode_queries(texts, language="en"), atol=1e-6)
    assert [len(body["input"]) for body, _ in server.asked] == [1, 2, 2, 1]


def test_a_request_holds_no_more_characters_than_servers_take(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_CHARACTERS_PER_REQUEST", 10)
    served(server).encode_documents(["four", "four", "four", "a very long text"], language="en")
    assert [len(body["input"]) for body, _ in server.asked] == [1, 2, 1, 1]


def test_prompts_dimensions_and_the_longest_text_are_as_stated(
    server: Server, tmp_path: Path
) -> None:
    lines = ['query_prompt = "q: "', "dimensions = 64", "max_characters = 4", 'revision = "v1"']
    encoder = load_encoder(described(server, tmp_path, *lines))
    encoder.encode_queries(["raining"], language="en")  # type: ignore[union-attr]
    assert (encoder.dim, encoder.info.name) == (64, "served@64")
    assert server.asked[-1][0] == {
        "model": "bge", "input": ["q: rain"], "encoding_format": "base64", "dimensions": 64,
    }  # fmt: skip
    assert encoder.info.query_prompt == "q: "
    assert encoder.info.details["texts"] == "cut after 4 characters"


def test_tokens_and_requests_are_counted(server: Server) -> None:
    encoder = served(server, batch_size=2)
    before = profiling.counted()
    encoder.encode_queries(["one", "two", "three"], language="en")
    counts = profiling.counted() - before
    assert (counts["tokens"], counts["requests"], counts["texts"]) == (15, 2, 3)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: a | {"data": a["data"][1:]}, "expected 1 vectors, one per text, found 0"),
        (lambda a: {"error": "no"}, "found no list `data`"),
        (lambda a: [], "found no list `data`"),
        (lambda a: {"data": [{"index": 1, "embedding": [1.0]}]}, r"indexes 0 to 0, .* found \[1\]"),
        (lambda a: {"data": [{"embedding": [1.0]}]}, r"found \[None\]"),
        (lambda a: {"data": [{"index": 0, "embedding": [1.0, None]}]}, "missing, NaN or infinite"),
        (lambda a: {"data": [{"index": 0, "embedding": "%%"}]}, "list of numbers or base64"),
        (lambda a: {"data": [{"index": 0, "embedding": []}]}, "list of numbers or base64"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_named(
    server: Server, change: Change, what: str
) -> None:
    server.change = change
    with pytest.raises(EncoderError, match=what):
        served(server)


def test_an_index_that_comes_twice_is_refused(server: Server) -> None:
    def twice(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"data": [row | {"index": 0} for row in answer["data"]]}

    server.change = twice
    assert "expected the indexes 0 to 1, each once, found [0, 0]" in failure(server)


def test_vectors_of_another_length_and_nan_are_refused(server: Server) -> None:
    encoder = served(server)
    server.change = lambda answer: answer | {"data": [{"index": 0, "embedding": [1.0, 2.0]}]}
    with pytest.raises(EncoderError, match="expected vectors of 2048 numbers, found one of 2"):
        encoder.encode_queries(["one"], language="en")
    row = [float("nan"), *[0.0] * 2047]
    server.change = lambda answer: answer | {"data": [{"index": 0, "embedding": row}]}
    with pytest.raises(EncoderError, match="missing, NaN or infinite"):
        encoder.encode_queries(["one"], language="en")


def test_an_answer_that_is_no_json_is_named(server: Server) -> None:
    server.replies = [(200, {}, "<html>")]
    with pytest.raises(EncoderError, match="its answer is no JSON"):
        served(server)


def test_a_busy_server_is_asked_again_when_it_says(server: Server, waits: list[float]) -> None:
    soon = formatdate(usegmt=True)
    server.replies = [(429, {"Retry-After": "7"}, "slow down"), (503, {"Retry-After": soon}, "")]
    encoder = served(server)
    assert (encoder.dim, waits) == (2048, [7.0, 2.0])


def test_a_server_that_stays_busy_is_given_up(server: Server, waits: list[float]) -> None:
    server.replies = [(500, {}, "broken\x1b[2J")] * 3
    with pytest.raises(EncoderError, match=r"answers 500: broken.x1b.*given up after 3 tries"):
        served(server)
    assert waits == [1.0, 2.0]
    server.replies = [(429, {"Retry-After": "86400"}, "tomorrow")]
    with pytest.raises(EncoderError, match=r"it asks to wait 86,400 s; given up after 1 tries"):
        served(server)


def test_a_server_that_does_not_run_is_named(waits: list[float]) -> None:
    with pytest.raises(EncoderError, match=r"cannot be reached .*is the server running"):
        load_encoder("api:http://127.0.0.1:9/v1#bge")


def test_other_refusals_are_not_repeated(server: Server, waits: list[float]) -> None:
    server.replies = [(400, {}, "input too long")]
    with pytest.raises(EncoderError, match="answers 400: input too long"):
        served(server)
    server.replies = [(307, {"Location": "https://elsewhere.example"}, "")]
    with pytest.raises(EncoderError, match=r"redirection to https://elsewhere\.example; state"):
        served(server)
    with pytest.raises(EncoderError, match="answers 404: no such page; check url and model"):
        load_encoder(f"api:{server.url}/other#bge")
    assert waits == []


def test_the_key_is_sent_and_never_shown_or_recorded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    spec = described(server, tmp_path, 'key_variable = "MY_KEY"')
    card, out = make_folder(tmp_path / "task").card_path, tmp_path / "out"
    assert clir("run", "--task", card, "--model", spec, "--pairs", "en-sw", "--output", out) == 0
    assert {headers["Authorization"] for _, headers in server.asked} == {f"Bearer {KEY}"}
    (path,) = out.rglob("test.json")
    assert read_result(path).system.name == "served"
    assert all(KEY.encode() not in file.read_bytes() for file in out.rglob("*") if file.is_file())
    server.replies = [(400, {}, f"the key {KEY} is bad")]
    with pytest.raises(EncoderError, match=r"the key \*\*\* is bad"):
        load_encoder(spec)
    assert KEY not in "".join(capsys.readouterr())


def test_a_missing_or_refused_key_names_its_variable(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="set the environment variable MY_KEY to the key"):
        load_encoder(described(server, tmp_path, 'key_variable = "MY_KEY"'))
    server.replies = [(401, {}, "who are you")]
    with pytest.raises(EncoderError, match="variable CLIR_BENCH_API_KEY; it is not set"):
        served(server)
    monkeypatch.setenv(api.KEY_VARIABLE, KEY)
    with pytest.raises(UsageError, match="is not encrypted, and the key in CLIR_BENCH_API_KEY"):
        load_encoder("api:http://embedder.example/v1#bge")


@pytest.mark.parametrize(
    "spec", ["api:https://user:pw@host.example/v1#m", "api:https://host.example/v1?key=pw#m"]
)
def test_an_address_with_secrets_is_refused_and_not_shown(spec: str) -> None:
    with pytest.raises(UsageError, match="without user, password, query") as caught:
        load_encoder(spec)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("spec", ["api", "api:http://host/v1", "api:#m", "api:ftp://host/v1#m"])
def test_a_name_without_server_or_model_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"needs a server and a model|such as https://host/v1"):
        load_encoder(spec)


def test_vectors_are_stored_only_if_the_user_states_the_revision(
    server: Server, tmp_path: Path
) -> None:
    def untold(spec: str) -> str:
        encoder = load_encoder(spec)
        return identify(
            encoder.info, dim=encoder.dim, spec=spec, package="clir-bench 0.1.0", seed=0
        ).untold

    assert "state its revision in a model file" in untold(f"api:{server.url}#bge")
    assert untold(described(server, tmp_path, 'revision = "v1"')) == ""


def test_the_arithmetic_of_a_server_cannot_be_chosen(server: Server) -> None:
    with pytest.raises(UsageError, match="which decides its arithmetic"):
        served(server, dtype="bfloat16")
