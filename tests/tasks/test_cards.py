"""Cards: every shipped one loads, and a wrong one says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from clir_bench.core import plugins
from clir_bench.errors import CardError, UnknownNameError, UsageError
from clir_bench.tasks.cache import read_manifest
from clir_bench.tasks.cards import (
    SAMPLE,
    Counts,
    Sample,
    SuiteCard,
    SuitePart,
    TaskCard,
    expand_rules,
    parse_card,
    read_card,
)
from clir_bench.tasks.catalog import discover, load_card, shipped_directory
from clir_bench.tasks.required_fields import REQUIRED
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

SHIPPED = discover()


def raw_card(**changes: Any) -> dict[str, Any]:
    """Return the TOML of a small, correct card with some fields changed; None takes one out."""
    raw = {
        "id": "demo",
        "title": "Demo",
        "description": "A card for tests.",
        "adapter": "xquad",
        "splits": ["test", "dev"],
        "default_split": "test",
        "measures": ["nDCG@10", "AP@1000"],
        "languages": {"en": "en", "sw": "swh", "fr": "fr"},
        "pairs": {"official": ["same"], "available": ["any"]},
        "parallel_queries": False,
        "license": "none",
        **changes,
    }
    return {key: value for key, value in raw.items() if value is not None}


def card(**changes: Any) -> TaskCard:
    parsed = parse_card(raw_card(**changes), where="demo.toml")
    assert isinstance(parsed, TaskCard)
    return parsed


def problem(raw: dict[str, Any]) -> str:
    with pytest.raises(CardError) as caught:
        parse_card(raw, where="demo.toml")
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith("demo.toml: ")
    return message.removeprefix("demo.toml: ")


def suite(**changes: Any) -> dict[str, Any]:
    part = {"task": "xquad", "measure": "nDCG@10", **changes}
    return {"id": "s", "title": "S", "description": "", "license": "none", "parts": [part]}


def names(pairs: list[LanguagePair]) -> str:
    return " ".join(map(str, pairs))


# Shipped cards


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_card_is_correct(name: str) -> None:
    assert load_card(name).id == name


SUITES = [name for name, path in SHIPPED.items() if "[[parts]]" in path.read_text("utf-8")]
TASKS = [name for name in SHIPPED if name not in SUITES]


@pytest.mark.parametrize("name", TASKS)
def test_shipped_task_has_an_adapter_pairs_and_a_readable_manifest(name: str) -> None:
    task = load_card(name)
    assert isinstance(task, TaskCard)
    assert callable(plugins.load(plugins.ADAPTERS, task.adapter))
    assert set(task.official_pairs()) <= set(task.available_pairs())
    if task.download is not None and task.download.manifest:
        assert read_manifest(task)
        assert task.download.base_url.startswith("https://")


@pytest.mark.parametrize("name", TASKS)
def test_shipped_task_states_counts_for_every_official_pair_of_its_default_split(
    name: str,
) -> None:
    task = load_card(name)
    assert isinstance(task, TaskCard)
    if task.unofficial is None:
        missing = [
            str(pair)
            for pair in task.official_pairs()
            if task.counts_of(task.default_split, pair) is None
        ]
        assert missing == []


@pytest.mark.parametrize("name", SUITES)
def test_shipped_suite_is_made_of_pairs_and_splits_that_its_tasks_have(name: str) -> None:
    loaded = load_card(name)
    assert isinstance(loaded, SuiteCard)
    for part in loaded.parts:
        task = load_card(part.task)
        assert isinstance(task, TaskCard)
        pairs = expand_rules(task, part.pairs) if part.pairs else task.official_pairs()
        assert set(pairs) <= set(task.available_pairs())
        assert part.split in ("", *task.splits)


def test_xtreme_r_scores_tatoeba_from_41_languages_into_english() -> None:
    loaded = load_card("xtreme-r")
    assert isinstance(loaded, SuiteCard)
    by_task = {part.task: part for part in loaded.parts}
    assert {name: part.measure for name, part in by_task.items()} == {
        "xquad-r": "AP@20",
        "tatoeba": "P@1",
        "mewsli-x": "AP@20",
    }
    task = load_card("tatoeba")
    assert isinstance(task, TaskCard)
    pairs = expand_rules(task, by_task["tatoeba"].pairs)
    assert len(set(pairs)) == 41
    assert {pair.document for pair in pairs} == {"en"}


def test_every_card_lies_in_the_folder_that_is_shipped() -> None:
    assert {path.parent for path in SHIPPED.values()} == {shipped_directory()}


# Pair rules


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["same"], "en-en sw-sw fr-fr"),
        (["cross"], "en-sw en-fr sw-en sw-fr fr-en fr-sw"),
        (["any"], "en-en sw-sw fr-fr en-sw en-fr sw-en sw-fr fr-en fr-sw"),
        (["en-*"], "en-sw en-fr"),
        (["*-en"], "sw-en fr-en"),
        (["*-mul"], "en-mul sw-mul fr-mul"),
        (["*-*"], "en-sw en-fr sw-en sw-fr fr-en fr-sw"),
        (["sw-sw", "*-sw", "sw-sw"], "sw-sw en-sw fr-sw"),
        ([], ""),
    ],
)
def test_rules_name_pairs_in_the_order_of_the_card(rules: list[str], expected: str) -> None:
    assert names(expand_rules(card(), rules)) == expected


@pytest.mark.parametrize(
    "rule", ["en-de", "de-*", "mul-en", "all", "", "en", "en_sw", "-", "EN-sw"]
)
def test_wrong_rule_is_refused_and_the_languages_are_named(rule: str) -> None:
    with pytest.raises(UsageError, match=r"task 'demo': pair rule.*en, sw, fr"):
        expand_rules(card(), [rule])
    said = problem(raw_card(pairs={"official": [rule]}))
    assert said.startswith(f"pairs: pair rule {rule!r}: expected")


def test_official_pairs_come_first_among_the_available() -> None:
    pairs = card(pairs={"official": ["*-mul"], "available": ["same"]}).available_pairs()
    assert names(pairs) == "en-mul sw-mul fr-mul en-en sw-sw fr-fr"


def test_rules_that_name_no_pair_are_refused() -> None:
    said = problem(raw_card(languages={"en": "en"}, pairs={"official": ["*-en"]}))
    assert "the official rules ('*-en',) name no pair" in said
    assert "pairs.official" in problem(raw_card(pairs={"official": []}))


# Counts


def test_counts_of_a_pair_take_its_own_line_then_that_of_the_documents_then_the_general() -> None:
    counts = {"test": {"en-sw": [1, 2, 3], "*-sw": [4, 5, 6], "*": [7, 8, 9]}}
    demo = card(counts=counts)
    assert demo.counts_of("test", LanguagePair("en", "sw")) == Counts(1, 2, 3)
    assert demo.counts_of("test", LanguagePair("sw", "sw")) == Counts(4, 5, 6)
    assert demo.counts_of("test", LanguagePair("sw", "en")) == Counts(7, 8, 9)
    assert demo.counts_of("dev", LanguagePair("sw", "en")) is None


@pytest.mark.parametrize("count", [-1, True, 1.5, "3"])
def test_counts_are_whole_numbers_of_at_least_none(count: object) -> None:
    with pytest.raises(CardError, match=r"counts\.test\.\*"):
        card(counts={"test": {"*": [count, 1, 1]}})


def test_counts_of_the_sample_are_those_of_the_samples_pairs() -> None:
    sample = {"languages": {"yo": "yo"}, "official": ["same"]}
    assert card(sample=sample, counts={SAMPLE: {"yo-yo": [1, 1, 1]}}).counts
    said = problem(raw_card(sample=sample, counts={SAMPLE: {"en-en": [1, 1, 1]}}))
    assert said == "counts.sample names 'en-en', which is no pair of the task"


# Samples


def test_card_of_the_sample_has_the_samples_languages_and_rules() -> None:
    demo = card(sample={"languages": {"yo": "yor", "en": "en"}, "official": ["*-en"]})
    assert names(demo.for_sample().official_pairs()) == "yo-en"
    assert names(demo.official_pairs()) == "en-en sw-sw fr-fr"
    assert card().for_sample() == card()


def test_rules_that_do_not_hold_for_the_samples_languages_are_found_when_the_card_is_read() -> None:
    said = problem(
        raw_card(pairs={"official": ["en-sw"]}, sample={"languages": {"yo": "yo", "so": "so"}})
    )
    assert said.startswith("sample: pair rule 'en-sw'")


# Wrong cards


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (raw_card(titel="x"), "unknown field 'titel' (did you mean 'title'?)"),
        (raw_card(zzz=1), "unknown field 'zzz'"),
        (
            raw_card(pairs={"official": ["same"], "availabel": []}),
            "unknown field 'pairs.availabel' (did you mean 'available'?)",
        ),
        (
            raw_card(download={"by_hand": "", "basurl": ""}),
            "unknown field 'download.basurl' (did you mean 'base_url'?)",
        ),
        (suite(measur="P@1"), "unknown field 'parts.0.measur' (did you mean 'measure'?)"),
        (raw_card(title=None), "field 'title' is missing (what tables call the task)"),
        (
            raw_card(pairs={}),
            "field 'pairs.official' is missing (the pairs that run when none",
        ),
        (raw_card(title=5), "title: expected a text, found 5"),
        (raw_card(splits="test"), "splits: expected a list, found 'test'"),
        (raw_card(languages=["sw"]), "languages: expected a table, found ['sw']"),
        (raw_card(pairs="same"), "pairs: expected a table, found 'same'"),
        (raw_card(parallel_queries=[]), "parallel_queries: expected true or false, found []"),
        (raw_card(version="two"), "version: expected a whole number, found 'two'"),
        (raw_card(languages={}), "languages: expected at least one entry, found {}"),
        (raw_card(measures=[]), "measures: expected at least one entry, found []"),
        (raw_card(id="De mo"), "id: String should match pattern"),
        (raw_card(document_text="{body}"), "document_text: expected '{title} {text}'"),
        (raw_card(directory="/tmp"), "unknown field 'directory'"),  # noqa: S108
        (raw_card(measures=["nDCG@10", "nDCG10"]), "'nDCG10' is no ir-measures name"),
        (raw_card(measures=["P"]), "'P' is no ir-measures name"),
        (raw_card(measures=["nDCG(zzz=1)@10"]), "is no ir-measures name"),
        (suite(measure="MRRR"), "parts.0: 'MRRR' is no ir-measures name"),
        (raw_card(default_split="train"), "default_split 'train' is not among splits"),
        (raw_card(counts={"train": {}}), "counts for split 'train', which is not among splits"),
        (
            raw_card(counts={"test": {"en-de": [1, 1, 1]}}),
            "counts.test names 'en-de', which is no pair of the task",
        ),
        (raw_card(counts={"test": {"en-en": [1, 1]}}), "counts.test.en-en"),
        (raw_card(counts={"test": {"en-en": [1, 1, "x"]}}), "counts.test.en-en"),
        (raw_card(adapter="xqaud"), "unknown adapter 'xqaud'; did you mean xquad"),
        (
            raw_card(languages={"en": "en", "qqq": "x"}, pairs={"official": ["same"]}),
            "unknown language 'qqq'",
        ),
        (
            raw_card(languages={"en": "en", "swa": "swh"}),
            "language 'swa' must be written 'sw'",
        ),
        ({**suite(), "parts": []}, "parts: expected at least one entry"),
        (suite(task=None), "parts.0.task: expected a text"),
    ],
    ids=range(32),
)
def test_wrong_card_is_told_what_is_wrong(raw: dict[str, Any], said: str) -> None:
    assert said in problem(raw)


def test_every_problem_is_named_at_once() -> None:
    said = problem(raw_card(titel="x", license=None, version="two"))
    assert all(part in said for part in ("'titel'", "'license' is missing", "version: "))
    said = problem(raw_card(default_split="x", measures=["MRRR"], adapter="nope"))
    assert all(part in said for part in ("default_split 'x'", "'MRRR'", "unknown adapter 'nope'"))


def test_what_is_found_is_cut_short() -> None:
    assert len(problem(raw_card(title=list(range(10_000))))) < 200


def write(folder: Path, text: str, name: str = "demo.toml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


CARD = """
id = "demo"
title = "Demo"
description = "Ŋ"
adapter = "xquad"
splits = ["test"]
default_split = "test"
measures = ["P@1"]
languages = { en = "en" }
pairs = { official = ["same"] }
parallel_queries = false
license = "none"
"""


def test_broken_toml_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'id = "demo"\ntitle = Demo\n')
    with pytest.raises(CardError, match=r"demo\.toml: not valid TOML: .*line 2"):
        read_card(path)


def test_card_that_is_not_there_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"gone\.toml: no such card"):
        load_card(str(tmp_path / "gone.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(CardError, match=r"folder\.toml: expected a plain file, found folder"):
        read_card(tmp_path / "folder.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "caf\xe9"\n')
    with pytest.raises(CardError, match=r"latin\.toml: not valid TOML"):
        read_card(tmp_path / "latin.toml")


def test_hash_is_of_what_the_card_says_and_not_of_its_layout_or_place(tmp_path: Path) -> None:
    one = read_card(write(tmp_path / "a", CARD))
    two = read_card(write(tmp_path / "b", "# a comment\n" + CARD.replace(" = ", "=")))
    other = read_card(write(tmp_path / "c", CARD.replace("P@1", "P@5")))
    assert one.sha256() == two.sha256() != other.sha256()
    assert len(one.sha256()) == hashlib.sha256().digest_size * 2


# Finding cards


@pytest.mark.parametrize(("name", "near"), [("mewsly-x", "mewsli-x"), ("XQuAD", "xquad")])
def test_unknown_task_is_answered_with_near_names(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"unknown task '{name}'; did you mean {near}"):
        load_card(name)


def test_unknown_task_is_told_how_to_bring_its_own_card() -> None:
    with pytest.raises(UnknownNameError, match=r"--task path/to/card\.toml"):
        load_card("zzzzzz")


@pytest.mark.parametrize("name", ["SLURM", "slurm"])
def test_benchmark_without_data_is_answered_with_what_is_known(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"no corpus.*published.*your own collection.*BEIR"):
        load_card(name)


def test_own_folder_of_cards_is_searched_beside_the_shipped_ones(tmp_path: Path) -> None:
    write(tmp_path, CARD)
    assert load_card("demo", tmp_path).title == "Demo"
    assert load_card(str(tmp_path / "demo.toml")).title == "Demo"
    assert set(discover(tmp_path)) == {"demo", *SHIPPED}


def test_own_card_may_not_take_a_shipped_name(tmp_path: Path) -> None:
    path = write(tmp_path, CARD, "xquad.toml")
    with pytest.raises(CardError, match=r"xquad\.toml: task 'xquad' exists already; rename"):
        load_card("demo", tmp_path)
    path.unlink()
    write(tmp_path, CARD, "other.toml")
    with pytest.raises(CardError, match=r"other\.toml: id 'demo' must be the file's name"):
        load_card("other", tmp_path)


def test_folder_of_cards_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"nowhere: no such folder of task cards \(--tasks-dir\)"):
        load_card("xquad", tmp_path / "nowhere")


def test_own_card_reads_the_folder_it_names_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    loaded = read_card(write(tmp_path, CARD + 'source = { directory = "data" }\n'))
    assert isinstance(loaded, TaskCard)
    source = locate(loaded, "test")
    assert (source.directory, source.origin) == (tmp_path / "data", "local")


def test_hash_is_not_of_words_or_the_sample_but_of_what_moves_a_score() -> None:
    card = load_card("xquad")
    assert isinstance(card, TaskCard)
    counts = {**card.counts, SAMPLE: {}}
    same = {"title": "Another", "citation": "", "sample": Sample(), "counts": counts}
    assert card.model_copy(update=same).sha256() == card.sha256()
    for update in ({"version": 2}, {"document_text": "{title} {text}"}, {"unofficial": "no"}):
        assert card.model_copy(update=update).sha256() != card.sha256()
    assert card.for_sample().sha256() != card.sha256()


def test_a_field_that_came_later_changes_the_hash_only_where_it_says_something() -> None:
    old = card(counts={"test": {"*": [3, 2, 2]}}).model_dump(mode="json")
    for field in ("skip_same_id", "missing_judged", "title", "description", "homepage", "license"):
        del old[field]
    for field in ("citation", "download", "sample", "submission", "mteb", "instruction"):
        old.pop(field, None)
    canonical = json.dumps(old, sort_keys=True, ensure_ascii=False)
    known = hashlib.sha256(canonical.encode()).hexdigest()
    assert card(counts={"test": {"*": [3, 2, 2]}}).sha256() == known
    changed = [{"skip_same_id": True}, {"missing_judged": {"test": {"sw-sw": 1}}}]
    assert known not in [card(**one).sha256() for one in changed]


def test_missing_judged_documents_are_stated_as_counts_are() -> None:
    stated = card(missing_judged={"test": {"*-sw": 2, "en-sw": 5}})
    asked = [LanguagePair("en", "sw"), LanguagePair("fr", "sw"), LanguagePair("sw", "fr")]
    assert [stated.missing_judged_of("test", pair) for pair in asked] == [5, 2, 0]
    assert stated.missing_judged_of("dev", asked[0]) == 0
    said = problem(raw_card(missing_judged={"test": {"en-yo": 1}, "train": {"*": 1}}))
    assert "missing_judged.test names 'en-yo', which is no pair of the task" in said
    assert "missing_judged for split 'train', which is not among splits" in said


def test_every_required_field_is_explained_where_it_is_missing() -> None:
    for model, table in ((TaskCard, ""), (SuiteCard, ""), (SuitePart, "parts.")):
        fields = model.model_fields.items()
        needed = {name for name, field in fields if field.is_required()} - {"parts"}
        assert {table + name for name in needed} <= REQUIRED.keys()
