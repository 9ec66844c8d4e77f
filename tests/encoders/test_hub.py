"""Models of the Hub, from a server on this machine that answers as the Hub does."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from tiny_models import COMMIT, copy_of, write_dense

from clir_bench.cli import main
from clir_bench.encoders import at_revision, load_encoder
from clir_bench.encoders.hub import HubName, parse_name
from clir_bench.errors import EncoderError, UsageError

OTHER = COMMIT[::-1]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tmp_path_factory.mktemp("models") / "dense", 1)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache."""
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "hub"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


def go_online(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    from huggingface_hub import constants, hf_api

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(hf_api.constants, "ENDPOINT", endpoint)


@pytest.fixture
def hub(dense: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A Hub with acme/tiny, whose tag v1 is at COMMIT; yields the paths it was asked for."""
    files = {p.relative_to(dense).as_posix(): p.read_bytes() for p in dense.rglob("*.*")}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            asked.append(path)
            if path in ("/api/models/acme/tiny/revision/v1", f"/api/models/acme/tiny/{COMMIT}"):
                names = [{"rfilename": name} for name in files]
                self.reply(json.dumps({"id": "acme/tiny", "sha": COMMIT, "siblings": names}))
            elif path == f"/api/models/acme/tiny/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": name, "size": len(data), "oid": blob(data)}
                    for name, data in files.items()
                ]
                self.reply(json.dumps(tree))
            elif path.startswith(f"/acme/tiny/resolve/{COMMIT}/"):
                self.reply(files[path.split("/", 5)[5]])
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RevisionNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def reply(self, body: str | bytes) -> None:
            data = body.encode() if isinstance(body, str) else body
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.send_header("ETag", f'"{blob(data)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    go_online(monkeypatch, f"http://127.0.0.1:{httpd.server_address[1]}")
    yield asked
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("revision", ["v1", "dev/new", OTHER])
def test_a_model_is_loaded_at_the_branch_tag_or_commit_that_its_name_states(
    dense: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    go_offline(monkeypatch)
    repository = cache / "models--acme--tiny"
    for name, commit in (("main", COMMIT), ("v1", OTHER), ("dev/new", OTHER)):
        copy_of(dense, repository / "snapshots" / commit) if name != "dev/new" else None
        (repository / "refs" / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    assert load_encoder("st:acme/tiny", device="cpu").info.revision == COMMIT
    info = load_encoder(f"st:acme/tiny@{revision}", device="cpu").info
    assert (info.name, info.revision) == ("acme/tiny", OTHER)


def test_a_folder_with_an_at_sign_is_a_folder(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(dense, tmp_path / "acme" / "tiny@v1")
    monkeypatch.chdir(tmp_path)
    info = load_encoder("st:acme/tiny@v1", device="cpu").info
    assert info.name.startswith("tiny@v1@")
    assert load_encoder(f"st:{tmp_path}/acme/tiny@v1", device="cpu").info == info


@pytest.mark.parametrize("name", ["acme/tiny@", "acme/tiny@../x", "acme/tiny@a@b", "a/b/c@v1"])
def test_a_malformed_id_is_told_how_a_revision_is_written(name: str) -> None:
    assert parse_name(name) is None
    with pytest.raises(UsageError, match=r"owner/name@revision with a branch, a tag or a commit"):
        load_encoder(f"st:{name}")
    assert parse_name("acme/tiny@refs/pr/1") == HubName("acme/tiny", "refs/pr/1")


def test_the_option_revision_names_the_same_model() -> None:
    assert at_revision("st:acme/tiny", "v1") == "st:acme/tiny@v1"
    assert at_revision("labse", None) == "labse"
    with pytest.raises(UsageError, match=r"name it as st:sentence-transformers/LaBSE@v1"):
        at_revision("labse", "v1")
    with pytest.raises(UsageError, match=r"without a revision of its own, found 'st:a/b@v2'"):
        at_revision("st:a/b@v2", "v1")


def test_download_fetches_what_a_later_offline_run_needs(
    hub: list[str],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["download", "--model", "st:acme/tiny", "--revision", "v1"]) == 0
    printed = capsys.readouterr()
    folder = cache / "models--acme--tiny" / "snapshots" / COMMIT
    assert f"st:acme/tiny@v1: 0.1 MB at revision {COMMIT} are in {folder}" in printed.out
    assert printed.err == ""
    assert any(path.endswith("/model.safetensors") for path in hub)
    go_offline(monkeypatch)
    assert load_encoder("st:acme/tiny@v1", device="cpu").info.revision == COMMIT
    assert load_encoder(f"st:acme/tiny@{COMMIT}", device="cpu").info.revision == COMMIT


@pytest.mark.usefixtures("hub")
def test_a_revision_that_the_hub_lacks_is_named() -> None:
    with pytest.raises(EncoderError, match="has no revision 'v9' on the Hub; expected a branch"):
        load_encoder("st:acme/tiny@v9")


@pytest.mark.parametrize("model", ["labse", "st:acme/tiny", "st:acme/tiny@v1"])
def test_without_a_network_a_model_fails_at_once_and_says_how_to_fetch_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        go_online(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(EncoderError, match=r"did not answer; .*`clir-bench download --model"):
            load_encoder(model)
        assert time.monotonic() - started < 10  # the Hub's own library takes 24 seconds


def test_without_a_network_a_cached_branch_still_runs(
    dense: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = cache / "models--acme--tiny"
    copy_of(dense, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        go_online(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert load_encoder("st:acme/tiny", device="cpu").info.revision == COMMIT


def test_download_of_a_model_without_weights_or_with_a_problem_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["download", "--model", "hashing", "--model", f"st:{tmp_path}"]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "hashing: loaded once" in printed.out
    assert "holds no model" in printed.err
    assert main(["download"]) == 2
    assert "name a task" in capsys.readouterr().err
