"""Documents are translated before a system gets them: streamed, kept, resumed after a kill."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from clir_bench.errors import UsageError
from clir_bench.evaluation.evaluate import evaluate
from clir_bench.evaluation.settings import RunSettings
from clir_bench.evaluation.sharded_encoding import Job, encode_job
from clir_bench.results.schema import Result
from clir_bench.systems.names import load_system
from clir_bench.systems.system import System
from clir_bench.systems.translate.memory import Remembered
from clir_bench.tasks.catalog import load_card
from clir_bench.tasks.loading import Loader
from clir_bench.tasks.source import locate
from clir_bench.types import LanguagePair

SCRIPT = """
import json, sys
known = json.load(open(sys.argv[1] + ".json"))
for line in sys.stdin:
    print(known.get(line.strip(), ""))
    with open(sys.argv[1] + ".log", "a") as log: print(line.strip(), file=log)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLIR_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "translations"


def documents(task: str, language: str) -> dict[str, str]:
    card = load_card(task)
    loader = Loader(card.for_sample(), "sample", locate(card, "sample"))
    found = loader.load(LanguagePair("en", language)).documents
    return {
        document.doc_id.partition(".")[2] or document.doc_id: document.text for document in found
    }


def command(tmp_path: Path, task: str, *languages: str) -> str:
    """Return the name of a command that knows the English of a sample's documents."""
    import json

    english = documents(task, "en")
    known = {
        " ".join(text.split()): english[doc_id]
        for language in languages
        for doc_id, text in documents(task, language).items()
    }
    (tmp_path / "known.json").write_text(json.dumps(known))
    (tmp_path / "translate.py").write_text(SCRIPT)
    arguments = [sys.executable, str(tmp_path / "translate.py"), str(tmp_path / "known")]
    return f"(command:{shlex.join(arguments)} {{source}}-{{target}})"


def n_asked(tmp_path: Path) -> int:
    log = tmp_path / "known.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def run(
    tmp_path: Path, system: System | str, task: str, *pairs: str, limit: int | None = None
) -> Result:
    card = load_card(task)
    return evaluate(
        card,
        load_system(system) if isinstance(system, str) else system,
        output=tmp_path / "results",
        source=locate(card, "sample"),
        split="sample",
        pairs=[LanguagePair.parse(pair) for pair in pairs],
        settings=RunSettings(limit=limit, n_resamples=50),
    )


@pytest.mark.parametrize("inner", ["bm25", "hashing", "hybrid:bm25+hashing"])
def test_perfect_translations_score_as_the_queries_own_language(tmp_path: Path, inner: str) -> None:
    name = f"translate-documents:{command(tmp_path, 'xquad', 'sw')}+{inner}"
    translated = run(tmp_path, name, "xquad", "en-sw", "sw-sw")
    plain = run(tmp_path, inner, "xquad", "en-en", "sw-sw")
    assert translated.pairs["en-sw"].scores == plain.pairs["en-en"].scores
    assert translated.pairs["sw-sw"].scores == plain.pairs["sw-sw"].scores
    n_documents = len(documents("xquad", "sw"))
    assert f"{n_documents} documents translated into en by" in translated.pairs["en-sw"].method
    assert translated.pairs["sw-sw"].method.startswith("documents not translated")
    assert n_asked(tmp_path) == n_documents


def test_documents_of_a_pool_are_translated_from_the_language_of_each(tmp_path: Path) -> None:
    card = load_card("xquad-r").for_sample()
    languages = sorted({*card.languages} - {"en", "mul"})
    name = f"translate-documents:{command(tmp_path, 'xquad-r', *languages)}+target=en+bm25"
    result = run(tmp_path, name, "xquad-r", "en-mul")
    assert result.pairs["en-mul"].status == "done", result.pairs["en-mul"].error
    english = documents("xquad-r", "en")
    assert n_asked(tmp_path) <= len(languages) * len(english)
    score = result.pairs["en-mul"].scores["nDCG@10"].mean
    assert score > run(tmp_path, "bm25", "xquad-r", "en-mul").pairs["en-mul"].scores["nDCG@10"].mean


def test_a_corpus_is_translated_once_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"translate-documents:{command(tmp_path, 'xquad', 'sw')}+bm25"
    system = load_system(name)
    translate = Remembered.translate_window
    monkeypatch.setattr("clir_bench.systems.translate.documents.WINDOW_DOCUMENTS", 2)
    n_windows = 0

    def failing(self: Remembered, texts: list[str], direction: object) -> list[str]:
        nonlocal n_windows
        n_windows += 1
        if n_windows == 2:
            raise KeyboardInterrupt
        return translate(self, texts, direction)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Remembered, "translate_window", failing)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, system, "xquad", "en-sw")
    assert n_asked(tmp_path) == 2
    assert run(tmp_path, name, "xquad", "en-sw").pairs["en-sw"].status == "done"
    assert n_asked(tmp_path) == len(documents("xquad", "sw"))


def test_a_corpus_cut_by_a_limit_is_translated_as_it_is_cut(tmp_path: Path) -> None:
    name = f"translate-documents:{command(tmp_path, 'xquad', 'sw')}+bm25"
    result = run(tmp_path, name, "xquad", "en-sw", limit=1)
    counts = result.pairs["en-sw"].counts
    assert counts is not None
    assert counts.documents == n_asked(tmp_path) < len(documents("xquad", "sw"))


def test_many_empty_translations_fail_the_pair(tmp_path: Path) -> None:
    name = f"translate-documents:{command(tmp_path, 'xquad')}+bm25"
    failed = run(tmp_path, name, "xquad", "en-sw", "sw-sw")
    assert "translations are empty" in (failed.pairs["en-sw"].error or "")
    assert failed.pairs["sw-sw"].status == "done"


def test_what_has_translations_of_queries_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="given has queries; a model or a command"):
        load_system("translate-documents:given+bm25")


def test_jobs_cannot_share_documents_that_are_not_translated_yet(tmp_path: Path) -> None:
    card = load_card("xquad")
    with pytest.raises(UsageError, match="encodes none"):
        encode_job(
            card,
            load_system("translate-documents:command:cat+hashing"),
            Job(0, 2),
            source=locate(card, "sample"),
            split="sample",
            pairs=[LanguagePair("en", "sw")],
            settings=RunSettings(),
        )


def test_a_direction_that_the_translator_lacks_is_refused_before_data_are_read() -> None:
    card = load_card("tatoeba")
    system = load_system("translate-documents:command:cat {source3}+bm25")
    with pytest.raises(UsageError, match="no code for 'ber'"):
        system.check(card, "test", [LanguagePair("en", "ber")])
