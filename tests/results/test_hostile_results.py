"""Results from strangers: what reads, checks and prints them is not led astray."""

from __future__ import annotations

import dataclasses
import gzip
import json
import lzma
import os
import shutil
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from comparisons import store as store_plain
from folders import clir
from stored_results import (
    BOARD,
    GOOD,
    SYSTEM_CARD,
    change_values,
    only_section,
    refusal,
    store,
    store_board,
    use_small_tatoeba,
)
from submissions import CARD, Submitted, make_submission

from clir_bench.core.display import visible
from clir_bench.core.structured_files import parse_toml
from clir_bench.errors import DataError, ResultError
from clir_bench.leaderboard.submission import read
from clir_bench.leaderboard.submission.claims import largest_result
from clir_bench.leaderboard.submission.layout import LARGEST_SYSTEM_BYTES
from clir_bench.leaderboard.submission.read import look_alikes
from clir_bench.results.schema import Result
from clir_bench.results.store import find_results, read_result, read_scores
from clir_bench.tasks import catalog

STEERING = "a\x1b[2J\u202eb\nall is well\u200b"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return make_submission(tmp_path_factory.mktemp("original"), monkeypatch)


@pytest.fixture
def made(original: Submitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    folder = original.task.card_path.parent
    monkeypatch.setattr(catalog, "shipped_directory", lambda: folder)
    shutil.copytree(original.root, tmp_path / "submitted")
    return dataclasses.replace(original, root=tmp_path / "submitted")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_tatoeba(tmp_path / "tasks", monkeypatch)
    return store_board(tmp_path / "leaderboards")


def at(*places: str, value: object) -> Callable[[Any], None]:
    """Return a change of one field of a result."""

    def change(raw: Any) -> None:
        for place in places[:-1]:
            raw = raw[place]
        raw[places[-1]] = value

    return change


def put_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


KINDS: dict[str, Callable[[Path], None]] = {
    "folder": put_folder,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["system.toml", "mine", "mine/test.json", "mine/test", "mine/test/en-sw.run.xz",
     "mine/test/en-sw.values.tsv.gz"],
)  # fmt: skip
def test_whatever_is_in_a_files_place_is_reported_with_everything_else(
    made: Submitted, kind: str, name: str
) -> None:
    path = made.system / name
    path.rename(made.root.parent / "elsewhere")
    KINDS[kind](path)
    other = made.root / "other"
    other.mkdir()
    (other / "system.toml").write_text("name = 1", encoding="utf-8")
    problems = made.problems(made.root)
    assert f"{path}" in problems
    assert "other/system.toml: description" in problems or "'description'" in problems


def test_a_file_that_cannot_be_read_is_a_problem(
    made: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refusing(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("en-sw.values.tsv.gz"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refusing)
    assert "en-sw.values.tsv.gz: cannot be read: Permission denied" in made.problems()


@pytest.mark.parametrize("name", ["notes.bin", "mine/test.json", "mine/test/en-sw.run.xz"])
def test_nothing_of_a_system_that_is_too_large_is_read(
    made: Submitted, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with (made.system / name).open("wb") as file:
        file.truncate(LARGEST_SYSTEM_BYTES)
    monkeypatch.setattr(read, "read_system_card", None)
    monkeypatch.setattr(read, "read_statement", None)
    assert "bytes; at most 33,554,432 are allowed per system" in made.problems()


def test_a_result_is_no_larger_than_its_tasks_pairs_let_it_be(
    made: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = largest_result(made.task.card)
    assert bound == (256 + 4 * 8) * 1024
    monkeypatch.setattr(json, "loads", None)
    made.result.write_text(made.result.read_text() + " " * bound, encoding="utf-8")
    assert f"test.json: larger than {bound:,} bytes" in made.problems()


def test_a_result_of_no_split_is_not_read(made: Submitted) -> None:
    made.result.with_name("s1.json").write_bytes(made.result.read_bytes())
    assert "s1.json: 's1' is not a split of the task, which has test" in made.problems()


@pytest.mark.parametrize(
    "line",
    [".".join(["a"] * 30_000) + " = 1", "[" + " . ".join(["a"] * 15_000) + "]",
     '"a"' + ".'b'" * 15_000 + " = 1", ".".join([r'"\""'] * 12_000) + " = 1",
     ".".join(["'#'"] * 15_000) + " = 1", "x = {" + ".".join(["a"] * 30_000) + " = 1}"],
    ids=["dotted", "table", "quoted", "escaped", "marks", "inline"],
)  # fmt: skip
def test_a_key_of_many_parts_is_refused_before_it_is_parsed(line: str) -> None:
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises(DataError, match="here:2: a key of more than 16 parts"):
            parse_toml(f"a = 1\n{line}\n".encode(), "here", DataError)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("line", ["[t.a{}.b.c.d.e.f.g]", "a{}.b.c.d.e.f.g.h = 1", "[[a.b.c.'{}']]"])
def test_very_many_dotted_keys_are_refused_before_they_are_parsed(line: str) -> None:
    text = "\n".join(line.format(number) for number in range(20_000))
    started = time.process_time()
    with pytest.raises(DataError, match=r"here:[0-9]+: keys of more than 20,000 parts together"):
        parse_toml(text.encode(), "here", DataError)
    assert time.process_time() - started < 2


def test_texts_that_do_not_end_take_no_time() -> None:
    for text in ('"\\' * 30_000, '"' * 30_000, '"""' + '\\"""' * 10_000, "'''a'" * 10_000):
        started = time.process_time()
        with pytest.raises(DataError, match="not valid TOML"):
            parse_toml(f"x = {text}".encode(), "here", DataError)
        assert time.process_time() - started < 2


def test_texts_with_dots_are_no_keys() -> None:
    dots = ".".join("a" * 40)
    for text in (f'"""\n{dots}"\n{dots}"""', f"'''\n{dots}''''", f"1 # {dots}", f'"\\"{dots}"'):
        assert set(parse_toml(f"x = {text}".encode(), "here", DataError)) == {"x"}
    text = 'note = "See www.a.example.org, e.g. v1.2.3.4. Then. Rest. A sentence. And so on."'
    assert parse_toml(f"{text}\nx = [1.5, 2.5, 3.5]".encode(), "here", DataError)["x"] == [
        1.5,
        2.5,
        3.5,
    ]


SWAHILI = ("pairs", "en-sw")
IMPOSSIBLE = {
    "after today": (at("environment", "started", value="2126-01-01T00:00:00+00:00"), "after today"),
    "before": (at("environment", "started", value="1999-01-01T00:00:00+00:00"), "is before clir"),
    "out of time": (at("environment", "started", value="9999-12-31T23:59:59-12:00"), "is not a time"),
    "seconds": (at("environment", "seconds", value=-1.0), "environment.seconds is -1"),
    "a version": (at("environment", "clir_bench", value="latest"), "clir_bench 'latest' is not a v"),
    "python": (at("environment", "python", value=""), "environment.python '' is not a version"),
    "a package": (at("environment", "packages", value={"numpy": "?"}), "numpy .*is not a version"),
    "a commit": (at("environment", "git_commit", value="HEAD"), "git_commit 'HEAD' is not a commit"),
    "cores": (at("environment", "hardware", value={"cores": "-4"}), "cores '-4' is not a positive number"),
    "parameters": (at("system", "n_parameters", value=-1), "system.n_parameters is -1"),
    "max tokens": (at("system", "max_tokens", value=0), "system.max_tokens is 0"),
    "weights": (at("system", "weights_sha256", value="abc"), "weights_sha256 is not 64 hex"),
    "similarity": (at("system", "similarity", value="best"), "system.similarity is 'best'"),
    "no revision": (at("system", "revision", value=" "), "system.revision is empty"),
    "more training": (at("system", "training_languages", value=["sw"]), "does not name: 'sw'"),
    "a shallow run": (at("submission", "source_top_k", value=2), "source_top_k is 2"),
    "an error": (at(*SWAHILI, "error", value="out of memory"), "has an error: 'out of memory'"),
    "a hash": (at(*SWAHILI, "run_sha256", value="z" * 64), "run_sha256 is not 64 hexadecimal"),
    "capitals": (at(*SWAHILI, "data_sha256", value="A" * 64), "data_sha256 is not 64 hexa"),
    "no source": (at(*SWAHILI, "source_run_sha256", value=None), "source_run_sha256 is not 64"),
    "approximate": (
        at(*SWAHILI, "approximate", value={
            "index": "HNSW32", "index_size_bytes": 1, "sampled_queries": 1, "recall": {"10": 0.5}
        }), "approximate index, which is never official"),
    "retrieved": (at(*SWAHILI, "counts", "retrieved", value=17), "17 documents retrieved for 3"),
    "judged": (at(*SWAHILI, "counts", "judged_queries", value=0), "0 judged queries of 3"),
    "empty": (at(*SWAHILI, "counts", "empty_documents", value=9), "9 of 4 documents are empty"),
    "a cost": (at(*SWAHILI, "cost", "search_seconds", value=-0.5), "cost.search_seconds is -0.5"),
    "sharing": (at(*SWAHILI, "cost", "pairs_sharing_corpus", value=0), "pairs_sharing_corpus is 0"),
    "a range": (at(*SWAHILI, "scores", "nDCG@10", value={"mean": 1.5, "interval": [0.5, 1.6]}),
                r"nDCG@10 is stated as 1.5 \[0.5, 1.6\]; expected a mean inside its interval"),
    "upside down": (at("overall", "nDCG@10", "interval", value=[0.9, 0.1]), "overall: nDCG@10 is"),
    "a ratio": (at("tiers", "ratio", value={"nDCG@10": {"mean": 1.0, "interval": [2.0, 1.0]}}),
                "tiers.ratio: nDCG@10 has an impossible interval"),
    "a scheme": (at("tiers", "scheme", value="mine"), "tiers.scheme is 'mine'"),
    "a language": (at(*SWAHILI, "language", value="en"), "language is stated as 'en', but under"),
    "a mean of a language": (at("languages", "sw", "scores", "nDCG@10", "mean", value=0.9),
                             "languages.sw.scores.nDCG@10.mean is stated as 0.9"),
}  # fmt: skip


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_what_cannot_be_true_is_refused(made: Submitted, what: str) -> None:
    change, match = IMPOSSIBLE[what]
    assert made.problems() == ""
    made.edit(change)
    with pytest.raises(AssertionError, match=match):
        assert made.problems() == ""


@pytest.mark.parametrize(
    "name", ["Hashing", "hash-ing", "hashing_", "hash1ng", "HASHING", "0ptical", "optica1", "LaBSE"]
)
def test_a_name_that_looks_like_a_known_one_is_refused(name: str) -> None:
    assert list(look_alikes([Path(name), Path("hashing"), Path("optical")])) == [Path(name)]


def test_of_two_that_look_alike_neither_is_taken_and_others_are() -> None:
    names = ["my-model", "My_Model", "rny-model", "my-model2", "e5-1.5", "e5-15", "e5-1-5"]
    found = look_alikes(map(Path, names))
    assert {path.name for path in found} == {*names[:3], "e5-1.5", "e5-1-5"}
    assert "looks like 'My_Model', 'rny-model'" in found[Path("my-model")].what


def test_one_system_is_compared_with_its_neighbours(made: Submitted) -> None:
    made.system.rename(made.root / "Hashing")
    (made.root / "hashing").mkdir()
    assert "looks like 'hashing'" in made.problems(made.root / "Hashing")


@pytest.mark.parametrize("what", ["after today", "an error", "a mean of a language", "a range"])
def test_boards_leave_out_what_validate_refuses(folder: Path, what: str) -> None:
    path = store(folder / "results", "ours", GOOD)
    text = path.read_text(encoding="utf-8").replace("sw-en", "en-sw")  # as the changes name it
    raw = json.loads(text)
    IMPOSSIBLE[what][0](raw)
    path.write_text(json.dumps(raw).replace("en-sw", "sw-en"), encoding="utf-8")
    assert refusal(folder)


@pytest.mark.parametrize("row", ["q000\t2\t2\t2\t2\n", "q000\t-1\t0\t0\t0\n"])
def test_a_value_that_no_measure_has_is_left_out(folder: Path, row: str) -> None:
    path = store(folder / "results", "ours", GOOD)
    head = "query_id\tP@1\tnDCG@10\tRR@10\tJudged@10\n"
    change_values(path, "sw-en", head + row)
    assert "has a value outside of 0 to 1" in refusal(folder)


def test_a_system_that_looks_like_a_known_one_takes_no_row_from_it(folder: Path) -> None:
    for name in ("hashing", "Hash-ing"):
        store(folder / "results", name, GOOD)
    section = only_section(folder)
    assert [row.system for row in section.rows] == ["hashing"]
    assert "looks like 'hashing'" in section.left_out[0].reason


def test_what_is_wrong_with_one_task_leaves_the_others_on_the_boards(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    (folder / "results" / "ours" / "xquad").mkdir()
    (folder / "results" / "ours" / "xquad" / "validation.json").write_text("{}")
    assert [row.system for row in only_section(folder).rows] == ["ours"]
    (folder / "results" / "ours" / "notes.md").touch()
    assert "notes.md: unexpected file" in refusal(folder)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_boards_are_built_whatever_is_in_a_cards_place(folder: Path, kind: str) -> None:
    store(folder / "results", "ours", GOOD, card=None)
    KINDS[kind](folder / "results" / "ours" / "system.toml")
    store(folder / "results", "theirs", GOOD)
    assert [row.system for row in only_section(folder).rows] == ["theirs"]


def test_a_damaged_list_of_hashes_or_board_is_one_line(folder: Path) -> None:
    board = folder / "sentences.toml"
    board.write_text(BOARD + "x = " + "[" * 5000, encoding="utf-8")
    assert clir("leaderboard", "build", "--boards", folder) == 2
    board.write_text(BOARD, encoding="utf-8")
    (folder / "data.sha256").write_bytes(b"\xff")
    assert clir("leaderboard", "build", "--boards", folder) == 1


NAMES = [
    (("task", "id"), "../../x"), (("task", "id"), "/x"), (("task", "id"), "a/b"),
    (("task", "split"), "../x"), (("task", "split"), "a\nb"),
    (("pairs", "sw-en", "run_file"), "../x"), (("pairs", "sw-en", "run_file"), "/etc/passwd"),
    (("pairs", "sw-en", "values_file"), "C:\\x"), (("pairs", "sw-en", "values_file"), "~/x"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "name"), NAMES)
def test_a_name_that_leaves_the_folder_is_refused_by_every_reader(
    tmp_path: Path, place: tuple[str, ...], name: str
) -> None:
    path = store_plain(tmp_path, "alpha", {"sw-en": [1.0]})
    raw = json.loads(path.read_text(encoding="utf-8"))
    at(*place, value=name)(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ResultError, match=rf"{place[-1]}: .*"):
        read_result(path)
    for command in ("show", "compare", "disparity", "submit"):
        assert clir(command, path) == 1
    assert clir("export", "--format", "ir-metadata", "-o", tmp_path / "out", path) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../../x", "x", "en-sw/..", "en-sw\n", "EN-SW", ""])
def test_what_is_no_pair_is_refused_by_every_reader(tmp_path: Path, name: str) -> None:
    path = store_plain(tmp_path, "alpha", {"sw-en": [1.0]})
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["pairs"][name] = raw["pairs"].pop("sw-en")
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ResultError, match="is no language pair"):
        read_result(path)


@pytest.mark.parametrize("link", [False, True])
def test_only_the_run_that_was_scored_is_exported(made: Submitted, link: bool) -> None:
    out, secret = made.root.parent / "out", made.root.parent / "secret"
    secret.write_text("a Q0 b 1 1 token\n", encoding="utf-8")
    run = made.run()
    run.unlink()
    if link:
        run.symlink_to(secret)
    else:
        run.write_bytes(lzma.compress(secret.read_bytes()))
    assert clir("export", "--format", "ir-metadata", "-o", out, made.result) == 1
    assert not list(out.rglob("en-sw.run"))


def test_a_file_that_is_no_run_is_not_exported(made: Submitted) -> None:
    made.replace_run(lzma.compress(b"secret-token\n"))
    out = made.root.parent / "out"
    assert clir("export", "--format", "ir-metadata", "-o", out, made.result) == 1
    assert not list(out.rglob("en-sw.run"))


@pytest.mark.parametrize("arguments", [(), ("--by-pair",), ("--json",)])
def test_show_prints_nothing_that_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    path = store_plain(tmp_path, "alpha", {"sw-en": [1.0]}, title=STEERING, unofficial=[STEERING])
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["system"]["name"] = raw["tiers"]["scheme"] = STEERING
    raw["overall"] = {"nDCG@10": {"mean": 1.0, "interval": [1.0, 1.0]}}
    raw["pairs"]["de-en"] = {**raw["pairs"]["sw-en"], "status": "failed", "error": STEERING}
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert clir("show", path, *arguments) == 0
    out = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in out)
    assert not any(line.startswith("all is well") for line in out.splitlines())
    if "--json" in arguments:
        assert json.loads(out)["system"]["name"] == STEERING


@pytest.mark.parametrize("arguments", [(), ("--markdown",)])
def test_compare_prints_nothing_that_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    paths = [
        store_plain(tmp_path / n, f"{n}{STEERING}", {"sw-en": [1.0, 0.5]}, title=STEERING)
        for n in ("one", "two")
    ]
    assert clir("compare", *paths, *arguments) == 0
    out = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in out)
    assert not any(line.startswith("all is well") for line in out.splitlines())


def test_errors_name_files_without_steering_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\x1b[2J\u202e.json"
    path.write_text('{"schema_version": 1, "\\u001b[2J": 1}', encoding="utf-8")
    assert clir("show", tmp_path) == 1
    err = capsys.readouterr().err
    assert r"a\u001b[2J\u202e.json" in err
    assert "\x1b" not in err


def test_what_is_spelled_out_is_the_same_text_in_json() -> None:
    for text in ("\x7f\x9b\u202e", "\U000e0041", "a\u200db", "\u3164", "Käse नमस्ते می‌خواهم 😀"):
        assert json.loads(f'"{visible(text)}"') == text
    assert visible("Käse नमस्ते می‌خواهم 😀") == "Käse नमस्ते می‌خواهم 😀"


def test_a_pipe_in_a_folder_of_results_is_passed_over(tmp_path: Path) -> None:
    path = store_plain(tmp_path, "alpha", {"sw-en": [1.0]})
    os.mkfifo(tmp_path / "a.json")
    assert find_results([tmp_path]) == [path]


def test_values_of_a_stored_result_are_bounded(tmp_path: Path) -> None:
    path = store_plain(tmp_path, "alpha", {"sw-en": [1.0]})
    values = path.parent / "test" / "sw-en.values.tsv.gz"
    with gzip.open(values, "wb", compresslevel=1) as file:
        for _ in range(65):
            file.write(b"0" * 2**20)
    result = read_result(path)
    assert isinstance(result, Result)
    with pytest.raises(DataError, match="unpacks to more than 67,108,864 bytes"):
        read_scores(path, result)


def test_the_cards_of_these_tests_are_sound() -> None:
    for text in (CARD, SYSTEM_CARD):
        assert parse_toml(text.encode(), "here", DataError)["license"]
