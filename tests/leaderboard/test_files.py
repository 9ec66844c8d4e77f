"""Boards as Markdown and CSV, the command that builds and checks them, published values."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stored_results import (
    BOARD,
    SYSTEM_CARD,
    Values,
    board_of,
    data_hash,
    store,
    store_board,
    use_small_tatoeba,
)

from clir_bench.cli import main
from clir_bench.errors import UnknownNameError
from clir_bench.leaderboard import escaping, references
from clir_bench.leaderboard.assembly import languages_of
from clir_bench.leaderboard.build import SITE, build_boards
from clir_bench.leaderboard.data_hashes import pin_hashes, read_official
from clir_bench.leaderboard.definition import read_definitions
from clir_bench.leaderboard.markdown import board_markdown
from clir_bench.leaderboard.spreadsheet import COLUMNS, board_csv
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card

GOOD: Values = {"sw-en": [1, 0, 0, 0], "de-en": [1, 1, 1, 0]}
BOARDS = Path(__file__).parents[2] / "leaderboards"
HOSTILE = "<script>alert(1)</script> [x](javascript:y) | `a` \\ ![i](http://e.org/i.png) @you"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_tatoeba(tmp_path / "tasks", monkeypatch)
    return store_board(tmp_path / "leaderboards")


def text_of(folder: Path) -> str:
    return board_markdown(board_of(folder)).decode()


def build(folder: Path, *arguments: str) -> int:
    return main(["leaderboard", "build", "--boards", str(folder), *arguments])


def test_markdown_says_scores_with_intervals_gap_size_speed_date_and_links(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    text = text_of(folder)
    (ranking,) = [line for line in text.splitlines() if re.match(r"\| +1 \| ours", line)]
    cells = [cell.strip() for cell in ranking.strip("|").split("|")]
    assert cells[0] == "1"
    assert re.fullmatch(r"0\.5000 \[\d\.\d{3}, \d\.\d{3}\]", cells[2])
    assert cells[3].startswith("0.2500 [")  # low
    assert cells[4].startswith("0.7500 [")  # high
    assert cells[5].startswith("0.5000 [")  # gap
    assert cells[6] == "0.2500 sw"
    (run,) = [line for line in text.splitlines() if line.startswith("| [ours][")]
    for said in ("dense", "22.7M", "50", "2 of 2", "en, sw", "no", "2026-11-20"):
        assert f" {said} " in run
    assert "]: results/ours/tatoeba/test.json" in text
    assert "]: results/ours/tatoeba/test/" in text
    assert "[tatoeba](../tasks/tatoeba.toml)" in text
    assert "**Group**" in text


def test_building_is_one_call(folder: Path, tmp_path: Path) -> None:
    store(folder / "results", "ours", GOOD)
    built = build_boards(folder)
    assert built.folder == folder
    assert {"sentences.md", "sentences.csv", "site/index.html"} <= built.files.keys()
    assert built.files["sentences.md"].decode() == text_of(folder)
    (one,) = build_boards(folder, ["sentences"], output=tmp_path / "out").boards
    assert one.id == "sentences"
    assert not any(name.startswith("site/") for name in build_boards(folder, ["sentences"]).files)
    assert not (tmp_path / "out").exists()


def test_every_link_label_of_markdown_is_defined_once(folder: Path) -> None:
    for name in ("one", "two"):
        store(folder / "results", name, GOOD)
    text = text_of(folder)
    defined = re.findall(r"^\[([^\]]+)\]: ", text, flags=re.MULTILINE)
    used = re.findall(r"\]\[([^\]]+)\]", text)
    assert len(defined) == len(set(defined))
    assert set(used) == set(defined)


def test_lines_of_prose_fit_a_terminal(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    prose = [line for line in text_of(folder).splitlines() if not line.startswith(("|", "<", "["))]
    assert max(map(len, prose)) <= 100


def test_systems_that_are_not_ranked_are_named_with_what_they_lack(folder: Path) -> None:
    # What every submission has, and not the pair more that the section shows.
    store_board(folder, text=BOARD.replace('"de-en"]', '"de-en", "en-sw"]'))
    store(folder / "results", "part", GOOD)
    text = text_of(folder)
    assert "### Not ranked" in text
    assert "part has no score for 1 of 3 pairs: en-sw" in text
    assert "Nothing has been submitted yet." in text


def test_refused_results_are_named_with_the_reason(folder: Path) -> None:
    store(folder / "results", "ours", GOOD, task={"sample": True})
    text = text_of(folder)
    assert "results/ours/tatoeba/test.json: the embedded sample, not the benchmark" in text


def test_texts_of_submissions_are_shown_and_nothing_else() -> None:
    shown = escaping.markdown(HOSTILE)
    assert "<" not in shown
    for special in ("|", "[", "]", "`", "@", "*"):
        assert re.search(rf"(?<!\\){re.escape(special)}", shown) is None, special
    assert "http\\://" in shown


@pytest.mark.parametrize("text", ["# x", "- x", "+ x", "1. x", "2) x", "=", "---", "> x"])
def test_a_text_cannot_begin_a_heading_a_list_or_a_quotation(text: str) -> None:
    assert not re.match(r"#|[-+] |\d[.)]|>|=|---", escaping.markdown(text))


def test_invisible_and_reversing_characters_are_spelled_out() -> None:
    assert escaping.visible("a\u202eb\u200bc\x00d\ne") == "a[U+202E]b[U+200B]c[U+0000]d e"
    assert escaping.visible("نمی\u200cدانم") == "نمی\u200cدانم"


def test_a_link_cannot_leave_its_parentheses_or_lines() -> None:
    assert escaping.target('a b)[x]"\n') == "a%20b%29%5Bx%5D%22%0A"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1"])
def test_a_spreadsheet_takes_no_text_for_a_formula(text: str) -> None:
    assert escaping.spreadsheet(text)[0] == "'"


def test_a_hostile_reason_stays_within_its_line(folder: Path) -> None:
    store(
        folder / "results", "ours", GOOD,
        pair={"official": False, "unofficial": (f"a\n\n# {HOSTILE}\n\n| x |",)},
    )  # fmt: skip
    text = text_of(folder)
    assert "<script>" not in text
    assert "\n# <" not in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == ["# Sentences"]


def test_csv_has_one_number_a_line_and_all_of_them(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    lines = list(csv.DictReader(io.StringIO(board_csv(board_of(folder)).decode())))
    assert tuple(lines[0]) == COLUMNS
    values = {(line["level"], line["name"], line["measure"]): line["value"] for line in lines}
    assert values["overall", "all languages", "P@1"] == "0.500000"
    assert values["tier", "low", "P@1"] == "0.250000"
    assert values["language", "de", "nDCG@10"] == "0.750000"
    assert values["gap", "high - low", "P@1"] == "0.500000"
    assert values["system", "", "parameters"] == "22713216"
    assert {line["system"] for line in lines} == {"ours"}


def test_build_writes_and_check_agrees(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(folder / "results", "ours", GOOD)
    assert build(folder) == 0
    assert (folder / "sentences.md").is_file()
    assert (folder / "sentences.csv").is_file()
    assert (folder / SITE / "index.html").is_file()
    assert build(folder, "--check") == 0
    capsys.readouterr()
    assert build(folder) == 0
    assert capsys.readouterr().out.startswith("0 of ")


def test_check_names_every_file_that_differs_and_how_to_mend_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(folder / "results", "ours", GOOD)
    assert build(folder) == 0
    text = (folder / "sentences.md").read_text(encoding="utf-8")
    (folder / "sentences.md").write_text(text.replace("0.5000", "0.9000"), encoding="utf-8")
    (folder / "sentences.csv").unlink()
    (folder / SITE / "old.html").write_text("old", encoding="utf-8")
    capsys.readouterr()
    assert build(folder, "--check") == 1
    said = capsys.readouterr().err
    line = next(n for n, x in enumerate(text.splitlines(), start=1) if "0.5000" in x)
    assert f"sentences.md: line {line} is not what the results give" in said
    assert "sentences.csv: missing" in said
    assert "old.html: no board has this page" in said
    assert "clir-bench leaderboard build" in said
    assert "0.9000" in (folder / "sentences.md").read_text(encoding="utf-8"), "check writes nothing"


def test_check_fails_when_a_result_was_added(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    assert build(folder) == 0
    store(folder / "results", "theirs", GOOD)
    assert build(folder, "--check") == 1


def test_named_boards_are_built_without_the_site(folder: Path) -> None:
    store_board(folder, name="others", text=BOARD.replace("Sentences", "Others"))
    store(folder / "results", "ours", GOOD)
    assert build(folder, "others") == 0
    assert (folder / "others.md").is_file()
    assert not (folder / "sentences.md").exists()
    assert not (folder / SITE).exists()


def test_refused_results_are_said_on_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(folder / "results", "ours", GOOD, task={"limit": 3})
    assert build(folder) == 0
    assert "left out of sentences, to-english: results/ours" in capsys.readouterr().err


def test_the_same_bytes_come_from_another_folder_order_locale_and_hash_seed(
    tmp_path: Path,
) -> None:
    made = []
    for number, names in enumerate((("one", "two", "three"), ("three", "one", "two"))):
        place = tmp_path / f"place {number}"
        folder = store_board(place / "leaderboards")
        for name in names:
            store(folder / "results", name, GOOD)
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(number),
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
        }
        command = [sys.executable, "-m", "clir_bench", "leaderboard", "build"]
        subprocess.run(
            [*command, "--boards", str(folder)], env=environment, check=True, capture_output=True
        )
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        made.append(
            {str(p.relative_to(folder)): p.read_bytes() for p in files if p.suffix != ".gz"}
        )
    for name in ("sentences.md", "sentences.csv", f"{SITE}/index.html"):
        assert made[0][name] == made[1][name]


def test_pin_writes_the_hashes_of_the_data_and_keeps_the_other_lines(tmp_path: Path) -> None:
    folder = store_board(tmp_path / "leaderboards")
    before = read_official(folder)
    data = tmp_path / "data"
    (data / "v1").mkdir(parents=True)
    arguments = ["leaderboard", "pin", "--boards", str(folder)]
    # Other data than the benchmark's are refused, and nothing is written.
    for code in ("deu", "swh"):
        for side in (code, "eng"):
            (data / "v1" / f"tatoeba.{code}-eng.{side}").write_text("a\nb\n", encoding="utf-8")
    assert main([*arguments, "--data-dir", str(data)]) == 1
    assert read_official(folder) == before
    assert main([*arguments, "xquad"]) == 2
    with pytest.raises(UnknownNameError, match="unknown task of a board 'xquad'"):
        pin_hashes(folder, ["xquad"])


@pytest.mark.realdata
def test_pin_finds_the_hashes_that_are_committed(tmp_path: Path, real_data: Path) -> None:
    folder = store_board(tmp_path / "leaderboards")
    assert pin_hashes(folder) == read_official(folder)
    ours, official = read_official(folder), read_official(BOARDS)
    both = [key for key in ours if key in official]
    pinned = [key for key in both if ours[key].data != data_hash(str(key.pair))]
    assert {str(key.pair) for key in pinned} == {"sw-en", "de-en"}
    assert all(ours[key] == official[key] for key in pinned)


def test_published_values_stand_apart_and_are_not_ranked(folder: Path) -> None:
    board = BOARD.replace('pairs = ["sw-en", "de-en"]', 'pairs = ["*-en"]')
    store_board(folder, text=board)
    text = text_of(folder)
    head, _, published = text.partition("### Published elsewhere")
    assert "LaBSE" in published
    assert "LaBSE" not in head
    assert "embeddings-benchmark/results" in published


def test_means_of_published_values_are_over_languages_and_tiers() -> None:
    (definition,) = read_definitions(BOARDS, ("xquad",))
    section = definition.sections[0]
    known = references.read_references().references
    (labse,) = [one for one in known if one.task == "xquad" and one.system.endswith("/LaBSE")]
    found = references.references_of(section, languages_of(section.chosen_pairs, definition.scheme))
    (shown,) = [one for one in found if one.system.endswith("/LaBSE")]
    assert shown.overall == pytest.approx(sum(labse.values.values()) / 12, abs=1e-6)
    mid = [labse.values[f"{code}-{code}"] for code in ("el", "ro", "th")]
    assert shown.tiers["mid"] == pytest.approx(sum(mid) / 3, abs=1e-6)
    assert "low" not in shown.tiers
    assert not shown.overall_published
    partial = [one for one in found if len(one.languages) < 12]
    assert partial
    assert all(one.overall is None for one in partial)


def test_a_mean_that_the_source_states_is_shown_as_its_own() -> None:
    (definition,) = read_definitions(BOARDS, ("xquad-r",))
    pool = definition.sections[1]
    found = references.references_of(pool, ())
    assert {one.measure for one in found} == {"AP"}
    (mbert,) = [one for one in found if one.system == "mBERT X-Y"]
    assert (mbert.overall, mbert.overall_published) == (0.66, True)
    assert references.references_of(definition.sections[0], ()) == ()


def test_every_published_value_names_its_source_and_pairs_of_its_task() -> None:
    known = references.read_references()
    for one in known.references:
        card = load_card(one.task)
        assert isinstance(card, TaskCard)
        names = {str(pair) for pair in card.available_pairs()}
        assert set(one.values) <= names
        assert one.split in card.splits
        assert one.overall is not None or one.values
        assert known.sources[one.source].url.startswith("https://")
    text = (Path(references.__file__).with_name("references.toml")).read_text(encoding="utf-8")
    assert "UNVERIFIED" not in text


def test_the_system_card_of_these_tests_is_a_valid_one(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD, card=SYSTEM_CARD)
    assert path.is_file()
    assert board_of(folder).systems["ours"].training.bitext == ("OPUS-100 en-sw",)


def test_a_system_card_behind_a_link_is_left_out(folder: Path) -> None:
    store(folder / "results", "ours", GOOD, card=SYSTEM_CARD)
    card = folder / "results" / "ours" / "system.toml"
    elsewhere = folder / "elsewhere.toml"
    card.rename(elsewhere)
    card.symlink_to(elsewhere)
    board = board_of(folder)
    assert "ours" not in board.systems
    assert "a link" in board.sections[0].left_out[0].reason
