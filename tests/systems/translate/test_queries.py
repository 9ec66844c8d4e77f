"""Queries are translated before a system gets them; what was done is said and stored."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from clir_bench.errors import UsageError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.results.schema import Result
from clir_bench.systems.names import check_name, load_system
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair


def run(tmp_path: Path, name: str, task: str, *pairs: str) -> Result:
    card = load_card(task)
    return evaluate(
        card,
        load_system(name),
        output=tmp_path / "results",
        source=locate(card, "sample"),
        split="sample",
        pairs=[LanguagePair.parse(pair) for pair in pairs],
    )


def stored(tmp_path: Path, result: Result, pair: str) -> list[dict[str, Any]]:
    (name,) = result.pairs[pair].files
    (file,) = (tmp_path / "results").glob(f"*/*/{name}")
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_given_translations_make_other_languages_score_as_the_documents_own(tmp_path: Path) -> None:
    given = run(tmp_path, "translate:given+bm25", "xquad", "sw-en", "en-en")
    plain = run(tmp_path, "bm25", "xquad", "sw-en", "en-en")
    assert given.pairs["sw-en"].scores == given.pairs["en-en"].scores
    assert given.pairs["en-en"].scores == plain.pairs["en-en"].scores
    assert given.pairs["sw-en"].scores["nDCG@10"].mean > plain.pairs["sw-en"].scores["nDCG@10"].mean


def test_queries_in_the_documents_language_are_asked_as_they_are(tmp_path: Path) -> None:
    result = run(tmp_path, "translate:given+hashing", "xquad", "en-en", "sw-en")
    assert result.pairs["en-en"].method == "not translated"
    assert result.pairs["en-en"].files == {}
    assert "queries translated from sw to en by given" in result.pairs["sw-en"].method


def test_queries_of_a_pool_stay_in_their_language_unless_a_target_is_stated(tmp_path: Path) -> None:
    own = run(tmp_path, "translate:given+hashing", "xquad-r", "sw-mul")
    assert own.pairs["sw-mul"].method == "not translated"
    english = run(tmp_path, "translate:given+target=en+hashing", "xquad-r", "sw-mul", "en-mul")
    assert english.system.name == "translate:given+target=en+hashing"
    assert "from sw to en" in english.pairs["sw-mul"].method
    assert english.pairs["en-mul"].method == "not translated"
    assert english.pairs["sw-mul"].scores == english.pairs["en-mul"].scores


def test_translations_are_stored_beside_the_run_and_can_be_read_as_a_table(tmp_path: Path) -> None:
    first = run(tmp_path, "translate:given+bm25", "afriqa", "sw-en")
    rows = stored(tmp_path, first, "sw-en")
    assert rows[0] == {
        "query_id": "sw-sample-0",
        "source": "sw",
        "target": "en",
        "text": rows[0]["text"],
        "translation": "Into which sea does the Nile flow?",
    }
    (name,) = first.pairs["sw-en"].files
    (file,) = (tmp_path / "results").glob(f"*/*/{name}")
    again = run(tmp_path, f"translate:(file:{file})+bm25", "afriqa", "sw-en")
    assert again.pairs["sw-en"].scores == first.pairs["sw-en"].scores
    assert again.system.name.startswith("translate:file:sw-en.translations.jsonl.gz@")


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    first = run(tmp_path, "translate:given+bm25", "xquad", "sw-en")
    second = run(tmp_path, "translate:given+bm25", "xquad", "sw-en")
    assert second.pairs == first.pairs


def test_few_empty_translations_leave_the_original_and_many_are_an_error(tmp_path: Path) -> None:
    rows = [["text", "translation"]]
    card = load_card("xquad").for_sample()
    from clir_bench.tasks.loading import Loader

    queries = Loader(card, "sample", locate(card, "sample")).load(LanguagePair("sw", "en")).queries
    rows += [[query.text, "the river"] for query in queries]
    rows[1][1] = " "
    table = tmp_path / "table.tsv"
    table.write_text("\n".join("\t".join(row) for row in rows))
    name = f"translate:file:{table}+bm25"
    method = run(tmp_path, name, "xquad", "sw-en").pairs["sw-en"].method
    assert f"{len(queries) - 1} queries translated from sw to en" in method
    assert "1 asked as they are: their translations are empty" in method
    for row in rows[1:]:
        row[1] = ""
    table.write_text("\n".join("\t".join(row) for row in rows))
    failed = run(tmp_path, name, "xquad", "sw-en").pairs["sw-en"]
    assert failed.status == "failed"
    assert f"{len(queries)} of {len(queries)} translations are empty" in (failed.error or "")


def test_parts_of_a_hybrid_keep_the_translations_of_each(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    card = load_card("xquad").for_sample()
    from clir_bench.tasks.loading import Loader

    queries = Loader(card, "sample", locate(card, "sample")).load(LanguagePair("sw", "en")).queries
    table.write_text("text\ttranslation\n" + "".join(f"{q.text}\tthe river\n" for q in queries))
    name = f"hybrid:(translate:given+bm25)+(translate:file:{table}+bm25)"
    files = run(tmp_path, name, "xquad", "sw-en").pairs["sw-en"].files
    assert sorted(files) == [
        "sample/sw-en.2.translations.jsonl.gz",
        "sample/sw-en.translations.jsonl.gz",
    ]


def test_the_inner_translator_finds_queries_already_translated(tmp_path: Path) -> None:
    result = run(tmp_path, "translate:given+translate:given+hashing", "xquad", "sw-en")
    assert result.pairs["sw-en"].method.endswith("; not translated")
    assert len(result.pairs["sw-en"].files) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("translate:given", "write translate:HOW"),
        ("translate:given+target=xx-none+bm25", "xx-none"),
        ("translate:given+target=mul+bm25", "no language to translate into"),
        ("translate:given+beams=2+bm25", "beams is no option of given"),
        ("translate:given+depth=2+bm25", "no option 'depth'"),
        ("translate:file:+bm25", "file: is followed by nothing"),
        ("translate:command:true+timeout=0+bm25", "timeout=0: expected a whole number"),
    ],
)
def test_a_name_that_is_not_made_right_is_refused(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_system(name)


def test_a_misspelt_inner_system_is_found_by_its_name_alone() -> None:
    check_name("translate:given+hybrid:bm25+hashing")
    with pytest.raises(UsageError, match="did you mean hashing"):
        check_name("translate:given+hashin")


def test_how_may_hold_colons_and_brackets_keep_a_plus_in_it(tmp_path: Path) -> None:
    system = load_system("translate:(command:cat a+b:c)+bm25")
    assert system.info.details["translator"] == "command cat a+b:c"


@pytest.mark.realdata
def test_human_translation_with_bm25_reaches_what_a_prototype_measured(
    tmp_path: Path, real_data: Path
) -> None:
    card = load_card("afriqa")
    result = evaluate(
        card,
        load_system("translate:given+bm25"),
        output=tmp_path,
        source=locate(card, "test", real_data / "afriqa"),
        pairs=[LanguagePair("sw", "en"), LanguagePair("ha", "en")],
    )
    found = {pair: result.pairs[pair].scores["nDCG@10"].mean for pair in ("sw-en", "ha-en")}
    assert found["sw-en"] >= 0.731
    assert found["ha-en"] >= 0.634
