"""Cutting results to what is submitted, and the system card that goes with them."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import string
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
from folders import clir
from hypothesis import given
from hypothesis import strategies as st
from submissions import CARD, Submitted, make_submission

from clir_bench.core.safe_text import name_problem, text_problem, without_folders
from clir_bench.errors import ClirBenchError, DataError, ResultError
from clir_bench.leaderboard.submission import run_format
from clir_bench.leaderboard.submission.make import NotForBoardsError, open_result
from clir_bench.leaderboard.submission.plan import plan_of
from clir_bench.leaderboard.submission.submit import submit_results
from clir_bench.metrics.scoring import score
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result, read_scores
from clir_bench.results.system_card import parse_system_card, template
from clir_bench.results.system_record import SystemRecord
from clir_bench.results.trec_runs import format_run, read_run
from clir_bench.tasks.cards import TaskCard
from clir_bench.tasks.catalog import load_card
from clir_bench.types import EncoderInfo, Qrel, Run


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    return make_submission(tmp_path, monkeypatch)


def read(path: Path) -> Result:
    result = read_result(path)
    assert isinstance(result, Result)
    return result


def random_run(seed: int, n_queries: int = 5, n_documents: int = 30) -> Run:
    rng = np.random.default_rng(seed)
    doc_ids = [
        tuple(f"d{number}" for number in rng.permutation(200)[:n_documents])
        for _ in range(n_queries)
    ]
    scores = [np.sort(rng.random(n_documents, np.float32))[::-1]] * n_queries
    return Run([f"query-{number}" for number in range(n_queries)], doc_ids, scores)


def test_submitting_is_one_call(made: Submitted, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    folder = made.full.parents[1]
    (folder / "mine" / "part.json").write_text(
        made.full.read_text().replace('"limit": null', '"limit": 3')
    )
    done = submit_results([folder], tmp_path / "to", card=card)
    [result] = done.results
    assert result.path == tmp_path / "to/hashing/mine/test.json"
    assert result.n_pairs == 3 and result.size_bytes > result.path.stat().st_size
    assert done.systems == (tmp_path / "to/hashing",)
    assert "part.json: " in done.left_out[0] and len(done.left_out) == 1
    with pytest.raises(ResultError, match="--overwrite replaces it"):
        submit_results([made.full], tmp_path / "to")
    assert submit_results([made.full], tmp_path / "to", overwrite=True).results == (result,)


def test_a_submission_is_an_ordinary_result_that_says_what_it_was_cut_from(made: Submitted) -> None:
    full, cut = read(made.full), read(made.result)
    assert cut.submission is not None
    assert (cut.submission.depth, cut.submission.source_top_k) == (100, 1000)
    assert cut.submission.source_measures == full.task.measures
    assert cut.task.measures == ("nDCG@10", "AP@100", "Judged@10")
    assert cut.settings.top_k == 100
    for name, pair in cut.pairs.items():
        assert pair.source_run_sha256 == full.pairs[name].run_sha256
        file = made.result.parent / str(pair.run_file)
        assert pair.run_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert {pair.query for pair in read_scores(made.result, cut)} == {"en", "fr"}


def test_a_result_that_is_no_submission_says_nothing_of_one(made: Submitted) -> None:
    assert read(made.full).submission is None


def test_scores_of_a_submission_are_those_of_the_full_run_where_nothing_was_cut(
    made: Submitted,
) -> None:
    full, cut = read(made.full), read(made.result)
    for name in full.pairs:
        assert cut.pairs[name].scores["nDCG@10"] == full.pairs[name].scores["nDCG@10"]
        assert cut.pairs[name].scores["AP@100"] == full.pairs[name].scores["AP@1000"]
    assert cut.overall["nDCG@10"] == full.overall["nDCG@10"]


def test_ir_measures_reads_the_decompressed_run_and_finds_the_same_scores(
    made: Submitted, tmp_path: Path
) -> None:
    text = tmp_path / "en-sw.run"
    text.write_bytes(lzma.decompress(made.run().read_bytes()))
    qrels = [
        ir_measures.Qrel(query_id, doc_id, int(relevance))
        for query_id, doc_id, relevance in (
            line.split("\t")
            for line in (made.task.data / "qrels/sw.test.tsv").read_text().splitlines()[1:]
        )
    ]
    measure = ir_measures.parse_measure("nDCG@10")
    found = ir_measures.calc_aggregate([measure], qrels, ir_measures.read_trec_run(str(text)))
    assert found[measure] == read(made.result).pairs["en-sw"].scores["nDCG@10"].mean


def test_the_order_of_a_cut_run_is_exactly_the_scored_order(tmp_path: Path) -> None:
    run = random_run(1)
    path = tmp_path / "a.run.xz"
    text = run_format.format_compact(run_format.cut(run, 10), 10, "me")
    path.write_bytes(run_format.compress(text))
    again = read_run(path)
    assert again.query_ids == tuple(run.query_ids)
    assert list(again.doc_ids) == [ids[:10] for ids in run.doc_ids]


def test_lines_of_a_cut_run_have_one_length_a_multiple_of_sixteen() -> None:
    text = run_format.format_compact(run_format.cut(random_run(2), 10), 10, "me")
    lengths = {len(line) for line in text.splitlines(keepends=True)}
    assert len(lengths) == 1
    assert lengths.pop() % 16 == 0
    assert text.split()[:6] == [b"query-0", b"Q0", text.split()[2], b"1", b"10", b"me"]


def test_a_cut_run_is_read_back_as_it_was() -> None:
    run = run_format.cut(random_run(3), 10)
    text = run_format.format_compact(run, 10, "me")
    again = run_format.parse_compact(text, depth=10, n_queries=5, tag="me", where="here")
    assert again.doc_ids == tuple(run.doc_ids)
    assert run_format.compress(text) == run_format.compress(text)


def test_a_query_without_documents_is_left_out_and_scores_zero() -> None:
    run = Run(("q1", "q2"), (("a",), ()), (np.ones(1, np.float32), np.ones(0, np.float32)))
    text = run_format.format_compact(run_format.cut(run, 10), 10, "me")
    again = run_format.parse_compact(text, depth=10, n_queries=2, tag="me", where="here")
    assert again.query_ids == ("q1",)
    values = score(again, [Qrel("q1", "a", 1), Qrel("q2", "a", 1)], ["AP@10"])
    assert values.values.tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize("shuffled", [False, True])
def test_top_documents_are_those_of_the_slow_reader_whatever_the_order_of_lines(
    tmp_path: Path, shuffled: bool
) -> None:
    path = tmp_path / "a.run.gz"
    data = format_run(random_run(4), "x")
    if shuffled:
        lines = gzip.decompress(data).splitlines(keepends=True)
        data = gzip.compress(b"".join(np.random.default_rng(0).permutation(lines).tolist()))
    path.write_bytes(data)
    top, slow = run_format.read_top(path, 7), run_format.cut(read_run(path), 7)
    assert top.query_ids == slow.query_ids
    assert [tuple(ids) for ids in top.doc_ids] == list(slow.doc_ids)


def test_ties_in_float32_are_cut_as_they_are_scored(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    path.write_text("q Q0 a 1 0.50000000002 t\nq Q0 b 2 0.50000000001 t\n")
    assert list(run_format.read_top(path, 1).doc_ids) == [("b",)]  # a tie in float32


@pytest.mark.parametrize("line", ["q Q0 a 1 nan t", "q Q0 a 1 x t", "q Q0 a 1 inf t", "q Q0 a 1"])
def test_a_broken_run_cannot_be_cut(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.run"
    path.write_text(line + "\n")
    with pytest.raises(DataError):
        run_format.read_top(path, 10)


@pytest.mark.parametrize(
    ("task", "n_pairs", "depth", "measures"),
    [
        ("xquad", 12, 100, ("nDCG@10", "AP@100", "R@100", "Judged@10")),
        ("xquad-r", 21, 20, ("AP@20", "nDCG@10", "Judged@10")),
        ("tatoeba", 112, 10, ("P@1", "AP@10", "nDCG@10", "RR@10", "Judged@10")),
        ("mtop-intent", 5, 100, ("AP@100", "nDCG@10", "P@10", "Judged@10")),
        ("afriqa", 9, 100, ("nDCG@10", "AP@100", "R@100", "Judged@10")),
    ],
)
def test_a_plan_keeps_the_boards_pairs_and_what_their_measures_look_at(
    task: str, n_pairs: int, depth: int, measures: tuple[str, ...]
) -> None:
    card = load_card(task)
    assert isinstance(card, TaskCard)
    plan = plan_of(card)
    assert (len(plan.pairs), plan.depth, plan.measures) == (n_pairs, depth, measures)


def test_measures_without_a_cutoff_get_one_or_are_left_out() -> None:
    card = load_card("xquad")
    assert isinstance(card, TaskCard)
    assert plan_of(card, ["RR", "Bpref", "P(rel=2)@5"]).measures[3:] == ("RR@100", "Judged@10")


def refuse(made: Submitted, change: object, match: str) -> None:
    raw = json.loads(made.full.read_text(encoding="utf-8"))
    change(raw)  # type: ignore[operator]
    made.full.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ClirBenchError, match=match):
        open_result(made.full)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("sample", True, "embedded sample"),
        ("limit", 3, "partial: cut to 3 queries"),
        ("official", False, "not official"),
        ("card_sha256", "0" * 64, "another version of the task's card"),
    ],
)
def test_what_no_board_takes_is_refused(
    made: Submitted, field: str, value: object, match: str
) -> None:
    refuse(made, lambda raw: raw["task"].update({field: value}), match)


def test_a_result_that_lacks_a_pair_is_refused(made: Submitted) -> None:
    refuse(made, lambda raw: raw["pairs"]["en-de"].update(status="failed"), "partial: 1 of the 3")


def test_a_result_of_too_few_documents_is_refused(made: Submitted) -> None:
    refuse(
        made,
        lambda raw: raw["pairs"]["en-de"].update(depth=50, cut=True, counts=None),
        "rankings hold 50 documents per query, but a submission needs 100",
    )


def test_a_result_that_states_no_depths_is_as_deep_as_its_top_k(made: Submitted) -> None:
    def before(raw: dict[str, Any]) -> None:
        raw["settings"]["top_k"] = 50
        for pair in raw["pairs"].values():
            del pair["depth"], pair["cut"]
            pair["counts"]["documents"] = 60

    refuse(made, before, "rankings hold 50 documents per query")


def test_an_unsafe_system_name_is_refused(made: Submitted) -> None:
    refuse(made, lambda raw: raw["system"].update(name="<b>x</b>"), "choose another name")


def test_a_submission_is_not_submitted_again(made: Submitted) -> None:
    with pytest.raises(ClirBenchError, match="is a submission already"):
        open_result(made.result)


def test_a_sample_is_left_out_of_a_folder_and_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("run", "-m", "hashing", "-t", "xquad", "--sample", "-o", tmp_path / "r") == 0
    with pytest.raises(NotForBoardsError):
        open_result(tmp_path / "r" / "hashing" / "xquad" / "sample.json")
    assert clir("submit", tmp_path / "r", "--to", tmp_path / "to") == 1
    captured = capsys.readouterr()
    assert "left out: " in captured.err
    assert "nothing to submit" in captured.err
    assert not (tmp_path / "to").exists()


def test_a_damaged_run_is_not_submitted(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.full.parent / "test" / "en-de.run.gz").write_bytes(gzip.compress(b"q Q0 d 1 1 t\n"))
    assert clir("submit", made.full, "--to", made.root, "--overwrite") == 1
    assert "en-de.run.gz: not the run that en-de was scored from" in capsys.readouterr().err


def test_data_other_than_what_was_run_on_is_noticed(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    made.task.edit("sw/corpus.jsonl", "Mvua kubwa", "Mvua ndogo")
    assert clir("submit", made.full, "--to", made.root, "--overwrite") == 1
    assert "is not the data that pair en-sw was run on" in capsys.readouterr().err


def test_a_submission_is_replaced_only_when_asked_for(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clir("submit", made.full, "--to", made.root) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    before = {path: path.read_bytes() for path in made.system.rglob("*") if path.is_file()}
    (made.result.parent / "test" / "fr-de.run.xz").write_bytes(b"of an earlier submission")
    assert clir("submit", made.full, "--to", made.root, "--overwrite") == 0
    assert before == {path: path.read_bytes() for path in made.system.rglob("*") if path.is_file()}


def test_more_pairs_are_kept_when_asked_for(made: Submitted) -> None:
    assert clir("run", "-m", "hashing", "-t", "mine", "-p", "fr-de", "-o", made.root / "f") == 0
    full = made.full.parents[2]
    assert clir("run", "-m", "hashing", "-t", "mine", "-p", "fr-de", "-o", full) == 0
    assert clir("submit", made.full, "--to", made.root, "-p", "fr-de", "--overwrite") == 0
    assert sorted(read(made.result).pairs) == ["en-de", "en-sw", "fr-de", "fr-sw"]


def test_without_a_card_a_template_is_written_to_fill_in(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    card = made.root.parent / "new.toml"
    arguments = ("submit", made.full, "--to", made.root, "--card", card, "--overwrite")
    assert clir(*arguments) == 1
    assert "to fill in" in capsys.readouterr().err
    text = card.read_text(encoding="utf-8")
    assert 'name = "hashing"' in text
    assert 'license = "Apache-2.0"' in text
    assert clir(*arguments) == 1
    said = capsys.readouterr().err
    for field in ("url", "contact", "training.languages", "training.evaluation_data_seen"):
        assert field in said


def test_a_card_of_another_system_is_refused(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    card = made.root.parent / "other.toml"
    card.write_text(CARD.replace('"hashing"', '"other"', 1), encoding="utf-8")
    assert clir("submit", made.full, "--to", made.root, "--card", card, "--overwrite") == 1
    assert "the card is of 'other'" in capsys.readouterr().err


def test_folders_of_the_machine_do_not_get_into_a_submission(made: Submitted) -> None:
    raw = json.loads(made.full.read_text(encoding="utf-8"))
    raw["environment"]["command"] = "clir-bench run -m st:/home/ada/secret/mine"
    raw["system"]["spec"] = "st:/home/ada/secret/mine"
    made.full.write_text(json.dumps(raw), encoding="utf-8")
    assert clir("submit", made.full, "--to", made.root, "--overwrite") == 0
    cut = read(made.result)
    assert cut.environment.command == "clir-bench run -m st:mine"
    assert "secret" not in made.result.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clir-bench run -m st:/home/ada/m -o /tmp/x/y", "clir-bench run -m st:m -o y"),
        ("--output=../results/a", "--output=a"),
        (r"run C:\models\mine", "run mine"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("intfloat/multilingual-e5-small", "intfloat/multilingual-e5-small"),
        ("-p *-en,*-mul", "-p *-en,*-mul"),
    ],
)
def test_a_command_is_kept_without_folders(text: str, expected: str) -> None:
    assert without_folders(text) == expected


@pytest.mark.parametrize(
    "name",
    [
        "", "../up", "a/../b", "<script>", "a&b", "a\u202eb", "a\nb", "a\x00", " a", "a ", "[x](y)",
        "a|b", "`a`", "*a*", "!!python/object", "é", "a" * 101, "-rf", ".hidden", "a'b", 'a"b',
        "con", "NUL.txt", "lpt1",
    ],
)  # fmt: skip
def test_names_that_mean_more_than_themselves_are_refused(name: str) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize("name", ["hashing", "org/model-v2", "optical:mine", "e5 (base)", "a+b=c"])
def test_ordinary_names_are_fine(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("text", ["a\u202eb", "a\x1b[31m", "a\nb", "a\u2028", "\ufeffa", "\ue000"])
def test_texts_that_hide_something_are_refused(text: str) -> None:
    assert text_problem(text) is not None


@pytest.mark.parametrize("text", ["Käse", "नमस्ते", "می‌خواهم", "<b>", "😀", ""])
def test_texts_of_every_script_are_fine(text: str) -> None:
    assert text_problem(text) is None


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("https://example.org/hashing", "javascript:alert(1)", "url: must be a plain"),
        ("https://example.org/hashing", 'https://a.b/\\"><script>', "url: must be a plain"),
        ('"lexical"', '"magic"', "kind: expected 'dense', 'late-interaction'"),
        ('"lexical"', '"dense"', "training must name its languages"),
        ('"no"', '"yes"', "say in note which data"),
        ('contact = "Ada"', "", "'contact' is missing"),
        ('contact = "Ada"', 'contact = "Ada"\nrank = 1', "unknown field 'rank'"),
        ('"Ada"', '"A\\u202Eda"', "direction-changing"),
        ("languages = []", 'languages = ["<b>"]', "expected a language's code"),
        ("languages = []", "languages = [" * 5000, "not valid TOML"),
        ("bitext = []", "bitext = [1]", "training.bitext.0"),
    ],
)
def test_a_wrong_card_is_refused_with_the_field(old: str, new: str, match: str) -> None:
    assert old in CARD
    with pytest.raises(DataError, match=match):
        parse_system_card(CARD.replace(old, new, 1).encode(), where="system.toml")


def test_a_card_with_a_number_of_a_million_digits_is_refused() -> None:
    text = CARD + "note = " + "9" * 60_000
    with pytest.raises(DataError, match="not valid TOML"):
        parse_system_card(text.encode(), where="system.toml")


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_card_or_a_data_error(data: bytes) -> None:
    with pytest.raises(DataError):
        parse_system_card(data, where="system.toml")


@given(st.text(string.printable + "\u202e\"'\\", max_size=40))
def test_a_template_holds_any_text_a_result_may_have(text: str) -> None:
    info = EncoderInfo(name="x", revision="1", description=text or "d", license=text or None)
    record = SystemRecord.of(info, dim=1, spec="x", package="p")
    with pytest.raises(DataError, match="is still to be filled in"):
        parse_system_card(template(record).encode(), where="system.toml")
