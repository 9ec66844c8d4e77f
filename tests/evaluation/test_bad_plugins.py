"""Broken plugins end to end: named in one message, and nothing else is lost."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from folders import (
    Folder,
    forget_plugins,
    install_plugin,
    make_folder,
    write_plugin,
)
from input_runs import run, statuses, stored

from clir_bench.core import plugins


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


# Plugins


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs package acme with an entry point of that name."""

    def install(name: str, code: str = "", group: str = plugins.ENCODERS) -> None:
        write_plugin(tmp_path / "site", name, code, group)
        install_plugin(tmp_path / "site", monkeypatch)

    yield install
    forget_plugins(monkeypatch)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library", "of package acme cannot be imported"),
        ("Plugin.encode_documents = None", "of acme 3.1 lacks the method encode_documents"),
        ("def load(request): raise OSError('no disk')", "could not be loaded: OSError: no disk"),
        ("def load(request): return 7", "expected an attribute info of type EncoderInfo"),
    ],
)
def test_a_broken_model_plugin_is_named_and_the_next_model_runs(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plugin("acme", code)
    assert run(folder, "-m", "hashing", model="acme") == 1
    err = capsys.readouterr().err
    assert err.startswith("failed: model acme: ")
    assert problem in err
    assert "Traceback" not in err
    assert set(statuses(folder).values()) == {"done"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("return np.full((len(texts), DIM), np.nan, np.float32)", "that are NaN or infinite"),
        ("return np.zeros((len(texts), DIM), np.float32)", "the vector is all zeros"),
        ("return np.ones((len(texts), 3), np.float32)", "found (3, 3)"),
        ("return [[1.0] * DIM] * len(texts)", "expected a numpy array of floats, found"),
        ("raise ValueError('odd text')", "ValueError: odd text"),
    ],
)
def test_vectors_that_cannot_be_searched_with_name_model_and_text(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    import numpy as np
    def encode_documents(self, texts, *, language):
        if language == "de":
            {code}
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 1
    err = capsys.readouterr().err
    assert err.startswith("failed: plugin on mine, en-de: model 'plugin'")
    assert problem in err
    assert "'In der Hafenstadt fiel starker Regen.'" in err or "documents in 'de'" in err
    found = {n: p.status for n, p in stored(folder, "plugin/mine/test.json").pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


def test_scores_that_tell_no_document_from_another_are_warned_of(
    folder: Folder, plugin: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
    Plugin.info = property(lambda self: EncoderInfo("plugin", "1", similarity="dot"))
    Plugin.info = Plugin.info.setter(lambda self, value: None)
    before = Plugin.encode_queries
    def encode(self, texts, *, language):
        rows = before(self, texts, language=language).copy()
        rows[:, 0] += 1e9  # beside which float32 does not see what the texts differ in
        return rows
    Plugin.encode_queries = Plugin.encode_documents = encode
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 0
    assert capsys.readouterr().err.count("all documents score the same, and are ranked by") == 3


def test_a_plugin_that_takes_a_built_ins_name_is_refused(
    folder: Folder, plugin: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    plugin("hashing")
    assert run(folder) == 1
    assert "acme takes the name of a built-in" in capsys.readouterr().err


def test_a_plugin_that_is_not_asked_for_harms_nobody(
    folder: Folder, plugin: Callable[..., None]
) -> None:
    plugin("acme", "raise SystemExit")
    assert run(folder) == 0


@pytest.mark.parametrize(
    "failure",
    [
        "raise SystemExit(0)",
        "raise BaseException('x')",
        "return None",
        "return replace(found, queries=(query for query in found.queries))",
        "return replace(found, documents=(document for document in found.documents))",
        "return replace(found, documents=[tuple(one) for one in found.documents])",
        "return replace(found, qrels=[one._replace(relevance=1.5) for one in found.qrels])",
        "return replace(found, qrels=[one._replace(doc_id='\\ud800') for one in found.qrels])",
        "return replace(found, corpus_id=None)",
    ],
)
def test_a_pair_that_an_adapter_fails_on_leaves_the_others_alone(
    failure: str,
    folder: Folder,
    plugin: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    from dataclasses import replace
    from clir_bench.tasks.adapters import folder
    def load(card, pair, split, source):
        found = folder.load(card, pair, split, source)
        if str(pair) != "en-de":
            return found
        {failure}
    """
    plugin("acme", body, plugins.ADAPTERS)
    folder.edit_card('adapter = "folder"', 'adapter = "acme"')
    assert run(folder) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "failed: hashing on mine, en-de: task 'mine', pair en-de: adapter 'acme'"
    )
    assert said.count("\n") == 1
    found = {name: pair.status for name, pair in stored(folder).pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


@pytest.mark.parametrize(
    "error",
    ["SystemExit(0)", "GeneratorExit()", "StopIteration()", "BaseException('x')", "Mute()"],
)
def test_a_pair_that_an_encoder_fails_on_leaves_the_others_alone(
    error: str,
    folder: Folder,
    plugin: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = f"""
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError
    def encode_documents(self, texts, *, language):
        if language == "de":
            raise {error}
        return self.encode_queries(texts, language=language)
    Plugin.encode_documents = encode_documents
    """
    plugin("acme", body)
    assert run(folder, model="acme") == 1
    said = capsys.readouterr().err
    assert said.startswith("failed: plugin on mine, en-de: model 'plugin' failed on 3 documents")
    assert said.count("\n") == 1
    found = {n: p.status for n, p in stored(folder, "plugin/mine/test.json").pairs.items()}
    assert found == {"en-sw": "done", "fr-sw": "done", "en-de": "failed"}


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import no_such_library", "adapter 'acme' of package acme cannot be imported"),
        ("load = 7", "adapter 'acme' of package acme is int; expected a function"),
        (
            "def load(card, pair, split, source): return []",
            "of acme 3.1 returned list []; expected",
        ),
        (
            "def load(card, pair, split, source): return source['x']",
            "pair en-sw: adapter 'acme' of acme 3.1 failed: TypeError",
        ),
        (
            """
            from clir_bench.types import Collection, Qrel, Query
            class Documents:
                def __iter__(self):
                    raise KeyError("row 7")
            def load(card, pair, split, source):
                return Collection("c", Documents(), [Query("q", "t")], [Qrel("q", "d", 1)])
            """,
            "pair en-sw: adapter 'acme' of acme 3.1 failed: KeyError: 'row 7'",
        ),
    ],
)
def test_a_broken_adapter_plugin_is_named(
    folder: Folder,
    plugin: Callable[..., None],
    code: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plugin("acme", code, plugins.ADAPTERS)
    folder.edit_card('adapter = "folder"', 'adapter = "acme"')
    assert run(folder) == 1
    captured = capsys.readouterr()
    assert problem in captured.err
    assert "Traceback" not in captured.err
    assert set(statuses(folder).values()) == {"failed"}


def test_this_package_is_the_only_one_that_registers_built_ins() -> None:
    names = {point.name for point in importlib.metadata.entry_points(group=plugins.ADAPTERS)}
    assert "folder" in names
    assert plugins.provider(plugins.ADAPTERS, "folder").startswith("clir-bench ")
