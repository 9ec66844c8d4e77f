"""Results for other places, read back by what reads them there where it is at hand."""

from __future__ import annotations

import io
import json
import lzma
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from folders import clir
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from submissions import Submitted, make_submission

from clir_bench.results.export import yaml
from clir_bench.results.export.stored import export_model_index, export_mteb, export_runs
from clir_bench.results.schema import Result
from clir_bench.results.store import read_result
from clir_bench.tasks.measures import parse_measures


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    return make_submission(tmp_path, monkeypatch)


class TaskResult(BaseModel):
    """The fields of mteb's own class, by their types there (mteb/results/task_result.py)."""

    dataset_revision: str
    task_name: str
    mteb_version: str | None
    scores: dict[str, list[dict[str, Any]]]
    evaluation_time: float | None
    kg_co2_emissions: float | None = None
    date: Any = None


def exported(made: Submitted, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert clir("export", "--format", form, made.result) == 0
    return capsys.readouterr().out


def test_mteb_finds_every_field_it_wants(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    text = exported(made, "mteb", capsys)
    read = TaskResult.model_validate_json(text, strict=True)
    assert set(json.loads(text)) == set(TaskResult.model_fields)
    result = read_result(made.result)
    assert isinstance(result, Result)
    by_subset = {scores["hf_subset"]: scores for scores in read.scores["test"]}
    assert set(by_subset) == {"en-sw", "fr-sw", "en-de"}
    scores = by_subset["en-sw"]
    mean = result.pairs["en-sw"].scores["nDCG@10"].mean
    assert scores["main_score"] == scores["ndcg_at_10"] == mean
    assert scores["map_at_100"] == result.pairs["en-sw"].scores["AP@100"].mean
    assert scores["languages"] == ["eng-Latn", "swa-Latn"]


def test_mteb_is_not_said_to_have_made_what_it_did_not(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    read = json.loads(exported(made, "mteb", capsys))
    assert read["mteb_version"] is None
    assert read["task_name"] == "clir-bench/mine"
    assert read["dataset_revision"].startswith("clir-bench-data-")


def test_the_hub_reads_the_front_matter_and_finds_the_same_scores(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    card = ModelCard(exported(made, "model-index", capsys))
    assert card.data.model_name == "hashing"
    found = {
        (entry.dataset_config, entry.metric_name): entry.metric_value
        for entry in card.data.eval_results
    }
    result = read_result(made.result)
    assert isinstance(result, Result)
    for name, pair in result.pairs.items():
        for measure, score in pair.scores.items():
            assert found[name, measure] == score.mean
    assert found["mean over languages", "nDCG@10"] == result.overall["nDCG@10"].mean


def test_a_run_has_an_ir_metadata_header_and_is_otherwise_the_same(
    made: Submitted, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    assert clir("export", "--format", "ir-metadata", "-o", out, made.result) == 0
    text = (out / "hashing" / "mine" / "en-sw.run").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "# ir_metadata.start"
    end = lines.index("# ir_metadata.end")
    read = pyyaml.safe_load("\n".join(line.removeprefix("# ") for line in lines[1:end]))
    assert list(read) == [
        "schema-version", "run-version", "tag", "platform", "research goal", "implementation",
        "method", "actor", "data",
    ]  # fmt: skip
    assert (read["schema-version"], read["tag"]) == (0.1, "hashing")
    assert read["method"]["automatic"] is True
    assert read["actor"] == {"name": "Ada", "role": "experimenter"}
    run = lzma.decompress(made.run().read_bytes()).decode()
    assert text.endswith("# ir_metadata.end\n" + run)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw["task"].update(id="../../escaped"), "task.id"),
        (lambda raw: raw["task"].update(id="/tmp/escaped"), "task.id"),  # noqa: S108
        (lambda raw: raw["pairs"].update({"../../x-y": raw["pairs"]["en-sw"]}), "x-y"),
        (lambda raw: raw["pairs"]["en-sw"].update(run_file="../../../../secret"), "run_file"),
        (lambda raw: raw["pairs"]["en-sw"].update(run_file="test/en-de.run.xz"), "not the run"),
    ],
)
def test_a_result_of_a_stranger_is_exported_to_no_place_outside_and_from_none(
    made: Submitted,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any], object],
    problem: str,
) -> None:
    (tmp_path / "secret").write_text("secret")
    made.edit(change)
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "deep" / "er" / "runs"
    assert clir("export", "--format", "ir-metadata", "-o", out, made.result) == 1
    assert problem in capsys.readouterr().err
    new = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "deep") for path in new)
    assert not any("secret" in path.read_text() for path in new if path.is_file())


def test_each_format_is_one_call(made: Submitted, tmp_path: Path) -> None:
    mteb = export_mteb(made.result)
    assert json.loads(mteb.text)["task_name"] == "clir-bench/mine"
    assert mteb.notes == ("mteb has no task with the data of 'mine'",)
    index = export_model_index([made.result])
    assert index.text.startswith("---\nmodel-index:") and index.notes == ()
    runs = export_runs([made.result], tmp_path / "runs")
    assert {file.name for file in runs.files} == {"en-sw.run", "fr-sw.run", "en-de.run"}
    assert all(file.is_file() for file in runs.files) and runs.text == ""


def test_a_measure_is_called_as_elsewhere_only_where_it_is_the_same() -> None:
    from clir_bench.results.export.measures import mteb_name

    names = [mteb_name(name) for name in parse_measures(["P@1", "RR@10", "nDCG", "P(rel=2)@5"])]
    assert names == ["precision_at_1", "mrr_at_10", "nDCG", "P(rel=2)@5"]


def test_samples_are_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clir("run", "-m", "hashing", "-t", "xquad", "--sample", "-o", tmp_path) == 0
    path = tmp_path / "hashing" / "xquad" / "sample.json"
    assert clir("export", "--format", "mteb", path) == 1
    assert "the embedded sample" in capsys.readouterr().err


def test_results_of_two_systems_are_no_model_card(
    made: Submitted, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made.result.with_name("other.json")
    other.write_text(made.result.read_text().replace('"name": "hashing"', '"name": "other"'))
    assert clir("export", "--format", "model-index", made.result, other) == 2
    assert clir("export", "--format", "mteb", made.result, other) == 2
    assert clir("export", "--format", "ir-metadata", made.result) == 2
    assert "name a folder with --output" in capsys.readouterr().err


SCALARS = (
    st.text(max_size=12)
    | st.integers(-(2**63), 2**63)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["yes", "1e3", "- a", "a: b", "# c", "!!python/name:os.system", "'", "\\"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, min_size=1, max_size=3))
def test_whatever_is_written_as_yaml_is_read_back_as_it_was(value: dict[str, yaml.Value]) -> None:
    text = yaml.dump(value)
    assert text.isascii()
    assert pyyaml.safe_load(io.StringIO(text)) == value


def test_yaml_has_no_number_that_is_read_as_text() -> None:
    read = pyyaml.safe_load(yaml.dump({"a": 1e-7, "b": 1e22, "c": 5e-324, "d": -0.0, "e": 0.1}))
    assert read == {"a": 1e-7, "b": 1e22, "c": 5e-324, "d": 0.0, "e": 0.1}
    assert math.copysign(1, read["d"]) == -1


def test_half_a_surrogate_pair_does_not_get_into_yaml() -> None:
    assert pyyaml.safe_load(yaml.dump({"a": "x\ud800y", "b": "\\ud800"})) == {
        "a": "x\ufffdy",
        "b": "\\ud800",
    }
