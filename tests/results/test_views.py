"""Results as data frames, plots and tables of a notebook, against the files of a run."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import ir_measures
import pytest
from folders import QRELS, Folder, Watched, evaluate_folder, make_folder

from clir_bench.errors import EncoderError, UsageError
from clir_bench.results.schema import Result, SuitePart, SuiteResult
from clir_bench.results.store import read_result, write_result
from clir_bench.results.views import EvaluationResult, load_result, load_results
from clir_bench.types import LanguagePair

HOSTILE = "<b>$x$\n_{\x1b"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return make_folder(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def output(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("results")
    evaluate_folder(folder, output)
    evaluate_folder(folder, output, Watched(name="other", failures={"fr": EncoderError("broke")}))
    return output


@pytest.fixture(scope="module")
def one(output: Path) -> EvaluationResult:
    return load_result(output / "watched/mine/test.json")


def by_hand(output: Path, pair: str, measure: str) -> dict[str, float]:
    """Every query's value, by ir-measures from the run file and the judgments."""
    run = gzip.decompress((output / f"watched/mine/test/{pair}.run.gz").read_bytes()).decode()
    qrels = [
        ir_measures.Qrel(query_id, doc_id, relevance)
        for query_id, judged in QRELS[LanguagePair.parse(pair).document].items()
        for doc_id, relevance in judged.items()
    ]
    parsed = ir_measures.parse_measure(measure)
    rankings = list(ir_measures.read_trec_run(run))
    return {m.query_id: m.value for m in ir_measures.iter_calc([parsed], qrels, rankings)}


def test_a_frame_has_a_row_per_pair_with_what_the_json_says_to_the_last_digit(
    one: EvaluationResult,
) -> None:
    raw = json.loads(one.path.read_text(encoding="utf-8"))
    frame = one.to_frame().set_index("pair")
    assert set(frame.index) == set(raw["pairs"])
    for name, pair in raw["pairs"].items():
        row = frame.loc[name]
        for measure, score in pair["scores"].items():
            ends = [row[f"{measure} low"], row[f"{measure} high"]]
            assert [row[measure], *ends] == [score["mean"], *score["interval"]]
        assert {count: row[count] for count in pair["counts"]} == pair["counts"]
        assert (row.tier, row.status, row.official) == (pair["tier"], "done", True)
    assert tuple(frame.loc["en-sw", ["query_language", "document_language"]]) == ("en", "sw")
    assert tuple(frame.loc["en-sw", ["language", "script", "family"]]) == (
        "sw", "Latn", "Niger-Congo",
    )  # fmt: skip


def test_frames_agree_with_ir_measures_on_the_run_files(
    one: EvaluationResult, output: Path
) -> None:
    frame, queries = one.to_frame().set_index("pair"), one.per_query()
    for pair in ("en-sw", "fr-sw", "en-de"):
        for measure in ("nDCG@10", "AP@1000"):
            expected = by_hand(output, pair, measure)
            own = queries[(queries.pair == pair) & (queries.measure == measure)]
            assert dict(zip(own.query_id, own.value, strict=True)) == pytest.approx(expected)
            mean = sum(expected.values()) / len(expected)
            assert frame.loc[pair, measure] == pytest.approx(mean)


def test_a_frame_of_queries_has_a_row_per_query_and_measure(one: EvaluationResult) -> None:
    frame = one.per_query()
    assert list(frame) == ["task", "split", "pair", "query_id", "measure", "value"]
    assert len(frame) == sum(scores.values.size for scores in one.query_scores().values())
    assert not frame.duplicated(["pair", "query_id", "measure"]).any()


def test_a_pair_that_failed_has_a_row_with_its_error_and_no_score(output: Path) -> None:
    row = load_result(output / "other/mine/test.json").to_frame().set_index("pair").loc["fr-sw"]
    assert row.status == "failed"
    assert "broke" in row.error
    assert row.isna()[["nDCG@10", "nDCG@10 low", "retrieved"]].all()


def test_many_results_are_one_frame_with_the_system_first(output: Path) -> None:
    results = load_results(output)
    frame = results.to_frame()
    assert list(frame)[:2] == ["system", "task"]
    assert frame.groupby("system").size().to_dict() == {"watched": 3, "other": 3}
    assert set(results.per_query().system) == {"watched", "other"}


def test_a_suite_has_the_pairs_of_its_parts_and_of_those_that_are_not_stored(
    one: EvaluationResult,
) -> None:
    assert one.result is not None
    part = SuitePart(
        task="mine", split="test", pairs=("en-sw",), measure="nDCG@10", score=None,
        result_file="watched/mine/test.json", official=True,
    )  # fmt: skip
    gone = part.model_copy(update={"task": "gone", "pairs": ("en-de",), "error": "no data"})
    suite = SuiteResult(
        suite="two", title="Two_tasks", card_sha256="0", system=one.result.system,
        parts=(part, gone), mean=None, official=True, environment=one.result.environment,
    )  # fmt: skip
    view = EvaluationResult(one.path, None, suite, (one,))
    frame = view.to_frame()
    rows = [("mine", "en-sw", "done"), ("gone", "en-de", "failed")]
    assert list(zip(frame.task, frame.pair, frame.status, strict=True)) == rows
    assert set(view.per_query().pair) == set(one.per_query().pair)
    assert r"Two\_tasks" in view.to_latex()
    assert "no data" in view._repr_html_()
    with pytest.raises(UsageError, match="plot one of its parts"):
        view.plot()


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [("pandas", "to_frame()", "notebook"), ("matplotlib", "plot()", "plot")],
)
def test_without_a_library_the_error_names_the_extra(
    one: EvaluationResult, module: str, call: str, extra: str
) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from clir_bench.errors import UsageError\n"
        "from clir_bench.results.views import load_result\n"
        f"try: load_result({str(one.path)!r}).{call}\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f'pip install "clir-bench[{extra}]"' in done.stdout


@pytest.fixture(scope="module")
def hostile(one: EvaluationResult, tmp_path_factory: pytest.TempPathFactory) -> EvaluationResult:
    """The result with markup in each text that is shown."""
    assert one.result is not None
    result = one.result
    path = tmp_path_factory.mktemp("hostile") / "system/mine/test.json"
    write_result(
        path,
        result.model_copy(
            update={
                "system": result.system.model_copy(update={"name": HOSTILE}),
                "task": result.task.model_copy(update={"title": HOSTILE, "measures": (HOSTILE,)}),
            }
        ),
    )
    return load_result(path)


def test_a_notebook_shows_texts_and_no_markup_of_theirs(hostile: EvaluationResult) -> None:
    for text in (hostile._repr_html_(), load_results(hostile.path)._repr_html_()):
        assert "&lt;b&gt;" in text
        assert "<b>" not in text
        assert "\x1b" not in text
        assert text.count("<tr>") == text.count("</tr>") > 1


def test_a_notebook_shows_the_languages_by_tier_and_their_means(one: EvaluationResult) -> None:
    text = one._repr_html_()
    places = [text.index(part) for part in (">low<", "Swahili (sw)", ">mean<", ">high<")]
    assert places == sorted(places)
    assert "all languages" in text


def test_a_plot_needs_no_display_and_shows_each_language_with_its_tier(
    one: EvaluationResult, tmp_path: Path
) -> None:
    figure = one.plot("languages", "AP@1000")
    (axis,) = figure.axes
    assert "Swahili (sw)" in [label.get_text() for label in axis.get_yticklabels()]
    assert {"low", "high"} <= {text.get_text() for text in axis.texts}
    assert axis.get_xlabel() == "AP@1000, 95% interval"
    widths = sorted(bar.get_width() for bar in axis.patches)
    assert one.result is not None
    means = sorted(group.scores["AP@1000"].mean for group in one.result.languages.values())
    assert widths == pytest.approx(means)
    figure.savefig(tmp_path / "figure.svg")
    assert "matplotlib.pyplot" not in sys.modules


def test_plots_draw_hostile_texts_as_they_are(hostile: EvaluationResult, tmp_path: Path) -> None:
    result = hostile.result
    assert isinstance(result, Result)
    known = load_results(hostile.path)
    with pytest.raises(UsageError, match="no measure 'nDCG@10'"):
        hostile.plot(measure="nDCG@10")
    hostile.plot("tiers").savefig(tmp_path / "figure.svg")
    assert len(known) == 1


def test_a_heat_map_has_a_row_per_system_the_best_first(output: Path, tmp_path: Path) -> None:
    figure = load_results(output).plot()
    (axis,) = figure.axes
    labels = {label.get_text() for label in axis.get_yticklabels()}
    assert labels == {"watched", "other (not all official pairs)"}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["sw", "de", "all"]
    figure.savefig(tmp_path / "map.svg")


@pytest.mark.parametrize("kind", ["queries", "pie"])
def test_an_unknown_plot_is_refused_with_those_that_there_are(
    one: EvaluationResult, kind: str
) -> None:
    with pytest.raises(UsageError, match="there are languages, tiers"):
        one.plot(kind)


def test_a_stored_result_is_what_its_view_holds(one: EvaluationResult) -> None:
    assert read_result(one.path) == one.result
