"""Where a task's files are read from, and how a copy that is not the official one is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clir_bench.core.files import sha256_of
from clir_bench.errors import CardError, DataError, MissingDataError
from clir_bench.tasks.adapters.patterns import fill
from clir_bench.tasks.cache import cache_directory, folder_name, read_manifest
from clir_bench.tasks.cards import SAMPLE, TaskCard, parse_card
from clir_bench.tasks.catalog import discover, load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import Source, local_source, locate
from clir_bench.types import LanguagePair

HELLO = hashlib.sha256(b"hello\n").hexdigest()


def card(directory: Path | None = None, **changes: Any) -> TaskCard:
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
        **changes,
    }
    parsed = parse_card(raw, where="demo", directory=directory)
    assert isinstance(parsed, TaskCard)
    return parsed


def with_manifest(folder: Path, text: str) -> TaskCard:
    (folder / "demo.sha256").write_text(text, encoding="utf-8")
    download = {"manifest": "demo.sha256", "by_hand": "Ask the authors."}
    return card(folder, download=download)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `shared/demo`, `own` and `cards/data`, the shared one in the environment."""
    for name in ("shared/demo", "own", "cards/data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("CLIR_BENCH_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_folder_is_the_one_asked_for_then_the_cards_then_the_shared_then_the_cache(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = card(folders / "cards", source={"directory": "data"})
    assert locate(own, "test", folders / "own").directory == folders / "own"
    assert locate(own, "test").directory == folders / "cards" / "data"
    assert locate(card(), "test").directory == folders / "shared" / "demo"
    assert locate(card(), "test").origin == "local"
    other = locate(card(id="other"), "test")
    assert (other.directory, other.origin) == (folders / "cache" / "data" / "other", "cache")
    monkeypatch.delenv("CLIR_BENCH_DATA")
    assert locate(card(), "test").directory == folders / "cache" / "data" / "demo"


def test_tasks_of_the_same_files_share_the_folder_their_cards_name(folders: Path) -> None:
    one, two = (card(id=name, source={"folder": "demo"}) for name in ("demo-a", "demo-b"))
    assert folder_name(one) == folder_name(two) == "demo"
    assert locate(one, "test").directory == locate(two, "test").directory
    with pytest.raises(MissingDataError, match=r"\$CLIR_BENCH_DATA/demo\."):
        locate(one, "test").file("x")


def test_folder_that_is_none_is_named_with_where_it_came_from(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDataError, match=r"--data-dir .*nowhere is no folder"):
        locate(card(), "test", folders / "nowhere")
    with pytest.raises(MissingDataError, match=r"nowhere \(source\.directory\) is no folder"):
        locate(card(folders, source={"directory": "nowhere"}), "test")
    monkeypatch.setenv("CLIR_BENCH_DATA", str(folders / "typo"))
    with pytest.raises(MissingDataError, match=r"\$CLIR_BENCH_DATA is .*typo, which is no folder"):
        locate(card(), "test")


def test_task_without_a_sample_says_so(folders: Path) -> None:
    with pytest.raises(CardError, match="task 'demo' ships no sample"):
        locate(card(), SAMPLE, folders / "own")


def test_cache_is_the_platforms_unless_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIR_BENCH_CACHE", raising=False)
    assert cache_directory().name == "clir-bench"
    monkeypatch.setenv("CLIR_BENCH_CACHE", "elsewhere")
    assert cache_directory() == Path("elsewhere")


def test_first_alternative_that_exists_is_read(folders: Path) -> None:
    source = Source(card(), folders / "own", "local")
    (folders / "own" / "b.tsv").write_text("b")
    assert source.file("a.tsv", "b.tsv").name == "b.tsv"
    (folders / "own" / "a.tsv").write_text("a")
    assert source.file("a.tsv", "b.tsv").name == "a.tsv"
    assert source.exists("a.tsv")
    assert not source.exists("c.tsv")


def test_missing_file_names_every_alternative_the_folder_and_the_remedy(folders: Path) -> None:
    demo = with_manifest(folders, f"{HELLO}  a.tsv\n")
    with pytest.raises(
        MissingDataError, match=r"a\.tsv or b\.tsv is not in .*own\. Ask the authors\. Then"
    ):
        Source(demo, folders / "own", "local").file("a.tsv", "b.tsv")


def test_nothing_is_fetched_into_a_folder_of_the_users(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("clir_bench.tasks.download.fetch", refuse)
    demo = with_manifest(folders, f"{HELLO}  a.tsv\n")
    with pytest.raises(MissingDataError):
        locate(demo, "test", folders / "own").file("a.tsv")


def test_official_file_leaves_the_result_official(folders: Path) -> None:
    (folders / "own" / "a.tsv").write_bytes(b"hello\n")
    source = locate(with_manifest(folders, f"{HELLO}  a.tsv\n"), "test", folders / "own")
    assert source.file("a.tsv").is_file()
    assert source.unofficial == []


def test_differing_file_is_read_and_makes_the_result_unofficial_once(folders: Path) -> None:
    (folders / "own" / "a.tsv").write_bytes(b"other\n")
    source = locate(with_manifest(folders, f"{HELLO}  a.tsv\n"), "test", folders / "own")
    for _ in range(2):
        assert source.file("a.tsv").read_bytes() == b"other\n"
    assert source.unofficial == ["a.tsv differs from the official file (sha256)"]


def test_file_under_another_of_its_names_is_compared_with_all_of_them(folders: Path) -> None:
    (folders / "own" / "plain.tsv").write_bytes(b"hello\n")
    source = locate(with_manifest(folders, f"{HELLO}  deep/a.tsv\n"), "test", folders / "own")
    assert source.file("deep/a.tsv", "plain.tsv").name == "plain.tsv"
    assert source.unofficial == []


def test_manifest_is_read_as_sha256sum_writes_it(folders: Path) -> None:
    text = f"{HELLO}  with blank.tsv\n{HELLO.upper()} *binary.tsv\r\n"
    assert read_manifest(with_manifest(folders, text)) == {
        "with blank.tsv": HELLO,
        "binary.tsv": HELLO,
    }
    assert read_manifest(card()) == {}


@pytest.mark.parametrize(
    "line", ["a.tsv", f"{HELLO[:-1]}  a.tsv", f"{HELLO} a.tsv", f"{'z' * 64}  a.tsv", f"{HELLO}  "]
)
def test_wrong_manifest_names_the_line(folders: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"demo\.sha256:2: expected '<sha256>  <path>'"):
        read_manifest(with_manifest(folders, f"{HELLO}  a.tsv\n{line}\n"))


def test_manifest_that_is_not_there_is_the_cards_fault(folders: Path) -> None:
    demo = with_manifest(folders, "")
    (folders / "demo.sha256").unlink()
    with pytest.raises(CardError, match=r"task 'demo': manifest .*demo\.sha256 cannot be read"):
        read_manifest(demo)


def test_hash_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello\n")
    assert sha256_of(tmp_path / "a") == HELLO


# Nothing that a card names leads out of its folder

LEAVING = ["../x", "/etc/passwd", "a/../../x", "~/x", "C:x", "a\\..\\x", "x\n"]


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("source.directory", lambda name: {"source": {"directory": name}}),
        ("source.folder", lambda name: {"source": {"folder": name}}),
        ("download.manifest", lambda name: {"download": {"manifest": name, "by_hand": ""}}),
        ("languages.en", lambda name: {"languages": {"en": name}}),
        ("sample.languages.en", lambda name: {"sample": {"languages": {"en": name}}}),
        ("splits.0", lambda name: {"splits": [name], "default_split": name}),
        ("id", lambda name: {"id": name}),
    ],
)
def test_a_card_that_names_a_place_outside_is_refused_when_it_is_read(
    tmp_path: Path, name: str, place: str, changes: Callable[[str], dict[str, Any]]
) -> None:
    with pytest.raises(CardError, match=rf"demo: .*{place}: "):
        card(tmp_path, **changes(name))


@pytest.mark.parametrize("split", ["", ".", "..", "a/b", ".hidden", "x" * 65])
def test_a_split_is_a_plain_name(split: str) -> None:
    with pytest.raises(CardError, match=r"splits\.0"):
        card(splits=[split], default_split=split)


@pytest.mark.parametrize("folder", ["", ".", "a/b", ["a"]])
def test_a_tasks_folder_is_a_plain_name(folder: object) -> None:
    with pytest.raises(CardError, match=r"source\.folder"):
        card(source={"folder": folder})


def test_an_absolute_directory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"absolute path; .*--data-dir"):
        card(tmp_path, source={"directory": str(tmp_path)})


@pytest.mark.parametrize("name", LEAVING)
def test_a_file_outside_the_tasks_folder_is_not_looked_at(folders: Path, name: str) -> None:
    source = locate(card(), "test", folders / "own")
    for look in (source.file, source.exists, source.path):
        with pytest.raises(CardError, match="task 'demo': a file that its card names: "):
            look(name)


@pytest.mark.parametrize("name", [name for name in LEAVING if "\n" not in name])
def test_a_manifest_that_names_a_place_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"demo\.sha256:2: the path "):
        read_manifest(with_manifest(tmp_path, f"{HELLO}  x\n{HELLO}  {name}\n"))


@pytest.mark.parametrize("pattern", ["{split:>1000000000}", "{split!r}", "{split.__class__}", "{"])
def test_a_pattern_holds_names_and_nothing_else(pattern: str) -> None:
    with pytest.raises(CardError, match="cannot be filled in"):
        fill(card(), pattern, LanguagePair("en", "en"), "test")


@pytest.mark.parametrize("task", discover())
def test_files_that_no_task_has_here_are_missing_and_never_fetched(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLIR_BENCH_DATA", raising=False)
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
    known = load_card(task)
    if not isinstance(known, TaskCard):
        return
    source = local_source(known, known.default_split)
    with pytest.raises(MissingDataError, match="not in"):
        Loader(known, known.default_split, source).load(known.official_pairs()[0])
    assert source.missing
    assert list(tmp_path.iterdir()) == []
