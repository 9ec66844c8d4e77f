"""Prompts saved with a model, or known for it, are put before its texts or named as unused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tiny_models import COMMIT, copy_of, edit, write_bert, write_dense

from clir_bench.cli.tables import prompt_lines
from clir_bench.encoders import load_encoder
from clir_bench.encoders.st.prompts import choose, side_of
from clir_bench.results.system_record import SystemRecord
from clir_bench.types import EncoderInfo


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tmp_path_factory.mktemp("prompts") / "tiny", 1)


@pytest.mark.parametrize(
    ("saved", "query", "document"),
    [
        ({"query": "q", "document": "d"}, "q", "d"),
        ({"query": "q", "document": "", "passage": "p"}, "q", "p"),
        ({"query": "q", "corpus": "c"}, "q", "c"),
        ({"search_query": "q", "search_document": "d"}, "q", "d"),
        ({"retrieval.query": "q", "retrieval.passage": "p"}, "q", "p"),
        ({"Retrieval-query": "q", "Retrieval-document": "d", "Retrieval": "r"}, "q", "d"),
        ({"query_instruction": "q"}, "q", ""),
        ({"web_search_query": "q"}, "q", ""),
        ({"queryPrompt": "q", "passagePrefix": "p"}, "q", "p"),
        ({"s2p_query": "q", "s2s_query": "s"}, "q", ""),
        ({"query": "q", "search_query": "other"}, "q", ""),
        ({}, "", ""),
    ],
)
def test_a_name_that_states_its_side_is_used(
    saved: dict[str, str], query: str, document: str
) -> None:
    chosen = choose(saved, None)
    assert (chosen.query, chosen.document) == (query, document)


@pytest.mark.parametrize(
    "name", ["s2s_query", "retrieval", "Clustering", "query_document", "FiQA_query", "", "text"]
)
def test_a_name_that_states_no_side_or_more_than_retrievals_is_not_used(name: str) -> None:
    assert side_of(name) is None
    chosen = choose({name: "x"}, None)
    assert (chosen.query, chosen.document) == ("", "")
    assert "('x') are not used" in chosen.unused


def test_of_several_prompts_for_one_side_the_default_is_used_and_else_none() -> None:
    saved = {"search_query": "a", "web_search_query": "b"}
    assert choose(saved, "web_search_query").query == "b"
    undecided = choose(saved, None)
    assert undecided.query == ""
    assert "'search_query' ('a'), 'web_search_query' ('b') are not used" in undecided.unused


def test_a_default_prompt_that_names_no_side_is_told() -> None:
    unused = choose({"retrieval": "find: "}, "retrieval").unused
    assert "default_prompt_name 'retrieval' among them, are not used" in unused


def test_what_is_stated_replaces_saved_prompts_without_a_word() -> None:
    chosen = choose({"retrieval": "find: "}, "retrieval", query="", document="d: ")
    assert chosen == ("", "d: ", "")


def test_nothing_is_told_where_both_sides_have_their_prompt() -> None:
    saved = {"query": "q", "document": "d", "Clustering": "c"}
    assert choose(saved, None).unused == ""


def test_unused_prompts_are_short_and_harmless_on_a_terminal() -> None:
    unused = choose({"\x1b[2J": "x" * 10_000, **{f"n{i}": f"{i}" for i in range(50)}}, None).unused
    assert "\x1b" not in unused
    assert "and 43 more" in unused
    assert len(unused) < 400


def test_a_model_whose_prompts_stay_unused_says_so_and_records_it(
    plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of(plain, tmp_path / "model")
    settings = folder / "config_sentence_transformers.json"
    edit(settings, prompts={"retrieval": "find : "}, default_prompt_name="retrieval")
    with caplog.at_level(logging.WARNING):
        info = load_encoder(f"st:{folder}", device="cpu").info
    assert (info.query_prompt, info.document_prompt) == ("", "")
    assert "'retrieval' ('find : ')" in caplog.text
    assert "state query_prompt and document_prompt in a model file" in caplog.text
    assert "'retrieval' ('find : ')" in info.description


def test_prompts_saved_beside_a_plain_transformers_model_are_used(tmp_path: Path) -> None:
    write_bert(tmp_path / "model", 1)
    settings = tmp_path / "model" / "config_sentence_transformers.json"
    settings.write_text('{"prompts": {"query": "query : ", "passage": "document : "}}')
    info = load_encoder(f"st:{tmp_path / 'model'}", device="cpu").info
    assert (info.query_prompt, info.document_prompt) == ("query : ", "document : ")


@pytest.fixture
def e5_in_cache(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache in which a tiny model stands in for multilingual-e5-small, at some commit."""
    from huggingface_hub import constants

    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--intfloat--multilingual-e5-small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return copy_of(plain, repository / "snapshots" / COMMIT)


def test_a_known_hub_id_has_the_tables_prompts_at_the_commit_that_is_run(
    e5_in_cache: Path,
) -> None:
    expected = ("query: ", "passage: ", "MIT")
    for argument in ("intfloat/multilingual-e5-small", str(e5_in_cache)):
        info = load_encoder(f"st:{argument}", device="cpu").info
        assert (info.query_prompt, info.document_prompt, info.license) == expected
    info = load_encoder("st:intfloat/multilingual-e5-small", device="cpu").info
    assert (info.name, info.revision) == ("intfloat/multilingual-e5-small", COMMIT)


@pytest.mark.usefixtures("e5_in_cache")
def test_a_model_file_has_the_last_word_on_a_known_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    lines = 'name = "mine"\nhub_id = "intfloat/multilingual-e5-small"\nquery_prompt = ""\n'
    path.write_text(lines)
    info = load_encoder(str(path), device="cpu").info
    assert (info.query_prompt, info.document_prompt) == ("", "passage: ")


def test_sentence_transformers_itself_would_leave_these_prompts_out() -> None:
    """What `encoders/prompts.py` and the documentation say of it."""
    import torch
    from sentence_transformers import SentenceTransformer

    saved = {"passage": "p", "search_query": "q"}
    model = SentenceTransformer(modules=[torch.nn.Identity()], prompts=saved, device="cpu")
    assert (model.prompts["query"], model.prompts["document"]) == ("", "")


def record(**info: str) -> SystemRecord:
    made = EncoderInfo("m", "1", "0" * 64, **info)  # type: ignore[arg-type]
    return SystemRecord.of(made, dim=1, spec="m", package="p 1")


def test_the_tables_head_shows_the_prompts_that_ran() -> None:
    shown = prompt_lines(record(query_prompt="Instruct:\n\x1b[2JQuery: "))
    assert shown == [r"query prompt: 'Instruct:\n\x1b[2JQuery: '", "document prompt: none"]
    assert prompt_lines(record()) == ["no prompts"]
    [query, _] = prompt_lines(record(query_prompt="a" * 1000))
    assert len(query) < 100
