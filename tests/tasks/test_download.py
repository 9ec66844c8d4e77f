"""Downloads against a server on this machine that can be told to misbehave."""

from __future__ import annotations

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clir_bench.errors import DataError, MissingDataError, OutputError
from clir_bench.evaluation.downloads import Fetched, fetch_all
from clir_bench.evaluation.selection import plan_runs
from clir_bench.tasks.cards import TaskCard, parse_card
from clir_bench.tasks.download import OFFLINE_VARIABLES, download_all, fetch
from clir_bench.tasks.source import Source, locate

CONTENT = bytes(range(256)) * 4000  # just over 1 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "Fetch it by hand."


@dataclass
class Server:
    """What the server answers with, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cut_after: int | None = None  # bytes sent before the connection is dropped, once
    requests: list[tuple[str, str]] = field(default_factory=list)  # path, Range header


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(files={"/data.bin": CONTENT})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.requests.append((self.path, asked))
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                total = len(content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            cut, state.cut_after = state.cut_after, None
            self.wfile.write(content[start:] if cut is None else content[start : start + cut])

        def log_message(self, *_: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OFFLINE_VARIABLES, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_file_arrives_under_its_name_and_nothing_else_is_left(
    server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "data.bin"
    fetch(f"{server.url}/data.bin", path, sha256=SHA256, remedy=REMEDY)
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == {"data.bin"}


def test_file_that_is_there_and_right_is_not_fetched_even_offline(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert server.requests == []


def test_file_that_is_there_and_wrong_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"something else")
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_cut_connection_keeps_its_bytes_and_the_next_call_asks_for_the_rest(
    server: Server, tmp_path: Path
) -> None:
    url, path = f"{server.url}/data.bin", tmp_path / "data.bin"
    server.cut_after = 300_000  # four blocks of 65,536 and some
    with pytest.raises(MissingDataError, match=r"262,144 bytes are kept; running again continues"):
        fetch(url, path, sha256=SHA256, remedy=REMEDY)
    assert left_in(tmp_path) == {"data.bin.part"}

    fetch(url, path, sha256=SHA256, remedy=REMEDY)
    assert server.requests == [("/data.bin", ""), ("/data.bin", "bytes=262144-")]
    assert path.read_bytes() == CONTENT
    assert left_in(tmp_path) == {"data.bin"}


def test_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:5000])
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "stale",
    [b"x" * 5000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)],
    ids=["shorter", "as long", "longer"],
)
def test_part_of_another_file_is_dropped_and_the_file_fetched_whole(
    server: Server, tmp_path: Path, stale: bytes
) -> None:
    (tmp_path / "data.bin.part").write_bytes(stale)
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [f"bytes={len(stale)}-", ""]


def test_part_that_is_already_whole_needs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert server.requests == []
    assert left_in(tmp_path) == {"data.bin"}


def test_wrong_content_is_removed_and_both_hashes_are_named(server: Server, tmp_path: Path) -> None:
    expected = "0" * 64
    with pytest.raises(DataError) as caught:
        fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=expected, remedy=REMEDY)
    assert not isinstance(caught.value, MissingDataError)
    for part in (expected, SHA256, f"{server.url}/data.bin", REMEDY):
        assert part in str(caught.value)
    assert left_in(tmp_path) == set()


def test_missing_page_names_address_reason_and_remedy(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"/gone\.bin: cannot be fetched: 404.*by hand\."):
        fetch(f"{server.url}/gone.bin", tmp_path / "gone.bin", sha256=SHA256, remedy=REMEDY)
    assert left_in(tmp_path) == set()


def test_dead_server_names_address_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=rf"http://127\.0\.0\.1:1/x.*refused.*{REMEDY}"):
        fetch("http://127.0.0.1:1/x", tmp_path / "x", sha256=SHA256, remedy=REMEDY)


def test_host_without_an_address_names_url_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    with pytest.raises(
        MissingDataError, match=rf"http://nowhere\.example/x.*cannot be resolved.*{REMEDY}"
    ):
        fetch("http://nowhere.example/x", tmp_path / "x", sha256=SHA256, remedy=REMEDY)


def test_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clir_bench.tasks.download._SILENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(MissingDataError, match=r"timed out.*Fetch it by hand"):
            fetch(url, tmp_path / "x", sha256=SHA256, remedy=REMEDY)


@pytest.mark.parametrize("variable", OFFLINE_VARIABLES)
@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_offline_says_so_without_asking(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(MissingDataError, match=f"{variable}={value} forbids.*{REMEDY}"):
        fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_offline_variable_that_is_off_forbids_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    fetch(f"{server.url}/data.bin", tmp_path / "data.bin", sha256=SHA256, remedy=REMEDY)
    assert (tmp_path / "data.bin").is_file()


def test_folder_that_cannot_be_made_is_an_output_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="CLIR_BENCH_CACHE"):
        fetch(f"{server.url}/data.bin", tmp_path / "file" / "x", sha256=SHA256, remedy=REMEDY)


def test_progress_is_silent_without_a_terminal_and_shown_when_asked_for(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{server.url}/data.bin"
    fetch(url, tmp_path / "a", sha256=SHA256, remedy=REMEDY)
    assert capsys.readouterr() == ("", "")
    fetch(url, tmp_path / "b", sha256=SHA256, remedy=REMEDY, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1.02M/1.02M" in err


def test_two_processes_at_once_fetch_one_file_once(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from clir_bench.tasks.download import fetch;"
        "fetch(sys.argv[1], pathlib.Path(sys.argv[2]), sha256=sys.argv[3], remedy='')"
    )
    path = tmp_path / "data.bin"
    command = [sys.executable, "-c", code, f"{server.url}/data.bin", str(path), SHA256]
    processes = [subprocess.Popen(command, env=os.environ) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.fixture
def card(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskCard:
    """A task of two files on the server, its cache in tmp_path."""
    server.files |= {"/v1/a.txt": b"a\n", "/v1/de/b.txt": b"b\n"}
    (tmp_path / "card").mkdir()
    a, b = (hashlib.sha256(content).hexdigest() for content in (b"a\n", b"b\n"))
    (tmp_path / "card" / "demo.sha256").write_text(f"{a}  a.txt\n{b}  de/b.txt\n")
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CLIR_BENCH_DATA", raising=False)
    raw = {
        "id": "demo",
        "title": "Demo",
        "description": "",
        "adapter": "xquad",
        "splits": ["test"],
        "default_split": "test",
        "measures": ["P@1"],
        "languages": {"en": "en"},
        "pairs": {"official": ["same"]},
        "parallel_queries": False,
        "license": "none",
        "download": {
            "base_url": f"{server.url}/v1/",
            "manifest": "demo.sha256",
            "by_hand": "Ask the authors.",
        },
    }
    card = parse_card(raw, where="demo", directory=tmp_path / "card")
    assert isinstance(card, TaskCard)
    return card


def test_all_files_of_a_card_land_where_a_run_looks_for_them(
    server: Server, card: TaskCard, tmp_path: Path
) -> None:
    paths = download_all(card)
    assert paths == [tmp_path / "cache/data/demo/a.txt", tmp_path / "cache/data/demo/de/b.txt"]
    before = list(server.requests)
    source = locate(card, "test")
    assert source.file("de/b.txt").read_text() == "b\n"
    assert source.unofficial == []
    download_all(card)
    assert server.requests == before


def test_what_cannot_be_fetched_does_not_stop_the_rest(
    server: Server, card: TaskCard, tmp_path: Path
) -> None:
    plans, _ = plan_runs([card])
    no_model, task = fetch_all(plans, ["nobody"])
    assert (no_model.name, no_model.outcome) == ("nobody", "")
    assert no_model.error.startswith("model nobody: unknown model 'nobody'")
    assert task == Fetched("demo", f"2 files are in {tmp_path / 'cache/data/demo'}")
    (hashing,) = fetch_all([], ["hashing"])
    assert hashing.outcome.startswith("loaded once")


def test_card_without_an_address_says_what_to_fetch_by_hand(card: TaskCard) -> None:
    assert card.download is not None
    bare = card.model_copy(update={"download": card.download.model_copy(update={"base_url": ""})})
    with pytest.raises(MissingDataError, match=r"no address.*Ask the authors\. Then .*--data-dir"):
        download_all(bare)
    assert isinstance(locate(bare, "test"), Source)


def test_source_fetches_a_missing_file_of_the_manifest_when_asked_for_it(
    server: Server, card: TaskCard
) -> None:
    assert locate(card, "test").file("other.txt", "a.txt").read_text() == "a\n"
    assert server.requests == [("/v1/a.txt", "")]


def card_of(folder: Path, url: str, names: list[str]) -> TaskCard:
    """A card beside a manifest by which all files have the content that the server has."""
    (folder / "evil.sha256").write_text("".join(f"{SHA256}  {name}\n" for name in names))
    raw = {
        "id": "evil", "title": "", "description": "", "adapter": "folder", "splits": ["test"],
        "default_split": "test", "measures": ["P@1"], "languages": {"en": "en"},
        "pairs": {"official": ["same"]}, "parallel_queries": False, "license": "none",
        "download": {"base_url": url, "manifest": "evil.sha256", "by_hand": REMEDY},
    }  # fmt: skip
    card = parse_card(raw, where="evil", directory=folder)
    assert isinstance(card, TaskCard)
    return card


@pytest.mark.parametrize("name", ["../../../home/.bashrc", "{home}/.bashrc"])
def test_a_manifest_overwrites_nothing_outside_the_cache_and_fetches_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text("mine")
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    card = card_of(tmp_path, server.url, ["data.bin", name.format(home=home)])
    with pytest.raises(DataError, match=r"evil\.sha256:2: the path"):
        download_all(card)
    assert (home / ".bashrc").read_text() == "mine"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("link", ["evil", "evil/deep", "evil/deep/data.bin"])
def test_nothing_is_written_through_a_link_that_leads_out_of_the_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "home"
    (home / "deep").mkdir(parents=True)
    (home / "mine").write_text("mine")
    place = tmp_path / "cache" / "data" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(home / "mine" if link.endswith("bin") else home)
    card = card_of(tmp_path, server.url, ["deep/data.bin"])
    with pytest.raises(OutputError, match="a link leads out of"):
        download_all(card)
    assert sorted(path.name for path in home.rglob("*")) == ["deep", "mine"]
    assert (home / "mine").read_text() == "mine"


def test_a_cache_that_is_a_link_itself_is_the_users_own(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "large")
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    [path] = download_all(card_of(tmp_path, server.url, ["data.bin"]))
    assert path.read_bytes() == CONTENT
