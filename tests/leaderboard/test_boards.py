"""Results to boards: what is taken, what is refused and why, and the numbers."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_results import (
    BOARD,
    GOOD,
    Values,
    board_of,
    change_values,
    only_row,
    only_section,
    refusal,
    store,
    store_board,
    use_small_tatoeba,
)

from clir_bench.analysis.disparity.summary import disparities
from clir_bench.errors import DataError, MissingDataError, UnknownNameError, UsageError
from clir_bench.leaderboard.assembly import assemble
from clir_bench.leaderboard.data_hashes import (
    FILE_NAME,
    DataKey,
    Pinned,
    hashes_of,
    read_official,
    wanted,
)
from clir_bench.leaderboard.definition import read_definition, read_definitions
from clir_bench.leaderboard.entries import Submissions
from clir_bench.leaderboard.submission import read
from clir_bench.leaderboard.submission.plan import plan_of
from clir_bench.metrics import means
from clir_bench.metrics.scoring import QueryScores
from clir_bench.tasks.languages import load_scheme
from clir_bench.types import LanguagePair

BOARDS = Path(__file__).parents[2] / "leaderboards"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_small_tatoeba(tmp_path / "tasks", monkeypatch)
    return store_board(tmp_path / "leaderboards")


def test_means_gap_and_spread_are_those_worked_by_hand(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    row = only_row(folder)
    # Swahili (low) has 1 of 4, German (high) 3 of 4.
    assert row.languages["sw"]["P@1"].mean == 0.25
    assert row.tiers["low"]["P@1"].mean == 0.25
    assert row.tiers["high"]["P@1"].mean == 0.75
    assert row.overall["P@1"].mean == 0.5
    assert row.disparity is not None
    assert row.disparity.gap is not None
    assert row.disparity.gap.mean == 0.5
    assert (row.disparity.worst_language, row.disparity.worst.mean) == ("sw", 0.25)
    assert row.disparity.spread is not None
    assert row.disparity.spread.mean == 0.25  # |0.75 - 0.25| / 2
    assert row.missing == ()
    assert row.group == 1


def test_a_row_is_resampled_once_and_its_values_are_unpacked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for system in ("ours", "theirs"):
        store(folder / "results", system, GOOD)
    unpacked, resampled = [], []
    read_gzip, bootstrap = read.read_gzip, means._bootstrap

    def unpacking(path: Path, *bounds: int) -> bytes:
        unpacked.append(path.name)
        return read_gzip(path, *bounds)

    def resampling(*arguments: Any) -> Any:
        if arguments[2] > 1:  # once more for means alone, which takes no time
            resampled.append(1)
        return bootstrap(*arguments)

    monkeypatch.setattr(read, "read_gzip", unpacking)
    monkeypatch.setattr(gzip, "open", None)
    monkeypatch.setattr(means, "_bootstrap", resampling)
    assert len(only_section(folder).rows) == 2
    assert sorted(unpacked) == sorted([f"{pair}.values.tsv.gz" for pair in GOOD] * 2)
    assert len(resampled) == 2


def test_a_rows_disparity_is_that_of_its_values(folder: Path) -> None:
    values: Values = {"sw-en": [1, 0, 0, 0.5], "de-en": [1, 1, 0.25, 0]}
    store(folder / "results", "ours", values)
    found = only_row(folder).disparity
    scores = {
        LanguagePair.parse(pair): QueryScores(tuple("abcd"), ("P@1",), np.array(of_pair)[:, None])
        for pair, of_pair in values.items()
    }
    section = read_definition(folder / "sentences.toml").sections[0]
    wanted = disparities(
        scores, load_scheme("joshi"), parallel_queries=section.card.parallel_queries
    )["P@1"]
    assert found is not None
    assert found.gap is not None
    assert wanted.gap is not None
    assert found.gap.mean == round(wanted.gap.mean, 6)
    assert found.worst_language == wanted.worst


def test_numbers_are_rounded_so_that_other_machines_give_the_same_bytes(folder: Path) -> None:
    store(folder / "results", "ours", {"sw-en": [1, 0, 0], "de-en": [1, 1, 0]})
    row = only_row(folder)
    assert row.languages["sw"]["P@1"].mean == 0.333333
    estimates = [e for by_measure in row.pairs.values() for e in by_measure.values()]
    for estimate in estimates:
        for number in (estimate.mean, estimate.low, estimate.high):
            assert number == round(number, 6)
            assert math.copysign(1, number) == 1 or number < 0


def test_systems_told_apart_are_in_two_groups_and_equal_ones_share_one(folder: Path) -> None:
    results = folder / "results"
    better, worse = [1.0] * 40, [0.0] * 39 + [1.0]
    store(results, "best", {"sw-en": better, "de-en": better})
    store(results, "also-best", {"sw-en": better, "de-en": better})
    store(results, "last", {"sw-en": worse, "de-en": worse})
    groups = {row.system: row.group for row in only_section(folder).rows}
    assert groups == {"also-best": 1, "best": 1, "last": 2}
    assert list(groups)[-1] == "last"


def test_a_system_without_some_pairs_is_shown_and_not_ranked(folder: Path) -> None:
    # Both have what every submission has; the section shows a pair more.
    store_board(folder, text=BOARD.replace('"de-en"]', '"de-en", "en-sw"]'))
    results = folder / "results"
    store(results, "whole", {**GOOD, "en-sw": [1, 0, 0, 0]})
    store(results, "a-part", {"sw-en": [1, 1, 1, 1], "de-en": [1, 1, 1, 1]})
    whole, part = only_section(folder).rows
    assert (whole.system, part.system) == ("whole", "a-part")
    assert part.group is None
    assert part.missing == ("en-sw",)
    assert part.languages["de"]["P@1"].mean == 1
    assert (part.overall, part.disparity, set(part.tiers)) == ({}, None, {"high"})


def test_pairs_that_no_section_shows_change_nothing(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    before = only_row(folder)
    store(folder / "results", "ours", {**GOOD, "en-sw": [0, 0, 0, 0]})
    assert only_row(folder) == before


def test_speed_counts_a_corpus_that_pairs_share_once(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    # Two corpora of 100 documents, 2 seconds each.
    assert only_row(folder).speed.documents_per_second == 50
    assert only_row(folder).speed.queries_per_second == 5


def test_the_date_is_the_day_in_utc(folder: Path) -> None:
    store(folder / "results", "ours", GOOD, started="2026-11-20T23:30:00-02:00")
    assert only_row(folder).date == "2026-11-21"


def test_links_lead_from_the_boards_folder_to_result_and_runs(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    row = only_row(folder)
    assert row.result_file == "results/ours/tatoeba/test.json"
    assert row.run_files["sw-en"] == "results/ours/tatoeba/test/sw-en.run.xz"
    assert all((folder / path).is_file() for path in (row.result_file, *row.run_files.values()))


def test_a_file_that_is_no_run_is_left_out_though_the_result_states_its_hash(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    record = json.loads(path.read_text(encoding="utf-8"))
    stated = record["pairs"]["sw-en"]
    run = path.parent / stated["run_file"]
    run.write_bytes(b"this is no run\n")
    stated["run_sha256"] = hashlib.sha256(run.read_bytes()).hexdigest()
    path.write_text(json.dumps(record), encoding="utf-8")
    assert f"{run.name}:" in refusal(folder)


def test_a_result_whose_run_is_not_there_is_left_out(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    (path.parent / "test" / "sw-en.run.xz").unlink()
    assert "sw-en.run.xz: cannot be read: No such file" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": {"sample": True}}, "the embedded sample, not the benchmark"),
        ({"task": {"limit": 20}}, "partial: cut to 20 queries"),
        ({"task": {"version": 2}}, "another version of the task's card"),
        ({"task": {"measures": ("P@1",)}}, "lacks measures of the task: nDCG@10"),
        ({"task": {"split": "dev"}}, "split 'dev'"),
        (
            {"pair": {"official": False, "unofficial": ("3 documents too few",)}},
            "not official: 'de-en'",
        ),
        ({"pair": {"data_sha256": "f" * 64}}, "data_sha256 is not that of the official data"),
        ({"pair": {"data_sha256": None}}, "data_sha256 is not 64 hexadecimal digits"),
        ({"pair": {"values_file": "../../../secret.tsv.gz"}}, "has '..', which leaves the folder"),
        ({"pair": {"scores": {}}}, "scores do not have exactly the result's measures"),
        ({"pair": {"status": "failed"}}, "pairs that are not done"),
        ({"system": {"name": "another"}}, "is a result of system 'another'"),
        ({"started": "yesterday\u202e"}, "direction-changing"),
        ({"started": "yesterday"}, "is not a time"),
        ({"started": "9999-12-31T23:59:59-12:00"}, "is not a time"),
        ({"system": {"n_parameters": 10**400}}, "n_parameters' is too large"),
        ({"system": {"dim": -1}}, "system.dim is -1"),
        ({"card": None}, "no system card"),
    ],
)
def test_what_is_not_comparable_is_refused_with_the_reason(
    folder: Path, changes: dict[str, object], reason: str
) -> None:
    store(folder / "results", "ours", GOOD, **changes)  # type: ignore[arg-type]
    said = refusal(folder)
    assert reason in said
    assert str(folder) not in said, "a board must not name the place where it was built"
    assert "\u202e" not in said


def test_all_reasons_are_given_together(folder: Path) -> None:
    store(folder / "results", "ours", GOOD, task={"sample": True, "limit": 5})
    said = refusal(folder)
    assert "sample" in said
    assert "partial" in said


def test_a_score_that_its_values_do_not_give_is_refused(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    file = path.parent / "test" / "sw-en.values.tsv.gz"
    text = gzip.decompress(file.read_bytes()).decode().replace("q001\t0.0", "q001\t1.0")
    change_values(path, "sw-en", text)
    assert "P@1.mean is stated as 0.25, but its files give 0.5" in refusal(folder)


def test_what_a_file_holds_cannot_reach_the_terminal_unseen(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    (path.parent / "a\x1b[2J\u202e").touch()
    said = refusal(folder)
    assert r"a\x1b[2J\u202e: unexpected file" in said
    assert said.isprintable()


def test_a_compressed_bomb_is_refused_before_it_is_read(folder: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    file = path.parent / "test" / "sw-en.values.tsv.gz"
    file.write_bytes(gzip.compress(b"0" * 2**20, compresslevel=1))
    assert "unpacks to more than" in refusal(folder)


def test_a_result_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    path = store(folder / "results", "ours", GOOD)
    elsewhere = tmp_path / "elsewhere.json"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert "unexpected link" in refusal(folder)


def test_folders_that_are_links_or_hidden_are_no_systems(folder: Path) -> None:
    results = folder / "results"
    store(results, "ours", GOOD)
    (results / "again").symlink_to(results / "ours")
    (results / ".hidden").mkdir()
    assert [row.system for row in only_section(folder).rows] == ["ours"]


def test_a_system_missing_from_one_section_is_named_there(folder: Path) -> None:
    second = BOARD.split("\n\n", 1)[1].replace("to-english", "from-english")
    second = second.replace('["sw-en", "de-en"]', '["en-sw", "en-de"]')
    store_board(folder, text=f"{BOARD}\n{second}")
    store(folder / "results", "both", {**GOOD, "en-sw": [1, 0], "en-de": [1, 1]})
    (folder / "results" / "none").mkdir()
    first, other = board_of(folder).sections
    assert (first.absent, other.absent) == ((), ())
    store(folder / "results", "one", GOOD)
    assert board_of(folder).sections[1].left_out[0].reason == "no pair of this section is done"
    assert board_of(folder).sections[1].absent == ("one",)


@pytest.mark.parametrize("cheat", [{"sw-en": [1], "de-en": [1]}, {"sw-en": [1], "de-en": [1] * 4}])
def test_values_of_other_queries_are_left_out_and_stop_nothing(folder: Path, cheat: Values) -> None:
    store(folder / "results", "ours", GOOD)
    store(folder / "results", "theirs", cheat, pin=False)
    section = only_section(folder)
    assert [row.system for row in section.rows] == ["ours"]
    assert (
        "sw-en.values.tsv.gz: its queries are not the judged queries" in section.left_out[0].reason
    )


def test_a_submission_that_lacks_pairs_is_left_out(folder: Path) -> None:
    store(folder / "results", "ours", GOOD)
    store(folder / "results", "theirs", {"sw-en": [1, 1, 1, 1]})
    section = only_section(folder)
    assert [row.system for row in section.rows] == ["ours"]
    assert "pairs that boards show are missing: de-en" in section.left_out[0].reason


def test_a_pair_without_official_hash_stops_the_build(folder: Path) -> None:
    official = read_official(folder)
    known = DataKey("tatoeba", "test", LanguagePair("de", "en"))
    for lacking in (Pinned(), official[known]._replace(queries="")):
        submissions = Submissions(folder / "results", {**official, known: lacking})
        with pytest.raises(DataError, match=r"queries of tatoeba/test/de-en; .* pin tatoeba"):
            assemble(read_definition(folder / "sentences.toml"), submissions, folder)


def test_hash_file_is_read_strictly(folder: Path) -> None:
    file = folder / FILE_NAME
    first = file.read_text(encoding="utf-8").splitlines()[0]
    file.write_text(f"{first}\n{first}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data.sha256:2: .* occurs twice"):
        read_official(folder)
    file.write_text("abc  tatoeba/test/sw-en\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data.sha256:1: expected"):
        read_official(folder)
    file.unlink()
    with pytest.raises(MissingDataError, match="leaderboard pin"):
        read_official(folder)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"tatoeba"', '"tatoba"', "did you mean tatoeba"),
        ('"tatoeba"', '"mtop"', "is a suite"),
        ('"tatoeba"', '"miracl-mini"', "sw-en"),
        ('["sw-en", "de-en"]', '["sw-xx"]', "sw-xx"),
        ('["sw-en", "de-en"]', "[]", "at least one entry"),
        ('["P@1", "nDCG@10"]', '["ndcg@10"]', "measure"),
        ('["P@1", "nDCG@10"]', '["P@1", "P@1"]', "each once"),
        ('title = "Sentences"', 'title = ""', "title"),
        ('title = "Sentences"', 'titel = "Sentences"', "titel"),
        ('title = "Sentences"', 'title = "Sentences"\ntiers = "jshi"', "did you mean joshi"),
        ('title = "Sentences"', 'id = "other"', "id is the file's name"),
        ("[[sections]]", "[[sections", "not valid TOML"),
    ],
)
def test_a_wrong_board_is_refused_with_what_is_wrong(
    folder: Path, before: str, after: str, said: str
) -> None:
    store_board(folder, text=BOARD.replace(before, after))
    with pytest.raises(UsageError, match=said):
        read_definition(folder / "sentences.toml")


def test_a_pool_and_pairs_never_share_a_section(folder: Path) -> None:
    text = BOARD.replace('"tatoeba"', '"xquad-r"').replace('"sw-en", "de-en"', '"de-en", "*-mul"')
    store_board(folder, text=text)
    with pytest.raises(UsageError, match="either all with a pool"):
        read_definition(folder / "sentences.toml")


def test_an_unknown_board_is_answered_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean xquad"):
        read_definitions(BOARDS, ("xqad",))


def test_the_boards_of_the_project_are_sound_and_their_data_pinned() -> None:
    definitions = read_definitions(BOARDS)
    assert {d.id for d in definitions} == {"afriqa", "mtop", "tatoeba", "xquad", "xquad-r"}
    official = {str(key) for key in read_official(BOARDS)}
    shown = {f"{one.card.id}/{one.split}/{p}" for one in wanted(definitions) for p in one.pairs}
    assert shown == official


def test_what_is_submitted_has_every_pair_and_measure_that_boards_show() -> None:
    for definition in read_definitions(BOARDS):
        for section in definition.sections:
            plan = plan_of(section.card)
            assert set(section.chosen_pairs) <= set(plan.pairs)
            assert set(section.measures) <= set(plan.measures)


@pytest.mark.realdata
def test_pinned_hashes_are_those_of_the_data(real_data: Path) -> None:
    official = read_official(BOARDS)
    for one in wanted(read_definitions(BOARDS)):
        some = one._replace(pairs=one.pairs[:2])
        for key, found in hashes_of(some).items():
            assert official[key] == found, key
