"""Runs made elsewhere: scored as ours are, refused when they are of something else."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import ir_measures
import pytest
from folders import Folder, clir, make_folder, write_jsonl
from ir_measures import AP, R, nDCG

from clir_bench.errors import DataError
from clir_bench.evaluation import score_runs
from clir_bench.metrics import scoring
from clir_bench.metrics.scoring import QueryScores
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result
from clir_bench.types import Qrel, Run


def ranked(**rankings: str) -> list[str]:
    """Return the lines of a run: documents by query, best first."""
    return [
        f"{query_id} Q0 {doc_id} {rank} {10 - rank}.5 t"
        for query_id, doc_ids in rankings.items()
        for rank, doc_id in enumerate(doc_ids.split(), 1)
    ]


PERFECT = ranked(q1="d1 d4 d2 d3", q2="d2 d4 d1 d3", q3="d3 d1 d2 d4")
"""The four Swahili documents, those that are relevant first."""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def write_run(folder: Folder, lines: list[str], name: str = "sw.run") -> Path:
    path = folder.card_path.parent / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def score(folder: Folder, *arguments: object, system: str = "bm25") -> int:
    output = folder.card_path.parent / "out"
    return clir(
        "score", "-t", folder.card_path, "--system", system, "-o", output, *arguments
    )  # fmt: skip


def stored(folder: Folder, system: str = "bm25") -> Result:
    found = read_result(folder.card_path.parent / "out" / system / "mine" / "test.json")
    assert isinstance(found, Result)
    return found


def test_a_perfect_run_scores_one_and_is_stored_like_any_result(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, f"en-sw={write_run(folder, PERFECT)}") == 0
    result = stored(folder)
    pair = result.pairs["en-sw"]
    assert (pair.status, pair.official, pair.cost) == ("done", True, None)
    assert pair.scores["nDCG@10"].mean == 1
    assert result.pairs["en-de"].status == "not run"
    assert result.system.description == "runs made elsewhere"
    captured = capsys.readouterr()
    assert "bm25 on My collection, test (not all official pairs)" in captured.out
    assert captured.out.rstrip().endswith("out/bm25/mine/test.json")
    assert captured.err == ""


def test_scores_are_those_worked_out_by_hand(folder: Folder) -> None:
    # q1: the relevant d1 second behind the judged d4; q2: d4 and d2 first and third; q3: d3 last.
    lines = ranked(q1="d4 d1 d2 d3", q2="d4 d1 d2 d3", q3="d1 d2 d4 d3")
    assert score(folder, f"en-sw={write_run(folder, lines)}", "--measures", "RR") == 0
    means = {m: s.mean for m, s in stored(folder).pairs["en-sw"].scores.items()}
    assert means["AP@1000"] == pytest.approx((1 / 2 + (1 + 2 / 3) / 2 + 1 / 4) / 3)
    assert means["RR"] == pytest.approx((1 / 2 + 1 + 1 / 4) / 3)


def test_our_own_run_file_scores_as_it_did(folder: Folder) -> None:
    output = folder.card_path.parent / "out"
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", output) == 0
    ours = stored(folder, "hashing")
    files = [f"{name}={output}/hashing/mine/test/{name}.run.gz" for name in ours.pairs]
    assert score(folder, *files) == 0
    theirs = stored(folder)
    assert theirs.overall == ours.overall
    assert theirs.tiers == ours.tiers
    assert theirs.task.complete


def test_unanswered_queries_count_zero_and_are_said(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_run(folder, PERFECT[:4])
    assert score(folder, f"en-sw={path}") == 0
    assert stored(folder).pairs["en-sw"].scores["nDCG@10"].mean == pytest.approx(1 / 3)
    assert capsys.readouterr().err.splitlines()[0] == (
        f"note: en-sw: 2 of 3 judged queries have no line in {path} and count 0"
    )


def test_the_rank_column_is_not_believed_and_packing_changes_nothing(folder: Folder) -> None:
    lines = [line.replace(" 1 ", " 7 ") for line in reversed(PERFECT)]
    path = folder.card_path.parent / "sw.run.gz"
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    assert score(folder, f"en-sw={path}") == 0
    assert stored(folder).pairs["en-sw"].scores["nDCG@10"].mean == 1


def test_a_run_of_another_corpus_is_refused_and_the_others_are_scored(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write_run(folder, PERFECT), write_run(folder, PERFECT, "de.run")
    assert score(folder, f"en-sw={good}", f"en-de={bad}") == 1
    result = stored(folder)
    assert (result.pairs["en-sw"].status, result.pairs["en-de"].status) == ("done", "failed")
    assert capsys.readouterr().err == (
        f"failed: en-de: {bad}: 1 documents are not in the corpus of en-de: 'd4'; "
        "is it the run of another pair or task?\n"
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q1 Q0 d1 1 9.5", ":2: expected 6 columns, found 5"),
        ("q1 Q0 d2 1 high t", ":2: score must be a finite"),
        ("q1 Q0 d2 1 nan t", ":2: score must be a finite"),
        ("q1 Q0 d1 2 1 t", ":2: 'd1' occurs twice for query 'q1'"),
    ],
)
def test_a_broken_line_of_a_run_is_named(
    folder: Folder, line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_run(folder, [PERFECT[0], line])
    assert score(folder, f"en-sw={path}") == 1
    assert f"failed: en-sw: {path}{problem}" in capsys.readouterr().err


def test_an_empty_run_is_refused(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert score(folder, f"en-sw={write_run(folder, [])}") == 1
    assert "no line; expected `query_id Q0 doc_id rank score tag`" in capsys.readouterr().err


def test_missing_run_files_are_named_together(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, "en-sw=no.run", "en-de=none.run") == 1
    err = capsys.readouterr().err
    assert err == "error: no such run file: no.run, none.run\n"
    assert not (folder.card_path.parent / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sw.run"], "'sw.run': write the pair and its run file, as in en-sw="),
        (["en-xx=sw.run"], "unknown language 'xx'"),
        (["de-sw=sw.run"], "unknown pair 'de-sw'; did you mean"),
        (["all=sw.run"], "names 4 pairs; a run file is of one"),
        (["=sw.run"], "'=sw.run': write the pair and its run file, as in en-sw="),
        (["en-sw=sw.run", "eng-swh=b.run"], "pair en-sw has a run file already"),
        (["en-sw=sw.run", "--measures", "nDCC@10"], "unknown measure 'nDCC@10'; did you mean nDCG"),
        (["en-sw=sw.run", "--split", "tset"], "unknown split 'tset'; did you mean test?"),
        (["en-sw=sw.run", "--tiers", "joshy"], "unknown tier scheme 'joshy'; did you mean joshi?"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_error(
    folder: Folder, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(folder, PERFECT)
    assert score(folder, *arguments) == 2
    captured = capsys.readouterr()
    assert problem in captured.err
    assert captured.out == ""
    assert not (folder.card_path.parent / "out").exists()


def test_a_suite_cannot_be_scored(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("score", "-t", "xtreme-r", "--system", "x", "en-sw=a.run") == 2
    assert "'xtreme-r' is a suite; score its parts one by one" in capsys.readouterr().err


def test_other_runs_do_not_replace_those_stored_under_the_name(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, f"en-sw={write_run(folder, PERFECT)}") == 0
    first = stored(folder)
    worse = write_run(folder, PERFECT[:1], "worse.run")
    assert score(folder, f"en-sw={worse}") == 1
    assert "holds a result with another revision (" in capsys.readouterr().err
    assert stored(folder) == first
    assert score(folder, f"en-sw={worse}", "--overwrite") == 0
    assert stored(folder).overall != first.overall


def test_the_same_runs_with_more_measures_are_scored_again(folder: Folder) -> None:
    path = write_run(folder, PERFECT)
    assert score(folder, f"en-sw={path}") == 0
    assert score(folder, f"en-sw={path}", "--measures", "P@1") == 0
    assert stored(folder).overall["P@1"].mean == 1


def test_json_is_the_result_and_nothing_else(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(folder, f"en-sw={write_run(folder, PERFECT[:2])}", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert Result.model_validate(json.loads(lines[0])) == stored(folder)


def test_a_query_in_the_corpus_is_taken_out_of_its_own_ranking(tmp_path: Path) -> None:
    task = ("-t", "mtop-intent", "--sample", "-o", tmp_path)
    assert clir("run", "-m", "hashing", *task, "-p", "de-en") == 0
    ours = read_result(tmp_path / "hashing/mtop-intent/sample.json")
    assert isinstance(ours, Result)
    stored_run = tmp_path / "hashing/mtop-intent" / str(ours.pairs["de-en"].run_file)
    lines = gzip.decompress(stored_run.read_bytes()).decode().splitlines()
    queries = {line.split()[0] for line in lines}
    itself = [f"{query_id} Q0 {query_id} 1 9 t" for query_id in sorted(queries)]
    path = tmp_path / "with-itself.run"
    path.write_text("\n".join([*itself, *lines]) + "\n", encoding="utf-8")
    assert clir("score", "--system", "elsewhere", *task, f"de-en={path}") == 0
    theirs = read_result(tmp_path / "elsewhere/mtop-intent/sample.json")
    assert isinstance(theirs, Result)
    assert theirs.pairs["de-en"].scores == ours.pairs["de-en"].scores


def test_a_measure_that_breaks_down_fails_its_pair_and_no_other(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(run: Run, qrels: list[Qrel], measures: tuple[str, ...]) -> QueryScores:
        if len(run.query_ids) == 1:
            raise DataError("a tool broke down")
        return scoring.score(run, qrels, measures)

    monkeypatch.setattr(score_runs, "score", breaks)
    bad = write_run(folder, ["q1 Q0 d1 1 2 t"], "bad.run")
    assert score(folder, f"fr-sw={bad}", f"en-sw={write_run(folder, PERFECT)}") == 1
    statuses = {name: pair.status for name, pair in stored(folder).pairs.items()}
    assert (statuses["fr-sw"], statuses["en-sw"]) == ("failed", "done")
    assert "fr-sw: a tool broke down" in capsys.readouterr().err


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_a_run_from_a_pipe_scores_as_the_same_run_from_a_file(
    folder: Folder, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    data = pack(("\n".join(PERFECT[:3]) + "\n").encode())
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_bytes(data)
    assert score(folder, f"en-sw={file}") == 0
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert score(folder, f"en-sw={pipe}", system="piped") == 0
    writer.join()
    ours, theirs = stored(folder), stored(folder, "piped")
    assert ours.pairs["en-sw"].run_sha256 is not None
    assert theirs.pairs["en-sw"].scores == ours.pairs["en-sw"].scores
    assert theirs.system.revision == ours.system.revision


def test_a_broken_run_from_a_pipe_is_named_as_it_was_called(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a b c\n",))
    writer.start()
    assert score(folder, f"en-sw={pipe}") == 1
    writer.join()
    assert f"en-sw: {pipe}:1: expected 6 columns, found 3" in capsys.readouterr().err


def test_judged_documents_that_the_corpus_lacks_count_as_not_retrieved(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = [("q1", "d1", 2), ("q1", "d4", 0), ("q2", "d2", 1), ("q2", "d4", 1), ("q3", "d3", 1)]
    judged += [("q2", "d98", 2), ("q3", "d99", 0)]
    with (folder.data / "qrels/sw.test.tsv").open("a", encoding="utf-8") as file:
        file.write("q2\td98\t2\nq3\td99\t0\n")
    measures = [nDCG @ 10, AP @ 1000, R @ 100]
    qrels = [ir_measures.Qrel(*row) for row in judged]
    run = ir_measures.read_trec_run("\n".join(PERFECT))
    by_trec_eval = ir_measures.calc_aggregate(measures, qrels, run)

    folder.edit_card('"*-sw" = [4, 3, 5]', '"*-sw" = [4, 3, 7]')
    assert score(folder, f"en-sw={write_run(folder, PERFECT)}", "--measures", "R@100") == 0
    pair = stored(folder).pairs["en-sw"]
    for measure in measures:
        assert pair.scores[str(measure)].mean == pytest.approx(by_trec_eval[measure])
    assert pair.counts is not None and pair.counts.missing_judged == 2
    assert pair.unofficial == (
        "the corpus lacks 2 judged documents where the card states 0 (missing_judged): "
        "'d98', 'd99'",
    )
    assert "en-sw: judged documents that the corpus lacks: 2;" in capsys.readouterr().out

    folder.edit_card("[counts.test]", '[missing_judged.test]\n"*-sw" = 2\n\n[counts.test]')
    assert score(folder, f"en-sw={write_run(folder, PERFECT)}", system="stated") == 0
    assert stored(folder, "stated").pairs["en-sw"].official


def arguana(folder: Folder) -> list[str]:
    """Make the queries documents of the corpus, and return a run in which each finds itself."""
    texts = {"q1": "heavy rain", "d1": "rain", "q2": "lunch", "d2": "school lunch", "q3": "x"}
    rows = [{"_id": doc_id, "title": "", "text": text} for doc_id, text in texts.items()]
    write_jsonl(folder.data / "sw/corpus.jsonl", rows)
    (folder.data / "qrels/sw.test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\nq3\td2\t1\n", encoding="utf-8"
    )
    folder.edit_card('"*-sw" = [4, 3, 5]', '"*-sw" = [5, 3, 3]')
    return ranked(q1="q1 d1 q2 d2 q3", q2="q2 q1 d2 d1 q3", q3="q3")


def test_a_querys_own_document_is_taken_out_as_beir_does(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = arguana(folder)
    path = write_run(folder, lines)
    assert score(folder, f"en-sw={path}", system="kept") == 0
    assert stored(folder, "kept").pairs["en-sw"].skip_same_id is False
    assert "own id" not in capsys.readouterr().out
    # BEIR's rule, `ignore_identical_ids`: results.pop(doc_id) where doc_id == query_id.
    without = [line for line in lines if line.split()[0] != line.split()[2]]
    qrels = [ir_measures.Qrel(*row) for row in [("q1", "d1", 1), ("q2", "d2", 1), ("q3", "d2", 1)]]
    run = ir_measures.read_trec_run("\n".join(without))
    by_rule = ir_measures.calc_aggregate([nDCG @ 10, AP @ 1000], qrels, run)

    folder.edit_card("parallel_queries = true", "parallel_queries = true\nskip_same_id = true")
    assert score(folder, f"en-sw={path}") == 0
    pair = stored(folder).pairs["en-sw"]
    for measure, value in by_rule.items():
        assert pair.scores[str(measure)].mean == pytest.approx(value)
    # q1 first, q2 second behind another query's document, q3 nothing at all
    assert pair.scores["AP@1000"].mean == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert pair.skip_same_id and pair.counts is not None and pair.counts.retrieved == 8
    assert "note: a document with a query's own id is taken out" in capsys.readouterr().out

    output = folder.card_path.parent / "out"
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-p", "en-sw", "-o", output) == 0
    ours = output / "hashing/mine/test/en-sw.run.gz"
    ranked = [line.split() for line in gzip.decompress(ours.read_bytes()).decode().splitlines()]
    assert ranked and all(query_id != doc_id for query_id, _, doc_id, *_ in ranked)
    assert stored(folder, "hashing").pairs["en-sw"].skip_same_id
    assert clir("tasks", folder.card_path) == 0
    assert "own document" in capsys.readouterr().out


def test_a_run_loses_a_document_of_its_depth_where_a_query_is_taken_out(folder: Folder) -> None:
    arguana(folder)
    folder.edit_card("parallel_queries = true", "parallel_queries = true\nskip_same_id = true")
    path = write_run(folder, ranked(q1="d1 d2 q2", q2="q2 d2 d1", q3="d1 d2 q1"))
    assert score(folder, f"en-sw={path}") == 0
    pair = stored(folder).pairs["en-sw"]
    assert (pair.depth, pair.cut) == (2, True)
    assert stored(folder).task.measures == ("nDCG@2", "AP@2", "Judged@2")


@pytest.mark.parametrize(
    "rankings",
    [
        {"q1": "q1", "q2": "q2", "q3": "q3"},
        {"q1": "q1", "q2": "d1", "q3": "d1"},
        {"q4": "d1 d2"},  # which nobody judged
    ],
)
def test_a_run_of_which_nothing_can_be_scored_is_refused(
    folder: Folder, capsys: pytest.CaptureFixture[str], rankings: dict[str, str]
) -> None:
    arguana(folder)
    folder.edit_card("parallel_queries = true", "parallel_queries = true\nskip_same_id = true")
    assert score(folder, f"en-sw={write_run(folder, ranked(**rankings))}") == 1
    assert stored(folder).pairs["en-sw"].status == "failed"
    assert (
        "failed: en-sw: rankings of judged queries hold no document, once each query is taken out "
        "of its own: there is nothing to score"
    ) in capsys.readouterr().err


def test_relevant_documents_without_text_are_said_on_the_screen(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.edit("sw/corpus.jsonl", "Mvua kubwa ilinyesha bandarini.", " ")
    output = folder.card_path.parent / "out"
    assert clir("run", "-m", "hashing", "-t", folder.card_path, "-o", output) == 0
    said = "note: en-sw: relevant documents without text: 1; an encoder never retrieves them"
    assert said in capsys.readouterr().out
    assert clir("show", output) == 0
    shown = capsys.readouterr().out
    assert said in shown and "note: en-de" not in shown
