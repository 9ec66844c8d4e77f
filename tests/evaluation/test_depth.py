"""Rankings shallower than a measure: no command gives their values a deeper measure's name."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from folders import DOCUMENTS, QRELS, Folder, clir, evaluate_folder, make_folder, write_jsonl
from submissions import Submitted, make_submission

from clir_bench.errors import UsageError
from clir_bench.leaderboard.definition import read_definition
from clir_bench.leaderboard.submission import run_format
from clir_bench.results.schema import Result, SuiteResult
from clir_bench.results.store import parse_values, read_result
from clir_bench.tasks import catalog

N_SWAHILI = 204


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The collection with 200 more Swahili documents; the German ones are 3."""
    return widened(make_folder(tmp_path))


def widened(folder: Folder) -> Folder:
    more = {f"x{number:03}": f"habari ya {number} kutoka Kitale" for number in range(200)}
    texts = {**DOCUMENTS["sw"], **more}
    rows = [{"_id": doc_id, "title": "", "text": text} for doc_id, text in texts.items()]
    write_jsonl(folder.data / "sw" / "corpus.jsonl", rows)
    folder.edit_card('"*-sw" = [4, 3, 5]', f'"*-sw" = [{N_SWAHILI}, 3, 5]')
    return folder


def run(folder: Folder, *arguments: object, out: str = "out", pairs: str = "en-sw") -> int:
    output = folder.card_path.parent / out
    return clir(
        "run", "-m", "hashing", "-t", folder.card_path, "-o", output, "-p", pairs, *arguments
    )  # fmt: skip


def result_file(folder: Folder, system: str = "hashing", out: str = "out") -> Path:
    return folder.card_path.parent / out / system / "mine" / "test.json"


def stored(folder: Folder, system: str = "hashing", out: str = "out") -> Result:
    result = read_result(result_file(folder, system, out))
    assert isinstance(result, Result)
    return result


def edited(path: Path, change: Callable[[Any], object]) -> Path:
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def as_before(raw: Any) -> None:
    """Take out what results did not state before."""
    for pair in raw["pairs"].values():
        pair.pop("depth", None)
        pair.pop("cut", None)


def cut_run(folder: Folder, name: str, depths: dict[str, int], out: str = "out") -> Path:
    """Store the hashing encoder's run of en-sw, cut at a depth for every query."""
    text = gzip.decompress(
        (result_file(folder, out=out).parent / "test" / "en-sw.run.gz").read_bytes()
    )
    lines = [
        line
        for line in text.decode().splitlines()
        if int(line.split()[3]) <= depths[line.split()[0]]
    ]
    path = folder.card_path.parent / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def trec_eval(folder: Folder, measure: str, out: str = "out") -> float:
    """Return what trec_eval makes of the stored run of en-sw."""
    text = gzip.decompress(
        (result_file(folder, out=out).parent / "test" / "en-sw.run.gz").read_bytes()
    )
    run_of = {query_id: {} for query_id in QRELS["sw"]}  # type: dict[str, dict[str, float]]
    for line in text.decode().splitlines():
        query_id, _, doc_id, _, score, _ = line.split()
        run_of[query_id][doc_id] = float(score)
    parsed = ir_measures.parse_measure(measure)
    return float(ir_measures.calc_aggregate([parsed], QRELS["sw"], run_of)[parsed])


def test_a_shallow_run_names_the_cards_measures_by_its_depth_and_is_not_official(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--top-k", 3) == 0
    result = stored(folder)
    assert result.task.measures == ("nDCG@3", "AP@3", "Judged@3")
    pair = result.pairs["en-sw"]
    assert (pair.depth, pair.cut) == (3, True)
    for measure in ("nDCG@3", "AP@3"):
        assert pair.scores[measure].mean == pytest.approx(trec_eval(folder, measure))
    reason = (
        "rankings of 3 documents per query: too few for the task's nDCG@10, AP@1000, and for "
        "boards, which keep 100"
    )
    assert (result.task.official, result.task.unofficial) == (False, (reason,))
    out = capsys.readouterr().out
    assert f"Not official:\n- {reason}" in out
    assert "nDCG@3 [95% interval]    AP@3" in out
    assert "nDCG@10 [" not in out


def test_a_run_as_deep_as_boards_is_official_under_the_right_names(folder: Folder) -> None:
    assert run(folder, "--top-k", 100) == 0
    result = stored(folder)
    assert result.task.measures == ("nDCG@10", "AP@100", "Judged@10")
    assert result.task.official
    assert result.pairs["en-sw"].scores["AP@100"].mean == pytest.approx(trec_eval(folder, "AP@100"))


def test_a_ranking_of_the_whole_corpus_keeps_every_name(folder: Folder) -> None:
    assert run(folder, "--measures", "R@5000,AP") == 0
    result = stored(folder)
    assert result.task.measures == ("nDCG@10", "AP@1000", "R@5000", "AP", "Judged@10")
    assert result.task.official
    assert (result.pairs["en-sw"].depth, result.pairs["en-sw"].cut) == (N_SWAHILI, False)
    assert run(folder, "--top-k", N_SWAHILI, out="exact") == 0
    assert stored(folder, out="exact").task.measures == ("nDCG@10", "AP@1000", "Judged@10")


def test_one_document_less_than_the_corpus_is_a_cut(folder: Folder) -> None:
    assert run(folder, "--top-k", N_SWAHILI - 1) == 0
    assert stored(folder).task.measures == ("nDCG@10", "AP@203", "Judged@10")


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("R@100", r"R@100 looks at 100 documents per query \(R@5 is possible\)"),
        ("AP", r"AP is over whole rankings, of 1,000 documents per query \(AP@5 is possible\)"),
        ("Bpref", "Bpref is over whole rankings, of 1,000 documents per query; "),
    ],
)
def test_a_measure_that_was_asked_for_is_refused_with_the_remedy_before_any_model_runs(
    folder: Folder, measure: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"{said}.*rankings hold 5: add --top-k 1?00"):
        evaluate_folder(folder, folder.card_path.parent / "out", measures=(measure,), top_k=5)
    assert not (folder.card_path.parent / "out").exists()


def test_corpora_that_the_card_does_not_count_are_counted_before_measures_are_refused(
    folder: Folder,
) -> None:
    text = folder.card_path.read_text(encoding="utf-8")
    folder.card_path.write_text(text[: text.index("[counts.test]")], encoding="utf-8")
    output = folder.card_path.parent / "out"
    with pytest.raises(UsageError, match="R@100 looks at 100"):
        evaluate_folder(folder, output, measures=("R@100",), top_k=5)
    result = evaluate_folder(folder, output, measures=("R@100",), top_k=5, pairs="en-de")
    assert "R@100" in result.task.measures  # of three documents


def test_a_card_without_a_measure_for_the_depth_is_refused(folder: Folder) -> None:
    folder.edit_card('measures = ["nDCG@10", "AP@1000"]', 'measures = ["Bpref"]')
    with pytest.raises(UsageError, match=r"Bpref is over whole rankings.*add --top-k 1000"):
        evaluate_folder(folder, folder.card_path.parent / "out", top_k=5)


def test_pairs_of_one_result_have_one_name_also_where_one_of_them_came_first(
    folder: Folder,
) -> None:
    output = folder.card_path.parent / "out"
    first = evaluate_folder(folder, output, pairs="en-de", top_k=5)
    assert first.task.measures == ("nDCG@10", "AP@1000", "Judged@10")
    both = evaluate_folder(folder, output, pairs="en-sw", top_k=5)
    assert both.task.measures == ("nDCG@5", "AP@5", "Judged@5")
    assert set(both.pairs["en-de"].scores) == set(both.task.measures)
    # Each German query has one relevant document among three: AP is the same at every depth.
    assert both.pairs["en-de"].scores["AP@5"] == first.pairs["en-de"].scores["AP@1000"]
    file = output / "watched" / "mine" / "test" / "en-de.values.tsv.gz"
    values = parse_values(gzip.decompress(file.read_bytes()), file)
    assert values.measures == both.task.measures


def test_a_result_from_before_is_read_as_it_is_and_named_rightly_when_run_again(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--top-k", 3) == 0
    path = result_file(folder)
    values = path.parent / "test" / "en-sw.values.tsv.gz"
    text = gzip.decompress(values.read_bytes()).decode()
    named = text.replace("nDCG@3", "nDCG@10").replace("AP@3", "AP@1000").replace("d@3", "d@10")
    values.write_bytes(gzip.compress(named.encode()))
    raw = path.read_text(encoding="utf-8")
    for now, before in (("nDCG@3", "nDCG@10"), ("AP@3", "AP@1000"), ("d@3", "d@10")):
        raw = raw.replace(f'"{now}"', f'"{before}"')
    path.write_text(raw, encoding="utf-8")
    edited(path, as_before)
    assert clir("show", path) == 0
    assert "nDCG@10" in capsys.readouterr().out
    assert run(folder, "--top-k", 3) == 0
    assert stored(folder).task.measures == ("nDCG@3", "AP@3", "Judged@3")


# score


def score(folder: Folder, *files: object) -> int:
    output = folder.card_path.parent / "out"
    return clir("score", "-t", folder.card_path, "--system", "other", "-o", output, *files)


def test_the_depth_of_a_run_made_elsewhere_is_what_it_holds(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    path = cut_run(folder, "ten.run", {"q1": 10, "q2": 10, "q3": 7})
    capsys.readouterr()
    assert score(folder, f"en-sw={path}") == 0
    result = stored(folder, "other")
    assert result.settings.top_k == 10
    assert (result.pairs["en-sw"].depth, result.pairs["en-sw"].cut) == (10, True)
    assert result.task.measures == ("nDCG@10", "AP@10", "Judged@10")
    assert not result.task.official
    assert capsys.readouterr().err == (
        f"note: en-sw: {path} holds 10 documents per query, so what looks deeper is over as many: "
        "AP@1000\n"
    )


def test_a_run_whose_rankings_end_by_themselves_is_called_by_the_longest(folder: Folder) -> None:
    assert run(folder) == 0
    path = cut_run(folder, "boolean.run", {"q1": 12, "q2": 37, "q3": 1})
    assert score(folder, f"en-sw={path}") == 0
    result = stored(folder, "other")
    assert result.task.measures == ("nDCG@10", "AP@37", "Judged@10")
    assert (result.settings.top_k, result.task.official) == (37, False)


def test_one_longer_ranking_does_not_make_a_run_deeper(folder: Folder) -> None:
    assert run(folder) == 0
    path = cut_run(folder, "ten.run", {"q1": 10, "q2": 10, "q3": 11})
    assert score(folder, f"en-sw={path}") == 0
    assert stored(folder, "other").task.measures == ("nDCG@10", "AP@10", "Judged@10")


def test_a_native_search_that_finds_nothing_is_no_zero(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    folder.edit_card("parallel_queries = true", "parallel_queries = true\nskip_same_id = true")
    text = (folder.data / "sw/corpus.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (folder.data / "sw/corpus.jsonl").write_text(text.replace('"d1"', '"q1"'), encoding="utf-8")
    (folder.data / "qrels/sw.test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tq1\t1\n", encoding="utf-8"
    )
    result = evaluate_folder(folder, tmp_path / "out", pairs="en-sw")
    pair = result.pairs["en-sw"]
    assert pair.status == "failed" and "hold no document" in (pair.error or "")


def test_a_system_that_matches_no_term_scores_zero_under_every_name(folder: Folder) -> None:
    queries = folder.data / "queries.en.jsonl"
    rows = [json.loads(line) for line in queries.read_text(encoding="utf-8").splitlines()]
    write_jsonl(queries, [row | {"text": f"zq{number}x"} for number, row in enumerate(rows)])
    output = folder.card_path.parent / "out"
    code = clir("run", "-m", "bm25", "-t", folder.card_path, "-o", output, "-p", "en-sw")
    assert code == 0
    pair = stored(folder, "bm25").pairs["en-sw"]
    assert pair.status == "done"
    assert {score.mean for name, score in pair.scores.items() if not name.startswith("Judged")} == {
        0.0
    }
    assert "nDCG@10" in pair.scores


def test_runs_of_two_depths_are_measured_at_the_shallower_one(folder: Folder) -> None:
    assert run(folder, pairs="en-sw,fr-sw") == 0
    ten = cut_run(folder, "ten.run", dict.fromkeys(("q1", "q2", "q3"), 10))
    whole = result_file(folder).parent / "test" / "fr-sw.run.gz"
    assert score(folder, f"fr-sw={whole}", f"en-sw={ten}") == 0
    result = stored(folder, "other")
    assert result.task.measures == ("nDCG@10", "AP@10", "Judged@10")
    assert (result.pairs["fr-sw"].depth, result.pairs["fr-sw"].cut) == (N_SWAHILI, False)
    assert result.settings.top_k == 10
    # fr-sw was scored as AP@1000 first; trec_eval's map_cut_10 of the same run file:
    deep = stored(folder).pairs["fr-sw"]
    assert result.pairs["fr-sw"].scores["AP@10"].mean <= deep.scores["AP@1000"].mean
    assert set(result.pairs["fr-sw"].scores) == set(result.pairs["en-sw"].scores)


def test_a_measure_asked_for_that_a_run_does_not_reach_fails_its_pair_alone(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, pairs="en-sw,fr-sw") == 0
    ten = cut_run(folder, "ten.run", dict.fromkeys(("q1", "q2", "q3"), 10))
    whole = result_file(folder).parent / "test" / "fr-sw.run.gz"
    capsys.readouterr()
    assert score(folder, f"en-sw={ten}", f"fr-sw={whole}", "--measures", "R@100") == 1
    assert (
        f"failed: en-sw: {ten}: R@100 looks at 100 documents per query (R@10 is possible); "
        "rankings hold 10: score a deeper run, or leave them out"
    ) in capsys.readouterr().err
    assert "R@100" in stored(folder, "other").pairs["fr-sw"].scores
    assert stored(folder, "other").task.measures[1] == "AP@1000"


# compare, export, disparity


def test_what_one_of_two_results_does_not_reach_is_not_compared(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--measures", "R@100") == 0
    ten = cut_run(folder, "ten.run", dict.fromkeys(("q1", "q2", "q3"), 10))
    assert score(folder, f"en-sw={ten}") == 0
    files = result_file(folder), result_file(folder, "other")
    capsys.readouterr()
    assert clir("compare", *files, "--measures", "R@100") == 1
    assert (
        "other has no R@100, only nDCG@10, AP@10, Judged@10: its rankings hold 10 documents per "
        "query; compare by R@10, which --measures R@10 adds to the other"
    ) in capsys.readouterr().err
    assert clir("compare", *files, "--measures", "nDCG@10") == 0
    # The remedy works, and costs no model: the same ranking ties with itself.
    assert run(folder, "--measures", "AP@10") == 0
    capsys.readouterr()
    assert clir("compare", *files, "--measures", "AP@10") == 0
    out = capsys.readouterr().out
    assert "0.0000 [0.000, 0.000]" in out, out


def test_a_name_from_before_that_the_depth_does_not_support_is_not_compared(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("one", "two"):
        assert run(folder, "--measures", "R@100", out=out) == 0
        edited(result_file(folder, out=out), as_before)
        edited(result_file(folder, out=out), lambda raw: raw["settings"].update(top_k=10))
    capsys.readouterr()
    files = result_file(folder, out="one"), result_file(folder, out="two")
    assert clir("compare", *files, "--measures", "R@100") == 1
    assert "R@100 looks at 100 documents per query" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["mteb", "model-index", "ir-metadata"])
def test_nothing_is_exported_under_a_name_that_the_depth_does_not_support(
    folder: Folder, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert run(folder) == 0
    path = edited(result_file(folder), as_before)
    edited(path, lambda raw: raw["settings"].update(top_k=20))
    output = folder.card_path.parent / "exported"
    capsys.readouterr()
    assert clir("export", "--format", form, "-o", output, path) == 0
    assert "left out: AP@1000 looks at 1,000 documents" in capsys.readouterr().err
    file = output / "hashing" / "mine" / "en-sw.run" if form == "ir-metadata" else output
    text = file.read_text(encoding="utf-8")
    assert "map_at_1000" not in text and "AP@1000" not in text
    assert ("nDCG@10" if form == "ir-metadata" else "ndcg_at_10") in text
    edited(path, lambda raw: raw["settings"].update(top_k=5))
    assert clir("export", "--format", form, "-o", output, path) == 1
    assert "nDCG@10 looks at 10 documents per query" in capsys.readouterr().err


def test_a_shallow_run_is_exported_under_no_name(folder: Folder) -> None:
    assert run(folder, "--top-k", 3) == 0
    assert clir("export", "--format", "mteb", result_file(folder)) == 1


# Suites


def test_a_suites_line_is_called_by_the_depth(
    tmp_path: Path, folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "all.toml").write_text(
        'id = "all"\ntitle = "All"\ndescription = "One task."\nlicense = "CC0-1.0"\n'
        '[[parts]]\ntask = "mine"\nmeasure = "AP@1000"\n',
        encoding="utf-8",
    )
    output = tmp_path / "out"
    command = ("run", "-m", "hashing", "-t", "all", "--tasks-dir", tmp_path, "-o", output)
    assert clir(*command, "--top-k", 3) == 0
    suite = read_result(output / "hashing" / "all" / "test.json")
    assert isinstance(suite, SuiteResult)
    (part,) = suite.parts
    assert (part.measure, part.official, suite.official) == ("AP@3", False, False)
    result = stored(folder)
    assert part.score is not None
    assert part.score.mean == result.overall["AP@3"].mean


# Submissions and boards


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    return make_submission(tmp_path, monkeypatch, widened)


def test_a_submission_shallower_than_boards_is_refused_in_one_line(made: Submitted) -> None:
    assert made.problems() == ""
    text = lzma.decompress(made.run().read_bytes())
    kept = [line for line in text.splitlines(keepends=True) if int(line.split()[3]) <= 10]
    made.replace_run(run_format.compress(b"".join(kept)))
    expected = "rankings hold 10 documents per query, but boards show measures over 100"
    assert made.problems().count(expected) == 1
    made.task.edit("sw/corpus.jsonl", "Kitale", "Kitali")  # with other data, by the values alone
    assert made.problems().count(expected) == 1


def test_a_submission_states_no_depth_of_its_own(made: Submitted) -> None:
    made.edit(lambda raw: raw["pairs"]["en-sw"].update(depth=3, cut=False))
    assert (
        "submissions must not state a depth or uncut rankings of pairs: 'en-sw'" in made.problems()
    )


def test_a_board_shows_no_measure_that_submissions_do_not_reach(
    made: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made.root.parent / "mine.toml"
    path.write_text(
        'title = "T"\nabout = "A"\n[[sections]]\nid = "s"\ntitle = "T"\nabout = "A"\n'
        'task = "mine"\npairs = ["en-sw"]\nmeasures = ["AP@1000"]\n',
        encoding="utf-8",
    )
    assert catalog.shipped_directory() == made.task.card_path.parent
    expected = "AP@1000 looks deeper than the 100 documents per query .* write AP@100"
    with pytest.raises(UsageError, match=expected):
        read_definition(path)
